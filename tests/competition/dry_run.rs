//! The starter kit in a copy, with a shell script in the place of Python.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use merge_search::submission::competition::dry_run::DryRunReport;

use super::{Place, files, place, said};
use crate::command::{assert_says, text};

const ROWS: &str = "id,input,eval_type,answer_choices\n\
                    0,Write.,generation,\n1,Which?,multiple_choice,\"['a', 'b']\"\n2,Write more.,generation,\n";

const MAIN: &str =
    "def all_merge_handlers():\n    loaded_merges = {\n        \"llama_avg\": LlamaAvg,\n    }\n";

/// Ends unless it was called as the kit's `main.py` is, in a kit that knows the class; arguments from the driver on.
const CALLED: &str = r#"#!/bin/sh
grep -q '"quickstart_merge": QuickstartMerge,' "$5" || exit 11
grep -q 'merging.QuickstartMerge import QuickstartMerge' llm_merging/merging/__init__.py || exit 12
grep -q 'class QuickstartMerge(Merges)' llm_merging/merging/QuickstartMerge.py || exit 13
grep -q 'import runpy' "$1" || exit 14
[ "$PYTHONPATH" = "$PWD" ] && [ "${HF_AUTH_TOKEN-unset}" = "" ] || exit 15
[ "$3 $4 $6 $7 $8 ${10}" = "llm_merging.merging.QuickstartMerge QuickstartMerge -m quickstart_merge --dataset_filepaths --output_folder" ] || exit 16
"#;

/// Two rows of texts, one of choices.
const ANSWERED: &str = r#"
printf 'id,prediction,dummy_field\n0,"A\ntext",0\n1,1,0\n2,,0\n' > "${11}/test.csv"
printf '%s' '{"load_and_merge": 1.5, "multiple_choice": [0.25], "generation": [0.5, 1.5], "peak_bytes": 1000, "device_bytes": null, "machine": {"device": "abacus", "versions": {"torch": "9.9"}}}' > "$2"
"#;

/// The kit of the other generation: `setup.py` first, then a file for each kind of rows.
const ENTRY_POINT_CALLED: &str = r#"#!/bin/sh
if [ "$1" = llm_merging/setup.py ]; then
  grep -q 'quickstart_merge = llm_merging' llm_merging/setup.py && touch found; exit $?
fi
[ -e found ] || exit 21
[ "$8 ${11} ${12} ${13}" = "--dataset_filepaths --eval_types multiple_choice generation" ] || exit 22
grep -q '"answer_choices":\["a","b"\]' "$9" || exit 23
mkdir -p output/quickstart_merge/predictions
echo '{"predicted_choice": 1, "answer_choices_scores": [-2.5, -1.5]}' > output/quickstart_merge/predictions/choices.jsonl
printf '{"predicted_text": "x"}\n{"predicted_text": "y"}\n' > output/quickstart_merge/predictions/texts.jsonl
"#;

const ENTRY_POINT_MAIN: &str = "def all_merge_handlers():\n    return entry_points(group=\"llm_merging.merging.Merges\")\n# --eval_types\n";

fn entry_point_kit() -> Kit {
    let kit = Kit::new(ENTRY_POINT_CALLED);
    fs::write(kit.path("llm_merging/main.py"), ENTRY_POINT_MAIN).unwrap();
    kit
}

/// A kit and an interpreter, which a test has to itself.
struct Kit {
    folder: tempfile::TempDir,
}

impl Kit {
    fn new(script: &str) -> Kit {
        let kit = Kit { folder: tempfile::tempdir().unwrap() };
        for folder in ["llm_merging/merging", "data", ".git"] {
            fs::create_dir_all(kit.path(folder)).unwrap();
        }
        fs::write(kit.path("llm_merging/main.py"), MAIN).unwrap();
        fs::write(kit.path("llm_merging/merging/__init__.py"), "").unwrap();
        fs::write(kit.path("data/test.csv"), ROWS).unwrap();
        fs::write(kit.python(), script).unwrap();
        fs::set_permissions(kit.python(), fs::Permissions::from_mode(0o755)).unwrap();
        kit
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join("kit").join(relative)
    }

    fn python(&self) -> PathBuf {
        self.folder.path().join("python")
    }

    fn run(&self, place: &Place, output: &str, more: &[&str]) -> Command {
        let mut export = place.export(output, more);
        export.env_remove("PYTHONPATH");
        export.arg("--dry-run-kit").arg(self.path("")).arg("--python").arg(self.python());
        export
    }
}

