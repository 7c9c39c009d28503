//! Laws of merging that hold whatever the weights are, through recipes and checkpoints on disk.

use merge_search::checkpoint::Checkpoint;
use merge_search::merge::{MergeError, MergePlan, MergedTensor, Prepared, merge_all};
use merge_search::recipe::{MergeMethod, ModelRef, Recipe};
use merge_search::submission::write_merged;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tiny::{bits, borrowed, merged_in_parts, message, noise, output, stored, tensor, write};

const LAYERS: usize = 2;

fn config() -> Value {
    json!({"model_type": "llama", "num_hidden_layers": LAYERS, "vocab_size": 6, "hidden_size": 4})
}

/// Names and shapes of a small Llama.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let of_layer = |layer: usize| {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        [
            (name("self_attn.q_proj"), vec![4, 4]),
            (name("mlp.up_proj"), vec![5, 4]),
            (name("input_layernorm"), vec![4]),
        ]
    };
    let mut shapes = vec![("model.embed_tokens.weight".to_owned(), vec![6, 4])];
    shapes.extend((0..LAYERS).flat_map(of_layer));
    shapes.push(("model.norm.weight".to_owned(), vec![4]));
    shapes.push(("lm_head.weight".to_owned(), vec![6, 4]));
    shapes
}

/// Models `m0`, `m1`, … in a folder that is removed with them.
struct Models {
    dir: TempDir,
    models: Vec<(ModelRef, Checkpoint)>,
}

fn name(model: usize) -> String {
    format!("m{model}")
}

impl Models {
    fn new(models: &[Vec<MergedTensor>]) -> Models {
        let dir = tempfile::tempdir().unwrap();
        let open = |(i, tensors): (usize, &Vec<MergedTensor>)| {
            let folder = dir.path().join(name(i));
            write(&folder, &config(), tensors);
            (ModelRef::new(name(i)).unwrap(), Checkpoint::open(&folder).unwrap())
        };
        let models = models.iter().enumerate().map(open).collect();
        Models { dir, models }
    }

    /// `values(model, elements)` makes one tensor's elements.
    fn of(count: usize, mut values: impl FnMut(usize, usize) -> Vec<f32>) -> Models {
        let mut model = |model: usize| -> Vec<MergedTensor> {
            let tensor = |(name, shape): (String, Vec<usize>)| {
                let values = values(model, shape.iter().product());
                tensor(&name, &shape, values)
            };
            shapes().into_iter().map(tensor).collect()
        };
        Models::new(&(0..count).map(&mut model).collect::<Vec<_>>())
    }

    fn plan(&self, recipe: &Recipe) -> Result<MergePlan<'_>, MergeError> {
        MergePlan::new(recipe, &borrowed(&self.models))
    }

    fn merged(&self, yaml: &str) -> Vec<MergedTensor> {
        let recipe = Recipe::from_yaml(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        let plan = self.plan(&recipe).unwrap_or_else(|error| panic!("{}\n{yaml}", message(&error)));
        merge_all(&plan).unwrap_or_else(|error| panic!("{}\n{yaml}", message(&error)))
    }

    fn values(&self, model: usize, tensor: &str) -> Vec<f32> {
        self.models[model].1.tensor(tensor).unwrap().into_owned()
    }

    fn require_bits_of(&self, model: usize, merged: &[MergedTensor]) -> Result<(), TestCaseError> {
        prop_assert_eq!(merged.len(), shapes().len());
        for tensor in merged {
            let own = self.values(model, &tensor.name);
            prop_assert_eq!(bits(&tensor.values), bits(&own), "{} of m{}", &tensor.name, model);
        }
        Ok(())
    }
}

/// Random elements, the same for the same seed, of -2 to 2.
fn random(seed: u64, count: usize) -> Models {
    let mut stream = seed;
    Models::of(count, |_, elements| {
        stream = stream.wrapping_add(1);
        noise(stream, elements)
    })
}

/// Multiples of 1/16, so that sums in any order are exact.
fn dyadic(seed: u64, count: usize) -> Models {
    let mut stream = seed;
    Models::of(count, |_, elements| {
        stream = stream.wrapping_add(1);
        noise(stream, elements).into_iter().map(|x| (x * 16.0).round() / 16.0).collect()
    })
}

