//! Made-up models, one for each rule that can be broken.

mod chains;
mod online;
mod place;
mod sizes;
mod weights;

use std::fs;

use merge_search::rules::Verdict;
use merge_search::rules::models::Evidence;
use serde_json::json;

use place::{COMMIT, OTHER, Place, broken, config, llama, one, profile, tiny, write_card};

const RULES: [&str; 3] = ["merging-2024", "efficiency-2023", "seed"];

#[test]
fn a_clean_model_passes_every_rule() {
    let mut place = Place::new();
    place.model("owner/clean", "license: apache-2.0");
    place.adapter("owner/lora", "owner/clean", "license: mit\nbase_model: owner/clean");
    place.vouch_early("owner/clean");
    place.vouch_early("owner/lora");
    let expert = format!("owner/clean@{COMMIT}+owner/lora@{COMMIT}");
    for rules in RULES {
        let base = format!("owner/clean@{COMMIT}");
        let found = place.check(rules, &[("base", &base), ("math", &expert)]);
        assert_eq!(broken(&found), [], "{rules}: {found:#?}");
        assert!(found.len() >= 10, "{found:#?}");
    }
}

/// A base model's facts come first from its files, then from the user's, and from nowhere else offline.
#[test]
fn a_model_that_is_not_here_is_unknown_not_passed() {
    let place = Place::new();
    for rules in RULES {
        let found = place.check_one(rules, &format!("owner/elsewhere@{COMMIT}"));
        let passed: Vec<_> = found.iter().filter(|it| it.verdict == Verdict::Pass).collect();
        let names: Vec<&str> = passed.iter().map(|finding| finding.rule).collect();
        let welcome = rules == "merging-2024";
        let expected =
            if welcome { vec!["instruction_tuned", "revision"] } else { vec!["revision"] };
        assert_eq!(names, expected, "{rules}");
        let open = broken(&found);
        assert!(open.iter().all(|(_, verdict)| *verdict == Verdict::Unknown), "{open:?}");
    }
}

#[test]
fn evidence_stands_in_for_files() {
    let mut place = Place::new();
    let lines = format!(
        "revision = \"{COMMIT}\"\ncommitted = \"2024-05-30\"\nlicense = \"mit\"\nparameters = 9000000000\n\
         config = {{ model_type = \"llama\", max_position_embeddings = 2048 }}"
    );
    place.vouch("owner/vouched", &lines);
    let found = place.check_one("merging-2024", &format!("owner/vouched@{COMMIT}"));
    // Nothing is said about gates.
    let mut faults = broken(&found);
    faults.sort();
    assert_eq!(faults, [("public", Verdict::Unknown), ("size", Verdict::Fail)], "{found:#?}");
    assert!(one(&found, "size").evidence.contains("9,000,000,000"));
    // Its only source is about nothing.
    assert!(one(&found, "size").evidence.contains("evidence.toml"));
    assert!(!one(&found, "size").evidence.contains("a test"));
    // The day is that commit's only.
    let found = place.check_one("merging-2024", &format!("owner/vouched@{OTHER}"));
    assert_eq!(one(&found, "uploaded_before").verdict, Verdict::Unknown);
}

