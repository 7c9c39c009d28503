//! That the weights can be read: here, and by the exported class.

use super::loaded::{Loaded, loaded};
use crate::rules::models::{ModelFacts, WeightFiles};
use crate::rules::{Finding, Verdict};

/// What to do about a repository of pickles.
pub const CONVERT: &str = "convert it (save_pretrained, or safetensors.torch.save_file for an adapter), upload the converted \
    folder to the hub, and give that repository and its commit to `export`: --published NAME=owner/name@COMMIT";

/// One finding per repository or folder; `pickled` is the verdict on those that have no safetensors.
pub fn weights(models: &[ModelFacts], pickled: Verdict) -> Vec<Finding> {
    loaded(models).iter().map(|model| of_one(model, pickled)).collect()
}

fn of_one(model: &Loaded<'_>, pickled: Verdict) -> Finding {
    let finding =
        |verdict, evidence: String| Finding::new("weights", model.subject(), verdict, evidence);
    let Some(stored) = &model.facts.weights else {
        let evidence = format!("how its weights are stored is not known: {}", model.why_unknown());
        return finding(Verdict::Unknown, evidence)
            .remedy("see whether its page lists *.safetensors, or download it");
    };
    let place = stored.place.clone();
    match stored.value {
        WeightFiles::Safetensors => finding(Verdict::Pass, format!("safetensors: {place}")),
        WeightFiles::Pickled => {
            let evidence = format!("{place}: only safetensors are read");
            finding(pickled, evidence).remedy(CONVERT)
        }
        WeightFiles::Damaged => {
            finding(Verdict::Fail, place).remedy("download it again, or name a whole copy")
        }
    }
}
