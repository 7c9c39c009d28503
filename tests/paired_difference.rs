//! Paired differences of two models: McNemar, the normal approximation, texts, mismatched documents.

use merge_search::objective::{Aggregate, AggregateKind, PairingError, paired_difference};
use merge_search::outcome::Evaluation;
use merge_search::units::Seed;

use crate::objective::{aggregate, counts, evaluation, kind, task, texts};

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
        let p = paired_difference(&Aggregate::geometric_mean(1), &a, &b, Seed(3), 20_000)
            .unwrap()
            .p_value;
        assert!((p - exact).abs() < 0.008, "{first} {second}: {p} {exact}");
    }
}

/// n = 400, 60 to 30: difference 0.075, sd = sqrt(90 - 30²/400)/400 = 0.02342, so ± 0.0459.
#[test]
fn bootstrap_interval_is_the_normal_one() {
    let (a, b) = pairs(200, 60, 30, 110);
    let drawn = paired_difference(&Aggregate::geometric_mean(1), &a, &b, Seed(4), 10_000).unwrap();
    assert!((drawn.difference - 0.075).abs() < 1e-12);
    assert!((drawn.low - (0.075 - 0.0459)).abs() < 0.004, "{drawn:?}");
    assert!((drawn.high - (0.075 + 0.0459)).abs() < 0.004, "{drawn:?}");
    assert_eq!(
        drawn,
        paired_difference(&Aggregate::geometric_mean(1), &a, &b, Seed(4), 10_000).unwrap()
    );
}

/// Signed differences 0.3, 0.2, 0.1 of texts under an arithmetic mean: of the 8 sign patterns two are as extreme, so
/// p = 1/4; the difference is 0.2.
#[test]
fn real_valued_scores_pair_under_any_aggregate() {
    let (a, b) = (
        evaluation(vec![texts("t0", &[0.5, 0.9, 0.4])]),
        evaluation(vec![texts("t0", &[0.2, 0.7, 0.3])]),
    );
    for kind in [kind(AggregateKind::ArithmeticMean), kind(AggregateKind::WorstTask)] {
        let drawn = paired_difference(&aggregate(&kind, 1), &a, &b, Seed(1), 20_000).unwrap();
        assert!(
            (drawn.difference - 0.2).abs() < 1e-12 && (drawn.p_value - 0.25).abs() < 0.01,
            "{drawn:?}"
        );
        // Means of three draws with replacement: 0.1 three times in 27, so 2.5 % lies at 0.1 and 97.5 % at 0.3.
        assert!((drawn.low - 0.1).abs() < 1e-12 && (drawn.high - 0.3).abs() < 1e-12, "{drawn:?}");
    }
}

#[test]
fn only_the_same_documents_pair() {
    let two = counts(&[(1, 2), (1, 2)]);
    let one = counts(&[(1, 2)]);
    let longer = counts(&[(1, 2), (1, 3)]);
    let run =
        |a, b, n| paired_difference(&Aggregate::geometric_mean(2), a, b, Seed(0), n).unwrap_err();
    assert!(matches!(run(&two, &one, 9), PairingError::Tasks { .. }));
    assert!(matches!(run(&two, &longer, 9), PairingError::Documents { .. }));
    assert_eq!(run(&two, &two, 0), PairingError::NoResamples);
}
