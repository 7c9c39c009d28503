//! Architectures against what transformers says of the same tensors (`reference/transformers/architectures.py`).

use std::fs;
use std::path::Path;

use merge_search::checkpoint::{Architecture, ArchitectureError, Place, Position};
use merge_search::units::TensorGroup;
use serde_json::{Map, Value, json};

/// Model → what the script wrote of it.
fn models() -> Map<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/transformers/architectures.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn tensors(model: &Value) -> &Map<String, Value> {
    model["tensors"].as_object().unwrap()
}

fn architecture(model: &Value) -> Architecture {
    let names = tensors(model).keys().map(String::as_str);
    Architecture::of(&model["config"], names).unwrap()
}

/// The same checkpoint under a name that no family has.
fn unknown(model: &Value) -> Architecture {
    let mut config = model["config"].clone();
    config["model_type"] = json!("unheard-of");
    Architecture::of(&config, tensors(model).keys().map(String::as_str)).unwrap()
}

fn group(word: &Value) -> TensorGroup {
    match word.as_str().unwrap() {
        "attention" => TensorGroup::Attention,
        "mlp" => TensorGroup::Mlp,
        "norm" => TensorGroup::Norm,
        "embedding" => TensorGroup::Embedding,
        "head" => TensorGroup::Head,
        word => panic!("{word}"),
    }
}

fn place(architecture: &Architecture, stack: &Value, position: &Value) -> Place {
    let stack = architecture.stacks().iter().position(|it| stack == it.name.as_str()).unwrap();
    let position = match position.as_str() {
        Some("before") => Position::Before,
        Some(_) => Position::After,
        None => Position::Layer(position.as_u64().unwrap() as usize),
    };
    Place { stack, position }
}

#[test]
fn every_family_is_read_as_transformers_computes_it() {
    let models = models();
    assert_eq!(models.len(), 20);
    for (name, model) in &models {
        let architecture = architecture(model);
        assert!(architecture.is_known(), "{name}");
        for (tensor, facts) in tensors(model) {
            let [_, stack, position, computes, axis] = facts.as_array().unwrap().as_slice() else {
                panic!("{tensor}");
            };
            let expected = place(&architecture, stack, position);
            assert_eq!(architecture.place(tensor), expected, "{name} {tensor}");
            assert_eq!(architecture.group(tensor), group(computes), "{name} {tensor}");
            let axis = axis.as_u64().map(|axis| axis as usize);
            assert_eq!(architecture.vocabulary_axis(tensor), axis, "{name} {tensor}");
            assert!(!architecture.is_computed(tensor), "{name} {tensor}");
            assert_eq!(architecture.copy_of(tensor), None, "{name} {tensor}");
        }
    }
}

#[test]
fn layers_are_counted_as_transformers_builds_them() {
    for (name, model) in &models() {
        for stack in architecture(model).stacks() {
            let layers = model["layers"].get(&stack.name).map_or(0, |it| it.as_u64().unwrap());
            assert_eq!(stack.layers as u64, layers, "{name} {}", stack.name);
            assert_eq!(stack.shared, name.starts_with("albert"), "{name}");
        }
    }
}

/// mergekit's rule: of a conditional value's filters, the first that is part of the name decides.
#[test]
fn filters_select_the_groups() {
    for (name, model) in &models() {
        let architecture = architecture(model);
        let first = |tensor: &str| {
            let has = |group: &TensorGroup| {
                architecture.filters(*group).iter().any(|f| tensor.contains(f))
            };
            TensorGroup::NAMED.into_iter().find(has)
        };
        for (tensor, facts) in tensors(model) {
            assert_eq!(first(tensor), Some(group(&facts[3])), "{name} {tensor}");
        }
    }
}

#[test]
fn what_transformers_ties_is_a_copy() {
    for (name, model) in &models() {
        let architecture = architecture(model);
        for (tensor, original) in model["tied"].as_object().unwrap() {
            assert_eq!(architecture.copy_of(tensor), original.as_str(), "{name} {tensor}");
            assert!(architecture.is_optional(tensor), "{name} {tensor}");
        }
    }
}

