//! Layers chosen, left out, repeated, moved and scaled: against mergekit and transformers
//! (`tests/reference/mergekit/depth.py`), and by law.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::Checkpoint;
use merge_search::genome::{Decoder, Dimension, Domain, Gene, Genotype, GroupFilters};
use merge_search::merge::{MergePlan, MergedTensor, PlannedTensor, merge_all};
use merge_search::model::{Network, NetworkSpec, Precision};
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::space::SearchSpace;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::model::{score, sequence};
use crate::tiny::borrowed;

const LAYERS: usize = 5;

#[derive(Deserialize)]
struct Reference {
    tokens: Vec<u32>,
    stride: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    merge: String,
    parameters: String,
    routing: String,
    genes: BTreeMap<String, Value>,
    layers: usize,
    /// Some elements of each.
    tensors: BTreeMap<String, Vec<f32>>,
    log_probs: Vec<f32>,
}

fn reference() -> Reference {
    let path = "tests/reference/mergekit/depth.json";
    let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/made.toml")
}

fn text(merge: &str, parameters: &str, routing: &str) -> String {
    let experts = ["arithmetic", "logic", "strings", "agreement"];
    let experts = experts.map(|name| format!("{name} = \"quickstart/{name}\"\n")).concat();
    format!(
        "name = \"s\"\n[models]\nbase = \"quickstart/base\"\n[models.experts]\n{experts}[merge]\n{merge}\n\
         [parameters]\n{parameters}\n{routing}\n[tasks]\nfolders = [\"t\"]\n"
    )
}

fn decoder(merge: &str, parameters: &str, routing: &str) -> Decoder {
    let space = SearchSpace::parse(&text(merge, parameters, routing), &file()).unwrap();
    Decoder::new(space, LAYERS, GroupFilters::llama()).unwrap()
}

fn routed(merge: &str, parameters: &str, routing: &str) -> Decoder {
    decoder(merge, parameters, &format!("[routing.layers]\n{routing}"))
}

/// Every gene by name; none too many.
fn genotype(decoder: &Decoder, mut genes: BTreeMap<String, Value>) -> Genotype {
    let gene = |dimension: &Dimension| {
        let value = genes.remove(&dimension.name);
        let value = value.unwrap_or_else(|| panic!("gene {}", dimension.name));
        match &dimension.domain {
            Domain::Categorical { choices } => {
                let word = value.as_str().unwrap();
                Gene::Category(choices.iter().position(|choice| choice == word).unwrap())
            }
            _ => Gene::Real(value.as_f64().unwrap()),
        }
    };
    let found = Genotype(decoder.dimensions().iter().map(gene).collect());
    assert!(genes.is_empty(), "no such genes: {genes:?}");
    found
}

fn checkpoints(recipe: &Recipe) -> Vec<(ModelRef, Checkpoint)> {
    let open =
        |model: &&ModelRef| ((*model).clone(), Checkpoint::open(Path::new(&model.path())).unwrap());
    recipe.models().iter().map(open).collect()
}

fn network(plan: &MergePlan, tensors: &[MergedTensor]) -> Network {
    let has = |name: &str| tensors.iter().any(|tensor| tensor.name == name);
    let spec = NetworkSpec::from_json(&plan.config().unwrap(), &has).unwrap();
    let network = Network::new(&spec, Precision::F32).unwrap();
    for tensor in tensors {
        network.write(&tensor.name, &tensor.values).unwrap();
    }
    network
}

fn largest(differences: impl Iterator<Item = f32>) -> f32 {
    differences.fold(0.0, |largest, off| if off.is_nan() { off } else { largest.max(off.abs()) })
}

#[test]
fn genes_of_layers_make_the_models_that_mergekit_makes() {
    let Reference { tokens, stride, cases } = reference();
    for case in cases {
        let decoder = routed(&case.merge, &case.parameters, &case.routing);
        // Written and read back: as mergekit would see it.
        let recipe = decoder.decode(&genotype(&decoder, case.genes));
        let recipe = Recipe::from_yaml(&recipe.to_yaml()).unwrap();
        let models = checkpoints(&recipe);
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        assert_eq!(plan.config().unwrap()["num_hidden_layers"], case.layers, "{}", case.name);
        let merged = merge_all(&plan).unwrap();
        let names: Vec<&String> = case.tensors.keys().collect();
        let mut ours: Vec<&String> = merged.iter().map(|tensor| &tensor.name).collect();
        ours.sort();
        assert_eq!(ours, names, "{}", case.name);
        let off = merged.iter().map(|tensor| {
            let stride = if tensor.values.len() > 80 { stride } else { 16 };
            let some = tensor.values.iter().step_by(stride);
            largest(some.zip(&case.tensors[&tensor.name]).map(|(a, b)| a - b))
        });
        let off = largest(off);
        let whole = sequence(tokens.clone(), 1);
        let scored = score(&network(&plan, &merged), &[&whole]);
        let said = largest(scored[0].iter().zip(&case.log_probs).map(|(a, b)| a - b));
        println!("{}: elements differ by {off:e}, log-probabilities by {said:e}", case.name);
        assert!(off <= 1e-6, "{}: {off:e}", case.name);
        assert_eq!(scored[0].len(), case.log_probs.len());
        assert!(said <= 1e-4, "{}: {said:e}", case.name);
    }
}

