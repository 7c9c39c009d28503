//! Search spaces: what they decode to, and what is said of those that make no sense.

use std::path::Path;

use merge_search::genome::{
    Decoder, DecoderError, Dimension, Domain, Gene, Genotype, GroupFilters,
};
use merge_search::recipe::{
    BaseUse, Kind, Layout, Levels, MergeMethod, OutputSlice, ParameterSpec, Recipe, Scope,
};
use merge_search::space::SearchSpace;
use merge_search::units::TensorGroup;
use proptest::prelude::*;

pub(crate) const FILE: &str = "/made/space.toml";

pub(crate) fn space(merge: &str, parameters: &str) -> String {
    format!(
        "name = \"s\"\n[models]\nbase = \"o/base\"\n[models.experts]\nzoe = \"o/zoe\"\nann = \"o/ann@main\"\n\
         [merge]\n{merge}\n[parameters]\n{parameters}\n[tasks]\nfolders = [\"t\"]\n"
    )
}

fn decoder(text: &str, layers: usize) -> Decoder {
    let space = SearchSpace::parse(text, Path::new(FILE)).unwrap();
    Decoder::new(space, layers, GroupFilters::llama()).unwrap()
}

fn names(decoder: &Decoder) -> Vec<&str> {
    decoder.dimensions().iter().map(|dimension| dimension.name.as_str()).collect()
}

pub(crate) fn error(text: &str) -> String {
    let error = SearchSpace::parse(text, Path::new(FILE)).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(FILE), "names the file: {said}");
    said
}

#[test]
fn a_gradient_with_groups_decodes_to_the_recipe_written_by_hand() {
    let text = space(
        "methods = [\"ties\"]\ngroups = [\"mlp\"]\ncontrol_points = 2",
        "weight = { range = [0.0, 1.0], per = [\"expert\", \"group\", \"depth\"] }\ndensity = 0.5\nlambda = { range = [0.0, 2.0] }",
    );
    let decoder = decoder(&text, 4);
    // Experts in the file's order; parameters in the order weight, density, lambda.
    let expected = [
        "weight.zoe.mlp.0",
        "weight.zoe.mlp.1",
        "weight.zoe.rest.0",
        "weight.zoe.rest.1",
        "weight.ann.mlp.0",
        "weight.ann.mlp.1",
        "weight.ann.rest.0",
        "weight.ann.rest.1",
        "lambda",
    ];
    assert_eq!(names(&decoder), expected);
    let genes = (1..=8).map(|i| Gene::Real(f64::from(i) / 8.0)).chain([Gene::Real(1.5)]);
    let by_hand = "
merge_method: ties
base_model: o/base
models:
  - model: o/zoe
    parameters:
      weight: [{filter: mlp, value: [0.125, 0.25]}, {value: [0.375, 0.5]}]
      density: 0.5
  - model: o/ann@main
    parameters:
      weight: [{filter: mlp, value: [0.625, 0.75]}, {value: [0.875, 1.0]}]
      density: 0.5
parameters: {lambda: 1.5}
dtype: float32
";
    assert_eq!(decoder.decode(&Genotype(genes.collect())), Recipe::from_yaml(by_hand).unwrap());
}

#[test]
fn owners_of_blocks_decode_to_slices() {
    let text = space("methods = [\"passthrough\"]\nlayer_granularity = 2", "");
    let decoder = decoder(&text, 5);
    assert_eq!(names(&decoder), ["owner.0", "owner.1", "owner.2"]);
    let genes = [Gene::Category(0), Gene::Category(2), Gene::Category(1)];
    let by_hand = "
merge_method: passthrough
slices:
  - sources: [{model: o/base, layer_range: [0, 2]}]
  - sources: [{model: o/ann@main, layer_range: [2, 4]}]
  - sources: [{model: o/zoe, layer_range: [4, 5]}]
dtype: float32
";
    assert_eq!(decoder.decode(&Genotype(genes.to_vec())), Recipe::from_yaml(by_hand).unwrap());
}

#[test]
fn slerp_takes_the_pair_that_the_gene_names() {
    let text = space("methods = [\"slerp\"]", "t = { range = [0.0, 1.0] }");
    let decoder = decoder(&text, 4);
    let Domain::Categorical { choices } = &decoder.dimensions()[0].domain else { panic!() };
    assert_eq!(*choices, ["base+zoe", "base+ann", "zoe+ann"]);
    let by_hand = "
merge_method: slerp
base_model: o/zoe
models: [{model: o/zoe}, {model: o/ann@main}]
parameters: {t: 0.25}
dtype: float32
";
    let genotype = Genotype(vec![Gene::Category(2), Gene::Real(0.25)]);
    assert_eq!(decoder.decode(&genotype), Recipe::from_yaml(by_hand).unwrap());
}

