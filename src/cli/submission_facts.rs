//! What the papers of a competition's submission say.

use merge_search::hub::known;
use merge_search::recipe::Recipe;
use merge_search::record::RunFolder;
use merge_search::submission::competition::{SubmissionManifest, SubmittedModel};
use merge_search::submission::{HubLicence, Licences, SubmissionFacts};

use super::Failure;
use super::run_facts::run_facts;

/// Of the trial that `manifest` names. `recipe` has the published names of its models; `options` are those of the export
/// that change what it writes, as typed (`--class-name`, `MyMerge`, `--published`, …).
pub fn submission_facts(
    run: &RunFolder,
    manifest: SubmissionManifest,
    recipe: &Recipe,
    options: Vec<String>,
) -> Result<SubmissionFacts, Failure> {
    Ok(SubmissionFacts {
        run: run_facts(run, run.trials()?, manifest.trial)?,
        licences: licences(&manifest.models),
        recipe: recipe.clone(),
        manifest,
        options,
    })
}

fn licences(models: &[SubmittedModel]) -> Licences {
    let parents: Vec<Option<HubLicence>> = models.iter().map(licence).collect();
    Licences { parents, result: None, obligations: Vec::new() }
}

/// An adapter's own licence counts where it has one.
fn licence(model: &SubmittedModel) -> Option<HubLicence> {
    let adapter = model.adapter.as_deref().and_then(known);
    let model = adapter.or_else(|| known(&model.repository))?;
    Some(HubLicence {
        id: model.license.clone()?,
        name: model.license_name.clone(),
        link: model.license_link.clone(),
    })
}
