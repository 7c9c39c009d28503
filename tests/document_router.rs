//! Document routers in the evaluator, on the quickstart family.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use merge_search::evaluate::{
    CandleEvaluator, Documents, EvaluateError, Evaluator, Pool, Resources, ScoringSet, Source,
    Workers,
};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::outcome::{DocSubset, Evaluation, ItemScore, Outcome};
use merge_search::recipe::{
    Classes, DocumentRouter, Features, Gate, GateKind, ModelRef, Pooling, Recipe,
};
use merge_search::task::Task;
use merge_search::units::Split;

const EXPERTS: [&str; 4] = ["arithmetic", "logic", "strings", "agreement"];
const NGRAMS: Gate = Gate {
    features: Features::Ngrams { buckets: 256 },
    kind: GateKind::Linear,
    classes: Classes::Tasks(2),
};
const HIDDEN: Gate = Gate {
    features: Features::Hidden { layer: 2, pool: Pooling::Mean },
    kind: GateKind::Centroid,
    classes: Classes::Clusters(3),
};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn model(name: &str) -> PathBuf {
    repository().join("search-spaces/quickstart").join(name)
}

fn open(tasks: &[&str], docs: usize, threads: usize) -> CandleEvaluator {
    let models: Vec<ModelRef> = ["base"]
        .iter()
        .chain(&EXPERTS)
        .map(|name| model(name).to_str().unwrap().parse().unwrap())
        .collect();
    let load = |task: &&str| Task::load(&repository().join("datasets").join(task)).unwrap();
    let tasks: Vec<Task> = tasks.iter().map(load).collect();
    let resources = Resources { memory: None, precision: Precision::F32 };
    let pool = Arc::new(Pool::new(threads).unwrap());
    CandleEvaluator::open(&models, &hub(), &tasks, [Some(docs); 3], &[], resources, pool).unwrap()
}

fn hub() -> Hub {
    Hub { cache: PathBuf::new(), endpoint: None, token: None, offline: true, progress: false }
}

fn two_tasks(threads: usize) -> CandleEvaluator {
    open(&["arithmetic", "logic"], 40, threads)
}

/// Task arithmetic of the two experts; the first one's weight in each of the five layers, and everywhere else.
fn merge(layers: [f64; 5], rest: f64) -> Recipe {
    let [base, arithmetic, logic] = ["base", "arithmetic", "logic"].map(model);
    let yaml = format!(
        "merge_method: task_arithmetic\nbase_model: {}\nmodels:\n  - model: {}\n    parameters:\n      weight:\n        \
         - filter: model.layers\n          value: {layers:?}\n        - value: {rest}\n  - model: {}\n    parameters:\n      weight: 0\n",
        base.display(),
        arithmetic.display(),
        logic.display(),
    );
    Recipe::from_yaml(&yaml).unwrap()
}

fn plain(name: &str) -> Recipe {
    let yaml =
        format!("merge_method: passthrough\nmodels:\n  - model: {}\n", model(name).display());
    Recipe::from_yaml(&yaml).unwrap()
}

fn routed(first: &Recipe, others: &[&Recipe], gate: Gate, routes: &[usize]) -> Recipe {
    let merges = others.iter().map(|merge| (*merge).clone()).collect();
    let router = DocumentRouter { gate, routes: routes.to_vec(), merges };
    Recipe { document_router: Some(router), ..first.clone() }
}

fn evaluate(evaluator: &CandleEvaluator, recipe: &Recipe, docs: Option<&DocSubset>) -> Evaluation {
    match evaluator.evaluate(recipe, Split::Selection, docs).unwrap() {
        Outcome::Feasible(evaluation) => evaluation,
        Outcome::Infeasible { reason } => panic!("{reason}"),
    }
}

fn items(evaluation: &Evaluation) -> Vec<Vec<ItemScore>> {
    evaluation.tasks.iter().map(|task| task.items.clone()).collect()
}

#[test]
fn a_router_with_one_merge_is_the_plain_merge() {
    let evaluator = two_tasks(2);
    let (a, b) = (merge([0.5; 5], 0.5), merge([0.1, 0.2, 0.3, 0.4, 0.5], 0.9));
    let plain = evaluate(&two_tasks(1), &b, None);
    for router in [
        routed(&a, &[&b], NGRAMS, &[1, 1]),
        routed(&b, &[&a], NGRAMS, &[0, 0]),
        routed(&b, &[&b, &a], HIDDEN, &[0, 1, 1]),
    ] {
        assert_eq!(evaluate(&evaluator, &router, None).tasks, plain.tasks);
    }
    // The same weights from recipes that differ, so that the documents do go apart.
    let same = Recipe { mask_seed: 7, ..b.clone() };
    for gate in [NGRAMS, Gate { classes: Classes::Tasks(2), ..HIDDEN }] {
        let apart = evaluate(&evaluator, &routed(&b, &[&same], gate, &[0, 1]), None);
        assert_eq!(items(&apart), items(&plain));
    }
}

