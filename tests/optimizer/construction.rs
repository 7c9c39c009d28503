//! What settings mean and what is refused.

use merge_search::genome::Dimension;
use merge_search::optimizer::{OptimizerError, OptimizerKind, Settings, build};
use merge_search::units::Seed;

use super::{KINDS, category, integer, real};

#[test]
fn populations_by_hand() {
    let space: Vec<Dimension> = (0..32).map(|i| real(&i.to_string(), 0.0, 1.0)).collect();
    // 2 (4 + ⌊3 ln 32⌋) = 2 (4 + ⌊10.397⌋) = 28.
    for (population, workers, expected) in
        [(None, 1, 28), (None, 8, 32), (Some(5), 1, 5), (Some(5), 4, 5)]
    {
        let settings = Settings { population, workers, ..Settings::default() };
        // The first generation of Nelder-Mead is a simplex.
        for kind in KINDS.into_iter().filter(|kind| *kind != OptimizerKind::NelderMead) {
            assert_eq!(build(kind, &space, Seed(0), &settings).unwrap().ask().len(), expected);
        }
    }
}

#[test]
fn what_cannot_be_searched_is_an_error() {
    let refused = |space: &[Dimension], settings: Settings| {
        build(OptimizerKind::CatCma, space, Seed(0), &settings).err()
    };
    let fine = [real("x", 0.0, 1.0)];
    let default = Settings::default;
    let nothing = Some(OptimizerError::NothingToSearch);
    assert_eq!(refused(&[], default()), nothing);
    assert_eq!(refused(&[real("x", 1.0, 1.0), category("c", 1)], default()), nothing);
    let is = |space: Dimension, expected: fn(&OptimizerError) -> bool| {
        let error = refused(&[space], default());
        assert!(error.as_ref().is_some_and(expected), "{error:?}");
    };
    is(real("x", 1.0, 0.0), |e| matches!(e, OptimizerError::BadRange { .. }));
    is(real("x", 0.0, f64::NAN), |e| matches!(e, OptimizerError::BadRange { .. }));
    is(integer("z", 1, 0), |e| matches!(e, OptimizerError::BadRange { .. }));
    is(category("c", 0), |e| matches!(e, OptimizerError::NoChoices { .. }));
    let outside = |initial| Dimension { initial: Some(initial), ..real("x", 0.0, 1.0) };
    is(outside(1.5), |e| matches!(e, OptimizerError::BadStart { .. }));
    is(outside(f64::NAN), |e| matches!(e, OptimizerError::BadStart { .. }));
    assert_eq!(
        refused(&fine, Settings { sigma: 0.0, ..default() }),
        Some(OptimizerError::BadSigma { got: 0.0 })
    );
    assert_eq!(
        refused(&fine, Settings { workers: 0, ..default() }),
        Some(OptimizerError::NoWorkers)
    );
    let one = Settings { population: Some(1), ..default() };
    assert_eq!(refused(&fine, one), Some(OptimizerError::PopulationTooSmall { got: 1, least: 2 }));
    let huge = Settings { population: Some(usize::MAX), workers: 2, ..default() };
    assert!(matches!(refused(&fine, huge), Some(OptimizerError::PopulationTooLarge { .. })));
}

#[test]
fn names_parse_back() {
    for kind in KINDS {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        let space = [real("x", 0.0, 1.0)];
        assert_eq!(
            build(kind, &space, Seed(0), &Settings::default()).unwrap().name(),
            kind.to_string()
        );
    }
    assert_eq!("cma-es".parse(), Ok(OptimizerKind::CatCma));
    let unknown = "nope".parse::<OptimizerKind>().unwrap_err();
    assert_eq!(unknown, OptimizerError::UnknownKind { name: "nope".to_owned() });
    for kind in KINDS {
        assert!(unknown.to_string().contains(&format!("\"{kind}\"")), "{unknown}");
    }
}
