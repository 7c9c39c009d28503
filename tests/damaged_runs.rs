//! Exports of runs that something happened to, and into places where nothing can be written: an error that names the file and
//! says what to do, and no file more or less than before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use merge_search::outcome::Outcome;
use merge_search::record::{RunFolder, RunWriter, TrialKind};

use crate::command::{assert_says, copy, program, repository, succeeded, text};
use crate::hub::server::{ID, Server};

const COMMIT: &str = "1111111111111111111111111111111111111111";
/// A random candidate has a part of every expert.
const CANDIDATE: [&str; 2] = ["--trial", "6"];
const MODELS: [&str; 5] = ["base", "arithmetic", "logic", "strings", "agreement"];

/// A copy of the quickstart family with few documents, and a finished run of two candidates on it.
struct Bench {
    folder: tempfile::TempDir,
    server: Option<Server>,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench::unsearched();
        succeeded(&bench.search());
        bench
    }

    /// The expert `logic` comes from a hub.
    fn with_hub() -> Bench {
        let mut bench = Bench::unsearched();
        bench.edit("search-spaces/quickstart.toml", "\"quickstart/logic\"", &format!("\"{ID}\""));
        let entries = fs::read_dir(bench.path("search-spaces/quickstart/logic")).unwrap();
        let file = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        };
        let files = entries.map(|entry| file(entry.unwrap())).collect();
        bench.server = Some(Server::start(COMMIT, files));
        succeeded(&bench.search());
        bench
    }

    fn unsearched() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        for name in ["search-spaces", "datasets"] {
            copy(&repository().join(name), &folder.path().join(name));
        }
        let bench = Bench { folder, server: None };
        let few = "search_docs = 12\nselection_docs = 12\nholdout_docs = 12";
        bench.edit("search-spaces/quickstart.toml", "search_docs = 100", few);
        bench
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn run(&self) -> PathBuf {
        self.path("results/r")
    }

    fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(relative)).unwrap();
        assert!(text.contains(from), "{relative} has no `{from}`");
        fs::write(self.path(relative), text.replacen(from, to, 1)).unwrap();
    }

    fn program(&self) -> Command {
        let mut command = program();
        command.env("HF_HOME", self.path("hub")).env_remove("HF_HUB_OFFLINE");
        command.env("XDG_CACHE_HOME", self.path("cache"));
        let nobody = "http://127.0.0.1:9".to_owned();
        let endpoint = self.server.as_ref().map_or(nobody, |server| server.endpoint.clone());
        command.env("HF_ENDPOINT", endpoint);
        command
    }

    fn search(&self) -> Output {
        let mut command = self.program();
        command.arg(self.path("search-spaces/quickstart.toml"));
        command.args(["--trials", "2", "--optimizer", "random", "--quiet", "--name", "r"]);
        command.arg("--results").arg(self.path("results")).output().unwrap()
    }

    fn export(&self, competition: bool, output: &Path, more: &[&str]) -> Command {
        let mut command = self.program();
        command.arg("export").arg(self.run()).arg("-o").arg(output).args(more);
        if competition {
            command.args(["--format", "competition"]);
            for name in MODELS.iter().filter(|name| self.server.is_none() || **name != "logic") {
                command.arg("--published").arg(format!("{name}=owner/{name}@{COMMIT}"));
            }
        }
        command
    }

    /// Both formats are refused in these words, and every file is as it was.
    fn refused(&self, what: &str, output: &Path, more: &[&str], words: &[&str]) {
        for competition in [false, true] {
            let before = listing(self.folder.path());
            self.check_refused(what, self.export(competition, output, more), words);
            assert_eq!(listing(self.folder.path()), before, "{what}, competition {competition}");
        }
    }

    /// And so are predictions.
    fn nothing_made(&self, what: &str, more: &[&str], words: &[&str]) {
        self.refused(what, &self.path("out"), more, words);
        let before = listing(self.folder.path());
        let mut predict = self.program();
        predict.arg("predict").arg(self.run()).arg("--data");
        predict.arg(repository().join("tests/reference/kit/rows.csv"));
        predict.arg("-o").arg(self.path("out.csv")).args(more);
        self.check_refused(what, predict, words);
        assert_eq!(listing(self.folder.path()), before, "{what}, predict");
    }

    fn check_refused(&self, what: &str, mut command: Command, words: &[&str]) {
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {said}{}", text(&output.stdout));
        assert_says(&said, words);
        assert!(
            said.lines().last().is_some_and(|line| line.starts_with("  ")),
            "no remedy: {said}"
        );
    }
}