#[test]
fn every_document_has_the_score_of_the_merge_of_its_class() {
    let evaluator = two_tasks(3);
    let merges = [merge([0.5; 5], 0.5), plain("logic"), plain("arithmetic")];
    let whole: Vec<_> = merges.iter().map(|it| items(&evaluate(&evaluator, it, None))).collect();
    for (gate, routes) in [(NGRAMS, vec![2, 1]), (HIDDEN, vec![1, 2, 0])] {
        let classes = evaluator.classes(&gate, Split::Selection).unwrap();
        let recipe = routed(&merges[0], &[&merges[1], &merges[2]], gate, &routes);
        let expected: Vec<Vec<ItemScore>> = classes
            .iter()
            .enumerate()
            .map(|(task, classes)| {
                let of = |(doc, class): (usize, &usize)| whole[routes[*class]][task][doc];
                classes.iter().enumerate().map(of).collect()
            })
            .collect();
        assert_eq!(items(&evaluate(&evaluator, &recipe, None)), expected);
        assert!((0..3).all(|merge| whole[merge] != expected), "more than one merge is needed");
        // Some documents, one task without any.
        let docs = DocSubset(vec![vec![3, 4, 17, 39], vec![]]);
        let some = vec![[3, 4, 17, 39].map(|doc: usize| expected[0][doc]).to_vec(), vec![]];
        assert_eq!(items(&evaluate(&evaluator, &recipe, Some(&docs))), some);
        let none = DocSubset(vec![vec![], vec![]]);
        assert_eq!(items(&evaluate(&evaluator, &recipe, Some(&none))), [vec![], vec![]]);
    }
}

#[test]
fn threads_and_candidates_side_by_side_change_no_bit() {
    let (a, b) = (merge([0.5; 5], 0.5), merge([0.1, 0.2, 0.3, 0.4, 0.5], 0.9));
    let recipes = [
        routed(&a, &[&b], HIDDEN, &[0, 1, 0]),
        routed(&b, &[&a], NGRAMS, &[0, 1]),
        routed(&a, &[&b], NGRAMS, &[0, 1]),
    ];
    let (one, three) = (two_tasks(1), two_tasks(3));
    assert_eq!(one.gate(&HIDDEN).unwrap(), three.gate(&HIDDEN).unwrap());
    let alone: Vec<_> = recipes.iter().map(|it| items(&evaluate(&one, it, None))).collect();
    let together = Workers::new(3).map(&recipes, |_, it| items(&evaluate(&three, it, None)));
    assert_eq!(alone, together);
}

#[test]
fn gates_send_the_documents_of_unlike_tasks_apart() {
    let evaluator = two_tasks(2);
    for features in [NGRAMS.features, HIDDEN.features] {
        for kind in [GateKind::Centroid, GateKind::Linear] {
            let gate = Gate { features, kind, classes: Classes::Tasks(2) };
            let classes = evaluator.classes(&gate, Split::Holdout).unwrap();
            assert_eq!(classes, [vec![0; 40], vec![1; 40]], "{gate:?}");
        }
    }
}

/// Weights that differ in the last layer only are in memory once but for that layer.
#[test]
fn memory_is_one_merge_and_the_differences() {
    let evaluator = two_tasks(2);
    let (a, b) = (merge([0.5; 5], 0.5), merge([0.5, 0.5, 0.5, 0.5, 0.75], 0.5));
    let matrices = |parts: &[&str]| -> f64 {
        let base = evaluator.checkpoints().next().unwrap();
        let wanted = |name: &str| parts.iter().any(|part| name.contains(part));
        let own = base.tensors().filter(|(name, own)| wanted(name) && own.shape.len() == 2);
        own.map(|(_, own)| own.shape.iter().product::<usize>() as f64).sum()
    };
    let docs = DocSubset(vec![vec![0, 1], vec![0, 1]]);
    let of = |recipe: &Recipe| evaluate(&evaluator, recipe, Some(&docs)).cost.weight_bytes.0 as f64;
    let one = of(&a);
    let expected = |more: &[&str]| (one * (1.0 + matrices(more) / matrices(&["."]))).round();
    assert_eq!(of(&routed(&a, &[&b], NGRAMS, &[0, 1])), expected(&["layers.4."]));
    // The base model's embedding and first two layers, for the hidden states.
    let hidden = Gate { classes: Classes::Tasks(2), ..HIDDEN };
    let more = ["layers.4.", "embed", "layers.0.", "layers.1."];
    assert_eq!(of(&routed(&a, &[&b], hidden, &[0, 1])), expected(&more));
    // Weights of 0 leave the base as it is.
    let (c, d) = (merge([0.0, 0.0, 0.0, 0.5, 0.5], 0.0), merge([0.0; 5], 0.0));
    assert_eq!(of(&routed(&c, &[&d], hidden, &[0, 1])), expected(&["layers.3.", "layers.4."]));
}

