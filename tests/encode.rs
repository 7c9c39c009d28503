//! Recipes turned back into genotypes: by law (decode after encode changes nothing) and by hand.

use std::path::Path;

use merge_search::genome::{
    Decoder, Dimension, Domain, EncodeError, Gene, Genotype, GroupFilters, passthrough_of,
};
use merge_search::recipe::Recipe;
use merge_search::space::SearchSpace;
use proptest::prelude::*;

use crate::space::{FILE, space};

fn decoder(merge: &str, parameters: &str, layers: usize) -> Decoder {
    let space = SearchSpace::parse(&space(merge, parameters), Path::new(FILE)).unwrap();
    Decoder::new(space, layers, GroupFilters::llama()).unwrap()
}

/// `[merge]` and `[parameters]` of spaces that use every kind of gene, place and depth.
const SPACES: [(&str, &str); 14] = [
    ("methods = [\"linear\"]", "weight = { range = [0.0, 1.0], per = [\"expert\"] }"),
    (
        "methods = [\"task_arithmetic\", \"ties\"]\ngroups = [\"attention\", \"mlp\"]\ncontrol_points = 2",
        "weight = { range = [0.0, 1.5], per = [\"expert\", \"group\", \"depth\"] }\ndensity = { range = [0.2, 1.0] }\nlambda = 1.0\nnormalize = false",
    ),
    (
        "methods = [\"ties\"]\ngroups = [{ filter = \"q_proj\" }, \"attention\", \"embeddings\"]\ncontrol_points = 3",
        "weight = { range = [-1.0, 1.5], per = [\"group\", \"depth\"] }\ndensity = { range = [0.1, 0.9], step = 0.1, per = [\"expert\"] }\nnormalize = { choices = [true, false] }",
    ),
    (
        "methods = [\"dare_ties\", \"della\"]\nchoose_experts = true",
        "weight = { range = [0.1, 0.5], step = 0.1, per = [\"expert\"] }\ndensity = 0.5\nmask_seed = { range = [1, 7] }",
    ),
    (
        "methods = [\"task_arithmetic\"]\nchoose_experts = true\ngroups = [\"mlp\", \"head\"]\nlayer_granularity = 2",
        "weight = { range = [0.0, 1.0], per = [\"expert\", \"group\", \"depth\"] }\nlambda = { range = [0.5, 1.5], per = [\"depth\"] }",
    ),
    (
        "methods = [\"passthrough\"]\nlayer_granularity = 2",
        "scale = { range = [0.5, 1.5], per = [\"expert\", \"depth\"] }",
    ),
    ("methods = [\"slerp\"]", "t = { range = [0.0, 1.0] }"),
    (
        "methods = [\"slerp\", \"linear\"]\ngroups = [\"attention\"]\ncontrol_points = 4",
        "t = { range = [0.0, 1.0], per = [\"group\", \"depth\"] }\nweight = { choices = [0.0, 0.25, 1.0], per = [\"expert\"] }",
    ),
    (
        "methods = [\"nuslerp\"]\nlayer_granularity = 3",
        "weight = { range = [0.1, 1.0], per = [\"expert\", \"depth\"] }",
    ),
    (
        "methods = [\"model_stock\"]\nchoose_experts = true",
        "filter_wise = { choices = [true, false] }",
    ),
    (
        "methods = [\"breadcrumbs\"]\ncontrol_points = 1",
        "weight = { range = [0.0, 1.0], per = [\"expert\", \"depth\"] }\ngamma = { range = [0.0, 0.2], per = [\"expert\"] }\ndensity = 0.7",
    ),
    (
        "methods = [\"della_linear\"]\ngroups = [\"norms\"]",
        "weight = { range = [0.0, 1.0] }\nepsilon = { range = [0.05, 0.2], per = [\"group\"] }\ndensity = 0.5",
    ),
    (
        "methods = [\"geometric_median\", \"karcher\"]\nchoose_experts = true",
        "weight = { range = [0.5, 1.0], per = [\"expert\"] }\nmax_iter = { range = [5, 50], step = 5 }",
    ),
    (
        "methods = [\"sce\", \"ram\"]\nlayer_granularity = 1",
        "select_topk = { range = [0.1, 1.0], per = [\"depth\"] }\nepsilon = { range = [0.0, 0.1] }",
    ),
];

fn gene(dimension: &Dimension) -> BoxedStrategy<Gene> {
    match dimension.domain.clone() {
        Domain::Continuous { low, high } => (low..=high).prop_map(Gene::Real).boxed(),
        Domain::Integer { low, high } => (low..=high).prop_map(Gene::Integer).boxed(),
        Domain::Categorical { choices } => (0..choices.len()).prop_map(Gene::Category).boxed(),
    }
}

