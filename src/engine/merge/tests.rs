use proptest::prelude::*;

use super::prepared::Ranking;
use super::ready::{Expert, Ready, ReadyVectors, divisor};
use super::task_vector::{TaskVector, delta};
use super::*;
use crate::checkpoint::Elements;
use crate::recipe::RescaleRule;

const PLAIN: Mixing = Mixing { normalize: false, lambda: 1.0 };
const MEAN: Mixing = Mixing { normalize: true, lambda: 1.0 };
const KEY: MaskKey = MaskKey { seed: 42, model: "models/a", tensor: "model.norm.weight" };

/// From `tests/reference/mergekit/mask.py`, ChaCha8 written out from its definition.
#[test]
fn mask_words_are_those_of_chacha8() {
    let words = [
        (0_u64, 3874044369_u32),
        (1_u64, 3388560247_u32),
        (15_u64, 3312037939_u32),
        (16_u64, 1360249242_u32),
        (1000_u64, 3263730661_u32),
        (68719476741_u64, 2513664863_u32),
    ];
    for (element, word) in words {
        assert_eq!(KEY.word(element), word, "{element}");
    }
}

/// `n` elements, `true` where kept.
fn kept(key: MaskKey, density: f64, n: usize) -> Vec<bool> {
    let bits = key.draw(density, n);
    (0..n).map(|i| bits[i / 64] >> (i % 64) & 1 == 1).collect()
}

fn input(model: usize) -> Input {
    Input { model, tensor: "x".to_owned() }
}

/// What is left of a task vector.
fn sparsified(
    delta: &[f32],
    sparsifier: Sparsifier,
    rescale: Option<RescaleRule>,
    key: MaskKey,
) -> Vec<f32> {
    let (weights, sparsifiers) = (vec![1.0], vec![sparsifier]);
    let operation = TaskVectors {
        weights,
        sparsifiers,
        rescale,
        mask_seed: 0,
        elect_sign: false,
        mixing: PLAIN,
    };
    task_vectors(&vec![0.0; delta.len()], &[delta], &operation, key, None)
}

/// Rows of 16 elements.
fn task_vectors(
    base: &[f32],
    experts: &[&[f32]],
    operation: &TaskVectors,
    key: MaskKey,
    prepared: Option<&Prepared>,
) -> Vec<f32> {
    let base_elements = Elements::from(base);
    let mut chosen = Vec::new();
    for (i, expert) in experts.iter().enumerate() {
        let elements = Elements::from(*expert);
        let vector = TaskVector { base: &base_elements, expert: &elements };
        let ranking = Ranking::new(prepared, &input(9), &input(i), 16);
        let sparse = operation.sparsifiers[i].choose(vector, operation.rescale, key, &ranking);
        chosen.push(Expert { elements, weight: operation.weights[i], sparse: Some(sparse) });
    }
    let experts = chosen;
    let (elect_sign, mixing) = (operation.elect_sign, operation.mixing);
    let divisor = divisor(operation);
    let base = Elements::from(base);
    let ready = Ready::TaskVectors(ReadyVectors { base, experts, elect_sign, mixing, divisor });
    in_parts(&ready, base_elements.len())
}

/// All at once; any part alone must be the same.
fn in_parts(ready: &Ready, length: usize) -> Vec<f32> {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut merged = vec![0.0; length];
    ready.fill(0, &mut merged);
    for start in (0..length).step_by(64).take(3) {
        let mut part = vec![0.0; 50.min(length - start)];
        ready.fill(start, &mut part);
        assert_eq!(bits(&part), bits(&merged[start..start + part.len()]));
    }
    merged
}

fn linear(models: &[&[f32]], weights: &[f32], normalize: bool) -> Vec<f32> {
    let inputs = models.iter().map(|x| Elements::from(*x)).zip(weights.iter().copied()).collect();
    let divisor = normalize.then(|| weights.iter().sum());
    in_parts(&Ready::Weighted { inputs, divisor }, models[0].len())
}

fn slerp(base: &[f32], model: &[f32], t: f64) -> Vec<f32> {
    let (to_base, to_model) = slerp_coefficients(base, model, t);
    linear(&[base, model], &[to_base, to_model], false)
}

