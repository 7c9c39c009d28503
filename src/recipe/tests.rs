use super::*;

const FULL: &str = "
merge_method: dare_ties
base_model: base/model
slices:
  - sources:
      - {model: expert/a, layer_range: [0, 16], parameters: {weight: 0.6, density: [1.0, 0.5]}}
      - model: expert/b@main
        layer_range: [0, 16]
        parameters:
          weight: [{filter: mlp, value: [0.3, 1e-5]}, {value: 7}]
          density: {value: 0.4}
      - {model: base/model, layer_range: [0, 16]}
    parameters: {lambda: 0.9}
parameters: {normalize: true, int8_mask: true, mask_seed: 18446744073709551615, rescale_by: density}
dtype: float32
out_dtype: bfloat16
tokenizer: {source: base}
";

#[test]
fn a_file_with_everything_is_read() {
    let recipe = Recipe::from_yaml(FULL).unwrap();
    assert_eq!(recipe.merge_method, MergeMethod::DareTies);
    assert_eq!(recipe.mask_seed, u64::MAX);
    assert_eq!(recipe.rescale_by, RescaleRule::Density);
    assert_eq!(recipe.out_dtype, Some(Dtype::Bfloat16));
    assert_eq!(recipe.tokenizer_source.as_deref(), Some("base"));
    let Layout::Slices(slices) = &recipe.layout else {
        panic!("{recipe:?}")
    };
    let weight = slices[0].sources[1].parameters.get("weight").unwrap();
    let expected = Setting::conditional([
        (Some("mlp"), Profile::gradient([0.3, 1e-5])),
        (None, Profile::from(7.0)),
    ]);
    assert_eq!(*weight, expected);
    assert_eq!(Recipe::from_yaml(&recipe.to_yaml()).unwrap(), recipe);
}

fn message(yaml: &str) -> String {
    Recipe::from_yaml(yaml).unwrap_err().to_string()
}

#[test]
fn errors_name_the_key_and_what_is_valid() {
    for (yaml, parts) in [
        ("merge_method: tiez\nmodels: [{model: a}]", ["tiez", "ties"]),
        (
            "merge_method: ties\nmodel: [{model: a}]",
            ["model", "models"],
        ),
        ("merge_method: ties", ["models", "neither"]),
        (
            "merge_method: ties\nslices: [{sources: []}]",
            ["empty", "sources"],
        ),
        (
            "merge_method: ties\nmodules: {}\nmodels: [{model: a}]",
            ["modules", "slices"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a+b+c}]",
            ["a+b+c", "revision"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a, parameters: {weight: x}}]",
            ["x", "number"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a, parameters: {weight: .nan}}]",
            ["finite", "NaN"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a, parameters: {mask_seed: 1}}]",
            ["mask_seed", "`a`"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a}]\ndtype: float8",
            ["float8", "bfloat16"],
        ),
        (
            "merge_method: ties\nslices: [{sources: [{model: a, layer_range: [4, 4]}]}]",
            ["layer_range", "[4, 4]"],
        ),
    ] {
        let message = message(yaml);
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{yaml}\n=> {message}"
        );
    }
}