/// Every file and folder with its size.
fn listing(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
            found.insert(path, 0);
        } else {
            found.insert(path.clone(), fs::metadata(&path).unwrap().len());
        }
    }
    found
}

/// Put back when it goes out of scope.
struct Kept {
    path: PathBuf,
    content: Vec<u8>,
}

impl Kept {
    fn of(path: PathBuf) -> Kept {
        let content = fs::read(&path).unwrap();
        Kept { path, content }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        fs::write(&self.path, &self.content).unwrap();
    }
}

#[test]
fn a_run_whose_files_were_changed_is_not_exported() {
    let bench = Bench::new();
    let out = bench.path("out");
    let manifest = "results/r/manifest.json";
    let again = "from a copy of the run";
    {
        let _kept = Kept::of(bench.path(manifest));
        bench.edit(manifest, "search_docs = 12", "search_docs = 13");
        bench.nothing_made("space", &[], &["manifest.json", "sha256", again]);
    }
    {
        let kept = Kept::of(bench.path(manifest));
        let mut changed: serde_json::Value = serde_json::from_slice(&kept.content).unwrap();
        changed["checkpoints"][2]["sha256"] = "0".repeat(64).into();
        fs::write(&kept.path, changed.to_string()).unwrap();
        bench.nothing_made("digest", &CANDIDATE, &["checkpoint `logic` has changed", "0000000000"]);
    }
    {
        let kept = Kept::of(bench.path(manifest));
        fs::write(&kept.path, &kept.content[..kept.content.len() / 2]).unwrap();
        bench.nothing_made("half a manifest", &[], &["cannot read", "manifest.json", again]);
    }
    for part in ["trials/generation-00000.parquet", "trials/final-holdout.parquet"] {
        let kept = Kept::of(bench.run().join(part));
        fs::write(&kept.path, &kept.content[..kept.content.len() / 2]).unwrap();
        bench.nothing_made("truncated", &[], &[part, "is damaged", again]);
        fs::write(&kept.path, "PAR1 by another program PAR1").unwrap();
        bench.nothing_made("foreign", &[], &[part, "is damaged", again]);
    }
    let foreign = bench.run().join("trials/mine.parquet");
    fs::write(&foreign, "PAR1").unwrap();
    let output = bench.export(false, &out, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["mine.parquet", "move it elsewhere"]);
    fs::remove_file(foreign).unwrap();
    assert!(!out.exists());
    succeeded(&bench.export(false, &out, &[]).output().unwrap());
}

#[test]
fn experts_that_are_gone_or_others_are_named() {
    let bench = Bench::new();
    {
        let kept = Kept::of(bench.path("search-spaces/quickstart/logic/model.safetensors"));
        let mut other = kept.content.clone();
        *other.last_mut().unwrap() ^= 1;
        fs::write(&kept.path, other).unwrap();
        let words = ["checkpoint `logic` has changed", "put the old files back"];
        bench.nothing_made("other weights", &CANDIDATE, &words);
    }
    let expert = bench.path("search-spaces/quickstart/logic");
    fs::rename(&expert, bench.path("elsewhere")).unwrap();
    bench.nothing_made(
        "no expert",
        &CANDIDATE,
        &["model `logic`", "put ", "quickstart/logic back"],
    );
}

