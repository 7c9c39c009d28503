//! What has to be installed for a Python file to run.

use std::collections::BTreeSet;

/// Python's own modules that generated classes may import; none of them reaches the network or another process.
pub const STANDARD: [&str; 30] = [
    "__future__",
    "ast",
    "base64",
    "collections",
    "concurrent",
    "contextlib",
    "copy",
    "dataclasses",
    "functools",
    "gc",
    "glob",
    "hashlib",
    "heapq",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "os",
    "pathlib",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "typing",
    "unicodedata",
    "warnings",
];

/// What the kit imports by itself, of both generations.
const KIT: [&str; 7] =
    ["evaluate", "pandas", "peft", "safetensors", "torch", "tqdm", "transformers"];

/// The distributions that the kit and a class import, sorted; of transformers the version that the class asks for.
pub(super) fn requirements(class: &str) -> BTreeSet<String> {
    let imported = class.lines().filter_map(module);
    let others = imported.filter(|module| !STANDARD.contains(module) && *module != "llm_merging");
    let asked = class.split_once("require_version(\"").and_then(|(_, rest)| rest.split_once('"'));
    let named = |module: &str| match asked {
        Some((asked, _)) if module == "transformers" => asked.to_owned(),
        _ => module.replace('_', "-"),
    };
    KIT.into_iter().chain(others).map(named).collect()
}

/// The first part of what a line imports; code of functions is not looked at.
fn module(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("import ").or_else(|| line.strip_prefix("from "))?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end]).filter(|module| !module.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_parties_are_required_and_python_is_not() {
        let class = "import json\nfrom concurrent.futures import Future\nimport numpy as np\nfrom huggingface_hub import snapshot_download\n\
                     from llm_merging.merging.Merges import Merges\nimport torch.nn\n    import x\nfrom . import y\n";
        let all = requirements(class);
        let beside: Vec<&str> =
            all.iter().map(String::as_str).filter(|name| !KIT.contains(name)).collect();
        assert_eq!(beside, ["huggingface-hub", "numpy"]);
        assert!(all.contains("torch") && all.contains("transformers"));
        let asking = format!("{class}    require_version(\"transformers>=4.43\", \"x\")\n");
        assert!(requirements(&asking).contains("transformers>=4.43"));
        assert!(!requirements(&asking).contains("transformers"));
    }
}