#[test]
fn flan_t5_and_families_off_the_list_fail() {
    let mut place = Place::new();
    for (id, model_type) in [
        ("google/flan-t5-x", "t5"),
        ("owner/t5-x", "t5"),
        ("owner/g", "gemma2"),
        ("owner/n", "gpt_neox"),
    ] {
        place.vouch(id, &format!("config = {{ model_type = \"{model_type}\" }}"));
    }
    place.vouch(
        "owner/tuned",
        "base_model = \"google/flan-t5-x\"\nconfig = { model_type = \"t5\" }",
    );
    place.vouch("owner/d", "config = { architectures = [\"DeciLMForCausalLM\"] }");
    let verdict = |rules: &str, id: &str| {
        one(&place.check_one(rules, &format!("{id}@{COMMIT}")), "family").verdict
    };
    for id in ["google/flan-t5-x", "owner/tuned", "owner/g"] {
        assert_eq!(verdict("efficiency-2023", id), Verdict::Fail, "{id}");
        assert_eq!(verdict("merging-2024", id), Verdict::Pass, "{id}");
    }
    for id in ["owner/t5-x", "owner/n", "owner/d"] {
        assert_eq!(verdict("efficiency-2023", id), Verdict::Pass, "{id}");
    }
    // Its list is shorter, and says nothing about Flan.
    assert_eq!(verdict("seed", "owner/n"), Verdict::Fail);
    assert_eq!(verdict("seed", "google/flan-t5-x"), Verdict::Pass);
    let found = place.check_one("seed", &format!("owner/n@{COMMIT}"));
    let family = one(&found, "family");
    assert!(
        family.evidence.contains("gpt_neox") && family.evidence.contains("Bloom"),
        "{family:?}"
    );
}

#[test]
fn instruction_tuning_is_doubtful_in_2023_and_welcome_in_2024() {
    let place = Place::new();
    place.model("owner/model-7b-Instruct", "license: mit");
    let child = place.model("owner/child", "license: mit\nbase_model: owner/model-7b-Instruct");
    let template = place.model("owner/quiet", "license: mit");
    fs::write(template.join("chat_template.jinja"), "{{ messages }}").unwrap();
    assert!(child.is_dir());
    let check = |rules: &str, id: &str| {
        let found = place.check_one(rules, &format!("{id}@{COMMIT}"));
        let finding = one(&found, "instruction_tuned");
        (finding.verdict, finding.evidence.clone())
    };
    for id in ["owner/model-7b-Instruct", "owner/child", "owner/quiet"] {
        assert_eq!(check("efficiency-2023", id).0, Verdict::Warn, "{id}");
        assert_eq!(check("seed", id).0, Verdict::Warn, "{id}");
        assert_eq!(check("merging-2024", id).0, Verdict::Pass, "{id}");
    }
    assert!(
        check("seed", "owner/child").1.contains("`instruct` in the name owner/model-7b-Instruct")
    );
    assert!(check("seed", "owner/quiet").1.contains("chat_template.jinja"));
}

#[test]
fn an_adapters_ancestors_tell_of_instructions_and_unread_models_nothing() {
    let mut place = Place::new();
    place.model("owner/base", "license: mit");
    place.adapter("owner/lora", "owner/base", "base_model: owner/vicuna-lora");
    place.vouch("owner/alone", "license = \"mit\"");
    let model = format!("owner/base@{COMMIT}+owner/lora@{COMMIT}");
    let found = place.check_one("seed", &model);
    let tuned: Vec<_> = found.iter().filter(|it| it.rule == "instruction_tuned").collect();
    let verdicts: Vec<_> = tuned.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Warn], "{tuned:#?}");
    assert!(tuned[1].evidence.contains("`vicuna` in the name owner/vicuna-lora"), "{tuned:#?}");
    let found = place.check_one("seed", &format!("owner/alone@{COMMIT}"));
    assert_eq!(one(&found, "instruction_tuned").verdict, Verdict::Unknown);
}

/// Elements follow from the config; a source about something else is not theirs.
#[test]
fn evidence_cites_the_source_of_its_topic() {
    let place = Place::new();
    let file = place.dir.path().join("e.toml");
    let text = "[[model]]\nid = \"a/b\"\nparameters = 5\nlicense = \"mit\"\n\
                sources = [\"revision: page one\", \"config: page two\"]\n";
    fs::write(&file, text).unwrap();
    let evidence = Evidence::read(&file).unwrap();
    let model = merge_search::recipe::ModelRef::new("a/b".to_owned()).unwrap();
    let facts = merge_search::rules::models::facts(&model, "base", &place.hub(), &evidence).model;
    assert_eq!(facts.parameters.unwrap().place, "e.toml: config: page two");
    assert_eq!(facts.licence.unwrap().place, "e.toml");
    assert_eq!(facts.gated, None);
}

