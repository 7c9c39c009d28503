//! The update against cmaes 0.13.1 (Python), which the authors of CatCMA wrote, told the same
//! samples and costs. `tests/optimizer/reference.py parity` prints the expected numbers.

use nalgebra::DVector;

use super::gaussian::shape::Shape;
use super::{CatCma, Settings};
use crate::genome::{Dimension, Domain};
use crate::units::Seed;

const GENERATIONS: usize = 8;
const POPULATION: usize = 6;

fn space() -> Vec<Dimension> {
    let real = Domain::Continuous { low: 0.0, high: 1.0 };
    let category = |k: usize| Domain::Categorical { choices: vec![String::new(); k] };
    [real.clone(), real.clone(), real, category(3), category(4)]
        .into_iter()
        .map(|domain| Dimension { name: String::new(), domain, initial: None })
        .collect()
}

fn sample(g: usize, i: usize) -> (DVector<f64>, Vec<usize>) {
    let x = |j: usize| 0.5 + 0.3 * (1.0 + 7.0 * g as f64 + 3.0 * i as f64 + 1.7 * j as f64).sin();
    let c = |n: usize| (g * g + i * (n + 2) + n) % [3, 4][n];
    (DVector::from_fn(3, |j, _| x(j)), vec![c(0), c(1)])
}

fn close(got: impl IntoIterator<Item = f64>, expected: &[f64]) {
    let got: Vec<f64> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len());
    let worst = got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-12, "expected {expected:?}, got {got:?}");
}

#[test]
fn eight_generations_match_cmaes() {
    let settings = Settings { population: Some(POPULATION), ..Settings::default() };
    let optimizer = CatCma::new(&space(), Seed(0), &settings).unwrap();
    let (mut gaussian, mut categorical) =
        (optimizer.gaussian.unwrap(), optimizer.categorical.unwrap());
    for g in 0..GENERATIONS {
        let samples: Vec<_> = (0..POPULATION).map(|i| sample(g, i)).collect();
        let costs: Vec<f64> = (0..POPULATION).map(|i| ((i * 5 + g) % 6) as f64).collect();
        let weights = optimizer.weights.assign(&costs).unwrap();
        gaussian.update(&weights, &samples.iter().map(|(v, _)| v).collect::<Vec<_>>());
        categorical
            .update(&weights, &samples.iter().map(|(_, c)| c.as_slice()).collect::<Vec<_>>());
    }
    close(
        gaussian.m.iter().copied(),
        &[0.5727109572137623, 0.3851758465365266, 0.45687796275806347],
    );
    close([gaussian.sigma], &[0.15326084585098645]);
    let Shape::Full(full) = gaussian.shape else { panic!("not full") };
    #[rustfmt::skip]
    close(full.C.iter().copied(), &[
        0.9425043406826654, -0.32544381359782637, -0.5482951277755912,
        -0.32544381359782626, 1.2640456616658848, 0.07968589322697715,
        -0.5482951277755912, 0.07968589322697714, 0.8381068762827943,
    ]);
    #[rustfmt::skip]
    close(categorical.q.into_iter().flatten(), &[
        0.5977246132118768, 0.2617270492296512, 0.1405483375584721,
        0.08661181047541186, 0.6358261793306186, 0.19866283656962658, 0.07889917362434297,
    ]);
    close([categorical.Delta], &[3.5865245344441576]);
}
