//! Mixtures of experts against transformers' Mixtral (`tests/reference/transformers/mixtral.py`) and by laws.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{
    CandleEvaluator, Documents, Evaluator, GateError, PlanError, Pool, Resources, Room, ScoringSet,
    SecondOpinion, Source, load_network, plan_merge, verify_export,
};
use merge_search::hub::Hub;
use merge_search::merge::{MergeError, MergePlan, Operation, PlannedTensor, merge_all};
use merge_search::model::{Batch, Network, NetworkSpec, Precision, Reading, Scratch, Sequence};
use merge_search::outcome::Outcome;
use merge_search::recipe::{GateMode, ModelRef, Prompts, Recipe, TokenExpert, TokenRouter};
use merge_search::submission::write_merged;
use merge_search::task::Task;
use merge_search::units::Split;
use serde::Deserialize;
use serde_json::Value;

use super::tiny::{borrowed, message, output};

#[derive(Deserialize)]
struct Reference {
    experts: Vec<String>,
    weights: BTreeMap<String, f64>,
    prompts: BTreeMap<String, Vec<String>>,
    cases: BTreeMap<String, Case>,
    texts: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Case {
    layers: Vec<usize>,
    mode: String,
    top: usize,
    temperature: f64,
    /// By layer, `[experts, hidden]` at temperature 1.
    gates: BTreeMap<usize, Vec<f32>>,
    /// Of each text's tokens but the first.
    next: Vec<Vec<f32>>,
    /// The whole distribution after the first text.
    last: Vec<f32>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn reference() -> Reference {
    let file = repository().join("tests/reference/transformers/mixtral.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn model(name: &str) -> ModelRef {
    let folder: PathBuf = repository().join("search-spaces/quickstart").join(name);
    ModelRef::new(folder.to_str().unwrap()).unwrap()
}

fn family() -> Vec<(ModelRef, Checkpoint)> {
    let names = ["base", "agreement", "arithmetic", "logic", "strings"];
    names.map(|name| (model(name), Checkpoint::open(Path::new(model(name).path())).unwrap())).into()
}

fn mean_of(weights: &BTreeMap<String, f64>) -> Recipe {
    let entry = |(name, weight): (&String, &f64)| {
        format!("  - {{model: {}, parameters: {{weight: {weight}}}}}\n", model(name).as_str())
    };
    let entries: String = weights.iter().map(entry).collect();
    let base = model("base");
    Recipe::from_yaml(&format!("merge_method: linear\nbase_model: {base}\nmodels:\n{entries}"))
        .unwrap()
}

fn mode(name: &str) -> GateMode {
    match name {
        "hidden_avg" => GateMode::HiddenAvg,
        "hidden_last" => GateMode::HiddenLast,
        "cheap_embed" => GateMode::CheapEmbed,
        other => panic!("{other}"),
    }
}

fn expert(name: &str, prompts: Prompts) -> TokenExpert {
    TokenExpert { source_model: model(name), positive_prompts: prompts }
}

fn texts(texts: &[&str]) -> Prompts {
    Prompts::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn router(layers: &[usize], experts: Vec<TokenExpert>, experts_per_token: usize) -> TokenRouter {
    let (gate_mode, temperature) = (GateMode::HiddenAvg, 1.0);
    TokenRouter { layers: layers.to_vec(), experts, gate_mode, experts_per_token, temperature }
}

fn routed(reference: &Reference, case: &Case) -> Recipe {
    let experts = reference.experts.iter();
    let experts = experts.map(|it| expert(it, Prompts::Texts(reference.prompts[it].clone())));
    let plain = router(&case.layers, experts.collect(), case.top);
    let (gate_mode, temperature) = (mode(&case.mode), case.temperature);
    let token_router = Some(TokenRouter { gate_mode, temperature, ..plain });
    Recipe { token_router, ..mean_of(&reference.weights) }
}

fn pool() -> Pool {
    Pool::new(2).unwrap()
}

fn network(plan: &MergePlan) -> Network {
    let has = |name: &str| plan.tensors().iter().any(|tensor| tensor.name == name);
    let spec = NetworkSpec::from_json(&plan.config().unwrap(), &has).unwrap();
    let network = Network::new(&spec, Precision::F32).unwrap();
    for tensor in merge_all(plan).unwrap() {
        assert!(network.write(&tensor.name, &tensor.values).unwrap(), "{}", tensor.name);
    }
    network
}

/// The whole distribution after each token of `tokens`.
fn distributions(network: &Network, tokens: &[u32]) -> Vec<Vec<f32>> {
    let tokens = [tokens, &[0]].concat();
    let sequence = Sequence { source: Vec::new(), scored: 1..tokens.len(), tokens };
    let batch = Batch::new(Reading::Causal, None, 0, &[&sequence]);
    network.distributions(&batch, &mut Scratch::new().unwrap()).unwrap()
}

fn assert_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= tolerance, "{what}: {got}, expected {expected}");
    }
}

fn assert_scores(network: &Network, reference: &Reference, case: &Case, what: &str) {
    for (number, (tokens, next)) in reference.texts.iter().zip(&case.next).enumerate() {
        let rows = distributions(network, tokens);
        let own: Vec<f32> =
            tokens[1..].iter().zip(&rows).map(|(token, row)| row[*token as usize]).collect();
        assert_close(&own, next, 1e-4, what);
        if number == 0 {
            assert_close(rows.last().unwrap(), &case.last, 1e-4, what);
        }
    }
}

fn gate<'p>(plan: &'p MergePlan, layer: usize) -> &'p [f32] {
    let name = format!("model.layers.{layer}.block_sparse_moe.gate.weight");
    match &planned(plan, &name).operation {
        Operation::Given(given) => given.values(),
        other => panic!("{other:?}"),
    }
}

