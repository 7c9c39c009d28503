//! Names of tensors are data: whatever they are, a checkpoint is written into its folder and reads back the same.

use std::fs;
use std::path::Path;

use merge_search::checkpoint::{Checkpoint, OutputConfig, OutputTensor, write_checkpoint};
use merge_search::merge::MergePlan;
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::submission::write_merged;
use merge_search::units::{Bytes, Dtype};
use proptest::prelude::*;
use serde_json::{Map, json};

use crate::tiny::{bits, message, noise, output, tensor, write};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn name() -> impl Strategy<Value = String> {
    let odd = vec![
        "../../escaped",
        "/tmp/merge-search-escaped",
        "..",
        ".",
        "/",
        "a\0b",
        "a/../b",
        "config.json",
        "weight\n",
        "model.layers.0.attn.x",
        "\u{202e}",
        "\"quoted\\",
        "model.safetensors",
    ];
    prop_oneof![3 => proptest::sample::select(odd).prop_map(str::to_owned), 1 => "[^_].{0,10}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_checkpoint_is_written_inside_its_folder(
        names_in in proptest::collection::btree_set(name(), 1..5), shard_size in proptest::sample::select(vec![1, 40, u64::MAX]),
    ) {
        let ground = tempfile::tempdir().unwrap();
        let tensors: Vec<_> =
            names_in.iter().zip(0..).map(|(name, seed)| tensor(name, &[2, 3], noise(seed, 6))).collect();
        let layers = usize::from(names_in.iter().any(|name| name.contains(".layers.0.")));
        let config = json!({"model_type": "new", "num_hidden_layers": layers});
        write(&ground.path().join("model"), &config, &tensors);
        let model = Checkpoint::open(&ground.path().join("model")).unwrap();
        let recipe = Recipe::from_yaml("merge_method: passthrough\nmodels: [{model: m}]").unwrap();
        let models = [(ModelRef::new("m").unwrap(), &model)];
        let plan = MergePlan::new(&recipe, &models).unwrap();
        let dir = ground.path().join("merged");
        match write_merged(&recipe, &plan, &output(&dir, shard_size)) {
            Ok(()) => {
                let merged = Checkpoint::open(&dir).unwrap();
                prop_assert_eq!(merged.tensors().count(), tensors.len());
                for tensor in &tensors {
                    let read = merged.tensor(&tensor.name).unwrap();
                    prop_assert_eq!(bits(&read), bits(&tensor.values), "{:?}", &tensor.name);
                }
                let weights = |name: &String| name.starts_with("model") && name.contains(".safetensors");
                let others: Vec<String> = names(&dir).into_iter().filter(|name| !weights(name)).collect();
                prop_assert_eq!(others, ["README.md", "config.json", "mergekit_config.yml"]);
                prop_assert_eq!(names(ground.path()), ["merged", "model"]);
            }
            Err(error) => {
                prop_assert!(message(&error).len() > 10);
                prop_assert_eq!(names(ground.path()), ["model"]);
            }
        }
        prop_assert!(!Path::new("/tmp/merge-search-escaped").exists());
    }
}

/// A header has one entry per name: the second tensor would hide the first.
#[test]
fn two_tensors_of_one_name_are_refused() {
    let ground = tempfile::tempdir().unwrap();
    write(
        &ground.path().join("model"),
        &json!({"num_hidden_layers": 0}),
        &[tensor("a", &[1], vec![1.0])],
    );
    let source = Checkpoint::open(&ground.path().join("model")).unwrap();
    let config = OutputConfig {
        source: &source,
        source_layers: &[],
        dtype: Dtype::F32,
        settings: &Map::new(),
        shard_size: Bytes(1),
        progress: &|_| {},
        copy_tokenizer: false,
        finish: &|_| Ok(()),
    };
    let ones = |_: usize| Ok::<_, std::fmt::Error>(|_: usize, out: &mut [f32]| out.fill(1.0));
    let tensor =
        |name: &str| OutputTensor { name: name.to_owned(), shape: vec![2], dtype: Dtype::F32 };
    let dir = ground.path().join("merged");
    for pair in [["a", "a"], ["a", "__metadata__"]] {
        for shard_size in [Bytes(1), Bytes(u64::MAX)] {
            let config = OutputConfig { shard_size, ..config };
            let error = write_checkpoint(&dir, &pair.map(tensor), ones, &config).unwrap_err();
            assert!(error.to_string().contains(&format!("`{}`", pair[1])), "{error}");
            assert_eq!(names(ground.path()), ["model"]);
        }
    }
    write_checkpoint(&dir, &["a", "b"].map(tensor), ones, &config).unwrap();
    assert_eq!(Checkpoint::open(&dir).unwrap().tensors().count(), 2);
}
