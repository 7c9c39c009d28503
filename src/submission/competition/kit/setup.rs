//! `setup.py`, which both generations of the kit let a submission replace.

use super::requirements::requirements;

/// Where it lies, which decides how it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupPlace {
    /// `setup.py`, at the kit's head.
    Root,
    /// `llm_merging/setup.py`, in the generation of entry points; called from the folder above all the same.
    Package,
}

impl SetupPlace {
    /// Its path in the kit.
    pub fn path(self) -> &'static str {
        match self {
            SetupPlace::Root => "setup.py",
            SetupPlace::Package => "llm_merging/setup.py",
        }
    }
}

/// The same for both places: the kit's package with the entry point of the class beside the kit's own, and with all that the
/// class (`text` is its file) imports.
pub fn setup_file(class: &str, method: &str, text: &str) -> String {
    let required: String =
        requirements(text).iter().map(|name| format!("        \"{name}\",\n")).collect();
    format!(
        r#""""Installs the starter kit with {class}; to be called from the folder that holds llm_merging."""

from setuptools import find_namespace_packages, setup

setup(
    name="llm_merging",
    version="1.0",
    description="LLM Merging Competition: {class}",
    packages=find_namespace_packages(include=["llm_merging", "llm_merging.*"]),
    install_requires=[
{required}    ],
    entry_points={{
        "llm_merging.merging.Merges": [
            "llama_avg = llm_merging.merging.LlamaAvg:LlamaAvg",
            "flan_t5_avg = llm_merging.merging.FlanT5Avg:FlanT5Avg",
            "{method} = llm_merging.merging.{class}:{class}",
        ],
    }},
)
"#
    )
}
