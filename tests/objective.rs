//! Objectives against published scores, hand calculation, brute force and simulation.

use merge_search::objective::{
    PairingError, Point, cost, geometric_mean, geometric_mean_of, hypervolume, interval,
    paired_difference, pareto_front, pooled_times,
};
use merge_search::outcome::{Evaluation, ItemScore, TaskScore};
use merge_search::units::{Bytes, Seconds, Seed};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn task(name: &str, answers: impl IntoIterator<Item = bool>) -> TaskScore {
    let items = answers.into_iter().map(|correct| ItemScore { correct, chosen: 0, margin: 0.0 });
    TaskScore { task: name.to_owned(), items: items.collect() }
}

fn evaluation(tasks: Vec<TaskScore>) -> Evaluation {
    Evaluation {
        tasks,
        merge_seconds: Seconds(0.0),
        score_seconds: Seconds(0.0),
        seconds_per_item: Seconds(0.0),
        relative_time: 1.0,
        peak_bytes: Bytes(0),
    }
}

fn counts(right_of: &[(usize, usize)]) -> Evaluation {
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

/// The table floors a zero at 5e-324 and so publishes 5.9e-66 for this team; ours is 0, and finite all the way.
#[test]
fn a_task_at_zero_scores_zero() {
    assert_eq!(geometric_mean_of([0.0, 0.875, 0.0625, 0.03125, 0.875]), 0.0);
    assert_eq!(geometric_mean_of([]), 0.0);
    assert_eq!(geometric_mean(&counts(&[(3, 4), (0, 0)])), 0.0);
    assert_eq!(geometric_mean_of([1.0, 1.0]), 1.0);
}

#[test]
fn cost_turns_the_sign_once() {
    let half = counts(&[(1, 4), (4, 4)]);
    assert_eq!(cost(Some(interval(&half))), -0.5);
    assert_eq!(cost(None), f64::INFINITY);
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
    let cases: [(&[f64], usize); 5] = [
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

/// One task whose pairs are `both` right, `first` or `second` only, or `neither`.
fn pairs(both: usize, first: usize, second: usize, neither: usize) -> (Evaluation, Evaluation) {
    let answers = |only: [bool; 4]| {
        let lengths = [both, first, second, neither];
        let runs = lengths.into_iter().zip(only);
        evaluation(vec![task(
            "t",
            runs.flat_map(|(length, right)| std::iter::repeat_n(right, length)),
        )])
    };
    (answers([true, true, false, false]), answers([true, false, true, false]))
}

/// For one task the permutation test is the exact McNemar test: 2·P(Bin(10, ½) ≥ 8) = 112/1024, 2·(½)⁵ = 1/16.
#[test]
fn p_value_is_mcnemars() {
    for (first, second, exact) in [(8, 2, 0.109375), (5, 0, 0.0625), (3, 3, 1.0)] {
        let (a, b) = pairs(20, first, second, 10);
        let p = paired_difference(&a, &b, Seed(3), 20_000).unwrap().p_value;
        assert!((p - exact).abs() < 0.008, "{first} {second}: {p} {exact}");
    }
}

/// n = 400, 60 to 30: difference 0.075, sd = sqrt(90 - 30²/400)/400 = 0.02342, so ± 0.0459.
#[test]
fn bootstrap_interval_is_the_normal_one() {
    let (a, b) = pairs(200, 60, 30, 110);
    let drawn = paired_difference(&a, &b, Seed(4), 10_000).unwrap();
    assert!((drawn.difference - 0.075).abs() < 1e-12);
    assert!((drawn.low - (0.075 - 0.0459)).abs() < 0.004, "{drawn:?}");
    assert!((drawn.high - (0.075 + 0.0459)).abs() < 0.004, "{drawn:?}");
    assert_eq!(drawn, paired_difference(&a, &b, Seed(4), 10_000).unwrap());
}

#[test]
fn only_the_same_documents_pair() {
    let two = counts(&[(1, 2), (1, 2)]);
    let one = counts(&[(1, 2)]);
    let longer = counts(&[(1, 2), (1, 3)]);
    let run = |a, b, n| paired_difference(a, b, Seed(0), n).unwrap_err();
    assert!(matches!(run(&two, &one, 9), PairingError::Tasks { .. }));
    assert!(matches!(run(&two, &longer, 9), PairingError::Documents { .. }));
    assert_eq!(run(&two, &two, 0), PairingError::NoResamples);
}

fn point((accuracy, time): (f64, f64)) -> Point {
    Point { accuracy, time }
}

/// By definition, in O(n²).
fn front_by_definition(points: &[Point]) -> Vec<usize> {
    let at_least = |a: &Point, b: &Point| a.accuracy >= b.accuracy && a.time <= b.time;
    let beaten = |i: usize| {
        (points.iter().enumerate())
            .any(|(j, other)| at_least(other, &points[i]) && (*other != points[i] || j < i))
    };
    (0..points.len()).filter(|&i| !beaten(i)).collect()
}

proptest! {
    #[test]
    fn pareto_front_is_the_definitions(raw in prop::collection::vec((0u8..12, 0u8..12), 0..60)) {
        let points: Vec<Point> = (raw.iter())
            .map(|&(a, t)| point((f64::from(a) / 12.0, f64::from(t))))
            .collect();
        let mut front = pareto_front(&points);
        prop_assert!(front.is_sorted_by(|&a, &b| points[a].time < points[b].time));
        front.sort_unstable();
        prop_assert_eq!(front, front_by_definition(&points));
    }
}

#[test]
fn points_that_are_no_numbers_are_left_out() {
    let points = [(f64::NAN, 1.0), (0.5, 2.0), (0.6, f64::INFINITY)].map(point);
    assert_eq!(pareto_front(&points), [1]);
}

/// Points (1,1) (2,2) (3,3) up to the reference (0, 4), by columns:
/// time 1..2 height 1, 2..3 height 2, 3..4 height 3, so 6.
#[test]
fn hypervolume_by_hand() {
    let reference = point((0.0, 4.0));
    let steps = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)].map(point);
    assert_eq!(hypervolume(&steps, reference), 6.0);
    let more = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (1.5, 2.5), (9.0, 5.0), (-1.0, 0.5)];
    assert_eq!(hypervolume(&more.map(point), reference), 6.0);
    assert_eq!(hypervolume(&[], reference), 0.0);
}

/// Two models that do the same work tie in time whatever the clock said, so the better one alone is on the front.
#[test]
fn models_with_the_same_graph_tie_in_time() {
    let measured = [("a", 1.00), ("a", 1.04), ("b", 0.7), ("a", 1.02), ("b", 0.8)];
    let times = pooled_times(&measured);
    assert_eq!(times, [1.02, 1.02, 0.75, 1.02, 0.75]);
    let accuracies = [0.50, 0.60, 0.40, 0.55, 0.30];
    let points: Vec<Point> = accuracies.into_iter().zip(times).map(point).collect();
    assert_eq!(pareto_front(&points), [2, 1]);
}