#[test]
fn experts_out_are_left_out_and_steps_count_from_the_low_end() {
    let text = space(
        "methods = [\"dare_ties\"]\nchoose_experts = true",
        "weight = { range = [0.1, 0.5], step = 0.1 }\ndensity = 0.5\nmask_seed = { range = [0, 3] }",
    );
    let decoder = decoder(&text, 4);
    assert_eq!(names(&decoder), ["expert.zoe", "expert.ann", "weight", "mask_seed"]);
    assert_eq!(decoder.dimensions()[2].domain, Domain::Integer { low: 0, high: 4 });
    let genes = [Gene::Category(1), Gene::Category(0), Gene::Integer(2), Gene::Integer(3)];
    let recipe = decoder.decode(&Genotype(genes.to_vec()));
    assert_eq!(recipe.mask_seed, 3);
    assert_eq!(recipe.models().len(), 2, "ann and base");
    let yaml = recipe.to_yaml();
    assert!(yaml.contains("weight: 0.3") && !yaml.contains("zoe"), "{yaml}");
}

#[test]
fn without_experts_the_base_model_comes_back() {
    let text = space("methods = [\"task_arithmetic\"]\nchoose_experts = true", "weight = 1.0");
    let genes = vec![Gene::Category(1), Gene::Category(1)];
    let recipe = decoder(&text, 4).decode(&Genotype(genes));
    let by_hand = "merge_method: passthrough\nmodels: [{model: o/base}]\ndtype: float32\n";
    assert_eq!(recipe, Recipe::from_yaml(by_hand).unwrap());
}

#[test]
fn what_makes_no_sense_is_named() {
    let fine = "methods = [\"task_arithmetic\"]";
    for (merge, parameters, words) in [
        ("methods = [\"teis\"]", "weight = 1.0", &["merge.methods", "teis", "task_arithmetic"][..]),
        ("methods = []", "weight = 1.0", &["merge.methods", "empty"]),
        (fine, "wieght = 1.0", &["parameters", "wieght", "weight"]),
        (fine, "weight = true", &["parameters.weight", "true"]),
        (
            fine,
            "weight = { range = [1.0, 0.0] }",
            &["parameters.weight.range", "[1, 0]", "low < high"],
        ),
        (
            fine,
            "weight = { range = [0.0, 1.0], initial = 3.0 }",
            &["weight.initial", "3", "[0, 1]"],
        ),
        (
            fine,
            "weight = { range = [0.0, 1.0], per = [\"layer\"] }",
            &["weight.per", "layer", "depth"],
        ),
        (fine, "weight = { range = [0.0, 1.0], step = 2.0 }", &["weight.step", "2"]),
        (fine, "weight = { rang = [0.0, 1.0] }", &["rang", "range"]),
        (fine, "weight = 1.0\ndensity = 0.5", &["parameters.density", "ties"]),
        (
            fine,
            "weight = 1.0\nmask_seed = { range = [0, 9] }",
            &["parameters.mask_seed", "dare_ties"],
        ),
        (
            "methods = [\"ties\"]\ncontrol_points = 2",
            "weight = 1.0",
            &["merge.control_points", "depth"],
        ),
        (fine, "", &["parameters.weight", "missing"]),
        ("methods = [\"slerp\"]", "", &["parameters.t", "missing"]),
        ("methods = [\"ties\"]", "weight = 1.0\ndensity = 1.5", &["parameters.density", "1.5"]),
        ("methods = [\"passthrough\"]", "", &["merge.layer_granularity", "missing"]),
        (
            "methods = [\"ties\"]\ncontrol_points = 0",
            "weight = 1.0",
            &["merge.control_points", "0"],
        ),
        ("methods = [\"ties\"]\ncolour = 1", "weight = 1.0", &["colour", "control_points"]),
        (
            "methods = [\"ties\"]\ngroups = [\"mpl\"]",
            "weight = 1.0",
            &["merge.groups", "mpl", "mlp"],
        ),
    ] {
        let said = error(&space(merge, parameters));
        for word in words {
            assert!(said.contains(word), "{merge} / {parameters}: no `{word}` in: {said}");
        }
    }
}

