//! The program as a user meets it: the whole way on the quickstart family, and what it says to bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use merge_search::record::{RunFolder, Trial};
use merge_search::units::Seconds;
use safetensors::tensor::{Dtype, TensorView};

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_merge-search"))
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the quickstart that a test may spoil, with few documents so that a trial takes milliseconds.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&repository().join("search-spaces"), &folder.path().join("search-spaces"));
        copy(&repository().join("datasets"), &folder.path().join("datasets"));
        let bench = Self { folder };
        let space = fs::read_to_string(bench.space()).unwrap();
        let kept: Vec<&str> =
            space.lines().filter(|line| !line.starts_with("search_docs")).collect();
        fs::write(bench.space(), kept.join("\n")).unwrap();
        let few = "[tasks]\nsearch_docs = 20\nselection_docs = 20\nholdout_docs = 20";
        bench.edit_space("[tasks]", few);
        bench
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn space(&self) -> PathBuf {
        self.path("search-spaces/quickstart.toml")
    }

    fn edit_space(&self, from: &str, to: &str) {
        self.edit("search-spaces/quickstart.toml", from, to);
    }

    fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "{relative} has no `{from}`");
        fs::write(self.path(relative), text.replacen(from, to, 1)).unwrap();
    }

    fn search(&self, run: &str, more: &[&str]) -> Command {
        let mut command = program();
        command.arg(self.space()).args(["--quiet", "--name", run, "--results"]);
        command.arg(self.path("results")).args(more);
        command
    }

    fn run(&self, run: &str) -> PathBuf {
        self.path("results").join(run)
    }

    /// What a refused search says; nothing may have been recorded.
    fn refused(&self) -> String {
        let output = self.search("refused", &["--trials", "2"]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!self.run("refused").exists());
        said
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// Rows without their times, in order of number, split and kind.
fn timeless_rows(run: &Path) -> Vec<Trial> {
    let mut trials = RunFolder::open(run).unwrap().trials().unwrap();
    trials.sort_by_key(|trial| (trial.trial, trial.split, trial.kind.as_str()));
    for trial in &mut trials {
        trial.elapsed = Seconds(0.0);
        trial.started_at = 0;
        if let merge_search::outcome::Outcome::Feasible(evaluation) = &mut trial.outcome {
            evaluation.merge_seconds = Seconds(0.0);
            evaluation.score_seconds = Seconds(0.0);
            evaluation.seconds_per_item = Seconds(0.0);
            evaluation.relative_time = 0.0;
            evaluation.peak_bytes = merge_search::units::Bytes(0);
        }
    }
    trials
}

fn best(run: &Path) -> String {
    fs::read_to_string(run.join("best.yaml")).unwrap()
}

fn front(run: &Path) -> Vec<u64> {
    RunFolder::open(run).unwrap().front().unwrap().iter().map(|entry| entry.trial).collect()
}

#[test]
fn search_analyze_export() {
    let bench = Bench::new();
    let report = succeeded(&bench.search("whole", &["--trials", "30"]).output().unwrap());
    assert_says(&report, &["base", "uniform", "winner", "holdout", "30 candidates"]);
    let run = bench.run("whole");
    let shown = succeeded(&program().arg("analyze").arg(&run).output().unwrap());
    assert_says(&shown, &["Pareto front", "winner", "arithmetic"]);
    let exported = bench.path("exported");
    let mut export = program();
    export.arg("export").arg(&run).arg("-o").arg(&exported);
    assert_says(&succeeded(&export.output().unwrap()), &["candle-transformers"]);
    for file in
        ["config.json", "model.safetensors", "tokenizer.json", "mergekit_config.yml", "README.md"]
    {
        assert!(exported.join(file).exists(), "{file}");
    }
    // The recipe that a run leaves is one that `merge` takes, and gives the same weights.
    let merged = bench.path("merged");
    let mut merge = program();
    merge.arg("merge").arg(run.join("best.yaml")).arg("-o").arg(&merged);
    succeeded(&merge.output().unwrap());
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&exported) == weights(&merged));
    // A folder that has something in it is left alone.
    let again = export.output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert_says(&text(&again.stderr), &["is not empty"]);
}

