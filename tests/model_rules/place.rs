//! Models that nobody has: a hub's cache as Python lays it out, files whose headers list more than the disk holds.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use merge_search::hub::Hub;
use merge_search::recipe::ModelRef;
use merge_search::rules::models::{Evidence, ModelFacts, ModelRules, check, facts};
use merge_search::rules::{Finding, Verdict};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba98";

pub struct Place {
    pub dir: TempDir,
    evidence: String,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: TempDir::new().unwrap(), evidence: String::new() }
    }

    pub fn hub(&self) -> Hub {
        let cache = self.dir.path().join("hub");
        Hub { cache, endpoint: None, token: None, offline: true, progress: false }
    }

    /// The folder of a snapshot, made if it is not there; `main` is noted to be this commit.
    pub fn snapshot(&self, id: &str, commit: &str) -> PathBuf {
        let root = self.dir.path().join("hub").join(format!("models--{}", id.replace('/', "--")));
        let folder = root.join("snapshots").join(commit);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("refs")).unwrap();
        fs::write(root.join("refs/main"), commit).unwrap();
        folder
    }

    /// A small Llama with a card of these lines in front.
    pub fn model(&self, id: &str, card: &str) -> PathBuf {
        let folder = self.snapshot(id, COMMIT);
        llama(&folder, &tiny());
        write_card(&folder, card);
        folder
    }

    /// A LoRA adapter that says it belongs on `base`.
    pub fn adapter(&self, id: &str, base: &str, card: &str) -> PathBuf {
        let folder = self.snapshot(id, COMMIT);
        let config = json!({"peft_type": "LORA", "r": 8, "base_model_name_or_path": base});
        fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
        let shapes = [("base_model.model.a.lora_A.weight", vec![8, 32])];
        sparse(&folder.join("adapter_model.safetensors"), &shapes, "F32");
        write_card(&folder, card);
        folder
    }

    /// Lines of a `[[model]]` table.
    pub fn vouch(&mut self, id: &str, lines: &str) {
        self.evidence += &format!("[[model]]\nid = \"{id}\"\nsources = [\"a test\"]\n{lines}\n");
    }

    /// Public, early, at [`COMMIT`].
    pub fn vouch_early(&mut self, id: &str) {
        let lines = format!("revision = \"{COMMIT}\"\ncommitted = \"2024-04-18\"\ngated = false");
        self.vouch(id, &lines);
    }

    pub fn facts(&self, models: &[(&str, &str)]) -> Vec<ModelFacts> {
        let file = self.dir.path().join("evidence.toml");
        fs::write(&file, &self.evidence).unwrap();
        let evidence = Evidence::read(&file).unwrap();
        let of = |(name, model): &(&str, &str)| {
            facts(&ModelRef::new(*model).unwrap(), name, &self.hub(), &evidence)
        };
        models.iter().map(of).collect()
    }

    pub fn check(&self, rules: &str, models: &[(&str, &str)]) -> Vec<Finding> {
        let found = check(&self.facts(models), &profile(rules));
        found.iter().for_each(require_evidence);
        found
    }

    /// One model called `base`.
    pub fn check_one(&self, rules: &str, model: &str) -> Vec<Finding> {
        self.check(rules, &[("base", model)])
    }
}

/// Every verdict names what it rests on: a number, a file, a name; and what to do unless it passes.
fn require_evidence(finding: &Finding) {
    let text = &finding.evidence;
    let is_named = text.contains(|c: char| c.is_ascii_digit() || "/`.".contains(c));
    assert!(is_named && text.len() > 10, "{finding:?}");
    let together = finding.subject == "all models together";
    assert_eq!(
        finding.remedy.is_none(),
        finding.verdict == Verdict::Pass || together,
        "{finding:?}"
    );
    assert!(!finding.subject.is_empty());
}

