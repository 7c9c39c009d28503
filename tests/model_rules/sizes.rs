//! Counts of real shapes: 8-byte length, JSON, and holes instead of 16 GB.
//!
//! By hand, from the public configs. Llama-3-8B: 2 × 128256 × 4096 (embedding, head) + 32 × (2 × 4096² + 2 × 1024 × 4096 +
//! 3 × 14336 × 4096 + 2 × 4096) + 4096 = 8,030,261,248. gemma-7b: 256000 × 3072 (tied) + 28 × (4 × 4096 × 3072 +
//! 3 × 24576 × 3072 + 2 × 3072) + 3072 = 8,537,680,896.

use std::fs;

use merge_search::rules::Verdict;
use serde_json::{Value, json};

use super::place::{
    COMMIT, Place, Sizes, broken, config, llama, one, sparse, tensors, tiny, write_card,
};

fn llama_3_8b() -> Sizes {
    Sizes {
        hidden: 4096,
        layers: 32,
        heads: 32,
        kv_heads: 8,
        head_dim: 128,
        intermediate: 14336,
        vocabulary: 128_256,
        head_stored: true,
    }
}

fn gemma_7b() -> Sizes {
    Sizes {
        hidden: 3072,
        layers: 28,
        heads: 16,
        kv_heads: 16,
        head_dim: 256,
        intermediate: 24576,
        vocabulary: 256_000,
        head_stored: false,
    }
}

fn gemma_config() -> Value {
    let mut config = config(&gemma_7b());
    config["model_type"] = json!("gemma");
    config["architectures"] = json!(["GemmaForCausalLM"]);
    config["hidden_act"] = json!("gelu");
    config["hidden_activation"] = json!("gelu_pytorch_tanh");
    config["tie_word_embeddings"] = json!(true);
    config
}

/// In two shards, as large checkpoints are.
#[test]
fn llama_3_8b_is_a_little_too_large_and_recommended() {
    let place = Place::new();
    let folder = place.snapshot("meta-llama/Meta-Llama-3-8B", COMMIT);
    fs::write(folder.join("config.json"), config(&llama_3_8b()).to_string()).unwrap();
    let all = tensors(&llama_3_8b());
    let mut map = serde_json::Map::new();
    for (file, shard) in
        ["model-1.safetensors", "model-2.safetensors"].into_iter().zip(all.chunks(150))
    {
        sparse(&folder.join(file), shard, "BF16");
        map.extend(shard.iter().map(|(name, _)| (name.clone(), json!(file))));
    }
    let index = json!({"metadata": {}, "weight_map": map}).to_string();
    fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    let model = format!("meta-llama/Meta-Llama-3-8B@{COMMIT}");
    for rules in ["merging-2024", "seed"] {
        let found = place.check_one(rules, &model);
        let size = one(&found, "size");
        assert_eq!(size.verdict, Verdict::Warn, "{size:?}");
        for part in ["8,030,261,248", "8,000,000,000", "2 files", "recommended", "Meta-Llama-3-8B"]
        {
            assert!(size.evidence.contains(part), "{part}: {size:?}");
        }
        assert_eq!(one(&found, "parameters").verdict, Verdict::Pass, "{found:?}");
    }
    let bytes = place.check_one("seed", &model);
    let bytes = one(&bytes, "bytes");
    assert_eq!(bytes.verdict, Verdict::Warn);
    assert!(bytes.evidence.contains("16,06"), "{bytes:?}");
}

