//! Tests of two or more models on the same documents, against statsmodels, scipy, hand calculation and simulation.
//! `tests/reference/optimizers/paired_tests.py` wrote the numbers.

use merge_search::objective::{
    Aggregate, Draws, McNemar, Tail, against_each, all_pairs, holm, indistinguishable, mcnemar,
    paired_difference, sign_flip,
};
use merge_search::outcome::{Evaluation, ItemScore, TaskScore};
use merge_search::units::{Bytes, Seconds, Seed};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/optimizers/paired_tests.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn task(index: usize, scores: &[f64]) -> TaskScore {
    let item = |&score: &f64| ItemScore { score, chosen: None, margin: 0.0 };
    let items = scores.iter().map(item).collect();
    TaskScore { task: format!("t{index}"), items, others: Vec::new() }
}

fn tasks(scores: &[Vec<f64>]) -> Vec<TaskScore> {
    scores.iter().enumerate().map(|(index, scores)| task(index, scores)).collect()
}

fn evaluation(tasks: Vec<TaskScore>) -> Evaluation {
    Evaluation {
        tasks,
        merge_seconds: Seconds(0.0),
        score_seconds: Seconds(0.0),
        seconds_per_item: Seconds(0.0),
        relative_time: 1.0,
        peak_bytes: Bytes(0),
        cost: merge_search::outcome::Cost::default(),
    }
}

/// `tasks` tasks of documents that are right with this chance.
fn drawn(chance: f64, tasks: usize, documents: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let document = |_| f64::from(u8::from(rng.random_bool(chance)));
    let all: Vec<f64> = (0..tasks * documents).map(document).collect();
    all.chunks(documents).map(<[f64]>::to_vec).collect()
}

#[test]
fn mcnemar_is_statsmodels() {
    for case in reference()["mcnemar"].as_array().unwrap() {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        let p = mcnemar(count("only_first"), count("only_second"));
        let expected = case["p"].as_f64().unwrap();
        assert!((p / expected - 1.0).abs() < 1e-9, "{case}: {p}");
        assert_eq!(p, mcnemar(count("only_second"), count("only_first")));
    }
}

#[test]
fn mcnemar_counts_what_one_alone_got_right() {
    let (first, second) =
        (task(0, &[1.0, 1.0, 0.0, 0.0, 1.0]), task(0, &[0.0, 1.0, 1.0, 0.0, 0.0]));
    let test = McNemar::of(&first, &second).unwrap();
    assert_eq!((test.only_first, test.only_second, test.p_value), (2, 1, 1.0));
    assert_eq!(McNemar::of(&first, &task(0, &[0.5; 5])), None);
    assert_eq!(McNemar::of(&first, &task(0, &[1.0; 4])), None);
}

#[test]
fn holm_is_statsmodels() {
    for case in reference()["holm"].as_array().unwrap() {
        let adjusted = holm(&numbers(&case["p"]));
        for (ours, theirs) in adjusted.iter().zip(numbers(&case["adjusted"])) {
            assert!((ours - theirs).abs() < 1e-12, "{case}: {adjusted:?}");
        }
    }
}

/// scipy enumerates every swap; 40,000 drawn ones have a standard error of at most 0.0025.
#[test]
fn sign_flips_are_scipys() {
    for case in reference()["sign_flip"].as_array().unwrap() {
        let side = |key: &str| {
            tasks(&case[key].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>())
        };
        let (first, second) = (side("first"), side("second"));
        let aggregate = Aggregate::geometric_mean(2);
        for (tail, key) in [(Tail::Greater, "greater"), (Tail::TwoSided, "two-sided")] {
            let expected = case[key].as_f64().unwrap();
            let p = |draws| sign_flip(&aggregate, &first, &second, tail, Seed(5), draws).unwrap();
            let all = p(Draws::all(40_000));
            assert!((all - expected).abs() < 0.008, "{key} {expected}: {all}");
            // Stopped at 400 extreme draws: a relative standard error of 5 %.
            let early = p(Draws { most: 40_000, enough: 400 });
            assert!((early / expected - 1.0).abs() < 0.2, "{key} {expected}: {early}");
        }
        let (first, second) = (evaluation(first), evaluation(second));
        let paired = paired_difference(&aggregate, &first, &second, Seed(5), 2000).unwrap();
        assert!((paired.difference - case["difference"].as_f64().unwrap()).abs() < 1e-12);
    }
}

