//! `check` as a user meets it: a space, a run and an export against the rules, with exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use merge_search::submission::competition::{
    ExportTexts, SubmissionManifest, SubmittedModel, export_files, sealed, sha256, write_folder,
};
use serde_json::{Value, json};

use crate::command::{copy, program, repository};

const BASE: &str = "mistralai/Mistral-7B-v0.1";
const EXPERTS: [&str; 2] = ["made-up/arithmetic", "made-up/logic"];
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub cache with the quickstart's models under made-up names, and a space over them with one task of files.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap() };
        case.put(BASE, "base", "license: mit\n");
        for (id, folder) in EXPERTS.into_iter().zip(["arithmetic", "logic"]) {
            case.put(id, folder, &format!("license: mit\nbase_model: {BASE}\n"));
        }
        let task = "datasets/arithmetic";
        copy(&repository().join(task), &case.path("task"));
        let toml = fs::read_to_string(case.path("task/task.toml")).unwrap();
        fs::write(case.path("task/task.toml"), format!("generated_by = \"human\"\n{toml}"))
            .unwrap();
        fs::write(case.path("test.csv"), TEST).unwrap();
        fs::write(case.path("dry.json"), dry_run(1000.0, "").to_string()).unwrap();
        case.write_space(COMMIT);
        case.write_evidence("2024-05-01");
        case
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn put(&self, id: &str, model: &str, front_matter: &str) {
        let root = self.path("hub").join(format!("models--{}", id.replace('/', "--")));
        let snapshot = root.join("snapshots").join(COMMIT);
        copy(&repository().join("search-spaces/quickstart").join(model), &snapshot);
        fs::write(snapshot.join("README.md"), format!("---\n{front_matter}---\n")).unwrap();
        fs::create_dir_all(root.join("refs")).unwrap();
        fs::write(root.join("refs/main"), COMMIT).unwrap();
    }

    fn write_space(&self, revision: &str) {
        let experts = EXPERTS.iter().map(|id| {
            let name = id.rsplit('/').next().unwrap();
            format!("{name} = \"{id}@{revision}\"\n")
        });
        let experts: String = experts.collect();
        let space = format!(
            "name = \"tiny\"\n[models]\nbase = \"{BASE}@{revision}\"\n[models.experts]\n{experts}\
             [merge]\nmethods = [\"linear\"]\ncontrol_points = 1\n[parameters.weight]\nsearch = [0.0, 1.0]\n\
             [tasks]\nfolders = [\"task\"]\n"
        );
        fs::write(self.path("space.toml"), space).unwrap();
    }

    fn write_evidence(&self, committed: &str) {
        let table = |id: &&str| {
            format!(
                "[[model]]\nid = \"{id}\"\nrevision = \"{COMMIT}\"\ncommitted = \"{committed}\"\ngated = false\n\
                 sources = [\"made up\"]\n"
            )
        };
        let tables: String = [BASE].iter().chain(&EXPERTS).map(table).collect();
        fs::write(self.path("evidence.toml"), tables).unwrap();
    }

    /// With all that can be given.
    fn check(&self, path: &str, rules: &str) -> (Option<i32>, Value, String) {
        let mut command = program();
        command.arg("check").arg(self.path(path)).args(["--rules", rules, "--offline", "--json"]);
        command.arg("--evidence").arg(self.path("evidence.toml"));
        command.arg("--test-csv").arg(self.path("test.csv"));
        command.arg("--dry-run-report").arg(self.path("dry.json"));
        read(command.env("HF_HUB_CACHE", self.path("hub")).output().unwrap())
    }

    fn export(&self) {
        let models = [BASE].iter().chain(&EXPERTS).map(|id| SubmittedModel {
            name: id.rsplit('/').next().unwrap().to_owned(),
            repository: (*id).to_owned(),
            revision: COMMIT.to_owned(),
            adapter: None,
            adapter_revision: None,
            sha256: "ab".repeat(32),
        });
        let manifest = SubmissionManifest {
            format: 1,
            written_by: "0".into(),
            class: "TinyMerge".into(),
            method: "tiny_merge".into(),
            run: "tiny".into(),
            run_sha256: "ab".repeat(32),
            trial: 3,
            scorer: "kit".into(),
            dtype: "float32".into(),
            models: models.collect(),
            files: Default::default(),
        };
        let texts = ExportTexts {
            class: "TinyMerge",
            method: "tiny_merge",
            code: CODE,
            recipe: "merge_method: linear\nmodels:\n- model: a/b\n  parameters:\n    weight: 1\n",
            card: "# Tiny\n",
            report: "All of it.\n",
        };
        write_folder(&self.path("x"), &sealed(export_files(&texts), manifest)).unwrap();
        fs::write(self.path("x/submission.csv"), "id,prediction,dummy_field\n0,1,0\n1,text,0\n")
            .unwrap();
    }
}

