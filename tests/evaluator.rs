//! The evaluator's laws, on the quickstart family: threads, saved work and memory change no number.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merge_search::evaluate::{
    CandleEvaluator, EvaluateError, Evaluator, OpenError, Pool, Resources, Reuse, SetError, Workers,
};
use merge_search::hub::Hub;
use merge_search::model::Precision;
use merge_search::outcome::{DocSubset, Evaluation, ItemScore, TaskScore};
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::task::Task;
use merge_search::units::{Bytes, Split};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn model(name: &str) -> PathBuf {
    repository().join("search-spaces/quickstart").join(name)
}

fn open_with(
    models: &[PathBuf],
    threads: usize,
    memory: Option<Bytes>,
) -> Result<CandleEvaluator, Box<OpenError>> {
    let models: Vec<ModelRef> =
        models.iter().map(|folder| folder.to_str().unwrap().parse().unwrap()).collect();
    let tasks = ["arithmetic", "logic"]
        .map(|task| Task::load(&repository().join("datasets").join(task)).unwrap());
    let hub =
        Hub { cache: PathBuf::new(), endpoint: None, token: None, offline: true, progress: false };
    let resources = Resources { memory, precision: Precision::F32 };
    let pool = Arc::new(Pool::new(threads).unwrap());
    CandleEvaluator::open(&models, &hub, &tasks, [Some(60); 3], &[], resources, pool)
        .map_err(Box::new)
}

fn open(threads: usize) -> CandleEvaluator {
    open_with(&["base", "arithmetic", "logic"].map(model), threads, None).unwrap()
}

/// Task arithmetic whose first expert has these weights from the first layer to the last.
fn recipe(weights: [f64; 5]) -> Recipe {
    let [base, arithmetic, logic] = ["base", "arithmetic", "logic"].map(model);
    let yaml = format!(
        "merge_method: task_arithmetic\nbase_model: {}\nmodels:\n  - model: {}\n    parameters:\n      weight:\n        \
         - filter: model.layers\n          value: {weights:?}\n        - value: 0.5\n  - model: {}\n    parameters:\n      weight: 0.5\n",
        base.display(),
        arithmetic.display(),
        logic.display(),
    );
    Recipe::from_yaml(&yaml).unwrap()
}

fn evaluate(evaluator: &CandleEvaluator, recipe: &Recipe, split: Split) -> Evaluation {
    evaluate_part(evaluator, recipe, split, None)
}

fn evaluate_part(
    evaluator: &CandleEvaluator,
    recipe: &Recipe,
    split: Split,
    docs: Option<&DocSubset>,
) -> Evaluation {
    let outcome = evaluator.evaluate(recipe, split, docs).unwrap();
    outcome.evaluation().unwrap_or_else(|| panic!("{outcome:?}")).clone()
}

/// Chosen answers and margins, to the bit.
fn bits(evaluation: &Evaluation) -> Vec<(u32, u32)> {
    let bits = |item: &ItemScore| (item.chosen.unwrap(), item.margin.to_bits());
    evaluation.tasks.iter().flat_map(|task| task.items.iter().map(bits)).collect()
}

#[test]
fn the_number_of_threads_and_of_candidates_at_once_changes_no_bit() {
    let recipes =
        [[0.1, 0.2, 0.3, 0.4, 0.5], [0.4, 0.3, 0.2, 0.1, 0.5], [0.5; 5], [0.0; 5]].map(recipe);
    let one = open(1);
    let alone: Vec<_> = recipes.iter().map(|it| bits(&evaluate(&one, it, Split::Search))).collect();
    let three = open(3);
    let together =
        Workers::new(3).map(&recipes, |_, recipe| bits(&evaluate(&three, recipe, Split::Search)));
    assert_eq!(alone, together);
    assert!(alone[0] != alone[1]);
}

