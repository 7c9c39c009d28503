//! mergekit-evolve's files as search spaces: the same genotypes give the same merges, and what differs is said.

use std::collections::BTreeMap;
use std::path::PathBuf;

use merge_search::genome::{Decoder, DecoderError, Domain, Gene, Genotype, GroupFilters};
use merge_search::objective::Aggregate;
use merge_search::recipe::{
    Layout, Levels, MergeMethod, ModelRef, OutputSlice, Parameters, Recipe, SliceSource,
    TokenizerChoice, VocabularySource,
};
use merge_search::space::{Note, Objective, SearchSpace};
use proptest::prelude::*;
use serde_json::Value as Json;

/// Written by tests/reference/mergekit/evolve.py with mergekit 0.1.5.
const REFERENCE: &str = include_str!("reference/mergekit/evolve.json");

fn cases() -> Vec<Json> {
    serde_json::from_str(REFERENCE).unwrap()
}

/// A folder with two tasks beside it, and a file in a folder below.
struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        let ground = Ground(tempfile::tempdir().unwrap());
        for (task, metric) in [("logic", "acc"), ("strings", "acc_norm")] {
            let folder = ground.0.path().join("datasets").join(task);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("task.toml"), format!("metric = \"{metric}\"\n")).unwrap();
        }
        ground
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("spaces").join("my evolve.yaml")
    }

    fn space(&self, text: &str) -> SearchSpace {
        SearchSpace::parse(text, &self.file()).unwrap()
    }

    fn error(&self, text: &str) -> String {
        SearchSpace::parse(text, &self.file()).unwrap_err().to_string()
    }

    fn decoder(&self, case: &Json) -> Decoder {
        // JSON is YAML.
        let text = serde_json::json!({ "genome": case["definition"], "tasks": ["logic"] });
        let layers = case["layers"].as_u64().unwrap() as usize;
        Decoder::new(self.space(&text.to_string()), layers, GroupFilters::llama()).unwrap()
    }
}