const TEST: &str = "id,input,eval_type,answer_choices\n\
    0,\"Which of the two is the capital of France, as far as anybody in this room knows?\",multiple_choice,\"['Paris', 'Rome']\"\n\
    1,\"Summarise in one sentence what has been said of the harvest in the north.\",generation,\n";

const CODE: &str = "import torch\n\n\nclass TinyMerge:\n    pass\n";

/// A report whose two sets take `seconds` each.
fn dry_run(seconds: f64, problem: &str) -> Value {
    let set = |name: &str| json!({ "set": name, "rows": { "multiple_choice": 500, "generation": 200 }, "seconds": seconds });
    let problems: Vec<&str> =
        Some(problem).filter(|problem| !problem.is_empty()).into_iter().collect();
    json!({
        "format": 1, "written_by": "0", "class": "TinyMerge", "class_sha256": sha256(CODE.as_bytes()),
        "method": "tiny_merge", "kit": "head", "rows": { "multiple_choice": 6, "generation": 6 },
        "seconds": { "total": 30.0, "load_and_merge": 5.0, "multiple_choice_row": 1.0, "generation_row": 4.0,
            "apart_from_rows": 20.0 },
        "peak_bytes": null, "device_bytes": null, "machine": { "device": "made-up", "versions": {} },
        "estimates": [set("validation"), set("test.csv")], "problems": problems,
    })
}

fn read(output: Output) -> (Option<i32>, Value, String) {
    let error = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    (output.status.code(), report, error)
}

/// Rule, subject, verdict and evidence of all findings that are worse than PASS.
fn faults(report: &Value) -> Vec<[&str; 4]> {
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    let text = |finding: &'_ Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    for finding in findings {
        assert!(!text(finding, "evidence").is_empty(), "{finding}");
        assert_eq!(text(finding, "verdict") == "PASS", finding["remedy"].is_null(), "{finding}");
    }
    let keys = ["rule", "subject", "verdict", "evidence"];
    let row = |finding: &'_ Value| keys.map(|key| finding[key].as_str().unwrap_or_default());
    findings.iter().filter(|finding| finding["verdict"] != "PASS").map(row).collect()
}

#[test]
fn a_space_that_keeps_all_rules_passes_all() {
    let (code, report, error) = Case::new().check("space.toml", "merging-2024");
    assert_eq!(faults(&report), [[""; 4]; 0], "{error}");
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(report["kind"], "search space");
    assert_eq!(report["counts"]["FAIL"], 0);
}

#[test]
fn an_export_that_keeps_all_rules_passes_all_but_what_only_the_run_tells() {
    let case = Case::new();
    case.export();
    let (code, report, error) = case.check("x", "merging-2024");
    let rules: Vec<[&str; 2]> = faults(&report).iter().map(|fault| [fault[0], fault[2]]).collect();
    assert_eq!(rules, [["data", "UNKNOWN"]], "{report:#}");
    assert_eq!(code, Some(0), "{error}");
}

type Spoil<'a> = &'a dyn Fn(&Case);