/// With the copies of the embedding and the rotary tables that some files carry along.
#[test]
fn gemma_7b_is_recommended_and_its_tied_head_counts_once() {
    let place = Place::new();
    let folder = place.snapshot("google/gemma-7b", COMMIT);
    fs::write(folder.join("config.json"), gemma_config().to_string()).unwrap();
    let mut all = tensors(&gemma_7b());
    for head_stored in [false, true] {
        if head_stored {
            all.push(("lm_head.weight".to_owned(), vec![256_000, 3072]));
            all.push(("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), vec![128]));
        }
        sparse(&folder.join("model.safetensors"), &all, "BF16");
        let found = place.check_one("merging-2024", &format!("google/gemma-7b@{COMMIT}"));
        let size = one(&found, "size");
        assert_eq!(size.verdict, Verdict::Warn, "{size:?}");
        for part in ["8,537,680,896", "recommended", "google/gemma-7b"] {
            assert!(size.evidence.contains(part), "{part}: {size:?}");
        }
        assert_eq!(one(&found, "parameters").verdict, Verdict::Pass, "{found:?}");
    }
}

/// Nothing but its number tells a fine-tuned gemma-7b from a larger model.
#[test]
fn a_larger_model_fails_whatever_its_name() {
    let place = Place::new();
    let folder = place.snapshot("google/gemma-7b", COMMIT);
    fs::write(folder.join("config.json"), gemma_config().to_string()).unwrap();
    let all = tensors(&Sizes { vocabulary: 256_001, ..gemma_7b() });
    sparse(&folder.join("model.safetensors"), &all, "BF16");
    let found = place.check_one("merging-2024", &format!("google/gemma-7b@{COMMIT}"));
    let size = one(&found, "size");
    assert_eq!(size.verdict, Verdict::Fail);
    assert!(size.evidence.contains("8,537,683,968"), "{size:?}");
}

/// 8.08 billion are the last that pass for 8B.
#[test]
fn the_tolerance_ends_at_one_per_cent() {
    let place = Place::new();
    let verdict = |rows: u64| {
        let folder = place.snapshot("owner/large", COMMIT);
        sparse(&folder.join("model.safetensors"), &[("w", vec![rows, 1_000_000])], "BF16");
        one(&place.check_one("merging-2024", &format!("owner/large@{COMMIT}")), "size").verdict
    };
    let cases = [
        (8000, Verdict::Pass),
        (8001, Verdict::Warn),
        (8080, Verdict::Warn),
        (8081, Verdict::Fail),
    ];
    for (rows, expected) in cases {
        assert_eq!(verdict(rows), expected, "{rows} million");
    }
}

#[test]
fn a_missing_layer_shows_in_the_count() {
    let place = Place::new();
    let folder = place.snapshot("owner/short", COMMIT);
    llama(&folder, &tiny());
    let all: Vec<_> =
        tensors(&tiny()).into_iter().filter(|(name, _)| !name.contains("layers.1.mlp")).collect();
    sparse(&folder.join("model.safetensors"), &all, "BF16");
    let found = place.check_one("merging-2024", &format!("owner/short@{COMMIT}"));
    let count = one(&found, "parameters");
    assert_eq!(count.verdict, Verdict::Warn);
    // By hand: 2 × 100 × 32 + 2 × (2 × 32² + 2 × 16 × 32 + 3 × 48 × 32 + 2 × 32) + 32; less 3 × 48 × 32.
    assert!(count.evidence.contains("21,920") && count.evidence.contains("17,312"), "{count:?}");
}

#[test]
fn a_truncated_file_is_reported_and_the_config_counted() {
    let place = Place::new();
    let folder = place.model("owner/cut", "license: mit");
    let path = folder.join("model.safetensors");
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let facts = place.facts(&[("base", &format!("owner/cut@{COMMIT}"))]);
    assert!(facts[0].model.faults[0].contains("model.safetensors"), "{:?}", facts[0].model.faults);
    let found = place.check_one("merging-2024", &format!("owner/cut@{COMMIT}"));
    assert!(one(&found, "size").evidence.contains("21,920"));
    assert!(one(&found, "size").evidence.contains("config.json"));
    fs::remove_file(folder.join("config.json")).unwrap();
    let found = place.check_one("merging-2024", &format!("owner/cut@{COMMIT}"));
    assert_eq!(one(&found, "size").verdict, Verdict::Unknown);
    assert!(one(&found, "size").evidence.contains("model.safetensors"));
}

/// An adapter adds nothing to the merged model, but to what a router keeps.
#[test]
fn all_models_are_summed_for_routers() {
    let place = Place::new();
    write_card(&place.model("owner/a", ""), "license: mit");
    place.adapter("owner/lora", "owner/a", "license: mit");
    let base = format!("owner/a@{COMMIT}");
    let expert = format!("{base}+owner/lora@{COMMIT}");
    let found = place.check("merging-2024", &[("base", &base), ("math", &expert)]);
    let sizes: Vec<_> = found.iter().filter(|it| it.rule == "size").collect();
    assert_eq!(sizes.len(), 2, "{sizes:?}");
    assert!(sizes[0].subject.contains("base, math: owner/a"), "{sizes:?}");
    assert!(sizes[1].evidence.contains("22,176 parameters"), "{sizes:?}");
    assert!(!broken(&found).iter().any(|(rule, _)| *rule == "size"));
}
