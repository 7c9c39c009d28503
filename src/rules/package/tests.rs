use std::fs;
use std::path::Path;

use super::*;
use crate::submission::competition::{
    ExportTexts, SubmissionManifest, SubmittedModel, export_files, sealed, write_folder,
};
use crate::submission::predictions::asked_rows;
use crate::task::Loader;

const CODE: &str = "import torch\n\n\nclass TinyMerge:\n    pass\n";

fn manifest() -> SubmissionManifest {
    SubmissionManifest {
        format: 1,
        written_by: "0".into(),
        class: "TinyMerge".into(),
        method: "tiny_merge".into(),
        run: "r".into(),
        run_sha256: "ab".repeat(32),
        trial: 3,
        scorer: "kit".into(),
        dtype: "float32".into(),
        models: vec![SubmittedModel {
            name: "base".into(),
            repository: "a/b".into(),
            revision: "c".repeat(40),
            adapter: None,
            adapter_revision: None,
            sha256: "cd".repeat(32),
        }],
        files: Default::default(),
    }
}

/// An export with a report of so many words.
fn folder(words: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let texts = ExportTexts {
        class: "TinyMerge",
        method: "tiny_merge",
        code: CODE,
        recipe: "merge_method: linear\nmodels:\n- model: a/b\n",
        card: "# Tiny\n",
        report: &"word ".repeat(words),
    };
    write_folder(&folder.path().join("x"), &sealed(export_files(&texts), manifest())).unwrap();
    folder
}

fn checked(folder: &Path, asked: Option<&[AskedRow]>) -> Vec<Finding> {
    let rules = SubmissionRules { source: "x".into(), report_words: 2400 };
    let findings = check(&rules, &Handed::read(&folder.join("x")).unwrap(), asked);
    assert!(findings.iter().all(|finding| !finding.evidence.is_empty()));
    findings
}

/// What is worse than PASS, but for the predictions that are not there.
fn faults(folder: &tempfile::TempDir) -> Vec<(&'static str, String, Verdict, String)> {
    let found = checked(folder.path(), None).into_iter();
    found
        .filter(|it| it.verdict != Verdict::Pass && it.rule != "csv")
        .map(|it| (it.rule, it.subject, it.verdict, it.evidence))
        .collect()
}

#[test]
fn an_export_as_it_was_written_passes() {
    assert_eq!(faults(&folder(2400)), []);
}

/// Its authors complete it.
#[test]
fn a_completed_report_is_no_tampering() {
    let folder = folder(10);
    fs::write(folder.path().join("x/REPORT.md"), "more words").unwrap();
    assert_eq!(faults(&folder), []);
    let findings = checked(folder.path(), None);
    let digests = findings.iter().find(|it| it.rule == "digests").unwrap();
    assert!(digests.evidence.contains("REPORT.md"), "{}", digests.evidence);
}

#[test]
fn each_fault_of_a_folder_is_named() {
    let class = "LLM-Merging/llm_merging/merging/TinyMerge.py";
    type Spoil<'a> = &'a dyn Fn(&Path);
    let cases: [(Spoil, &str, Verdict, &str); 6] = [
        (
            &|x| fs::remove_file(x.join("changes.diff")).unwrap(),
            "files",
            Verdict::Fail,
            "changes.diff",
        ),
        (&|x| fs::write(x.join(class), "import os\n").unwrap(), "digests", Verdict::Fail, class),
        (
            &|x| fs::write(x.join("LLM-Merging/llm_merging/main.py"), "").unwrap(),
            "files",
            Verdict::Fail,
            "main.py",
        ),
        (&|x| fs::write(x.join("notes.txt"), "").unwrap(), "files", Verdict::Warn, "notes.txt"),
        (
            &|x| fs::write(x.join("REPORT.md"), "one two TODO").unwrap(),
            "report",
            Verdict::Warn,
            "3 words",
        ),
        (
            &|x| fs::write(x.join("REPORT.md"), "w ".repeat(2401)).unwrap(),
            "report",
            Verdict::Fail,
            "2401 words",
        ),
    ];
    for (spoil, rule, verdict, word) in cases {
        let folder = folder(10);
        spoil(&folder.path().join("x"));
        let faults = faults(&folder);
        let named = faults.iter().any(|it| it.0 == rule && it.2 == verdict && it.3.contains(word));
        assert!(named, "{rule} {verdict} {word}: {faults:?}");
    }
}

