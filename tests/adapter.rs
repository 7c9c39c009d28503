//! LoRA adapters against PEFT 0.21.2 (`reference/peft/make.py`): base plus change is what `merge_and_unload` makes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Adapter, AdapterError, Change, Checkpoint};
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{TensorView, serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Largest difference, as a share of the tensor's largest element. PEFT sums in `f32` too, in another order.
const TOLERANCE: f32 = 1e-6;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/peft")
}

fn model(name: &str) -> Checkpoint {
    Checkpoint::open(&reference().join("models").join(name)).unwrap()
}

fn adapter(name: &str) -> Adapter {
    Adapter::open(&reference().join("adapters").join(name)).unwrap()
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn singles(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let single = |quad: &[u8]| f32::from_le_bytes(quad.try_into().unwrap());
    let read = |(name, view): (String, TensorView<'_>)| {
        assert_eq!(view.dtype(), safetensors::Dtype::F32);
        let elements = view.data().chunks_exact(4).map(single).collect();
        (name, (view.shape().to_vec(), elements))
    };
    SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().map(read).collect()
}

fn bind(adapter: &Adapter, base: &Checkpoint) -> Result<BTreeMap<String, Change>, AdapterError> {
    let shapes = base.tensors().map(|(name, tensor)| (name, tensor.shape.as_slice()));
    adapter.bind(base.dir(), shapes)
}

fn require_close(name: &str, ours: &[f32], theirs: &[f32]) {
    let largest = theirs.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let difference = (ours - theirs).abs();
        assert!(difference <= TOLERANCE * largest, "{name}[{index}]: {ours}, PEFT {theirs}");
    }
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(reference().join("adapters")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn base_plus_change_is_pefts_merge() {
    assert_eq!(names().len(), 12);
    for name in names() {
        let adapter = adapter(&name);
        let base = model(adapter.base_model().unwrap());
        let changes = bind(&adapter, &base).unwrap();
        let merged = singles(&reference().join("merged").join(format!("{name}.safetensors")));
        let mut changed = 0;
        for (tensor, (shape, theirs)) in &merged {
            let mut ours = base.tensor(tensor).unwrap().into_owned();
            assert_eq!(&base.shape(tensor).unwrap().shape, shape);
            let differs = ours != *theirs;
            let label = format!("{name}: {tensor}");
            match changes.get(tensor) {
                None => assert!(!differs, "{label} is not changed, but PEFT changes it"),
                Some(change) => {
                    change.apply(0, &mut ours);
                    require_close(&label, &ours, theirs);
                    changed += usize::from(differs);
                }
            }
        }
        assert!(changed > 0, "{name}");
        assert!(changes.keys().all(|tensor| merged.contains_key(tensor)), "{name}");
    }
}

/// A saved embedding that has factors too, so that both kinds of change are cut.
#[test]
fn chunks_add_up() {
    let (adapter, base) = (adapter("embedding"), model("llama"));
    for (tensor, change) in bind(&adapter, &base).unwrap() {
        let stored = base.tensor(&tensor).unwrap().into_owned();
        let mut whole = stored.clone();
        change.apply(0, &mut whole);
        for size in [1, 3, 8, 11] {
            let mut parts = stored.clone();
            for (number, part) in parts.chunks_mut(size).enumerate() {
                change.apply(number * size, part);
            }
            assert_eq!(parts, whole, "{tensor} in chunks of {size}");
        }
    }
}

/// GPT-2 is on the hub both with and without `transformer.` before its names.
#[test]
fn a_first_word_may_be_missing() {
    let (adapter, base) = (adapter("conv"), model("gpt2"));
    let expected = bind(&adapter, &base).unwrap();
    let short = |name: &str| name.strip_prefix("transformer.").unwrap_or(name).to_owned();
    let shapes: Vec<_> =
        base.tensors().map(|(name, tensor)| (short(name), tensor.shape.clone())).collect();
    let stored = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
    let changes = adapter.bind(base.dir(), stored).unwrap();
    let names: Vec<String> = expected.keys().map(|name| short(name)).collect();
    assert_eq!(changes.keys().cloned().collect::<Vec<_>>(), names);

    let bare = Copy::of("conv").renamed(|key| key.replace("base_model.model.transformer.", ""));
    let changes = bind(&Adapter::open(bare.path()).unwrap(), &base).unwrap();
    assert_eq!(changes.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
}

#[test]
fn two_places_for_a_weight_are_refused() {
    let shapes: [(&str, &[usize]); 2] = [
        ("a.layers.0.self_attn.q_proj.weight", &[8, 8]),
        ("b.layers.0.self_attn.q_proj.weight", &[8, 8]),
    ];
    let bare = Copy::of("plain").renamed(|key| key.replace("base_model.model.model.", ""));
    let error = Adapter::open(bare.path()).unwrap().bind(Path::new("base"), shapes).unwrap_err();
    assert!(matches!(error, AdapterError::Ambiguous { .. }), "{error}");
}

/// As written by versions of PEFT that left the adapter's name in.
#[test]
fn names_with_the_adapters_name_are_the_same() {
    let named = Copy::of("saved").renamed(|key| {
        key.replace("lora_A.weight", "lora_A.default.weight")
            .replace("lora_B.weight", "lora_B.default.weight")
            .replace("lm_head.weight", "lm_head.modules_to_save.default.weight")
    });
    let base = model("llama");
    let expected = bind(&adapter("saved"), &base).unwrap();
    let changes = bind(&Adapter::open(named.path()).unwrap(), &base).unwrap();
    assert_eq!(format!("{:?}", changes.keys()), format!("{:?}", expected.keys()));
}

/// A changed copy of a reference adapter.
struct Copy {
    dir: TempDir,
    config: Value,
    tensors: Tensors,
}

impl Copy {
    fn of(name: &str) -> Copy {
        let from = reference().join("adapters").join(name);
        let config = fs::read(from.join("adapter_config.json")).unwrap();
        let copy = Copy {
            dir: tempfile::tempdir().unwrap(),
            config: serde_json::from_slice(&config).unwrap(),
            tensors: singles(&from.join("adapter_model.safetensors")),
        };
        copy.written()
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn written(self) -> Copy {
        let bytes = |(name, (shape, elements)): (&String, &(Vec<usize>, Vec<f32>))| {
            let content: Vec<u8> = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name.clone(), shape.clone(), content)
        };
        let content: Vec<_> = self.tensors.iter().map(bytes).collect();
        let views = content.iter().map(|(name, shape, content)| {
            (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), content).unwrap())
        });
        let file = serialize(views, None).unwrap();
        fs::write(self.path().join("adapter_model.safetensors"), file).unwrap();
        fs::write(self.path().join("adapter_config.json"), self.config.to_string()).unwrap();
        self
    }

    fn renamed(mut self, name: impl Fn(&str) -> String) -> Copy {
        self.tensors = self.tensors.into_iter().map(|(key, tensor)| (name(&key), tensor)).collect();
        self.written()
    }

    fn edited(mut self, edit: impl FnOnce(&mut Tensors)) -> Copy {
        edit(&mut self.tensors);
        self.written()
    }

    fn with(mut self, key: &str, value: Value) -> Copy {
        self.config[key] = value;
        self.written()
    }

    fn error(&self) -> AdapterError {
        match Adapter::open(self.path()) {
            Err(error) => error,
            Ok(adapter) => bind(&adapter, &model("llama")).unwrap_err(),
        }
    }
}

#[test]
fn variants_that_are_not_a_product_are_refused() {
    for (key, value) in [
        ("peft_type", json!("LOHA")),
        ("peft_type", json!(null)),
        ("use_dora", json!(true)),
        ("use_dora", json!("yes")),
        ("use_qalora", json!(true)),
        ("target_parameters", json!(["mlp.experts.down_proj"])),
        ("trainable_token_indices", json!([1, 2])),
        ("layer_replication", json!([[0, 2], [1, 2]])),
        ("megatron_config", json!({"tensor_model_parallel_size": 2})),
        ("alora_invocation_tokens", json!([1])),
        ("kasa_config", json!({"beta": 1})),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("loftq")),
        ("init_lora_weights", json!("olora")),
    ] {
        let error = Copy::of("plain").with(key, value.clone()).error();
        let message = error.to_string();
        assert!(matches!(error, AdapterError::Unsupported { .. }), "{message}");
        for part in ["adapter_config.json", key, &value.to_string(), "valid: "] {
            assert!(message.contains(part), "{message}: no {part}");
        }
    }
}