#[test]
fn hidden_states_cost_a_prefill() {
    let evaluator = two_tasks(2);
    let docs = DocSubset(vec![vec![0, 1, 2], vec![0, 1, 2]]);
    let flops = |recipe: &Recipe| evaluate(&evaluator, recipe, Some(&docs)).cost.flops_per_item;
    let hidden = Gate { classes: Classes::Tasks(2), ..HIDDEN };
    let (a, b) = (merge([0.5; 5], 0.5), merge([0.25; 5], 0.5));
    let (free, prefilled) =
        (flops(&routed(&a, &[&b], NGRAMS, &[0, 1])), flops(&routed(&a, &[&b], hidden, &[0, 1])));
    // Two of five layers over the prompts: no more than two fifths of everything, and not nothing.
    assert!(prefilled > 1.05 * free && prefilled < 1.4 * free, "{prefilled} {free}");
    // Nobody goes on from the gate's states, also where a merge begins as the base model does.
    let (c, d) = (merge([0.0, 0.0, 0.0, 0.5, 0.5], 0.0), merge([0.0, 0.0, 0.9, 0.5, 0.5], 0.0));
    assert_eq!(flops(&routed(&c, &[&d], hidden, &[0, 1])), prefilled);
}

/// As `merge-search eval` scores it: all merges in memory.
#[test]
fn a_routed_model_outside_a_search_gives_the_same_scores() {
    let evaluator = two_tasks(2);
    let tasks = ["arithmetic", "logic"]
        .map(|task| Task::load(&repository().join("datasets").join(task)).unwrap());
    let pool = Pool::new(2).unwrap();
    let resources = Resources { memory: None, precision: Precision::F32 };
    let (a, b) = (merge([0.5; 5], 0.5), merge([0.5, 0.5, 0.5, 0.5, 0.75], 0.5));
    for (gate, routes) in [(NGRAMS, vec![1, 0]), (HIDDEN, vec![1, 0, 1])] {
        let recipe = routed(&a, &[&b], gate, &routes);
        let model = Source::Recipe(Box::new(recipe.clone()));
        let model = model.load(&hub(), &resources, None, &pool, &[]).unwrap();
        let documents =
            Documents { tasks: &tasks, split: Some(Split::Selection), limit: Some(40), docs: None };
        let room = model.room(&resources, 2);
        let set = ScoringSet::new(&documents, &model.tokenizer, &*model.network, room).unwrap();
        let answers = model.ask(&set, &documents, &documents, room, &pool, None).unwrap();
        let scores: Vec<_> = set.decide(&answers).unwrap().into_iter().flatten().collect();
        let scored: Vec<_> = scores.iter().map(|task| task.items.clone()).collect();
        assert_eq!(scored, items(&evaluate(&evaluator, &recipe, None)));
    }
}

fn reason(evaluator: &CandleEvaluator, recipe: &Recipe) -> String {
    match evaluator.evaluate(recipe, Split::Search, None).unwrap() {
        Outcome::Infeasible { reason } => reason,
        Outcome::Feasible(_) => panic!("it was scored"),
    }
}

#[test]
fn what_cannot_be_routed_is_infeasible_and_says_why() {
    let evaluator = two_tasks(1);
    let (a, b) = (merge([0.5; 5], 0.5), plain("logic"));
    let gate = |features| Gate { features, ..NGRAMS };
    let said = |gate, routes: &[usize]| reason(&evaluator, &routed(&a, &[&b], gate, routes));
    assert!(said(NGRAMS, &[0]).contains("1 routes for 2 classes"));
    assert!(said(NGRAMS, &[0, 2]).contains("merge 2, and there are merges 0 to 1"));
    let three = Gate { classes: Classes::Tasks(3), ..NGRAMS };
    assert!(said(three, &[0, 1, 1]).contains("3 tasks apart, and 2 are scored"));
    assert!(said(gate(Features::Ngrams { buckets: 0 }), &[0, 1]).contains("at least 1 bucket"));
    let deep = Features::Hidden { layer: 6, pool: Pooling::Last };
    assert!(said(gate(deep), &[0, 1]).contains("layer 6 of a base model with 5"));
    let nested = routed(&b, &[&a], NGRAMS, &[0, 1]);
    assert!(
        reason(&evaluator, &routed(&a, &[&nested], NGRAMS, &[0, 1]))
            .contains("merge 1 has a document router")
    );
    let stranger =
        Recipe::from_yaml("merge_method: passthrough\nmodels:\n  - model: nobody/knows\n").unwrap();
    assert!(
        reason(&evaluator, &routed(&a, &[&stranger], NGRAMS, &[0, 1])).contains("nobody/knows")
    );
}

