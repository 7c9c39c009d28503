//! The import lines of a Python file in the usual order.

use std::collections::{BTreeMap, BTreeSet};

/// Packages that come with Python's package index, not with Python.
const OTHERS: [&str; 7] =
    ["huggingface_hub", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers"];

/// Python's own modules, then packages, then the starter kit's; each `import a` before `from a import b`, what comes from
/// one module in one line.
pub(super) fn import_lines(lines: BTreeSet<String>) -> String {
    let mut groups: [BTreeSet<String>; 3] = Default::default();
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        let from = line.strip_prefix("from ").and_then(|line| line.split_once(" import "));
        let Some((module, names)) = from else {
            groups[group(&line)].insert(format!("0{line}"));
            continue;
        };
        let names = names.split(", ").map(str::to_owned);
        named.entry(module.to_owned()).or_default().extend(names);
    }
    for (module, names) in named {
        let names: Vec<String> = names.into_iter().collect();
        let line = format!("1from {module} import {}", names.join(", "));
        groups[group(&module)].insert(line);
    }
    let text = |group: &BTreeSet<String>| -> String {
        group.iter().filter_map(|line| line.get(1..)).collect::<Vec<_>>().join("\n")
    };
    let texts: Vec<String> = groups.iter().map(text).filter(|text| !text.is_empty()).collect();
    texts.join("\n\n")
}

fn group(line: &str) -> usize {
    let module = line.strip_prefix("import ").unwrap_or(line);
    let package = module.split(['.', ' ']).next().unwrap_or_default();
    match package {
        "llm_merging" => 2,
        package if OTHERS.contains(&package) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As isort 5 with profile black orders them.
    #[test]
    fn imports_stand_in_their_groups() {
        let lines = [
            "from transformers import AutoModel",
            "import torch",
            "from llm_merging.merging.Merges import Merges",
            "from transformers import AutoConfig",
            "import re",
            "from pathlib import Path",
            "import numpy as np",
            "import json",
        ];
        let expected = "import json\nimport re\nfrom pathlib import Path\n\nimport numpy as np\nimport torch\n\
                        from transformers import AutoConfig, AutoModel\n\nfrom llm_merging.merging.Merges import Merges";
        assert_eq!(import_lines(lines.map(str::to_owned).into()), expected);
    }
}
