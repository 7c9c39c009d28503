//! Routed winners: the gate goes into the class, and is fitted to documents that must not have changed.

use std::collections::BTreeSet;
use std::fs;

use merge_search::recipe::{Layout, Recipe};
use merge_search::record::RunFolder;

use super::{Place, said};
use crate::command::assert_says;

#[test]
fn a_routed_trial_is_one_class_with_its_gate() {
    let place = Place::with_space("quickstart-routed.toml", "12");
    let trials = RunFolder::open(&place.run()).unwrap().trials().unwrap();
    let routed = trials.iter().find(|trial| {
        let recipe = Recipe::from_yaml(&trial.recipe).unwrap();
        recipe.document_router.is_some() && !has_like_layers(&recipe)
    });
    let number = routed.expect("some random routes lead to networks of unlike layers").trial;
    let number = number.to_string();
    said(&place.export("out", &["--trial", &number]).output().unwrap());
    let class = "LLM-Merging/llm_merging/merging/QuickstartRoutedMerge.py";
    let class = fs::read_to_string(place.path("out").join(class)).unwrap();
    assert_says(
        &class,
        &["class QuickstartRoutedMerge(Merges)", "routes", "ngrams", "RECIPE[\"layers\"]"],
    );
    let task = place.path("datasets/logic/search.jsonl");
    let rows = fs::read_to_string(&task).unwrap();
    fs::write(&task, rows.lines().skip(1).collect::<Vec<_>>().join("\n")).unwrap();
    let refused = place.refused(place.export("out2", &["--trial", &number]));
    assert_says(&refused, &["task `logic` has changed", "put the old files back"]);
    let mut folder = place.command();
    folder.arg("export").arg(place.run()).args(["--trial", &number, "-o"]).arg(place.path("out2"));
    assert_says(&place.refused(folder), &["task `logic` has changed"]);
}

/// If not, the class cuts the network too.
fn has_like_layers(recipe: &Recipe) -> bool {
    let merges = 0..=recipe.document_router.as_ref().map_or(0, |router| router.merges.len());
    let layers = |merge| match recipe.merge(merge).unwrap().layout {
        Layout::Models(_) => 5,
        Layout::Slices(slices) => {
            slices.iter().map(|slice| slice.sources[0].layer_range.layers()).sum()
        }
        Layout::Modules(_) => 0,
    };
    merges.map(layers).collect::<BTreeSet<usize>>().len() == 1
}