#[test]
fn branches_and_no_revision_fail() {
    let place = Place::new();
    place.model("owner/m", "license: mit");
    for rules in RULES {
        for model in ["owner/m", "owner/m@main", "owner/m@0123456"] {
            let found = place.check_one(rules, model);
            let finding = one(&found, "revision");
            assert_eq!(finding.verdict, Verdict::Fail, "{model}");
            // What the cache has the branch for.
            let remedy = finding.remedy.as_ref().unwrap();
            assert!(model == "owner/m@0123456" || remedy.contains(COMMIT), "{remedy}");
        }
    }
    let adapter = format!("owner/m@{COMMIT}+owner/lora@main");
    let found = place.check_one("merging-2024", &adapter);
    let failed: Vec<_> = found.iter().filter(|it| it.verdict == Verdict::Fail).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(
        failed[0].subject.contains("owner/lora (adapter)") && failed[0].evidence.contains("`main`")
    );
}

#[test]
fn two_revisions_of_one_model_collapse_in_the_kit() {
    let place = Place::new();
    let (first, second) = (format!("owner/m@{COMMIT}"), format!("owner/m@{OTHER}"));
    let found = place.check("merging-2024", &[("base", &first), ("math", &second)]);
    let finding = one(&found, "one_revision");
    assert_eq!(finding.verdict, Verdict::Warn);
    assert!(finding.evidence.contains(COMMIT) && finding.evidence.contains(OTHER));
    let found = place.check("merging-2024", &[("base", &first), ("math", &first)]);
    assert!(!found.iter().any(|finding| finding.rule == "one_revision"));
}

#[test]
fn late_uploads_fail_unless_they_merge_early_models() {
    let mut place = Place::new();
    for (id, day) in
        [("owner/early", "2024-05-30"), ("owner/edge", "2024-05-31"), ("owner/late", "2024-06-01")]
    {
        place.vouch(id, &format!("revision = \"{COMMIT}\"\ncommitted = \"{day}\""));
    }
    let merge =
        "license: mit\ntags: [merge, mergekit]\nbase_model:\n- owner/parent-a\n- owner/parent-b";
    place.model("owner/merge", merge);
    place.vouch("owner/merge", &format!("revision = \"{COMMIT}\"\ncommitted = \"2024-09-01\""));
    let check = |place: &Place, id: &str| {
        let found = place.check_one("merging-2024", &format!("{id}@{COMMIT}"));
        let finding = one(&found, "uploaded_before");
        assert!(finding.evidence.contains("2024-0"), "{finding:?}");
        finding.verdict
    };
    assert_eq!(check(&place, "owner/early"), Verdict::Pass);
    assert_eq!(check(&place, "owner/edge"), Verdict::Warn);
    assert_eq!(check(&place, "owner/late"), Verdict::Fail);
    assert_eq!(check(&place, "owner/merge"), Verdict::Fail);
    for parent in ["owner/parent-a", "owner/parent-b"] {
        place.vouch(parent, &format!("revision = \"{OTHER}\"\ncommitted = \"2024-01-01\""));
    }
    assert_eq!(check(&place, "owner/merge"), Verdict::Warn);
    let late = "license: mit\nbase_model: [owner/parent-a, owner/parent-b]";
    write_card(&place.snapshot("owner/merge", COMMIT), late);
    assert_eq!(check(&place, "owner/merge"), Verdict::Fail);
}