/// `[merge]` and `[parameters]`.
const SPACES: [(&str, &str); 4] = [
    (
        "methods = [\"task_arithmetic\", \"ties\"]\ngroups = [\"attention\", \"mlp\"]\ncontrol_points = 2",
        "weight = { range = [0.0, 1.5], per = [\"expert\", \"group\", \"depth\"] }\ndensity = { range = [0.2, 1.0] }\nlambda = { range = [0.5, 1.5], per = [\"depth\"] }",
    ),
    (
        "methods = [\"breadcrumbs\"]\nchoose_experts = true\nlayer_granularity = 2",
        "weight = { range = [0.0, 1.0], per = [\"expert\", \"depth\"] }\ngamma = { range = [0.0, 0.2] }\ndensity = 0.7",
    ),
    (
        "methods = [\"linear\"]\ngroups = [\"embeddings\", { filter = \"o_proj\" }]\nchoose_experts = true\ncontrol_points = 3",
        "weight = { range = [0.1, 1.0], per = [\"expert\", \"group\", \"depth\"] }\nnormalize = { choices = [true, false] }",
    ),
    ("methods = [\"expert_choice\"]", "weight = { range = [0.0, 1.0], per = [\"expert\"] }"),
];

const ROUTING: [&str; 3] = [
    "choose_source = true",
    "depth = [\"skip\", \"keep\", \"swap\", \"repeat\"]",
    "layers_per_block = 2\nchoose_source = true\ndepth = [\"keep\", \"skip\", \"repeat\"]",
];

fn gene(dimension: &Dimension) -> BoxedStrategy<Gene> {
    match dimension.domain.clone() {
        Domain::Continuous { low, high } => (low..=high).prop_map(Gene::Real).boxed(),
        Domain::Integer { low, high } => (low..=high).prop_map(Gene::Integer).boxed(),
        Domain::Categorical { choices } => (0..choices.len()).prop_map(Gene::Category).boxed(),
    }
}

fn any_candidate() -> impl Strategy<Value = (Decoder, Decoder, Genotype)> {
    let spaces = (proptest::sample::select(&SPACES[..]), proptest::sample::select(&ROUTING[..]));
    spaces.prop_flat_map(|((merge, parameters), routing)| {
        let (plain, routed) = (decoder(merge, parameters, ""), routed(merge, parameters, routing));
        let genes: Vec<_> = routed.dimensions().iter().map(gene).collect();
        genes.prop_map(move |genes| (plain.clone(), routed.clone(), Genotype(genes)))
    })
}

fn word<'d>(decoder: &'d Decoder, genotype: &Genotype, name: &str) -> Option<&'d str> {
    let at = decoder.dimensions().iter().position(|dimension| dimension.name == name)?;
    match (&decoder.dimensions()[at].domain, genotype.0[at]) {
        (Domain::Categorical { choices }, Gene::Category(choice)) => Some(&choices[choice]),
        _ => None,
    }
}

/// By what stands in which layer, whatever number the layer has.
fn of_layer<'p>(plan: &'p MergePlan, layer: usize) -> Vec<(String, &'p PlannedTensor)> {
    let prefix = format!("model.layers.{layer}.");
    let own = plan.tensors().iter();
    own.filter_map(|tensor| Some((tensor.name.strip_prefix(&prefix)?.to_owned(), tensor))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn layers_are_counted_and_merged_as_in_their_own_places((plain, routed, genotype) in any_candidate()) {
        let block = routed.space().routing.layers.as_ref().unwrap().layers_per_block;
        let whole = plain.decode(&Genotype(genotype.0[..plain.dimensions().len()].to_vec()));
        let recipe = routed.decode(&genotype);
        let (models, all) = (checkpoints(&recipe), checkpoints(&whole));
        let plan = MergePlan::new(&recipe, &borrowed(&models)).unwrap();
        let whole = MergePlan::new(&whole, &borrowed(&all)).unwrap();
        let source_layers = &plan.source_layers()[0];
        let times = |layer: usize| match word(&routed, &genotype, &format!("depth.{}", layer / block)) {
            Some("skip") => 0,
            Some("repeat") => 2,
            _ => 1,
        };
        let expected: usize = (0..LAYERS).map(times).sum();
        prop_assert_eq!(source_layers.len(), if expected == 0 { block } else { expected });
        for (number, layer) in source_layers.iter().enumerate() {
            let source = word(&routed, &genotype, &format!("source.{}", layer / block));
            let (ours, theirs) = (of_layer(&plan, number), of_layer(&whole, *layer));
            prop_assert_eq!(ours.len(), theirs.len());
            for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
                if source.is_none_or(|source| source == "merged") && recipe.merge_method == whole_method(&plain, &genotype) {
                    prop_assert_eq!(&ours.operation, &theirs.operation, "{} {}", layer, name);
                }
            }
        }
    }

    #[test]
    fn keeping_everything_is_the_plain_space((plain, routed, genotype) in any_candidate()) {
        let own = plain.dimensions().len();
        let start = routed.start();
        let kept: Vec<Gene> = genotype.0[..own].iter().chain(&start.0[own..]).copied().collect();
        let expected = plain.decode(&Genotype(genotype.0[..own].to_vec()));
        prop_assert_eq!(routed.decode(&Genotype(kept)), expected);
    }
}