#[test]
fn the_built_in_quickstart_needs_no_files() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut plan = program();
    plan.args(["plan", "--budget", "2m", "--json"])
        .current_dir(elsewhere.path())
        .env("XDG_CACHE_HOME", elsewhere.path().join("cache"));
    let plan: serde_json::Value =
        serde_json::from_str(&succeeded(&plan.output().unwrap())).unwrap();
    assert!(plan["genes"].as_array().unwrap().len() > 5);
    assert!(plan["score_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn json_is_one_object() {
    let bench = Bench::new();
    let output = bench.search("json", &["--trials", "4", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_str(&succeeded(&output)).unwrap();
    assert_eq!(report["candidates"], 4);
    assert!(report["winner"]["holdout"]["value"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_seed_decides_and_the_number_of_workers_does_not() {
    let bench = Bench::new();
    bench.edit_space("# population = 32", "population = 12");
    let run = |name: &str, more: &[&str]| {
        let mut all = vec!["--trials", "20"];
        all.extend(more);
        succeeded(&bench.search(name, &all).output().unwrap());
        timeless_rows(&bench.run(name))
    };
    let one = run("one", &["--workers", "1", "--seed", "7"]);
    assert!(one == run("two", &["--workers", "2", "--seed", "7"]));
    assert!(one != run("other", &["--seed", "8"]));
}

/// The warm start is in the manifest, so that a run resumes without the files that it came from.
#[test]
fn a_search_starts_from_parents_recipes_and_runs() {
    let bench = Bench::new();
    let first = bench.search("first", &["--trials", "4", "--warm-start", "parents"]);
    succeeded(&{ first }.output().unwrap());
    let starts = |run: &str| {
        let folder = RunFolder::open(&bench.run(run)).unwrap();
        folder.manifest().optimizer.warm_start.clone()
    };
    // base, four experts and the uniform merge.
    assert_eq!(starts("first").len(), 6);
    let (run, recipe) = (bench.run("first"), bench.run("first").join("best.yaml"));
    let from = ["--warm-start", recipe.to_str().unwrap(), "--warm-start", run.to_str().unwrap()];
    let again = bench.search("again", &[&["--trials", "4"][..], &from].concat()).output().unwrap();
    succeeded(&again);
    assert!((1..=5).contains(&starts("again").len()));
    fs::remove_dir_all(&run).unwrap();
    let resumed = program().arg("--resume").arg(bench.run("again")).output().unwrap();
    succeeded(&resumed);
}

#[test]
fn bad_spaces_name_file_key_and_what_is_valid() {
    for (from, to, words) in [
        (
            "base = \"quickstart/base\"",
            "base = \"quickstart/bass\"",
            &["quickstart/bass", "no such folder"][..],
        ),
        ("[merge]", "[merge]\ncolour = 1", &["quickstart.toml", "colour", "control_points"]),
        (
            "\"task_arithmetic\", \"ties\"",
            "\"soup\"",
            &["quickstart.toml", "merge.methods", "soup", "linear"],
        ),
        ("\"../datasets/mixed\"", "\"../datasets/mixt\"", &["mixt/task.toml"]),
        ("sigma = 0.3", "sigma = -1.0", &["optimizer.sigma", "-1"]),
        ("sigma = 0.3", "covariance = \"round\"", &["optimizer.covariance", "round", "low-rank"]),
        ("sigma = 0.3", "restarts = \"often\"", &["optimizer.restarts", "often", "bipop"]),
        (
            "sigma = 0.3",
            "warm_start = \"no-such.yaml\"",
            &["optimizer.warm_start", "no-such.yaml", "\"parents\""],
        ),
        ("name = \"cat-cma\"", "name = \"cat\"", &["cat", "cat-cma", "random"]),
    ] {
        let bench = Bench::new();
        bench.edit_space(from, to);
        assert_says(&bench.refused(), words);
    }
    let missing = program().args(["no/such/space.toml", "--trials", "1"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert_says(&text(&missing.stderr), &["no/such/space.toml", "built-in quickstart"]);
}

/// Rewrites an expert's weights: every tensor as f32, one of them given to `change`.
fn rewrite(folder: &Path, tensor: &str, change: impl Fn(&mut Vec<usize>, &mut Vec<f32>)) {
    let file = folder.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut kept: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, view) in all.iter() {
        let mut shape = view.shape().to_vec();
        let mut values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        if name == tensor {
            change(&mut shape, &mut values);
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        kept.push((name.to_owned(), shape, bytes));
    }
    let views = kept.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let rewritten = safetensors::serialize(views, None).unwrap();
    fs::write(file, rewritten).unwrap();
}

const TENSOR: &str = "model.layers.1.mlp.up_proj.weight";

#[test]
fn a_nan_in_an_expert_is_named_before_anything_is_scored() {
    let bench = Bench::new();
    let expert = bench.path("search-spaces/quickstart/logic");
    rewrite(&expert, TENSOR, |_, values| values[17] = f32::NAN);
    assert_says(&bench.refused(), &["quickstart/logic", TENSOR, "17"]);
}

#[test]
fn an_expert_of_another_shape_is_named_with_both_shapes() {
    let bench = Bench::new();
    let expert = bench.path("search-spaces/quickstart/logic");
    rewrite(&expert, TENSOR, |shape, values| {
        shape[0] -= 1;
        values.truncate(shape[0] * shape[1]);
    });
    assert_says(&bench.refused(), &["quickstart/logic", TENSOR, "quickstart/base"]);
}

#[test]
fn an_empty_split_and_a_document_without_its_answer_are_named() {
    let bench = Bench::new();
    let split = "datasets/logic/selection.jsonl";
    let text = fs::read_to_string(bench.path(split)).unwrap();
    fs::write(bench.path(split), "").unwrap();
    assert_says(&bench.refused(), &["logic/selection.jsonl", "no rows"]);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines[4].find(",\"answer\"").unwrap();
    lines[4].truncate(at);
    lines[4].push('}');
    fs::write(bench.path(split), lines.join("\n")).unwrap();
    assert_says(&bench.refused(), &["logic/selection.jsonl", "5", "answer"]);
}

#[test]
fn a_truncated_checkpoint_is_an_error_and_not_a_crash() {
    let bench = Bench::new();
    let file = bench.path("search-spaces/quickstart/strings/model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert_says(&bench.refused(), &["strings/model.safetensors"]);
}

#[test]
fn an_existing_run_is_not_written_over() {
    let bench = Bench::new();
    fs::create_dir_all(bench.run("there")).unwrap();
    fs::write(bench.run("there").join("manifest.json"), "{}").unwrap();
    let output = bench.search("there", &["--trials", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["there exists already", "--resume"]);
}

#[test]
fn changed_weights_are_not_mixed_into_an_old_run() {
    let bench = Bench::new();
    succeeded(&bench.search("old", &["--trials", "3"]).output().unwrap());
    let expert = bench.path("search-spaces/quickstart/logic");
    rewrite(&expert, TENSOR, |_, values| values[17] += 0.5);
    let output = program().arg("--resume").arg(bench.run("old")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["`logic` has changed"]);
}

#[test]
fn too_little_memory_is_said_before_it_runs_out() {
    let bench = Bench::new();
    let search = |workers: &str, memory: &str| {
        let mut search = program();
        search.arg(bench.space()).args(["--trials", "1", "--workers", workers, "--memory", memory]);
        let output = search.arg("--results").arg(bench.path("results")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert_says(&search("3", "100k"), &["3 workers need", "--workers", "--memory"]);
}

#[test]
fn resuming_what_is_no_run_is_refused() {
    let output = program().args(["--resume", "no/such/run"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["no/such/run"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_says_how_to_go_on() {
    let bench = Bench::new();
    let mut search = bench.search("stopped", &["--trials", "100000"]);
    let child = search.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let first = bench.run("stopped").join("trials/generation-00001.parquet");
    let waited = std::time::Instant::now();
    while !first.exists() {
        assert!(waited.elapsed() < Duration::from_secs(120), "no generation was recorded");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_says(&text(&output.stderr), &["--resume"]);
    assert!(timeless_rows(&bench.run("stopped")).len() > 18);
}

/// `kill -9` at 20 moments spread over a run, each followed by `--resume`.
/// Run with: cargo test --release -- --ignored kill_minus_nine
#[cfg(unix)]
#[test]
#[ignore = "takes minutes; cargo test --release -- --ignored kill_minus_nine"]
fn kill_minus_nine_anywhere_and_resume_is_the_same_run() {
    let bench = Bench::new();
    let trials = ["--trials", "120", "--seed", "3"];
    let start = std::time::Instant::now();
    succeeded(&bench.search("whole", &trials).output().unwrap());
    let whole = start.elapsed();
    let expected = timeless_rows(&bench.run("whole"));
    for moment in 0..20u32 {
        let name = format!("killed-{moment}");
        let run = bench.run(&name);
        let mut child = bench.search(&name, &trials).stdout(Stdio::null()).spawn().unwrap();
        // Golden-ratio steps: spread over the whole run, in no order, the same every time.
        let share = (f64::from(moment + 1) * 0.618_033_988_7).fract();
        std::thread::sleep(whole.mul_f64(share));
        child.kill().unwrap();
        child.wait().unwrap();
        if !run.join("manifest.json").exists() {
            continue;
        }
        let before = timeless_rows(&run).len();
        let resumed = program().arg("--resume").arg(&run).arg("--quiet").output().unwrap();
        succeeded(&resumed);
        println!("killed at {:.0} % with {before} rows recorded: resumed", 100.0 * share);
        assert!(timeless_rows(&run) == expected, "moment {moment}");
        assert_eq!(best(&run), best(&bench.run("whole")), "moment {moment}");
        assert_eq!(front(&run), front(&bench.run("whole")), "moment {moment}");
    }
}

/// The competition's own test set must not be searched on, even where a document is a little different.
#[test]
fn documents_of_a_forbidden_file_are_counted_and_refused() {
    let bench = Bench::new();
    let long = "the old harbour master counts forty two grey boats before the fog comes in from the cold sea";
    let row = format!("{{\"question\":\"{long}\",\"choices\":[\"yes.\",\"no.\"],\"answer\":0}}\n");
    let file = bench.path("datasets/logic/search.jsonl");
    fs::write(&file, row + &fs::read_to_string(&file).unwrap()).unwrap();
    let forbidden = bench.path("test.csv");
    let said_again = format!("The old Harbour-Master counts forty two grey boats, {}", &long[48..]);
    fs::write(&forbidden, format!("id,input\n0,\"{said_again}\"\n1,other words\n")).unwrap();
    let allowed = bench.search("allowed", &["--trials", "1"]).output().unwrap();
    succeeded(&allowed);
    let forbid = ["--trials", "1", "--forbid-overlap", forbidden.to_str().unwrap()];
    let output = bench.search("refused", &forbid).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(
        &text(&output.stderr),
        &["test.csv:2", "task logic, search: 1 of 251 documents", "search.jsonl:1", "%"],
    );
    assert!(!bench.run("refused").exists());
}

/// Too short for sequences of words: such a document has to be equal to a cell, but for case and punctuation.
#[test]
fn a_short_document_of_a_forbidden_file_is_refused() {
    let bench = Bench::new();
    let line = fs::read_to_string(bench.path("datasets/agreement/search.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let question = line["question"].as_str().unwrap().to_uppercase();
    let forbidden = bench.path("test.csv");
    fs::write(&forbidden, format!("id,input,eval_type\n7,{question}!,generation\n")).unwrap();
    let forbid = ["--trials", "1", "--forbid-overlap", forbidden.to_str().unwrap()];
    let output = bench.search("refused", &forbid).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["task agreement, search: ", "search.jsonl:1 is 100 %"]);
}

#[test]
fn a_test_split_is_scored_but_not_searched_on() {
    let bench = Bench::new();
    let rows = bench.path("datasets/logic/search.jsonl");
    let task = "task = \"logic\"\ndataset_path = \"json\"\ndataset_kwargs.data_files.test = \"search.jsonl\"\n\
                test_split = \"test\"\noutput_type = \"multiple_choice\"\ndoc_to_text = \"question\"\n\
                doc_to_choice = \"choices\"\ndoc_to_target = \"answer\"\n";
    fs::write(rows.with_file_name("task.toml"), task).unwrap();
    assert_says(&bench.refused(), &["task logic", "split `test`", "another split"]);
    let mut eval = program();
    eval.arg("eval").arg(bench.path("search-spaces/quickstart/base")).args(["--quiet", "--task"]);
    succeeded(&eval.arg(rows.parent().unwrap()).output().unwrap());
}