/// One rule broken in each; the finding is a FAIL, its evidence has the word, and the exit code is 2.
#[test]
fn each_broken_rule_fails_with_its_evidence() {
    let edit = |case: &Case, file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(case.path(file)).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        fs::write(case.path(file), text.replacen(from, to, 1)).unwrap();
    };
    let config = format!("hub/models--mistralai--Mistral-7B-v0.1/snapshots/{COMMIT}/config.json");
    let license = "license = \"MIT OR Apache-2.0\"";
    let class = "x/LLM-Merging/llm_merging/merging/TinyMerge.py";
    let cases: &[(&str, &str, Spoil, &str, &str)] = &[
        (
            "space.toml",
            "efficiency-2023",
            &|case| edit(case, "task/task.toml", license, ""),
            "data",
            "license = \"none\"",
        ),
        (
            "space.toml",
            "efficiency-2023",
            &|case| edit(case, "task/task.toml", license, "license = \"CC-BY-NC-4.0\""),
            "data",
            "CC-BY-NC-4.0",
        ),
        (
            "space.toml",
            "efficiency-2023",
            &|case| edit(case, "task/task.toml", "\"human\"", "\"ChatGPT\""),
            "generated_by",
            "ChatGPT",
        ),
        (
            "space.toml",
            "merging-2024",
            &|case| {
                let rows = fs::read_to_string(case.path("task/search.jsonl")).unwrap();
                let row: Value = serde_json::from_str(rows.lines().nth(3).unwrap()).unwrap();
                let question = row["question"].as_str().unwrap().replace('"', "\"\"");
                fs::write(case.path("test.csv"), format!("id,input\n0,\"{question}\"\n")).unwrap();
            },
            "overlap",
            "search.jsonl",
        ),
        ("space.toml", "merging-2024", &|case| case.write_space("main"), "revision", "main"),
        (
            "space.toml",
            "merging-2024",
            &|case| case.write_evidence("2024-07-01"),
            "uploaded_before",
            "2024-07-01",
        ),
        (
            "space.toml",
            "seed",
            // 400 layers of the same width as a 70B's: 330 billion parameters.
            &|case| {
                edit(case, &config, "\"hidden_size\": 80", "\"hidden_size\": 8000");
                edit(case, &config, "\"intermediate_size\": 176", "\"intermediate_size\": 28672");
                edit(case, &config, "\"num_hidden_layers\": 5", "\"num_hidden_layers\": 400");
                edit(case, &config, "\"head_dim\": 16", "\"head_dim\": 1600");
            },
            "time",
            "no memory",
        ),
        (
            "space.toml",
            "merging-2024",
            &|case| fs::write(case.path("dry.json"), dry_run(2000.0, "").to_string()).unwrap(),
            "time_measured",
            // 2000 + 2000 - 20 s.
            "66.3 min of 60",
        ),
        (
            "space.toml",
            "merging-2024",
            &|case| {
                fs::write(case.path("dry.json"), dry_run(9.0, "row 3: no index").to_string())
                    .unwrap()
            },
            "dry_run",
            "row 3: no index",
        ),
        (
            "x",
            "merging-2024",
            &|case| edit(case, class, "pass", "x = 1"),
            "digests",
            "TinyMerge.py",
        ),
        (
            "x",
            "merging-2024",
            &|case| edit(case, class, "pass", "y = \"cuda:1\""),
            "code",
            "line 5: device id (cuda:1)",
        ),
        (
            "x",
            "merging-2024",
            &|case| edit(case, class, "import torch", "import wonder"),
            "imports",
            "wonder",
        ),
        (
            "x",
            "merging-2024",
            &|case| fs::remove_file(case.path("x/REPORT.md")).unwrap(),
            "files",
            "REPORT.md",
        ),
        (
            "x",
            "merging-2024",
            &|case| fs::write(case.path("x/REPORT.md"), "w ".repeat(2500)).unwrap(),
            "report",
            "2500 words",
        ),
        (
            "x",
            "merging-2024",
            &|case| edit(case, "x/submission.csv", "0,1,0", "0,2,0"),
            "csv",
            "no index of the 2 choices",
        ),
    ];
    for (path, rules, spoil, rule, word) in cases {
        let case = Case::new();
        case.export();
        spoil(&case);
        // One report of a dry run is enough for a space; an export's is compared with its class.
        let (code, report, error) = case.check(path, rules);
        let faults = faults(&report);
        let found =
            faults.iter().any(|it| it[0] == *rule && it[2] == "FAIL" && it[3].contains(word));
        assert!(found, "{rule}, {word}: {faults:#?}");
        assert_eq!(code, Some(2), "{rule}: {error}");
        assert!(error.contains(rule) && error.contains(rules), "{rule}: {error}");
    }
}

