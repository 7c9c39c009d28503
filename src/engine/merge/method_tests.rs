//! Against mergekit's own numbers (`tests/reference/mergekit/methods.py`), and laws.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const REFERENCE: &str = include_str!("../../../tests/reference/mergekit/methods.json");

/// Shape and stride of the expected elements that `methods.py` gives the "large" tensors.
const LARGE: (usize, usize) = (31, 100);
const LARGE_STRIDE: usize = 97;

#[test]
fn methods_agree_with_mergekit() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| difference(&reference["tensors"], case)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() > 200);
}

/// What is wrong with our result of a case, if anything.
fn difference(tensors: &Value, case: &Value) -> Option<String> {
    let label = format!("{} {} {}", case["set"], case["method"], case["parameters"]);
    let set = Set::of(tensors, case["set"].as_str().unwrap());
    let merged = match (merge(&set, case), case.get("error")) {
        (Err(_), Some(_)) => return None,
        (Err(error), None) => return Some(format!("{label}: {error}")),
        (Ok(_), Some(_)) => return Some(format!("{label}: no error")),
        (Ok(merged), None) => merged,
    };
    let scale = case["scale"].as_f64().unwrap().max(1e-30);
    let expected = floats(&case["expected"]);
    let ours: Vec<f32> = merged.into_iter().step_by(set.stride).collect();
    assert_eq!(ours.len(), expected.len(), "{label}");
    let gaps = ours.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs()) / scale);
    let worst = gaps.fold(0.0, |worst: f64, gap| if gap <= worst { worst } else { gap });
    (worst.is_nan() || worst > 1e-6).then(|| format!("{label} base {}: {worst:e}", case["base"]))
}

struct Set {
    base: Vec<f32>,
    experts: Vec<Vec<f32>>,
    height: usize,
    width: usize,
    stride: usize,
}

impl Set {
    fn of(tensors: &Value, name: &str) -> Set {
        if let Some(scale) = name.strip_prefix("large_") {
            let scale = scale.parse().unwrap();
            let (height, width) = LARGE;
            let experts = (1..4).map(|model| large(model, scale)).collect();
            return Set { base: large(0, scale), experts, height, width, stride: LARGE_STRIDE };
        }
        let set = &tensors[name];
        let experts = set["experts"].as_array().unwrap().iter().map(floats).collect();
        // A vector has one axis, which is the last and the first.
        let (height, width) = if name.starts_with("matrix") { (7, 5) } else { (9, 9) };
        Set { base: floats(&set["base"]), experts, height, width, stride: 1 }
    }
}

/// The formula of `methods.py`.
fn large(model: i64, scale: f64) -> Vec<f32> {
    let unit = |n: i64, a: i64| ((n * a + n * n % 911 * 37) % 2003) as f64 / 1001.0 - 1.0;
    let element = |n| match (unit(n, 1103) * 0.05, model) {
        (base, 0) => base as f32,
        (base, model) => (base + unit(n, 523 + 271 * model) * scale) as f32,
    };
    (0..(LARGE.0 * LARGE.1) as i64).map(element).collect()
}

fn floats(list: &Value) -> Vec<f32> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn merge(set: &Set, case: &Value) -> Result<Vec<f32>, MeanError> {
    let count = case["experts"].as_u64().unwrap() as usize;
    let experts: Vec<&[f32]> = set.experts[..count].iter().map(Vec::as_slice).collect();
    let (given, base) = (case["base"].as_bool().unwrap(), set.base.as_slice());
    let parameters = &case["parameters"];
    let number = |name: &str, default: f64| parameters[name].as_f64().unwrap_or(default);
    let truth = |name: &str, default: bool| parameters[name].as_bool().unwrap_or(default);
    let weights = || floats(&parameters["weight"]);
    let epsilon = number("epsilon", 1e-5) as f32;
    Ok(match case["method"].as_str().unwrap() {
        "karcher" => {
            let mut points = if given { vec![base] } else { Vec::new() };
            points.extend(&experts);
            karcher(&points, number("max_iter", 10.0) as usize, number("tol", 1e-5))
        }
        "nuslerp" => {
            let vectors = match (truth("nuslerp_flatten", true), truth("nuslerp_row_wise", false)) {
                (true, _) => VectorAxis::Whole,
                (false, true) => VectorAxis::First(set.height),
                (false, false) => VectorAxis::Last(set.width),
            };
            let pair = |list: &[f32]| [list[0], list[1]];
            nuslerp(given.then_some(base), [experts[0], experts[1]], pair(&weights()), vectors)
        }
        "multislerp" => {
            let normalize_weights = truth("normalize_weights", true);
            let options = SphereMean { normalize_weights, eps: number("eps", 1e-8) };
            multislerp(given.then_some(base), &experts, &weights(), options)?
        }
        "sce" => sce(base, &experts, number("select_topk", 1.0)),
        "ram" => ram(base, &experts, epsilon),
        "ramplus_tl" => {
            let (r, alpha) = (number("r", 0.1) as f32, number("alpha", 0.2) as f32);
            ramplus_tl(base, &experts, Amplification { r, alpha }, epsilon)
        }
        "model_stock" => {
            let width = truth("filter_wise", false).then_some(set.width);
            model_stock(base, &experts, width)
        }
        "nearswap" => nearswap(base, experts[0], number("t", f64::NAN) as f32),
        "arcee_fusion" => arcee_fusion(base, experts[0], set.width),
        other => panic!("{other}"),
    })
}