fn task_arithmetic(base: &[f32], experts: &[&[f32]], weights: &[f32], mixing: Mixing) -> Vec<f32> {
    let (weights, sparsifiers) = (weights.to_vec(), vec![Sparsifier::None; weights.len()]);
    let operation = TaskVectors {
        weights,
        sparsifiers,
        rescale: None,
        mask_seed: 0,
        elect_sign: false,
        mixing,
    };
    task_vectors(base, experts, &operation, KEY, None)
}

/// What is kept between candidates changes nothing.
fn ties(
    base: &[f32],
    experts: &[&[f32]],
    weights: &[f32],
    densities: &[f64],
    mixing: Mixing,
) -> Vec<f32> {
    let sparsifiers = densities.iter().map(|density| Sparsifier::Magnitude { density: *density });
    let (weights, sparsifiers) = (weights.to_vec(), sparsifiers.collect());
    let operation =
        TaskVectors { weights, sparsifiers, rescale: None, mask_seed: 0, elect_sign: true, mixing };
    let merged = task_vectors(base, experts, &operation, KEY, None);
    let prepared = Prepared::new();
    for _ in 0..2 {
        assert_eq!(task_vectors(base, experts, &operation, KEY, Some(&prepared)), merged);
    }
    merged
}

fn trim(delta: &mut [f32], density: f64) {
    let trimmed = sparsified(delta, Sparsifier::Magnitude { density }, None, KEY);
    delta.copy_from_slice(&trimmed);
}

fn l1(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(x.abs())).sum()
}

/// By hand: 7 elements; ⌊0.4 · 7⌋ = 2 are kept below the ⌊0.2 · 7⌋ = 1 largest. With γ = 0.9 there is no room for the
/// ⌊6.3⌋ = 6 largest to go, and the two smallest are kept.
#[test]
fn breadcrumbs_by_hand() {
    let delta = [1.0, -7.0, 3.0, -2.0, 6.0, 0.5, -4.0];
    let kept =
        |density, gamma| sparsified(&delta, Sparsifier::Outliers { density, gamma }, None, KEY);
    assert_eq!(kept(0.4, 0.2), [0.0, 0.0, 0.0, 0.0, 6.0, 0.0, -4.0]);
    assert_eq!(kept(0.4, 0.9), [1.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0]);
    assert_eq!(kept(0.4, 0.0), [0.0, -7.0, 0.0, 0.0, 6.0, 0.0, 0.0]);
    assert_eq!(kept(0.1, 0.0), [0.0; 7]);
    assert_eq!(kept(1.0, 0.5), delta);
}

/// DELLA, section 3.1: the probability rises with the rank in the row from density − ε to density + ε in equal steps,
/// and dividing by it keeps the expectation. Rows of 16: rank i has 0.3 + 0.4 i / 15.
#[test]
fn della_keeps_by_rank_and_keeps_the_expectation() {
    let row: Vec<f32> =
        (0..16).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 } * (1 + i) as f32).collect();
    let ranked = Sparsifier::Ranked { density: 0.5, epsilon: 0.2 };
    let (seeds, mut kept, mut sums) = (20_000, [0_u32; 16], [0.0_f64; 16]);
    for seed in 0..seeds {
        let delta = sparsified(&row, ranked, Some(RescaleRule::Density), MaskKey { seed, ..KEY });
        for (i, d) in delta.iter().enumerate() {
            kept[i] += u32::from(*d != 0.0);
            sums[i] += f64::from(*d);
        }
    }
    for i in 0..16 {
        let expected = 0.3 + 0.4 * i as f64 / 15.0;
        // Standard deviation of a share: at most 0.0036; of the mean relative to the element: at most 0.011.
        assert!((f64::from(kept[i]) / seeds as f64 - expected).abs() < 0.018, "{i}: {kept:?}");
        let relative = sums[i] / seeds as f64 / f64::from(row[i]) - 1.0;
        assert!(relative.abs() < 0.055, "{i}: {relative}");
    }
}