fn text_of(arguments: &[&str], cache: &Path) -> (Option<i32>, String, String) {
    let output =
        program().arg("check").args(arguments).env("HF_HUB_CACHE", cache).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_table_says_rule_evidence_remedy_source_and_counts() {
    let case = Case::new();
    let space = case.path("space.toml");
    let arguments = [space.to_str().unwrap(), "--rules", "merging-2024", "--offline"];
    let (code, text, _) = text_of(&arguments, &case.path("hub"));
    assert_eq!(code, Some(0), "{text}");
    for word in [
        "LLM Merging Competition",
        "PASS",
        "size",
        "what to do:",
        "--dry-run-report",
        "who says so:",
        "llm-merging.github.io",
        "0 FAIL",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn what_cannot_be_checked_is_said_with_what_can() {
    let case = Case::new();
    fs::create_dir(case.path("empty")).unwrap();
    let path = |relative: &str| case.path(relative).to_str().unwrap().to_owned();
    fs::write(case.path("bad.toml"), "name = \"x\"\ntitle = \"x\"\nsources = []\n[tme]\n").unwrap();
    for (arguments, words) in [
        (
            vec![path("empty"), "--rules".into(), "seed".into()],
            vec!["manifest.json", "submission.json"],
        ),
        (vec![path("absent"), "--rules".into(), "seed".into()], vec!["absent", "no such"]),
        (
            vec![path("space.toml"), "--rules".into(), "seeds".into()],
            vec!["seeds", "efficiency-2023"],
        ),
        (
            vec![path("space.toml"), "--rules".into(), path("bad.toml")],
            vec!["bad.toml", "tme", "time"],
        ),
        (vec![path("space.toml"), "--rules".into(), path("none.toml")], vec!["none.toml"]),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, text, error) = text_of(&arguments, &case.path("hub"));
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(text.is_empty(), "{text}");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

/// The quickstart's models are folders, which nobody else has.
#[test]
fn local_experts_break_the_rule_of_public_models() {
    let space = repository().join("search-spaces/quickstart.toml");
    let arguments = [space.to_str().unwrap(), "--rules", "merging-2024", "--offline"];
    let (code, text, error) = text_of(&arguments, Path::new("/nonexistent"));
    assert_eq!(code, Some(2), "{text}");
    assert!(error.contains("public"), "{error}");
    assert!(text.contains("a folder on this machine"), "{text}");
}

/// Four trials on eight documents.
#[test]
fn a_run_is_held_against_the_rules_by_its_record() {
    let case = Case::new();
    let space = fs::read_to_string(case.path("space.toml")).unwrap();
    let few = "[tasks]\nsearch_docs = 8\nselection_docs = 8\nholdout_docs = 8";
    fs::write(case.path("space.toml"), space.replace("[tasks]", few)).unwrap();
    let mut search = program();
    search.arg(case.path("space.toml")).args(["--quiet", "--trials", "4", "--name", "tiny"]);
    search.arg("--results").arg(case.path("results"));
    let output =
        search.env("HF_HUB_CACHE", case.path("hub")).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, report, error) = case.check("results/tiny", "seed");
    assert_eq!(report["kind"], "run", "{error}");
    let findings = report["findings"].as_array().unwrap();
    let of = |rule: &str| findings.iter().find(|finding| finding["rule"] == rule).unwrap();
    for (rule, word) in [
        ("search_hours", "of 24 h"),
        ("data", "8 + 8 + 8 documents"),
        ("overlap", "0 of"),
        ("time", "front.parquet"),
        ("size", "362320"),
    ] {
        let (finding, plain) = (of(rule), |text: &str| text.replace(',', ""));
        assert_eq!(finding["verdict"], "PASS", "{finding}");
        assert!(plain(finding["evidence"].as_str().unwrap()).contains(word), "{finding}");
    }
    let manifest = case.path("results/tiny/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("search_docs = 8", "search_docs = 9", 1)).unwrap();
    let run = case.path("results/tiny");
    let arguments = [run.to_str().unwrap(), "--rules", "seed", "--offline"];
    let (code, text, error) = text_of(&arguments, &case.path("hub"));
    assert!(code == Some(2) && text.is_empty() && error.contains("manifest.json"), "{error}");
}
