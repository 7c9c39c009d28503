//! Licences along what models say they were made from.

use merge_search::rules::Verdict;
use merge_search::rules::models::{Obligation, merged_licence, obligations};

use super::place::{COMMIT, Place, one};

fn licence(place: &Place, rules: &str, model: &str) -> (Verdict, String) {
    let found = place.check_one(rules, model);
    let finding = one(&found, "licence");
    (finding.verdict, finding.evidence.clone())
}

fn at(id: &str) -> String {
    format!("{id}@{COMMIT}")
}

#[test]
fn each_licence_has_its_verdict() {
    let place = Place::new();
    let cases = [
        ("license: mit", Verdict::Pass, "mit"),
        ("license: bigscience-bloom-rail-1.0", Verdict::Pass, "bigscience-bloom-rail-1.0"),
        ("license: llama2", Verdict::Warn, "llama2"),
        ("license: other\nlicense_name: llama3", Verdict::Warn, "llama3"),
        ("license: other\nlicense_name: mine", Verdict::Warn, "other `mine`"),
        ("license: cc-by-nc-4.0", Verdict::Warn, "cc-by-nc-4.0"),
        ("license: cc-by-nc-nd-4.0", Verdict::Fail, "cc-by-nc-nd-4.0"),
        ("tags: [x]", Verdict::Warn, "missing"),
    ];
    for rules in ["merging-2024", "efficiency-2023", "seed"] {
        for (number, (card, verdict, word)) in cases.iter().enumerate() {
            let id = format!("owner/m{number}");
            place.model(&id, card);
            let (found, evidence) = licence(&place, rules, &at(&id));
            assert_eq!(found, *verdict, "{rules}: {card}");
            assert!(evidence.contains(word) && evidence.contains("README.md"), "{evidence}");
        }
    }
    // Of research licences one list has more than the others.
    place.model("owner/cc", "license: cc-by-4.0");
    assert_eq!(licence(&place, "merging-2024", &at("owner/cc")).0, Verdict::Pass);
    assert_eq!(licence(&place, "seed", &at("owner/cc")).0, Verdict::Warn);
}

#[test]
fn the_strictest_of_the_chain_counts() {
    let place = Place::new();
    place.model("owner/child", "license: apache-2.0\nbase_model: owner/parent");
    place.model("owner/parent", "license: mit\nbase_model: [owner/root]");
    place.model("owner/root", "license: llama2");
    let (verdict, evidence) = licence(&place, "seed", &at("owner/child"));
    assert_eq!(verdict, Verdict::Warn);
    for part in [
        "strictest of the chain llama2",
        "owner/child apache-2.0",
        "owner/parent mit",
        "owner/root llama2",
    ] {
        assert!(evidence.contains(part), "{part}: {evidence}");
    }
    let facts = place.facts(&[("base", &at("owner/child"))]);
    let names: Vec<_> = facts[0].ancestors.iter().map(|it| &it.named_by.value).collect();
    assert_eq!(names, ["owner/child", "owner/parent"]);
}

#[test]
fn an_adapters_base_model_is_part_of_the_chain() {
    let place = Place::new();
    place.model("owner/base", "license: mit");
    place.model("owner/another", "license: cc-by-nc-nd-4.0");
    place.adapter("owner/lora", "owner/another", "license: mit");
    let model = format!("{}+{}", at("owner/base"), at("owner/lora"));
    let (verdict, evidence) = licence(&place, "seed", &model);
    assert_eq!(verdict, Verdict::Fail, "{evidence}");
    assert!(evidence.contains("owner/another cc-by-nc-nd-4.0"), "{evidence}");
}

#[test]
fn missing_links_and_cycles_are_unknown() {
    let place = Place::new();
    place.model("owner/orphan", "license: mit\nbase_model: owner/gone");
    let (verdict, evidence) = licence(&place, "seed", &at("owner/orphan"));
    assert_eq!(verdict, Verdict::Unknown);
    assert!(evidence.contains("owner/gone: licence not known"), "{evidence}");

    place.model("owner/a", "license: mit\nbase_model: owner/b");
    place.model("owner/b", "license: mit\nbase_model: owner/a");
    let (verdict, evidence) = licence(&place, "seed", &at("owner/a"));
    assert_eq!(verdict, Verdict::Unknown);
    assert!(evidence.contains("owner/a -> owner/b -> owner/a"), "{evidence}");
    place.model("owner/self", "license: mit\nbase_model: owner/self");
    assert_eq!(licence(&place, "seed", &at("owner/self")).0, Verdict::Unknown);

    // Two ways to one parent are no cycle.
    place.model("owner/left", "license: mit\nbase_model: owner/top");
    place.model("owner/right", "license: mit\nbase_model: owner/top");
    place.model("owner/top", "license: mit");
    place.model("owner/diamond", "license: mit\nbase_model: [owner/left, owner/right]");
    assert_eq!(licence(&place, "seed", &at("owner/diamond")).0, Verdict::Pass);
}