/// So that any part of a mask can be had alone.
#[test]
fn a_mask_is_decided_element_by_element() {
    let half = |element: u64| KEY.word(element) < 1 << 31;
    let expected: Vec<bool> = (0..3000).map(half).collect();
    assert_eq!(kept(KEY, 0.5, 3000), expected);
}

/// The standard deviation of a share over n elements is sqrt(d (1-d) / n) < 0.0016 here; 5 of them are allowed.
#[test]
fn the_share_of_kept_elements_is_the_density() {
    for density in [0.0, 0.1, 0.5, 0.9, 1.0 - 1e-12] {
        let kept = kept(KEY, density, 100_000).into_iter().filter(|kept| *kept).count();
        assert!((kept as f64 / 100_000.0 - density).abs() < 0.008, "{density}: {kept}");
    }
}

/// Two masks of density 1/2 agree on half of the elements if they are independent.
#[test]
fn masks_differ_by_seed_model_and_tensor() {
    let others = [
        MaskKey { seed: 43, ..KEY },
        MaskKey { model: "models/b", ..KEY },
        MaskKey { tensor: "lm_head.weight", ..KEY },
        MaskKey { model: "models/am", tensor: "odel.norm.weight", ..KEY },
    ];
    for other in others {
        let (ours, others) = (kept(KEY, 0.5, 10_000), kept(other, 0.5, 10_000));
        let agreeing = ours.iter().zip(&others).filter(|(a, b)| a == b).count();
        assert!((agreeing as f64 / 10_000.0 - 0.5).abs() < 0.025, "{other:?}: {agreeing}");
    }
}

/// The mean over seeds of a dropped-out and rescaled task vector is the task vector (DARE, equation 3).
#[test]
fn dropping_keeps_the_expectation() {
    let vector = [1.0_f32, -2.0, 0.5, 4.0];
    let (seeds, density) = (20_000, 0.3);
    let mut sums = [0.0_f64; 4];
    for seed in 0..seeds {
        let (random, rescale) = (Sparsifier::Random { density }, Some(RescaleRule::Density));
        let delta = sparsified(&vector, random, rescale, MaskKey { seed, ..KEY });
        sums.iter_mut().zip(delta).for_each(|(sum, d)| *sum += f64::from(d));
    }
    // Standard deviation of the mean, relative to the element: sqrt((1-d) / (d n)) = 0.011.
    for (sum, expected) in sums.iter().zip(vector) {
        let relative = sum / seeds as f64 / f64::from(expected) - 1.0;
        assert!(relative.abs() < 0.055, "{sums:?}");
    }
}

#[test]
fn rescaling_by_l1_keeps_the_l1_norm() {
    let before: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
    let random = Sparsifier::Random { density: 0.4 };
    let delta = sparsified(&before, random, Some(RescaleRule::L1), KEY);
    assert!((l1(&delta) / l1(&before) - 1.0).abs() < 1e-6);
    let factors = delta.iter().zip(&before).filter(|(d, _)| **d != 0.0).map(|(d, b)| d / b);
    let factors: Vec<f32> = factors.collect();
    assert!(factors.iter().all(|factor| (factor / factors[0] - 1.0).abs() < 1e-6));
    assert!((300..500).contains(&factors.len()), "{}", factors.len());
}

/// By hand. Element 0: 3 - 2 = 1 elects +, only the first agrees: 3 / 1. Element 1: both +: (1 + 3) / 2. Element 2:
/// 2 - 2 = 0 elects +: 2. Element 3: both -: (-4 - 1) / 2.
#[test]
fn ties_of_two_experts_by_hand() {
    let base = [10.0, 10.0, 10.0, 10.0];
    let experts: [&[f32]; 2] = [&[13.0, 11.0, 12.0, 6.0], &[8.0, 13.0, 8.0, 9.0]];
    let merged = ties(&base, &experts, &[1.0, 1.0], &[1.0, 1.0], MEAN);
    assert_eq!(merged, [13.0, 12.0, 12.0, 7.5]);
    // Density 1/2 trims the first to [3, 0, 0, -4] and the second to [-2, 3, 0, 0]: of its three of magnitude 2 and
    // one of 3, element 0 comes first.
    let experts: [&[f32]; 2] = [&[13.0, 11.0, 12.0, 6.0], &[8.0, 13.0, 8.0, 12.0]];
    let merged = ties(&base, &experts, &[1.0, 1.0], &[0.5, 0.5], MEAN);
    assert_eq!(merged, [13.0, 13.0, 10.0, 6.0]);
}

