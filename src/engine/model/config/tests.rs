//! Oracles: what transformers computes (`tests/reference/transformers`), its config classes' defaults, the shapes it saves.

mod tensors;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::bloom::alibi_slopes;
use super::*;
use crate::model::spec::{
    Activation, HeadSpec, MlpSpec, PositionsSpec, Reading, RotarySpec, StackSpec, SublayerNorm,
};

const ROPE: &str = include_str!("../../../../tests/reference/transformers/rope.json");
const CONFIGS: &str = include_str!("../../../../tests/reference/transformers/configs.json");
const FAMILY_NAMES: [&str; 14] = [
    "llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma", "gemma2", "gpt2", "bloom", "t5",
    "mt5", "bart", "bert", "albert",
];

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn with(base: &Value, changes: Value) -> Value {
    let mut map = base.as_object().unwrap().clone();
    map.extend(changes.as_object().unwrap().clone());
    Value::Object(map)
}

/// A checkpoint without a head of its own.
fn stored(name: &str) -> bool {
    let heads = ["lm_head", "score", "classification_head"];
    stored_with_head(name) && !heads.iter().any(|head| name.starts_with(head))
}

fn stored_with_head(name: &str) -> bool {
    !name.ends_with(".gamma") && !name.contains("coder.embed_tokens")
}

/// The class's defaults with `changes`.
fn defaults(family: &str, changes: Value) -> Value {
    with(&parse(CONFIGS)[family], changes)
}

fn read(config: &Value) -> Result<NetworkSpec, ConfigError> {
    NetworkSpec::from_json(config, &stored_with_head)
}

/// All but the fields that were read, which is where two spellings differ.
fn spec(config: &Value) -> NetworkSpec {
    NetworkSpec { settings: Default::default(), ..read(config).unwrap() }
}

fn stack(spec: &NetworkSpec) -> &StackSpec {
    spec.decoder.as_ref().or(spec.encoder.as_ref()).unwrap()
}