#[test]
fn folders_and_gated_models_are_not_for_everybody() {
    let mut place = Place::new();
    let folder = place.dir.path().join("mine");
    llama(&folder, &tiny());
    write_card(&folder, "license: mit");
    let path = folder.to_str().unwrap();
    let verdict = |place: &Place, rules: &str, model: &str| {
        one(&place.check_one(rules, model), "public").verdict
    };
    assert_eq!(verdict(&place, "merging-2024", path), Verdict::Fail);
    assert_eq!(verdict(&place, "efficiency-2023", path), Verdict::Warn);
    place.vouch("owner/gated", "gated = true");
    place.vouch("owner/open", "gated = false");
    let gated = place.check_one("merging-2024", &format!("owner/gated@{COMMIT}"));
    let gated = one(&gated, "public");
    assert_eq!(gated.verdict, Verdict::Warn);
    assert!(gated.evidence.contains("HF_AUTH_TOKEN"));
    assert_eq!(verdict(&place, "merging-2024", &format!("owner/open@{COMMIT}")), Verdict::Pass);
    assert_eq!(verdict(&place, "merging-2024", &format!("owner/else@{COMMIT}")), Verdict::Unknown);
    let missing = place.check_one("merging-2024", "./nowhere");
    assert_eq!(one(&missing, "public").verdict, Verdict::Fail);
}

#[test]
fn short_contexts_are_noticed_in_2023() {
    let place = Place::new();
    let folder = place.model("owner/short", "license: mit");
    let check = |change: serde_json::Value| {
        let mut config = config(&tiny());
        config.as_object_mut().unwrap().remove("max_position_embeddings");
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let found = place.check_one("efficiency-2023", &format!("owner/short@{COMMIT}"));
        (one(&found, "context").verdict, one(&found, "context").evidence.clone())
    };
    assert_eq!(check(json!({"max_position_embeddings": 2048})).0, Verdict::Pass);
    let (verdict, evidence) = check(json!({"model_type": "gpt2", "n_positions": 1024}));
    assert_eq!(verdict, Verdict::Warn);
    assert!(evidence.contains("n_positions = 1024") && evidence.contains("2048"), "{evidence}");
    assert_eq!(check(json!({"model_type": "t5", "n_positions": 512})).0, Verdict::Pass);
    assert_eq!(check(json!({})).0, Verdict::Unknown);
}

#[test]
fn every_table_says_who_says_it_and_what_it_says() {
    for rules in RULES {
        let table = profile(rules);
        let known = ["licence", "family", "instruction_tuned", "revision", "public"];
        for rule in known {
            assert!(table.source(rule).is_some_and(|source| source.len() > 15), "{rules}: {rule}");
        }
    }
    assert_eq!(profile("efficiency-2023").family.unwrap().approved.len(), 23);
    assert_eq!(profile("seed").family.unwrap().approved.len(), 7);
    assert!(profile("efficiency-2023").size.is_none() && profile("seed").context.is_none());
    let unknown: Result<merge_search::rules::models::ModelRules, _> =
        toml::from_str("[size]\nsource = \"s\"\nparams_max = 1\ntolerance = 0\nparam_min = 1\n");
    assert!(unknown.unwrap_err().to_string().contains("params_max"));
}

#[test]
fn evidence_that_means_nothing_is_refused() {
    let place = Place::new();
    let file = place.dir.path().join("e.toml");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        Evidence::read(&file).map_err(|error| error.to_string())
    };
    let head = "[[model]]\nid = \"a/b\"\nsources = []\n";
    assert!(read(head).is_ok() && read("").is_ok());
    let refused = [
        (format!("{head}licence = \"mit\"\n"), "license"),
        (format!("{head}revision = \"main\"\n"), "`revision` of a/b is \"main\""),
        (format!("{head}committed = \"18 April 2024\"\n"), "2024-04-18"),
        (format!("{head}committed = \"2024-13-01\"\n"), "2024-13-01"),
        (format!("{head}{head}"), "twice"),
        ("[[models]]\n".to_owned(), "models"),
        ("[[model]]\nid = \"a/b\"\n".to_owned(), "sources"),
    ];
    for (text, part) in refused {
        let message = read(&text).unwrap_err();
        assert!(message.contains(part) && message.contains("e.toml"), "{text}: {message}");
    }
    assert!(Evidence::read(&place.dir.path().join("none.toml")).is_err());
}