/// SHA-256 of `import os\n`, by coreutils' sha256sum.
#[test]
fn a_changed_class_is_told_with_both_digests() {
    let folder = folder(10);
    let class = folder.path().join("x/LLM-Merging/llm_merging/merging/TinyMerge.py");
    fs::write(&class, "import os\n").unwrap();
    let faults = faults(&folder);
    let digests = faults.iter().find(|it| it.0 == "digests").unwrap();
    assert!(digests.3.contains(SHA256_OF_IMPORT_OS), "{}", digests.3);
    let same = faults.iter().find(|it| it.1 == "class").unwrap();
    assert_eq!(same.2, Verdict::Fail);
}

const SHA256_OF_IMPORT_OS: &str =
    "3727adff524e0616022eadd8f4af21a0778b29fc4c77bdfefd1afce2cbf5e4b7";

#[test]
fn predictions_are_compared_with_the_file_that_was_predicted() {
    let folder = folder(10);
    let test = folder.path().join("test.csv");
    let rows =
        "id,input,eval_type,answer_choices\n7,q,multiple_choice,\"['x', 'y']\"\n9,r,generation,\n";
    fs::write(&test, rows).unwrap();
    let asked = asked_rows(&Loader { hub: None }.questions(&test).unwrap()).unwrap();
    let csv = |text: &str| {
        fs::write(folder.path().join("x/submission.csv"), text).unwrap();
        let findings = checked(folder.path(), Some(&asked));
        let it = findings.into_iter().find(|it| it.rule == "csv").unwrap();
        (it.verdict, it.evidence)
    };
    let right = "id,prediction,dummy_field\n7,1,0\n9,text,0\n";
    assert_eq!(csv(right).0, Verdict::Pass);
    let (verdict, evidence) = csv(&right.replace("7,1", "7,2"));
    assert_eq!(verdict, Verdict::Fail);
    assert!(evidence.contains("submission.csv: line 2"), "{evidence}");
    assert!(evidence.contains("the index 2; expected one below 2"), "{evidence}");
    let findings = checked(folder.path(), None);
    assert!(findings.iter().any(|it| it.rule == "csv" && it.verdict == Verdict::Unknown));
}

/// Headers of POSIX's ustar format, and nothing in the files.
fn tar(names: &[&str]) -> Vec<u8> {
    let headers = names.iter().flat_map(|name| header(name));
    headers.chain([0; 1024]).collect()
}

fn header(name: &str) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..135].copy_from_slice(b"00000000000");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header
}

#[test]
fn an_archive_has_to_hold_the_kit_and_the_class() {
    let folder = folder(10);
    let archive = folder.path().join("x/tiny_merge.tar");
    let main = "LLM-Merging/llm_merging/main.py";
    let class = "LLM-Merging/llm_merging/merging/TinyMerge.py";
    let below = |path: &str| format!("./{path}");
    for (bytes, verdict, word) in [
        (tar(&["LLM-Merging/", main, class]), Verdict::Pass, "3 entries"),
        (tar(&["./", &below(main), &below(class)]), Verdict::Pass, "3 entries"),
        (tar(&[main, class, "my-merging/setup.py"]), Verdict::Fail, "my-merging/setup.py"),
        (tar(&[class]), Verdict::Fail, main),
        (tar(&[main]), Verdict::Fail, class),
        (tar(&[]), Verdict::Fail, main),
        (b"no archive".to_vec(), Verdict::Fail, "no tar archive"),
    ] {
        fs::write(&archive, bytes).unwrap();
        let findings = checked(folder.path(), None);
        let it = findings.iter().find(|it| it.subject == "tiny_merge.tar").unwrap();
        assert!(it.verdict == verdict && it.evidence.contains(word), "{it:?}");
    }
}

#[test]
fn a_manifest_of_another_format_is_refused() {
    let folder = folder(10);
    let path = folder.path().join("x/submission.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(
        Handed::read(&folder.path().join("x")),
        Err(HandedError::Format { found: 2, .. })
    ));
    fs::write(&path, "{}").unwrap();
    assert!(matches!(Handed::read(&folder.path().join("x")), Err(HandedError::Manifest { .. })));
}
