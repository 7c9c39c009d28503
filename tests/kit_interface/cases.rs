//! What was exported and run.

use std::path::Path;
use std::sync::Arc;

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{CandleEvaluator, Pool, Resources, open_checkpoint, plan_merge};
use merge_search::merge::MergePlan;
use merge_search::model::Precision;
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::submission::competition::{
    ChoiceScorer, ClassDtype, ClassParts, ClassRouter, CompetitionError, Published, class_file,
};
use merge_search::task::{Loader, Task};
use serde_json::json;

use super::family;

/// A winner.
pub struct Case {
    pub name: &'static str,
    pub scorer: ChoiceScorer,
    recipe: &'static str,
}

/// `KIND` stands for a repository, `A` and `B` for its commits.
const LINEAR: &str = "merge_method: linear
models:
- {model: tiny/KIND@A, parameters: {weight: [{filter: layers.0, value: 0.7}, {value: 0.4}]}}
- {model: tiny/KIND@B, parameters: {weight: [{filter: layers.0, value: 0.3}, {value: 0.6}]}}
";
const ADAPTERS: &str = "merge_method: task_arithmetic
base_model: tiny/llama@A
models:
- {model: tiny/llama@A+tiny/llama-rank-4@A, parameters: {weight: 0.8}}
- {model: tiny/llama@A+tiny/llama-rank-2@A, parameters: {weight: 0.6}}
";
/// Of the ranks of the kit's own LlamaAvg.
const RANKS: &str = "merge_method: linear
models:
- {model: tiny/llama@A+tiny/llama-rank-16@A, parameters: {weight: 0.5}}
- {model: tiny/llama@A+tiny/llama-rank-8@A, parameters: {weight: 0.5}}
";
const ROUTED: &str = "merge_method: linear
base_model: tiny/llama@A
models:
- {model: tiny/llama@A, parameters: {weight: 0.8}}
- {model: tiny/llama@B, parameters: {weight: 0.2}}
document_router:
  gate: {features: FEATURES}
  routes: [1, 0]
  merges:
  - merge_method: linear
    base_model: tiny/llama@A
    models:
    - {model: tiny/llama@A, parameters: {weight: [{filter: layers.1, value: 0.1}, {value: 0.8}]}}
    - {model: tiny/llama@B, parameters: {weight: [{filter: layers.1, value: 0.9}, {value: 0.2}]}}
";
/// The merge that is read first has one layer, the other two.
const UNLIKE: &str = "merge_method: linear
base_model: tiny/llama@A
slices:
- sources:
  - {model: tiny/llama@A, layer_range: [1, 2], parameters: {weight: 0.6}}
  - {model: tiny/llama@B, layer_range: [1, 2], parameters: {weight: 0.4}}
document_router:
  gate: {features: FEATURES}
  routes: [1, 0]
  merges:
  - merge_method: linear
    base_model: tiny/llama@A
    models:
    - {model: tiny/llama@A, parameters: {weight: 0.6}}
    - {model: tiny/llama@B, parameters: {weight: 0.4}}
