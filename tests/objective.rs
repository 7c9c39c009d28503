//! Objectives against published scores, hand calculation, brute force and simulation.

use std::collections::BTreeMap;

use merge_search::objective::{
    Aggregate, AggregateChoice, AggregateError, AggregateKind, TaskWeights, TieBreak,
    compare_metrics, estimate, geometric_mean, geometric_mean_of, interval,
};
use merge_search::outcome::{Evaluation, ItemScore, MetricScore, TaskScore};
use merge_search::units::{Bytes, Seconds};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub fn task(name: &str, answers: impl IntoIterator<Item = bool>) -> TaskScore {
    let item =
        |correct| ItemScore { score: f64::from(u8::from(correct)), chosen: Some(0), margin: 0.0 };
    let items = answers.into_iter().map(item).collect();
    TaskScore { task: name.to_owned(), items, others: Vec::new() }
}

/// A task of texts.
pub fn texts(name: &str, scores: &[f64]) -> TaskScore {
    let item = |&score: &f64| ItemScore { score, chosen: None, margin: 0.0 };
    let items = scores.iter().map(item).collect();
    TaskScore { task: name.to_owned(), items, others: Vec::new() }
}

pub fn names(tasks: usize) -> Vec<String> {
    (0..tasks).map(|index| format!("t{index}")).collect()
}

