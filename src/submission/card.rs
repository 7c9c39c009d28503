//! The model card: what was merged, how, and what it scored.

use crate::recipe::Recipe;

/// One line of the card's table.
#[derive(Debug, Clone, PartialEq)]
pub struct CardScore {
    /// Row name.
    pub name: String,
    /// Geometric mean ×100 on search, selection and holdout.
    pub geometric_means: [Option<f64>; 3],
}

/// A README.md with the front matter that the hub reads: parents, the recipe, the scores of the run.
pub fn model_card(recipe: &Recipe, tasks: &[String], scores: &[CardScore]) -> String {
    let mut card =
        String::from("---\nlibrary_name: transformers\ntags:\n- merge\n- merge-search\n");
    card.push_str("base_model:\n");
    for model in recipe.models() {
        card.push_str(&format!("- {}\n", short(model.as_str())));
    }
    card.push_str("---\n\n# A merge found by merge-search\n\n");
    card.push_str(&format!("Merge method: `{}`. Parents:\n\n", recipe.merge_method));
    for model in recipe.models() {
        card.push_str(&format!("- `{}`\n", short(model.as_str())));
    }
    card.push_str(
        "\nThe licences of all parents apply to this model; check them before you publish it.\n",
    );
    if !scores.is_empty() {
        card.push_str(&score_table(tasks, scores));
    }
    let own = recipe.document_router.is_some()
        || recipe.token_router.is_some()
        || !recipe.prompts.is_empty();
    card.push_str(match own {
        true => {
            "\n## Recipe\n\nReadable by merge-search (`mergekit_config.yml`). Do not merge it with mergekit, which leaves out routers and prompts \
             without a word:\n\n"
        }
        false => "\n## Recipe\n\nReadable by merge-search and by mergekit (`mergekit_config.yml`):\n\n",
    });
    card.push_str(&format!("```yaml\n{}```\n", recipe.to_yaml()));
    card
}

fn score_table(tasks: &[String], scores: &[CardScore]) -> String {
    let mut table = format!(
        "\n## Scores\n\nGeometric mean ×100 of the accuracies on {}. Only the holdout column was not used to choose.\n\n",
        tasks.join(", ")
    );
    table.push_str("| model | search | selection | holdout |\n|---|---|---|---|\n");
    for score in scores {
        let cells: Vec<String> = score
            .geometric_means
            .iter()
            .map(|mean| mean.map_or_else(|| "–".to_owned(), |mean| format!("{mean:.1}")))
            .collect();
        table.push_str(&format!("| {} | {} |\n", score.name, cells.join(" | ")));
    }
    table
}

/// A hub id as it is; of a local folder only the last part, which says nothing about the author's disk.
fn short(model: &str) -> &str {
    if model.starts_with(['/', '.']) {
        model.trim_end_matches('/').rsplit('/').next().unwrap_or(model)
    } else {
        model
    }
}