/// Every number of mergekit-evolve's tensor (layer groups, models, filters, parameters) under the name of its gene.
fn named(definition: &Json, tensor: &Json) -> BTreeMap<String, f64> {
    let words = |key: &str| -> Vec<String> {
        let list = definition[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let models = words("models");
    let mut filters = words("filters");
    let filtered = !filters.is_empty();
    filters.push("rest".to_owned());
    let method = definition["merge_method"].as_str().unwrap();
    let parameters: &[&str] = match method {
        "slerp" => &["t"],
        "linear" | "task_arithmetic" => &["weight"],
        _ => &["weight", "density"],
    };
    let blocks = definition["layer_granularity"].as_u64().is_some();
    let mut all = BTreeMap::new();
    for (layer_group, of_models) in tensor.as_array().unwrap().iter().enumerate() {
        for (model, of_filters) in models.iter().zip(of_models.as_array().unwrap()) {
            // reserved for the row of the base model
            let model = if model == "base" { "base-2" } else { model };
            for (filter, of_parameters) in filters.iter().zip(of_filters.as_array().unwrap()) {
                for (parameter, number) in parameters.iter().zip(of_parameters.as_array().unwrap())
                {
                    let mut name = format!("{parameter}.{model}");
                    name += &if filtered { format!(".{filter}") } else { String::new() };
                    name += &if blocks { format!(".{layer_group}") } else { String::new() };
                    all.insert(name, number.as_f64().unwrap());
                }
            }
        }
    }
    all
}

/// What mergekit-evolve makes of a number before it becomes a parameter, but for slerp.
fn folded(name: &str, definition: &Json, number: f64) -> f64 {
    let negative = definition["allow_negative_weights"] == Json::Bool(true);
    match name.split('.').next() {
        Some("density") => number.abs().min(1.0),
        Some("weight") if !negative => number.abs(),
        _ => number,
    }
}

/// One tensor's place.
#[derive(Debug, Clone, Copy)]
enum Place {
    Before,
    Layer(usize),
    After,
}

/// Every parameter that mergekit would look up for one tensor: base, then model → parameter → value.
#[derive(Debug, PartialEq)]
struct Meaning {
    base: Option<String>,
    models: Vec<(String, Vec<Option<i64>>)>,
    shared: Vec<Option<i64>>,
    normalize: Option<bool>,
}

/// To five decimals: mergekit-evolve's numbers are single floats.
fn rounded(number: f64) -> i64 {
    (number * 1e5).round() as i64
}

fn slices(recipe: &Recipe, layers: usize) -> Vec<OutputSlice> {
    match &recipe.layout {
        Layout::Slices(slices) => slices.clone(),
        Layout::Models(models) => {
            let range = merge_search::recipe::LayerRange::new(0, layers).unwrap();
            let source = |entry: &merge_search::recipe::ModelEntry| SliceSource {
                model: entry.model.clone(),
                layer_range: range,
                parameters: entry.parameters.clone(),
            };
            let sources = models.iter().map(source).collect();
            vec![OutputSlice { sources, base_model: None, parameters: Parameters::default() }]
        }
        Layout::Modules(_) => panic!("neither side writes modules"),
    }
}

/// mergekit's rule for the position within a slice; embeddings, norm and head take the first.
fn meaning(recipe: &Recipe, layers: usize, place: Place, tensor: &str) -> Meaning {
    let slices = slices(recipe, layers);
    let (slice, t) = match place {
        Place::Before => (slices.first().unwrap(), 0.0),
        Place::After => (slices.last().unwrap(), 0.0),
        Place::Layer(layer) => {
            let holds = |slice: &&OutputSlice| {
                let range = slice.sources[0].layer_range;
                (range.start()..range.end()).contains(&layer)
            };
            let slice = slices.iter().find(holds).unwrap();
            let range = slice.sources[0].layer_range;
            let last = range.layers() - 1;
            let t = if last == 0 { 1.0 } else { (layer - range.start()) as f64 / last as f64 };
            (slice, t)
        }
    };
    let method = recipe.merge_method;
    let shared = Levels {
        source: None,
        slice: Some(&slice.parameters),
        module: None,
        top: &recipe.parameters,
        t,
    };
    let base = slice.base_model.as_ref().or(recipe.base_model.as_ref());
    let base = base.filter(|_| method != MergeMethod::Linear).map(ModelRef::to_string);
    let number = |levels: Levels, name| levels.number(name, tensor).map(rounded);
    let known = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| method.parameter(name).is_some()).collect()
    };
    let models = slice
        .sources
        .iter()
        .filter(|source| Some(source.model.to_string()) != base)
        .map(|source| {
            let levels = Levels { source: Some(&source.parameters), ..shared };
            // mergekit's density of task arithmetic is never used.
            let names = if base.is_some() && method != MergeMethod::TaskArithmetic {
                known(&["weight", "density"])
            } else {
                known(&["weight"])
            };
            let values = names.into_iter().map(|name| number(levels, name)).collect();
            (source.model.to_string(), values)
        })
        .collect();
    Meaning {
        base,
        models,
        shared: known(&["t"]).into_iter().map(|name| number(shared, name)).collect(),
        normalize: known(&["normalize"])
            .first()
            .and_then(|name| shared.truth(name, tensor).unwrap()),
    }
}

fn tensors(layers: usize) -> Vec<(Place, String)> {
    let mut all = vec![(Place::Before, "model.embed_tokens.weight".to_owned())];
    for layer in 0..layers {
        for part in ["self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "input_layernorm"] {
            all.push((Place::Layer(layer), format!("model.layers.{layer}.{part}.weight")));
        }
    }
    all.push((Place::After, "model.norm.weight".to_owned()));
    all.push((Place::After, "lm_head.weight".to_owned()));
    all
}

#[test]
fn a_genotype_merges_as_in_mergekit_evolve() {
    let ground = Ground::new();
    for case in cases() {
        let decoder = ground.decoder(&case);
        let numbers = named(&case["definition"], &case["genotype"]);
        let gene = |dimension: &merge_search::genome::Dimension| {
            let number = numbers.get(&dimension.name);
            let number = number.unwrap_or_else(|| panic!("no number for {}", dimension.name));
            let number = folded(&dimension.name, &case["definition"], *number);
            let Domain::Continuous { low, high } = dimension.domain else { panic!() };
            assert!((low..=high).contains(&number), "{}: {number}", dimension.name);
            Gene::Real(number)
        };
        let genotype = Genotype(decoder.dimensions().iter().map(gene).collect());
        let ours = decoder.decode(&genotype);
        let theirs = Recipe::from_yaml(&case["config"].to_string()).unwrap();
        assert_eq!(ours.merge_method, theirs.merge_method);
        let layers = case["layers"].as_u64().unwrap() as usize;
        for (place, tensor) in tensors(layers) {
            let [ours, theirs] =
                [&ours, &theirs].map(|recipe| meaning(recipe, layers, place, &tensor));
            assert_eq!(ours, theirs, "{tensor} of {}", case["definition"]);
        }
    }
}

