//! A routed search as a user meets it: its front, and the folder that a routed trial is exported to.

use std::fs;

use merge_search::recipe::{Features, Recipe};
use merge_search::record::RunFolder;

use crate::command::{assert_says, copy, program, repository, succeeded, text};

/// The merges of the exported folder are, byte for byte, those that `merge` makes of the recipe's parts; the gate has a term
/// for each task, and the routes are the recipe's. (What the loader makes of the folder was compared with `eval` in torch:
/// see the README.)
#[test]
fn a_routed_trial_is_exported_as_its_merges_and_its_gate() {
    let folder = tempfile::tempdir().unwrap();
    let path = |relative: &str| folder.path().join(relative);
    copy(&repository().join("search-spaces"), &path("search-spaces"));
    copy(&repository().join("datasets"), &path("datasets"));
    let space = path("search-spaces/quickstart-routed.toml");
    let few = "search_docs = 12\nselection_docs = 12\nholdout_docs = 12";
    let file = fs::read_to_string(&space).unwrap();
    assert!(file.contains("search_docs = 100"));
    fs::write(&space, file.replace("search_docs = 100", few)).unwrap();
    let search = program()
        .arg(&space)
        .args(["--trials", "12", "--optimizer", "random", "--quiet", "--name", "r", "--results"])
        .arg(path("results"))
        .output()
        .unwrap();
    assert_says(&succeeded(&search), &["accuracy against time"]);
    let run = path("results/r");
    let trials = RunFolder::open(&run).unwrap().trials().unwrap();
    let routed = trials.iter().find_map(|trial| {
        let recipe = Recipe::from_yaml(&trial.recipe).unwrap();
        recipe.document_router.clone().map(|router| (trial.trial, recipe, router))
    });
    let (number, recipe, router) = routed.expect("random routes are seldom all alike");
    let out = path("out");
    let export = || {
        let number = number.to_string();
        program().arg("export").arg(&run).args(["--trial", &number, "-o"]).arg(&out).output()
    };
    assert_says(&succeeded(&export().unwrap()), &["routed.py", "checked"]);
    for merge in 0..=router.merges.len() {
        let (yaml, alone) = (path(&format!("{merge}.yaml")), path(&format!("alone-{merge}")));
        fs::write(&yaml, recipe.merge(merge).unwrap().to_yaml()).unwrap();
        succeeded(&program().arg("merge").arg(&yaml).arg("-o").arg(&alone).output().unwrap());
        let weights = |dir: &std::path::Path| fs::read(dir.join("model.safetensors")).unwrap();
        assert!(weights(&alone) == weights(&out.join(format!("merge-{merge}"))));
    }
    let json = fs::read_to_string(out.join("router.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["routes"], serde_json::json!(router.routes));
    let terms = json["gate"]["terms"].as_array().unwrap();
    let Features::Ngrams { buckets } = router.gate.features else {
        panic!("the space's only features")
    };
    assert!(terms.len() == 5 && terms[0]["vector"].as_array().unwrap().len() == buckets);
    let again = export().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert_says(&text(&again.stderr), &["exists and is not empty"]);
}
