//! Who may import whom. The table is the architecture (see the crate documentation of `lib.rs`): when the design has to
//! change, change both on purpose.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module → the modules of this crate that it may name.
const TABLE: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("recipe", &["units"]),
    ("outcome", &["units"]),
    ("space", &["recipe", "objective", "units"]),
    ("genome", &["space", "recipe", "units"]),
    ("optimizer", &["genome", "objective", "units"]),
    ("simd", &[]),
    ("hub", &["units"]),
    ("checkpoint", &["simd", "units"]),
    ("merge", &["recipe", "checkpoint", "simd", "units"]),
    ("model", &["checkpoint", "simd", "units"]),
    ("task", &["units", "hub"]),
    ("evaluate", &["units", "recipe", "outcome", "hub", "checkpoint", "merge", "model", "task"]),
    ("objective", &["units", "outcome"]),
    ("race", &["units", "outcome", "objective", "optimizer"]),
    ("record", &["units", "recipe", "genome", "outcome", "objective", "race"]),
    (
        "search",
        &[
            "units",
            "recipe",
            "outcome",
            "space",
            "genome",
            "optimizer",
            "checkpoint",
            "merge",
            "model",
            "task",
            "evaluate",
            "objective",
            "race",
            "record",
        ],
    ),
    ("analysis", &["units", "outcome", "record", "objective"]),
    ("target", &["units", "model"]),
    (
        "rules",
        &[
            "units",
            "recipe",
            "space",
            "hub",
            "checkpoint",
            "model",
            "task",
            "target",
            "record",
            "submission",
        ],
    ),
    ("submission", &["units", "recipe", "record", "checkpoint", "merge", "task"]),
];

/// Crate → the modules that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("candle_core", &["model", "evaluate"]),
    ("candle_nn", &["model"]),
    ("candle_transformers", &["model"]),
    ("polars", &["record", "analysis", "task"]),
    ("hf_hub", &["hub"]),
    ("ureq", &["hub"]),
    ("argmin", &["optimizer", "search"]),
    // Its modules have the names of this crate's.
    ("merge_search_engine", &[]),
];

/// Of the crate, and of the engine, whose modules are the crate's too.
fn source_roots() -> [PathBuf; 2] {
    ["src", "src/engine"].map(|root| Path::new(env!("CARGO_MANIFEST_DIR")).join(root))
}

/// Every source file of a module with its text, tests left out.
fn files(module: &str) -> Vec<(PathBuf, String)> {
    let either = |root: &PathBuf| [root.join(module), root.join(format!("{module}.rs"))];
    let places = source_roots().iter().flat_map(either).collect::<Vec<_>>();
    let mut stack: Vec<PathBuf> = places.into_iter().filter(|path| path.exists()).collect();
    let mut found = Vec::new();
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), code(&fs::read_to_string(&path).unwrap())));
        }
    }
    assert!(!found.is_empty(), "no source of `{module}`");
    found
}

/// Without comments and what stands behind `#[cfg(test)]`.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    before_tests
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// First path segments behind every `crate::`, those of grouped imports too.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, matched) in text.match_indices("crate::") {
        let rest = &text[at + matched.len()..];
        let group = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
        for part in group.map_or(vec![rest], |group| group.split(',').collect()) {
            let word: String = part
                .trim_start()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            found.insert(word);
        }
    }
    found.remove("");
    found
}

#[test]
fn modules_import_only_what_the_table_allows() {
    for (module, allowed) in TABLE {
        for (file, text) in files(module) {
            for import in imports(&text) {
                let ok = import == *module || allowed.contains(&import.as_str());
                assert!(ok, "{}: `{module}` may not import `{import}`", file.display());
            }
        }
    }
}

#[test]
fn crates_are_named_only_where_the_table_allows() {
    for (module, _) in TABLE {
        for (file, text) in files(module) {
            for (name, allowed) in CRATES {
                let named = text.contains(&format!("{name}::"));
                assert!(!named || allowed.contains(module), "{}: {name}", file.display());
            }
        }
    }
}

#[test]
fn the_table_has_every_module() {
    let lib = source_roots().map(|root| fs::read_to_string(root.join("lib.rs")).unwrap()).concat();
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let listed: BTreeSet<&str> = TABLE.iter().map(|(module, _)| *module).collect();
    assert_eq!(declared, listed);
}

#[test]
fn the_library_neither_prints_nor_reads_the_environment() {
    for (module, _) in TABLE {
        for (file, text) in files(module) {
            for word in ["println!", "eprintln!", "print!(", "dbg!", "std::env", "env::var"] {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let text = "use crate::{task, model::Llama};\nuse crate::space::Domain;\nlet x = crate::merge::plan();";
    let expected = ["merge", "model", "space", "task"].map(str::to_owned);
    assert_eq!(imports(text), BTreeSet::from(expected));
}
