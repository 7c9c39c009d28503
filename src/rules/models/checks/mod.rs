//! One file per rule.

mod context;
mod family;
mod instruction;
mod licence;
mod loaded;
mod public;
mod revision;
mod size;
mod uploaded;
mod weights;

pub use context::ContextRules;
pub use family::FamilyRules;
pub use instruction::InstructionRules;
pub use licence::LicenceRules;
pub use public::PublicRules;
pub use revision::RevisionRules;
pub use size::{BytesRules, SizeRules};
pub use uploaded::UploadRules;
pub use weights::{CONVERT, weights};

use super::{ModelFacts, ModelRules};
use crate::rules::Finding;
use loaded::{Loaded, loaded};

/// Holds all models against all rules; findings in the order of the rules, then of the models.
pub fn check(models: &[ModelFacts], rules: &ModelRules) -> Vec<Finding> {
    let all = loaded(models);
    let networks: Vec<&Loaded<'_>> = all.iter().filter(|it| !it.is_adapter).collect();
    let mut found = Vec::new();
    if let Some(rules) = &rules.size {
        found.extend(networks.iter().map(|it| size::check(it, rules)));
        found.extend(networks.iter().filter_map(|it| size::compare(it)));
        found.extend(size::together(&all));
    }
    if let Some(rules) = &rules.bytes {
        found.extend(networks.iter().map(|it| size::check_bytes(it, rules)));
    }
    if let Some(rules) = &rules.licence {
        found.extend(models.iter().map(|model| licence::check(model, rules)));
    }
    if let Some(rules) = &rules.family {
        found.extend(networks.iter().map(|it| family::check(it, rules)));
    }
    if let Some(rules) = &rules.instruction_tuned {
        found.extend(all.iter().map(|it| instruction::check(it, rules)));
    }
    if rules.revision.is_some() {
        found.extend(all.iter().map(revision::check));
        found.extend(revision::twice(&all));
    }
    if let Some(rules) = &rules.uploaded_before {
        found.extend(all.iter().map(|it| uploaded::check(it, rules)));
    }
    if let Some(rules) = &rules.public {
        found.extend(all.iter().map(|it| public::check(it, rules)));
    }
    if let Some(rules) = &rules.context {
        found.extend(networks.iter().map(|it| context::check(it, rules)));
    }
    found
}