/// Words must be the same; numbers may differ by rounding.
fn same_yaml(a: &str, b: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let ends = |c: char| c.is_whitespace() || "{}[],:".contains(c);
        text.split(ends).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (a, b) = (words(a), words(b));
    let same = |(a, b): (&String, &String)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-8,
        _ => a == b,
    };
    a.len() == b.len() && a.iter().zip(&b).all(same)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_encoded_decodes_to_the_same_merge((plain, routed, genotype) in any_candidate()) {
        let recipe = routed.decode(&genotype);
        match routed.encode(&recipe) {
            Ok(again) => {
                let again = routed.decode(&again);
                prop_assert!(same_yaml(&again.to_yaml(), &recipe.to_yaml()), "{}", again.to_yaml());
            }
            // Every layer says all of a space without depth; nothing is lost with those left out.
            Err(error) => {
                let lossless = plain.dimensions().len() <= 4
                    && routed.dimensions().iter().all(|dimension| !dimension.name.starts_with("source"));
                prop_assert!(!lossless, "{error}\n{}", recipe.to_yaml());
            }
        }
    }
}

#[test]
fn gradients_are_told_from_the_layers_that_are_merged() {
    let (merge, parameters) = SPACES[0];
    let decoder =
        routed(merge, parameters, "choose_source = true\ndepth = [\"keep\", \"skip\", \"swap\"]");
    let mut genotype = decoder.start();
    for (gene, dimension) in genotype.0.iter_mut().zip(decoder.dimensions()) {
        match dimension.name.as_str() {
            "method" => {}
            // Layers 0, 3, 2, 4 of the output: of these 0 and 2 are merged.
            "depth.1" => *gene = Gene::Category(1),
            "depth.2" => *gene = Gene::Category(2),
            "source.3" => *gene = Gene::Category(2),
            "source.4" => *gene = Gene::Category(1),
            name => {
                if let Gene::Real(value) = gene {
                    *value = 0.5
                        + name.len() as f64 / 100.0
                        + name.bytes().map(f64::from).sum::<f64>() / 1e4;
                }
            }
        }
    }
    let found = decoder.encode(&decoder.decode(&genotype)).unwrap();
    for ((found, expected), dimension) in found.0.iter().zip(&genotype.0).zip(decoder.dimensions())
    {
        match (found, expected) {
            // The method has no use for it.
            _ if dimension.name == "density" => {}
            (Gene::Real(a), Gene::Real(b)) => assert!((a - b).abs() < 1e-9, "{}", dimension.name),
            (a, b) => assert_eq!(a, b, "{}", dimension.name),
        }
    }
}

#[test]
fn an_order_that_no_genes_give_is_named() {
    let decoder = routed(
        "methods = [\"linear\"]",
        "weight = { range = [0.0, 1.0], per = [\"expert\"] }",
        "depth = [\"keep\", \"swap\"]",
    );
    let plain = decoder.decode(&decoder.start());
    let sources = |layer: usize| {
        let source = |model: &&ModelRef| {
            format!(
                "{{model: {model}, layer_range: [{layer}, {}], parameters: {{weight: 0.5}}}}",
                layer + 1
            )
        };
        let all: Vec<String> = plain.models().iter().map(source).collect();
        format!("  - sources: [{}]\n", all.join(", "))
    };
    let recipe = |layers: &[usize]| {
        let slices: String = layers.iter().map(|layer| sources(*layer)).collect();
        Recipe::from_yaml(&format!("merge_method: linear\nslices:\n{slices}")).unwrap()
    };
    assert!(decoder.encode(&recipe(&[1, 2, 0, 4, 3])).is_ok());
    for wrong in [&[4, 3, 2, 1, 0][..], &[0, 1, 2, 3], &[0, 0, 1, 2, 3, 4]] {
        let said = decoder.encode(&recipe(wrong)).unwrap_err().to_string();
        assert!(said.contains(&format!("{wrong:?}")), "{said}");
    }
}

