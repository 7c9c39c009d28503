//! Spaces with routers and prompts: their genes, what they decode to, and what encodes to them.

use std::path::Path;

use merge_search::genome::{
    Decoder, Dimension, Domain, EncodeError, Gene, Genotype, GroupFilters, passthrough_of,
    uniform_average,
};
use merge_search::recipe::Recipe;
use merge_search::space::{Routing, SearchSpace};
use proptest::prelude::*;

const LINEAR: &str = "[merge]\nmethods = [\"linear\"]\n[parameters]\n\
    weight = { range = [0.0, 1.0], per = [\"expert\"] }";

const BLOCKS: &str = "[merge]\nmethods = [\"ties\", \"dare_ties\"]\nchoose_experts = true\nlayer_granularity = 2\n\
    [parameters]\nweight = { range = [0.0, 1.0], per = [\"expert\", \"depth\"] }\n\
    mask_seed = { range = [1, 5] }";

const OWNERS: &str = "[merge]\nmethods = [\"passthrough\"]\nlayer_granularity = 3";

const ALL: &str = r#"
[routing.documents]
merges = 2
features = ["ngrams", "hidden", "shape"]
buckets = 64
layers = [1, 2]
pool = "last"
gates = ["centroid", "linear"]
classes = "tasks"
[routing.tokens]
layers_per_block = 2
gate_modes = ["hidden_avg", "cheap_embed"]
experts_per_token = [1, 2]
temperature = { range = [0.5, 2.0] }
experts = ["zoe", "bob"]
[routing.tokens.prompts]
zoe = "task:one"
[routing.prompts.two]
num_fewshot = [0, 2]
max_gen_toks = [16]
"#;

const CLUSTERS: &str = r#"
[routing.documents]
merges = 3
classes = 4
[routing.prompts.one]
answer_style = ["text", "letter"]
system_instruction = ["", "Be brief: \"yes\" or \"no\""]
apply_chat_template = [true, false]
"#;

/// Over spaces whose layers are also left out, repeated and moved.
const LAYERS: &str = r#"
[routing.layers]
layers_per_block = 1
depth = ["keep", "skip", "repeat", "swap"]
"#;

const ALWAYS: &str = r#"
[routing.tokens]
gate_modes = ["hidden_last"]
[routing.tokens.prompts]
ann = ["2 + 2 =", "half of 8 is"]
"#;

fn text(merge: &str, routing: &str) -> String {
    format!(
        "name = \"s\"\n[models]\nbase = \"o/base\"\n[models.experts]\nzoe = \"o/zoe\"\n\
         ann = \"o/ann\"\nbob = \"o/bob\"\n{merge}\n[tasks]\n\
         folders = [\"t/one\", \"t/two.toml\", \"u/three/task.toml\"]\n{routing}"
    )
}

fn parse(merge: &str, routing: &str) -> SearchSpace {
    SearchSpace::parse(&text(merge, routing), Path::new("/made/space.toml")).unwrap()
}

fn decoder(merge: &str, routing: &str, layers: usize) -> Decoder {
    Decoder::new(parse(merge, routing), layers, GroupFilters::llama()).unwrap()
}

fn names(decoder: &Decoder) -> Vec<&str> {
    decoder.dimensions().iter().map(|dimension| dimension.name.as_str()).collect()
}