#[test]
fn candidates_with_equal_first_layers_share_their_work_and_no_bit_changes() {
    let recipes = [
        [0.1, 0.2, 0.3, 0.4, 0.5],
        [0.1, 0.2, 0.9, 0.4, 0.5],
        [0.1, 0.2, 0.3, 0.8, 0.5],
        [0.1, 0.2, 0.3, 0.6, 0.5],
        [0.1, 0.2, 0.6, 0.6, 0.5],
        [0.9, 0.2, 0.3, 0.4, 0.5],
    ]
    .map(recipe);
    let shared = open(2);
    for split in [Split::Search, Split::Selection] {
        for recipe in &recipes {
            let got = evaluate(&shared, recipe, split);
            let fresh = evaluate(&open(2), recipe, split);
            assert_eq!(bits(&got), bits(&fresh));
        }
    }
    assert!(shared.reused().layers > 0 && shared.reused().candidates == 0);
}

#[test]
fn candidates_that_differ_everywhere_keep_nothing() {
    let evaluator = open(1);
    for first in [0.1, 0.2, 0.3] {
        evaluate(&evaluator, &recipe([first, 0.5, 0.5, 0.5, 0.5]), Split::Search);
    }
    assert_eq!(evaluator.reused(), Reuse::default());
}

#[test]
fn a_candidate_that_was_scored_before_costs_nothing() {
    let evaluator = open(2);
    let first = evaluate(&evaluator, &recipe([0.3; 5]), Split::Search);
    let again = evaluate(&evaluator, &recipe([0.3; 5]), Split::Search);
    assert_eq!(first, again, "times included: nothing was measured anew");
    assert_eq!(evaluator.reused().candidates, 1);
    let other = evaluate(&evaluator, &recipe([0.3; 5]), Split::Selection);
    assert!(bits(&other) != bits(&first));
    assert_eq!(evaluator.reused().candidates, 1);
}

/// With the least memory that is not refused, to a sixteenth; and what is said to less.
fn tightest(models: &[PathBuf]) -> (CandleEvaluator, Box<OpenError>) {
    let open_in = |memory: u64| open_with(models, 2, Some(Bytes(memory)));
    let mut enough = 1 << 30;
    while open_in(enough / 2).is_ok() {
        enough /= 2;
    }
    let mut tight = open_in(enough).unwrap();
    loop {
        enough = enough * 15 / 16;
        match open_in(enough) {
            Ok(evaluator) => tight = evaluator,
            Err(refusal) => return (tight, refusal),
        }
    }
}

#[test]
fn less_memory_means_smaller_packs_and_the_same_bits() {
    let models = ["base", "arithmetic", "logic"].map(model);
    let enough = bits(&evaluate(&open(2), &recipe([0.3; 5]), Split::Search));
    let (tight, refusal) = tightest(&models);
    assert_eq!(tight.candidates_at_once(), 1);
    assert_eq!(bits(&evaluate(&tight, &recipe([0.3; 5]), Split::Search)), enough);
    match refusal.as_ref() {
        OpenError::Set(error @ SetError::Memory { .. }) => {
            let text = error.to_string();
            assert!(text.contains(".jsonl:") && text.contains("2 threads"), "{text}");
        }
        OpenError::Memory { .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn an_expert_whose_weights_mean_something_else_is_refused_by_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let expert = folder.path().join("expert");
    fs::create_dir(&expert).unwrap();
    for entry in fs::read_dir(model("logic")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), expert.join(entry.file_name())).unwrap();
    }
    let config = expert.join("config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    let refused = |json: &serde_json::Value| {
        fs::write(&config, json.to_string()).unwrap();
        let opened = open_with(&[model("base"), expert.clone()], 1, None);
        opened.err().map(|error| error.to_string())
    };
    // What tokens are called is the tokenizer's concern.
    json["bos_token_id"] = 3.into();
    json["max_position_embeddings"] = 4096.into();
    assert_eq!(refused(&json), None);
    json["rms_norm_eps"] = 1e-3.into();
    let error = refused(&json).unwrap();
    assert!(error.contains("`rms_norm_eps` is 0.001"), "{error}");
}