#[test]
fn the_search_starts_where_mergekit_evolve_does_and_leaves_out_only_the_base() {
    let ground = Ground::new();
    for case in cases() {
        let decoder = ground.decoder(&case);
        let dead = case["definition"]["merge_method"] != "linear";
        let based = |name: &str| name.contains(".base-2");
        assert!(!dead || decoder.dimensions().iter().all(|dimension| !based(&dimension.name)));
        let mut start = named(&case["definition"], &case["start"]);
        for dimension in decoder.dimensions() {
            let theirs = start.remove(&dimension.name).unwrap();
            let ours = dimension.initial.unwrap();
            assert!((ours - theirs).abs() < 1e-5, "{}: {ours}, {theirs}", dimension.name);
        }
        let left: Vec<&String> = start.keys().filter(|name| !based(name)).collect();
        assert!(left.is_empty(), "{left:?} of {}", case["definition"]);
    }
}

const PLAIN: &str = "
genome: {models: [o/ann, o/zoe+o/tune@v1], base_model: o/base, merge_method: ties}
tasks: [logic]
apply_chat_template: false
";

#[test]
fn what_is_done_otherwise_is_said() {
    let ground = Ground::new();
    let space = ground.space(PLAIN);
    let bounded = Note::Bounded { parameter: "weight", low: 0.0, high: 2.0 };
    assert_eq!(space.notes, [Note::Float32, bounded.clone()]);
    assert_eq!(space.name, "my_evolve");
    assert_eq!(space.experts[1].name, "zoe-tune");
    assert_eq!(space.objectives, [Objective::Aggregate]);
    assert_eq!(space.tasks, [ground.0.path().join("datasets/logic")]);
    let metric = "{name: strings, weight: 0.25, metric: 'acc_norm,none'}";
    let weighed = ground.space(&PLAIN.replace("[logic]", &format!("[logic, {metric}]")));
    assert!(weighed.notes.contains(&Note::WeightedSum { weights: vec![1.0, 0.25] }));
    // A merge that mergekit-evolve's sum puts first, 0.8 + 0.25 · 0.4 = 0.9 against 0.6 + 0.25 · 1 = 0.85.
    let aggregate = Aggregate::new(&weighed.aggregate, &["logic", "strings"]).unwrap();
    let (first, second) = (aggregate.value(&[0.8, 0.4]), aggregate.value(&[0.6, 1.0]));
    assert!((first - 0.9 / 1.25).abs() < 1e-15 && (second - 0.85 / 1.25).abs() < 1e-15);

    let text = "
genome:
  models: [o/base, o/ann, o/zoe]
  base_model: o/base
  merge_method: dare_ties
  filters: [attn, self_attn]
  tokenizer_source: union
tasks:
  - {name: logic, weight: 2, metric: 'acc_norm,none'}
  - {name: strings, weight: 2.0, metric: 'acc_norm,none'}
limit: 50
num_fewshot: 5
shuffle: true
random_init: true
";
    let space = ground.space(text);
    let base = ModelRef::new("o/base").unwrap();
    let (task, asked, scored) = ("logic".to_owned(), "acc_norm,none".to_owned(), "acc".to_owned());
    let expected = [
        Note::Float32,
        Note::BaseAmongModels { base },
        Note::HiddenFilter { filter: "self_attn".to_owned(), by: "attn".to_owned() },
        bounded,
        Note::StartsAtMean,
        Note::WeightedSum { weights: vec![2.0, 2.0] },
        Note::MetricOfTask { task, asked, scored },
        Note::ZeroShot { asked: 5 },
        Note::NoChatTemplate,
        Note::NotShuffled,
    ];
    assert_eq!(space.notes, expected);
    assert_eq!(space.docs.search, Some(50));
    assert_eq!((space.docs.selection, space.docs.holdout), (None, None));
    let decoder = Decoder::new(space, 2, GroupFilters::llama()).unwrap();
    let genotype = Genotype(vec![Gene::Real(0.5); decoder.dimensions().len()]);
    assert!(decoder.dimensions().iter().all(|dimension| dimension.initial == Some(0.5)));
    let union = TokenizerChoice::of_source(VocabularySource::Union);
    assert_eq!(decoder.decode(&genotype).tokenizer, Some(union));
}

