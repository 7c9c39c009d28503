//! The Python code, put together from the fragments that a recipe needs.

use std::collections::BTreeSet;

/// A piece of Python with its own imports at the top.
struct Fragment {
    name: &'static str,
    text: &'static str,
    /// Fragments that it calls.
    needs: &'static [&'static str],
}

macro_rules! fragments {
    ($($name:literal needs $needs:expr),* $(,)?) => {
        &[$(Fragment {
            name: $name,
            text: include_str!(concat!("python/", $name, ".py")),
            needs: &$needs,
        }),*]
    };
}

/// In the order in which they stand in the file. Those that are operations, or ways to keep elements, have the name of their
/// function.
const FRAGMENTS: &[Fragment] = fragments!(
    "folders" needs [],
    "unadapted" needs ["folders"],
    "adapter" needs ["folders"],
    "products" needs [],
    "combination" needs ["products"],
    "largest" needs [],
    "mask" needs [],
    "keep_largest" needs ["largest"],
    "keep_below_outliers" needs ["largest"],
    "keep_random" needs ["mask"],
    "keep_ranked" needs ["mask"],
    "dense" needs [],
    "sparse" needs [],
    "copy" needs [],
    "given" needs [],
    "linear" needs [],
    "slerp" needs ["products"],
    "task_vectors" needs [],
    "elected_task_vectors" needs [],
    "nuslerp" needs ["products", "combination"],
    "multislerp" needs ["combination"],
    "karcher" needs ["combination"],
    "sce" needs ["products", "largest"],
    "shared_updates" needs [],
    "ram" needs ["shared_updates"],
    "ramplus_tl" needs ["shared_updates"],
    "model_stock" needs ["products"],
    "nearswap" needs [],
    "arcee_fusion" needs [],
    "geometric_median" needs ["combination"],
);

/// What calls the others.
const MERGED_TENSORS: &str = include_str!("python/merged_tensors.py");

/// The code for these operations, and the import lines that it needs.
pub(super) fn code(used: &BTreeSet<&'static str>, has_adapter: bool) -> (String, BTreeSet<String>) {
    let reader = if has_adapter { "adapter" } else { "unadapted" };
    // Sparse and dense task vectors in one recipe are told apart by their parameters.
    let dense = used.contains("dense") && !used.contains("sparse");
    let wanted = used.iter().copied().filter(|name| *name != "dense" || dense);
    let needed = closure(wanted.chain([reader]));
    let (mut bodies, mut imports) = (Vec::new(), BTreeSet::new());
    let texts = FRAGMENTS.iter().filter(|it| needed.contains(it.name)).map(|it| it.text);
    for text in texts.chain([MERGED_TENSORS]) {
        let (own, body) = split(text);
        imports.extend(own);
        bodies.push(body);
    }
    let keeping = used.iter().filter(|name| name.starts_with("keep_"));
    let operations = FRAGMENTS.iter().filter(|it| used.contains(it.name) && is_operation(it.name));
    let keeping = table("KEEPING", keeping.copied());
    let operations = table("OPERATIONS", operations.map(|it| it.name));
    let tables = [keeping, operations].into_iter().flatten().collect::<Vec<_>>().join("\n");
    bodies.push(&tables);
    (bodies.join("\n\n"), imports)
}

/// These and all that they need.
fn closure(names: impl Iterator<Item = &'static str>) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<&str> = names.collect();
    while let Some(name) = open.pop() {
        if needed.insert(name) {
            let fragment = FRAGMENTS.iter().find(|it| it.name == name);
            open.extend(fragment.map(|it| it.needs).unwrap_or_default());
        }
    }
    needed
}

fn is_operation(name: &str) -> bool {
    !name.starts_with("keep_") && !matches!(name, "dense" | "sparse")
}

/// The imports at the top, and the rest without blank lines around it.
fn split(text: &'static str) -> (Vec<String>, &'static str) {
    let is_import = |line: &str| line.starts_with("import ") || line.starts_with("from ");
    let imports = text.lines().filter(|line| is_import(line)).map(str::to_owned).collect();
    let start = text.lines().take_while(|line| line.is_empty() || is_import(line));
    let skipped: usize = start.map(|line| line.len() + 1).sum();
    (imports, text.get(skipped..).unwrap_or_default())
}

/// A dictionary of functions by their names.
fn table(name: &str, functions: impl Iterator<Item = &'static str>) -> Option<String> {
    let lines: String = functions.map(|it| format!("    \"{it}\": {it},\n")).collect();
    (!lines.is_empty()).then(|| format!("{name} = {{\n{lines}}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(text: &str) -> impl Iterator<Item = &str> {
        text.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next())
    }

    #[test]
    fn what_a_fragment_needs_is_there_and_stands_before_it() {
        for (place, fragment) in FRAGMENTS.iter().enumerate() {
            for needed in fragment.needs {
                assert!(FRAGMENTS[..place].iter().any(|it| it.name == *needed), "{needed}");
            }
        }
    }

    /// `read_tensor` and `weighted_delta` have two forms each, of which a file has one.
    #[test]
    fn no_two_fragments_have_a_function_of_the_same_name() {
        let texts = FRAGMENTS.iter().map(|it| it.text).chain([MERGED_TENSORS]);
        let mut names: Vec<&str> = texts.flat_map(functions).collect();
        names.sort_unstable();
        let twice: Vec<&str> =
            names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert_eq!(twice, ["read_tensor", "weighted_delta"]);
    }

    #[test]
    fn operations_are_functions_of_their_fragment() {
        let own = FRAGMENTS
            .iter()
            .filter(|it| it.name.starts_with("keep_") || it.text.contains("def slerp"));
        for fragment in own {
            assert_eq!(functions(fragment.text).next(), Some(fragment.name));
        }
    }

    #[test]
    fn only_what_is_needed_is_there() {
        let (code, imports) = code(&BTreeSet::from(["linear"]), false);
        let expected =
            ["snapshot", "model_folder", "weight_files", "stored_tensor", "read_tensor", "linear"];
        let rest = ["merged_tensors", "merged"];
        assert_eq!(functions(&code).collect::<Vec<_>>(), [&expected[..], &rest[..]].concat());
        assert!(code.ends_with("OPERATIONS = {\n    \"linear\": linear,\n}\n"));
        assert!(!imports.contains("import torch") && imports.contains("import json"));
    }
}