#[test]
fn a_merge_with_other_layers_is_scored_as_what_it_is() {
    let base = model("base");
    let slice = |from: usize, to: usize| {
        format!(
            "  - sources:\n      - model: {}\n        layer_range: [{from}, {to}]\n",
            base.display()
        )
    };
    let stack = |slices: &str| {
        Recipe::from_yaml(&format!("merge_method: passthrough\nslices:\n{slices}")).unwrap()
    };
    let evaluator = open(2);
    let whole = evaluate(&evaluator, &stack(&slice(0, 5)), Split::Search);
    let cut = evaluate(&evaluator, &stack(&(slice(0, 1) + &slice(2, 5))), Split::Search);
    let again = evaluate(&evaluator, &stack(&(slice(0, 2) + &slice(2, 5))), Split::Search);
    assert_eq!(bits(&whole), bits(&again));
    assert!(bits(&whole) != bits(&cut));
    assert!(cut.relative_time < whole.relative_time * 1.5);
}

/// The 60 documents of each of two tasks in three parts that have nothing to do with how they are packed.
fn thirds() -> [DocSubset; 3] {
    [0, 1, 2].map(|third| {
        let of_task =
            |task: u32| (0..60).filter(|doc| (doc * 7 + doc / 5 + task) % 3 == third).collect();
        DocSubset(vec![of_task(0), of_task(1)])
    })
}

#[test]
fn a_document_has_the_same_score_whichever_others_are_scored_with_it() {
    let evaluator = open(2);
    let recipe = recipe([0.1, 0.2, 0.3, 0.4, 0.5]);
    for split in [Split::Search, Split::Holdout] {
        let whole = evaluate(&open(1), &recipe, split);
        let one = DocSubset(vec![vec![17], vec![]]);
        let uneven = DocSubset(vec![vec![0, 3, 59], (20..50).collect()]);
        for part in thirds().iter().chain([&one, &uneven]) {
            let got = evaluate_part(&evaluator, &recipe, split, Some(part));
            for ((got, whole), docs) in got.tasks.iter().zip(&whole.tasks).zip(&part.0) {
                let expected: Vec<ItemScore> =
                    docs.iter().map(|&doc| whole.items[doc as usize]).collect();
                assert_eq!(format!("{:?}", got.items), format!("{expected:?}"), "{split}");
            }
        }
    }
}

#[test]
fn parts_joined_are_the_whole() {
    let evaluator = open(2);
    let recipe = recipe([0.9, 0.2, 0.3, 0.4, 0.5]);
    let [first, second, third] = thirds();
    let part = |docs| evaluate_part(&evaluator, &recipe, Split::Search, Some(docs));
    let two = part(&first).joined(&first, &part(&third), &third).unwrap();
    let of_two = DocSubset::whole(&[60, 60]).without(&second);
    let all = two.joined(&of_two, &part(&second), &second).unwrap();
    let whole = evaluate(&evaluator, &recipe, Split::Search);
    assert_eq!(bits(&all), bits(&whole));
    assert_eq!(all.items(), 120);
    for (all, whole) in all.tasks.iter().zip(&whole.tasks) {
        assert_eq!(all.items, whole.items);
        let names = |task: &TaskScore| {
            task.others.iter().map(|other| other.metric.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(all), names(whole));
        for (all, whole) in all.others.iter().zip(&whole.others) {
            assert!((all.score - whole.score).abs() < 1e-12, "{}", all.metric);
        }
    }
}

#[test]
fn what_is_remembered_of_one_part_is_not_given_for_another() {
    let evaluator = open(2);
    let [first, second, _] = thirds();
    // The second and third meet first layers that came up before, on each of the parts.
    let recipes = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.8, 0.5], [0.1, 0.2, 0.3, 0.6, 0.5]];
    for recipe in recipes.map(recipe) {
        let whole = evaluate(&open(1), &recipe, Split::Search);
        for docs in [&first, &second, &first] {
            let got = evaluate_part(&evaluator, &recipe, Split::Search, Some(docs));
            let expected = docs.0[1].iter().map(|&doc| whole.tasks[1].items[doc as usize]);
            assert_eq!(got.tasks[1].items, expected.collect::<Vec<_>>());
        }
    }
    assert_eq!(evaluator.reused().candidates, 3, "the first part again");
    assert!(evaluator.reused().layers > 0);
}

#[test]
fn a_part_that_is_the_whole_split_is_the_whole_split() {
    let evaluator = open(2);
    let whole = evaluate(&evaluator, &recipe([0.3; 5]), Split::Search);
    let all = DocSubset::whole(&evaluator.docs(Split::Search));
    let again = evaluate_part(&evaluator, &recipe([0.3; 5]), Split::Search, Some(&all));
    assert_eq!(whole, again, "times included");
}