#[test]
fn trimming_keeps_the_first_of_equals() {
    let trimmed = |density| {
        let mut delta = [1.0, -2.0, 2.0, -2.0, 0.5];
        trim(&mut delta, density);
        delta
    };
    assert_eq!(trimmed(1.0), [1.0, -2.0, 2.0, -2.0, 0.5]);
    assert_eq!(trimmed(0.8), [1.0, -2.0, 2.0, -2.0, 0.0]);
    assert_eq!(trimmed(0.59), [0.0, -2.0, 2.0, 0.0, 0.0]);
    assert_eq!(trimmed(0.01), [0.0, -2.0, 0.0, 0.0, 0.0]);
    assert_eq!(trimmed(0.0), [0.0; 5]);
}

/// Tensors so large that the threshold is looked for between two elements of a sample; the oracle sorts all of them by
/// magnitude, then index. Smooth noise; few different magnitudes; nearly all 0; and sizes that grow along the tensor with
/// the largest elements where no sample is taken.
#[test]
fn trimming_a_large_tensor_keeps_what_a_full_sort_keeps() {
    let n = 300_007_u32;
    let noise = |i: u32| (f64::from(i.wrapping_mul(2_654_435_769)) / 2.0_f64.powi(32) - 0.5) as f32;
    let tensors: [fn(f32, u32) -> f32; 4] = [
        |noise, _| noise,
        |noise, _| (noise * 16.0).round() / 16.0,
        |noise, i| if i % 97 == 0 { noise } else { 0.0 },
        |noise, i| if i % 4096 > 4000 { 100.0 + noise } else { noise * i as f32 },
    ];
    for (number, tensor) in tensors.into_iter().enumerate() {
        let delta: Vec<f32> = (0..n).map(|i| tensor(noise(i), i)).collect();
        let mut order: Vec<usize> = (0..delta.len()).collect();
        order.sort_by(|a, b| delta[*b].abs().total_cmp(&delta[*a].abs()).then(a.cmp(b)));
        for density in [1e-5, 0.004, 0.02, 0.3, 0.5, 0.7, 0.9, 0.99999] {
            let mut expected = vec![0.0; delta.len()];
            let kept = ((density * f64::from(n)) as usize).max(1);
            order[..kept].iter().for_each(|i| expected[*i] = delta[*i]);
            let sparsifier = Sparsifier::Magnitude { density };
            let ours = sparsified(&delta, sparsifier, None, KEY);
            assert!(ours == expected, "tensor {number}, density {density}");
            let (weights, sparsifiers) = (vec![1.0], vec![sparsifier]);
            let mixing = PLAIN;
            let operation = TaskVectors {
                weights,
                sparsifiers,
                rescale: None,
                mask_seed: 0,
                elect_sign: false,
                mixing,
            };
            let prepared = Prepared::new();
            let zeros = vec![0.0; delta.len()];
            let ours = task_vectors(&zeros, &[&delta], &operation, KEY, Some(&prepared));
            assert!(ours == expected, "tensor {number}, density {density}, prepared");
        }
    }
}

fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1..60_usize).prop_flat_map(|n| {
        proptest::collection::vec(proptest::collection::vec(-10.0_f32..10.0, n), 3)
    })
}

fn weights() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(0.05_f32..1.0, 3)
}

fn close(a: &[f32], b: &[f32], tolerance: f32) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= tolerance)
}

