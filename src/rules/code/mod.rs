//! What the Python code of a submission does, read and not run.

mod faults;
mod python;

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Finding, Verdict};
use faults::{DEVICES_PATHS_CALLS, Fault, RANDOM, faults};
use python::Source;

/// `[code]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRules {
    /// Who says so.
    pub source: String,
    /// Packages that the organisers' environment has, by the names they are imported by.
    pub imports: Vec<String>,
}

/// Python's own modules that reach neither the network nor other processes.
const STANDARD: [&str; 34] = [
    "__future__",
    "abc",
    "array",
    "ast",
    "base64",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "enum",
    "functools",
    "gc",
    "glob",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
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
    "zlib",
];

/// One file; `requirements` is the text of the submission's `setup.py`.
pub fn check(rules: &CodeRules, file: &str, text: &str, requirements: &str) -> Vec<Finding> {
    let source = Source::read(text);
    vec![
        contents(file, &source),
        imports(rules, file, &source, requirements),
        reproducible(file, &source),
    ]
}

fn contents(file: &str, source: &Source) -> Finding {
    let found = faults(&DEVICES_PATHS_CALLS, source);
    let verdict = if found.is_empty() { Verdict::Pass } else { Verdict::Fail };
    let evidence = match found.is_empty() {
        true => format!(
            "{} lines without device ids, absolute paths, other processes, eval or downloads but the hub's",
            source.lines
        ),
        false => listed(&found),
    };
    Finding::new("code", file, verdict, evidence).remedy(
        "take it out: devices come from the kit, files from the hub by repository and revision",
    )
}

fn reproducible(file: &str, source: &Source) -> Finding {
    let found = faults(&RANDOM, source);
    let (verdict, evidence) = match found.is_empty() {
        true => (Verdict::Pass, "no random numbers, no clock, greedy texts".to_owned()),
        false => (Verdict::Warn, listed(&found)),
    };
    Finding::new("reproducible", file, verdict, evidence)
        .remedy("fix the seed, run the kit twice and compare the CSV files byte by byte")
}

fn listed(found: &[Fault]) -> String {
    let said = |fault: &Fault| format!("line {}: {} ({})", fault.line, fault.what, fault.found);
    found.iter().map(said).collect::<Vec<_>>().join("; ")
}

fn imports(rules: &CodeRules, file: &str, source: &Source, requirements: &str) -> Finding {
    let modules: BTreeSet<&str> = source.imports().collect();
    let allowed =
        |module: &&str| STANDARD.contains(module) || rules.imports.iter().any(|own| own == module);
    let others: Vec<&str> = modules.iter().copied().filter(|module| !allowed(module)).collect();
    let installed = |module: &&str| {
        let name = module.replace('_', "-");
        [*module, &name].iter().any(|name| {
            ['"', '\''].iter().any(|quote| requirements.contains(&format!("{quote}{name}")))
        })
    };
    let missing: Vec<&str> = others.iter().copied().filter(|module| !installed(module)).collect();
    let (verdict, evidence) = match (others.is_empty(), missing.is_empty()) {
        (true, _) => (Verdict::Pass, words(modules)),
        (false, true) => (
            Verdict::Warn,
            format!("{}: not in the organisers' environment, but in setup.py", words(others)),
        ),
        (false, false) => (
            Verdict::Fail,
            format!("{}: neither in the organisers' environment nor in setup.py", words(missing)),
        ),
    };
    Finding::new("imports", file, verdict, evidence)
        .remedy("do without, or name the package in install_requires of setup.py")
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