const SPHERE: SphereMean = SphereMean { normalize_weights: true, eps: 1e-8 };
const STOP: Weiszfeld = Weiszfeld { max_iter: 1000, tol: 1e-9 };

/// The number of rows of `vectors`' tensors that the tests of rows take.
const HEIGHT: usize = 3;

fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1..30_usize).prop_flat_map(|width| {
        let numbers = proptest::collection::vec(-10.0_f32..10.0, HEIGHT * width);
        proptest::collection::vec(numbers, 4)
    })
}

fn weights() -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec(0.05_f32..1.0, 3)
}

fn close(a: &[f32], b: &[f32], tolerance: f32) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= tolerance)
}

/// Every method of any number of experts, on three of them.
fn all_methods(base: &[f32], experts: &[&[f32]], weights: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let width = base.len() / HEIGHT;
    let amplified = Amplification { r: 0.3, alpha: 0.5 };
    let mean = |base| multislerp(base, experts, weights, SPHERE).unwrap();
    let median = |base| geometric_median(base, experts, weights, 1.0, STOP).unwrap();
    vec![
        ("karcher", karcher(experts, 10, 1e-5)),
        ("multislerp", mean(None)),
        ("multislerp from base", mean(Some(base))),
        ("sce", sce(base, experts, 1.0)),
        ("ram", ram(base, experts, 1e-5)),
        ("ramplus_tl", ramplus_tl(base, experts, amplified, 1e-5)),
        ("model_stock", model_stock(base, experts, None)),
        ("model_stock of rows", model_stock(base, experts, Some(width))),
        ("geometric_median", median(None)),
        ("geometric_median from base", median(Some(base))),
    ]
}

fn nuslerp_of_all_kinds(base: &[f32], pair: [&[f32]; 2], weights: [f32; 2]) -> Vec<Vec<f32>> {
    let kinds =
        [VectorAxis::Whole, VectorAxis::Last(base.len() / HEIGHT), VectorAxis::First(HEIGHT)];
    let merge = |kind| [None, Some(base)].map(|base| nuslerp(base, pair, weights, kind));
    kinds.into_iter().flat_map(merge).collect()
}