#[test]
fn each_merge_has_genes_of_its_own_and_routers_have_theirs() {
    let decoder = decoder(LINEAR, ALL, 5);
    let own = [
        "weight.zoe",
        "weight.ann",
        "weight.bob",
        "experts.0",
        "experts.1",
        "experts.2",
        "experts.gate_mode",
        "experts.per_token",
        "experts.temperature",
        "experts.task.bob",
    ];
    let mut expected: Vec<String> = own.iter().map(|name| (*name).to_owned()).collect();
    expected.extend(own.iter().map(|name| format!("merge1.{name}")));
    let shared = [
        "route.one",
        "route.two",
        "route.three",
        "gate.features",
        "gate.kind",
        "prompt.two.num_fewshot",
    ];
    expected.extend(shared.map(str::to_owned));
    assert_eq!(names(&decoder), expected);
    let choices = |name: &str| {
        let found = decoder.dimensions().iter().find(|dimension| dimension.name == name);
        match &found.unwrap().domain {
            Domain::Categorical { choices } => choices.join(" "),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(choices("route.two"), "merge0 merge1");
    assert_eq!(choices("gate.features"), "ngrams hidden.1 hidden.2 shape");
    assert_eq!(choices("merge1.experts.2"), "dense routed");
    assert_eq!(choices("experts.task.bob"), "one two three");
    let temperature = &decoder.dimensions()[8];
    assert_eq!(temperature.domain, Domain::Continuous { low: 0.5, high: 2.0 });
    assert_eq!(temperature.initial, Some(1.0));
}

#[test]
fn a_space_without_routers_has_the_genes_that_it_had() {
    assert_eq!(names(&decoder(LINEAR, "", 5)), ["weight.zoe", "weight.ann", "weight.bob"]);
    let routed = decoder(LINEAR, CLUSTERS, 5);
    let routes = names(&routed).into_iter().filter(|name| name.starts_with("route."));
    assert_eq!(routes.collect::<Vec<_>>(), ["route.0", "route.1", "route.2", "route.3"]);
    assert!(!names(&routed).contains(&"gate.kind"), "one kind is no choice");
}

fn category(choices: &[usize]) -> Vec<Gene> {
    choices.iter().map(|choice| Gene::Category(*choice)).collect()
}

/// Genes of [`ALL`] over [`LINEAR`].
fn genotype(routes: [usize; 3], merge1: [f64; 3]) -> Genotype {
    let mut genes = [0.25, 0.5, 0.75].map(Gene::Real).to_vec();
    // Of blocks 0..2, 2..4, 4..5 the first and the last are routed.
    genes.extend(category(&[1, 0, 1, 1, 0]));
    genes.extend([Gene::Real(1.5), Gene::Category(2)]);
    genes.extend(merge1.map(Gene::Real));
    genes.extend(category(&[0, 0, 0, 0, 1]));
    genes.extend([Gene::Real(2.0), Gene::Category(0)]);
    genes.extend(category(&routes));
    genes.extend(category(&[2, 1, 1]));
    Genotype(genes)
}

const MERGE0: &str = "
merge_method: linear
models:
  - {model: o/zoe, parameters: {weight: 0.25}}
  - {model: o/ann, parameters: {weight: 0.5}}
  - {model: o/bob, parameters: {weight: 0.75}}
dtype: float32
token_router:
  layers: [0, 1, 4]
  gate_mode: cheap_embed
  experts_per_token: 1
  temperature: 1.5
  experts:
    - {source_model: o/zoe, positive_task: one}
    - {source_model: o/bob, positive_task: three}
prompts: {two: {num_fewshot: 2, max_gen_toks: 16}}
";

const MERGE1: &str = "
merge_method: linear
models:
  - {model: o/zoe, parameters: {weight: 0.0}}
  - {model: o/ann, parameters: {weight: 1.0}}
  - {model: o/bob, parameters: {weight: 0.0}}
dtype: float32
prompts: {two: {num_fewshot: 2, max_gen_toks: 16}}
";

fn yaml(text: &str) -> Recipe {
    Recipe::from_yaml(text).unwrap()
}

#[test]
fn routes_decode_to_the_recipe_written_by_hand() {
    let found = decoder(LINEAR, ALL, 5).decode(&genotype([0, 1, 0], [0.0, 1.0, 0.0]));
    let by_hand = format!(
        "{MERGE0}
document_router:
  gate: {{features: {{hidden: {{layer: 2, pool: last}}}}, kind: linear, classes: {{tasks: 3}}}}
  routes: [0, 1, 0]
  merges:
    - merge_method: linear
      models:
        - {{model: o/zoe, parameters: {{weight: 0.0}}}}
        - {{model: o/ann, parameters: {{weight: 1.0}}}}
        - {{model: o/bob, parameters: {{weight: 0.0}}}}
      dtype: float32
"
    );
    assert_eq!(found, yaml(&by_hand));
}

#[test]
fn what_needs_no_router_is_the_merge_itself() {
    let decoder = decoder(LINEAR, ALL, 5);
    let decode = |routes, weights| decoder.decode(&genotype(routes, weights));
    assert_eq!(decode([0, 0, 0], [0.0, 1.0, 0.0]), yaml(MERGE0));
    assert_eq!(decode([1, 1, 1], [0.0, 1.0, 0.0]), yaml(MERGE1));
    // Two merges that are equal are one,
    let mut twins = genotype([0, 1, 1], [0.25, 0.5, 0.75]);
    let (merge0, rest) = twins.0.split_at_mut(10);
    rest[..10].copy_from_slice(merge0);
    assert_eq!(decoder.decode(&twins), yaml(MERGE0));
    // and so are those that differ in a seed that is not drawn.
    let blocks = self::decoder(BLOCKS, CLUSTERS, 2);
    let seed = names(&blocks).iter().position(|name| *name == "merge1.mask_seed").unwrap();
    let method = names(&blocks).iter().position(|name| *name == "merge1.method").unwrap();
    let mut genotype = blocks.start();
    genotype.0[names(&blocks).len() - 5] = Gene::Category(1);
    genotype.0[seed] = Gene::Integer(4);
    assert!(blocks.decode(&genotype).document_router.is_none());
    genotype.0[method] = Gene::Category(1);
    assert!(blocks.decode(&genotype).document_router.is_some());
}

#[test]
fn merges_are_numbered_as_documents_meet_them() {
    let decoder = decoder(LINEAR, CLUSTERS, 5);
    let weights = |merge: usize| [merge as f64 / 4.0, 0.5, 1.0].map(Gene::Real);
    let of = |merges: [usize; 3], routes: [usize; 4]| {
        let mut genes: Vec<Gene> = merges.into_iter().flat_map(weights).collect();
        genes.extend(category(&routes));
        genes.extend(category(&[0, 0, 0]));
        decoder.decode(&Genotype(genes))
    };
    let recipe = of([0, 1, 2], [2, 0, 2, 2]);
    let router = recipe.document_router.as_ref().unwrap();
    assert_eq!(router.routes, [0, 1, 0, 0]);
    assert_eq!(router.merges.len(), 1, "merge 1 is nobody's");
    assert_eq!(recipe, of([2, 0, 1], [0, 1, 0, 0]));
    assert_eq!(recipe, of([2, 0, 3], [0, 1, 0, 0]));
}

#[test]
fn a_recipe_without_routers_encodes_to_merges_that_are_all_equal() {
    let decoder = decoder(LINEAR, ALL, 5);
    let plain = "
merge_method: linear
models:
  - {model: o/zoe, parameters: {weight: 0.125}}
  - {model: o/ann, parameters: {weight: 0.5}}
  - {model: o/bob, parameters: {weight: 0.375}}
dtype: float32
";
    let found = decoder.encode(&yaml(plain)).unwrap();
    let mut expected = decoder.start();
    for merge in [0, 10] {
        expected.0[merge..merge + 3].copy_from_slice(&[0.125, 0.5, 0.375].map(Gene::Real));
    }
    assert_eq!(found, expected);
    assert_eq!(decoder.decode(&found).plain(), yaml(plain));
}

#[test]
fn parents_are_the_parents_in_every_merge() {
    let decoder = decoder(BLOCKS, CLUSTERS, 5);
    let parents = decoder.parents();
    let found: Vec<&str> = parents.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found, ["base", "zoe", "ann", "bob", "uniform"]);
    let (_, base) = &parents[0];
    let base_model = &decoder.space().base;
    for routes in [[0, 1, 2, 0], [1; 4], [2; 4]] {
        let mut genotype = base.clone();
        let first = names(&decoder).iter().position(|name| *name == "route.0").unwrap();
        genotype.0[first..first + 4].copy_from_slice(&category(&routes));
        let recipe = decoder.decode(&genotype).merge(0).unwrap();
        assert_eq!(recipe.layout, passthrough_of(base_model).layout, "{routes:?}");
    }
    assert!(decoder.encode(&passthrough_of(base_model)).is_ok());
}

/// A recipe without routers says nothing of mixtures that a space always has.
#[test]
fn where_all_layers_are_mixtures_a_plain_recipe_leaves_them_at_their_start() {
    let always = decoder(LINEAR, ALWAYS, 3);
    let uniform = uniform_average(always.space());
    let found = always.encode(&uniform).unwrap();
    let mixtures = "
  layers: [0, 1, 2]
  gate_mode: hidden_last
  experts_per_token: 2
  experts:
    - {source_model: o/zoe, positive_task: one}
    - {source_model: o/ann, positive_prompts: [2 + 2 =, half of 8 is]}
    - {source_model: o/bob, positive_task: one}
";
    let expected = yaml(&format!("{}token_router:{mixtures}", uniform.to_yaml()));
    assert_eq!(always.decode(&found), expected);
    assert!(always.parents().iter().any(|(name, _)| name == "uniform"));
}

fn gene(dimension: &Dimension) -> BoxedStrategy<Gene> {
    match dimension.domain.clone() {
        Domain::Continuous { low, high } => (low..=high).prop_map(Gene::Real).boxed(),
        Domain::Integer { low, high } => (low..=high).prop_map(Gene::Integer).boxed(),
        Domain::Categorical { choices } => (0..choices.len()).prop_map(Gene::Category).boxed(),
    }
}

fn tokens() -> usize {
    ALL.find("[routing.tokens]").unwrap()
}

fn any_candidate() -> impl Strategy<Value = (Decoder, Genotype)> {
    let merge = proptest::sample::select(vec![LINEAR, BLOCKS, OWNERS]);
    let tokens = ALL[tokens()..].to_owned();
    let both = format!("{CLUSTERS}{ALWAYS}");
    let routings = [ALL.to_owned(), CLUSTERS.to_owned(), ALWAYS.to_owned(), tokens, both];
    let layered = routings.iter().map(|routing| format!("{routing}{LAYERS}"));
    let all: Vec<String> = routings.iter().cloned().chain(layered).collect();
    (merge, proptest::sample::select(all), 4..8_usize).prop_flat_map(|(merge, routing, layers)| {
        let decoder = decoder(merge, &routing, layers);
        let genes: Vec<_> = decoder.dimensions().iter().map(gene).collect();
        genes.prop_map(move |genes| (decoder.clone(), Genotype(genes)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_a_genotype_decodes_to_is_read_back_and_encodes_to_the_same(
        (decoder, genotype) in any_candidate()
    ) {
        let recipe = decoder.decode(&genotype);
        let yaml = recipe.to_yaml();
        let read = Recipe::from_yaml(&yaml)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
        prop_assert_eq!(&read, &recipe, "{}", yaml);
        let again = match decoder.encode(&recipe) {
            // What is left out may have been all that told a parameter.
            Err(EncodeError::LayerParameters) if decoder.space().routing.layers.is_some() => {
                return Ok(());
            }
            again => again.map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?,
        };
        prop_assert_eq!(unseeded(decoder.decode(&again)), unseeded(recipe), "{}", yaml);
    }

    #[test]
    fn no_recipe_of_one_space_crashes_another(
        (decoder, _) in any_candidate(), (other, genotype) in any_candidate()
    ) {
        if let Ok(found) = decoder.encode(&other.decode(&genotype)) {
            prop_assert_eq!(found.0.len(), decoder.dimensions().len());
        }
    }
}

/// Without the seeds of masks that are not drawn.
fn unseeded(mut recipe: Recipe) -> Recipe {
    let of = |recipe: &mut Recipe| {
        if !recipe.merge_method.is_random() {
            recipe.mask_seed = 0;
        }
    };
    of(&mut recipe);
    recipe.document_router.iter_mut().flat_map(|router| &mut router.merges).for_each(of);
    recipe
}

/// Block 1 (layers 2 and 3) is routed; layer 1 is left out and layer 3 stands twice, so that the copies are routed too.
#[test]
fn mixtures_follow_their_layers() {
    let decoder = decoder(LINEAR, &format!("{}{LAYERS}", &ALL[tokens()..]), 5);
    let mut genotype = decoder.start();
    for (name, choice) in [("experts.1", 1), ("depth.1", 1), ("depth.3", 2)] {
        let gene = names(&decoder).iter().position(|known| *known == name).unwrap();
        genotype.0[gene] = Gene::Category(choice);
    }
    // In the output stand 0, 2, 3, 3, 4.
    let recipe = decoder.decode(&genotype);
    assert_eq!(recipe.token_router.as_ref().unwrap().layers, [1, 2, 3]);
    assert_eq!(decoder.decode(&decoder.encode(&recipe).unwrap()), recipe);
}

#[test]
fn the_ready_space_of_routers_is_a_space() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart-routed.toml");
    let space = SearchSpace::load(&file).unwrap();
    assert_eq!(
        space.check_tasks(&["arithmetic", "logic", "strings", "agreement", "mixed"]),
        Ok(())
    );
    let decoder = Decoder::new(space, 5, GroupFilters::llama()).unwrap();
    // Three times four weights and five layers; five routes.
    assert_eq!(decoder.dimensions().len(), 3 * (4 + 5) + 5);
    for folder in &decoder.space().tasks {
        assert!(folder.join("task.toml").exists(), "{}", folder.display());
    }
}

/// With hidden features too, without which `layers` and `pool` would have no effect.
#[test]
fn the_tables_that_the_template_explains_are_valid() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("# --- Which inputs go which way").unwrap();
    let (tables, after) = rest.split_once("# --- What is measured").unwrap();
    let keys: Vec<&str> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .collect();
    let keys =
        keys.join("\n").replace("features = [\"ngrams\"]", "features = [\"ngrams\", \"hidden\"]");
    let space = SearchSpace::parse(&format!("{before}{keys}\n# {after}"), &file).unwrap();
    let Routing { documents, tokens, prompts, .. } = &space.routing;
    assert_eq!((documents.is_some(), tokens.is_some(), prompts.len()), (true, true, 1));
    assert_eq!(
        space.check_tasks(&["arithmetic", "logic", "strings", "agreement", "mixed"]),
        Ok(())
    );
}

#[test]
fn a_recipe_that_the_space_cannot_say_is_refused_with_the_key() {
    let routed = || decoder(LINEAR, ALL, 5).decode(&genotype([0, 1, 0], [0.0, 1.0, 0.0]));
    let all = decoder(LINEAR, ALL, 5);
    let plain = decoder(LINEAR, "", 5);
    let said = |decoder: &Decoder, change: &dyn Fn(&mut Recipe)| {
        let mut recipe = routed();
        change(&mut recipe);
        decoder.encode(&recipe).unwrap_err().to_string()
    };
    let same = |_: &mut Recipe| {};
    assert!(said(&plain, &same).contains("`document_router.merges`"));
    assert!(said(&plain, &|r| *r = r.plain()).contains("`token_router`"));
    let only_prompts = |r: &mut Recipe| {
        *r = Recipe { document_router: None, token_router: None, ..r.clone() };
    };
    assert!(said(&plain, &only_prompts).contains("for task `two`"));
    let other = |r: &mut Recipe, from: &str, to: &str| {
        let yaml = r.to_yaml();
        assert!(yaml.contains(from), "{yaml}");
        *r = self::yaml(&yaml.replacen(from, to, 1));
    };
    for (from, to, part) in [
        ("layer: 2", "layer: 3", "document_router.gate.features"),
        ("classes: {tasks: 3}", "classes: {clusters: 3}", "document_router.gate.classes"),
        ("layers: [0, 1, 4]", "layers: [0, 4]", "all or none of each 2 layers"),
        ("layers: [0, 1, 4]", "layers: [0, 1, 4, 5]", "layers below 5"),
        ("gate_mode: cheap_embed", "gate_mode: hidden_last", "hidden_avg, cheap_embed"),
        ("temperature: 1.5", "temperature: 3.0", "0.5 to 2"),
        ("source_model: o/zoe", "source_model: o/ann", "o/zoe, o/bob"),
        ("positive_task: one", "positive_task: two", "positive_prompts"),
        ("num_fewshot: 2", "num_fewshot: 1", "num_fewshot"),
        ("max_gen_toks: 16", "answer_style: text", "no choice"),
        ("two:", "four:", "four"),
    ] {
        let said = said(&all, &|r| other(r, from, to));
        assert!(said.contains(part), "{to}: `{part}` in {said}");
    }
}

#[test]
fn errors_name_the_key_and_what_is_valid() {
    for (from, to, parts) in [
        ("merges = 2", "merges = 1", ["routing.documents.merges", "2 to 4"]),
        ("merges = 2", "merges = 5", ["is 5", "2 to 4"]),
        ("merges = 2", "merge = 2", ["merge", "features"]),
        ("\"hidden\", \"shape\"", "\"shape\"", ["routing.documents.layers", "without effect"]),
        ("[\"ngrams\", \"hidden\"", "[\"hidden\"", ["routing.documents.buckets", "ngrams"]),
        ("\"hidden\", \"shape\"", "\"hidden\", \"hidden\"", ["features", "twice"]),
        ("\"shape\"", "\"length\"", ["length", "shape"]),
        ("buckets = 64", "buckets = 0", ["is 0", "65536"]),
        ("layers = [1, 2]", "layers = []", ["layers", "empty"]),
        ("layers = [1, 2]", "layers = [-1]", ["layers", "-1"]),
        ("pool = \"last\"", "pool = \"max\"", ["max", "mean"]),
        ("[\"centroid\", \"linear\"]", "[]", ["routing.documents.gates", "empty"]),
        ("classes = \"tasks\"", "classes = \"task\"", ["task", "clusters"]),
        ("classes = \"tasks\"", "classes = 65", ["is 65", "2 to 64"]),
        ("layers_per_block = 2", "layers_per_block = 0", ["layers_per_block", "1 or more"]),
        ("\"cheap_embed\"]", "\"hidden\"]", ["hidden", "cheap_embed"]),
        ("experts_per_token = [1, 2]", "experts_per_token = [3]", ["is 3", "1 to 2"]),
        ("range = [0.5, 2.0]", "range = [0.0, 2.0]", ["temperature.range", "greater than 0"]),
        ("range = [0.5, 2.0]", "range = [0.5, nan]", ["NaN", "low < high"]),
        ("experts = [\"zoe\", \"bob\"]", "experts = [\"zoe\", \"eve\"]", ["`eve`", "ann"]),
        ("experts = [\"zoe\", \"bob\"]", "experts = [\"zoe\"]", ["1 long", "two experts"]),
        ("zoe = \"task:one\"", "ann = \"task:one\"", ["`ann`", "zoe, bob"]),
        ("zoe = \"task:one\"", "zoe = \"one\"", ["prompts.zoe", "task:NAME"]),
        ("zoe = \"task:one\"", "zoe = []", ["prompts.zoe", "empty"]),
        ("zoe = \"task:one\"", "zoe = 3", ["zoe", "task:NAME"]),
        ("num_fewshot = [0, 2]", "num_fewshot = []", ["routing.prompts.two.num_fewshot", "empty"]),
        ("num_fewshot = [0, 2]", "num_fewshot = [2, 2]", ["twice", "each value once"]),
        ("num_fewshot = [0, 2]", "num_fewshots = [2]", ["num_fewshots", "answer_style"]),
        ("max_gen_toks = [16]", "max_gen_toks = [0]", ["is 0", "tokens"]),
        ("num_fewshot = [0, 2]\nmax_gen_toks = [16]\n", "", ["routing.prompts.two", "doc_to_text"]),
        ("[routing.documents]", "[routing.document]", ["document", "tokens"]),
    ] {
        assert!(ALL.contains(from), "{from}");
        let text = text(LINEAR, &ALL.replacen(from, to, 1));
        let file = Path::new("/made/space.toml");
        let said = SearchSpace::parse(&text, file).unwrap_err().to_string();
        for part in ["/made/space.toml"].into_iter().chain(parts) {
            assert!(said.contains(part), "{to}: `{part}` in {said}");
        }
    }
}

#[test]
fn gates_see_no_layer_that_there_is_not() {
    let made = |layers| Decoder::new(parse(LINEAR, ALL), layers, GroupFilters::llama());
    assert!(made(3).is_ok());
    let said = made(2).unwrap_err().to_string();
    assert!(said.contains("routing.documents.layers") && said.contains("0 to 1"), "{said}");
}

#[test]
fn tasks_are_those_that_the_space_speaks_of() {
    let check = |routing: &str, names: &[&str]| {
        parse(LINEAR, routing).check_tasks(names).map_err(|error| error.to_string())
    };
    assert_eq!(check(ALL, &["one", "two", "three"]), Ok(()));
    assert!(check(ALL, &["one", "two", "three", "four"]).unwrap_err().contains("hold 4 tasks"));
    let without = ALL.replacen("zoe = \"task:one\"", "bob = \"task:one\"\nzoe = [\"x\"]", 1);
    assert_eq!(check(&without, &["one", "two", "3"]), Ok(()));
    assert!(check(&without, &["1", "two", "3"]).unwrap_err().contains("prompts.bob` is `one`"));
    assert!(
        check(&without, &["one", "2", "3"]).unwrap_err().contains("`routing.prompts` is `two`")
    );
    // A gene chooses bob's task by the entries' words.
    assert!(check(ALL, &["one", "two", "3"]).unwrap_err().contains("prompts.bob` is `three`"));
    assert_eq!(check(CLUSTERS, &["one"]), Ok(()));
}

/// Coarsest: weights tied per expert within each merge, blocks of each merge, the rest by itself.
#[test]
fn merges_are_tied_apart() {
    let space = parse(LINEAR, ALL);
    let levels = space.tying(5);
    let names: Vec<String> = space.genes(5).into_iter().map(|(_, gene)| gene.name).collect();
    let at = |name: &str| names.iter().position(|known| known == name).unwrap();
    let coarse = &levels[0];
    assert_eq!(coarse[at("experts.2")], coarse[at("experts.0")]);
    assert_ne!(coarse[at("merge1.experts.0")], coarse[at("experts.0")]);
    assert_ne!(coarse[at("merge1.weight.zoe")], coarse[at("weight.zoe")]);
    assert_ne!(coarse[at("route.one")], coarse[at("route.two")]);
    // Halves of the three blocks: 0 and 1; 2.
    let halves = &levels[1];
    assert_eq!(halves[at("experts.1")], halves[at("experts.0")]);
    assert_ne!(halves[at("experts.2")], halves[at("experts.0")]);
}