/// Of the tasks `t0`, `t1`, …
pub fn aggregate(choice: &AggregateChoice, tasks: usize) -> Aggregate {
    let names = names(tasks);
    Aggregate::new(choice, &names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

pub fn kind(kind: AggregateKind) -> AggregateChoice {
    AggregateChoice { kind, ..AggregateChoice::default() }
}

fn by_task(scores: &[f64]) -> BTreeMap<String, f64> {
    names(scores.len()).into_iter().zip(scores.iter().copied()).collect()
}

fn weights(weights: &[f64]) -> TaskWeights {
    TaskWeights::ByName(by_task(weights))
}

pub fn evaluation(tasks: Vec<TaskScore>) -> Evaluation {
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

pub fn counts(right_of: &[(usize, usize)]) -> Evaluation {
    let tasks = right_of.iter().enumerate().map(|(index, &(right, total))| {
        task(&format!("t{index}"), (0..total).map(|doc| doc < right))
    });
    evaluation(tasks.collect())
}

/// Win rates and scores of the NeurIPS 2023 LLM efficiency challenge, published table of the 4090 track.
#[test]
fn geometric_mean_reproduces_the_published_table() {
    let table: [(&[f64], f64); 4] = [
        (&[0.4166666666666667, 0.75, 0.75, 0.625, 0.25], 0.516114739666671),
        (&[0.38333333333333336, 0.875, 0.75, 0.55], 0.6098908922169298),
        (&[0.875, 0.2847222222222222, 0.875, 0.8125, 0.5625], 0.6304877797779268),
        (&[0.20833333333333334, 0.25, 0.5, 0.4083333333333333], 0.32112262287643045),
    ];
    for (win_rates, published) in table {
        let score = geometric_mean_of(win_rates.iter().copied());
        assert!((score - published).abs() < 1e-15, "{score} {published}");
    }
    // The same first row from documents: 5/12, 3/4, 3/4, 5/8, 1/4.
    let upaya = counts(&[(5, 12), (3, 4), (3, 4), (5, 8), (1, 4)]);
    assert!((geometric_mean(&upaya) - 0.516114739666671).abs() < 1e-15);
}

/// The table floors a zero at 5e-324 and so publishes 5.9e-66 for this team; without a floor it is 0, finite all the way.
#[test]
fn a_task_at_zero_scores_zero() {
    assert_eq!(geometric_mean_of([0.0, 0.875, 0.0625, 0.03125, 0.875]), 0.0);
    assert_eq!(geometric_mean_of([]), 0.0);
    assert_eq!(geometric_mean(&counts(&[(3, 4), (0, 0)])), 0.0);
    assert_eq!(geometric_mean_of([1.0, 1.0]), 1.0);
}

/// COMPETITION: open tasks a third, hidden ones two thirds; zeros floored at the smallest double.
#[test]
fn the_challenges_scores_are_reproduced() {
    let teams: [(&[f64], &[f64], f64); 2] = [
        (
            &[0.4166666666666667, 0.75, 0.75, 0.625, 0.25],
            &[0.38333333333333336, 0.875, 0.75, 0.55],
            0.5786321747001768,
        ),
        (
            &[0.875, 0.2847222222222222, 0.875, 0.8125, 0.5625],
            &[0.20833333333333334, 0.25, 0.5, 0.4083333333333333],
            0.4242443418435959,
        ),
    ];
    let hidden = (5..9).map(|index| format!("t{index}")).collect();
    let challenge = AggregateChoice { hidden, zero_floor: 5e-324, ..AggregateChoice::default() };
    for (open, hidden, published) in teams {
        let score = aggregate(&challenge, 9).value(&[open, hidden].concat());
        assert!((score - published).abs() < 1e-12, "{score} {published}");
    }
    let floored = AggregateChoice { zero_floor: 5e-324, ..AggregateChoice::default() };
    let score = aggregate(&floored, 5).value(&[0.0, 0.875, 0.0625, 0.03125, 0.875]);
    assert!((score / 5.93890202060757e-66 - 1.0).abs() < 1e-12, "{score}");
}

/// 4·½ + ¼·½ …, by hand.
#[test]
fn aggregates_by_hand() {
    let scores = [0.25, 1.0, 0.5];
    let of = |choice: &AggregateChoice| aggregate(choice, 3).value(&scores);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
    close(of(&kind(AggregateKind::GeometricMean)), 0.5);
    close(of(&kind(AggregateKind::ArithmeticMean)), 7.0 / 12.0);
    close(of(&kind(AggregateKind::WorstTask)), 0.25);
    // (¼² · 1 · ½²)^(1/5) = (1/64)^(1/5) = 2^(-6/5); weights that sum to 5.
    let two = AggregateChoice { weights: weights(&[2.0, 1.0, 2.0]), ..AggregateChoice::default() };
    close(of(&two), 2f64.powf(-1.2));
    let mean = AggregateChoice { kind: AggregateKind::ArithmeticMean, ..two.clone() };
    close(of(&mean), (0.5 + 1.0 + 1.0) / 5.0);
    // A weight of 0 takes a zero out; NaN is a task without documents.
    let without = AggregateChoice { weights: weights(&[0.0, 1.0, 1.0]), ..two };
    close(aggregate(&without, 3).value(&[0.0, 1.0, 0.25]), 0.5);
    let floored = AggregateChoice { zero_floor: 0.25, ..AggregateChoice::default() };
    close(aggregate(&floored, 2).value(&[0.0, 1.0]), 0.5);
    assert_eq!(aggregate(&floored, 2).value(&[f64::NAN, 1.0]), 0.0);
    // t1 hidden at 0.9: 0.1 · sqrt(¼ · ½) + 0.9 · 1.
    let hidden = AggregateChoice {
        hidden: vec!["t1".to_owned()],
        hidden_weight: 0.9,
        ..AggregateChoice::default()
    };
    close(of(&hidden), 0.1 * 0.125f64.sqrt() + 0.9);
}

/// Nine entrants: wins over eight rivals; two tied get 1/2 of a win, four 1/4 (0.03125 in the published table).
#[test]
fn win_rates_by_hand() {
    let rival = by_task;
    let mut rivals: BTreeMap<String, BTreeMap<String, f64>> =
        (1..=8).map(|n| (format!("r{n}"), rival(&[f64::from(n) / 10.0]))).collect();
    let of = |rivals: &BTreeMap<String, BTreeMap<String, f64>>, score: f64| {
        let choice = kind(AggregateKind::MeanWinRate);
        let choice = AggregateChoice { rivals: rivals.clone(), ..choice };
        aggregate(&choice, 1).value(&[score])
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
    close(of(&rivals, 0.05), 0.0);
    close(of(&rivals, 0.1), 0.5 / 8.0);
    close(of(&rivals, 0.35), 3.0 / 8.0);
    close(of(&rivals, 0.3), 2.5 / 8.0);
    close(of(&rivals, 0.9), 1.0);
    for name in ["r2", "r3"] {
        rivals.insert(name.to_owned(), rival(&[0.1]));
    }
    close(of(&rivals, 0.1), 0.03125);
    // Two tasks, and a rival that entered the second alone: sqrt(½ · ⅓) against (0.2, 0.4) and (–, 0.6), (0.8, 0.9).
    let two = BTreeMap::from([
        ("a".to_owned(), rival(&[0.2, 0.4])),
        ("b".to_owned(), BTreeMap::from([("t1".to_owned(), 0.6)])),
        ("c".to_owned(), rival(&[0.8, 0.9])),
    ]);
    let choice = AggregateChoice { rivals: two, ..kind(AggregateKind::MeanWinRate) };
    close(aggregate(&choice, 2).value(&[0.5, 0.5]), (0.5f64 / 3.0).sqrt());
}

#[test]
fn an_aggregate_must_fit_the_tasks() {
    let refused = |choice: AggregateChoice| Aggregate::new(&choice, &["arc", "boolq"]).unwrap_err();
    let plain = AggregateChoice::default;
    let typo = BTreeMap::from([("ark".to_owned(), 1.0)]);
    let error = refused(AggregateChoice { weights: TaskWeights::ByName(typo.clone()), ..plain() });
    assert!(matches!(error, AggregateError::UnknownTask { .. }));
    let text = error.to_string();
    assert!(["`tasks.weights`", "`ark`", "arc, boolq"].iter().all(|w| text.contains(w)), "{text}");
    let hidden = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let text = refused(AggregateChoice { hidden: hidden(&["ark"]), ..plain() }).to_string();
    assert!(text.contains("`objective.hidden`") && text.contains("`ark`"), "{text}");
    let text =
        refused(AggregateChoice { hidden: hidden(&["arc", "boolq"]), ..plain() }).to_string();
    assert!(text.contains("no open task"), "{text}");
    let rivals = BTreeMap::from([("r".to_owned(), BTreeMap::from([("arc".to_owned(), 0.5)]))]);
    let text = refused(AggregateChoice { rivals, ..kind(AggregateKind::MeanWinRate) }).to_string();
    assert!(text.contains("`objective.rivals`") && text.contains("`boolq`"), "{text}");
    let rivals = BTreeMap::from([("r".to_owned(), typo)]);
    let text = refused(AggregateChoice { rivals, ..kind(AggregateKind::MeanWinRate) }).to_string();
    assert!(text.contains("`objective.rivals`") && text.contains("`ark`"), "{text}");
}

/// The manifest keeps it as JSON.
#[test]
fn an_aggregate_comes_back_from_json() {
    let choice = AggregateChoice {
        weights: weights(&[0.1, 1.0 / 3.0]),
        zero_floor: 5e-324,
        hidden: vec!["t1".to_owned()],
        ..AggregateChoice::default()
    };
    let written = aggregate(&choice, 2);
    let read = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
    assert_eq!(written, read);
}

/// Delta method with numpy's means and variances: `tests/reference/numpy/aggregates.py`.
#[test]
fn intervals_of_real_valued_items_are_numpys() {
    let text = include_str!("reference/numpy/aggregates.json");
    let expected: serde_json::Value = serde_json::from_str(text).unwrap();
    let list = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let tasks: Vec<TaskScore> = (expected["tasks"].as_array().unwrap().iter().zip(names(3)))
        .map(|(scores, name)| texts(&name, &list(scores)))
        .collect();
    let weighted =
        AggregateChoice { weights: weights(&list(&expected["weights"])), ..Default::default() };
    let mean = AggregateChoice { kind: AggregateKind::ArithmeticMean, ..weighted.clone() };
    let hidden = AggregateChoice { hidden: vec!["t2".to_owned()], ..weighted.clone() };
    let cases =
        [("arithmetic_mean", mean), ("geometric_mean", weighted), ("open_and_hidden", hidden)];
    for (name, choice) in cases {
        let found = estimate(&aggregate(&choice, 3), &tasks);
        for (end, found) in [("value", found.value), ("low", found.low), ("high", found.high)] {
            let expected = expected[name][end].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-12, "{name} {end}: {found} {expected}");
        }
    }
}

/// The plain geometric mean of right and wrong answers by the formulas of its documentation, bit for bit.
#[test]
fn the_plain_interval_is_the_documented_one() {
    let counted = [(7usize, 12usize), (30, 40), (1, 9)];
    let logs = counted.map(|(x, n)| ((x as f64 + 0.5) / (n as f64 + 0.5)).ln());
    let variances = counted.map(|(x, n)| {
        let wrong = (n as f64 - x as f64 + 2.0) / (n as f64 + 4.0);
        wrong / (x as f64 + 0.5)
    });
    let centre = logs.iter().sum::<f64>() / 3.0;
    let half = 1.959_963_984_540_054 * (variances.iter().sum::<f64>() / 9.0).sqrt();
    let found = interval(&counts(&counted));
    assert_eq!((found.low, found.high), ((centre - half).exp(), (centre + half).exp()));
    let product: f64 = counted.iter().map(|(x, n)| (*x as f64 / *n as f64).ln()).sum();
    assert_eq!(found.value, (product / 3.0).exp());
    let plain = aggregate(&AggregateChoice::default(), 3);
    assert_eq!(estimate(&plain, &counts(&counted).tasks), found);
}

/// 95 % intervals of the other aggregates hold the truth 95 times in 100.
#[test]
fn intervals_of_all_aggregates_cover_the_truth() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let truth = [0.45, 0.6, 0.8];
    let spread = BTreeMap::from([("r".to_owned(), by_task(&[0.5, 0.55, 0.7]))]);
    let hidden = vec!["t1".to_owned()];
    let choices = [
        kind(AggregateKind::ArithmeticMean),
        kind(AggregateKind::WorstTask),
        AggregateChoice { weights: weights(&[3.0, 1.0, 0.5]), ..AggregateChoice::default() },
        AggregateChoice { hidden, ..AggregateChoice::default() },
    ];
    for choice in choices {
        for real in [false, true] {
            let aggregate = aggregate(&choice, 3);
            let expected = aggregate.value(&truth);
            let covered = (0..1500).filter(|_| {
                // Real-valued: the mean of two draws has the same expectation.
                let mut draw = |p: f64| f64::from(u8::from(rng.random_bool(p)));
                let mut score = |p: f64| if real { (draw(p) + draw(p)) / 2.0 } else { draw(p) };
                let tasks: Vec<TaskScore> = (truth.iter().zip(names(3)))
                    .map(|(p, name)| texts(&name, &(0..90).map(|_| score(*p)).collect::<Vec<_>>()))
                    .collect();
                let found = estimate(&aggregate, &tasks);
                found.low <= expected && expected <= found.high
            });
            let share = covered.count() as f64 / 1500.0;
            assert!((0.93..=0.975).contains(&share), "{aggregate}, real {real}: {share}");
        }
    }
    // A win rate jumps: 45 % is beaten half the time by a rival at 50 %.
    let choice = AggregateChoice { rivals: spread, ..kind(AggregateKind::MeanWinRate) };
    let found = estimate(&aggregate(&choice, 3), &counts(&[(45, 90), (54, 90), (72, 90)]).tasks);
    assert_eq!((found.low, found.high), (0.0, 1.0));
}

#[test]
fn cost_turns_the_sign_once() {
    let half = interval(&counts(&[(1, 4), (4, 4)])).value;
    assert_eq!(TieBreak::NONE.cost(Some(half), Some(3.0)), -0.5);
    assert_eq!(TieBreak::NONE.cost(None, None), f64::INFINITY);
}

#[test]
fn ties_stay_ties_where_no_gap_is_known() {
    let scores = counts(&[(1, 100); 5]).tasks;
    let active = |choice: &AggregateChoice, scores: &[TaskScore]| {
        TieBreak::new(&aggregate(choice, scores.len()), scores).is_active()
    };
    let plain = AggregateChoice::default();
    assert!(active(&plain, &scores));
    assert!(!active(&AggregateChoice { zero_floor: 5e-324, ..plain.clone() }, &scores));
    assert!(!active(&AggregateChoice { hidden: vec!["t1".to_owned()], ..plain.clone() }, &scores));
    let odd = weights(&[1.0, 1.5, 1.0, 1.0, 1.0]);
    assert!(!active(&AggregateChoice { weights: odd, ..plain.clone() }, &scores));
    assert!(!active(&plain, &counts(&[(1, 1000); 5]).tasks));
    assert!(active(&kind(AggregateKind::ArithmeticMean), &counts(&[(1, 1000); 5]).tasks));
    let mixed = [scores[..1].to_vec(), vec![texts("t1", &[0.0, 1.0])]].concat();
    assert!(!active(&plain, &mixed));
}

/// Arithmetic means at their closest: `a/97 + b/89 + c/83` with `|sum| = 1/(97·89·83)`, right answers of one model where
/// positive and of the other where negative. The better one has the worst companion, the other the best.
#[test]
fn the_closest_scores_are_not_turned_round() {
    let docs = [97i64, 89, 83];
    let parts = [89 * 83, 97 * 83, 97 * 89i64];
    let closest = (0i64..97).flat_map(|a| (-88..89).map(move |b| (a, b))).find_map(|(a, b)| {
        let rest = 1 - a * parts[0] - b * parts[1];
        (rest % parts[2] == 0 && (rest / parts[2]).abs() < 83).then(|| [a, b, rest / parts[2]])
    });
    let closest = closest.unwrap();
    let mean = aggregate(&kind(AggregateKind::ArithmeticMean), 3);
    let cost = |sign: i64, margin| {
        let right: Vec<u64> = closest.iter().map(|part| (sign * part).max(0) as u64).collect();
        let scores = with_margin(&right, &docs.map(|n| n as u64), margin);
        let judged: Vec<f64> = scores.iter().map(|task| task.accuracy().0).collect();
        let tie_break = TieBreak::new(&mean, &scores);
        assert!(tie_break.is_active());
        (mean.value(&judged), tie_break.cost(Some(mean.value(&judged)), Some(f64::from(margin))))
    };
    let ((better, ours), (worse, theirs)) = (cost(1, -1e9), cost(-1, 1e9));
    assert!((better - worse - 1.0 / (3.0 * 716_539.0)).abs() < 1e-15);
    assert!(ours < theirs, "{ours} {theirs}");
}

/// Right answers per task as an exact fraction's numerator; the denominator is the same for both models.
fn exact(kind: AggregateKind, weights: &[u32], right: &[u64], docs: &[u64]) -> u128 {
    let tasks = || right.iter().zip(docs).zip(weights);
    let whole: u128 = docs.iter().map(|n| u128::from(*n)).product();
    let fraction = |x: &u64, n: &u64| u128::from(*x) * (whole / u128::from(*n));
    match kind {
        AggregateKind::GeometricMean => tasks().map(|((x, _), w)| u128::from(*x).pow(*w)).product(),
        AggregateKind::ArithmeticMean => {
            tasks().map(|((x, n), w)| u128::from(*w) * fraction(x, n)).sum()
        }
        _ => tasks().map(|((x, n), _)| fraction(x, n)).min().unwrap(),
    }
}

fn with_margin(right: &[u64], docs: &[u64], margin: f32) -> Vec<TaskScore> {
    let counted: Vec<(usize, usize)> =
        right.iter().zip(docs).map(|(x, n)| (*x as usize, *n as usize)).collect();
    let mut tasks = counts(&counted).tasks;
    tasks.iter_mut().flat_map(|task| &mut task.items).for_each(|item| item.margin = margin);
    tasks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    /// Different judged scores, compared as whole numbers, are never turned round by the companion; equal ones are
    /// ordered by it. Neighbouring counts of right answers, where the scores are closest.
    #[test]
    fn the_companion_orders_equal_scores_only(
        tasks in prop::collection::vec((1u64..=100, 0.0..1.0f64, 0u64..4, 0u64..4, 1u32..3), 1..6),
        which in 0usize..3,
        margins in (-60.0f32..60.0, -60.0f32..60.0),
    ) {
        let kind = [AggregateKind::GeometricMean, AggregateKind::ArithmeticMean, AggregateKind::WorstTask][which];
        let docs: Vec<u64> = tasks.iter().map(|task| task.0).collect();
        let right = |extra: fn(&(u64, f64, u64, u64, u32)) -> u64| -> Vec<u64> {
            tasks.iter().map(|task| ((task.0 as f64 * task.1) as u64 + extra(task)).min(task.0)).collect()
        };
        let (first, second) = (right(|task| task.2), right(|task| task.3));
        let whole: Vec<u32> = tasks.iter().map(|task| task.4).collect();
        let by_weight = weights(&whole.iter().map(|w| f64::from(*w)).collect::<Vec<_>>());
        let aggregate = aggregate(&AggregateChoice { kind, weights: by_weight, ..Default::default() }, docs.len());
        let cost = |right: &[u64], margin| {
            let scores = with_margin(right, &docs, margin);
            let judged: Vec<f64> = scores.iter().map(|task| task.accuracy().0).collect();
            let smooth: Vec<f64> = scores.iter().map(TaskScore::margin).collect();
            let tie_break = TieBreak::new(&aggregate, &scores);
            (tie_break, tie_break.cost(Some(aggregate.value(&judged)), Some(aggregate.companion(&smooth))))
        };
        let ((tie_break, a), (_, b)) = (cost(&first, margins.0), cost(&second, margins.1));
        let judged = exact(kind, &whole, &first, &docs).cmp(&exact(kind, &whole, &second, &docs));
        if tie_break.is_active() {
            match judged {
                std::cmp::Ordering::Greater => prop_assert!(a < b),
                std::cmp::Ordering::Less => prop_assert!(a > b),
                std::cmp::Ordering::Equal => {
                    let smooth = |m: f32| m / (1.0 + m.abs());
                    if (smooth(margins.0) - smooth(margins.1)).abs() > 0.3 {
                        prop_assert_eq!(a < b, margins.0 > margins.1);
                    }
                }
            }
        }
    }

    /// More right answers never cost more, whatever the aggregate.
    #[test]
    fn aggregates_rise_with_every_score(
        scores in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, 0.0..3.0f64), 2..5),
        which in 0usize..3,
    ) {
        let choice = AggregateChoice {
            kind: [AggregateKind::GeometricMean, AggregateKind::ArithmeticMean, AggregateKind::WorstTask][which],
            weights: weights(&scores.iter().map(|score| score.2 + 0.1).collect::<Vec<_>>()),
            hidden: vec!["t1".to_owned()],
            ..AggregateChoice::default()
        };
        let aggregate = aggregate(&choice, scores.len());
        let of = |pick: fn(f64, f64) -> f64| {
            aggregate.value(&scores.iter().map(|score| pick(score.0, score.1)).collect::<Vec<_>>())
        };
        let (low, high) = (of(f64::min), of(f64::max));
        prop_assert!((0.0..=1.0).contains(&low) && low <= high + 1e-15 && high <= 1.0 + 1e-15);
    }
}