proptest! {
    #[test]
    fn equal_experts_give_themselves(vectors in vectors(), weights in weights()) {
        let (base, expert) = (vectors[0].as_slice(), vectors[1].as_slice());
        for (method, merged) in all_methods(base, &[expert; 3], &weights) {
            prop_assert!(close(&merged, expert, 2e-5), "{}: {:?}", method, merged);
        }
        for merged in nuslerp_of_all_kinds(base, [expert; 2], [weights[0], weights[1]]) {
            prop_assert!(close(&merged, expert, 2e-5), "{:?}", merged);
        }
        prop_assert!(close(&nearswap(expert, expert, 0.3), expert, 2e-6));
        prop_assert!(close(&arcee_fusion(expert, expert, 1), expert, 2e-6));
    }

    /// Sign elections next to 0 may turn with the order of their sums, so that SCE is left out where they do.
    #[test]
    fn the_order_of_the_experts_does_not_matter(vectors in vectors(), weights in weights()) {
        let base = &vectors[0];
        let experts: Vec<&[f32]> = vectors[1..].iter().map(Vec::as_slice).collect();
        let turned = [experts[2], experts[0], experts[1]];
        let turned_weights = [weights[2], weights[0], weights[1]];
        let there = all_methods(base, &experts, &weights);
        let back = all_methods(base, &turned, &turned_weights);
        let sum = |i: usize| -> f32 { experts.iter().map(|expert| expert[i] - base[i]).sum() };
        let undecided = (0..base.len()).any(|i| sum(i).abs() < 1e-4);
        for ((method, there), (_, back)) in there.into_iter().zip(back) {
            let scale = there.iter().fold(1.0_f32, |scale, x| scale.max(x.abs()));
            prop_assert!(
                method == "sce" && undecided || close(&there, &back, 2e-5 * scale),
                "{method}: {there:?} {back:?}"
            );
        }
        let pair = nuslerp_of_all_kinds(base, [experts[0], experts[1]], [weights[0], weights[1]]);
        let swap = nuslerp_of_all_kinds(base, [experts[1], experts[0]], [weights[1], weights[0]]);
        for (there, back) in pair.into_iter().zip(swap) {
            let scale = there.iter().fold(1.0_f32, |scale, x| scale.max(x.abs()));
            prop_assert!(close(&there, &back, 1e-5 * scale), "{there:?} {back:?}");
        }
    }

    #[test]
    fn a_single_weight_gives_that_expert(vectors in vectors(), i in 0..3_usize) {
        let base = &vectors[0];
        let experts: Vec<&[f32]> = vectors[1..].iter().map(Vec::as_slice).collect();
        let mut weights = [0.0; 3];
        weights[i] = 0.7;
        for base in [None, Some(base.as_slice())] {
            let merged = multislerp(base, &experts, &weights, SPHERE).unwrap();
            prop_assert!(close(&merged, experts[i], 2e-5), "{:?}", merged);
            let merged = geometric_median(base, &experts, &weights, 1.0, STOP).unwrap();
            prop_assert!(close(&merged, experts[i], 4e-6), "{:?}", merged);
        }
        let (pair, one) = ([experts[0], experts[1]], [[2.0, 0.0], [0.0, 2.0]]);
        for (weights, expert) in one.into_iter().zip(pair) {
            for merged in nuslerp_of_all_kinds(base, pair, weights) {
                prop_assert!(close(&merged, expert, 2e-5), "{:?}", merged);
            }
        }
    }

    /// The sum of weighted distances is convex, so that a point is its minimum if no small move lowers it.
    #[test]
    fn no_point_near_the_geometric_median_has_nearer_models(
        vectors in vectors(), weights in weights(), towards in 0..4_usize,
    ) {
        let models: Vec<&[f32]> = vectors[1..].iter().map(Vec::as_slice).collect();
        let median = geometric_median(None, &models, &weights, 1.0, STOP).unwrap();
        let cost = |point: &[f32]| -> f64 {
            let square = |model: &&[f32]| -> f64 {
                model.iter().zip(point).map(|(a, b)| f64::from(a - b).powi(2)).sum()
            };
            models.iter().zip(&weights).map(|(model, w)| f64::from(*w) * square(model).sqrt()).sum()
        };
        for step in [-0.1_f32, -0.01, -0.001, 0.001, 0.01, 0.1] {
            let moved: Vec<f32> =
                median.iter().zip(&vectors[towards]).map(|(m, x)| m + step * (x - m)).collect();
            prop_assert!(cost(&median) <= cost(&moved) * (1.0 + 1e-6), "{step}");
        }
    }

    /// Two unit vectors: their Karcher mean halves the angle, as slerp does.
    #[test]
    fn the_karcher_mean_of_two_directions_halves_the_angle(angle in 0.01_f64..3.0) {
        let at = |angle: f64| [angle.cos() as f32, angle.sin() as f32];
        let merged = karcher(&[&at(0.0), &at(angle)], 10, 1e-5);
        prop_assert!(close(&merged, &at(angle / 2.0), 1e-5), "{:?}", merged);
    }
}

fn median(models: &[&[f32]], weights: &[f32]) -> Vec<f32> {
    geometric_median(None, models, weights, 1.0, STOP).unwrap()
}

/// The median of points on a line is their median in one dimension.
#[test]
fn the_geometric_median_of_collinear_points_is_the_middle_one() {
    let points: [&[f32]; 3] = [&[0.0, 0.0], &[9.0, 18.0], &[1.0, 2.0]];
    assert_eq!(median(&points, &[1.0, 1.0, 1.0]), [1.0, 2.0]);
    // Weight more than the half.
    assert_eq!(median(&points, &[1.0, 2.5, 1.0]), [9.0, 18.0]);
    // Equal points weigh together.
    let points: [&[f32]; 4] = [&[0.0, 0.0], &[9.0, 18.0], &[1.0, 2.0], &[9.0, 18.0]];
    assert_eq!(median(&points, &[1.0, 1.0, 0.5, 1.0]), [9.0, 18.0]);
}