fn planned<'p>(plan: &'p MergePlan, name: &str) -> &'p PlannedTensor {
    plan.tensors().iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn gates_and_log_probabilities_are_those_of_transformers() {
    let (reference, models) = (reference(), family());
    for (name, case) in &reference.cases {
        let recipe = routed(&reference, case);
        let plan = plan_merge(&recipe, &borrowed(&models), &[], &pool()).unwrap();
        for (layer, expected) in &case.gates {
            let own: Vec<f32> =
                gate(&plan, *layer).iter().map(|x| x * case.temperature as f32).collect();
            assert_close(&own, expected, 1e-5, &format!("{name}, gates of layer {layer}"));
        }
        assert_scores(&network(&plan), &reference, case, name);
    }
}

/// To see the folder in transformers: `mixtral.py --export DIR CASE`.
#[test]
fn an_export_is_read_back_with_the_same_numbers() {
    let (reference, models) = (reference(), family());
    let folder = tempfile::tempdir().unwrap();
    for (name, case) in &reference.cases {
        let recipe = routed(&reference, case);
        let plan = plan_merge(&recipe, &borrowed(&models), &[], &pool()).unwrap();
        let dir = folder.path().join(name);
        write_merged(&recipe, &plan, &output(&dir, 1 << 30)).unwrap();
        let checkpoint = Checkpoint::open(&dir).unwrap();
        let is_whole = case.layers.len() == 5;
        let family = if is_whole { "mixtral" } else { "merge_search_mixtral" };
        assert_eq!(checkpoint.config()["model_type"], Value::from(family));
        assert_eq!(checkpoint.architecture().family(), "mixtral");
        assert_scores(&load_network(&checkpoint, Precision::F32).unwrap(), &reference, case, name);
        let verification = verify_export(&dir).unwrap();
        assert_eq!(verification.by, SecondOpinion::Operations);
    }
}