#[test]
fn what_cannot_be_searched_is_an_error_that_says_why() {
    let ground = Ground::new();
    let with = |from: &str, to: &str| ground.error(&PLAIN.replace(from, to));
    for (said, words) in [
        (with("ties", "della"), &["genome.merge_method", "della", "dare_ties"][..]),
        (with("ties", "slerp, smooth: true"), &["genome.smooth", "slerp"]),
        (with("ties", "ties, smoth: true"), &["smoth", "smooth"]),
        (with("base_model: o/base,", ""), &["genome.base_model", "missing", "ties"]),
        (with("o/zoe+o/tune@v1", "o/ann"), &["genome.models", "twice"]),
        (with("o/ann, o/zoe+o/tune@v1", "o/base"), &["genome.models", "at least 1"]),
        (with("ties", "ties, layer_granularity: -1"), &["layer_granularity", "-1"]),
        (with("ties", "ties, filters: [mlp, mlp]"), &["genome.filters", "mlp"]),
        (with("ties", "ties, filters: ['*']"), &["genome.filters", "*"]),
        (with("[logic]", "[]"), &["tasks", "empty"]),
        (with("[logic]", "[logic, logic]"), &["tasks", "twice"]),
        (with("[logic]", "[{name: logic, weight: -1}]"), &["tasks.weight", "-1"]),
        (with("[logic]", "[logic, {name: strings, weight: 0}]"), &["tasks.weight", "[1.0, 0.0]"]),
        (with("[logic]", "[{name: logic, metric: 'f1,none'}]"), &["tasks.metric", "f1", "acc"]),
        (with("[logic]", "[{name: logic, metric: 'acc,strict'}]"), &["tasks.metric", "strict"]),
        (with("[logic]", "[gsm8k]"), &["gsm8k", "spaces/datasets/gsm8k", "spaces/gsm8k"]),
        (with("[logic]", "[logic]\nlimit: 0"), &["limit", "0"]),
        (with("[logic]", "[logic]\nnum_fewshot: -3"), &["num_fewshot", "-3"]),
    ] {
        for word in [&["my evolve.yaml"], words].concat() {
            assert!(said.contains(word), "no `{word}` in: {said}");
        }
    }
}

#[test]
fn blocks_must_divide_the_layers() {
    let ground = Ground::new();
    for smooth in ["false", "true"] {
        let to = format!("ties, smooth: {smooth}, layer_granularity: 4");
        let space = ground.space(&PLAIN.replace("ties", &to));
        assert!(Decoder::new(space.clone(), 8, GroupFilters::llama()).is_ok());
        let error = Decoder::new(space, 6, GroupFilters::llama()).unwrap_err();
        assert_eq!(error, DecoderError::UnevenBlocks { layers_per_block: 4, layers: 6 });
    }
}

#[test]
fn a_folder_beside_the_file_wins_over_the_hub() {
    let ground = Ground::new();
    let local = ground.0.path().join("spaces").join("o").join("tune");
    std::fs::create_dir_all(&local).unwrap();
    let space = ground.space(&PLAIN.replace("@v1", ""));
    let models: Vec<&str> = space.experts.iter().map(|expert| expert.model.as_str()).collect();
    assert_eq!(models, ["o/ann", &format!("o/zoe+{}", local.display())]);
    assert_eq!(space.base.as_str(), "o/base");
}

#[test]
fn without_base_the_first_model_stands_for_it() {
    let ground = Ground::new();
    let text = "genome: {models: [o/ann, o/zoe], merge_method: linear}\ntasks: [logic]\n";
    let space = ground.space(text);
    let base = ModelRef::new("o/ann").unwrap();
    assert!(space.notes.contains(&Note::BaseIsFirstModel { base: base.clone() }));
    assert_eq!((space.base, space.experts.len()), (base, 2));
    let apart = ground.space(&text.replace("linear", "linear, base_model: o/base"));
    let (base, method) = (ModelRef::new("o/base").unwrap(), MergeMethod::Linear);
    assert!(apart.notes.contains(&Note::BaseNotMerged { base, method }));
}

#[test]
fn notes_name_what_they_are_about() {
    let ground = Ground::new();
    let text = PLAIN.replace("apply_chat_template: false", "num_fewshot: 3");
    let said: Vec<String> = ground.space(&text).notes.iter().map(Note::to_string).collect();
    for words in ["float32", "`weight`", "num_fewshot: 3", "apply_chat_template"] {
        assert!(said.iter().any(|line| line.contains(words)), "no `{words}` in {said:?}");
    }
}

proptest! {
    /// Whatever text stands in the file, or in one of its values, the answer is a space or an error.
    #[test]
    fn no_text_panics(text in ".{0,200}", at in 0usize..PLAIN.len()) {
        let ground = Ground::new();
        let damaged: String = PLAIN.chars().take(at).chain(text.chars()).collect();
        for text in [text, damaged] {
            let _either = SearchSpace::parse(&text, &ground.file());
        }
    }
}