/// `[models]` of a built-in profile.
pub fn profile(name: &str) -> ModelRules {
    let text = match name {
        "merging-2024" => include_str!("../../src/rules/profiles/merging-2024.toml"),
        "efficiency-2023" => include_str!("../../src/rules/profiles/efficiency-2023.toml"),
        _ => include_str!("../../src/rules/profiles/seed.toml"),
    };
    let mut table: toml::Table = toml::from_str(text).unwrap();
    table.remove("models").unwrap().try_into().unwrap()
}

/// The only finding of a rule for a model.
pub fn one<'f>(found: &'f [Finding], rule: &str) -> &'f Finding {
    let of_rule = |it: &&Finding| it.rule == rule && it.subject != "all models together";
    let all: Vec<&Finding> = found.iter().filter(of_rule).collect();
    assert_eq!(all.len(), 1, "{rule}: {found:#?}");
    all[0]
}

/// The rules that do not pass, with their verdicts.
pub fn broken(found: &[Finding]) -> Vec<(&'static str, Verdict)> {
    let open = found.iter().filter(|finding| finding.verdict != Verdict::Pass);
    open.map(|finding| (finding.rule, finding.verdict)).collect()
}

pub fn write_card(folder: &Path, front: &str) {
    fs::write(folder.join("README.md"), format!("---\n{front}\n---\n# A model\n")).unwrap();
}

/// A safetensors file with this header and nothing behind it: as long as the header says, but holes on the disk.
pub fn sparse(path: &Path, tensors: &[(impl AsRef<str>, Vec<u64>)], dtype: &str) {
    let size = if dtype == "F32" { 4 } else { 2 };
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in tensors {
        let start = end;
        end += size * shape.iter().product::<u64>();
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        header.insert(name.as_ref().to_owned(), entry);
    }
    let text = Value::Object(header).to_string();
    let mut file = File::create(path).unwrap();
    file.write_all(&(text.len() as u64).to_le_bytes()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_len(8 + text.len() as u64 + end).unwrap();
}

/// Sizes of a Llama or a Gemma.
pub struct Sizes {
    pub hidden: u64,
    pub layers: u64,
    pub heads: u64,
    pub kv_heads: u64,
    pub head_dim: u64,
    pub intermediate: u64,
    pub vocabulary: u64,
    pub head_stored: bool,
}

pub fn tiny() -> Sizes {
    Sizes {
        hidden: 32,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        intermediate: 48,
        vocabulary: 100,
        head_stored: true,
    }
}

pub fn tensors(sizes: &Sizes) -> Vec<(String, Vec<u64>)> {
    let &Sizes { hidden, intermediate, vocabulary, .. } = sizes;
    let (queries, keys) = (sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim);
    let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![vocabulary, hidden])];
    for layer in 0..sizes.layers {
        let parts = [
            ("input_layernorm", vec![hidden]),
            ("post_attention_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![queries, hidden]),
            ("self_attn.k_proj", vec![keys, hidden]),
            ("self_attn.v_proj", vec![keys, hidden]),
            ("self_attn.o_proj", vec![hidden, queries]),
            ("mlp.gate_proj", vec![intermediate, hidden]),
            ("mlp.up_proj", vec![intermediate, hidden]),
            ("mlp.down_proj", vec![hidden, intermediate]),
        ];
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        all.extend(parts.into_iter().map(|(part, shape)| (name(part), shape)));
    }
    all.push(("model.norm.weight".to_owned(), vec![hidden]));
    if sizes.head_stored {
        all.push(("lm_head.weight".to_owned(), vec![vocabulary, hidden]));
    }
    all
}

pub fn config(sizes: &Sizes) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": sizes.hidden, "intermediate_size": sizes.intermediate,
        "num_hidden_layers": sizes.layers, "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads, "head_dim": sizes.head_dim,
        "vocab_size": sizes.vocabulary, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": false,
        "bos_token_id": 1, "eos_token_id": 2,
    })
}

/// A Llama in one file.
pub fn llama(folder: &Path, sizes: &Sizes) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), config(sizes).to_string()).unwrap();
    sparse(&folder.join("model.safetensors"), &tensors(sizes), "BF16");
}
