//! Damaged and hostile files: whatever their bytes are, they are read or refused, without panic and without more memory
//! than a small file can need.

use std::fs;
use std::path::{Path, PathBuf};

use merge_search::checkpoint::{Adapter, Checkpoint};
use merge_search::merge::{MergePlan, merge_all};
use merge_search::recipe::{ModelRef, Recipe};
use merge_search::space::SearchSpace;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::allocations::largest_allocation;
use crate::tiny::{message, noise, singles, tensor, write};

/// No file here has more than some ten thousand bytes.
const MOST_BYTES: usize = 4 << 20;

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(path)
}

/// One change of a file.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(Index),
    Flip(Index, u8),
    /// Copies a run of bytes over or behind another place.
    Splice {
        from: Index,
        to: Index,
        length: usize,
        over: bool,
    },
    Delete {
        from: Index,
        length: usize,
    },
    Insert(Index, Vec<u8>),
    /// Takes the place of a number.
    Number(Index, &'static str),
    /// Takes the place of a word in quotes.
    Word(Index, &'static str),
}

const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "3",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "1000000000000",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "1e999",
    "0.5",
];

const WORDS: [&str; 14] = [
    "null",
    "[]",
    "{}",
    "true",
    "\"\"",
    "\"..\"",
    "\"/etc/passwd\"",
    "\"a\\u0000b\"",
    "\"F64\"",
    "\"BOOL\"",
    "\"I8\"",
    "\"model.layers.18446744073709551615.x\"",
    "\"__metadata__\"",
    "\"\u{1f980}\"",
];

