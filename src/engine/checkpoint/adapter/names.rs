//! What the names in `adapter_model.safetensors` say.

/// A tensor's place in the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `A` of the layer at this path, `[rank, in]`.
    A { module: String, embedding: bool },
    /// `B` of the layer at this path, `[out, rank]`.
    B { module: String, embedding: bool },
    /// What is added, scaled, to the layer's own bias, `[out]`.
    BiasOfB { module: String },
    /// A weight of the base model, saved whole.
    Whole { weight: String },
    /// The base model's weight before training, which old versions of PEFT saved next to the trained one.
    Ignored,
}

/// What PEFT's wrapper puts in front.
const PREFIX: &str = "base_model.model.";

/// Reads `…<module>.lora_A.weight` and its relatives; with the adapter's name in it (`lora_A.default.weight`) in files
/// of old versions. `None`: of another kind of adapter.
pub(super) fn place(key: &str) -> Option<Place> {
    let path: Vec<&str> = key.strip_prefix(PREFIX).unwrap_or(key).split('.').collect();
    let marker = path.iter().rposition(|word| is_marker(word));
    let Some((marker, word)) = marker.and_then(|at| Some((at, *path.get(at)?))) else {
        return whole(&path);
    };
    let (module, rest) = (path.get(..marker)?.join("."), path.get(marker + 1..)?);
    match (word, rest) {
        ("lora_A", ["weight"] | [_, "weight"]) => Some(Place::A { module, embedding: false }),
        ("lora_B", ["weight"] | [_, "weight"]) => Some(Place::B { module, embedding: false }),
        ("lora_B", ["bias"] | [_, "bias"]) => Some(Place::BiasOfB { module }),
        ("lora_embedding_A", [] | [_]) => Some(Place::A { module, embedding: true }),
        ("lora_embedding_B", [] | [_]) => Some(Place::B { module, embedding: true }),
        _ => None,
    }
}

/// `token_adapter` holds single rows of an embedding.
fn is_marker(word: &str) -> bool {
    word.starts_with("lora_") || word == "token_adapter"
}

/// Names of saved weights have the words that the wrappers around the layer go by.
fn whole(path: &[&str]) -> Option<Place> {
    if path.contains(&"original_module") {
        return Some(Place::Ignored);
    }
    let mut words: Vec<&str> = path.iter().copied().filter(|word| *word != "base_layer").collect();
    if let Some(at) = words.iter().position(|word| *word == "modules_to_save") {
        words.remove(at);
        let has_adapter_name = words.len() > at + 1;
        if has_adapter_name {
            words.remove(at);
        }
    }
    let weight = words.join(".");
    (!weight.is_empty()).then_some(Place::Whole { weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(weight: &str) -> Option<Place> {
        Some(Place::Whole { weight: weight.to_owned() })
    }

    /// Names as PEFT 0.3 to 0.21 writes them.
    #[test]
    fn names_of_all_versions_are_read() {
        let a = |module: &str, embedding| Some(Place::A { module: module.to_owned(), embedding });
        let b = |module: &str, embedding| Some(Place::B { module: module.to_owned(), embedding });
        let q = "model.layers.0.self_attn.q_proj";
        assert_eq!(place(&format!("base_model.model.{q}.lora_A.weight")), a(q, false));
        assert_eq!(place(&format!("base_model.model.{q}.lora_B.default.weight")), b(q, false));
        assert_eq!(place(&format!("{q}.lora_A.weight")), a(q, false));
        let e = "transformer.wte";
        assert_eq!(place(&format!("base_model.model.{e}.lora_embedding_A")), a(e, true));
        assert_eq!(place(&format!("base_model.model.{e}.lora_embedding_B.default")), b(e, true));
        let bias = Some(Place::BiasOfB { module: q.to_owned() });
        assert_eq!(place(&format!("base_model.model.{q}.lora_B.bias")), bias);
    }

    #[test]
    fn wrappers_are_left_out_of_saved_weights() {
        let saved = "base_model.model.lm_head";
        assert_eq!(place(&format!("{saved}.weight")), whole("lm_head.weight"));
        assert_eq!(place(&format!("{saved}.modules_to_save.weight")), whole("lm_head.weight"));
        let named = format!("{saved}.modules_to_save.default.weight");
        assert_eq!(place(&named), whole("lm_head.weight"));
        let nested = "base_model.model.score.modules_to_save.default.dense.bias";
        assert_eq!(place(nested), whole("score.dense.bias"));
        assert_eq!(place(&format!("{saved}.original_module.weight")), Some(Place::Ignored));
        let bias = "base_model.model.transformer.h.0.attn.c_attn.base_layer.bias";
        assert_eq!(place(bias), whole("transformer.h.0.attn.c_attn.bias"));
    }

    #[test]
    fn tensors_of_other_adapters_are_unknown() {
        for key in [
            "q.lora_magnitude_vector",
            "q.lora_diag.default",
            "q.lora_A",
            "q.lora_A.a.b.weight",
            "model.embed_tokens.token_adapter.trainable_tokens_delta",
            "",
        ] {
            assert_eq!(place(key), None, "{key}");
        }
    }
}
