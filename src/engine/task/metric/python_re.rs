//! Python's `re`, on an engine that backtracks as Python's does.

use fancy_regex::{Captures, CompileError, Regex, RegexBuilder};

use super::python_syntax;

/// Steps back after which a search is given up, some tenths of a second's work. Python would go on.
const BACKTRACK_LIMIT: usize = 2_000_000;

/// Why a regular expression cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// A backslash before a letter that means nothing in Python.
    #[error("bad escape {escape} at character {place}")]
    Escape {
        /// With its backslash.
        escape: String,
        /// Counted from 1.
        place: usize,
    },
    /// A bracket or an extension that does not end, or that Python does not have here.
    #[error("{what} at character {place}")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// Counted from 1.
        place: usize,
    },
    /// What the engine says of the pattern, which it sees translated.
    #[error("the engine refuses it")]
    Engine(#[source] Box<fancy_regex::Error>),
}

/// A search that was given up for too much backtracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenUp;

/// A compiled pattern of Python's `re`.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
    /// The same at the very place where a search begins, and not empty; none if it is always empty.
    advancing: Option<Regex>,
}

/// Patterns are equal if they are written alike.
impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

fn engine(pattern: &str, find_not_empty: bool) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .backtrack_limit(BACKTRACK_LIMIT)
        .find_not_empty(find_not_empty)
        .build()
        .map_err(|source| PatternError::Engine(Box::new(source)))
}

fn is_always_empty(refusal: &fancy_regex::Error) -> bool {
    matches!(refusal, fancy_regex::Error::CompileError(error) if matches!(**error, CompileError::PatternCanNeverMatch))
}

impl Pattern {
    /// `re.compile(source)`, but a look-behind need not be of one width.
    pub fn compile(source: &str) -> Result<Pattern, PatternError> {
        let pattern = python_syntax::translate(source)?;
        let regex = engine(&pattern, false)?;
        let advancing = match engine(&format!(r"\G(?:{pattern})"), true) {
            Err(PatternError::Engine(refusal)) if is_always_empty(&refusal) => None,
            advancing => Some(advancing?),
        };
        Ok(Pattern { source: source.to_owned(), regex, advancing })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// `findall(text)`: of each match its groups, or the whole match if the pattern has none; an unused group is "".
    pub(super) fn find_all<'t>(&self, text: &'t str) -> Result<Vec<Vec<&'t str>>, GivenUp> {
        let groups = match self.regex.captures_len() {
            0 | 1 => 0..1,
            count => 1..count,
        };
        let group = |captures: &Captures<'t, str>, index| {
            captures.get(index).map_or("", |found| found.as_str())
        };
        let matches = self.matches(text)?;
        let of_each = |captures| groups.clone().map(|index| group(captures, index)).collect();
        Ok(matches.iter().map(of_each).collect())
    }

    /// `sub("", text)`; nothing if the search was given up.
    pub fn remove(&self, text: &str) -> Option<String> {
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for found in self.matches(text).ok()?.iter().filter_map(|captures| captures.get(0)) {
            kept.push_str(text.get(from..found.start())?);
            from = found.end();
        }
        kept.push_str(text.get(from..)?);
        Some(kept)
    }

    fn matches<'t>(&self, text: &'t str) -> Result<Vec<Captures<'t, str>>, GivenUp> {
        let mut matches = Vec::new();
        let (mut from, mut after_empty) = (0, false);
        while let Some(captures) = self.search(text, from, after_empty)? {
            let Some(found) = captures.get(0) else { break };
            (from, after_empty) = (found.end(), found.start() == found.end());
            matches.push(captures);
        }
        Ok(matches)
    }

    /// The next match, which may be empty right after another one, but not where an empty one was.
    fn search<'t>(
        &self,
        text: &'t str,
        from: usize,
        after_empty: bool,
    ) -> Result<Option<Captures<'t, str>>, GivenUp> {
        if !after_empty {
            return self.regex.captures_from_pos(text, from).map_err(|_| GivenUp);
        }
        let here = match &self.advancing {
            Some(advancing) => advancing.captures_from_pos(text, from).map_err(|_| GivenUp)?,
            None => None,
        };
        let next = text.get(from..).and_then(|rest| rest.chars().next());
        match (here, next) {
            (Some(here), _) => Ok(Some(here)),
            (None, None) => Ok(None),
            (None, Some(character)) => {
                self.regex.captures_from_pos(text, from + character.len_utf8()).map_err(|_| GivenUp)
            }
        }
    }
}