fn rotary(config: &Value) -> RotarySpec {
    match stack(&read(config).unwrap()).layers[0].attention.positions.clone() {
        PositionsSpec::Rotary(rotary) => rotary,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rotary_frequencies_are_those_of_transformers() {
    let reference = parse(ROPE);
    for (name, case) in reference["cases"].as_object().unwrap() {
        let rotary = rotary(&with(&reference["base"], case["settings"].clone()));
        let expected = case["frequencies"].as_array().unwrap();
        assert_eq!(rotary.inverse_frequencies.len(), expected.len(), "{name}");
        for (frequency, expected) in rotary.inverse_frequencies.iter().zip(expected) {
            let expected = expected.as_f64().unwrap();
            assert!(
                (f64::from(*frequency) / expected - 1.0).abs() < 1e-6,
                "{name}: {frequency} {expected}"
            );
        }
        assert!(
            (f64::from(rotary.factor) - case["factor"].as_f64().unwrap()).abs() < 1e-6,
            "{name}"
        );
    }
}

#[test]
fn alibi_slopes_are_those_of_transformers() {
    for (heads, expected) in parse(ROPE)["alibi_slopes"].as_object().unwrap() {
        let slopes = alibi_slopes(heads.parse().unwrap());
        let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(slopes.len(), expected.len());
        for (slope, expected) in slopes.iter().zip(expected) {
            assert!(
                (f64::from(*slope) / expected - 1.0).abs() < 1e-5,
                "{heads}: {slope} {expected}"
            );
        }
    }
}

#[test]
fn alibi_slopes_of_eight_heads_are_the_papers() {
    let expected: Vec<f32> = (1..=8).map(|i| 0.5f32.powi(i)).collect();
    assert_eq!(alibi_slopes(8), expected);
}

#[test]
fn absent_fields_mean_the_defaults_of_transformers_classes() {
    const SHAPE: [&str; 7] = [
        "model_type",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    ];
    for family in FAMILY_NAMES {
        let full = defaults(family, json!({}));
        let rotary = FAMILY_NAMES.iter().position(|name| *name == family).unwrap() < 7;
        let kept = |key: &str| key == "model_type" || (rotary && SHAPE.contains(&key));
        let sparse: Map<String, Value> =
            full.as_object().unwrap().clone().into_iter().filter(|(key, _)| kept(key)).collect();
        assert_eq!(spec(&full), spec(&Value::Object(sparse)), "{family}");
    }
}

#[test]
fn both_spellings_give_the_same_network() {
    let pairs = [
        (
            "llama",
            json!({"rope_theta": 5e5, "rope_parameters": null}),
            json!({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
        ),
        (
            "llama",
            json!({"rope_parameters": null, "rope_scaling": {"type": "linear", "factor": 2}}),
            json!({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
        ),
        (
            "gpt2",
            json!({"n_layer": 3, "n_embd": 24, "n_head": 4, "n_positions": 9}),
            json!({"n_layer": null, "n_embd": null, "n_head": null, "n_positions": null, "num_hidden_layers": 3,
                "hidden_size": 24, "num_attention_heads": 4, "max_position_embeddings": 9}),
        ),
        (
            "bloom",
            json!({"n_layer": 3, "n_head": 4, "hidden_size": 24}),
            json!({"n_layer": null, "n_head": null, "hidden_size": null, "num_hidden_layers": 3,
                "num_attention_heads": 4, "n_embed": 24}),
        ),
        (
            "t5",
            json!({"tie_word_embeddings": false, "scale_decoder_outputs": null}),
            json!({"tie_word_embeddings": true, "scale_decoder_outputs": false}),
        ),
        (
            "t5",
            json!({"feed_forward_proj": "gated-gelu", "dense_act_fn": null, "is_gated_act": null}),
            json!({"feed_forward_proj": "relu", "dense_act_fn": "gelu_new", "is_gated_act": true}),
        ),
    ];
    for (family, old, new) in pairs {
        assert_eq!(spec(&defaults(family, old)), spec(&defaults(family, new)), "{family}");
    }
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    let everywhere = [
        ("is_causal", json!(false)),
        ("quantization_config", json!({"bits": 4})),
        ("per_layer_config", json!({"0": {}})),
        ("embedding_multiplier", json!(12)),
        ("alibi", json!(true)),
        ("rope_interleaved", json!(true)),
    ];
    let special = [
        ("llama", "rope_scaling", json!({"rope_type": "longrope", "factor": 2})),
        ("llama", "rope_scaling", json!({"full_attention": {"rope_theta": 1e4}})),
        ("llama", "rope_scaling", json!({"rope_type": "yarn"})),
        ("llama", "rope_scaling", json!({"rope_type": "default", "mrope_section": [1]})),
        ("llama", "partial_rotary_factor", json!(0.5)),
        ("llama", "hidden_act", json!("quick_gelu")),
        ("llama", "final_logit_softcapping", json!(30)),
        ("llama", "num_key_value_heads", json!(5)),
        ("llama", "head_dim", json!(5)),
        ("llama", "num_hidden_layers", json!(1u64 << 40)),
        ("llama", "hidden_size", json!(1u64 << 40)),
        ("bert", "vocab_size", json!(1u64 << 40)),
        ("llama", "num_hidden_layers", json!(1 << 20)),
        ("mistral", "attention_bias", json!(true)),
        ("mistral", "num_key_value_heads", json!(null)),
        ("mixtral", "num_experts_per_tok", json!(9)),
        ("mixtral", "merge_search_dense_layers", json!([32])),
        ("mixtral", "merge_search_dense_layers", json!(["0"])),
        ("qwen2", "layer_types", json!(["sliding_attention"])),
        ("gemma", "use_bidirectional_attention", json!(true)),
        ("gemma2", "final_logit_softcapping", json!(0.0)),
        ("gpt2", "add_cross_attention", json!(true)),
        ("gpt2", "num_hidden_layers", json!(5)),
        ("gpt2", "n_head", json!(7)),
        ("gpt2", "activation_function", json!("mish")),
        ("bloom", "n_head", json!(0)),
        ("t5", "feed_forward_proj", json!("gated-mish")),
        ("t5", "feed_forward_proj", json!("geglu-x")),
        ("t5", "relative_attention_num_buckets", json!(2)),
        ("t5", "relative_attention_max_distance", json!(16)),
        ("t5", "is_encoder_decoder", json!(false)),
        ("t5", "decoder_start_token_id", json!(99_999_999)),
        ("bart", "normalize_before", json!(true)),
        ("bart", "decoder_attention_heads", json!(7)),
        ("bart", "decoder_start_token_id", json!(null)),
        ("bert", "is_decoder", json!(true)),
        ("bert", "position_embedding_type", json!("relative_key")),
        ("bert", "layer_norm_eps", json!(-1)),
        ("albert", "position_embedding_type", json!("relative_key_query")),
        ("albert", "num_hidden_groups", json!(13)),
    ];
    let everywhere = FAMILY_NAMES
        .into_iter()
        .flat_map(|family| everywhere.clone().map(|(field, value)| (family, field, value)));
    for (family, field, value) in everywhere.chain(special) {
        let changes = json!({(field): value, "rope_parameters": null});
        let layers =
            if field == "layer_types" { json!({"num_hidden_layers": 1}) } else { json!({}) };
        let error = read(&with(&defaults(family, changes), layers)).unwrap_err().to_string();
        assert!(error.contains(field), "{family} {field}: {error}");
    }
}

#[test]
fn slow_bloom_with_slices_is_refused_and_either_alone_is_not() {
    let bloom = |tp: u32, slow: bool| {
        read(&defaults("bloom", json!({"pretraining_tp": tp, "slow_but_exact": slow})))
    };
    assert!(bloom(4, true).unwrap_err().to_string().contains("slow_but_exact"));
    assert!(bloom(4, false).is_ok() && bloom(1, true).is_ok());
}

#[test]
fn t5_scales_its_output_unless_told_not_to_and_uses_a_stored_head() {
    let head = |changes: Value, has: &dyn Fn(&str) -> bool| match NetworkSpec::from_json(
        &defaults("t5", changes),
        has,
    )
    .unwrap()
    .head
    {
        HeadSpec::LanguageModel { scale, output, .. } => (scale, output.weight.tensor),
        other => panic!("{other:?}"),
    };
    let unscaled = json!({"tie_word_embeddings": true, "scale_decoder_outputs": false});
    let flan = json!({"tie_word_embeddings": false, "scale_decoder_outputs": null});
    // 512 wide.
    assert_eq!(head(json!({}), &stored), (512f32.sqrt().recip(), "shared.weight".into()));
    assert_eq!(head(unscaled, &stored), (1.0, "shared.weight".into()));
    assert_eq!(head(flan, &stored_with_head), (1.0, "lm_head.weight".into()));
}

#[test]
fn an_untied_head_that_is_not_stored_is_missed() {
    for family in ["llama", "gemma", "gpt2", "bloom", "bart"] {
        let config = defaults(family, json!({"tie_word_embeddings": false}));
        let error = NetworkSpec::from_json(&config, &stored).unwrap_err();
        assert!(matches!(error, ConfigError::NoHead { .. }), "{family}: {error}");
    }
}

#[test]
fn gpt2_scales_by_head_and_by_layer() {
    let scales = |changes| {
        let spec = read(&defaults("gpt2", changes)).unwrap();
        let layers = &spec.decoder.unwrap().layers;
        [layers[0].attention.scale, layers[3].attention.scale]
    };
    // Heads are 64 wide.
    assert_eq!(scales(json!({})), [0.125, 0.125]);
    assert_eq!(scales(json!({"scale_attn_by_inverse_layer_idx": true})), [0.125, 0.03125]);
    assert_eq!(scales(json!({"scale_attn_weights": false})), [1.0, 1.0]);
}

#[test]
fn bloom_may_continue_from_its_norms() {
    let spec = read(&defaults("bloom", json!({"apply_residual_connection_post_layernorm": true})));
    assert!(matches!(stack(&spec.unwrap()).layers[0].mlp_norm, SublayerNorm::BeforeBoth(_)));
}

#[test]
fn gemma_says_gelu_and_means_its_approximation_but_gemma_2_means_gelu() {
    let activation = |family, field: &str| {
        let spec = read(&defaults(family, json!({(field): "gelu"}))).unwrap();
        match &stack(&spec).layers[0].mlp {
            MlpSpec::Gated(gated) => gated.activation,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(activation("gemma", "hidden_act"), Activation::GeluTanh);
    assert_eq!(activation("gemma2", "hidden_activation"), Activation::Gelu);
}

#[test]
fn a_window_may_be_absent_or_null() {
    let window = |family: &str, value: Option<Value>| {
        let mut config = defaults(family, json!({"max_position_embeddings": 32768}));
        config.as_object_mut().unwrap().remove("sliding_window");
        config.as_object_mut().unwrap().extend(value.map(|v| ("sliding_window".to_owned(), v)));
        stack(&read(&config).unwrap()).layers[0].attention.window
    };
    assert_eq!(window("mistral", None), Some(4096));
    assert_eq!(window("mistral", Some(Value::Null)), None);
    assert_eq!(window("mistral", Some(json!(7))), Some(7));
    assert_eq!(window("mixtral", None), None);
    assert_eq!(window("llama", Some(json!(7))), None);
}

#[test]
fn a_bert_is_read_through_the_head_it_has() {
    let reading = |heads: &'static [&'static str]| {
        let has = move |name: &str| {
            name.starts_with("bert.") || heads.iter().any(|h| name.starts_with(h))
        };
        NetworkSpec::from_json(&defaults("bert", json!({})), &has).map(|spec| spec.reading)
    };
    assert_eq!(reading(&["cls."]), Ok(Reading::Masked));
    assert_eq!(reading(&["classifier."]), Ok(Reading::Classify));
    assert_eq!(reading(&["cls.", "classifier."]), Ok(Reading::Masked));
    assert!(matches!(reading(&["cls.seq_relationship"]), Err(ConfigError::NoHead { .. })));
}

#[test]
fn labels_are_counted_by_their_names_first() {
    let has = |name: &str| name.starts_with("albert.") || name.starts_with("classifier.");
    let labels = |changes| match NetworkSpec::from_json(&defaults("albert", changes), &has)?.head {
        HeadSpec::Classifier { output, .. } => Ok::<_, ConfigError>(output.weight.outputs),
        other => panic!("{other:?}"),
    };
    assert_eq!(labels(json!({})), Ok(2));
    assert_eq!(labels(json!({"num_labels": 5})), Ok(5));
    assert_eq!(labels(json!({"num_labels": 5, "id2label": {"0": "a", "1": "b", "2": "c"}})), Ok(3));
    assert!(labels(json!({"num_labels": 1})).unwrap_err().to_string().contains("num_labels"));
    let error = labels(json!({"problem_type": "regression"})).unwrap_err();
    assert!(error.to_string().contains("problem_type"));
}

#[test]
fn albert_runs_through_its_groups() {
    let changes = json!({"num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2});
    let has = |name: &str| name.starts_with("albert.") || name.starts_with("predictions.");
    let spec = NetworkSpec::from_json(&defaults("albert", changes), &has).unwrap();
    let first = |layer: &crate::model::spec::LayerSpec| layer.attention.query.weight.tensor.clone();
    let places: Vec<String> = spec.encoder.unwrap().layers.iter().map(first).collect();
    // By hand: steps 0 and 1 are the first group, each with both of its layers.
    let place = |group, inner| {
        format!(
            "albert.encoder.albert_layer_groups.{group}.albert_layers.{inner}.attention.query.weight"
        )
    };
    let once = |group| [place(group, 0), place(group, 1)];
    assert_eq!(places, [once(0), once(0), once(1), once(1)].concat());
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1e308)),
        Just(json!(u64::MAX)),
        Just(json!(1u64 << 31)),
        Just(json!(0.5)),
        (1..9u32).prop_map(|n| json!(n)),
    ];
    let text = ["linear", "yarn", "llama3", "gelu", "gated-", "-", "sliding_attention", ""];
    let leaf = prop_oneof![
        4 => number, 1 => Just(Value::Null), 1 => any::<bool>().prop_map(|b| json!(b)),
        1 => proptest::sample::select(text.to_vec()).prop_map(|t| json!(t)),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((any_inner_key(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn any_inner_key() -> impl Strategy<Value = String> {
    let keys = [
        "rope_type",
        "type",
        "factor",
        "rope_theta",
        "low_freq_factor",
        "high_freq_factor",
        "beta_fast",
        "original_max_position_embeddings",
        "beta_slow",
        "mscale",
        "mscale_all_dim",
        "truncate",
        "0",
    ];
    proptest::sample::select(keys.to_vec()).prop_map(str::to_owned)
}

fn any_change() -> impl Strategy<Value = (usize, Value)> {
    (0..200usize, any_value())
}

proptest! {
    /// Every field of every class, changed to anything, is understood or refused.
    #[test]
    fn no_config_panics(
        family in proptest::sample::select(FAMILY_NAMES.to_vec()),
        changes in proptest::collection::vec(any_change(), 0..6),
        sparse: bool,
        stored in prop_oneof![Just(u64::MAX), any::<u64>()],
    ) {
        let full = defaults(family, json!({}));
        let full = full.as_object().unwrap();
        let mut keys: Vec<&str> = full.keys().map(String::as_str).collect();
        keys.extend(["rope_scaling", "rope_theta", "layer_types", "id2label", "num_labels", "n_embed"]);
        let mut config = if sparse { Map::new() } else { full.clone() };
        for (key, value) in changes {
            config.insert(keys[key % keys.len()].to_owned(), value);
        }
        config.insert("model_type".into(), json!(family));
        let has = |name: &str| (stored >> (name.len() % 64)) & 1 == 1;
        let _ = NetworkSpec::from_json(&Value::Object(config), &has);
    }
}

#[test]
fn a_mixture_may_have_layers_of_one_block() {
    let changes = json!({"model_type": "merge_search_mixtral", "merge_search_dense_layers": [1]});
    let spec = spec(&defaults("mixtral", changes));
    for (number, layer) in stack(&spec).layers.iter().enumerate() {
        assert_eq!(matches!(layer.mlp, MlpSpec::Gated(_)), number == 1, "{number}");
    }
    let dense = "layers.1.mlp.up_proj.weight";
    assert!(spec.tensors().any(|(name, _)| name == dense));
}
