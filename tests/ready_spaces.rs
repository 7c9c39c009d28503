//! The catalogue of hub models, the spaces that come with the program, and `plan --offline`. Oracles: transformers and PEFT, which
//! count the catalogue's models (tests/reference/hub/catalogue.py), and counts by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use merge_search::hub::{KnownModel, catalogue, known};
use merge_search::model::NetworkSpec;
use merge_search::space::SearchSpace;
use serde_json::{Value, json};

const COUNTS: &str = include_str!("reference/hub/catalogue.json");

fn spaces() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut spaces: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .filter(|file| !file.file_stem().unwrap().to_string_lossy().starts_with("quickstart"))
        .collect();
    spaces.sort();
    spaces
}

fn space(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("search-spaces");
    folder.join(format!("{name}.toml"))
}

/// An empty cache and a hub that does not answer.
fn plan(space: &Path, home: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_merge-search"))
        .args(["plan", "--offline", "--workers", "1"])
        .arg(space)
        .args(more)
        .env("HF_HOME", home)
        .env("HF_ENDPOINT", "http://127.0.0.1:1")
        .env_remove("HF_HUB_CACHE")
        .env_remove("HUGGINGFACE_HUB_CACHE")
        .output()
        .unwrap()
}

fn planned(space: &Path, home: &Path) -> (Value, String) {
    let output = plan(space, home, &["--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}: {said}", space.display());
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

fn ids(model: &str) -> Vec<(String, Option<String>)> {
    let part = |part: &str| match part.split_once('@') {
        Some((id, revision)) => (id.to_owned(), Some(revision.to_owned())),
        None => (part.to_owned(), None),
    };
    model.split('+').map(part).collect()
}

#[test]
fn transformers_and_peft_count_the_catalogues_parameters() {
    let counts: BTreeMap<String, u64> = serde_json::from_str(COUNTS).unwrap();
    assert_eq!(counts.len(), catalogue().len());
    for model in catalogue() {
        assert_eq!(model.parameters, Some(counts[&model.id]), "{}", model.id);
    }
}

#[test]
fn the_catalogues_configs_are_read_and_counted_alike() {
    for model in catalogue() {
        let Some(config) = &model.config else { continue };
        let spec = NetworkSpec::from_config_alone(config).unwrap();
        assert_eq!(Some(spec.parameters()), model.parameters, "{}", model.id);
    }
}

/// Layers × (attention + MLP + norms) + final norm + embedding and head, by each family's formula.
#[test]
fn parameters_by_hand() {
    let llama = |layers: u64, width: u64, kv: u64, inner: u64, tables: u64| {
        let layer = 2 * width * width + 2 * width * kv + 3 * width * inner + 2 * width;
        layers * layer + width + tables * width
    };
    let hand = [
        ("meta-llama/Llama-2-7b-hf", llama(32, 4096, 4096, 11008, 2 * 32000), 6_738_415_616),
        ("meta-llama/Meta-Llama-3-8B", llama(32, 4096, 1024, 14336, 2 * 128_256), 8_030_261_248),
        ("TinyLlama/TinyLlama_v1.1", llama(22, 2048, 256, 5632, 2 * 32000), 1_100_048_384),
        ("mistralai/Mistral-7B-v0.1", llama(32, 4096, 1024, 14336, 2 * 32000), 7_241_732_096),
    ];
    // Heads of 256 make attention wider than the model, and the head is the embedding.
    let gemma = 28 * (4 * 3072 * 4096 + 3 * 3072 * 24576 + 2 * 3072) + 3072 + 256_000 * 3072;
    // Attention and gated MLP have one norm each; cross-attention one more; two tables of positions, two final norms.
    let (attention, mlp, norm) = (4 * 2048 * 2048, 3 * 2048 * 5120, 2048);
    let t5 = 24 * (3 * attention + 2 * mlp + 5 * norm) + 2 * 32 * 32 + 2 * norm + 2 * 32128 * 2048;
    let rest =
        [("google/gemma-7b", gemma, 8_537_680_896), ("google/flan-t5-xl", t5, 2_849_757_184)];
    for (id, count, published) in hand.into_iter().chain(rest) {
        assert_eq!(count, published, "{id}");
        assert_eq!(known(id).unwrap().parameters, Some(count), "{id}");
    }
}

#[test]
fn ready_spaces_name_the_catalogues_models_at_its_commits() {
    assert_eq!(spaces().len(), 9);
    for file in spaces() {
        let space = SearchSpace::load(&file).unwrap();
        assert_eq!(space.name, file.file_stem().unwrap().to_string_lossy());
        let experts = space.experts.iter().map(|expert| expert.model.as_str());
        let named: Vec<_> =
            std::iter::once(space.base.as_str()).chain(experts).flat_map(ids).collect();
        let entries: Vec<&KnownModel> = named
            .iter()
            .map(|(id, revision)| {
                let entry = known(id).unwrap_or_else(|| panic!("{id} is not in the catalogue"));
                assert!(revision.is_some() && *revision == entry.revision, "{id}");
                entry
            })
            .collect();
        // Whoever runs it is told which dates nobody could look up.
        let is_open = entries.iter().any(|entry| entry.committed.is_none());
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.contains("# revision not verified: "), is_open, "{}", file.display());
    }
}

#[test]
fn a_base_with_an_adapter_is_a_model_of_a_space() {
    let space = SearchSpace::load(&space("llama-avg")).unwrap();
    let expert = &space.experts[1].model;
    assert_eq!(expert.path(), space.base.path());
    assert_eq!(expert.revision(), space.base.revision());
    let adapter =
        "FinGPT/fingpt-forecaster_dow30_llama2-7b_lora@69f77190315afdb03a889d89bf2a0f932b311617";
    assert_eq!(expert.lora(), Some(adapter));
}

#[test]
fn ready_spaces_are_planned_without_the_hub_and_without_data() {
    let home = tempfile::tempdir().unwrap();
    for file in spaces() {
        let (plan, said) = planned(&file, home.path());
        let name = file.display();
        assert_eq!(
            said, "",
            "{name}: a recipe of the warm start is not in the space, or shapes differ"
        );
        for model in plan["models"].as_array().unwrap() {
            let entry = known(model["model"]["path"].as_str().unwrap()).unwrap();
            assert_eq!(model["model"]["parameters"], json!(entry.parameters), "{name}");
            assert_eq!(model["model"]["config_from"], "catalogue", "{name}");
            if let Some(path) = model["adapter"]["path"].as_str() {
                let entry = known(path).unwrap();
                assert_eq!(model["adapter"]["parameters"], json!(entry.parameters), "{name}");
            }
        }
        assert!(plan["genes"].as_array().unwrap().len() >= 7, "{name}");
        // The base model and every expert, at least.
        let parents = plan["models"].as_array().unwrap().len() as u64;
        assert!(plan["warm_starts"].as_u64().unwrap() >= parents, "{name}: {plan}");
        for task in plan["tasks"].as_array().unwrap() {
            assert!(task["missing"].is_string(), "{name}: {task}");
        }
    }
    assert!(fs::read_dir(home.path()).unwrap().next().is_none(), "something was written");
}

#[test]
fn sizes_of_a_plan_by_hand() {
    let home = tempfile::tempdir().unwrap();
    let (llama, _) = planned(&space("llama-avg"), home.path());
    // float16; the first adapter's float32; the second's float16 as the hub shows it; the base model once.
    assert_eq!(llama["disk_bytes"], json!(2 * 6_738_415_616u64 + 4 * 39_976_960 + 40_000_000));
    let memory = &llama["memory"];
    assert_eq!(memory["candidate_bytes"], json!(4 * 6_738_415_616u64));
    // The embedding is the largest tensor; neither method keeps orders.
    let least = 2 * 4 * 6_738_415_616u64 + 4 * 32000 * 4096;
    assert_eq!(memory["least_bytes"], json!(least));
    assert_eq!(llama["models"][1]["adapter"]["rank"], 16);
    assert_eq!(llama["models"][2]["adapter"]["rank"], 8);
    // A method, and weights of two experts for attention and the rest at three depths.
    assert_eq!(llama["genes"].as_array().unwrap().len(), 1 + 2 * 2 * 3);
    let (bart, _) = planned(&space("bart"), home.path());
    // TIES keeps two bytes for each element of both experts.
    assert_eq!(bart["memory"]["orders_bytes"], json!(2 * 2 * 406_290_432u64));
    let devices = llama["target_devices"]["kit"].as_array().unwrap();
    assert_eq!(devices.len(), 10);
}

/// By their pages (the catalogue's sources), no other repository of these spaces is known to be without safetensors.
const PICKLED: [(&str, &str); 6] = [
    ("bart", "facebook/bart-large-xsum"),
    ("bart", "philschmid/bart-large-cnn-samsum"),
    ("flan-t5-avg", "lorahub/flan_t5_xl-wiki_qa_Is_This_True_"),
    ("flan-t5-avg", "lorahub/flan_t5_xl-kilt_tasks_hotpotqa_complex_question"),
    ("llama-avg", "abcdabcd987/gsm8k-llama2-7b-lora-16"),
    ("tiny-llama-avg", "TinyLlama/TinyLlama_v1.1_math_code"),
];

#[test]
fn ready_spaces_keep_the_rules_of_2024_and_say_what_is_to_be_converted() {
    let home = tempfile::tempdir().unwrap();
    for file in spaces() {
        let output = Command::new(env!("CARGO_BIN_EXE_merge-search"))
            .args(["check", "--offline", "--json", "--rules", "merging-2024"])
            .arg(&file)
            .env("HF_HUB_CACHE", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let of = |verdict: &str| -> Vec<&Value> {
            findings.iter().filter(|finding| finding["verdict"] == verdict).collect()
        };
        assert_eq!(of("FAIL"), Vec::<&Value>::new(), "{}", file.display());
        assert_eq!(output.status.code(), Some(0), "{}: {said}", file.display());
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let mut warned: Vec<&str> = Vec::new();
        for finding in of("WARN").iter().filter(|finding| finding["rule"] == "weights") {
            let remedy = finding["remedy"].as_str().unwrap();
            assert!(remedy.contains("upload") && remedy.contains("--published"), "{remedy}");
            let (_, id) = finding["subject"].as_str().unwrap().split_once(": ").unwrap();
            warned.push(id.trim_end_matches(" (adapter)"));
        }
        let of_space = PICKLED.iter().filter(|(space, _)| *space == stem);
        let pickled: Vec<&str> = of_space.map(|(_, id)| *id).collect();
        assert_eq!(warned, pickled, "{stem}");
        let text = fs::read_to_string(&file).unwrap();
        let tells = ["Only safetensors are read", "upload the converted", "=OWNER/NAME@COMMIT"];
        let tells = tells.iter().all(|word| text.replace("+OWNER", "=OWNER").contains(word));
        assert_eq!(tells, !pickled.is_empty(), "{stem}");
    }
}

/// Five points of depth for attention, MLP and the rest; the search starts at the merge of 2024.
#[test]
fn the_second_place_of_2024_is_where_its_space_starts() {
    let home = tempfile::tempdir().unwrap();
    let (plan, said) = planned(&space("llama-3-refueled"), home.path());
    assert_eq!(plan["genes"].as_array().unwrap().len(), 15);
    // The recipe, and both models alone: slerp has no uniform merge.
    assert_eq!(plan["warm_starts"], 3);
    assert!(!said.contains("starts there"), "{said}");
}

fn space_of(folder: &Path, base: &str, expert: &str) -> PathBuf {
    let file = folder.join("space.toml");
    let text = format!(
        "name = \"own\"\n[models]\nbase = \"{base}\"\n[models.experts]\nother = \"{expert}\"\n\
         [merge]\nmethods = [\"slerp\"]\n[parameters]\nt = {{ range = [0.0, 1.0] }}\n[tasks]\nfolders = [\"nowhere\"]\n"
    );
    fs::write(&file, text).unwrap();
    file
}

fn cached(home: &Path, id: &str, config: &Value) {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let repository = home.join("hub").join(format!("models--{}", id.replace('/', "--")));
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), commit).unwrap();
    let snapshot = repository.join("snapshots").join(commit);
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn configs_in_the_cache_do_without_weights() {
    let home = tempfile::tempdir().unwrap();
    let mut config = known("facebook/bart-large-cnn").unwrap().config.clone().unwrap();
    cached(home.path(), "someone/bart", &config);
    let file = space_of(home.path(), "facebook/bart-large-cnn", "someone/bart");
    let (plan, said) = planned(&file, home.path());
    assert_eq!(said, "");
    assert_eq!(plan["models"][1]["model"]["config_from"], "cache");
    assert_eq!(plan["models"][1]["model"]["parameters"], 406_290_432u64);
    // As facebook/bart-large has it.
    config["vocab_size"] = json!(50265);
    cached(home.path(), "someone/bart", &config);
    let (_, said) = planned(&file, home.path());
    assert!(said.contains("other: `model.shared.weight` is [50265, 1024]"), "{said}");
    assert!(said.contains("[50264, 1024]") && said.contains("cannot be merged"), "{said}");
}

#[test]
fn a_model_that_nothing_is_known_of_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = space_of(home.path(), "facebook/bart-large-cnn", "someone/unheard-of");
    let output = plan(&file, home.path(), &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in ["someone/unheard-of", "config.json", "hf download", "no entry in the catalogue"] {
        assert!(said.contains(part), "{said}");
    }
    let of_adapter = space_of(
        home.path(),
        "facebook/bart-large-cnn",
        "facebook/bart-large-cnn+someone/unheard-of",
    );
    let said = String::from_utf8(plan(&of_adapter, home.path(), &[]).stderr).unwrap();
    assert!(said.contains("adapter_config.json"), "{said}");
}

#[test]
fn local_models_and_tasks_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let (plan, _) = planned(&space("quickstart"), home.path());
    // A method, a density, and weights of four experts for three groups at two depths.
    assert_eq!(plan["genes"].as_array().unwrap().len(), 1 + 1 + 4 * 3 * 2);
    assert_eq!(plan["models"][0]["model"]["config_from"], "folder");
    let task = &plan["tasks"][0]["tasks"][0];
    let lines = |split: &str| {
        let file = format!("{}/datasets/arithmetic/{split}.jsonl", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(file).unwrap().lines().count()
    };
    let counted = [100, lines("selection"), lines("holdout")];
    assert_eq!(*task, json!({ "name": "arithmetic", "documents": counted }));
}