/// Where no expert takes part, the base model comes back, by whichever method.
fn whole_method(plain: &Decoder, genotype: &Genotype) -> merge_search::recipe::MergeMethod {
    plain.decode(&Genotype(genotype.0[..plain.dimensions().len()].to_vec())).merge_method
}

#[test]
fn blocks_have_the_genes_that_mean_something() {
    let names = |routing: &str| -> Vec<(String, Domain)> {
        let decoder = routed(SPACES[3].0, SPACES[3].1, routing);
        let own =
            decoder.dimensions().iter().filter(|dimension| !dimension.name.starts_with("weight"));
        own.map(|dimension| (dimension.name.clone(), dimension.domain.clone())).collect()
    };
    let words = |words: &[&str]| Domain::Categorical {
        choices: words.iter().map(|word| (*word).to_owned()).collect(),
    };
    let found =
        names("layers_per_block = 3\nchoose_source = true\ndepth = [\"swap\", \"skip\", \"keep\"]");
    let sources = words(&["merged", "base", "arithmetic", "logic", "strings", "agreement"]);
    let expected = [
        ("source.0".to_owned(), sources.clone()),
        ("depth.0".to_owned(), words(&["keep", "skip", "swap"])),
        ("source.1".to_owned(), sources),
        ("depth.1".to_owned(), words(&["keep", "skip"])),
    ];
    assert_eq!(found, expected);
    // One block: there is nothing to leave out, nor to change places with.
    let found = names("layers_per_block = 9\ndepth = [\"swap\", \"skip\", \"keep\", \"repeat\"]");
    assert_eq!(found, [("depth.0".to_owned(), words(&["keep", "repeat"]))]);
}

#[test]
fn tables_that_make_no_sense_are_refused_by_key_and_value() {
    let weight = "weight = { range = [0.0, 1.0] }";
    let cases = [
        ("task_arithmetic", weight, "", "`routing.layers` is without effect"),
        ("task_arithmetic", weight, "depth = [\"keep\"]", "`routing.layers` is without effect"),
        (
            "task_arithmetic",
            weight,
            "depth = [\"skip\"]",
            "`routing.layers.depth` is without `keep`",
        ),
        ("task_arithmetic", weight, "depth = [\"keep\", \"keep\"]", "with `keep` twice"),
        ("task_arithmetic", weight, "depth = [\"keep\", \"drop\"]", "keep, skip, repeat, swap"),
        ("task_arithmetic", weight, "depths = []", "unknown field `depths`"),
        (
            "linear",
            weight,
            "layers_per_block = 0\nchoose_source = true",
            "`routing.layers.layers_per_block` is 0",
        ),
        (
            "linear",
            weight,
            "scale = { range = [1.2, 1.5] }",
            "`routing.layers.scale.range` is [1.2, 1.5]",
        ),
        ("linear", weight, "scale = { range = [1.0, 1.0] }", "low < high"),
        ("ties", weight, "scale = { range = [0.5, 1.5] }", "only methods of linear, passthrough"),
        (
            "sce",
            "",
            "choose_source = true",
            "`routing.layers.choose_source` is set with method sce",
        ),
    ];
    for (method, parameters, routing, expected) in cases {
        let table = format!("[routing.layers]\n{routing}");
        let text = text(&format!("methods = [\"{method}\"]"), parameters, &table);
        let said = SearchSpace::parse(&text, &file()).unwrap_err().to_string();
        assert!(said.contains(expected) && said.contains("made.toml"), "{routing}: {said}");
    }
    let merge = "methods = [\"passthrough\"]\nlayer_granularity = 1";
    for (routing, expected) in [
        ("choose_source = true", "set with method passthrough"),
        ("scale = { range = [0.5, 1.5] }", "given with `parameters.scale`"),
    ] {
        let table = format!("[routing.layers]\n{routing}");
        let text = text(merge, "scale = { range = [0.5, 1.5], per = [\"depth\"] }", &table);
        let said = SearchSpace::parse(&text, &file()).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    let space =
        text("methods = [\"linear\"]", weight, "[routing.layers]\nscale = { range = [0.5, 1.5] }");
    let space = SearchSpace::parse(&space, &file()).unwrap();
    let said = Decoder::new(space, LAYERS, GroupFilters::default()).unwrap_err().to_string();
    assert!(said.contains("routing.layers"), "{said}");
}