/// Fermat's point: the centroid of an equilateral triangle; an isosceles right triangle (0,0), (1,0), (0,1) sees its
/// sides under 120 degrees from x = y = (3 - √3)/6; an angle of 120 degrees or more is the point itself.
#[test]
fn the_geometric_median_of_a_triangle_is_its_fermat_point() {
    let height = 3.0_f32.sqrt() / 2.0;
    let triangle: [&[f32]; 3] = [&[0.0, 0.0], &[1.0, 0.0], &[0.5, height]];
    assert!(close(&median(&triangle, &[1.0; 3]), &[0.5, height / 3.0], 1e-6));
    let triangle: [&[f32]; 3] = [&[0.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]];
    assert!(close(&median(&triangle, &[2.0; 3]), &[(3.0 - 3.0_f32.sqrt()) / 6.0; 2], 1e-6));
    let triangle: [&[f32]; 3] = [&[-2.0, 0.0], &[2.0, 0.0], &[0.0, 0.5]];
    assert_eq!(median(&triangle, &[1.0; 3]), [0.0, 0.5]);
}

/// The iteration starts at the weighted mean, which here is the second point; Weiszfeld's own step divides by 0 there.
/// The pull of the others, 3/√2 - 1, is more than its weight, so that it is not the median. By symmetry that is on the
/// x axis, where `(x + 3) + x/4 + 3 √((1-x)² + 1)` is stationary: with `s = 5/12`, `1 - x = s / √(1 - s²)`.
#[test]
fn the_geometric_median_leaves_a_model_that_it_starts_from() {
    let points: [&[f32]; 4] = [&[-3.0, 0.0], &[0.0, 0.0], &[1.0, 1.0], &[1.0, -1.0]];
    let weights = [1.0, 0.25, 1.5, 1.5];
    // One step, equation 2.6 of Vardi & Zhang: (r - 1/4) / Σ w/d, with r = 3/√2 - 1 and Σ w/d = 1/3 + 3/√2.
    let once = Weiszfeld { max_iter: 1, tol: 0.0 };
    let merged = geometric_median(None, &points, &weights, 1.0, once).unwrap();
    let pull = 3.0 / 2.0_f32.sqrt();
    assert!(close(&merged, &[(pull - 1.25) / (1.0 / 3.0 + pull), 0.0], 1e-6), "{merged:?}");
    let s = 5.0_f32 / 12.0;
    let expected = [1.0 - s / (1.0 - s * s).sqrt(), 0.0];
    assert!(close(&median(&points, &weights), &expected, 1e-5), "{:?}", median(&points, &weights));
}

#[test]
fn the_geometric_median_is_scaled_from_the_base() {
    let (base, points): ([f32; 2], [&[f32]; 3]) =
        ([1.0, 1.0], [&[1.0, 3.0], &[1.0, 5.0], &[1.0, 9.0]]);
    let merged = geometric_median(Some(&base), &points, &[1.0; 3], 0.5, STOP).unwrap();
    assert_eq!(merged, [1.0, 3.0]);
}

#[test]
fn weights_without_a_mean_are_errors() {
    let points: [&[f32]; 2] = [&[1.0, 3.0], &[1.0, 5.0]];
    let median = |weights| geometric_median(None, &points, weights, 1.0, STOP);
    assert_eq!(median(&[0.0, 0.0]), Err(MeanError::ZeroWeight));
    assert_eq!(median(&[1.0, -0.5]), Err(MeanError::NegativeWeight { model: 1, weight: -0.5 }));
    assert!(matches!(median(&[f32::NAN, 1.0]), Err(MeanError::NegativeWeight { model: 0, .. })));
    let mean = multislerp(None, &points, &[1.0, -1.0], SPHERE);
    assert_eq!(mean, Err(MeanError::ZeroWeight));
}

/// mergekit raises here; a frozen tensor must not stop a merge.
#[test]
fn multislerp_of_experts_that_are_all_the_base_is_the_base() {
    let base: &[f32] = &[1.0, -2.0];
    let merged = multislerp(Some(base), &[base; 3], &[1.0; 3], SPHERE);
    assert_eq!(merged, Ok(base.to_vec()));
}

/// Vectors exactly opposite lie on no one great circle; mergekit's sine of rounding there is noise.
#[test]
fn nuslerp_of_opposite_vectors_is_linear() {
    let (vector, opposite): ([f32; 3], [f32; 3]) = ([1.0, 0.7, 0.1], [-1.0, -0.7, -0.1]);
    let merged = nuslerp(None, [&vector, &opposite], [0.75, 0.25], VectorAxis::Whole);
    assert!(close(&merged, &[0.5, 0.35, 0.05], 1e-6));
}

#[test]
fn tensors_without_elements_stay_so() {
    let empty: &[f32] = &[];
    for (method, merged) in all_methods(empty, &[empty; 3], &[1.0; 3]) {
        assert!(merged.is_empty(), "{method}");
    }
    assert!(nuslerp(None, [empty; 2], [1.0; 2], VectorAxis::First(0)).is_empty());
    assert!(arcee_fusion(empty, empty, 0).is_empty());
}