/// Two equally good models: at every level `p`, the p-value is below it in at most `p` of the cases, stopped early or not.
#[test]
fn p_values_are_valid() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let aggregate = Aggregate::geometric_mean(3);
    let p_values: Vec<[f64; 2]> = (0..1000)
        .map(|_| {
            let [a, b] = [(); 2].map(|()| tasks(&drawn(0.4, 3, 50, &mut rng)));
            let seed = Seed(rng.random());
            [Draws::all(400), Draws { most: 400, enough: 10 }]
                .map(|draws| sign_flip(&aggregate, &a, &b, Tail::Greater, seed, draws).unwrap())
        })
        .collect();
    for level in [0.02, 0.05, 0.2, 0.5] {
        for way in 0..2 {
            let below = p_values.iter().filter(|p| p[way] <= level).count() as f64 / 1000.0;
            let noise = 3.0 * (level * (1.0 - level) / 1000.0f64).sqrt();
            assert!(below <= level + noise && below >= level - noise - 0.02, "{level} {below}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Holm: never below the p-value, never above Bonferroni's, in the p-values' order.
    #[test]
    fn holm_lies_between(p_values in prop::collection::vec(0.0..=1.0f64, 1..12)) {
        let adjusted = holm(&p_values);
        for (p, a) in p_values.iter().zip(&adjusted) {
            prop_assert!(a >= p && *a <= (p * p_values.len() as f64).min(1.0) + 1e-12);
            for (q, b) in p_values.iter().zip(&adjusted) {
                prop_assert!(p > q || a <= b);
            }
        }
    }

    /// Whatever the scores: a p-value above 0 and up to 1, and both tails of a difference together are at least 1.
    #[test]
    fn any_scores_have_p_values(
        scores in prop::collection::vec(prop::collection::vec((0.0..=1.0f64, 0u8..3), 0..30), 0..4),
    ) {
        let first: Vec<Vec<f64>> =
            scores.iter().map(|task| task.iter().map(|pair| pair.0.round()).collect()).collect();
        let second: Vec<Vec<f64>> = (scores.iter())
            .map(|task| task.iter().map(|pair| f64::from(pair.1) / 2.0).collect())
            .collect();
        let aggregate = Aggregate::geometric_mean(scores.len());
        let (first, second) = (tasks(&first), tasks(&second));
        let p = |a: &[TaskScore], b: &[TaskScore], tail| {
            sign_flip(&aggregate, a, b, tail, Seed(2), Draws::all(50)).unwrap()
        };
        let [greater, less] = [p(&first, &second, Tail::Greater), p(&second, &first, Tail::Greater)];
        prop_assert!(greater > 0.0 && greater <= 1.0 && less > 0.0 && less <= 1.0);
        prop_assert!(p(&first, &first, Tail::TwoSided) == 1.0);
    }
}

/// Of three models the first two answer alike, and the third is far worse.
#[test]
fn all_pairs_tell_apart_what_differs() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let good = tasks(&drawn(0.8, 2, 100, &mut rng));
    let bad = tasks(&drawn(0.2, 2, 100, &mut rng));
    let aggregate = Aggregate::geometric_mean(2);
    let tests = all_pairs(&aggregate, &[&good, &good, &bad], Seed(1)).unwrap();
    let adjusted: Vec<((usize, usize), bool)> =
        tests.iter().map(|test| ((test.first, test.second), test.adjusted <= 0.05)).collect();
    assert_eq!(adjusted, [((0, 1), false), ((0, 2), true), ((1, 2), true)]);
    assert_eq!(tests[0].p_value, 1.0);
    let models: [(u64, &[TaskScore]); 3] = [(9, &good), (4, &good), (6, &bad)];
    let of = |winner| indistinguishable(&aggregate, &models, winner, Seed(1)).unwrap();
    assert_eq!((of(9), of(4), of(6)), (1, 1, 0));
}

/// p-values of 0.001 or so and 1 among two comparisons: the small one is doubled, the other stays 1. What was measured on
/// other documents is not compared.
#[test]
fn comparisons_are_adjusted_together() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let [ours, bad] = [0.8, 0.2].map(|chance| evaluation(tasks(&drawn(chance, 2, 100, &mut rng))));
    let other = evaluation(tasks(&drawn(0.5, 2, 99, &mut rng)));
    let contests =
        against_each(&Aggregate::geometric_mean(2), &ours, &[&bad, &other, &ours], Seed(1));
    let [Some(worse), None, Some(same)] = &contests[..] else { panic!("{contests:?}") };
    assert_eq!(worse.adjusted_p_value, 2.0 * worse.difference.p_value);
    assert!(worse.is_significant() && worse.tasks.len() == 2);
    assert_eq!((same.adjusted_p_value, same.is_significant()), (1.0, false));
}