#[test]
fn documents_that_are_not_there_are_an_error() {
    let evaluator = two_tasks(1);
    let recipe = routed(&plain("base"), &[&plain("logic")], NGRAMS, &[0, 1]);
    let docs = DocSubset(vec![vec![40], vec![]]);
    let error = evaluator.evaluate(&recipe, Split::Selection, Some(&docs)).unwrap_err();
    assert!(matches!(error, EvaluateError::Set { .. }), "{error}");
}

/// A routed model takes no more than 1.1 times the plain merge's time, and a gate on hidden states its prefill besides, for
/// which the base model's first layers over whole documents stand: an upper bound. Its memory is one merge and the
/// differences: here one layer of five.
///
/// `cargo test --release what_a_routed_candidate_costs -- --ignored --nocapture`
#[test]
#[ignore = "half a minute; cargo test --release what_a_routed_candidate_costs -- --ignored --nocapture"]
fn what_a_routed_candidate_costs() {
    let names = ["arithmetic", "logic", "strings", "agreement", "mixed"];
    let evaluator = open(&names, 250, 1);
    let of_tasks = |gate| Gate { classes: Classes::Tasks(5), ..gate };
    let (a, b) = (merge([0.3; 5], 0.3), merge([0.3, 0.3, 0.3, 0.3, 0.4], 0.3));
    let with = |gate| routed(&a, &[&b], of_tasks(gate), &[0, 1, 0, 1, 0]);
    let (ngrams, hidden) = (with(NGRAMS), with(HIDDEN));
    let Features::Hidden { layer, .. } = HIDDEN.features else { panic!("hidden states") };
    let prefill = crate::timing::first_layers(layer);
    let recipes = [&a, &ngrams, &hidden, &prefill];
    let timings = evaluator.times(&recipes, Split::Search, 25).unwrap();
    let [plain, ngrams, hidden, prefill] = [0, 1, 2, 3].map(|it| timings[it].unwrap());
    for (name, timing) in
        [("plain", plain), ("ngrams", ngrams), ("hidden", hidden), ("prefill", prefill)]
    {
        let time = timing.relative_time;
        let bytes = timing.resident_bytes.0;
        println!("{name}: {:.3} [{:.3}, {:.3}], {bytes} bytes", time.value, time.low, time.high);
    }
    let limit = 1.1 * plain.relative_time.value;
    assert!(ngrams.relative_time.value <= limit);
    assert!(hidden.relative_time.value <= limit + prefill.relative_time.value);
    let ratio = ngrams.resident_bytes.0 as f64 / plain.resident_bytes.0 as f64;
    assert!(ratio < 1.35, "one layer of five more: {ratio}");
}

/// Not a law but a measurement: `cargo test --release document_router -- --ignored --nocapture`.
#[test]
#[ignore = "prints a table; cargo test --release how_often_gates_know_the_task -- --ignored --nocapture"]
fn how_often_gates_know_the_task() {
    let names = ["arithmetic", "logic", "strings", "agreement", "mixed"];
    let evaluator = open(&names, 250, 2);
    let hidden = [0, 1, 2, 3]
        .map(|layer| [Pooling::Mean, Pooling::Last].map(|pool| Features::Hidden { layer, pool }));
    let ngrams = [32, 128, 512].map(|buckets| Features::Ngrams { buckets });
    for features in [Features::Shape].into_iter().chain(ngrams).chain(hidden.concat()) {
        for kind in [GateKind::Centroid, GateKind::Linear] {
            let classes = Classes::Tasks(5);
            let classes =
                evaluator.classes(&Gate { features, kind, classes }, Split::Holdout).unwrap();
            let right = |(task, classes): (usize, &Vec<usize>)| {
                classes.iter().filter(|class| **class == task).count() as f64 / classes.len() as f64
            };
            let shares: Vec<f64> = classes.iter().enumerate().map(right).collect();
            println!("{features:?} {kind:?}: {shares:.3?}");
        }
    }
}
