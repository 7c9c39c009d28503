use std::convert::Infallible;
use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const CONFIG: &str =
    r#"{"num_hidden_layers": 2, "torch_dtype": "float32", "layer_types": ["a", "b"]}"#;

fn folder(config: &str, files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), config).unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

/// A safetensors file, put together by hand.
fn file(header: &str, content: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), content].concat()
}

fn singles(name: &str, values: &[f32]) -> Vec<u8> {
    let content: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let (n, end) = (values.len(), content.len());
    let header =
        format!(r#"{{"{name}":{{"dtype":"F32","shape":[{n}],"data_offsets":[0,{end}]}}}}"#);
    file(&header, &content)
}

fn opened(config: &str, files: &[(&str, &[u8])]) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::open(folder(config, files).path())
}

/// 1.5 is 0x3FC0 in bfloat16 and 0x3E00 in half precision, -2 is 0xC000 in both.
#[test]
fn half_precisions_are_widened() {
    let header = r#"{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1,2],"data_offsets":[4,8]}}"#;
    let content = [0xC0, 0x3F, 0x00, 0xC0, 0x00, 0x3E, 0x00, 0xC0];
    let checkpoint = opened(CONFIG, &[("model.safetensors", &file(header, &content))]).unwrap();
    assert_eq!(*checkpoint.tensor("a").unwrap(), [1.5, -2.0]);
    assert_eq!(*checkpoint.tensor("b").unwrap(), [1.5, -2.0]);
    assert_eq!(checkpoint.shape("b").unwrap().shape, [1, 2]);
    assert_eq!(checkpoint.layers(), 2);
}

#[test]
fn aligned_singles_are_not_copied() {
    for (name, aligned) in [("aaaaaaaaaaa", true), ("aaaaaaaaaaaa", false)] {
        let bytes = singles(name, &[1.0, -2.5]);
        assert_eq!((bytes.len() - 8).is_multiple_of(4), aligned);
        let checkpoint = opened(CONFIG, &[("model.safetensors", &bytes)]).unwrap();
        let tensor = checkpoint.tensor(name).unwrap();
        assert_eq!(*tensor, [1.0, -2.5]);
        assert_eq!(matches!(tensor, Cow::Borrowed(_)), aligned);
    }
}