#[test]
fn settings_of_training_are_not_refused() {
    for (key, value) in [
        ("target_parameters", json!([])),
        ("use_dora", json!(false)),
        ("init_lora_weights", json!("gaussian")),
        ("init_lora_weights", json!(false)),
        ("loftq_config", json!({"loftq_bits": 4})),
        ("target_modules", json!("regex.*")),
        ("lora_dropout", json!(0.1)),
        ("some_future_field", json!({"a": 1})),
        ("lora_alpha", json!(8.0)),
        ("rank_pattern", json!(null)),
    ] {
        let copy = Copy::of("plain").with(key, value);
        bind(&Adapter::open(copy.path()).unwrap(), &model("llama")).unwrap();
    }
}

#[test]
fn wrong_values_name_file_and_key() {
    for (key, value) in [
        ("r", json!(0)),
        ("r", json!("2")),
        ("lora_alpha", json!(null)),
        ("use_rslora", json!(1)),
        ("fan_in_fan_out", json!("true")),
        ("rank_pattern", json!(["q_proj"])),
        ("rank_pattern", json!({"q_proj": -1})),
        ("alpha_pattern", json!({"q_proj": "8"})),
        ("alpha_pattern", json!({"q_proj(": 8})),
        ("base_model_name_or_path", json!(7)),
    ] {
        let message = Copy::of("plain").with(key, value).error().to_string();
        assert!(message.contains("adapter_config.json") && message.contains(key), "{message}");
    }
}

const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const Q_B: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

