//! `*` in the names of a repository's files.

use regex::Regex;

use super::HubError;

/// A path in a repository, in which `*` stands for any part of a name and `**` for any part of a path.
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Pattern, HubError> {
        let wrong = || HubError::NotAPattern { pattern: text.to_owned() };
        if !is_inside(text) || text.contains(['?', '[', ']', '{', '}']) {
            return Err(wrong());
        }
        let parts: Vec<String> = text
            .split("**")
            .map(|part| part.split('*').map(regex::escape).collect::<Vec<_>>().join("[^/]*"))
            .collect();
        Regex::new(&format!("^{}$", parts.join(".*"))).map(Pattern).map_err(|_| wrong())
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// Whether a name of a listing, or a pattern, stays inside the repository's folder.
pub(super) fn is_inside(path: &str) -> bool {
    let plain = |word: &str| !word.is_empty() && word != "." && word != "..";
    path.split('/').all(plain) && !path.contains(['\\', '\0', '\n', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_name() {
        let matches = |pattern, name| Pattern::parse(pattern).unwrap().matches(name);
        assert!(matches("data/validation-*.parquet", "data/validation-00000-of-00001.parquet"));
        assert!(!matches("data/*.parquet", "data/more/train.parquet"));
        assert!(matches("**/train.csv", "a/b/train.csv"));
        assert!(matches("a.jsonl", "a.jsonl") && !matches("a.jsonl", "aXjsonl"));
        for bad in ["", "../x", "/x", "a//b", "a\\b", "a[b]"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