#[test]
fn with_equal_experts_it_is_the_dense_model() {
    let models = family();
    let plain = mean_of(&BTreeMap::from([("base".to_owned(), 1.0)]));
    let prompts = ["1 + 2", "the cat", "if a"].map(|text| expert("base", texts(&[text])));
    let dense = network(&MergePlan::new(&plain, &borrowed(&models)).unwrap());
    for (layers, top) in [(vec![0, 1, 2, 3, 4], 2), (vec![2], 1), (vec![0, 4], 3)] {
        let token_router = Some(router(&layers, prompts.to_vec(), top));
        let recipe = Recipe { token_router, ..plain.clone() };
        let plan = plan_merge(&recipe, &borrowed(&models), &[], &pool()).unwrap();
        let tokens: Vec<u32> = (3..60).collect();
        let got = distributions(&network(&plan), &tokens).concat();
        assert_close(&got, &distributions(&dense, &tokens).concat(), 1e-5, &format!("{layers:?}"));
    }
}

#[test]
fn experts_follow_the_layers_of_a_depth_recipe() {
    let models = family();
    let base = model("base");
    let yaml = format!(
        "merge_method: passthrough\nslices:\n  - sources: [{{model: {base}, layer_range: [0, 3]}}]\n  \
         - sources: [{{model: {base}, layer_range: [1, 3], parameters: {{scale: [{{filter: down_proj, value: 0.5}}, \
         {{value: 1}}]}}}}]\n"
    );
    let experts = vec![expert("logic", texts(&["a"])), expert("strings", texts(&["b c"]))];
    let routed = |layers: &[usize]| Recipe {
        token_router: Some(router(layers, experts.clone(), 1)),
        ..Recipe::from_yaml(&yaml).unwrap()
    };
    let plan = plan_merge(&routed(&[1, 4]), &borrowed(&models), &[], &pool()).unwrap();
    let down = planned(&plan, "model.layers.4.block_sparse_moe.experts.1.w2.weight");
    assert_eq!(models[down.inputs[0].model].0, model("strings"));
    assert_eq!(down.inputs[0].tensor, "model.layers.2.mlp.down_proj.weight");
    assert_eq!(down.operation, Operation::Passthrough { scale: 0.5 });
    let up = planned(&plan, "model.layers.1.block_sparse_moe.experts.0.w3.weight");
    assert_eq!(up.inputs[0].tensor, "model.layers.1.mlp.up_proj.weight");
    assert_eq!(up.operation, Operation::Passthrough { scale: 1.0 });
    let config = plan.config().unwrap();
    assert_eq!(config["merge_search_dense_layers"], serde_json::json!([0, 2, 3]));
    // Output layers 1 and 3 are both the base's layer 1.
    let other = plan_merge(&routed(&[3]), &borrowed(&models), &[], &pool()).unwrap();
    assert_eq!(gate(&other, 3), gate(&plan, 1));
    assert_ne!(gate(&plan, 4), gate(&plan, 1));
    let error = plan_merge(&routed(&[5]), &borrowed(&models), &[], &pool()).unwrap_err();
    assert!(message(&error).contains("routes layer 5; the output has 5 layers"), "{error}");
}