/// Flan-T5's own head is no copy, whichever of its two spellings of the flag the file has.
#[test]
fn an_untied_head_is_no_copy_but_both_embeddings_are() {
    let models = models();
    let untied = architecture(&models["t5-gated-untied-head"]);
    assert_eq!(untied.copy_of("lm_head.weight"), None);
    assert_eq!(untied.copy_of("decoder.embed_tokens.weight"), Some("shared.weight"));
    let mut llama = models["llama"].clone();
    assert_eq!(architecture(&llama).copy_of("lm_head.weight"), None);
    llama["config"]["tie_word_embeddings"] = json!(true);
    assert_eq!(architecture(&llama).copy_of("lm_head.weight"), Some("model.embed_tokens.weight"));
}

/// A tensor in another layer is one that transformers stores there, and what stands outside has no other layer.
#[test]
fn tensors_are_renumbered() {
    for (name, model) in &models() {
        for architecture in [architecture(model), unknown(model)] {
            for tensor in tensors(model).keys() {
                let Position::Layer(layer) = architecture.place(tensor).position else {
                    assert_eq!(architecture.in_layer(tensor, 1), *tensor, "{name}");
                    continue;
                };
                assert_eq!(architecture.in_layer(tensor, layer), *tensor, "{name}");
                let moved = architecture.in_layer(tensor, 0);
                assert!(tensors(model).contains_key(&moved), "{name} {tensor} {moved}");
                let far = architecture.in_layer(tensor, 123);
                assert_eq!(architecture.place(&far).position, Position::Layer(123), "{name} {far}");
            }
        }
    }
}

/// A model with a head stores `model.layers…`, the same model without one `layers…`.
#[test]
fn the_prefix_does_not_matter() {
    let (llama, bert) = (&models()["llama"], &models()["bert-masked-lm"]);
    for (model, prefix) in [(llama, "model."), (bert, "bert.")] {
        let architecture = architecture(model);
        for tensor in tensors(model).keys() {
            let bare = tensor.strip_prefix(prefix).unwrap_or(tensor);
            assert_eq!(architecture.place(bare), architecture.place(tensor), "{bare}");
            assert_eq!(architecture.group(bare), architecture.group(tensor), "{bare}");
            let axes = [bare, tensor].map(|name| architecture.vocabulary_axis(name));
            assert_eq!(axes[0], axes[1], "{bare}");
        }
    }
}

/// What names alone tell: the layers of all families, and of single stacks all groups but BERT's and ALBERT's norms,
/// which are named as parts of the attention.
#[test]
fn an_unknown_architecture_is_inferred() {
    for (name, model) in &models() {
        let inferred = unknown(model);
        assert!(!inferred.is_known());
        assert_eq!(inferred.family(), "unheard-of");
        for (stack, layers) in model["layers"].as_object().unwrap() {
            let found = inferred.stacks().iter().find(|it| it.name == *stack).unwrap();
            if !name.starts_with("albert") {
                assert_eq!(found.layers as u64, layers.as_u64().unwrap(), "{name} {stack}");
            }
        }
        for (tensor, facts) in tensors(model) {
            let position = inferred.place(tensor).position;
            match facts[2].as_u64() {
                Some(layer) => {
                    assert_eq!(position, Position::Layer(layer as usize), "{name} {tensor}");
                }
                None if facts[3] != "attention" => {
                    assert!(!matches!(position, Position::Layer(_)), "{name} {tensor}");
                }
                None => {}
            }
            if !["albert", "bert"].iter().any(|other| name.starts_with(other)) {
                assert_eq!(inferred.group(tensor), group(&facts[3]), "{name} {tensor}");
            }
            assert_eq!(
                inferred.vocabulary_axis(tensor).is_some(),
                facts[4].is_u64() && !tensor.contains("predictions"),
                "{name} {tensor}"
            );
        }
    }
}

#[test]
fn stored_tables_and_masks_are_computed() {
    let models = models();
    let is_computed = |model: &str, name: &str| architecture(&models[model]).is_computed(name);
    assert!(is_computed("llama", "model.layers.0.self_attn.rotary_emb.inv_freq"));
    assert!(is_computed("gpt2", "h.3.attn.bias") && is_computed("gpt2", "h.3.attn.masked_bias"));
    assert!(!is_computed("gpt2", "h.3.attn.c_attn.bias"));
    assert!(is_computed("bert-masked-lm", "bert.embeddings.position_ids"));
}

fn output(model: &Value, layers: &[Vec<usize>]) -> Result<Value, ArchitectureError> {
    architecture(model).output_config(&model["config"], layers)
}

