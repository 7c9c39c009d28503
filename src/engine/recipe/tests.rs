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
    assert_eq!(recipe.out_dtype, Some(Dtype::BF16));
    assert_eq!(recipe.tokenizer, Some(TokenizerChoice::of_source(VocabularySource::Base)));
    let Layout::Slices(slices) = &recipe.layout else { panic!("{recipe:?}") };
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
        ("merge_method: ties\nmodel: [{model: a}]", ["model", "models"]),
        ("merge_method: ties", ["modules", "none of them"]),
        ("merge_method: ties\nslices: [{sources: []}]", ["empty", "sources"]),
        ("merge_method: ties\nmodules: {}\nmodels: [{model: a}]", ["modules", "slices"]),
        ("merge_method: ties\nmodels: [{model: a+b+c}]", ["a+b+c", "revision"]),
        ("merge_method: ties\nmodels: [{model: a, parameters: {weight: x}}]", ["x", "number"]),
        (
            "merge_method: ties\nmodels: [{model: a, parameters: {weight: .nan}}]",
            ["finite", ".nan"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a, parameters: {mask_seed: 1}}]",
            ["mask_seed", "`a`"],
        ),
        ("merge_method: ties\nmodels: [{model: a}]\ndtype: float8", ["float8", "bfloat16"]),
        ("merge_method: ties\nmodels: [{model: a}]\nchat_template: llama4", ["llama4", "llama3"]),
        (
            "merge_method: ties\nmodels: [{model: a}]\ntokenizer_source: a\ntokenizer: {source: a}",
            ["`tokenizer`", "`tokenizer_source`"],
        ),
        ("merge_method: ties\nmodels: [{model: a}]\ntokenizer: {token: {}}", ["token", "tokens"]),
        (
            "merge_method: ties\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {source: {kind: zero, model: a}}}}",
            ["kind: zero", "exactly one of token and token_id"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {source: {kind: model_token, model: a, token: b, token_id: 1}}}}",
            ["token_id: 1", "exactly one of token and token_id"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {source: {kind: mean}}}}",
            ["mean", "zero"],
        ),
        (
            "merge_method: ties\nmodels: [{model: a}]\ntokenizer: {tokens: {x: {}, x: {force: true}}}",
            ["x", "duplicate"],
        ),
        (
            "merge_method: ties\nslices: [{sources: [{model: a, layer_range: [4, 4]}]}]",
            ["layer_range", "[4, 4]"],
        ),
    ] {
        let message = message(yaml);
        assert!(parts.iter().all(|part| message.contains(part)), "{yaml}\n=> {message}");
    }
}

mod laws {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::super::*;

    fn model() -> impl Strategy<Value = ModelRef> {
        let any = "\\PC{1,12}".prop_filter_map("not a model", |text| ModelRef::new(text).ok());
        prop_oneof![any, "[a-z]{1,4}/[a-z0-9.]{1,4}".prop_map(|text| ModelRef::new(text).unwrap())]
    }

    fn value() -> impl Strategy<Value = Value> {
        let finite = any::<f64>().prop_filter("finite", |number| number.is_finite());
        prop_oneof![finite.prop_map(Value::Number), any::<bool>().prop_map(Value::Bool)]
    }

    fn profile() -> impl Strategy<Value = Profile> {
        prop_oneof![
            value().prop_map(Profile::Constant),
            vec(value(), 0..4).prop_map(Profile::Gradient)
        ]
    }

    fn setting() -> impl Strategy<Value = Setting> {
        let condition = (option::of(any::<String>()), profile())
            .prop_map(|(filter, value)| Condition { filter, value });
        prop_oneof![
            profile().prop_map(Setting::Everywhere),
            vec(condition, 1..4).prop_map(Setting::Conditional)
        ]
    }

    fn parameters() -> impl Strategy<Value = Parameters> {
        let name = prop_oneof!["[a-z_]{1,8}", any::<String>()]
            .prop_filter("ours", |name| name != "mask_seed" && name != "rescale_by");
        vec((name, setting()), 0..4).prop_map(Parameters::from_iter)
    }

