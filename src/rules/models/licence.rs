//! Licences by the hub's words for them, and how much they ask.

/// A model's licence, as its card has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    /// `license`: `apache-2.0`, `llama3`, `other`…
    pub id: String,
    /// `license_name`.
    pub name: Option<String>,
    /// `license_link`.
    pub link: Option<String>,
}

/// From the least demanding to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LicenceClass {
    /// Keep the notices: MIT, Apache, BSD, CC BY.
    Permissive,
    /// Results under the same licence: CC BY-SA, GPL.
    ShareAlike,
    /// Uses that are ruled out are passed on: BigScience RAIL, OpenRAIL.
    Rail,
    /// Meta's community licences.
    Llama,
    /// Google's terms of use.
    Gemma,
    /// Not for commerce.
    NonCommercial,
    /// A text of its own, to be read.
    Other,
    /// A card without a licence.
    Missing,
}

impl Licence {
    /// Of a card that names none.
    pub(super) const MISSING: &'static str = "missing";

    /// Without name and link.
    pub fn of(id: &str) -> Licence {
        Licence { id: id.trim().to_lowercase(), name: None, link: None }
    }

    /// The hub's word; where that is `other`, the name that the card gives, if it is a known one (`llama3`).
    pub fn word(&self) -> String {
        let name = self.name.as_ref().map(|name| todays_word(name));
        match name {
            Some(name) if self.id == "other" && class(&name) != LicenceClass::Other => name,
            _ => todays_word(&self.id),
        }
    }

    /// How much it asks.
    pub fn class(&self) -> LicenceClass {
        class(&self.word())
    }

    /// Whether one of `patterns`, of which a `*` at the end stands for anything, is its word.
    pub(super) fn is_one_of(&self, patterns: &[String]) -> bool {
        let word = self.word();
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => word.starts_with(start),
            None => word == *pattern,
        })
    }
}

/// `Llama 3`, `llama-3` and `LLAMA3` are `llama3`; so are the community licences by their full names.
fn todays_word(text: &str) -> String {
    let word = text.trim().to_lowercase().replace([' ', '_'], "-");
    let word = word.replace("meta-llama", "llama").replace("llama-", "llama");
    match word.strip_suffix("-license").unwrap_or(&word).strip_suffix("-community") {
        Some(short) if short.starts_with("llama") => short.to_owned(),
        _ => word,
    }
}

fn class(word: &str) -> LicenceClass {
    const PERMISSIVE: [&str; 14] = [
        "mit",
        "apache-2.0",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "bsl-1.0",
        "cc0-1.0",
        "unlicense",
        "isc",
        "zlib",
        "cc-by-2.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "odc-by",
    ];
    let starts = |starts: &[&str]| starts.iter().any(|start| word.starts_with(start));
    if PERMISSIVE.contains(&word) {
        LicenceClass::Permissive
    } else if word == Licence::MISSING {
        LicenceClass::Missing
    } else if starts(&["cc-by-sa", "gpl", "lgpl", "agpl"]) {
        LicenceClass::ShareAlike
    } else if starts(&["bigscience-", "openrail", "bigcode-openrail", "creativeml-openrail"]) {
        LicenceClass::Rail
    } else if is_llama(word) {
        LicenceClass::Llama
    } else if word == "gemma" {
        LicenceClass::Gemma
    } else if word.starts_with("cc-by-nc") {
        LicenceClass::NonCommercial
    } else {
        LicenceClass::Other
    }
}

/// `llama2`, `llama3.1`…, but no licence that somebody else named after one.
fn is_llama(word: &str) -> bool {
    let version = word.strip_prefix("llama");
    version.is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()) && it.len() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hub's list of licences, and what cards of gated models write behind `license: other`.
    #[test]
    fn words_of_the_hub_have_their_class() {
        let cases = [
            ("mit", LicenceClass::Permissive),
            ("Apache-2.0", LicenceClass::Permissive),
            ("bigscience-bloom-rail-1.0", LicenceClass::Rail),
            ("bigscience-openrail-m", LicenceClass::Rail),
            ("openrail", LicenceClass::Rail),
            ("cc-by-sa-4.0", LicenceClass::ShareAlike),
            ("llama2", LicenceClass::Llama),
            ("llama3", LicenceClass::Llama),
            ("llama3.1", LicenceClass::Llama),
            ("gemma", LicenceClass::Gemma),
            ("cc-by-nc-4.0", LicenceClass::NonCommercial),
            ("cc-by-nc-sa-4.0", LicenceClass::NonCommercial),
            ("other", LicenceClass::Other),
            ("llama-like-but-mine", LicenceClass::Other),
            ("missing", LicenceClass::Missing),
        ];
        for (word, class) in cases {
            assert_eq!(Licence::of(word).class(), class, "{word}");
        }
    }

    #[test]
    fn other_licences_go_by_their_name() {
        let named = |name: &str| Licence { name: Some(name.to_owned()), ..Licence::of("other") };
        assert_eq!(named("llama3").word(), "llama3");
        assert_eq!(named("Llama 3").word(), "llama3");
        assert_eq!(named("Meta Llama 3 Community License").word(), "llama3");
        assert_eq!(named("llama-3.1-community").word(), "llama3.1");
        assert_eq!(named("gemma-terms-of-use").class(), LicenceClass::Other);
        assert_eq!(named("my-own").word(), "other");
        assert!(named("llama-2").is_one_of(&["mit".to_owned(), "llama*".to_owned()]));
        assert!(!named("my-own").is_one_of(&["mit".to_owned(), "llama*".to_owned()]));
    }
}