#[test]
fn wrong_tensors_name_file_and_tensor() {
    fn case(edit: impl FnOnce(&mut Tensors), expected: &[&str]) {
        let message = Copy::of("plain").edited(edit).error().to_string();
        let all = [&["adapter_model.safetensors"], expected].concat();
        assert!(all.iter().all(|part| message.contains(part)), "{message}: not all of {all:?}");
    }
    case(|t| drop(t.remove(Q)), &[Q_B, "has no lora_A"]);
    case(|t| drop(t.remove(Q_B)), &[Q, "has no lora_B"]);
    case(|t| t.clear(), &["no tensors"]);
    case(|t| t.get_mut(Q).unwrap().1[3] = f32::NAN, &[Q, "element 3"]);
    case(|t| drop(t.insert(Q.to_owned(), (vec![3, 8], vec![0.0; 24]))), &[Q, "rank 3", "says 2"]);
    case(|t| drop(t.insert(Q_B.to_owned(), (vec![8, 1], vec![0.0; 8]))), &[Q_B, "rank 1"]);
    case(|t| drop(t.insert(Q.to_owned(), (vec![16], vec![0.0; 16]))), &[Q, "[16]", "matrix"]);
    let wide = (vec![2, 9], vec![0.0; 18]);
    case(|t| drop(t.insert(Q.to_owned(), wide)), &[Q, "[8, 9]", "[8, 8]", "models/llama"]);
    let magnitude = Q.replace("lora_A.weight", "lora_magnitude_vector");
    case(|t| drop(t.insert(magnitude.clone(), (vec![8], vec![0.0; 8]))), &[&magnitude]);
    let named = Q.replace("weight", "other.weight");
    case(|t| drop(t.insert(named.clone(), (vec![2, 8], vec![0.0; 16]))), &[Q, &named]);
    let extra = "base_model.model.model.layers.9.mlp.down_proj.weight";
    case(
        |t| drop(t.insert(extra.to_owned(), (vec![8, 12], vec![0.0; 96]))),
        &[extra, "models/llama does not have"],
    );
}

#[test]
fn pickled_weights_are_named() {
    let copy = Copy::of("plain");
    fs::rename(
        copy.path().join("adapter_model.safetensors"),
        copy.path().join("adapter_model.bin"),
    )
    .unwrap();
    assert!(copy.error().to_string().contains("safe_serialization=True"));
}

/// Axolotl writes the base model's configuration next to an adapter.
#[test]
fn an_adapter_is_a_folder_without_a_models_weights() {
    let copy = Copy::of("plain");
    assert!(Adapter::is_adapter(copy.path()));
    fs::write(copy.path().join("config.json"), "{}").unwrap();
    assert!(Adapter::is_adapter(copy.path()));
    fs::write(copy.path().join("model.safetensors"), "").unwrap();
    assert!(!Adapter::is_adapter(copy.path()));
    assert!(!Adapter::is_adapter(&reference().join("models/llama")));
}

#[test]
fn the_digest_sees_both_files() {
    let digest = |copy: Copy| Adapter::open(copy.path()).unwrap().digest().unwrap();
    let plain = digest(Copy::of("plain"));
    assert_eq!(plain, digest(Copy::of("plain")));
    assert_ne!(plain, digest(Copy::of("plain").with("lora_alpha", json!(9))));
    assert_ne!(plain, digest(Copy::of("plain").edited(|t| t.get_mut(Q).unwrap().1[0] += 1.0)));
}

/// Replaces, cuts or inserts bytes.
fn damage(mut bytes: Vec<u8>, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    for (at, byte, kind) in edits {
        let at = at % bytes.len().max(1);
        match kind % 4 {
            _ if bytes.is_empty() => {}
            0 => bytes.truncate(at),
            1 => bytes.insert(at, *byte),
            _ => bytes[at] = *byte,
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes give an adapter or an error; what binds can be applied.
    #[test]
    fn damaged_files_do_not_panic(
        which in 0_usize..2,
        name in prop::sample::select(vec!["patterns", "embedding", "conv-bias-lora"]),
        edits in prop::collection::vec((0_usize..6000, any::<u8>(), any::<u8>()), 1..4),
        in_header in any::<bool>(),
    ) {
        let from = reference().join("adapters").join(name);
        let dir = tempfile::tempdir().unwrap();
        for (number, file) in ["adapter_config.json", "adapter_model.safetensors"].iter().enumerate() {
            let mut bytes = fs::read(from.join(file)).unwrap();
            if number == which {
                let near = |(at, byte, kind): &(usize, u8, u8)| (if in_header { at % 900 } else { *at }, *byte, *kind);
                bytes = damage(bytes, &edits.iter().map(near).collect::<Vec<_>>());
            }
            fs::write(dir.path().join(file), bytes).unwrap();
        }
        if let Ok(adapter) = Adapter::open(dir.path()) {
            let base = model(if name.starts_with("conv") { "gpt2" } else { "llama" });
            for (tensor, change) in bind(&adapter, &base).unwrap_or_default() {
                change.apply(0, &mut base.tensor(&tensor).unwrap().into_owned());
            }
        }
    }
}