fn damage() -> impl Strategy<Value = Damage> {
    let index = || any::<Index>();
    prop_oneof![
        1 => index().prop_map(Damage::Truncate),
        2 => (index(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        2 => (index(), index(), 1..64_usize, any::<bool>())
            .prop_map(|(from, to, length, over)| Damage::Splice { from, to, length, over }),
        1 => (index(), 1..64_usize).prop_map(|(from, length)| Damage::Delete { from, length }),
        1 => (index(), vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        5 => (index(), select(NUMBERS.to_vec())).prop_map(|(at, number)| Damage::Number(at, number)),
        3 => (index(), select(WORDS.to_vec())).prop_map(|(at, word)| Damage::Word(at, word)),
    ]
}

/// The runs of bytes that `starts` begins and `goes_on` continues.
fn runs(bytes: &[u8], is_part: impl Fn(&[u8], usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for i in (0..bytes.len()).filter(|i| is_part(bytes, *i)) {
        match runs.last_mut().filter(|(_, end)| *end == i) {
            Some((_, end)) => *end = i + 1,
            None => runs.push((i, i + 1)),
        }
    }
    runs
}

/// Words in quotes, quotes included.
fn quoted(bytes: &[u8]) -> Vec<(usize, usize)> {
    let quotes: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'"').collect();
    quotes.chunks_exact(2).map(|pair| (pair[0], pair[1] + 1)).collect()
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let run = |from: &Index, most: usize| {
            let from = from.index(length);
            from..(from + most).min(length)
        };
        let chosen = |runs: &[(usize, usize)], at: &Index| {
            (!runs.is_empty()).then(|| runs[at.index(runs.len())]).map(|(start, end)| start..end)
        };
        match self {
            Damage::Truncate(at) => bytes.truncate(at.index(length)),
            Damage::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Damage::Splice { from, to, length: most, over } => {
                let copied = bytes[run(from, *most)].to_vec();
                let to = to.index(length);
                let end = if *over { (to + copied.len()).min(length) } else { to };
                bytes.splice(to..end, copied);
            }
            Damage::Delete { from, length } => drop(bytes.drain(run(from, *length))),
            Damage::Insert(at, more) => {
                drop(bytes.splice(at.index(length)..at.index(length), more.clone()))
            }
            Damage::Number(at, number) => {
                let numbers = runs(bytes, |bytes, i| bytes[i].is_ascii_digit());
                if let Some(range) = chosen(&numbers, at) {
                    bytes.splice(range, number.bytes());
                }
            }
            Damage::Word(at, word) => {
                if let Some(range) = chosen(&quoted(bytes), at) {
                    bytes.splice(range, word.bytes());
                }
            }
        }
    }
}

/// Mostly one change: more are likely to be refused for the first of them.
fn damages() -> impl Strategy<Value = Vec<Damage>> {
    prop_oneof![3 => vec(damage(), 1), 2 => vec(damage(), 2..5)]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    damages.iter().for_each(|damage| damage.apply(&mut bytes));
    bytes
}

/// A copy of a folder's files.
fn copied(from: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// Everything that a merge asks of a checkpoint.
fn use_all(dir: &Path) -> Result<(), String> {
    let checkpoint = Checkpoint::open(dir).map_err(|error| message(&error))?;
    let names: Vec<String> = checkpoint.tensors().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        checkpoint.tensor(name).map_err(|error| message(&error))?;
        checkpoint.architecture().group(name);
    }
    checkpoint.digest().map_err(|error| message(&error))?;
    checkpoint.require_same_shapes(&checkpoint).map_err(|error| message(&error))?;
    let model = [(ModelRef::new("m").unwrap(), &checkpoint)];
    let recipes = [
        "merge_method: passthrough\nmodels: [{model: m}]",
        "merge_method: passthrough\nslices: [{sources: [{model: m, layer_range: [0, 1]}]}]",
    ];
    for yaml in recipes {
        let plan = MergePlan::new(&Recipe::from_yaml(yaml).unwrap(), &model);
        let plan = plan.map_err(|error| message(&error))?;
        merge_all(&plan).map_err(|error| message(&error))?;
        let config =
            checkpoint.architecture().output_config(checkpoint.config(), plan.source_layers());
        config.map_err(|error| message(&error))?;
    }
    Ok(())
}

/// Reads or refuses, in little memory; `true` if it was read.
fn survives<T>(work: impl FnOnce() -> Result<T, String>) -> Result<bool, TestCaseError> {
    let (result, largest) = largest_allocation(work);
    prop_assert!(largest < MOST_BYTES, "{} bytes at once", largest);
    if let Err(message) = &result {
        prop_assert!(message.len() > 10, "{}", message);
    }
    Ok(result.is_ok())
}

fn llama() -> Vec<u8> {
    let name = |part: &str| format!("model.layers.0.{part}.weight");
    singles(&[
        tensor("model.embed_tokens.weight", &[6, 4], noise(1, 24)),
        tensor(&name("self_attn.q_proj"), &[4, 4], noise(2, 16)),
        tensor(&name("input_layernorm"), &[4], noise(3, 4)),
        tensor("model.norm.weight", &[4], noise(4, 4)),
    ])
}

fn llama_config() -> Value {
    json!({"model_type": "llama", "num_hidden_layers": 1, "vocab_size": 6, "tie_word_embeddings": true})
}

/// A header of its own making in front of `data`.
fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

fn parts(file: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    (rest[..length].to_vec(), rest[length..].to_vec())
}

/// Numbers that shapes and offsets may be.
fn huge() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40_u64,
        1 => select(vec![1 << 31, 1 << 32, 1 << 53, 1 << 62, 1 << 63, u64::MAX - 8, u64::MAX]),
        1 => any::<u64>(),
    ]
}