fn any_candidate() -> impl Strategy<Value = (Decoder, Genotype)> {
    (proptest::sample::select(SPACES.to_vec()), 5..8_usize).prop_flat_map(
        |((merge, words), layers)| {
            let decoder = decoder(merge, words, layers);
            let genes: Vec<_> = decoder.dimensions().iter().map(gene).collect();
            genes.prop_map(move |genes| (decoder.clone(), Genotype(genes)))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_a_genotype_decodes_to_encodes_to_the_same_merge((decoder, genotype) in any_candidate()) {
        let recipe = decoder.decode(&genotype);
        let again = decoder.encode(&recipe)
            .map_err(|error| TestCaseError::fail(format!("{error}\n{}", recipe.to_yaml())))?;
        prop_assert_eq!(decoder.decode(&again).to_yaml(), recipe.to_yaml());
    }

    /// A recipe read from its own YAML, or written by another hand with other filters, must not crash the encoder.
    #[test]
    fn no_recipe_of_one_space_crashes_another((decoder, _) in any_candidate(), (other, genotype) in any_candidate()) {
        let recipe = other.decode(&genotype);
        if let Ok(found) = decoder.encode(&recipe) {
            prop_assert_eq!(found.0.len(), decoder.dimensions().len());
        }
    }
}

fn reals(genotype: &Genotype) -> Vec<f64> {
    let real = |gene: &Gene| match gene {
        Gene::Real(x) => *x,
        Gene::Integer(z) => *z as f64,
        Gene::Category(c) => *c as f64,
    };
    genotype.0.iter().map(real).collect()
}

fn two_points() -> Decoder {
    decoder(
        "methods = [\"ties\"]\ngroups = [\"mlp\"]\ncontrol_points = 2",
        "weight = { range = [0.0, 1.0], per = [\"expert\", \"group\", \"depth\"] }\ndensity = 0.5\nlambda = { range = [0.0, 2.0] }",
        4,
    )
}

fn ties(zoe: &str, ann: &str, rest: &str) -> Recipe {
    Recipe::from_yaml(&format!(
        "merge_method: ties\nbase_model: o/base\nmodels:\n  - model: o/base\n  - model: o/ann@main\n    \
         parameters: {{weight: {ann}, density: 0.5}}\n  - model: o/zoe\n    parameters: {{weight: {zoe}}}\n\
         parameters: {{density: 0.5, {rest}}}\ndtype: bfloat16\n"
    ))
    .unwrap()
}

#[test]
fn a_recipe_of_another_hand_is_read_by_what_it_means() {
    // Models in another order, the base among them, density partly at the top, a constant, three collinear points.
    let recipe =
        ties("[{filter: mlp, value: [0.0, 0.25, 0.5]}, {value: 0.75}]", "1.0", "lambda: 1.5");
    let genotype = two_points().encode(&recipe).unwrap();
    // weight.zoe.mlp.{0,1}, weight.zoe.rest.{0,1}, weight.ann.mlp.{0,1}, weight.ann.rest.{0,1}, lambda.
    assert_eq!(reals(&genotype), [0.0, 0.5, 0.75, 0.75, 1.0, 1.0, 1.0, 1.0, 1.5]);
}

#[test]
fn an_expert_that_is_missing_has_no_weight() {
    let text = "merge_method: ties\nbase_model: o/base\nmodels: [{model: o/zoe, parameters: {weight: 1}}]\n\
                parameters: {density: 0.5}\n";
    let genotype = two_points().encode(&Recipe::from_yaml(text).unwrap()).unwrap();
    // lambda's default is 1.
    assert_eq!(reals(&genotype), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn the_nearest_is_told_with_the_largest_difference() {
    // Four layers between two points: 0, 1/3, 2/3, 1. The recipe's peak of 1 in the middle cannot be had.
    let recipe = ties("[0.0, 1.0, 1.0, 0.0]", "0.5", "lambda: 1");
    let (genotype, difference) = two_points().nearest(&recipe).unwrap();
    assert_eq!(reals(&genotype)[..4], [0.0; 4]);
    let difference = difference.unwrap();
    assert_eq!((difference.parameter, difference.asked, difference.nearest), ("weight", 1.0, 0.0));
    assert_eq!(difference.model.as_deref(), Some("o/zoe"));
    let error = two_points().encode(&recipe).unwrap_err();
    assert_eq!(error, EncodeError::Differs(difference));
}

#[test]
fn a_tied_gene_has_the_mean_of_what_it_stands_for() {
    let decoder =
        decoder("methods = [\"linear\"]", "weight = { range = [0.0, 2.0] }\nnormalize = false", 3);
    let text = "merge_method: linear\nmodels: [{model: o/zoe, parameters: {weight: 0.5}}, {model: o/ann@main, parameters: {weight: 1.5}}]\n\
                parameters: {normalize: false}\n";
    let (genotype, difference) = decoder.nearest(&Recipe::from_yaml(text).unwrap()).unwrap();
    assert_eq!(reals(&genotype), [1.0]);
    assert_eq!(difference.unwrap().gap(), 0.5);
}

#[test]
fn what_the_space_cannot_say_is_named() {
    let whole = ("0.5", "0.5", "lambda: 1");
    let changed = |from: &str, to: &str| {
        let yaml = ties(whole.0, whole.1, whole.2).to_yaml();
        assert!(yaml.contains(from), "{yaml}");
        Recipe::from_yaml(&yaml.replace(from, to)).unwrap()
    };
    let cases: Vec<(Recipe, &[&str])> = vec![
        (changed("ties", "dare_ties"), &["merge_method", "dare_ties", "ties"]),
        (changed("o/zoe", "o/bob"), &["o/bob", "o/zoe"]),
        (changed("base_model: o/base", "base_model: o/zoe"), &["base_model", "o/zoe", "o/base"]),
        (ties("1.5", "0.5", "lambda: 1"), &["parameters.weight", "1.5", "weight.zoe.mlp.0", "0 to 1"]),
        (ties("0.5", "0.5", "lambda: 3"), &["parameters.lambda", "3", "0 to 2"]),
        (ties("0.5", "[{filter: mlp, value: 1}]", "lambda: 1"), &["parameters.weight", "not set", "o/ann"]),
        (ties("0.5", "0.5", "normalize: false"), &["parameters.normalize", "0", "1"]),
        (
            ties("[{filter: q_proj, value: 0.1}, {value: 0.5}]", "0.5", "lambda: 1"),
            &["parameters.weight", "q_proj", "0.1", "0.5"],
        ),
        (
            Recipe::from_yaml(
                "merge_method: ties\nbase_model: o/base\nslices:\n  - sources: [{model: o/zoe, layer_range: [0, 2], parameters: {weight: 1}}]\n  - sources: [{model: o/zoe, layer_range: [1, 3], parameters: {weight: 1}}]\n",
            )
            .unwrap(),
            &["layer_range", "1", "2"],
        ),
    ];
    for (recipe, words) in cases {
        let said = two_points().encode(&recipe).unwrap_err().to_string();
        for word in words {
            assert!(said.contains(word), "{word:?} in {said:?}");
        }
    }
}

fn named(decoder: &Decoder) -> Vec<(String, Recipe)> {
    let parents = decoder.parents().into_iter();
    parents.map(|(name, genotype)| (name, decoder.decode(&genotype))).collect()
}

#[test]
fn parents_of_task_vectors_are_ones_zeros_and_equal_shares() {
    let decoder = decoder(
        "methods = [\"task_arithmetic\"]",
        "weight = { range = [0.0, 1.0], per = [\"expert\"] }\nlambda = { range = [0.0, 2.0], initial = 0.7 }",
        3,
    );
    let found: Vec<_> = decoder.parents();
    let expected = [
        ("base", [0.0, 0.0, 1.0]),
        ("zoe", [1.0, 0.0, 1.0]),
        ("ann", [0.0, 1.0, 1.0]),
        ("uniform", [0.5, 0.5, 1.0]),
    ];
    assert_eq!(found.len(), expected.len());
    for ((name, genotype), (wanted, genes)) in found.iter().zip(expected) {
        assert_eq!((name.as_str(), reals(genotype).as_slice()), (wanted, genes.as_slice()));
    }
    // A run's own baselines are these parents.
    let base = passthrough_of(&decoder.space().base);
    assert_eq!(reals(&decoder.encode(&base).unwrap()), [0.0, 0.0, 1.0]);
}

#[test]
fn parents_that_cannot_be_are_left_out() {
    // Weights from 0.2: no expert can be alone, and the base cannot be had.
    let shares =
        decoder("methods = [\"linear\"]", "weight = { range = [0.2, 1.0], per = [\"expert\"] }", 3);
    assert_eq!(
        named(&shares).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["uniform"]
    );
    let out = decoder("methods = [\"task_arithmetic\"]\nchoose_experts = true", "weight = 1.0", 3);
    let names: Vec<_> = named(&out).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["base", "zoe", "ann"]);
    let owners = decoder("methods = [\"passthrough\"]\nlayer_granularity = 2", "", 4);
    let of_zoe = "merge_method: passthrough\nslices:\n  - sources: [{model: o/zoe, layer_range: [0, 2]}]\n  - sources: [{model: o/zoe, layer_range: [2, 4]}]\ndtype: float32\n";
    let zoe = named(&owners).into_iter().find(|(name, _)| name == "zoe").unwrap().1;
    assert_eq!(zoe, Recipe::from_yaml(of_zoe).unwrap());
    let slerp = decoder("methods = [\"slerp\"]", "t = { range = [0.0, 1.0] }", 4);
    let names: Vec<_> = named(&slerp).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["base", "zoe", "ann"]);
}

#[test]
fn tying_goes_from_experts_to_groups_to_halves_to_genes() {
    let text = space(
        "methods = [\"task_arithmetic\"]\ngroups = [\"mlp\"]\ncontrol_points = 4",
        "weight = { range = [0.0, 1.0], per = [\"expert\", \"group\", \"depth\"] }\nlambda = { range = [0.0, 2.0] }",
    );
    let space = SearchSpace::parse(&text, Path::new(FILE)).unwrap();
    // lambda comes after weight: genes 0..4 zoe mlp, 4..8 zoe rest, 8..12 ann mlp, 12..16 ann rest, 16 lambda.
    let levels = space.tying(8);
    let classes = |level: &[usize]| {
        let mut all = level.to_vec();
        all.dedup();
        all
    };
    assert_eq!(levels.iter().map(|level| classes(level).len()).collect::<Vec<_>>(), [3, 5, 9, 17]);
    assert_eq!(levels[0][..9], [0, 0, 0, 0, 0, 0, 0, 0, 8]);
    assert_eq!(levels[1][..9], [0, 0, 0, 0, 4, 4, 4, 4, 8]);
    assert_eq!(levels[2][..9], [0, 0, 2, 2, 4, 4, 6, 6, 8]);
    let plain = SearchSpace::parse(
        &crate::space::space(
            "methods = [\"linear\"]",
            "weight = { range = [0.0, 1.0], per = [\"expert\"] }",
        ),
        Path::new(FILE),
    );
    assert!(plain.unwrap().tying(8).is_empty(), "nothing to tie");
}

fn optimizer_of(text: &str) -> Result<merge_search::space::OptimizerChoice, String> {
    let space = space("methods = [\"linear\"]", "weight = { range = [0.0, 1.0] }");
    let parsed = SearchSpace::parse(&format!("{space}[optimizer]\n{text}\n"), Path::new(FILE));
    parsed.map(|space| space.optimizer).map_err(|error| error.to_string())
}

#[test]
fn the_optimizer_s_keys_are_read_and_wrong_ones_named() {
    use merge_search::space::WarmStart;
    let choice = optimizer_of(
        "covariance = \"diagonal\"\nrestarts = \"ipop\"\nactive = true\nwarm_start = [\"parents\", \"best.yaml\", \"/runs/a\"]\n\
         coarse_to_fine = true\nracing = false\nsurrogate = true",
    )
    .unwrap();
    assert_eq!(choice.covariance.as_deref(), Some("diagonal"));
    assert_eq!(choice.restarts.as_deref(), Some("ipop"));
    assert_eq!(
        (choice.active, choice.coarse_to_fine, choice.racing, choice.surrogate),
        (Some(true), Some(true), Some(false), Some(true))
    );
    let starts = [
        WarmStart::Parents,
        WarmStart::At("/made/best.yaml".into()),
        WarmStart::At("/runs/a".into()),
    ];
    assert_eq!(choice.warm_start, starts);
    assert_eq!(optimizer_of("warm_start = \"parents\"").unwrap().warm_start, [WarmStart::Parents]);
    for (text, words) in [
        ("warm_start = [\"parents\", \"parents\"]", ["optimizer.warm_start", "parents"]),
        ("warm_start = [\"\"]", ["optimizer.warm_start", "run folders"]),
        ("warm_start = 3", ["warm_start", "list of strings"]),
        ("racing = \"yes\"", ["racing", "boolean"]),
        ("warmstart = \"parents\"", ["warmstart", "warm_start"]),
    ] {
        let said = optimizer_of(text).unwrap_err();
        words.iter().for_each(|word| assert!(said.contains(word), "{word:?} in {said:?}"));
    }
}
