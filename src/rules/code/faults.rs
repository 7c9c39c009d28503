//! What should not stand in the code of a submission.

use regex::Regex;

use super::python::Source;

/// Something of that kind in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) what: &'static str,
    /// How it stands there.
    pub(super) found: String,
}

/// Where a pattern is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Code, its texts and comments left out.
    Code,
    /// Texts in quotes.
    Text,
}

use Within::{Code, Text};

type Pattern = (Within, &'static str, &'static str);

pub(super) const DEVICES_PATHS_CALLS: [Pattern; 15] = [
    (Text, r"\bcuda:\d+", "device id"),
    (Text, r"CUDA_VISIBLE_DEVICES", "device id"),
    (Code, r"(?:\.cuda|set_device)\(\s*\d+", "device id"),
    (Code, r"\bdevice(?:_map)?\s*=\s*\d+", "device id"),
    (Code, r"\.to\(\s*\d+", "device id"),
    (Code, r"\bdevice\s*\([^)]*,\s*(?:index\s*=\s*)?\d+", "device id"),
    (Code, r"\bdevice_map\s*=\s*\{[^}]*:\s*\d+", "device id"),
    // A whole text that is a path, or a path below one of the usual roots within a text.
    (Text, r"^~?(?:/[\w.+@-]+)+/?$", "absolute path"),
    (
        Text,
        r"(?:/(?:home|root|mnt|tmp|usr|opt|scratch|workspace|kaggle|content|Users)/[\w.-]+|\b[A-Z]:\\+\w)",
        "absolute path",
    ),
    (Code, r"(?:^|[^\w.])(?:eval|exec|__import__)\s*\(", "runs text as code"),
    (
        Code,
        r"\b(?:subprocess|os\s*\.\s*(?:system|popen|exec\w*|spawn\w*|fork)|multiprocessing|ctypes|pty)\b",
        "another process",
    ),
    (
        Code,
        r"\b(?:requests|urllib\d?|httpx?|aiohttp|socket|ftplib|paramiko|websockets?)\b\s*(?:\.|$|\bas\b|\bimport\b)",
        "network",
    ),
    (Code, r"\b(?:upload_\w+|push_to_hub|create_repo|HfApi|load_dataset)\b", "network"),
    (Code, r"\btrust_remote_code\s*=\s*True", "runs a repository's code"),
    (Code, r"\b(?:pickle|torch\s*\.\s*load)\b", "runs what a file says (pickle)"),
];

pub(super) const RANDOM: [Pattern; 4] = [
    (Code, r"\btorch\s*\.\s*(?:rand\w*|bernoulli|multinomial|normal)\b", "random numbers"),
    (Code, r"(?:^|[^\w])(?:np\.|numpy\.)?random\s*\.", "random numbers"),
    (Code, r"\bdo_sample\s*=\s*True", "texts are sampled"),
    (
        Code,
        r"\b(?:time\s*\.\s*time|datetime\s*\.|uuid\s*\.|os\s*\.\s*urandom)",
        "differs from run to run",
    ),
];

/// By line.
pub(super) fn faults(patterns: &[Pattern], source: &Source) -> Vec<Fault> {
    let mut found = Vec::new();
    for (within, pattern, what) in patterns {
        let Ok(pattern) = Regex::new(pattern) else { continue };
        let places = if *within == Code { &source.code } else { &source.texts };
        for (line, text) in places {
            let matched = pattern.find_iter(text).map(|matched| matched.as_str().trim());
            found.extend(matched.map(|matched| Fault { line: *line, what, found: short(matched) }));
        }
    }
    found.sort_by_key(|fault| fault.line);
    found.dedup();
    found
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        for (_, pattern, _) in DEVICES_PATHS_CALLS.iter().chain(&RANDOM) {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
        }
    }
}