/// A header of the right form, and the number of bytes that it promises. Mostly without gaps, so that it is not refused
/// for its offsets alone; of any types and shapes, huge ones without elements among them.
fn header() -> impl Strategy<Value = (Value, u64)> {
    let types = vec![
        ("F32", 4),
        ("F16", 2),
        ("BF16", 2),
        ("BOOL", 1),
        ("I64", 8),
        ("F64", 8),
        ("U8", 1),
        ("X", 1),
    ];
    let name = prop_oneof![
        3 => select(vec!["a", "model.layers.0.x", "model.layers.7.attn.x", "lm_head.weight", "wte.weight"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let shape = prop_oneof![
        6 => vec(0..5_u64, 0..4),
        1 => vec(huge(), 0..4),
        1 => vec(huge(), 1..3).prop_map(|shape| [&[0], shape.as_slice()].concat()),
    ];
    let shift = prop_oneof![12 => Just(0), 1 => huge()];
    vec((name, select(types), shape, shift), 0..4).prop_map(|entries| {
        let (mut header, mut end) = (serde_json::Map::new(), 0_u64);
        for (name, (dtype, size), shape, shift) in entries {
            let count =
                shape.iter().fold(size, |product: u64, length| product.wrapping_mul(*length));
            let start = end;
            end = start.wrapping_add(count).wrapping_add(shift);
            header.insert(
                name,
                json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}),
            );
        }
        (Value::Object(header), end)
    })
}

fn open_bytes(file: &[u8], config: &Value) -> Result<bool, TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    fs::write(dir.path().join("model.safetensors"), file).unwrap();
    survives(|| use_all(dir.path()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_as_weights(bytes in vec(any::<u8>(), 0..200), length in huge()) {
        open_bytes(&bytes, &llama_config())?;
        open_bytes(&[&length.to_le_bytes(), bytes.as_slice()].concat(), &llama_config())?;
        open_bytes(&with_header(&bytes, &[0; 64]), &llama_config())?;
    }

    #[test]
    fn damaged_weights(damages in damages()) {
        open_bytes(&damaged(llama(), &damages), &llama_config())?;
    }

    #[test]
    fn damaged_headers(damages in damages(), known: bool) {
        let (header, data) = parts(&llama());
        let config = if known { llama_config() } else { json!({"model_type": "new"}) };
        open_bytes(&with_header(&damaged(header, &damages), &data), &config)?;
    }

    #[test]
    fn headers_that_promise_too_much((header, promised) in header(), known: bool, kept: bool) {
        let data = if kept { promised.min(10_000) } else { promised % 100 } as usize;
        let config = if known { llama_config() } else { json!({}) };
        open_bytes(&with_header(header.to_string().as_bytes(), &vec![0; data]), &config)?;
    }

    /// All families, with settings of any kind.
    #[test]
    fn damaged_configs(family in any::<Index>(), damages in damages()) {
        let models = fs::read_dir(reference("mergekit/matrix/models")).unwrap();
        let mut folders: Vec<PathBuf> = models
            .flat_map(|family| fs::read_dir(family.unwrap().path()).unwrap())
            .map(|model| model.unwrap().path())
            .filter(|model| model.join("model.safetensors").is_file() && model.join("config.json").is_file())
            .collect();
        folders.sort();
        let from = &folders[family.index(folders.len())];
        let dir = tempfile::tempdir().unwrap();
        fs::copy(from.join("model.safetensors"), dir.path().join("model.safetensors")).unwrap();
        let config = damaged(fs::read(from.join("config.json")).unwrap(), &damages);
        fs::write(dir.path().join("config.json"), config).unwrap();
        survives(|| use_all(dir.path()))?;
    }

    #[test]
    fn damaged_indexes(damages in damages(), bytes in vec(any::<u8>(), 0..64)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), llama_config().to_string()).unwrap();
        fs::write(dir.path().join("model-00001-of-00001.safetensors"), llama()).unwrap();
        let (header, _) = parts(&llama());
        let names: serde_json::Map<String, Value> = serde_json::from_slice(&header).unwrap();
        let files = names.keys().map(|name| (name.clone(), json!("model-00001-of-00001.safetensors")));
        let index = json!({"metadata": {"total_size": 232}, "weight_map": Value::Object(files.collect())});
        let path = dir.path().join("model.safetensors.index.json");
        fs::write(&path, index.to_string()).unwrap();
        prop_assert!(survives(|| use_all(dir.path()))?);
        for index in [damaged(index.to_string().into_bytes(), &damages), bytes] {
            fs::write(&path, index).unwrap();
            survives(|| use_all(dir.path()))?;
        }
    }

    #[test]
    fn damaged_adapters(adapter in any::<Index>(), damages in damages(), part in 0..3_u8) {
        let mut adapters: Vec<PathBuf> =
            fs::read_dir(reference("peft/adapters")).unwrap().map(|entry| entry.unwrap().path()).collect();
        adapters.sort();
        let from = &adapters[adapter.index(adapters.len())];
        let dir = copied(from);
        let name = if part == 0 { "adapter_config.json" } else { "adapter_model.safetensors" };
        let file = fs::read(from.join(name)).unwrap();
        let file = match part {
            2 => {
                let (header, data) = parts(&file);
                with_header(&damaged(header, &damages), &data)
            }
            _ => damaged(file, &damages),
        };
        fs::write(dir.path().join(name), file).unwrap();
        for base in ["llama", "gpt2"] {
            survives(|| {
                let adapter = Adapter::open(dir.path()).map_err(|error| message(&error))?;
                let base = Checkpoint::open(&reference("peft/models").join(base)).unwrap();
                let base = base.with_adapter(&adapter).map_err(|error| message(&error))?;
                let names: Vec<String> = base.tensors().map(|(name, _)| name.to_owned()).collect();
                names.iter().for_each(|name| drop(base.tensor(name).unwrap()));
                base.digest().map(|_| ()).map_err(|error| message(&error))
            })?;
        }
    }

    #[test]
    fn damaged_tokenizers(file in 0..3_usize, damages in damages()) {
        let names = ["tokenizer.json", "tokenizer.json", "tokenizer_config.json"];
        let from = reference("mergekit/vocabulary/models/a");
        let dir = copied(&from);
        fs::write(dir.path().join(names[file]), damaged(fs::read(from.join(names[file])).unwrap(), &damages)).unwrap();
        for source in ["union", "base", "b"] {
            survives(|| {
                let a = Checkpoint::open(dir.path()).map_err(|error| message(&error))?;
                let b = Checkpoint::open(&reference("mergekit/vocabulary/models/b")).unwrap();
                let yaml = format!(
                    "merge_method: linear\nmodels: [{{model: a}}, {{model: b}}]\nparameters: {{weight: 1}}\n\
                     tokenizer_source: {source}\nchat_template: auto"
                );
                let models = [("a", &a), ("b", &b)].map(|(name, open)| (ModelRef::new(name).unwrap(), open));
                let plan = MergePlan::new(&Recipe::from_yaml(&yaml).unwrap(), &models);
                let plan = plan.map_err(|error| message(&error))?;
                merge_all(&plan).map_err(|error| message(&error))?;
                let out = tempfile::tempdir().unwrap();
                plan.vocabulary().unwrap().write(out.path()).map_err(|error| message(&error))
            })?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn damaged_recipes(recipe in any::<Index>(), damages in damages(), text: String) {
        let mut recipes: Vec<PathBuf> = ["mergekit/matrix/recipes", "mergekit/vocabulary/recipes"]
            .iter()
            .flat_map(|folder| fs::read_dir(reference(folder)).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        recipes.sort();
        let bytes = fs::read(&recipes[recipe.index(recipes.len())]).unwrap();
        let yaml = String::from_utf8_lossy(&damaged(bytes, &damages)).into_owned();
        for text in [yaml, text] {
            survives(|| Recipe::from_yaml(&text).map_err(|error| message(&error)))?;
            if let Ok(recipe) = Recipe::from_yaml(&text) {
                prop_assert_eq!(Recipe::from_yaml(&recipe.to_yaml()).unwrap(), recipe);
            }
        }
    }

    #[test]
    fn damaged_search_spaces(evolve in proptest::option::of(any::<Index>()), damages in damages(), layers in 1..9_usize) {
        let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart.toml");
        let (text, file) = match evolve {
            None => (fs::read_to_string(&quickstart).unwrap(), quickstart),
            Some(case) => {
                let cases: Vec<Value> =
                    serde_json::from_slice(&fs::read(reference("mergekit/evolve.json")).unwrap()).unwrap();
                let definition = &cases[case.index(cases.len())]["definition"];
                let yaml = json!({"genome": definition, "tasks": ["logic"], "limit": 100}).to_string();
                (yaml, quickstart.with_file_name("evolve.yaml"))
            }
        };
        let text = String::from_utf8_lossy(&damaged(text.into_bytes(), &damages)).into_owned();
        survives(|| {
            let space = SearchSpace::parse(&text, &file).map_err(|error| message(&error))?;
            Ok(space.genes(layers).len())
        })?;
    }
}

/// The files themselves are read; else the tests above would prove nothing.
#[test]
fn undamaged_files_are_read() {
    assert!(open_bytes(&llama(), &llama_config()).unwrap());
    assert!(open_bytes(&llama(), &json!({})).unwrap());
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces/quickstart.toml");
    assert!(SearchSpace::load(&quickstart).is_ok());
}

/// Of the right form, with content at which the tokenizers crate panics.
#[test]
fn tokenizers_that_cannot_be_parsed_are_refused() {
    let from = reference("mergekit/vocabulary/models/a");
    let dir = copied(&from);
    let tokenizer = fs::read_to_string(from.join("tokenizer.json")).unwrap();
    let with = |key: &str, value: Value| {
        let mut json: Value = serde_json::from_str(&tokenizer).unwrap();
        json[key] = value;
        json.to_string()
    };
    let hostile = [
        "{".to_owned(),
        "[]".to_owned(),
        with("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})),
        with("normalizer", json!({"type": "Precompiled"})),
        with("decoder", json!({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})),
        with("decoder", json!(1e308)),
    ];
    for text in hostile {
        fs::write(dir.path().join("tokenizer.json"), &text).unwrap();
        let model = Checkpoint::open(dir.path()).unwrap();
        let yaml = "merge_method: passthrough\nmodels: [{model: a}]\ntokenizer_source: base";
        let recipe = Recipe::from_yaml(yaml).unwrap();
        let plan = MergePlan::new(&recipe, &[(ModelRef::new("a").unwrap(), &model)]);
        let message = message(&plan.map(|_| ()).unwrap_err());
        assert!(message.contains(dir.path().to_str().unwrap()), "{text}: {message}");
    }
}

/// An index must name files of its own folder; a link there may lead anywhere, as all of the hub's cache do.
#[test]
fn an_index_does_not_lead_out_of_its_folder() {
    let ground = tempfile::tempdir().unwrap();
    write(&ground.path().join("outside"), &llama_config(), &[tensor("a", &[1], vec![1.0])]);
    let outside = ground.path().join("outside/model.safetensors");
    let dir = ground.path().join("model");
    fs::create_dir_all(dir.join("below")).unwrap();
    fs::copy(&outside, dir.join("below/model.safetensors")).unwrap();
    fs::write(dir.join("config.json"), llama_config().to_string()).unwrap();
    std::os::unix::fs::symlink(&outside, dir.join("link.safetensors")).unwrap();
    let open = |file: &str| {
        let index = json!({"weight_map": {"a": file}});
        fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
        Checkpoint::open(&dir).map_err(|error| message(&error))
    };
    let absolute = outside.to_str().unwrap();
    let leading_out = [
        "../outside/model.safetensors",
        absolute,
        "./link.safetensors",
        "below/../link.safetensors",
        "below/model.safetensors",
        "..",
        ".",
        "",
        "/",
        "link.safetensors/",
        "link.safetensors\0",
    ];
    for file in leading_out {
        assert!(open(file).is_err(), "{file:?}");
    }
    assert_eq!(open("link.safetensors").unwrap().tensors().count(), 1);
}

/// Texts that are small and mean much.
#[test]
fn texts_that_unfold_are_refused() {
    let laughs = (1..30).fold("a0: &a0 [1, 1]\n".to_owned(), |text, i| {
        let before = i - 1;
        text + &format!("a{i}: &a{i} [*a{before}, *a{before}, *a{before}]\n")
    });
    let deep = format!("merge_method: {}", "[".repeat(100_000));
    let wide = format!("merge_method: linear\nmodels: [{}]", "{model: a, ".repeat(20_000));
    for yaml in [laughs, deep, wide] {
        let (result, largest) = largest_allocation(|| Recipe::from_yaml(&yaml));
        assert!(result.is_err() && largest < 4 * MOST_BYTES, "{largest}");
        let file = Path::new("evolve.yaml");
        assert!(SearchSpace::parse(&yaml, file).is_err());
        assert!(SearchSpace::parse(&yaml, Path::new("space.toml")).is_err());
    }
    let toml = format!("a = {}", "[".repeat(100_000));
    assert!(SearchSpace::parse(&toml, Path::new("space.toml")).is_err());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model.safetensors"), llama()).unwrap();
    fs::write(dir.path().join("config.json"), "[".repeat(100_000)).unwrap();
    assert!(Checkpoint::open(dir.path()).is_err());
}

/// The number of padding rows is a recipe's; what no memory holds must not be asked for.
#[test]
fn padding_without_end_is_refused() {
    let open =
        |name: &str| Checkpoint::open(&reference("mergekit/vocabulary/models").join(name)).unwrap();
    let (a, b) = (open("a"), open("b"));
    let models = [("a", &a), ("b", &b)].map(|(name, open)| (ModelRef::new(name).unwrap(), open));
    for rows in ["1000000000000", "9223372036854775807", "18446744073709551615"] {
        let yaml = format!(
            "merge_method: linear\nmodels: [{{model: a}}, {{model: b}}]\nparameters: {{weight: 1}}\n\
             tokenizer: {{source: union, pad_to_multiple_of: {rows}}}"
        );
        let (message, largest) = largest_allocation(|| {
            let recipe = Recipe::from_yaml(&yaml).map_err(|error| message(&error))?;
            let plan = MergePlan::new(&recipe, &models).map_err(|error| message(&error))?;
            merge_all(&plan).map(|_| ()).map_err(|error| message(&error))
        });
        let message = message.unwrap_err();
        assert!(
            message.contains("pad_to_multiple_of") && largest < MOST_BYTES,
            "{rows}: {message}"
        );
    }
}