fn close(a: &[MergedTensor], b: &[MergedTensor], tolerance: f32) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        prop_assert_eq!(&a.name, &b.name);
        for (i, (x, y)) in a.values.iter().zip(&b.values).enumerate() {
            prop_assert!((x - y).abs() <= tolerance, "{}[{}]: {} {}", &a.name, i, x, y);
        }
    }
    Ok(())
}

/// `models:` with a weight each.
fn weighted(models: &[(usize, f64)]) -> String {
    let entry = |(model, weight): &(usize, f64)| {
        format!("  - {{model: {}, parameters: {{weight: {weight:?}}}}}\n", name(*model))
    };
    format!("models:\n{}", models.iter().map(entry).collect::<String>())
}

/// What makes a method with equal experts give the expert, whatever the base is; `None`: no such setting.
fn returns_equal_experts(method: MergeMethod) -> Option<&'static str> {
    use MergeMethod::{
        ArceeFusion, Breadcrumbs, BreadcrumbsTies, DareLinear, DareTies, Della, DellaLinear,
        ExpertChoice, GeometricMedian, Karcher, Linear, ModelStock, Multislerp, Nearswap, Nuslerp,
        Passthrough, Ram, RamplusTl, Sce, Slerp, TaskArithmetic, Ties,
    };
    match method {
        Linear | TaskArithmetic | Ties => Some("normalize: true"),
        DareLinear | DareTies | Della | DellaLinear => Some("normalize: true, density: 1"),
        Breadcrumbs | BreadcrumbsTies => Some("normalize: true, density: 1, gamma: 0.3"),
        Slerp => Some("t: 1"),
        Nearswap => Some("t: 1e9"),
        // Takes over the elements that matter most only.
        ArceeFusion => None,
        // Without gains a task vector in which all agree is taken as it is.
        RamplusTl => Some("r: 0, epsilon: 0"),
        Ram => Some("epsilon: 0"),
        Nuslerp | Multislerp | Karcher | Sce | ModelStock | Passthrough | GeometricMedian
        | ExpertChoice => Some(""),
    }
}

/// How many experts a method takes where it may choose.
fn experts(method: MergeMethod) -> usize {
    method.count().most.min(3)
}

fn needs_t(method: MergeMethod) -> bool {
    matches!(method, MergeMethod::Slerp | MergeMethod::Nearswap)
}