#[test]
fn counts_follow_the_layers_of_their_stack() {
    let models = models();
    let config = |model: &str, layers: &[Vec<usize>]| output(&models[model], layers).unwrap();
    assert_eq!(config("llama", &[vec![0, 1, 1, 2]])["num_hidden_layers"], 4);
    assert_eq!(config("gpt2", &[vec![2]])["n_layer"], 1);
    let t5 = config("t5", &[vec![0, 1, 1, 0], vec![2]]);
    assert_eq!((&t5["num_layers"], &t5["num_decoder_layers"]), (&json!(4), &json!(1)));
    let bart = config("bart", &[vec![1], vec![0, 2]]);
    assert_eq!((&bart["encoder_layers"], &bart["decoder_layers"]), (&json!(1), &json!(2)));
    for (name, model) in &models {
        let whole: Vec<Vec<usize>> =
            architecture(model).stacks().iter().map(|stack| (0..stack.layers).collect()).collect();
        assert_eq!(output(model, &whole).unwrap(), model["config"], "{name}");
    }
}

/// A decoder without a number of its own has the encoder's, in the file and in what is written.
#[test]
fn a_symmetric_t5_stays_readable() {
    let mut model = models()["t5"].clone();
    model["config"]["num_decoder_layers"] = Value::Null;
    assert_eq!(architecture(&model).stacks()[1].layers, 2);
    let written = output(&model, &[vec![0], vec![0, 1]]).unwrap();
    model["config"] = written;
    let layers: Vec<usize> = architecture(&model).stacks().iter().map(|it| it.layers).collect();
    assert_eq!(layers, [1, 2, 0]);
}

#[test]
fn the_kinds_of_attention_follow_their_layers() {
    let models = models();
    let (sliding, full) = ("sliding_attention", "full_attention");
    let gemma = output(&models["gemma2"], &[vec![0, 1, 1, 2]]).unwrap();
    assert_eq!(gemma["layer_types"], json!([sliding, full, full, sliding]));

    // A file of transformers 4.4x has no list; one is written only if the alternation does not say the same.
    let mut old = models["gemma2"].clone();
    old["config"].as_object_mut().unwrap().remove("layer_types");
    assert_eq!(output(&old, &[vec![0, 1]]).unwrap().get("layer_types"), None);
    assert_eq!(output(&old, &[vec![1, 1]]).unwrap()["layer_types"], json!([full, full]));

    let qwen = output(&models["qwen2"], &[vec![0, 0, 1]]).unwrap();
    assert_eq!(qwen["layer_types"], json!([full, full, sliding]));
    assert_eq!(qwen["max_window_layers"], 2);
    let mut old = models["qwen2"].clone();
    old["config"].as_object_mut().unwrap().remove("layer_types");
    let qwen = output(&old, &[vec![0, 0, 1]]).unwrap();
    assert_eq!((qwen.get("layer_types"), &qwen["max_window_layers"]), (None, &json!(2)));
    let qwen = output(&old, &[vec![1, 0]]).unwrap();
    assert_eq!(qwen["layer_types"], json!([sliding, full]));
    // Without sliding windows the number has no meaning and stays.
    assert_eq!(output(&models["qwen3"], &[vec![0]]).unwrap()["max_window_layers"], 28);
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let models = models();
    let shared = output(&models["albert-two-groups"], &[vec![1]]).unwrap_err();
    assert!(matches!(shared, ArchitectureError::SharedLayers { layers: 2, .. }), "{shared}");
    let mut gpt2 = models["gpt2"].clone();
    gpt2["config"]["scale_attn_by_inverse_layer_idx"] = json!(true);
    let moved = output(&gpt2, &[vec![1]]).unwrap_err();
    assert!(moved.to_string().contains("scale_attn_by_inverse_layer_idx"), "{moved}");
    assert_eq!(output(&gpt2, &[vec![0, 1]]).unwrap()["n_layer"], 2);

    let names = ["blocks.0.attn.q.weight", "blocks.1.attn.q.weight"];
    let nameless = Architecture::of(&json!({"depth": 2}), names.into_iter()).unwrap();
    assert_eq!(nameless.stacks()[0].layers, 2);
    let error = nameless.output_config(&json!({"depth": 2}), &[vec![0]]).unwrap_err();
    assert!(matches!(error, ArchitectureError::NoCount { layers: 2, .. }), "{error}");
    let error = Architecture::of(&json!({"model_type": "llama"}), names.into_iter()).unwrap_err();
    assert!(error.to_string().contains("num_hidden_layers"), "{error}");
}