#[test]
fn what_cannot_be_routed_is_refused() {
    let models = family();
    let plain = mean_of(&BTreeMap::from([("base".to_owned(), 1.0)]));
    let experts = vec![expert("logic", texts(&["a"])), expert("strings", texts(&["b"]))];
    let sound = router(&[0, 1, 2, 3, 4], experts, 2);
    let with =
        |token_router: TokenRouter| Recipe { token_router: Some(token_router), ..plain.clone() };
    let recipe = with(sound.clone());
    let no_gates = MergePlan::new(&recipe, &borrowed(&models));
    assert!(matches!(no_gates, Err(MergeError::NoGates)));
    let refused = |router: TokenRouter| {
        let recipe = with(router);
        message(&plan_merge(&recipe, &borrowed(&models), &[], &pool()).unwrap_err())
    };
    let says = |router: TokenRouter, parts: &[&str]| {
        let said = refused(router);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    };
    says(
        TokenRouter { experts_per_token: 3, ..sound.clone() },
        &["experts_per_token", "3", "1 to 2"],
    );
    says(TokenRouter { temperature: 0.0, ..sound.clone() }, &["temperature", "0", "above 0"]);
    says(TokenRouter { layers: vec![1, 1], ..sound.clone() }, &["layers", "[1, 1]", "ascending"]);
    let nameless = vec![expert("logic", texts(&[])), expert("logic", texts(&["a"]))];
    says(TokenRouter { experts: nameless, ..sound.clone() }, &["no prompts", "empty"]);
    let of_task =
        vec![expert("logic", Prompts::Task("sums".into())), expert("logic", texts(&["a"]))];
    says(TokenRouter { experts: of_task, ..sound.clone() }, &["`sums`"]);
    let plan = plan_merge(&recipe, &borrowed(&models), &[], &pool()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("mixtral");
    write_merged(&recipe, &plan, &output(&dir, 1 << 30)).unwrap();
    let mixtral = ModelRef::new(dir.to_str().unwrap()).unwrap();
    let mut more = models;
    more.push((mixtral.clone(), Checkpoint::open(&dir).unwrap()));
    let yaml =
        format!("merge_method: linear\nmodels: [{{model: {mixtral}, parameters: {{weight: 1}}}}]");
    let again = Recipe { token_router: recipe.token_router, ..Recipe::from_yaml(&yaml).unwrap() };
    let said = message(&plan_merge(&again, &borrowed(&more), &[], &pool()).unwrap_err());
    assert!(said.contains("(mixtral)") && said.contains("llama, mistral"), "{said}");
}

#[test]
fn a_search_scores_what_an_export_would() {
    let names = ["arithmetic", "logic"];
    let tasks = names.map(|it| Task::load(&repository().join("datasets").join(it)).unwrap());
    let hub =
        Hub { cache: PathBuf::new(), endpoint: None, token: None, offline: true, progress: false };
    let resources = Resources { memory: None, precision: Precision::F32 };
    let models = ["base", "arithmetic", "logic"].map(model);
    let shared = Arc::new(pool());
    let evaluator = CandleEvaluator::open(
        &models,
        &hub,
        &tasks,
        [Some(30); 3],
        &[],
        resources,
        Arc::clone(&shared),
    )
    .unwrap();
    let experts = names.map(|name| expert(name, Prompts::Task(name.to_owned()))).to_vec();
    let weights = ["base", "arithmetic", "logic"].map(|name| (name.to_owned(), 1.0));
    let plain = mean_of(&BTreeMap::from(weights));
    let resources = Resources { memory: None, precision: Precision::F32 };
    for (layers, top) in [(vec![0, 1, 2, 3, 4], 1), (vec![1, 2], 2)] {
        let token_router = Some(router(&layers, experts.clone(), top));
        let recipe = Recipe { token_router, ..plain.clone() };
        let outcome = evaluator.evaluate(&recipe, Split::Holdout, None).unwrap();
        let source = Source::Recipe(Box::new(recipe));
        let loaded = source.load(&hub, &resources, None, &shared, &tasks).unwrap();
        let room = Room { memory: resources.memory(), threads: 2 };
        let documents =
            Documents { tasks: &tasks, split: Some(Split::Holdout), limit: Some(30), docs: None };
        let set = ScoringSet::new(&documents, &loaded.tokenizer, &*loaded.network, room).unwrap();
        let answers = set.ask(&*loaded.network, &loaded.tokenizer, &shared, None).unwrap();
        let expected: Vec<_> = set.decide(&answers).unwrap().into_iter().flatten().collect();
        assert_eq!(outcome.evaluation().unwrap().tasks, expected);
    }
    let missing = vec![expert("logic", Prompts::Task("sums".into())); 2];
    let recipe = Recipe { token_router: Some(router(&[0], missing, 1)), ..plain };
    let outcome = evaluator.evaluate(&recipe, Split::Search, None).unwrap();
    assert!(matches!(&outcome, Outcome::Infeasible { reason } if reason.contains("sums")));
    let open: Vec<(ModelRef, Checkpoint)> = family();
    let unknown = plan_merge(&recipe, &borrowed(&open), &tasks, &shared);
    assert!(matches!(unknown, Err(PlanError::Gate(GateError::NoTask { .. }))));
}
