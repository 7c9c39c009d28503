//! How weights are stored.

use std::fs;

use merge_search::rules::models::weights;
use merge_search::rules::{Finding, Verdict};

use super::place::{COMMIT, Place, one};

fn found(place: &Place, model: &str, pickled: Verdict) -> Finding {
    let found = weights(&place.facts(&[("base", model)]), pickled);
    one(&found, "weights").clone()
}

#[test]
fn pickles_alone_are_refused_with_what_to_do() {
    let place = Place::new();
    let model = format!("owner/model@{COMMIT}");
    let folder = place.model("owner/model", "license: mit");
    assert_eq!(found(&place, &model, Verdict::Fail).verdict, Verdict::Pass);
    fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap();
    for pickled in [Verdict::Warn, Verdict::Fail] {
        let finding = found(&place, &model, pickled);
        assert_eq!(finding.verdict, pickled, "{finding:?}");
        assert!(finding.evidence.contains("pytorch_model.bin"), "{finding:?}");
        assert!(finding.remedy.unwrap().contains("upload the converted folder"));
    }
    fs::remove_file(folder.join("pytorch_model.bin")).unwrap();
    assert_eq!(found(&place, &model, Verdict::Fail).verdict, Verdict::Unknown);
}

#[test]
fn pickled_adapters_are_found_too() {
    let place = Place::new();
    place.model("owner/model", "license: mit");
    let folder = place.adapter("owner/lora", "owner/model", "license: mit");
    let both = format!("owner/model@{COMMIT}+owner/lora@{COMMIT}");
    let verdicts = || -> Vec<Verdict> {
        let found = weights(&place.facts(&[("math", &both)]), Verdict::Fail);
        found.iter().map(|finding| finding.verdict).collect()
    };
    assert_eq!(verdicts(), [Verdict::Pass, Verdict::Pass]);
    fs::rename(folder.join("adapter_model.safetensors"), folder.join("adapter_model.bin")).unwrap();
    assert_eq!(verdicts(), [Verdict::Pass, Verdict::Fail]);
}

#[test]
fn damaged_files_fail_before_a_search_too() {
    let place = Place::new();
    let model = format!("owner/cut@{COMMIT}");
    let folder = place.model("owner/cut", "license: mit");
    let file = folder.join("model.safetensors");
    let length = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(length - 1).unwrap();
    let finding = found(&place, &model, Verdict::Warn);
    assert_eq!(finding.verdict, Verdict::Fail, "{finding:?}");
    assert!(finding.evidence.contains("model.safetensors"), "{finding:?}");
    let folder = place.model("owner/odd", "license: mit");
    fs::write(folder.join("config.json"), "{").unwrap();
    let finding = found(&place, &format!("owner/odd@{COMMIT}"), Verdict::Warn);
    assert_eq!(finding.verdict, Verdict::Fail, "{finding:?}");
    assert!(finding.evidence.contains("config.json is not JSON"), "{finding:?}");
}

/// Of that commit alone is it known.
#[test]
fn the_catalogue_knows_repositories_of_pickles() {
    let place = Place::new();
    let id = "facebook/bart-large-xsum";
    let known = format!("{id}@fb8c7a91748fb92870861bfbe68f245cf810306c");
    assert_eq!(found(&place, &known, Verdict::Fail).verdict, Verdict::Fail);
    let other = format!("{id}@{COMMIT}");
    assert_eq!(found(&place, &other, Verdict::Fail).verdict, Verdict::Unknown);
}

#[test]
fn evidence_says_how_weights_are_stored() {
    for (said, verdict) in [("true", Verdict::Pass), ("false", Verdict::Fail)] {
        let mut place = Place::new();
        place.vouch("owner/told", &format!("revision = \"{COMMIT}\"\nsafetensors = {said}"));
        let finding = found(&place, &format!("owner/told@{COMMIT}"), Verdict::Fail);
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert!(finding.evidence.contains("evidence.toml"), "{finding:?}");
    }
}