    fn slice() -> impl Strategy<Value = OutputSlice> {
        let range = (0..40_usize, 1..9_usize)
            .prop_map(|(start, layers)| LayerRange::new(start, start + layers).unwrap());
        let source = (model(), range, parameters()).prop_map(|(model, layer_range, parameters)| {
            SliceSource { model, layer_range, parameters }
        });
        (vec(source, 1..4), option::of(model()), parameters()).prop_map(
            |(sources, base_model, parameters)| OutputSlice { sources, base_model, parameters },
        )
    }

    fn layout() -> impl Strategy<Value = Layout> {
        let entry = (model(), parameters()).prop_map(|(model, all)| ModelEntry::new(model, all));
        prop_oneof![
            vec(entry, 1..4).prop_map(Layout::Models),
            vec(slice(), 1..3).prop_map(Layout::Slices)
        ]
    }

    fn token_source() -> impl Strategy<Value = TokenSource> {
        let token = prop_oneof![
            any::<String>().prop_map(TokenName::Text),
            any::<u32>().prop_map(TokenName::Id)
        ];
        prop_oneof![
            Just(TokenSource::Zero),
            model().prop_map(TokenSource::Model),
            (model(), token).prop_map(|(model, token)| TokenSource::ModelToken { model, token })
        ]
    }

    fn tokenizer_choice() -> impl Strategy<Value = TokenizerChoice> {
        let source = prop_oneof![
            Just(VocabularySource::Union),
            Just(VocabularySource::Base),
            model().prop_map(VocabularySource::from)
        ];
        let rest = (option::of(token_source()), any::<bool>());
        let tokens = proptest::collection::btree_map(any::<String>(), rest, 0..4);
        let rows = (0..=65_536_usize).prop_map(std::num::NonZeroUsize::new);
        (source, tokens, rows).prop_map(|(source, tokens, pad_to_multiple_of)| {
            let tokens = (tokens.into_iter().rev())
                .map(|(token, (source, force))| TokenEntry { token, source, force })
                .collect();
            TokenizerChoice { source, tokens, pad_to_multiple_of }
        })
    }

    fn chat_template() -> impl Strategy<Value = ChatTemplate> {
        use proptest::sample::select;
        prop_oneof![
            Just(ChatTemplate::Auto),
            select(ChatFormat::ALL.to_vec()).prop_map(ChatTemplate::Named),
            any::<String>()
                .prop_map(|text| ChatTemplate::Jinja(format!("{{# a long comment #}}{text}")))
        ]
    }

