//! The file of mergekit-evolve's own tutorial drives a search as it stands.
//!
//! Charles Goddard, "Evolutionary Model Merging For All", Arcee, 23 April 2024,
//! <https://blog.arcee.ai/tutorial-tutorial-how-to-get-started-with-evolutionary-model-merging/>, whose text has no licence:
//! `evolve_tutorial.yml` has the keys and values of its `evol_merge_config.yml`, without the comments. (The template in
//! mergekit's docs/evolve.md has dots for names and is no YAML.)
//!
//! In place of its models of 32 layers stands the quickstart family with 16, in a folder such as huggingface_hub keeps;
//! in place of its tasks, two of ours under their names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::command::{assert_says, copy, program, repository, succeeded, text};

const MODELS: [(&str, &str); 4] = [
    ("mistralai/Mistral-7B-v0.1", "base"),
    ("NousResearch/Hermes-2-Pro-Mistral-7B", "arithmetic"),
    ("PocketDoc/Dans-AdventurousWinds-Mk2-7b", "logic"),
    ("HuggingFaceH4/zephyr-7b-beta", "strings"),
];
const TASKS: [(&str, &str); 2] =
    [("alpaca_prompt_format", "arithmetic"), ("spartqa_train", "logic")];
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

struct Ground(tempfile::TempDir);

impl Ground {
    fn new() -> Self {
        let ground = Ground(tempfile::tempdir().unwrap());
        let file = repository().join("tests/reference/mergekit/evolve_tutorial.yml");
        fs::copy(file, ground.path("tutorial.yml")).unwrap();
        for (id, folder) in MODELS {
            ground.serve(id, &repository().join("search-spaces/quickstart").join(folder));
        }
        for (name, ours) in TASKS {
            ground.offer(name, ours);
        }
        ground
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn run(&self, command: &mut Command) -> Output {
        command.env("HF_HUB_CACHE", self.path("hub")).env("HF_HUB_OFFLINE", "1").output().unwrap()
    }

    /// A model with 16 layers that computes what the 5 of `folder` do.
    fn serve(&self, id: &str, folder: &Path) {
        let repo = self.path("hub").join(format!("models--{}", id.replace('/', "--")));
        fs::create_dir_all(repo.join("refs")).unwrap();
        fs::write(repo.join("refs/main"), COMMIT).unwrap();
        fs::write(self.path("deeper.yaml"), deeper(folder)).unwrap();
        let mut merge = program();
        merge.arg("merge").arg(self.path("deeper.yaml"));
        succeeded(&self.run(merge.arg("-o").arg(repo.join("snapshots").join(COMMIT))));
    }

    /// A task under another name, with few documents so that a trial takes milliseconds.
    fn offer(&self, name: &str, ours: &str) {
        let task = self.path("datasets").join(name);
        copy(&repository().join("datasets").join(ours), &task);
        for entry in fs::read_dir(&task).unwrap() {
            let file = entry.unwrap().path();
            let all = fs::read_to_string(&file).unwrap();
            let few: Vec<&str> = all.lines().take(20).collect();
            let text = match file.ends_with("task.toml") {
                true => all.replace(&format!("task = \"{ours}\""), &format!("task = \"{name}\"")),
                false => few.join("\n") + "\n",
            };
            fs::write(&file, text).unwrap();
        }
    }
}

/// A layer that adds nothing to what runs through it: neither its attention nor its MLP has an output.
fn deeper(model: &Path) -> String {
    let model = model.display();
    let silent = "{scale: [{filter: o_proj, value: 0}, {filter: down_proj, value: 0}, {value: 1}]}";
    let slice = |end: u32, parameters: &str| {
        format!(
            "  - sources: [{{model: {model}, layer_range: [0, {end}], parameters: {parameters}}}]\n"
        )
    };
    let slices = slice(5, "{}") + &slice(5, silent) + &slice(5, silent) + &slice(1, silent);
    format!("merge_method: passthrough\ndtype: float32\nslices:\n{slices}")
}

#[test]
fn the_tutorials_file_drives_a_search() {
    let ground = Ground::new();
    let mut search = program();
    search.arg(ground.path("tutorial.yml")).args(["--trials", "20", "--name", "tutorial"]);
    let searched = ground.run(search.arg("--results").arg(ground.path("results")));
    let report = succeeded(&searched);
    assert_says(&report, &["Hermes-2-Pro-Mistral-7B", "winner", "20 candidates (0 infeasible)"]);
    // Three experts in each of two blocks.
    assert_says(
        &text(&searched.stderr),
        &["6 genes", "0.4", "0.6", "mean of the tasks' metrics", "bfloat16"],
    );

    let run = ground.path("results/tutorial");
    let shown = succeeded(&ground.run(program().arg("analyze").arg(&run)));
    assert_says(&shown, &["alpaca_prompt_format", "spartqa_train", "Pareto front"]);
    let best = fs::read_to_string(run.join("best.yaml")).unwrap();
    assert_says(&best, &["base_model: mistralai/Mistral-7B-v0.1", "layer_range: [8, 16]"]);
    let exported = ground.path("exported");
    let export = ground.run(program().arg("export").arg(&run).arg("-o").arg(&exported));
    assert_says(&succeeded(&export), &["same log-probabilities"]);
    let config = fs::read_to_string(exported.join("config.json")).unwrap();
    assert_says(&config, &["\"num_hidden_layers\": 16"]);
}
