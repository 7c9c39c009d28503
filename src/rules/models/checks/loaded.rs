//! The repositories that a submission loads, each once.

use crate::rules::models::{ModelFacts, RepositoryFacts};

/// A repository or a folder that is loaded.
pub(super) struct Loaded<'a> {
    /// Models that it belongs to.
    names: Vec<&'a str>,
    pub(super) facts: &'a RepositoryFacts,
    pub(super) is_adapter: bool,
    /// The first model that it belongs to.
    pub(super) of: &'a ModelFacts,
}

/// In the order of the models.
pub(super) fn loaded(models: &[ModelFacts]) -> Vec<Loaded<'_>> {
    let mut all: Vec<Loaded<'_>> = Vec::new();
    for of in models {
        let adapter = of.adapter.iter().map(|facts| (facts, true));
        for (facts, is_adapter) in [(&of.model, false)].into_iter().chain(adapter) {
            let same = |it: &&mut Loaded<'_>| it.facts.reference() == facts.reference();
            match all.iter_mut().find(same) {
                Some(known) if known.names.contains(&of.name.as_str()) => {}
                Some(known) => known.names.push(&of.name),
                None => all.push(Loaded { names: vec![&of.name], facts, is_adapter, of }),
            }
        }
    }
    all
}

impl Loaded<'_> {
    /// `base, math: owner/name`.
    pub(super) fn subject(&self) -> String {
        let kind = if self.is_adapter { " (adapter)" } else { "" };
        format!("{}: {}{kind}", self.names.join(", "), self.facts.id)
    }

    /// Why something is not known.
    pub(super) fn why_unknown(&self) -> String {
        why_unknown(self.facts)
    }
}

/// What could not be read, or that nothing is there.
pub(super) fn why_unknown(facts: &RepositoryFacts) -> String {
    match (facts.faults.as_slice(), &facts.absent) {
        ([], Some(absent)) => absent.clone(),
        ([], None) if facts.local => format!("{} does not tell", facts.id),
        ([], None) => format!(
            "no file of {} is on this machine, nor does the catalogue tell",
            facts.reference()
        ),
        (faults, _) => faults.join("; "),
    }
}