    fn recipe() -> impl Strategy<Value = Recipe> {
        use proptest::sample::select;
        let dtype = || option::of(select(vec![Dtype::F32, Dtype::F16, Dtype::BF16]));
        let rescale_by = select(vec![RescaleRule::L1, RescaleRule::Density]);
        let head = (select(MergeMethod::ALL.to_vec()), option::of(model()), layout(), parameters());
        let words = (option::of(tokenizer_choice()), option::of(chat_template()));
        (head, any::<u64>(), rescale_by, dtype(), dtype(), words).prop_map(
            |((merge_method, base_model, layout, parameters), seed, rule, dtype, out, words)| {
                Recipe {
                    base_model,
                    parameters,
                    mask_seed: seed,
                    rescale_by: rule,
                    dtype,
                    out_dtype: out,
                    tokenizer: words.0,
                    chat_template: words.1,
                    ..Recipe::of_layout(merge_method, layout)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_exactly(recipe in recipe()) {
            let yaml = recipe.to_yaml();
            let read = Recipe::from_yaml(&yaml);
            prop_assert_eq!(read.map_err(|error| format!("{error}\n{yaml}")), Ok(recipe));
        }

        #[test]
        fn any_text_is_a_recipe_or_an_error(text in any::<String>()) {
            drop(Recipe::from_yaml(&text));
        }

        #[test]
        fn a_damaged_recipe_is_a_recipe_or_an_error(
            at in 0..super::FULL.len(), cut in 0..40_usize, patch in "[-\\[\\]{}:,&*!|>%@#\n a1.]{0,6}",
        ) {
            let mut bytes = super::FULL.as_bytes().to_vec();
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, patch.bytes());
            drop(Recipe::from_yaml(&String::from_utf8_lossy(&bytes)));
        }
    }
}

/// Hand calculation: three points over five layers, t = 0, 1/4, 1/2, 3/4, 1.
#[test]
fn gradients_are_interpolated_between_their_points() {
    let top = Parameters::from([("t", Setting::gradient([0.0, 1.0, 0.5]))]);
    let at = |t: f64| {
        Levels { source: None, slice: None, module: None, top: &top, t }.number("t", "x").unwrap()
    };
    let values: Vec<f64> = (0..5).map(|layer| at(f64::from(layer) / 4.0)).collect();
    assert_eq!(values, [0.0, 0.5, 1.0, 0.75, 0.5]);
}

#[test]
fn the_nearest_level_with_a_setting_for_the_tensor_wins() {
    let source = Parameters::from([("weight", Setting::conditional([(Some("mlp"), 1.0.into())]))]);
    let slice = Parameters::from([("weight", Setting::gradient([]))]);
    let top = Parameters::from([("weight", 3.0), ("density", 0.5)]);
    let levels =
        Levels { source: Some(&source), slice: Some(&slice), module: None, top: &top, t: 0.0 };
    assert_eq!(levels.number("weight", "layers.0.mlp.up_proj"), Some(1.0));
    assert_eq!(levels.number("weight", "layers.0.self_attn.q_proj"), Some(3.0));
    assert_eq!(levels.number("density", "anything"), Some(0.5));
    assert_eq!(levels.number("lambda", "anything"), None);
}

#[test]
fn a_truth_value_is_not_half_true() {
    let top = Parameters::from([("normalize", 0.5)]);
    let levels = Levels { source: None, slice: None, module: None, top: &top, t: 0.0 };
    assert!(levels.truth("normalize", "x").is_err());
}

/// YAML 1.1, which PyYAML reads, takes `1e-5` for a text.
#[test]
fn exponents_are_written_with_point_and_sign() {
    let mut recipe = Recipe::from_yaml("merge_method: linear\nmodels: [{model: a}]").unwrap();
    recipe.parameters.set("weight", Setting::gradient([1e-5, 1.5e300, -2e-310]));
    assert!(recipe.to_yaml().contains("[1.0e-5, 1.5e+300, -2.0e-310]"), "{}", recipe.to_yaml());
}

/// Every form of a token's source, in the order of the file; `{}` is a union.
#[test]
fn a_tokenizer_is_read() {
    let read = |tokenizer: &str| {
        let yaml = format!("merge_method: linear\nmodels: [{{model: a}}]\n{tokenizer}");
        Recipe::from_yaml(&yaml).unwrap().tokenizer.unwrap()
    };
    let yaml = "tokenizer:
  source: x/y@main
  tokens:
    zoo: {source: a/b}
    </s>: {source: {kind: model_token, model: a/b, token: <eos>}, force: true}
    <pad>: {source: {kind: model_token, model: a/b, token_id: 7}}
    ant: {source: {kind: zero}}
    none: {source: null}
  pad_to_multiple_of: 64";
    let (model, other) = (ModelRef::new("a/b").unwrap(), ModelRef::new("x/y@main").unwrap());
    let of_token = |token| Some(TokenSource::ModelToken { model: model.clone(), token });
    let tokens = [
        ("zoo", Some(TokenSource::Model(model.clone())), false),
        ("</s>", of_token(TokenName::Text("<eos>".to_owned())), true),
        ("<pad>", of_token(TokenName::Id(7)), false),
        ("ant", Some(TokenSource::Zero), false),
        ("none", None, false),
    ];
    let expected = TokenizerChoice {
        source: VocabularySource::Model(other),
        tokens: (tokens.into_iter())
            .map(|(token, source, force)| TokenEntry { token: token.to_owned(), source, force })
            .collect(),
        pad_to_multiple_of: std::num::NonZeroUsize::new(64),
    };
    assert_eq!(read(yaml), expected);
    let union = TokenizerChoice::of_source(VocabularySource::Union);
    for same in ["tokenizer: {}", "tokenizer_source: union", "tokenizer: {pad_to_multiple_of: 0}"] {
        assert_eq!(read(same), union, "{same}");
    }
}

/// Deep nesting and aliases of aliases cost neither the stack nor the memory.
#[test]
fn bombs_are_refused() {
    let deep = format!("modules: {}", "[".repeat(100_000));
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let row = vec![format!("*a{}", i - 1); 9].join(", ");
        aliases += &format!("a{i}: &a{i} [{row}]\n");
    }
    for yaml in [deep, format!("modules:\n  {}", aliases.replace('\n', "\n  "))] {
        assert!(Recipe::from_yaml(&yaml).is_err());
    }
}