proptest! {
    #[test]
    fn a_single_weight_gives_that_parent(vectors in vectors(), i in 0..3_usize) {
        let models: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let mut weights = [0.0; 3];
        weights[i] = 1.0;
        prop_assert_eq!(&linear(&models, &weights, true), &vectors[i]);
        let base = &vectors[(i + 1) % 3];
        let expected = &vectors[i];
        prop_assert!(close(&task_arithmetic(base, &models, &weights, PLAIN), expected, 2e-6));
        prop_assert!(close(&ties(base, &models, &weights, &[1.0; 3], MEAN), expected, 2e-6));
    }

    #[test]
    fn slerp_ends_at_its_ends(vectors in vectors()) {
        prop_assert_eq!(&slerp(&vectors[0], &vectors[1], 0.0), &vectors[0]);
        prop_assert_eq!(&slerp(&vectors[0], &vectors[1], 1.0), &vectors[1]);
    }

    /// On the sphere, slerp stays on the sphere and cuts the angle in the ratio t.
    #[test]
    fn slerp_of_unit_vectors_is_a_unit_vector_at_that_angle(angle in 0.1_f64..3.0, t in 0.0_f64..1.0) {
        let at = |angle: f64| [angle.cos() as f32, angle.sin() as f32];
        let merged = slerp(&at(0.0), &at(angle), t);
        prop_assert!(close(&merged, &at(t * angle), 2e-5), "{merged:?}");
    }

    #[test]
    fn equal_experts_give_themselves(vectors in vectors(), weights in weights()) {
        let expert = vectors[0].as_slice();
        let same = [expert; 3];
        let base = &vectors[1];
        prop_assert!(close(&linear(&same, &weights, true), expert, 1e-5));
        prop_assert!(close(&task_arithmetic(base, &same, &weights, MEAN), expert, 2e-5));
        prop_assert!(close(&ties(base, &same, &weights, &[1.0; 3], MEAN), expert, 2e-5));
        let trimmed = ties(base, &same, &weights, &[0.5; 3], MEAN);
        let alone = ties(base, &[expert], &[1.0], &[0.5], MEAN);
        prop_assert!(close(&trimmed, &alone, 2e-5));
    }

    /// Where the weighted sum is next to 0, its sign may turn with the order of the sum; such elements are left out.
    #[test]
    fn the_order_of_the_experts_does_not_matter(
        vectors in vectors(), base in -1.0_f32..1.0, weights in weights(), density in 0.05_f64..1.0,
    ) {
        let base = vec![base; vectors[0].len()];
        let models: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let turned: Vec<&[f32]> = vec![models[2], models[0], models[1]];
        let turned_weights = [weights[2], weights[0], weights[1]];
        let there = linear(&models, &weights, true);
        prop_assert!(close(&there, &linear(&turned, &turned_weights, true), 1e-4));
        let there = ties(&base, &models, &weights, &[density; 3], MEAN);
        let back = ties(&base, &turned, &turned_weights, &[density; 3], MEAN);
        let deltas: Vec<Vec<f32>> = models.iter().map(|model| {
            let mut delta = delta(&base, model);
            trim(&mut delta, density);
            delta
        }).collect();
        for i in 0..base.len() {
            let sum: f32 = deltas.iter().zip(&weights).map(|(delta, w)| delta[i] * w).sum();
            prop_assert!(sum.abs() < 1e-4 || (there[i] - back[i]).abs() < 1e-4, "{i}");
        }
    }

    #[test]
    fn trimming_keeps_the_largest(vector in proptest::collection::vec(any::<f32>(), 1..80), density in 0.0_f64..1.2) {
        let mut delta = vector.clone();
        trim(&mut delta, density);
        let kept = delta.iter().zip(&vector).filter(|(d, v)| d.to_bits() == v.to_bits() && **d != 0.0);
        let smallest = kept.clone().map(|(d, _)| d.abs()).fold(f32::INFINITY, f32::min);
        let dropped = delta.iter().zip(&vector).filter(|(d, v)| d.to_bits() != v.to_bits());
        prop_assert!(dropped.map(|(_, v)| v.abs()).all(|v| v.is_nan() || v <= smallest));
        let expected = match density {
            d if d <= 0.0 => 0,
            d if d >= 1.0 => vector.len(),
            d => ((d * vector.len() as f64) as usize).max(1),
        };
        prop_assert!(kept.count() <= expected);
    }
}
