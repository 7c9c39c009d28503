use super::*;
use crate::rules::Profile;

const COMMIT: &str = "bdd27f4d94b9c1f951818a7da7fd7aeea5dbff1a";

fn used(dataset: Option<&str>, license: Option<&str>, generated_by: Option<&str>) -> DataUse {
    let docs = DocCounts { search: 12, selection: 13, holdout: 14 };
    DataUse {
        task: "t".into(),
        source: DataSource {
            dataset: dataset.map(str::to_owned),
            commit: dataset.map(|_| COMMIT.to_owned()),
            split: Some("train".into()),
            license: license.map(str::to_owned),
            generated_by: generated_by.map(str::to_owned),
        },
        benchmark_test: None,
        read: Some(("ab".repeat(32), docs)),
    }
}

fn rules(profile: &str) -> DataRules {
    Profile::named(profile).unwrap().data.unwrap()
}

fn verdict(profile: &str, used: DataUse) -> Verdict {
    let findings = check(&rules(profile), &[used], "Qwen/Qwen-7B");
    assert!(findings.iter().all(|finding| !finding.evidence.is_empty()));
    findings.iter().map(|finding| finding.verdict).max().unwrap()
}

/// Dolly is CC-BY-SA-3.0 and OASST1 Apache-2.0 by their cards; all three competitions name both.
#[test]
fn the_organisers_own_examples_pass_everywhere() {
    for profile in Profile::NAMES {
        let dolly =
            used(Some("databricks/databricks-dolly-15k"), Some("CC-BY-SA-3.0"), Some("human"));
        let oasst = used(Some("OpenAssistant/oasst1"), Some("Apache-2.0"), Some("human"));
        assert_eq!(verdict(profile, dolly), Verdict::Pass, "{profile}");
        assert_eq!(verdict(profile, oasst), Verdict::Pass, "{profile}");
    }
    let flan = used(Some("Muennighoff/flan"), Some("NOASSERTION"), None);
    assert_eq!(verdict("efficiency-2023", flan), Verdict::Pass);
}

#[test]
fn a_missing_licence_is_what_the_profile_says() {
    for (profile, expected) in [
        ("merging-2024", Verdict::Warn),
        ("efficiency-2023", Verdict::Fail),
        ("seed", Verdict::Warn),
    ] {
        for license in [None, Some("NOASSERTION")] {
            assert_eq!(verdict(profile, used(None, license, Some("human"))), expected, "{profile}");
        }
    }
}

#[test]
fn licences_that_are_not_open_are_named_in_the_evidence() {
    let findings = check(
        &rules("efficiency-2023"),
        &[used(Some("a/samsum"), Some("CC-BY-NC-ND-4.0"), None)],
        "x",
    );
    let data = &findings[0];
    assert_eq!(data.verdict, Verdict::Fail);
    for word in ["CC-BY-NC-ND-4.0", "a/samsum", COMMIT, "12 + 13 + 14", "abab"] {
        assert!(data.evidence.contains(word), "{word}: {}", data.evidence);
    }
    assert!(data.remedy.is_some());
}

/// SPDX: `OR` lets the user choose, `AND` does not.
#[test]
fn licence_expressions_are_read() {
    let rules = rules("seed");
    for (expression, expected) in [
        ("MIT OR GPL-3.0", Some(true)),
        ("mit", Some(true)),
        ("MIT AND GPL-3.0", Some(false)),
        ("(MIT AND Apache-2.0) OR GPL-3.0", Some(true)),
        ("GPL-3.0", Some(false)),
        ("GPL-3.0 AND (MIT OR Apache-2.0)", Some(false)),
        ("MIT AND (GPL-3.0 OR ODC-By-1.0)", Some(true)),
        ("MIT OR GPL-3.0 AND GPL-2.0", Some(true)),
        ("(MIT", None),
        ("MIT)", None),
        ("MIT OR", None),
        ("MIT WITH x", None),
    ] {
        assert_eq!(is_open(&rules, expression), expected, "{expression}");
    }
    let unread = verdict("seed", used(None, Some("(MIT"), Some("human")));
    assert_eq!(unread, Verdict::Unknown);
}

#[test]
fn a_branch_is_no_commit() {
    let mut branch = used(Some("a/b"), Some("MIT"), Some("human"));
    branch.source.commit = Some("main".into());
    assert_eq!(verdict("merging-2024", branch.clone()), Verdict::Warn);
    branch.source.commit = None;
    assert_eq!(verdict("merging-2024", branch), Verdict::Warn);
}

#[test]
fn a_test_set_fails_everywhere() {
    let mut test = used(Some("cais/mmlu"), Some("MIT"), Some("human"));
    test.benchmark_test = Some("MMLU".into());
    for profile in Profile::NAMES {
        assert_eq!(verdict(profile, test.clone()), Verdict::Fail, "{profile}");
    }
}

/// 2023: nothing by ChatGPT; what Llama 2 wrote only for Llama 2.
#[test]
fn who_wrote_the_data_counts_in_2023() {
    let by = |author: &str, base: &str| {
        let used = used(None, Some("MIT"), Some(author));
        let findings = check(&rules("efficiency-2023"), &[used], base);
        let finding = findings.iter().find(|finding| finding.rule == "generated_by").unwrap();
        assert!(finding.evidence.contains(author), "{finding:?}");
        finding.verdict
    };
    assert_eq!(by("ChatGPT (gpt-3.5-turbo)", "mistralai/Mistral-7B-v0.1"), Verdict::Fail);
    assert_eq!(by("Llama-2-70b", "mistralai/Mistral-7B-v0.1"), Verdict::Fail);
    assert_eq!(by("Llama-2-70b", "meta-llama/Llama-2-7b-hf"), Verdict::Pass);
    assert_eq!(by("Mixtral-8x7B", "mistralai/Mistral-7B-v0.1"), Verdict::Pass);
    assert_eq!(by("some model of ours", "mistralai/Mistral-7B-v0.1"), Verdict::Warn);
    for on_no_list in ["prompted by us", "Bombardier", "non-human"] {
        assert_eq!(by(on_no_list, "x"), Verdict::Warn, "{on_no_list}");
    }
    assert_eq!(by("google/bard", "x"), Verdict::Fail);
    let unsaid = verdict("efficiency-2023", used(None, Some("MIT"), None));
    assert_eq!(unsaid, Verdict::Unknown);
}