fn method() -> impl Strategy<Value = MergeMethod> {
    proptest::sample::select(MergeMethod::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_weight_on_one_model_gives_that_model(
        seed: u64, chosen in 0..3_usize, method in proptest::sample::select(vec!["linear", "expert_choice"]),
        normalize: bool,
    ) {
        let models = random(seed, 3);
        let one_hot = [0, 1, 2].map(|model| (model, if model == chosen { 1.0 } else { 0.0 }));
        let yaml = format!(
            "merge_method: {method}\n{}parameters: {{normalize: {normalize}}}", weighted(&one_hot)
        );
        models.require_bits_of(chosen, &models.merged(&yaml))?;
    }

    /// Also on disk.
    #[test]
    fn passthrough_gives_the_model(seed: u64) {
        let models = random(seed, 1);
        let yaml = "merge_method: passthrough\nmodels: [{model: m0}]";
        models.require_bits_of(0, &models.merged(yaml))?;
        let recipe = Recipe::from_yaml(yaml).unwrap();
        let dir = models.dir.path().join("merged");
        write_merged(&recipe, &models.plan(&recipe).unwrap(), &output(&dir, u64::MAX)).unwrap();
        models.require_bits_of(0, &stored(&dir.join("model.safetensors")))?;
    }

    #[test]
    fn slerp_begins_at_the_base_and_ends_at_the_other(seed: u64) {
        let models = random(seed, 2);
        for t in [0, 1] {
            let yaml = format!(
                "merge_method: slerp\nbase_model: m0\nmodels: [{{model: m1}}]\nparameters: {{t: {t}}}"
            );
            models.require_bits_of(t, &models.merged(&yaml))?;
        }
    }

    #[test]
    fn equal_experts_give_themselves(seed: u64, method in method()) {
        let Some(parameters) = returns_equal_experts(method) else { return Ok(()) };
        let mut stream = [seed, seed ^ 1];
        let models = Models::of(4, |model, elements| {
            // The base is another model than the experts, which are one.
            let stream = &mut stream[usize::from(model > 0)];
            *stream = stream.wrapping_add(2);
            let seed = if model > 0 { seed.wrapping_add(elements as u64) } else { *stream };
            noise(seed, elements)
        });
        let weights: Vec<(usize, f64)> =
            (1..=experts(method)).map(|model| (model, 0.25 * model as f64)).collect();
        let yaml = format!(
            "merge_method: {method}\nbase_model: m0\n{}parameters: {{{parameters}}}", weighted(&weights)
        );
        // Where a base among the models is one like the others, it is left out.
        let yaml = match method.base() {
            merge_search::recipe::BaseUse::Ignored => yaml.replace("base_model: m0\n", ""),
            _ => yaml,
        };
        let merged = models.merged(&yaml);
        for tensor in &merged {
            let expert = models.values(1, &tensor.name);
            for (x, y) in tensor.values.iter().zip(&expert) {
                prop_assert!((x - y).abs() <= 1e-5, "{} {}: {} {}", method, &tensor.name, x, y);
            }
        }
    }

    /// With no task vector at all, every method gives the base, masks or not.
    #[test]
    fn experts_that_are_the_base_give_the_base(seed: u64, method in method()) {
        let models = Models::of(4, |_, elements| noise(seed.wrapping_add(elements as u64), elements));
        let weights: Vec<(usize, f64)> = (1..=experts(method)).map(|model| (model, 0.3)).collect();
        let base = method.base() != merge_search::recipe::BaseUse::Ignored;
        let yaml = format!(
            "merge_method: {method}\n{}{}parameters: {{{}density: 0.5}}",
            if base { "base_model: m0\n" } else { "" },
            weighted(&weights),
            if needs_t(method) { "t: 0.4, " } else { "" },
        );
        let base: Vec<MergedTensor> = models.merged("merge_method: passthrough\nmodels: [{model: m0}]");
        close(&models.merged(&yaml), &base, 1e-5)?;
    }

    /// Weights and elements whose sums are exact: a sign that hangs on rounding would be decided by the order.
    #[test]
    fn the_order_of_the_experts_does_not_matter(
        seed: u64, method in method(), base in any::<bool>(), density in 0.1_f64..0.9,
        weights in proptest::sample::subsequence(vec![0.25, 0.5, 0.75, 1.25, 1.5], 3),
    ) {
        prop_assume!(experts(method) > 1);
        let models = dyadic(seed, 4);
        let base = match method.base() {
            merge_search::recipe::BaseUse::Ignored => false,
            merge_search::recipe::BaseUse::Optional => base,
            merge_search::recipe::BaseUse::Required => true,
        };
        let merged = |order: &[usize]| {
            let entries: Vec<(usize, f64)> =
                order.iter().map(|model| (*model, weights[model - 1])).collect();
            models.merged(&format!(
                "merge_method: {method}\n{}{}parameters: {{density: {density}, epsilon: 0.05, rescale: false}}",
                if base { "base_model: m0\n" } else { "" }, weighted(&entries),
            ))
        };
        if experts(method) == 2 {
            return close(&merged(&[1, 2]), &merged(&[2, 1]), 1e-5);
        }
        let there = merged(&[1, 2, 3]);
        for order in [[2, 1, 3], [3, 1, 2], [3, 2, 1]] {
            close(&there, &merged(&order), 1e-5)?;
        }
    }
}

/// Values that a parameter may have, and some that it may not.
fn number() -> impl Strategy<Value = String> {
    let odd = vec![
        "0",
        "1",
        "-1",
        "1e-12",
        "0.5",
        "2.5",
        "-3.0e+4",
        "1.0e+30",
        "1.7976931348623157e+308",
    ];
    prop_oneof![
        4 => (0.0..1.0_f64).prop_map(|x| format!("{x:.3}")),
        2 => (-2.0..2.0_f64).prop_map(|x| format!("{x:.3}")),
        1 => (0..40_u32).prop_map(|x| x.to_string()),
        2 => proptest::sample::select(odd).prop_map(str::to_owned),
        1 => any::<bool>().prop_map(|x| x.to_string()),
    ]
}

fn setting() -> impl Strategy<Value = String> {
    let profile = || {
        prop_oneof![
            5 => number(),
            1 => proptest::collection::vec(number(), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
        ]
    };
    let filter = proptest::sample::select(vec!["mlp", "self_attn", "'*'", "nowhere", "norm"]);
    prop_oneof![
        5 => profile(),
        1 => (filter, profile(), profile())
            .prop_map(|(filter, a, b)| format!("[{{filter: {filter}, value: {a}}}, {{value: {b}}}]")),
    ]
}

/// Settings of parameters of the method, and of one of another; `t` and `weight` often enough to be merged.
fn parameters(method: MergeMethod) -> impl Strategy<Value = String> {
    let specs: Vec<&str> = method.parameters().iter().map(|spec| spec.name).collect();
    let count = specs.len();
    let chosen = proptest::sample::subsequence(specs, 0..=count);
    chosen
        .prop_flat_map(|names| {
            let settings = proptest::collection::vec(setting(), names.len());
            settings.prop_map(move |settings| {
                let pairs = names.iter().zip(settings);
                pairs.map(|(name, setting)| format!("{name}: {setting}")).collect::<Vec<_>>()
            })
        })
        .prop_map(|pairs| format!("{{{}}}", pairs.join(", ")))
}

/// Any method over `m0` to `m3` with any parameters, in any layout.
fn yaml() -> impl Strategy<Value = String> {
    let dtypes = proptest::sample::select(vec!["", "dtype: bfloat16\n", "out_dtype: float16\n"]);
    let order = Just(vec![0, 1, 2, 3]).prop_shuffle();
    method().prop_flat_map(move |method| {
        let count = 1..=experts(method).max(2);
        let own = proptest::collection::vec(parameters(method), 4);
        let (order, dtypes) = (order.clone(), dtypes.clone());
        let top = (parameters(method), setting(), proptest::bool::weighted(0.9));
        let layout = (any::<bool>(), proptest::option::weighted(0.9, Just(())));
        (order, count, own, top, layout, dtypes, 0..3_u64).prop_map(
            move |(order, count, own, (top, needed, is_set), (sliced, base), dtype, seed)| {
                let entry = |model: usize| {
                    let range = if sliced { ", layer_range: [1, 2]" } else { "" };
                    format!("{{model: {}{range}, parameters: {}}}", name(model), own[model])
                };
                let mut used: Vec<usize> = order[..count].to_vec();
                if base.is_some() && sliced {
                    used.push(order[3]);
                }
                used.dedup();
                let entries = used.iter().map(|model| entry(*model)).collect::<Vec<_>>().join(", ");
                let layout = match sliced {
                    true => format!("slices: [{{sources: [{entries}]}}, {{sources: [{entries}]}}]"),
                    false => format!("models: [{entries}]"),
                };
                let needed = match method.parameters().iter().find(|spec| spec.default.is_none()) {
                    Some(spec) if is_set && !top.contains(&format!("{}:", spec.name)) => {
                        format!("{}: {needed}, ", spec.name)
                    }
                    _ => String::new(),
                };
                let base = base.map_or(String::new(), |()| format!("base_model: {}\n", name(order[3])));
                format!(
                    "merge_method: {method}\n{base}{layout}\n{dtype}parameters: {{mask_seed: {seed}, {needed}{}\n",
                    &top[1..]
                )
            },
        )
    })
}

/// What models may be like: random, alike, next to one another, zero, opposite, huge, tiny.
fn models() -> impl Strategy<Value = (u64, u8)> {
    (any::<u64>(), 0..7_u8)
}

fn made((seed, kind): (u64, u8)) -> Models {
    let mut stream = seed;
    Models::of(4, |model, elements| {
        stream = stream.wrapping_add(1);
        let same = noise(seed.wrapping_add(elements as u64), elements);
        let own = noise(stream, elements);
        let sign = if model % 2 == 0 { 1.0 } else { -1.0 };
        let element = |(same, own): (f32, f32)| match kind {
            0 => own,
            1 => same,
            2 => same + 1e-4 * own,
            3 => 0.0,
            4 => sign * same,
            5 => own * 1e38,
            _ => own * 1e-30,
        };
        same.into_iter().zip(own).map(element).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No recipe brings the merge down: it is written with finite elements, or refused by an error that says something.
    #[test]
    fn every_recipe_is_merged_to_finite_weights_or_refused(models in models(), yaml in yaml()) {
        let recipe = Recipe::from_yaml(&yaml).map_err(|e| TestCaseError::fail(format!("{e}\n{yaml}")))?;
        let models = made(models);
        let plan = match models.plan(&recipe) {
            Ok(plan) => plan,
            Err(error) => {
                prop_assert!(message(&error).len() > 20, "{}", message(&error));
                return Ok(());
            }
        };
        let merged = merge_all(&plan);
        let largest = |tensor: &MergedTensor| tensor.values.iter().fold(0.0_f32, |largest, x| {
            if x.is_nan() { f32::INFINITY } else { largest.max(x.abs()) }
        });
        let fits = |tensors: &Vec<MergedTensor>| tensors.iter().all(|tensor| largest(tensor) <= 65_504.0);
        if merged.as_ref().is_ok_and(fits) {
            return Ok(());
        }
        // Too large for a number, or for a float16: must be refused, unless it is written as a type that can hold it.
        let dir = models.dir.path().join("merged");
        match write_merged(&recipe, &plan, &output(&dir, u64::MAX)) {
            Ok(()) => Checkpoint::open(&dir).unwrap().require_finite().unwrap(),
            Err(error) => {
                prop_assert!(message(&error).len() > 20, "{}", message(&error));
                prop_assert_eq!(std::fs::read_dir(models.dir.path()).unwrap().count(), 4);
            }
        }
    }
}

/// Two tensors of several blocks, one of them with a length that is no multiple of anything.
fn long(seed: u64) -> Models {
    let tensors = |model: u64| {
        let name = |part: &str| format!("model.layers.0.{part}.weight");
        vec![
            tensor(&name("mlp.up_proj"), &[61, 83], noise(seed.wrapping_add(model), 61 * 83)),
            tensor(&name("input_layernorm"), &[1025], noise(seed.wrapping_sub(model), 1025)),
        ]
    };
    let dir = tempfile::tempdir().unwrap();
    let open = |model: usize| {
        let folder = dir.path().join(name(model));
        let config = json!({"model_type": "llama", "num_hidden_layers": 1});
        write(&folder, &config, &tensors(model as u64));
        (ModelRef::new(name(model)).unwrap(), Checkpoint::open(&folder).unwrap())
    };
    let models = (0..4).map(open).collect();
    Models { dir, models }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Parts of any multiple of 1024 elements, alone and in any order; and with what a search keeps between recipes.
    #[test]
    fn a_tensor_is_the_same_however_it_is_asked_for(
        seed: u64, method in method(), part in 1..6_usize, density in 0.0_f64..1.0, rule in 0..2_usize,
        weight in 0.1_f64..2.0,
    ) {
        let models = long(seed);
        let entries: Vec<(usize, f64)> =
            (1..=experts(method)).map(|model| (model, weight * model as f64)).collect();
        let base = method.base() != merge_search::recipe::BaseUse::Ignored;
        let epsilon = density.min(1.0 - density) / 2.0;
        let rescale = if method.is_random() { [", rescale_by: l1", ", rescale_by: density"][rule] } else { "" };
        let recipe = |density: f64| {
            let yaml = format!(
                "merge_method: {method}\n{}{}parameters: {{density: {density}, epsilon: {epsilon}, \
                 select_topk: {density}, t: 0.3{rescale}}}",
                if base { "base_model: m0\n" } else { "" }, weighted(&entries),
            );
            Recipe::from_yaml(&yaml).unwrap()
        };
        let prepared = Prepared::new();
        // What another recipe has left behind changes nothing.
        for density in [density, 0.5, density] {
            let recipe = recipe(density);
            let Ok(plan) = models.plan(&recipe) else { continue };
            for (i, planned) in plan.tensors().iter().enumerate() {
                let mut whole = vec![f32::NAN; planned.elements()];
                plan.merge_into(planned, None, &mut whole).unwrap();
                let mut again = vec![f32::NAN; planned.elements()];
                plan.merge_into(planned, Some(&prepared), &mut again).unwrap();
                prop_assert_eq!(bits(&whole), bits(&again), "{} prepared", method);
                let in_parts = merged_in_parts(&plan, i, 1024 * part);
                prop_assert_eq!(bits(&whole), bits(&in_parts), "{} in parts", method);
            }
        }
    }
}