/// The reference in the quickstart's comments is complete, and its own genes are what they always were.
#[test]
fn the_quickstart_names_every_method_and_parameter() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let comments: String =
        text.lines().filter(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let listed: Vec<&str> =
        comments.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for method in MergeMethod::ALL {
        assert!(listed.contains(&method.as_str()), "{method}");
        for parameter in method.parameters() {
            assert!(listed.contains(&parameter.name), "{}", parameter.name);
        }
    }
    let space = SearchSpace::load(&file).unwrap();
    let decoder = Decoder::new(space, 6, GroupFilters::llama()).unwrap();
    let genes = names(&decoder);
    assert_eq!(
        genes[..3],
        ["method", "weight.arithmetic.attention.0", "weight.arithmetic.attention.1"]
    );
    assert_eq!(genes.len(), 1 + 4 * 3 * 2 + 1);
    assert_eq!(genes.last(), Some(&"density"));
}

#[test]
fn a_group_is_a_name_or_a_filter_and_a_name_may_be_several_filters() {
    let text = space(
        "methods = [\"slerp\"]\ngroups = [\"attention\", { filter = \"up_proj\" }, \"embeddings\"]\ncontrol_points = 2",
        "t = { range = [0.0, 1.0], per = [\"group\", \"depth\"] }",
    );
    let space = SearchSpace::parse(&text, Path::new(FILE)).unwrap();
    let filters: GroupFilters = [
        (TensorGroup::Attention, vec!["q_norm".to_owned(), "attn.".to_owned()]),
        (TensorGroup::Embedding, vec!["wte".to_owned()]),
    ]
    .into_iter()
    .collect();
    let decoder = Decoder::new(space.clone(), 4, filters).unwrap();
    let expected = [
        "pair",
        "t.attention.0",
        "t.attention.1",
        "t.up_proj.0",
        "t.up_proj.1",
        "t.embeddings",
        "t.rest.0",
        "t.rest.1",
    ];
    assert_eq!(names(&decoder), expected);
    let genes = (1..=7).map(|i| Gene::Real(f64::from(i) / 8.0));
    let by_hand = "
merge_method: slerp
base_model: o/base
models: [{model: o/base}, {model: o/zoe}]
parameters:
  t:
    - {filter: q_norm, value: [0.125, 0.25]}
    - {filter: attn., value: [0.125, 0.25]}
    - {filter: up_proj, value: [0.375, 0.5]}
    - {filter: wte, value: 0.625}
    - {value: [0.75, 0.875]}
dtype: float32
";
    let genotype = Genotype([Gene::Category(0)].into_iter().chain(genes).collect());
    assert_eq!(decoder.decode(&genotype), Recipe::from_yaml(by_hand).unwrap());
    let error = Decoder::new(space, 4, GroupFilters::default()).unwrap_err();
    assert_eq!(error, DecoderError::NoSuchGroup { group: "attention" });
}

#[test]
fn nuslerp_merges_the_task_vectors_of_the_pair_and_shared_parameters_may_differ_by_block() {
    let text = space(
        "methods = [\"nuslerp\"]\nlayer_granularity = 2",
        "weight = { range = [0.0, 1.0], per = [\"expert\"] }\n\
         nuslerp_flatten = { choices = [true, false], per = [\"depth\"] }\nnuslerp_row_wise = true",
    );
    let decoder = decoder(&text, 3);
    let expected = ["weight.zoe", "weight.ann", "nuslerp_flatten.0", "nuslerp_flatten.1"];
    assert_eq!(names(&decoder), expected, "one pair is no choice");
    let by_hand = "
merge_method: nuslerp
base_model: o/base
slices:
  - sources:
      - {model: o/zoe, layer_range: [0, 2], parameters: {weight: 0.25}}
      - {model: o/ann@main, layer_range: [0, 2], parameters: {weight: 0.5}}
      - {model: o/base, layer_range: [0, 2]}
    parameters: {nuslerp_flatten: false}
  - sources:
      - {model: o/zoe, layer_range: [2, 3], parameters: {weight: 0.25}}
      - {model: o/ann@main, layer_range: [2, 3], parameters: {weight: 0.5}}
      - {model: o/base, layer_range: [2, 3]}
    parameters: {nuslerp_flatten: true}
parameters: {nuslerp_row_wise: true}
dtype: float32
";
    let genes = [Gene::Real(0.25), Gene::Real(0.5), Gene::Category(1), Gene::Category(0)];
    assert_eq!(decoder.decode(&Genotype(genes.to_vec())), Recipe::from_yaml(by_hand).unwrap());
}

