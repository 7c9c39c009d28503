//! What an export consists of.

use std::collections::BTreeMap;
use std::fs;

use merge_search::submission::competition::{MANIFEST_FILE, SubmissionManifest};
use sha2::{Digest, Sha256};

use super::{Place, commit, files, patch, place, said};
use crate::command::assert_says;

const CLASS: &str = "llm_merging/merging/QuickstartMerge.py";

fn exported(place: &Place, output: &str, more: &[&str]) -> BTreeMap<String, String> {
    said(&place.export(output, more).output().unwrap());
    let text = |(path, content): (String, Vec<u8>)| (path, String::from_utf8(content).unwrap());
    files(&place.path(output)).into_iter().map(text).collect()
}

fn manifest(files: &BTreeMap<String, String>) -> SubmissionManifest {
    serde_json::from_str(&files[MANIFEST_FILE]).unwrap()
}

#[test]
fn an_export_is_what_both_kits_take() {
    let place = place();
    let output = place.export("whole", &[]).output().unwrap();
    let told = said(&output);
    assert_says(&told, &["class QuickstartMerge", "method quickstart_merge"]);
    // A branch moves on.
    assert_says(&told, &["tiny/agreement@main is pinned at its commit", &commit("agreement")]);
    let files = exported(&place, "again", &[]);
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "LLM-Merging/llm_merging/merging/QuickstartMerge.py",
            "LLM-Merging/registrations.patch",
            "LLM-Merging/setup.py",
            "README.md",
            "REPORT.md",
            "changes.diff",
            "entry-point/llm_merging/merging/QuickstartMerge.py",
            "entry-point/llm_merging/setup.py",
            "mergekit_config.yml",
            "submission.json",
        ]
    );
    let class = &files[&format!("LLM-Merging/{CLASS}")];
    assert_eq!(*class, files[&format!("entry-point/{CLASS}")]);
    assert_says(class, &["class QuickstartMerge(Merges)", "tiny/logic", &commit("logic")]);
    assert_says(
        &files["entry-point/llm_merging/setup.py"],
        &["quickstart_merge = llm_merging.merging.QuickstartMerge:QuickstartMerge"],
    );
    assert_says(&files["README.md"], &["patch -p1", "tar -cvf quickstart_merge.tar LLM-Merging"]);
}

#[test]
fn two_exports_have_the_same_bytes() {
    let place = place();
    assert!(exported(&place, "one", &[]) == exported(&place, "two", &[]));
    for output in ["winner", "again"] {
        said(&place.export_winner(output, &[]).output().unwrap());
    }
    assert!(files(&place.path("winner")) == files(&place.path("again")));
}

#[test]
fn the_manifest_has_the_digest_of_every_other_file() {
    let place = place();
    let files = exported(&place, "digests", &[]);
    let manifest = manifest(&files);
    let mut others = files.clone();
    others.remove(MANIFEST_FILE);
    let digest = |text: &String| -> String {
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let expected: BTreeMap<String, String> =
        others.iter().map(|(path, text)| (path.clone(), digest(text))).collect();
    assert_eq!(manifest.files, expected);
    let run = fs::read_to_string(place.run().join("manifest.json")).unwrap();
    assert_eq!(manifest.run_sha256, digest(&run));
    assert_eq!((manifest.run.as_str(), manifest.scorer.as_str()), ("run", "acc"));
    for model in &manifest.models {
        assert_eq!(model.revision, commit(&model.name));
        assert!(run.contains(&model.sha256));
    }
}

/// Rule 12 of the competition: neither device ids nor paths of the author's disk.
#[test]
fn no_file_has_a_path_or_a_device_of_this_machine() {
    let place = place();
    let files = exported(&place, "paths", &[]);
    let own = place.folder.path().display().to_string();
    for (path, text) in &files {
        for word in [own.as_str(), "cuda:", "/home/", "/tmp/"] {
            assert!(!text.contains(word), "{path}: {word}");
        }
    }
}

/// The places in the kit's head that the patch is for; the rest of both files is ours.
fn pristine() -> BTreeMap<String, String> {
    let main: Vec<String> = (1..=11).map(|line| format!("# line {line}")).collect();
    let main =
        main.join("\n") + "\n    loaded_merges = {\n        \"llama_avg\": LlamaAvg,\n    }\n";
    let imports = "from llm_merging.merging.LlamaAvg import LlamaAvg\n# more\n";
    BTreeMap::from([
        ("llm_merging/main.py".to_owned(), main),
        ("llm_merging/merging/__init__.py".to_owned(), imports.to_owned()),
    ])
}

#[test]
fn the_patch_enters_the_class_into_the_kits_head() {
    let files = exported(&place(), "patch", &["--class-name", "MyMerge"]);
    let mut kit = pristine();
    patch::apply(&files["LLM-Merging/registrations.patch"], &mut kit);
    assert_says(
        &kit["llm_merging/main.py"],
        &["loaded_merges = {\n        \"my_merge\": MyMerge,\n        \"llama_avg\""],
    );
    let imports = &kit["llm_merging/merging/__init__.py"];
    assert!(imports.starts_with("from llm_merging.merging.MyMerge import MyMerge\nfrom llm"));
    // The list of changes is the same patch and the class.
    let mut listed = pristine();
    patch::apply(&files["changes.diff"], &mut listed);
    let class = &files["LLM-Merging/llm_merging/merging/MyMerge.py"];
    kit.insert("llm_merging/merging/MyMerge.py".to_owned(), class.clone());
    assert!(listed == kit);
    let lines = format!("{} lines", class.lines().count());
    assert_says(&files["changes.diff"], &["replaced  setup.py", "new", &lines]);
}

#[test]
fn options_are_recorded() {
    let more = ["--scorer", "kit_fixed", "--dtype", "bfloat16", "--max-gen-len", "33"];
    let files = exported(&place(), "options", &more);
    let manifest = manifest(&files);
    assert_eq!((manifest.scorer.as_str(), manifest.dtype.as_str()), ("kit_fixed", "bfloat16"));
    assert_says(&files["README.md"], &["--scorer kit_fixed --dtype bfloat16 --max-gen-len 33"]);
    assert_says(&files[&format!("LLM-Merging/{CLASS}")], &["33"]);
}