fn report(path: &Path) -> DryRunReport {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_kit_runs_with_the_class_and_is_left_as_it_was() {
    let place = place();
    let kit = Kit::new(&format!("{CALLED}{ANSWERED}"));
    let before = files(&kit.path(""));
    let file = kit.folder.path().join("report.json");
    let mut run = kit.run(&place, "tried", &[]);
    let told = said(&run.arg("--dry-run-report").arg(&file).output().unwrap());
    assert_says(&told, &["1 with choices, 2 with texts", "abacus", "predictions are valid"]);
    assert_says(&told, &["torch 9.9", "load and merge 1.5 s", "test.csv", "of the hour"]);
    assert!(files(&kit.path("")) == before);
    let report = report(&file);
    assert_eq!(report.seconds.generation_row, Some(1.0));
    // The times are the script's, the process took less: nothing is left for what is not rows.
    let seconds: Vec<f64> = report.estimates.iter().map(|set| set.seconds).collect();
    assert_eq!(seconds, [500.0 * 0.25 + 200.0, 457.0 * 0.25 + 350.0]);
    assert_eq!(report.problems, [""; 0]);
    // The same export is there: it is tried again, not refused.
    let json = kit.run(&place, "tried", &["--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_str(&crate::command::succeeded(&json)).unwrap();
    assert_eq!(json["dry_run"]["machine"]["device"], "abacus");
    assert_eq!(json["method"], "quickstart_merge");
    // Another one is not taken for it.
    let other = kit.run(&place, "tried", &["--max-gen-len", "7"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert_says(&text(&other.stderr), &["holds another export"]);
}

#[test]
fn wrong_predictions_are_named() {
    let wrong = ANSWERED.replace("1,1,0", "1,2,0");
    let place = place();
    let kit = Kit::new(&format!("{CALLED}{wrong}"));
    let output = kit.run(&place, "wrong", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(
        &text(&output.stderr),
        &["test.csv: line 4: id \"1\"", "the index 2; expected one below 2"],
    );
    assert_says(&text(&output.stdout), &["1 problems in the predictions"]);
}

#[test]
fn a_kit_that_fails_shows_its_last_words_and_a_remedy() {
    let place = place();
    let kit = Kit::new(
        "#!/bin/sh\necho first\necho \"ModuleNotFoundError: No module named 'peft'\" >&2\nexit 7\n",
    );
    let output = kit.run(&place, "failed", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = ["exit code 7", "first", "No module named 'peft'", "install `peft`", "--python"];
    assert_says(&text(&output.stderr), &words);
    // The export stays.
    assert!(place.path("failed/submission.json").exists());
}

#[test]
fn what_is_no_kit_is_refused_before_the_export() {
    let place = place();
    let kit = Kit::new("#!/bin/sh\n");
    fs::write(kit.path("data/test.csv"), "id,input\n1,a\n").unwrap();
    let said = place.refused(kit.run(&place, "out", &[]));
    assert_says(&said, &["test.csv", "no column `eval_type`", "--data"]);
    fs::remove_file(kit.path("llm_merging/main.py")).unwrap();
    let said = place.refused(kit.run(&place, "out", &[]));
    assert_says(&said, &["llm_merging/main.py", "git clone"]);
    let mut without = place.export("out", &["--dry-run-rows", "3"]);
    let output = without.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), &["--dry-run-kit"]);
}

#[test]
fn the_kit_of_entry_points_gets_its_own_files() {
    let place = place();
    let kit = entry_point_kit();
    let told = said(&kit.run(&place, "entry", &[]).output().unwrap());
    assert_says(&told, &["(entry-point)", "predictions are valid", "on this machine"]);
}

/// HEAD writes into `../output` unless it is told where, the kit of entry points into `output`.
#[test]
fn the_kits_two_output_folders_are_neither_missed_nor_left_behind() {
    let place = place();
    for (name, kit) in
        [("head", Kit::new(&format!("{CALLED}{ANSWERED}"))), ("entry", entry_point_kit())]
    {
        let told = said(&kit.run(&place, name, &[]).output().unwrap());
        assert_says(&told, &["predictions are valid"]);
        assert!(!kit.path("output").exists() && !kit.path("../output").exists(), "{name}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_export() {
    let place = place();
    let kit = Kit::new("#!/bin/sh\n");
    let there = kit.folder.path().join("there.json");
    fs::write(&there, "mine").unwrap();
    for (file, word) in
        [(there.clone(), "exists already"), (kit.folder.path().join("no/r.json"), "no folder")]
    {
        let mut run = kit.run(&place, "out", &[]);
        run.arg("--dry-run-report").arg(&file);
        assert_says(&place.refused(run), &["--dry-run-report", word]);
    }
    assert_eq!(fs::read_to_string(there).unwrap(), "mine");
}

/// What no program can catch: the driver sees the end of its standard input, and ends with all that it started.
#[test]
fn a_killed_program_ends_the_kits_standard_input() {
    let place = place();
    let kit = Kit::new(
        "#!/bin/sh\ntouch \"${0%/*}/started\"\ncat > /dev/null\ntouch \"${0%/*}/ended\"\n",
    );
    let (started, ended) = (kit.folder.path().join("started"), kit.folder.path().join("ended"));
    let mut run = kit.run(&place, "killed", &[]);
    let scratch = tempfile::tempdir().unwrap();
    run.env("TMPDIR", scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = run.spawn().unwrap();
    wait_for(&started);
    assert!(!ended.exists());
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    child.wait().unwrap();
    wait_for(&ended);
}

fn wait_for(file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "no {}", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_leaves_no_kit_running() {
    let place = place();
    let kit = Kit::new("#!/bin/sh\necho $$ > \"${2%/*}/../../pid\"\nsleep 100\n");
    let scratch = tempfile::tempdir().unwrap();
    let mut run = kit.run(&place, "stopped", &[]);
    run.env("TMPDIR", scratch.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = run.spawn().unwrap();
    let (file, began) = (scratch.path().join("pid"), Instant::now());
    while fs::read_to_string(&file).map_or(true, |text| text.trim().is_empty()) {
        assert!(began.elapsed() < Duration::from_secs(60), "the kit was not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let python = fs::read_to_string(&file).unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_says(&text(&output.stderr), &["interrupted", "is whole"]);
    assert!(!Path::new("/proc").join(python.trim()).exists());
    assert_eq!(super::names(scratch.path()), ["pid"]);
}