#[test]
fn too_few_experts_give_the_base_model_back() {
    let text = space("methods = [\"model_stock\"]\nchoose_experts = true", "filter_wise = true");
    let decoder = decoder(&text, 4);
    let models = |genes: [usize; 2]| {
        let recipe = decoder.decode(&Genotype(genes.map(Gene::Category).to_vec()));
        (recipe.merge_method, recipe.models().iter().map(|m| m.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(models([0, 1]), (MergeMethod::Passthrough, vec!["o/base".to_owned()]));
    assert_eq!(models([0, 0]).0, MergeMethod::ModelStock);
}

#[test]
fn an_owner_is_scaled_by_its_own_number() {
    let text = space(
        "methods = [\"passthrough\"]\nlayer_granularity = 1",
        "scale = { range = [0.5, 1.5], per = [\"expert\"] }",
    );
    let genes = [Gene::Category(0), Gene::Category(2), Gene::Real(0.75), Gene::Real(1.25)];
    let by_hand = "
merge_method: passthrough
slices:
  - sources: [{model: o/base, layer_range: [0, 1]}]
  - sources: [{model: o/ann@main, layer_range: [1, 2], parameters: {scale: 1.25}}]
dtype: float32
";
    let recipe = decoder(&text, 2).decode(&Genotype(genes.to_vec()));
    assert_eq!(recipe, Recipe::from_yaml(by_hand).unwrap());
}

/// A parameter of the table as genes along all of its axes, each with two values of which the second is drawn.
fn as_genes(parameter: &ParameterSpec) -> (String, f64) {
    let axes = match parameter.scope {
        Scope::PerModel => "\"expert\", \"group\", \"depth\"",
        Scope::Shared => "\"group\", \"depth\"",
    };
    let (choices, second) = match parameter.kind {
        Kind::Truth => ("true, false", 0.0),
        Kind::Real { .. } => ("0.5, 0.25", 0.25),
        Kind::Whole { .. } => ("3, 7", 7.0),
    };
    (format!("{} = {{ choices = [{choices}], per = [{axes}] }}\n", parameter.name), second)
}

fn slices(recipe: &Recipe) -> &[OutputSlice] {
    match &recipe.layout {
        Layout::Slices(slices) => slices,
        _ => panic!("{} has no slices", recipe.merge_method),
    }
}

/// The table of methods is the oracle: each parameter can be a gene along all its axes, and a look-up in the decoded
/// recipe finds the gene's value for every model and tensor; base and number of models are as the method needs them.
#[test]
fn every_parameter_of_every_method_can_be_genes() {
    for method in MergeMethod::ALL {
        // density and rescale of task arithmetic are accepted by mergekit and not used.
        let effective = |parameter: &&ParameterSpec| {
            method != MergeMethod::TaskArithmetic
                || !["density", "rescale"].contains(&parameter.name)
        };
        let parameters: Vec<_> = method.parameters().iter().filter(effective).collect();
        let lines: String = parameters.iter().map(|parameter| as_genes(parameter).0).collect();
        let layout = match (parameters.is_empty(), method) {
            (true, _) => String::new(),
            _ => "groups = [\"mlp\"]\nlayer_granularity = 2".to_owned(),
        };
        let text = space(&format!("methods = [\"{method}\"]\n{layout}"), &lines);
        let decoder = decoder(&text, 4);
        let second = |dimension: &Dimension| match &dimension.domain {
            Domain::Categorical { choices } => Gene::Category(choices.len() - 1),
            _ => panic!("{}", dimension.name),
        };
        let recipe = decoder.decode(&Genotype(decoder.dimensions().iter().map(second).collect()));
        assert_eq!(recipe.merge_method, method);
        let has_base = recipe.base_model.is_some();
        assert_eq!(has_base, method.base() != BaseUse::Ignored, "{method}");
        let merged = recipe.models().len() - usize::from(has_base);
        let count = method.count();
        assert!((count.least..=count.most).contains(&merged) || method == MergeMethod::Passthrough);
        for parameter in parameters {
            for slice in slices(&recipe) {
                for source in &slice.sources {
                    let own = parameter.scope == Scope::PerModel;
                    if own && has_base && recipe.base_model.as_ref() == Some(&source.model) {
                        continue;
                    }
                    let levels = Levels {
                        source: own.then_some(&source.parameters),
                        slice: Some(&slice.parameters),
                        module: None,
                        top: &recipe.parameters,
                        t: 0.0,
                    };
                    for tensor in ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"] {
                        let found = levels.number(parameter.name, tensor);
                        assert_eq!(
                            found,
                            Some(as_genes(parameter).1),
                            "{method} {}",
                            parameter.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_value_must_fit_every_method_that_uses_it() {
    let methods = |words: &[&str]| format!("methods = {words:?}");
    for (merge, parameters, words) in [
        // epsilon: a share in della, any threshold in ram.
        (methods(&["ram"]), "epsilon = 2.0", None),
        (methods(&["della", "ram"]), "weight = 1.0\nepsilon = 2.0", Some(["epsilon", "[0, 1]"])),
        (
            methods(&["della"]),
            "weight = 1.0\nepsilon = { range = [0.0, 0.2], per = [\"expert\"] }",
            None,
        ),
        (
            methods(&["della", "ram"]),
            "weight = 1.0\nepsilon = { range = [0.0, 0.2], per = [\"expert\"] }",
            Some(["epsilon.per", "group, depth"]),
        ),
        (methods(&["slerp", "nearswap"]), "t = -0.5", None),
        (methods(&["karcher"]), "max_iter = 1.5", Some(["max_iter", "whole"])),
        (methods(&["karcher"]), "max_iter = { range = [1, 20001] }", Some(["max_iter", "10000"])),
        (
            methods(&["nuslerp"]),
            "weight = 1.0\nnuslerp_flatten = 1",
            Some(["flatten", "true or false"]),
        ),
        (methods(&["ram"]), "weight = 1.0", Some(["parameters.weight", "without effect"])),
        (methods(&["geometric_median"]), "weight = -1.0", Some(["weight", "[0, 10]"])),
        (methods(&["linear"]), "weight = 11.0", Some(["weight", "[-10, 10]"])),
        (
            methods(&["slerp", "passthrough"]) + "\nlayer_granularity = 1\nchoose_experts = true",
            "t = 0.5",
            Some(["merge.choose_experts", "genes of their own"]),
        ),
        (methods(&["expert_choice"]), "", Some(["parameters.weight", "missing"])),
        (
            methods(&["karcher"]) + "\ncontrol_points = 2",
            "max_iter = { range = [5, 9], per = [\"depth\"] }",
            Some(["max_iter.per", "layer_granularity"]),
        ),
        (
            methods(&["slerp"]) + "\ngroups = [{ filter = \"attn\" }, { filter = \"self_attn\" }]",
            "t = { range = [0.0, 1.0], per = [\"group\"] }",
            Some(["merge.groups", "self_attn"]),
        ),
        (
            methods(&["slerp"]) + "\ngroups = [\"mlp\", { filter = \"mlp\" }]",
            "t = { range = [0.0, 1.0], per = [\"group\"] }",
            Some(["merge.groups", "mlp"]),
        ),
    ] {
        let text = space(&merge, parameters);
        match words {
            None => drop(SearchSpace::parse(&text, Path::new(FILE)).unwrap()),
            Some(words) => {
                let said = error(&text);
                assert!(words.iter().all(|word| said.contains(word)), "{words:?} in: {said}");
            }
        }
    }
    let lonely = space("methods = [\"nuslerp\"]", "weight = 1.0").replace("zoe = \"o/zoe\"\n", "");
    assert!(error(&lonely).contains("at least 2 experts"));
}

proptest! {
    /// Total on its domain, and every recipe survives its own YAML.
    #[test]
    fn every_genotype_has_a_recipe_that_round_trips(seed in any::<u64>(), layers in 1usize..7) {
        let methods: Vec<&str> = MergeMethod::ALL.iter().map(|method| method.as_str()).collect();
        let text = space(
            &format!(
                "methods = {methods:?}\nchoose_experts = true\n\
                 groups = [\"attention\", {{ filter = \"up_proj\" }}, \"embeddings\"]\nlayer_granularity = 2"
            ),
            "weight = { range = [0.0, 1.0], per = [\"expert\", \"group\", \"depth\"] }\n\
             density = { range = [0.0, 1.0], step = 0.25, per = [\"expert\"] }\n\
             lambda = { range = [0.0, 2.0], per = [\"group\"] }\nmax_iter = { range = [1, 50], per = [\"depth\"] }\n\
             t = { range = [0.0, 1.0], per = [\"depth\"] }\nnormalize = { choices = [true, false], per = [\"depth\"] }",
        );
        let decoder = decoder(&text, layers);
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        let genes = decoder.dimensions().iter().map(|dimension| match &dimension.domain {
            Domain::Continuous { low, high } => Gene::Real(low + next() * (high - low)),
            Domain::Integer { low, high } => Gene::Integer(low + (next() * (high - low + 1) as f64) as i64),
            Domain::Categorical { choices } => Gene::Category((next() * choices.len() as f64) as usize),
        });
        let recipe = decoder.decode(&Genotype(genes.collect()));
        prop_assert_eq!(Recipe::from_yaml(&recipe.to_yaml()).unwrap(), recipe);
    }

    /// Whatever bytes stand in the file, the answer is a space or an error.
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _either = SearchSpace::parse(&text, Path::new(FILE));
    }
}
