//! Routers and prompts as they are typed, beside mergekit's keys, and what is checked of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::read::RawRecipe;
use super::{
    Classes, DocumentRouter, Features, Gate, GateMode, ModelRef, PromptChange, Prompts, Recipe,
    RecipeError, TokenExpert, TokenRouter,
};

/// Beside the recipe itself: with it, the most that a document can be sent to are four.
const MOST_MERGES: usize = 3;

/// Counts of n-grams are held for each document; more buckets than this would tell no more of prompts.
const MOST_BUCKETS: usize = 1 << 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocumentRouter {
    gate: Gate,
    routes: Vec<usize>,
    merges: Vec<RawRecipe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTokenRouter {
    layers: Vec<usize>,
    gate_mode: GateMode,
    experts_per_token: usize,
    #[serde(default = "one")]
    temperature: f64,
    experts: Vec<RawExpert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpert {
    source_model: ModelRef,
    positive_prompts: Option<Vec<String>>,
    positive_task: Option<String>,
}

fn one() -> f64 {
    1.0
}

fn wrong(key: &'static str, found: impl ToString, valid: impl Into<String>) -> RecipeError {
    RecipeError::Routing { key, found: found.to_string(), valid: valid.into() }
}

impl RawDocumentRouter {
    pub(super) fn check(self) -> Result<DocumentRouter, RecipeError> {
        let count = self.merges.len();
        if !(1..=MOST_MERGES).contains(&count) {
            let valid = format!("1 to {MOST_MERGES} recipes");
            return Err(wrong("document_router.merges", format!("{count} long"), valid));
        }
        let merges = self.merges.into_iter().map(|merge| plain(merge.check()?));
        let merges = merges.collect::<Result<_, _>>()?;
        check_gate(&self.gate)?;
        check_routes(&self.routes, self.gate.classes, count)?;
        Ok(DocumentRouter { gate: self.gate, routes: self.routes, merges })
    }
}

/// What the outer recipe says of documents and prompts holds for all of its merges.
fn plain(merge: Recipe) -> Result<Recipe, RecipeError> {
    let found = match (&merge.document_router, merge.prompts.is_empty()) {
        (None, true) => return Ok(merge),
        (Some(_), _) => "a recipe with `document_router`",
        (None, false) => "a recipe with `prompts`",
    };
    let valid =
        "recipes without `document_router` and `prompts`, which the outer recipe has for all";
    Err(wrong("document_router.merges", found, valid))
}

fn check_gate(gate: &Gate) -> Result<(), RecipeError> {
    if let Features::Ngrams { buckets } = gate.features
        && !(1..=MOST_BUCKETS).contains(&buckets)
    {
        let key = "document_router.gate.features.ngrams.buckets";
        return Err(wrong(key, buckets, format!("1 to {MOST_BUCKETS}")));
    }
    match gate.classes {
        Classes::Tasks(0) => Err(wrong("document_router.gate.classes.tasks", 0, "1 or more")),
        Classes::Clusters(count @ 0..=1) => {
            Err(wrong("document_router.gate.classes.clusters", count, "2 or more"))
        }
        Classes::Tasks(_) | Classes::Clusters(_) => Ok(()),
    }
}

fn check_routes(routes: &[usize], classes: Classes, merges: usize) -> Result<(), RecipeError> {
    let key = "document_router.routes";
    if routes.len() != classes.count() {
        let valid = format!("one route for each of the gate's {} classes", classes.count());
        return Err(wrong(key, format!("{} long", routes.len()), valid));
    }
    match routes.iter().find(|route| **route > merges) {
        None => Ok(()),
        Some(route) => {
            let valid = format!("0 (the recipe itself) to {merges} (the last of `merges`)");
            Err(wrong(key, route, valid))
        }
    }
}

impl RawTokenRouter {
    pub(super) fn check(self) -> Result<TokenRouter, RecipeError> {
        check_layers(&self.layers)?;
        let experts: Vec<TokenExpert> =
            self.experts.into_iter().map(RawExpert::check).collect::<Result<_, _>>()?;
        if experts.len() < 2 {
            let found = format!("{} long", experts.len());
            return Err(wrong("token_router.experts", found, "2 experts or more"));
        }
        if !(1..=experts.len()).contains(&self.experts_per_token) {
            let valid = format!("1 to {}, the number of experts", experts.len());
            return Err(wrong("token_router.experts_per_token", self.experts_per_token, valid));
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let valid = "a finite number greater than 0";
            return Err(wrong("token_router.temperature", self.temperature, valid));
        }
        Ok(TokenRouter {
            layers: self.layers,
            experts,
            gate_mode: self.gate_mode,
            experts_per_token: self.experts_per_token,
            temperature: self.temperature,
        })
    }
}

fn check_layers(layers: &[usize]) -> Result<(), RecipeError> {
    if layers.is_empty() {
        return Err(RecipeError::Empty { key: "token_router.layers" });
    }
    if layers.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(wrong("token_router.layers", format!("{layers:?}"), "layers in ascending order, each once"))
}

impl RawExpert {
    fn check(self) -> Result<TokenExpert, RecipeError> {
        let positive_prompts = match (self.positive_prompts, self.positive_task) {
            (Some(texts), None) if texts.is_empty() => {
                return Err(RecipeError::Empty { key: "token_router.experts.positive_prompts" });
            }
            (Some(texts), None) => Prompts::Texts(texts),
            (None, Some(task)) => Prompts::Task(task),
            (texts, _) => {
                let found = if texts.is_some() { "both" } else { "neither" };
                let found = format!("{found} for `{}`", self.source_model);
                let valid = "exactly one of `positive_prompts` and `positive_task`";
                return Err(wrong("token_router.experts", found, valid));
            }
        };
        Ok(TokenExpert { source_model: self.source_model, positive_prompts })
    }
}

/// An answer has a token at least.
pub(super) fn check_prompts(
    prompts: BTreeMap<String, PromptChange>,
) -> Result<BTreeMap<String, PromptChange>, RecipeError> {
    match prompts.iter().find(|(_, change)| change.max_gen_toks == Some(0)) {
        None => Ok(prompts),
        Some((task, _)) => {
            Err(wrong("prompts.max_gen_toks", format!("0 for task `{task}`"), "1 or more"))
        }
    }
}