";
/// The winner of `merge-search search-spaces/quickstart-routed.toml --trials 200 --seed 0` by issue 7's build:
/// merges of five and three layers. Measured times steer such a search, so it does not come out again.
const FOUND: &str = include_str!("found.yaml");
/// The routed quickstart's, in its order.
const QUICKSTART_TASKS: [&str; 5] = ["arithmetic", "logic", "strings", "agreement", "mixed"];
const NGRAMS: &str = "{ngrams: {buckets: 64}}, kind: linear, classes: {tasks: 2}";
const HIDDEN: &str = "{hidden: {layer: 1, pool: mean}}, kind: centroid, classes: {clusters: 2}";
const SHAPE: &str = "shape, kind: linear, classes: {tasks: 2}";
const MIXTURE: &str = "merge_method: linear
base_model: tiny/llama@A
models:
- {model: tiny/llama@A, parameters: {weight: 0.5}}
- {model: tiny/llama@B, parameters: {weight: 0.5}}
token_router:
  layers: [1]
  gate_mode: hidden_avg
  experts_per_token: 1
  experts:
  - {source_model: tiny/llama@A, positive_prompts: [\"The baker carries bread.\", \"What is in the basket?\"]}
  - {source_model: tiny/llama@B, positive_prompts: [\"def f(x):\", \"10 or 11?\"]}
";

pub fn case(name: &'static str, scorer: ChoiceScorer, recipe: &'static str) -> Case {
    Case { name, scorer, recipe }
}

pub fn cases() -> Vec<Case> {
    use ChoiceScorer::{Acc, AccNorm, Kit, KitFixed};
    vec![
        case("llama_kit", Kit, LINEAR),
        case("llama_acc_norm", AccNorm, LINEAR),
        case("llama3_kit", Kit, LINEAR),
        case("llama3_acc", Acc, LINEAR),
        case("llama31_acc", Acc, LINEAR),
        case("mistral_kit", Kit, LINEAR),
        case("qwen2_kit_fixed", KitFixed, LINEAR),
        case("qwen2_acc", Acc, LINEAR),
        case("t5_kit", Kit, LINEAR),
        case("t5_acc_norm", AccNorm, LINEAR),
        case("bart_kit", Kit, LINEAR),
        case("bart_acc", Acc, LINEAR),
        case("adapters_acc", Acc, ADAPTERS),
        case("adapters_16_and_8_kit", Kit, RANKS),
        case("routed_ngrams_kit", Kit, ROUTED),
        case("routed_hidden_acc", Acc, ROUTED),
        case("routed_shape_acc", Acc, ROUTED),
        case("routed_unlike_acc", Acc, UNLIKE),
        case("routed_found_acc", Acc, FOUND),
        case("mixture_acc", Acc, MIXTURE),
    ]
}

/// The rows that everybody answers: choices, texts. Those that are too long for a model lose their beginning.
pub fn tasks(scorer: ChoiceScorer) -> Vec<Task> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kit_interface/rows.csv");
    let mut tasks = Loader { hub: None }.load(&file).unwrap().into_iter();
    let choices = tasks.next().unwrap().judged_by(scorer.as_str()).unwrap();
    let mut tasks: Vec<Task> = std::iter::once(choices).chain(tasks).collect();
    tasks.iter_mut().for_each(|task| task.cuts_prompts = true);
    tasks
}

impl Case {
    pub fn recipe(&self) -> Recipe {
        let (kind, rest) = self.name.split_once('_').unwrap();
        let features = match rest {
            "ngrams_kit" => NGRAMS,
            "hidden_acc" => HIDDEN,
            _ => SHAPE,
        };
        let text = self
            .recipe
            .replace("KIND", kind)
            .replace("{features: FEATURES}", &format!("{{features: {features}}}"));
        let text = text.replace("@A", &format!("@{}", family::FIRST));
        Recipe::from_yaml(&text.replace("@B", &format!("@{}", family::SECOND))).unwrap()
    }

    /// How many tensors the second merge has that are not the first one's.
    pub fn swapped(&self) -> usize {
        match self.name.strip_prefix("routed_") {
            None => 0,
            // The embedding, which is the head too, the last norm, and nine tensors in each of three layers.
            Some("found_acc") => 29,
            // One layer's.
            Some(_) => 9,
        }
    }

    /// What the model reads; of a T5 more than any row has.
    fn max_seq_len(&self) -> usize {
        match self.name {
            "routed_found_acc" => 128,
            name if name.starts_with("t5") => 4096,
            _ => 256,
        }
    }

    pub fn models(&self, home: &Path) -> Vec<(ModelRef, Checkpoint)> {
        let hub = family::hub(home);
        let recipe = self.recipe();
        let mut names: Vec<ModelRef> = recipe.models().into_iter().cloned().collect();
        names.dedup();
        let open = |name: ModelRef| (name.clone(), open_checkpoint(&name, &hub).unwrap());
        names.into_iter().map(open).collect()
    }

    /// The Python file, and what `look` sees of the plans.
    pub fn class<T>(&self, home: &Path, look: impl FnOnce(&[MergePlan]) -> T) -> (String, T) {
        let (class, seen) = self.try_class(home, look);
        (class.unwrap(), seen)
    }

    pub fn try_class<T>(
        &self,
        home: &Path,
        look: impl FnOnce(&[MergePlan]) -> T,
    ) -> (Result<String, CompetitionError>, T) {
        let (recipe, models) = (self.recipe(), self.models(home));
        let borrowed: Vec<(ModelRef, &Checkpoint)> =
            models.iter().map(|(name, model)| (name.clone(), model)).collect();
        let pool = Pool::new(1).unwrap();
        let merges = 0..=recipe.document_router.as_ref().map_or(0, |router| router.merges.len());
        let plans: Vec<MergePlan> = merges
            .map(|merge| plan_merge(&recipe.merge(merge).unwrap(), &borrowed, &[], &pool).unwrap())
            .collect();
        let parts = ClassParts {
            class: "TinyMerge".to_owned(),
            method: "tiny_merge".to_owned(),
            models: models.iter().map(|(name, _)| published(name)).collect(),
            merges: plans.iter().collect(),
            router: self.router(home, &recipe),
            scorer: self.scorer,
            dtype: ClassDtype::Float32,
            max_seq_len: self.max_seq_len(),
            max_gen_len: 64,
        };
        (class_file(&parts), look(&plans))
    }

    /// What the router's classes are.
    pub fn gate_tasks(&self) -> Vec<Task> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
        match self.name {
            "routed_found_acc" => QUICKSTART_TASKS
                .iter()
                .flat_map(|task| Loader { hub: None }.load(&folder.join(task)).unwrap())
                .collect(),
            _ => tasks(self.scorer),
        }
    }

    /// The base model is the first one.
    fn router(&self, home: &Path, recipe: &Recipe) -> Option<ClassRouter> {
        let router = recipe.document_router.as_ref()?;
        if self.name == "llama_apart" {
            // Fitting opens the models, which do not fit together.
            let gate = json!({"features": "shape", "kind": "linear", "terms": []});
            return Some(ClassRouter { gate, routes: router.routes.clone(), base: 0 });
        }
        let models: Vec<ModelRef> = recipe.models().into_iter().cloned().collect();
        let resources = Resources { memory: None, precision: Precision::F32 };
        let pool = Arc::new(Pool::new(1).unwrap());
        let tasks = self.gate_tasks();
        let hub = family::hub(home);
        let evaluator =
            CandleEvaluator::open(&models, &hub, &tasks, [None; 3], &[], resources, pool).unwrap();
        let gate = evaluator.gate(&router.gate).unwrap();
        let gate = serde_json::to_value(gate).unwrap();
        Some(ClassRouter { gate, routes: router.routes.clone(), base: 0 })
    }
}

fn published(name: &ModelRef) -> Published {
    let commit = |text: &str| {
        let (repository, revision) = text.split_once('@').unwrap();
        (repository.to_owned(), revision.to_owned())
    };
    Published {
        repository: name.path().to_owned(),
        revision: name.revision().unwrap().to_owned(),
        adapter: name.lora().map(commit),
    }
}
