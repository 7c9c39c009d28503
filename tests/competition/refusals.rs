//! What cannot be exported is said before anything is written.

use std::fs;

use super::{Place, UNIFORM, commit, names, place};
use crate::command::{assert_says, copy, program, repository, succeeded, text};
use crate::hub::server::Server;

/// One bit of an expert's weights.
fn tamper(place: &Place, model: &str) {
    let file = place.cached(model).join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_changed_expert_is_named_with_both_digests() {
    let place = place();
    tamper(&place, "logic");
    let manifest = fs::read_to_string(place.run().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let recorded = manifest["checkpoints"][2]["sha256"].as_str().unwrap();
    let words = ["`logic` has changed", recorded, "and is", "put the old files back"];
    assert_says(&place.refused(place.export("out", &[])), &words);
    let mut checkpoint = place.command();
    checkpoint.arg("export").arg(place.run()).args(["--trial", UNIFORM, "-o"]);
    checkpoint.arg(place.path("out"));
    assert_says(&place.refused(checkpoint), &words);
}

/// The same bytes, whether or not a hub could say more of the models.
#[test]
fn what_is_exported_does_not_depend_on_a_connection() {
    let place = place();
    succeeded(&place.export("offline", &["--trial", "0"]).output().unwrap());
    let server = Server::start(&commit("base"), Default::default());
    let said = serde_json::json!({ "cardData": { "license": "mit" }, "sha": commit("base") });
    server.with(|state| {
        state.id = Some("tiny/base".to_owned());
        state.page = said;
    });
    let mut export = place.export("online", &["--trial", "0"]);
    export.env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", &server.endpoint);
    succeeded(&export.output().unwrap());
    assert!(super::files(&place.path("offline")) == super::files(&place.path("online")));
}

/// The quickstart's tasks have a blank between question and choice, which the class does not add.
#[test]
fn papers_say_which_delimiters_the_class_lacks() {
    let place = place();
    succeeded(&place.export("out", &[]).output().unwrap());
    for paper in ["README.md", "REPORT.md"] {
        let text = fs::read_to_string(place.path("out").join(paper)).unwrap();
        let words =
            ["measured under other prompts", "`target_delimiter` \" \" of arithmetic, logic"];
        assert_says(&text, &words);
    }
}

#[test]
fn a_changed_manifest_is_not_believed() {
    let place = place();
    let file = place.run().join("manifest.json");
    let manifest = fs::read_to_string(&file).unwrap();
    fs::write(&file, manifest.replace("name = \\\"quickstart\\\"", "name = \\\"mine\\\"")).unwrap();
    assert_says(&place.refused(place.export("out", &[])), &["manifest.json", "space"]);
}

#[test]
fn a_missing_expert_is_named_with_how_to_get_it() {
    let place = place();
    fs::remove_dir_all(place.path("hub/models--tiny--logic")).unwrap();
    let said = place.refused(place.export("out", &[]));
    assert_says(&said, &["`logic`", "tiny/logic", "hf download"]);
}

#[test]
fn a_revision_that_no_longer_exists_is_named() {
    let place = place();
    fs::remove_dir_all(place.path("hub/models--tiny--logic")).unwrap();
    let server = Server::start(&commit("base"), Default::default());
    let mut export = place.export("out", &[]);
    export.env("HF_HUB_OFFLINE", "0").env("HF_ENDPOINT", &server.endpoint);
    let said = place.refused(export);
    assert_says(&said, &["`logic`", "tiny/logic", &commit("logic"), "gone from the hub"]);
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let place = place();
    let used = place.path("used");
    fs::create_dir_all(&used).unwrap();
    fs::write(used.join("mine.txt"), "mine").unwrap();
    assert_says(&place.refused(place.export("used", &[])), &["used exists and is not empty"]);
    assert_eq!(names(&used), ["mine.txt"]);
    // A file where a folder would have to be: no user can write there, root included.
    let said = place.refused(place.export("used/mine.txt/out", &[]));
    assert_says(&said, &["mine.txt/out"]);
}

#[test]
fn trials_and_options_that_there_are_not() {
    let place = place();
    let refused = |more: &[&str]| place.refused(place.export("out", more));
    assert_says(&refused(&["--trial", "999"]), &["--trial 999", "has trials 0 to"]);
    assert_says(&refused(&["--class-name", "my-merge"]), &["my-merge", "MyMerge"]);
    assert_says(
        &refused(&["--class-name", "LlamaAvg"]),
        &["kit has a class or a method of that name"],
    );
    assert_says(&refused(&["--class-name", "Reader"]), &["the file uses that name itself"]);
    assert_says(&refused(&["--class-name", "Path"]), &["the file uses that name itself"]);
    assert_says(&refused(&["--scorer", "f1"]), &["kit, kit_fixed, acc, acc_norm"]);
    assert_says(&refused(&["--published", "logic=tiny/logic@main"]), &["40 hexadecimal digits"]);
    let unknown = format!("maths=tiny/logic@{}", commit("logic"));
    let words = ["no model `maths`", "base, arithmetic, logic, strings, agreement"];
    assert_says(&refused(&["--published", &unknown]), &words);
    assert_says(&refused(&["--max-gen-len", "9999"]), &["9999 new tokens", "--max-gen-len"]);
    let mut plain = place.command();
    plain.arg("export").arg(place.run()).args(["--scorer", "kit", "-o"]).arg(place.path("out"));
    assert_says(&place.refused(plain), &["--scorer is for submissions", "--format competition"]);
}

/// The rules ask for public models: a folder of the user's must be said to be published.
#[test]
fn a_local_expert_needs_its_published_name() {
    let place = place();
    copy(&repository().join("datasets"), &place.path("datasets"));
    let local = place.path("mine");
    fs::rename(place.cached("logic"), &local).unwrap();
    let space = fs::read_to_string(place.space()).unwrap();
    let id = format!("tiny/logic@{}", commit("logic"));
    fs::write(place.space(), space.replace(&id, &local.display().to_string())).unwrap();
    fs::remove_dir_all(place.path("results")).unwrap();
    place.search("2");
    let said = place.refused(place.export("out", &[]));
    assert_says(&said, &["`logic` is the local folder", "rules", "--published logic="]);
    // Nothing of that name is in the cache: nobody can tell whether it is the same.
    let published = ["--published", &format!("logic={id}")];
    let output = place.export("out", &published).output().unwrap();
    succeeded(&output);
    assert_says(&text(&output.stderr), &["not in the cache"]);
    let recipe = fs::read_to_string(place.path("out/mergekit_config.yml")).unwrap();
    assert!(recipe.contains(&id) && !recipe.contains("/mine"), "{recipe}");
    let readme = fs::read_to_string(place.path("out/README.md")).unwrap();
    assert_says(&readme, &[&format!("--published logic={id}")]);
    // Known to have no safetensors, by the catalogue and by the cache.
    let known = "facebook/bart-large-xsum@fb8c7a91748fb92870861bfbe68f245cf810306c";
    let cached = format!("tiny/pickled@{}", commit("base"));
    let pickled = place.path("hub/models--tiny--pickled/snapshots").join(commit("base"));
    fs::create_dir_all(&pickled).unwrap();
    fs::copy(place.cached("base").join("config.json"), pickled.join("config.json")).unwrap();
    fs::write(pickled.join("pytorch_model.bin"), "a pickle").unwrap();
    for place_of in [known, &cached] {
        let option = format!("logic={place_of}");
        let said = place.refused(place.export("out2", &["--published", &option]));
        assert_says(&said, &[place_of, "no safetensors", "upload the converted folder"]);
    }
    // In the cache, but another model.
    let other = format!("logic=tiny/strings@{}", commit("strings"));
    let said = place.refused(place.export("out2", &["--published", &other]));
    assert_says(&said, &["its digest is", "publish the folder as it is"]);
    // An adapter that the run's model does not have.
    let adapted = format!("logic={id}+tiny/lora@{}", commit("base"));
    let said = place.refused(place.export("out2", &["--published", &adapted]));
    assert_says(&said, &["has no adapter"]);
    fs::remove_dir_all(&local).unwrap();
    let said = place.refused(place.export("out2", &published));
    assert_says(&said, &["`logic`", "mine", "put", "back"]);
}

#[test]
fn a_run_judged_by_two_metrics_has_to_say_how_choices_are_scored() {
    let place = place();
    let file = place.run().join("manifest.json");
    let manifest = fs::read_to_string(&file).unwrap();
    let odd = manifest.replacen("\"metric\": \"acc\"", "\"metric\": \"acc_bytes\"", 1);
    assert_ne!(odd, manifest);
    fs::write(&file, odd).unwrap();
    let said = place.refused(place.export("out", &["--trial", "0"]));
    assert_says(&said, &["judged by acc, acc_bytes", "--scorer", "kit_fixed"]);
    // Nor can it be said for predictions.
    let data = place.path("rows.csv");
    fs::write(&data, "id,input,eval_type,answer_choices\n0,q,multiple_choice,\"['a', 'b']\"\n")
        .unwrap();
    let mut predict = place.command();
    predict.arg("predict").arg(place.run()).args(["--trial", "0", "--data"]).arg(data);
    let said = place.refused({
        predict.arg("-o").arg(place.path("out.csv"));
        predict
    });
    assert_says(&said, &["judged by acc, acc_bytes", "--scorer"]);
}

#[test]
fn the_help_names_what_belongs_to_submissions() {
    let help = succeeded(&program().args(["export", "--help"]).output().unwrap());
    for option in ["--class-name", "--published", "--scorer", "--dry-run-kit", "--dry-run-report"] {
        assert_says(&help, &[option]);
    }
}