fn with_others(name: &str, right: usize, others: &[(&str, f64)]) -> TaskScore {
    let metric =
        |(metric, score): &(&str, f64)| MetricScore { metric: (*metric).to_owned(), score: *score };
    let others = others.iter().map(metric).collect();
    TaskScore { others, ..task(name, (0..100).map(|doc| doc < right)) }
}

#[test]
fn metrics_that_disagree_are_told() {
    let winner = evaluation(vec![
        with_others("arc", 63, &[("acc_norm", 0.601), ("kit", 0.3)]),
        with_others("boolq", 50, &[("acc_norm", 0.5)]),
    ]);
    let base = evaluation(vec![
        with_others("arc", 58, &[("acc_norm", 0.612), ("kit", 0.3)]),
        with_others("boolq", 50, &[("acc_norm", 0.5)]),
    ]);
    let plain = Aggregate::geometric_mean(2);
    let found = compare_metrics(&plain, &["acc", "acc"], &winner, &base);
    let shown: Vec<(Option<&str>, &str, bool)> =
        found.iter().map(|c| (c.task.as_deref(), c.metric.as_str(), c.agrees)).collect();
    assert_eq!(
        shown,
        [
            (Some("arc"), "acc_norm", false),
            (Some("arc"), "kit", true),
            (Some("boolq"), "acc_norm", true),
            (None, "acc_norm", false),
        ]
    );
    assert_eq!(
        found[0].sentence("the winner", "base"),
        "on arc, acc_norm puts base above the winner: 61.2 against 60.1 (acc, judged: 58.0 against 63.0)"
    );
    // sqrt(0.612 · 0.5) = 0.55317, sqrt(0.601 · 0.5) = 0.54818; sqrt(0.58 · 0.5) = 0.53852, sqrt(0.63 · 0.5) = 0.56125.
    assert_eq!(
        found[3].sentence("the winner", "base"),
        "over all tasks, acc_norm puts base above the winner: 55.3 against 54.8 (geometric mean, judged: 53.9 against 56.1)"
    );
    // The other way round, and where acc_norm judges one of the tasks.
    let turned = compare_metrics(&plain, &["acc", "acc_norm"], &base, &winner);
    assert!(turned[0].sentence("a", "b").contains("acc_norm puts a above b: 61.2 against 60.1"));
    assert_eq!(turned.last().unwrap().metric, "acc_norm");
}