/// Two shards, `x` in the first, and an index that says where `y` is.
fn sharded(y_file: &str) -> Result<Checkpoint, CheckpointError> {
    let index = format!(r#"{{"weight_map": {{"x": "one.safetensors", "y": "{y_file}"}}}}"#);
    let (x, y) = (singles("x", &[1.0]), singles("y", &[2.0]));
    let files: [(&str, &[u8]); 3] = [
        ("model.safetensors.index.json", index.as_bytes()),
        ("one.safetensors", &x),
        ("two.safetensors", &y),
    ];
    // The folder is removed at the end; a memory map lives on.
    opened(CONFIG, &files)
}

#[test]
fn shards_are_read_as_their_index_says() {
    let checkpoint = sharded("two.safetensors").unwrap();
    assert_eq!(*checkpoint.tensor("y").unwrap(), [2.0]);
    assert!(checkpoint.file_of("y").unwrap().ends_with("two.safetensors"));
    let error = sharded("one.safetensors").unwrap_err();
    assert!(matches!(error, CheckpointError::NotInShard { ref tensor, .. } if tensor == "y"));
    for outside in ["../two.safetensors", "/etc/passwd", "..", ""] {
        assert!(matches!(sharded(outside), Err(CheckpointError::Key { .. })), "{outside}");
    }
}

#[test]
fn what_cannot_be_merged_is_refused_with_a_reason() {
    let message =
        |config: &str, files: &[(&str, &[u8])]| opened(config, files).unwrap_err().to_string();
    let good = singles("x", &[1.0]);
    let pickled = message(CONFIG, &[("pytorch_model.bin", b"")]);
    assert!(pickled.contains("safe_serialization"), "{pickled}");
    let nothing = message(CONFIG, &[]);
    assert!(!nothing.contains("safe_serialization"), "{nothing}");
    let truncated = message(CONFIG, &[("model.safetensors", &good[..good.len() - 1])]);
    assert!(truncated.contains("model.safetensors is not a whole"), "{truncated}");
    let config = message("{}", &[("model.safetensors", &good)]);
    assert!(config.contains("num_hidden_layers"), "{config}");
    let json = message("{", &[("model.safetensors", &good)]);
    assert!(json.contains("not JSON"), "{json}");
    let header = r#"{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let integers = message(CONFIG, &[("model.safetensors", &file(header, &[0; 8]))]);
    assert!(integers.contains("I64") && integers.contains("BF16"), "{integers}");
    let no_folder = Checkpoint::open(Path::new("/nowhere/at/all")).unwrap_err().to_string();
    assert!(no_folder.contains("/nowhere/at/all"), "{no_folder}");
}

/// 2^62 elements of 4 bytes: the product overflows; a header of 2^60 bytes: no memory is taken for it.
#[test]
fn absurd_sizes_are_refused() {
    let shape = r#"{"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#;
    let offsets = r#"{"x":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#;
    let long = [&(1_u64 << 60).to_le_bytes()[..], b"{}"].concat();
    for bytes in [file(shape, &[]), file(offsets, &[]), long, Vec::new(), vec![0; 7]] {
        let error = opened(CONFIG, &[("model.safetensors", &bytes)]).unwrap_err();
        assert!(matches!(
            error,
            CheckpointError::Safetensors { .. } | CheckpointError::Dtype { .. }
        ));
    }
}

/// Llama's embedding and head of one element each; either is missing where it is `None`.
fn with_head(embedding: Option<f32>, head: Option<f32>) -> Vec<u8> {
    let tensors = [("model.embed_tokens.weight", embedding), ("lm_head.weight", head)];
    let stored: Vec<_> =
        tensors.iter().filter_map(|(name, value)| Some((name, (*value)?))).collect();
    let entry = |(i, (name, _)): (usize, &(&&str, f32))| {
        let (start, end) = (4 * i, 4 * i + 4);
        format!(r#""{name}":{{"dtype":"F32","shape":[1,1],"data_offsets":[{start},{end}]}}"#)
    };
    let header: Vec<String> = stored.iter().enumerate().map(entry).collect();
    let content: Vec<u8> = stored.iter().flat_map(|(_, value)| value.to_le_bytes()).collect();
    file(&format!("{{{}}}", header.join(",")), &content)
}

/// As transformers 5 reads them: tied only if the config says so and the file does not say otherwise.
#[test]
fn the_head_of_a_tied_model_is_left_out() {
    let config = |tied| {
        format!(
            r#"{{"model_type": "llama", "num_hidden_layers": 2, "tie_word_embeddings": {tied}}}"#
        )
    };
    let (tied, untied) = (config(true), config(false));
    let names = |config: &str, embedding, head| -> Vec<String> {
        let bytes = with_head(embedding, head);
        let checkpoint = opened(config, &[("model.safetensors", &bytes)]).unwrap();
        checkpoint.tensors().map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(names(&tied, Some(1.0), Some(1.0)), ["model.embed_tokens.weight"]);
    assert_eq!(names(&tied, Some(1.0), Some(2.0)), ["lm_head.weight", "model.embed_tokens.weight"]);
    assert_eq!(names(&tied, None, Some(2.0)), ["lm_head.weight"]);
    assert_eq!(
        names(&untied, Some(1.0), Some(1.0)),
        ["lm_head.weight", "model.embed_tokens.weight"]
    );
}

#[test]
fn buffers_that_are_computed_are_left_out_whatever_their_type() {
    let header = r#"{"bert.embeddings.position_ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"bert.mask":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]},"bert.pooler.dense.bias":{"dtype":"F16","shape":[1],"data_offsets":[9,11]}}"#;
    let config = r#"{"model_type": "bert", "num_hidden_layers": 1}"#;
    let checkpoint = opened(config, &[("model.safetensors", &file(header, &[0; 11]))]).unwrap();
    let names: Vec<&str> = checkpoint.tensors().map(|(name, _)| name).collect();
    assert_eq!(names, ["bert.pooler.dense.bias"]);
}

#[test]
fn a_non_finite_weight_is_found() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let bytes = singles("x", &[1.0, 2.0, bad]);
        let checkpoint = opened(CONFIG, &[("model.safetensors", &bytes)]).unwrap();
        assert_eq!(checkpoint.first_non_finite("x").unwrap(), Some(2));
        let message = checkpoint.require_finite().unwrap_err().to_string();
        assert!(message.contains("model.safetensors: element 2 of tensor `x`"), "{message}");
    }
    let bytes = singles("x", &[f32::MAX, -0.0]);
    let checkpoint = opened(CONFIG, &[("model.safetensors", &bytes)]).unwrap();
    assert!(checkpoint.require_finite().is_ok());
    assert!(checkpoint.first_non_finite("y").is_err());
}

#[test]
fn an_expert_of_another_shape_is_refused() {
    let of = |bytes: &[u8]| opened(CONFIG, &[("model.safetensors", bytes)]).unwrap();
    let base = of(&singles("x", &[1.0, 2.0]));
    assert!(base.require_same_shapes(&of(&singles("x", &[3.0, 4.0]))).is_ok());
    let message = base.require_same_shapes(&of(&singles("x", &[3.0]))).unwrap_err().to_string();
    assert!(message.contains("`x`") && message.contains("[2] in") && message.contains("[1] in"));
    let message = base.require_same_shapes(&of(&singles("y", &[3.0]))).unwrap_err().to_string();
    assert!(message.contains("missing in"), "{message}");
}

#[test]
fn the_digest_follows_the_content_and_not_the_folder() {
    let digest = |config: &str, value: f32| {
        let dir = folder(config, &[("model.safetensors", &singles("x", &[value]))]);
        Checkpoint::open(dir.path()).unwrap().digest().unwrap().to_owned()
    };
    assert_eq!(digest(CONFIG, 1.0), digest(CONFIG, 1.0));
    assert_ne!(digest(CONFIG, 1.0), digest(CONFIG, 1.5));
    assert_ne!(digest(CONFIG, 1.0), digest(r#"{"num_hidden_layers": 3}"#, 1.0));
    assert_eq!(digest(CONFIG, 1.0).len(), 64);
}

fn written(dtype: Dtype, values: &[f32]) -> (TempDir, Result<(), WriteError<Infallible>>) {
    let bytes = singles("x", values);
    let source = folder(CONFIG, &[("model.safetensors", &bytes), ("tokenizer.json", b"{}")]);
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let tensors = [output("y", vec![1, values.len()], dtype), output("z", vec![], dtype)];
    let elements = |i: usize| Ok(given(if i == 0 { values.to_vec() } else { vec![7.0] }));
    let layers = [vec![1, 0, 1]];
    let config = OutputConfig { source_layers: &layers, dtype, ..plain(&checkpoint) };
    let result = write_checkpoint(&out.path().join("new"), &tensors, elements, &config);
    (out, result)
}

fn output(name: &str, shape: Vec<usize>, dtype: Dtype) -> OutputTensor {
    OutputTensor { name: name.to_owned(), shape, dtype }
}

fn given(values: Vec<f32>) -> impl Fn(usize, &mut [f32]) {
    move |start, out| out.copy_from_slice(&values[start..start + out.len()])
}

fn plain(source: &Checkpoint) -> OutputConfig<'_> {
    static NO_SETTINGS: LazyLock<serde_json::Map<String, serde_json::Value>> =
        LazyLock::new(serde_json::Map::new);
    static ONE_LAYER: LazyLock<[Vec<usize>; 1]> = LazyLock::new(|| [vec![0]]);
    OutputConfig {
        source,
        source_layers: &*ONE_LAYER,
        dtype: Dtype::F32,
        settings: &NO_SETTINGS,
        shard_size: crate::units::Bytes(u64::MAX),
        progress: &|_| {},
        copy_tokenizer: true,
        finish: &|_| Ok(()),
    }
}

/// Two files of at most 12 bytes of weights: 8 of `y`, then 4 of `z`; and a tensor larger than that in its own.
#[test]
fn large_outputs_are_split_into_shards_that_can_be_opened() {
    let source = folder(CONFIG, &[("model.safetensors", &singles("x", &[1.0]))]);
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().join("new");
    let tensors = [
        output("y", vec![2], Dtype::F32),
        output("z", vec![2], Dtype::BF16),
        output("large", vec![5], Dtype::F32),
        output("last", vec![], Dtype::F32),
    ];
    let elements = |i: usize| Ok::<_, Infallible>(given(vec![i as f32 + 0.5; 5]));
    let config = OutputConfig { shard_size: crate::units::Bytes(12), ..plain(&checkpoint) };
    write_checkpoint(&dir, &tensors, elements, &config).unwrap();
    for number in 1..=3 {
        assert!(dir.join(format!("model-0000{number}-of-00003.safetensors")).is_file());
    }
    let index = fs::read_to_string(dir.join("model.safetensors.index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["metadata"]["total_size"], 8 + 4 + 20 + 4);
    assert_eq!(index["weight_map"]["large"], "model-00002-of-00003.safetensors");
    let written = Checkpoint::open(&dir).unwrap();
    for (i, tensor) in tensors.iter().enumerate() {
        assert!(written.tensor(&tensor.name).unwrap().iter().all(|x| *x == i as f32 + 0.5));
        assert_eq!(written.shape(&tensor.name).unwrap().dtype, tensor.dtype);
    }
}

/// Largest float16: 65504; from half way to the next power of two on, nothing finite is nearest.
#[test]
fn what_does_not_fit_is_not_written() {
    for (dtype, value, word) in [
        (Dtype::F32, f32::NAN, "element 1 of the merged tensor `y` is NaN"),
        (Dtype::BF16, f32::INFINITY, "infinite"),
        (Dtype::F16, -65520.0, "too large for float16"),
    ] {
        let (out, result) = written(dtype, &[1.0, value]);
        let message = result.unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    }
    let (out, result) = written(Dtype::F16, &[65519.0, -65519.0]);
    result.unwrap();
    let checkpoint = Checkpoint::open(&out.path().join("new")).unwrap();
    assert_eq!(*checkpoint.tensor("y").unwrap(), [65504.0, -65504.0]);
}

#[test]
fn what_is_written_can_be_opened() {
    for dtype in Dtype::ALL {
        let (out, result) = written(dtype, &[1.5, -2.0, 0.0]);
        result.unwrap();
        let checkpoint = Checkpoint::open(&out.path().join("new")).unwrap();
        assert_eq!(*checkpoint.tensor("y").unwrap(), [1.5, -2.0, 0.0]);
        assert_eq!(*checkpoint.tensor("z").unwrap(), [7.0]);
        assert_eq!(checkpoint.shape("y"), Some(&TensorShape { shape: vec![1, 3], dtype }));
        assert_eq!(checkpoint.layers(), 3);
        assert_eq!(checkpoint.config()["torch_dtype"], dtype.as_str());
        assert_eq!(checkpoint.config()["layer_types"], serde_json::json!(["b", "a", "b"]));
        assert!(out.path().join("new/tokenizer.json").is_file());
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "the partial folder is gone");
    }
}

/// Next to 1 a bfloat16 steps by 2^-7; half way between two steps the even one is taken.
#[test]
fn writing_rounds_to_the_nearest() {
    let (out, result) = written(Dtype::BF16, &[1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, 1.004]);
    result.unwrap();
    let checkpoint = Checkpoint::open(&out.path().join("new")).unwrap();
    let step = 1.0 / 128.0;
    assert_eq!(*checkpoint.tensor("y").unwrap(), [1.0, 1.0 + 2.0 * step, 1.0 + step]);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let source = folder(CONFIG, &[("model.safetensors", &singles("x", &[1.0]))]);
    let checkpoint = Checkpoint::open(source.path()).unwrap();
    let config = plain(&checkpoint);
    let tensors = [output("y", vec![2], Dtype::F32)];
    let out = tempfile::tempdir().unwrap();
    let dir = out.path().join("new");
    let broken = |_| Err::<fn(usize, &mut [f32]), _>(std::fmt::Error);
    assert!(matches!(
        write_checkpoint(&dir, &tensors, broken, &config),
        Err(WriteError::Tensor(std::fmt::Error))
    ));
    let failing = OutputConfig { finish: &|_| Err("no".into()), ..config };
    let full = |_| Ok::<_, Infallible>(given(vec![1.0, 2.0]));
    assert!(matches!(write_checkpoint(&dir, &tensors, full, &failing), Err(WriteError::Beside(_))));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);

    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("precious"), "").unwrap();
    let error = write_checkpoint(&dir, &tensors, full, &config).unwrap_err();
    assert!(matches!(error, WriteError::NotEmpty { .. }));
    fs::remove_file(dir.join("precious")).unwrap();
    write_checkpoint(&dir, &tensors, full, &config).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_a_checkpoint_or_an_error(
        at in 0..90_usize, bytes in proptest::collection::vec(any::<u8>(), 0..9), cut in 0..20_usize,
    ) {
        let mut file = singles("x", &[1.0, 2.0]);
        let at = at.min(file.len());
        file.splice(at..(at + cut).min(file.len()), bytes);
        if let Ok(checkpoint) = opened(CONFIG, &[("model.safetensors", &file)]) {
            for (name, shape) in checkpoint.tensors() {
                prop_assert_eq!(checkpoint.tensor(name).unwrap().len(), shape.elements());
            }
        }
    }

    #[test]
    fn any_bytes_are_a_checkpoint_or_an_error(
        header in "[-{}\\[\\]:,\"a-z0-9_ ]{0,40}", content in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        drop(opened(CONFIG, &[("model.safetensors", &file(&header, &content))]));
        drop(opened(CONFIG, &[("model.safetensors", &content)]));
        drop(opened(&header, &[("model.safetensors", &file(r#"{}"#, &[]))]));
        let index = [("model.safetensors.index.json", header.as_bytes())];
        drop(opened(CONFIG, &index));
    }
}