#[test]
fn workers_that_ask_for_the_same_parts_at_once_get_the_same_bits() {
    let [first, second, third] = thirds();
    let recipes = [[0.1; 5], [0.2; 5], [0.4; 5]].map(recipe);
    let jobs: Vec<(&Recipe, &DocSubset)> = recipes
        .iter()
        .flat_map(|recipe| [&first, &second, &third].map(|docs| (recipe, docs)))
        .collect();
    let (one, three) = (open(1), open(3));
    let score = |evaluator: &CandleEvaluator, (recipe, docs): &(&Recipe, &DocSubset)| {
        bits(&evaluate_part(evaluator, recipe, Split::Search, Some(docs)))
    };
    let alone: Vec<_> = jobs.iter().map(|job| score(&one, job)).collect();
    assert_eq!(Workers::new(4).map(&jobs, |_, job| score(&three, job)), alone);
}

#[test]
fn documents_that_a_split_does_not_have_are_an_error() {
    let evaluator = open(1);
    for docs in
        [vec![vec![60], vec![]], vec![vec![0]], vec![vec![2, 1], vec![]], vec![vec![1, 1], vec![]]]
    {
        let error = evaluator.evaluate(&recipe([0.3; 5]), Split::Search, Some(&DocSubset(docs)));
        let error = error.unwrap_err();
        assert!(
            matches!(&error, EvaluateError::Set { split: Split::Search, source } if matches!(**source, SetError::NoSuchDocuments)),
            "{error}"
        );
    }
}

#[test]
fn parts_fit_where_the_whole_split_just_fits() {
    let models = ["base", "arithmetic", "logic"].map(model);
    let (tight, enough) = (tightest(&models).0, open(2));
    for docs in &thirds() {
        let part = |evaluator| {
            let scored = evaluate_part(evaluator, &recipe([0.3; 5]), Split::Search, Some(docs));
            (bits(&scored), scored.cost)
        };
        assert_eq!(part(&tight), part(&enough));
    }
}

/// The matrices of five layers and the tied embedding, packed in panels of 32 outputs (80 are 96, 176 are 192, 278 are 288),
/// four bytes each.
#[test]
fn the_counted_cost_depends_on_nothing_but_recipe_and_documents() {
    let (one, many) = (open(1), open(3));
    let first = evaluate(&one, &recipe([0.5; 5]), Split::Search).cost;
    assert!(first.flops_per_item > 0.0);
    // Another candidate's states are reused; the cost is as if they were not.
    let like = recipe([0.5, 0.5, 0.5, 0.5, 0.1]);
    assert_eq!(evaluate(&one, &like, Split::Search).cost, first);

    assert_eq!(evaluate(&many, &like, Split::Search).cost, first);
    let layer = 4 * 96 * 80 + 2 * 192 * 80 + 96 * 176;
    assert_eq!(first.weight_bytes, Bytes(4 * (5 * layer + 288 * 80)));
}

/// "Ann has 3 keys and buys 2 from Sam. Now Ann has" and one of 7, 3, 8, 5 with a full stop after it, which is not read: 13
/// tokens (by the family's tokenizer) once, four behind them. Four whole layers of 4 · 80² + 3 · 80 · 176 per token and 2 · 80 per
/// key; in the last one keys and values of all, the rest of the five tokens at which something is predicted, as in the head of
/// 278 · 80.
#[test]
fn the_work_of_a_document_is_counted_by_hand() {
    let docs = DocSubset(vec![vec![0], vec![]]);
    let scored = evaluate_part(&open(1), &recipe([0.5; 5]), Split::Search, Some(&docs));
    let n = 13;
    let keys = n * (n + 1) / 2 + 4 * (n + 1);
    let whole = 4 * ((n + 4) * (4 * 6400 + 3 * 80 * 176) + keys * 160);
    let last = (n + 4) * 2 * 6400 + 5 * (2 * 6400 + 3 * 80 * 176) + (n + 4 * (n + 1)) * 160;
    assert_eq!(scored.cost.flops_per_item, f64::from(2 * (whole + last + 5 * 278 * 80)));
}