/// sd 0.022 for T = 5, a = 0.6, n = 100, from var(log GM) = (1/T²) Σ (1-a)/(a n) by hand: 0.6 sqrt(0.4/(0.6·500)) = 0.0219.
#[test]
fn interval_width_is_the_delta_methods() {
    let mean = interval(&counts(&[(60, 100); 5]));
    let sd = (mean.high - mean.low) / (2.0 * 1.96);
    assert!((sd - 0.0219).abs() < 3e-4, "{sd}");
    assert!((mean.value - 0.6).abs() < 1e-12);
}

#[test]
fn interval_is_sane_at_the_ends() {
    let none = interval(&counts(&[(0, 50), (25, 50)]));
    assert_eq!((none.value, none.low), (0.0, 0.0));
    assert!(none.high > 0.0 && none.high < 0.5);
    let all = interval(&counts(&[(50, 50), (50, 50)]));
    assert_eq!((all.value, all.high), (1.0, 1.0));
    assert!(all.low > 0.9 && all.low < 1.0);
    let nothing = interval(&counts(&[]));
    assert!([nothing.value, nothing.low, nothing.high].iter().all(|x| x.is_finite()));
}

/// A 95 % interval holds the truth 95 times in 100, whatever the tasks are like.
#[test]
fn interval_covers_the_truth() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let cases: [(&[f64], usize); 9] = [
        (&[0.05; 5], 100),
        (&[0.02; 5], 100),
        (&[0.05, 0.3, 0.6, 0.9, 0.98], 60),
        (&[0.95; 5], 300),
        (&[0.6, 0.6, 0.6, 0.6, 0.6], 100),
        (&[0.25, 0.5, 0.7, 0.9, 0.33], 100),
        (&[0.25, 0.3, 0.28], 60),
        (&[0.9, 0.93, 0.95], 60),
        (&[0.5], 200),
    ];
    for (truth, documents) in cases {
        let expected = geometric_mean_of(truth.iter().copied());
        let covered = (0..2000).filter(|_| {
            let draw = |p: &f64| {
                let right = (0..documents).filter(|_| rng.random_bool(*p)).count();
                (right, documents)
            };
            let mean = interval(&counts(&truth.iter().map(draw).collect::<Vec<_>>()));
            mean.low <= expected && expected <= mean.high
        });
        let share = covered.count() as f64 / 2000.0;
        println!("95 % intervals hold {truth:?} (n = {documents}) in {share} of the runs");
        assert!((0.92..=0.98).contains(&share), "{truth:?}: {share}");
    }
}
