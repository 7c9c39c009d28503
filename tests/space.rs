//! Search spaces: what they decode to, and what is said of those that make no sense.

use std::path::Path;

use merge_search::genome::{Decoder, Domain, Gene, Genotype, GroupFilters};
use merge_search::recipe::Recipe;
use merge_search::space::{SearchSpace, SpaceError};
use proptest::prelude::*;

const FILE: &str = "/made/space.toml";

fn space(merge: &str, parameters: &str) -> String {
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

fn error(text: &str) -> String {
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

#[test]
fn a_missing_file_is_named() {
    let error = SearchSpace::load(Path::new("/no/such/space.toml")).unwrap_err();
    assert!(matches!(&error, SpaceError::Read { .. }));
    assert!(error.to_string().contains("/no/such/space.toml"));
}

proptest! {
    /// Total on its domain, and every recipe survives its own YAML.
    #[test]
    fn every_genotype_has_a_recipe_that_round_trips(seed in any::<u64>(), layers in 1usize..7) {
        let text = space(
            "methods = [\"linear\", \"slerp\", \"task_arithmetic\", \"ties\", \"dare_ties\", \"passthrough\"]\n\
             choose_experts = true\ngroups = [\"attention\", \"embeddings\"]\nlayer_granularity = 2",
            "weight = { range = [-1.0, 1.0], per = [\"expert\", \"group\", \"depth\"] }\n\
             density = { range = [0.0, 1.0], step = 0.25, per = [\"expert\"] }\n\
             t = { range = [0.0, 1.0], per = [\"depth\"] }\nnormalize = { choices = [true, false] }",
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
