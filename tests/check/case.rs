//! Made-up models in a hub cache, a space over them, and an export of it, all of which keep the rules.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use merge_search::record::sha256;
use merge_search::submission::competition::{
    ExportTexts, SubmissionManifest, SubmittedModel, export_files, sealed, write_folder,
};
use serde_json::{Value, json};

use crate::command::{copy, program, repository};

const BASE: &str = "mistralai/Mistral-7B-v0.1";
const EXPERTS: [&str; 2] = ["made-up/arithmetic", "made-up/logic"];
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub cache with the quickstart's models under made-up names, and a space over them with one task of files.
pub struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    pub fn new() -> Self {
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

    pub fn path(&self, relative: &str) -> PathBuf {
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

    pub fn write_space(&self, revision: &str) {
        let experts = EXPERTS.iter().map(|id| {
            let name = id.rsplit('/').next().unwrap();
            format!("{name} = \"{id}@{revision}\"\n")
        });
        let experts: String = experts.collect();
        let space = format!(
            "name = \"tiny\"\n[models]\nbase = \"{BASE}@{revision}\"\n[models.experts]\n{experts}\
             [merge]\nmethods = [\"linear\"]\ncontrol_points = 1\n[parameters.weight]\nrange = [0.0, 1.0]\n\
             [tasks]\nfolders = [\"task\"]\n"
        );
        fs::write(self.path("space.toml"), space).unwrap();
    }

    pub fn write_evidence(&self, committed: &str) {
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
    pub fn check(&self, path: &str, rules: &str) -> Output {
        let mut command = program();
        command.arg("check").arg(self.path(path)).args(["--rules", rules, "--offline", "--json"]);
        command.arg("--evidence").arg(self.path("evidence.toml"));
        command.arg("--test-csv").arg(self.path("test.csv"));
        command.arg("--dry-run-report").arg(self.path("dry.json"));
        command.env("HF_HUB_CACHE", self.path("hub")).output().unwrap()
    }

    pub fn export(&self) {
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
pub fn dry_run(seconds: f64, problem: &str) -> Value {
    let set = |name: &str| json!({ "set": name, "rows": { "multiple_choice": 500, "generation": 200 }, "seconds": seconds });
    let problems: Vec<&str> =
        Some(problem).filter(|problem| !problem.is_empty()).into_iter().collect();
    json!({
        "format": 1, "written_by": "0", "class": "TinyMerge", "class_sha256": sha256(CODE),
        "method": "tiny_merge", "kit": "head", "rows": { "multiple_choice": 6, "generation": 6 },
        "seconds": { "total": 30.0, "load_and_merge": 5.0, "multiple_choice_row": 1.0, "generation_row": 4.0,
            "apart_from_rows": 20.0 },
        "peak_bytes": null, "device_bytes": null, "machine": { "device": "NVIDIA RTX A6000", "versions": {} },
        "estimates": [set("validation"), set("test.csv")], "problems": problems,
    })
}