/// Nearest evidence first: a card that is here, then the user's.
#[test]
fn evidence_fills_the_gaps_of_cards() {
    let mut place = Place::new();
    place.model("owner/bare", "tags: [x]");
    place.model("owner/full", "license: mit");
    place.vouch("owner/bare", "license = \"llama3\"");
    place.vouch("owner/full", "license = \"gemma\"");
    let (_, evidence) = licence(&place, "seed", &at("owner/bare"));
    assert!(evidence.contains("llama3") && evidence.contains("evidence.toml"), "{evidence}");
    assert_eq!(licence(&place, "seed", &at("owner/full")).0, Verdict::Pass);
}

#[test]
fn a_merge_takes_the_licence_that_contains_the_others() {
    let place = Place::new();
    let licences =
        ["mit", "apache-2.0", "llama3", "llama2", "cc-by-nc-4.0", "other\nlicense_name: mine"];
    for (number, licence) in licences.iter().enumerate() {
        place.model(&format!("owner/m{number}"), &format!("license: {licence}"));
    }
    let merged = |numbers: &[usize]| {
        let models: Vec<String> = numbers.iter().map(|it| at(&format!("owner/m{it}"))).collect();
        let models: Vec<(&str, &str)> = models.iter().map(|model| ("m", model.as_str())).collect();
        let licence = merged_licence(&place.facts(&models));
        (licence.license, licence.license_name)
    };
    let plain = |word: &str| (word.to_owned(), None);
    let other = |name: &str| ("other".to_owned(), Some(name.to_owned()));
    assert_eq!(merged(&[0]), plain("mit"));
    assert_eq!(merged(&[0, 1]), plain("apache-2.0"));
    assert_eq!(merged(&[0, 1, 2]), plain("llama3"));
    assert_eq!(merged(&[1, 4]), plain("cc-by-nc-4.0"));
    assert_eq!(merged(&[2, 3]), other("llama2-and-llama3"));
    assert_eq!(merged(&[5]), other("mine"));
    assert_eq!(merged(&[9, 0]), other("unknown"));
}

/// The texts are the licences' own demands: Llama 2 and 3 Community License section 1 b, Gemma Terms of Use 3.1.
#[test]
fn obligations_name_every_parent_once() {
    let place = Place::new();
    place.model("owner/child", "license: apache-2.0\nbase_model: owner/llama-3");
    place.model("owner/llama-3", "license: llama3");
    place.model("owner/second", "license: apache-2.0\nbase_model: owner/llama-2");
    place.model("owner/llama-2", "license: llama2");
    place.model("owner/none", "tags: [x]");
    let models = [at("owner/child"), at("owner/second"), at("owner/none")];
    let models: Vec<(&str, &str)> = models.iter().map(|model| ("m", model.as_str())).collect();
    let found = obligations(&place.facts(&models));
    let words: Vec<&str> = found.iter().map(|it| it.licence.as_str()).collect();
    assert_eq!(words, ["unknown", "llama2", "llama3", "apache-2.0"]);
    let of = |word: &str| -> &Obligation { found.iter().find(|it| it.licence == word).unwrap() };
    assert_eq!(of("apache-2.0").models, ["owner/child", "owner/second"]);
    assert_eq!(of("unknown").models, ["owner/none"]);
    let three = &of("llama3").text;
    for part in [
        "Built with Meta Llama 3",
        "Begin its name with \"Llama 3\"",
        "Meta Llama 3 is licensed under",
    ] {
        assert!(three.contains(part), "{part}: {three}");
    }
    let two = &of("llama2").text;
    assert!(
        two.contains("Llama 2 is licensed under the LLAMA 2 Community License")
            && !two.contains("Built")
    );
    assert!(found.iter().all(|it| !it.source.is_empty() && !it.models.is_empty()));
}
