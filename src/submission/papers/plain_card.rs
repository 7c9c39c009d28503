//! The model card of a merged checkpoint.

use super::markdown::{block, counted};
use super::reproduce::last_part;
use super::{RunFacts, choice, documents, results};
use crate::recipe::{ModelRef, Recipe};
use crate::units::Split;

/// A README.md with the front matter that the hub reads: parents, the recipe, and, of a run's trial, its scores, how it was
/// chosen and what documents were read for it.
pub fn model_card(recipe: &Recipe, run: Option<&RunFacts>) -> String {
    let mut card =
        String::from("---\nlibrary_name: transformers\ntags:\n- merge\n- merge-search\n");
    card.push_str("base_model:\n");
    for model in recipe.models() {
        card.push_str(&format!("- {}\n", short(model)));
    }
    card.push_str("---\n\n# A merge found by merge-search\n\n");
    let models = recipe.models().len();
    card.push_str(&format!(
        "Merge method: `{}`, of {}:\n\n",
        recipe.merge_method,
        counted(models, "model")
    ));
    for model in recipe.models() {
        card.push_str(&format!("- `{}`\n", short(model)));
    }
    card.push_str(
        "\nThe licences of all parents apply to this model; check them before you publish it.\n",
    );
    card.extend(run.map(found));
    card.push_str(&format!(
        "\n## Recipe\n\n{}\n{}",
        readers(recipe),
        block("yaml", &recipe.renamed(&|model| shortened(model)).to_yaml())
    ));
    card
}

fn found(run: &RunFacts) -> String {
    let mut text = format!("\n## Scores\n\n{}\n", results::standings(run));
    let tasks = results::tasks(run, Split::Holdout, usize::MAX);
    text.extend(tasks.map(|tasks| tasks + "\n"));
    let (paired, choice) = (results::comparisons(run), choice::honesty(run));
    text + &format!("{paired}\n{choice}\n## Documents\n\n{}", documents::sources(run))
}

/// Who can read the recipe.
pub(super) fn readers(recipe: &Recipe) -> &'static str {
    let own = recipe.document_router.is_some()
        || recipe.token_router.is_some()
        || !recipe.prompts.is_empty();
    match own {
        true => {
            "Readable by merge-search (`mergekit_config.yml`). Do not merge it with mergekit, which leaves out routers and prompts without a word:\n"
        }
        false => "Readable by merge-search and by mergekit (`mergekit_config.yml`):\n",
    }
}

fn shortened(model: &ModelRef) -> ModelRef {
    ModelRef::new(short(model)).unwrap_or_else(|_| model.clone())
}

/// A hub id as it is; of a local folder only the last part, which says nothing about the author's disk.
fn short(model: &ModelRef) -> &str {
    let model = model.as_str();
    if model.starts_with(['/', '.']) { last_part(model) } else { model }
}