#[test]
fn what_is_no_finished_trial_is_not_exported() {
    let bench = Bench::new();
    let out = bench.path("out");
    bench.nothing_made("no such trial", &["--trial", "99"], &["--trial 99", "has trials 0 to 7"]);
    let mut trials = RunFolder::open(&bench.run()).unwrap().trials().unwrap().into_iter();
    let mut trial = trials.find(|trial| trial.kind == TrialKind::Candidate).unwrap();
    trial.trial = 8;
    trial.outcome = Outcome::Infeasible { reason: "its weights add up to 0".to_owned() };
    (trial.objective, trial.geometric_mean, trial.companion) = (None, None, None);
    RunWriter::resume(&bench.run()).unwrap().append(&trial).unwrap();
    let words = ["trial 8 is infeasible: its weights add up to 0", "--trial N"];
    bench.nothing_made("infeasible", &["--trial", "8"], &words);
    fs::remove_file(bench.run().join("trials/final-holdout.parquet")).unwrap();
    bench.nothing_made("no winner", &[], &["has no winner yet", "--resume", "--trial N"]);
    let nothing = bench.path("nothing");
    let mut command = bench.program();
    command.arg("export").arg(&nothing).arg("-o").arg(&out);
    bench.check_refused("no run", command, &["nothing is not a run folder", "results/NAME"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_any_work() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").unwrap();
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/mine.txt"), "mine").unwrap();
    // Without the experts: whoever opens them first says something else.
    fs::rename(bench.path("search-spaces"), bench.path("elsewhere")).unwrap();
    let run = bench.run();
    for (output, words) in [
        (bench.path("file/out"), ["file/out", "give an --output where"]),
        (bench.path("file"), ["cannot write", "give an --output where"]),
        (PathBuf::from("/proc/merge-search-out"), ["/proc/merge-search-out", "give an --output"]),
        (bench.path("full"), ["full exists and is not empty", "another --output"]),
        (run.clone(), ["is in the run folder", "beside it"]),
        (run.join("out"), ["is in the run folder", "beside it"]),
        (run.join("trials/../trials/a/b"), ["is in the run folder", "beside it"]),
    ] {
        bench.refused("place", &output, &[], &words);
    }
}

/// Also into a folder that is there and empty, which stays there when nothing comes of it.
#[test]
fn a_full_disk_leaves_nothing_and_a_slash_does_no_harm() {
    let bench = Bench::new();
    fs::create_dir(bench.path("out")).unwrap();
    for competition in [false, true] {
        let before = listing(bench.folder.path());
        let export = bench.export(competition, &bench.path("out"), &[]);
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"]);
        limited.arg(export.get_program()).args(export.get_args());
        limited.envs(export.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_says(&said, &["cannot write", "File too large"]);
        assert_eq!(listing(bench.folder.path()), before, "competition {competition}");
        let name = format!("out{competition}/");
        let with_slash = bench.path(&name);
        succeeded(&bench.export(competition, &with_slash, &[]).output().unwrap());
        assert!(with_slash.join("README.md").is_file());
        let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
        let mut entries = fs::read_dir(bench.folder.path()).unwrap().map(Result::unwrap);
        assert!(!entries.any(|entry| hidden(&entry)));
    }
}

#[test]
fn a_model_that_the_hub_no_longer_has_is_named() {
    let bench = Bench::with_hub();
    let out = bench.path("out");
    succeeded(&bench.export(true, &bench.path("while-it-was-there"), &CANDIDATE).output().unwrap());
    let server = bench.server.as_ref().unwrap();
    // Another commit on the branch that the run took it from.
    let other = "2222222222222222222222222222222222222222";
    let files = server.with(|state| state.commits.get(COMMIT).cloned()).unwrap();
    let mut changed = files.clone();
    *changed.get_mut("model.safetensors").unwrap().last_mut().unwrap() ^= 1;
    server.publish(other, changed);
    for competition in [false, true] {
        let export = bench.export(competition, &out, &CANDIDATE);
        bench.check_refused("moved", export, &["checkpoint `logic` has changed"]);
    }
    fs::remove_dir_all(bench.path("hub")).unwrap();
    for competition in [false, true] {
        let mut export = bench.export(competition, &out, &CANDIDATE);
        export.env("HF_HUB_OFFLINE", "1");
        bench.check_refused("offline", export, &["model `logic`", ID]);
    }
    server.with(|state| {
        state.revisions.clear();
        state.commits.clear();
    });
    for competition in [false, true] {
        let export = bench.export(competition, &out, &CANDIDATE);
        bench.check_refused("gone", export, &["model `logic`", ID, "HF_HUB_OFFLINE=1"]);
    }
    assert!(!out.exists());
}
