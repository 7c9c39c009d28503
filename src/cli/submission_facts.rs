//! What the papers of a competition's submission say.

use merge_search::hub::Hub;
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::record::RunFolder;
use merge_search::rules::models::{
    Evidence, ModelFacts, Obligation, RepositoryFacts, facts, merged_licence, obligations,
};
use merge_search::submission::competition::{SubmissionManifest, SubmittedModel};
use merge_search::submission::{HubLicence, Licences, SubmissionFacts};

use super::Failure;
use super::run_facts::run_facts;
use super::workbench::hub;

/// How the class asks.
pub struct Asked {
    /// New tokens of a text at most.
    pub max_gen_len: usize,
    /// What the run had besides, a part of a sentence each.
    pub only_in_the_run: Vec<String>,
}

/// Of the trial that `manifest` names. `recipe` has the published names of its models; `options` are those of the export
/// that change what it writes, as typed (`--class-name`, `MyMerge`, `--published`, …).
pub fn submission_facts(
    run: &RunFolder,
    manifest: SubmissionManifest,
    recipe: &Recipe,
    asked: Asked,
    options: Vec<String>,
) -> Result<SubmissionFacts, Failure> {
    Ok(SubmissionFacts {
        run: run_facts(run, run.trials()?, manifest.trial)?,
        licences: licences(&manifest.models),
        recipe: recipe.clone(),
        max_gen_len: asked.max_gen_len,
        only_in_the_run: asked.only_in_the_run,
        manifest,
        options,
    })
}

fn licences(models: &[SubmittedModel]) -> Licences {
    // What the hub says today must not change what is written: the catalogue and the cache tell enough.
    let hub = Hub { offline: true, ..hub() };
    let known: Vec<ModelFacts> = models
        .iter()
        .filter_map(|model| Some((model, reference(model)?)))
        .map(|(model, reference)| facts(&reference, &model.name, &hub, &Evidence::default()))
        .collect();
    let merged = merged_licence(&known);
    let is_known = merged.license_name.as_deref() != Some("unknown");
    Licences {
        parents: known.iter().map(own).collect(),
        result: is_known.then_some(HubLicence {
            id: merged.license,
            name: merged.license_name,
            link: merged.license_link,
        }),
        because: merged.because,
        obligations: obligations(&known).iter().map(in_a_line).collect(),
    }
}

/// As a recipe names it.
fn reference(model: &SubmittedModel) -> Option<ModelRef> {
    let own = format!("{}@{}", model.repository, model.revision);
    let adapter = model.adapter.as_ref().map(|adapter| {
        let revision = model.adapter_revision.as_ref().map(|revision| format!("@{revision}"));
        format!("+{adapter}{}", revision.unwrap_or_default())
    });
    ModelRef::new(own + &adapter.unwrap_or_default()).ok()
}

/// The model's, then its adapter's.
fn own(model: &ModelFacts) -> Vec<Option<HubLicence>> {
    let licence = |repository: &RepositoryFacts| {
        let licence = &repository.licence.as_ref()?.value;
        Some(HubLicence {
            id: licence.id.clone(),
            name: licence.name.clone(),
            link: licence.link.clone(),
        })
    };
    [&model.model].into_iter().chain(&model.adapter).map(licence).collect()
}

fn in_a_line(obligation: &Obligation) -> String {
    let Obligation { licence, models, text, source } = obligation;
    format!("{licence} ({}): {text} ({source})", models.join(", "))
}
