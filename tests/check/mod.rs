//! `check` as a user meets it: a space, a run and an export against the rules, with exit codes.
mod case;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::command::{program, repository};
use case::{COMMIT, Case, dry_run};

fn read(output: Output) -> (Option<i32>, Value, String) {
    let error = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    (output.status.code(), report, error)
}

fn text(finding: &Value, key: &str) -> String {
    finding[key].as_str().unwrap_or_default().to_owned()
}

/// Rule, subject, verdict and evidence of all findings that are worse than PASS.
fn faults(report: &Value) -> Vec<[String; 4]> {
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        assert!(!text(finding, "evidence").is_empty(), "{finding}");
        assert_eq!(text(finding, "verdict") == "PASS", finding["remedy"].is_null(), "{finding}");
    }
    let worse = findings.iter().filter(|finding| finding["verdict"] != "PASS");
    worse.map(|it| ["rule", "subject", "verdict", "evidence"].map(|key| text(it, key))).collect()
}

#[test]
fn a_space_that_keeps_all_rules_passes_all() {
    let (code, report, error) = read(Case::new().check("space.toml", "merging-2024"));
    assert_eq!(faults(&report), Vec::<[String; 4]>::new(), "{error}");
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(report["kind"], "search space");
    assert_eq!(report["counts"]["FAIL"], 0);
}

#[test]
fn an_export_that_keeps_all_rules_passes_all_but_what_only_the_run_tells() {
    let case = Case::new();
    case.export();
    let (code, report, error) = read(case.check("x", "merging-2024"));
    let faults = faults(&report);
    let rules: Vec<[&str; 2]> = faults.iter().map(|it| [it[0].as_str(), it[2].as_str()]).collect();
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
    let weights = config.replace("config.json", "model.safetensors");
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
            "x",
            "merging-2024",
            &|case| {
                let pickle = config.replace("config.json", "pytorch_model.bin");
                fs::rename(case.path(&weights), case.path(&pickle)).unwrap();
            },
            "weights",
            "pytorch_model.bin",
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
            "the index 2; expected one below 2",
        ),
    ];
    for (path, rules, spoil, rule, word) in cases {
        let case = Case::new();
        case.export();
        spoil(&case);
        // One report of a dry run is enough for a space; an export's is compared with its class.
        let (code, report, error) = read(case.check(path, rules));
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
    let (_, report, error) = read(case.check("results/tiny", "seed"));
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
    let documents = case.path("task/search.jsonl");
    let text_of_search = fs::read_to_string(&documents).unwrap();
    fs::write(&documents, text_of_search.split_once('\n').unwrap().1).unwrap();
    let (_, report, _) = read(case.check("results/tiny", "seed"));
    let findings = report["findings"].as_array().unwrap();
    let overlap = findings.iter().find(|finding| finding["rule"] == "overlap").unwrap();
    assert_eq!(overlap["verdict"], "UNKNOWN", "{overlap}");
    assert!(text(overlap, "evidence").contains("not those of the run"), "{overlap}");
    let manifest = case.path("results/tiny/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("search_docs = 8", "search_docs = 9", 1)).unwrap();
    let run = case.path("results/tiny");
    let arguments = [run.to_str().unwrap(), "--rules", "seed", "--offline"];
    let (code, text, error) = text_of(&arguments, &case.path("hub"));
    assert!(code == Some(2) && text.is_empty() && error.contains("manifest.json"), "{error}");
}
