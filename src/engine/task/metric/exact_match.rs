//! `exact_match` of lm-eval 0.4.13, which is that of Hugging Face's `evaluate`.

use super::python_re::Pattern;
use super::python_str;

/// What of both texts is left out before they are compared, in this order.
///
/// Nothing else is: a blank at the end makes a difference. Lower case is Python's `str.lower`; lm-eval's own, through NumPy,
/// also cuts a text whose lower case is longer ("İ").
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExactMatch {
    /// Every match is removed, one pattern after the other. A pattern that backtracks without end removes nothing.
    pub regexes_to_ignore: Vec<Pattern>,
    /// Both texts in lower case.
    pub ignore_case: bool,
    /// Without the 32 marks of ASCII.
    pub ignore_punctuation: bool,
    /// Without the ten digits of ASCII.
    pub ignore_numbers: bool,
}

impl ExactMatch {
    pub(super) fn score(&self, reference: &str, candidate: &str) -> f64 {
        f64::from(u8::from(self.compared(reference) == self.compared(candidate)))
    }

    fn compared(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for pattern in &self.regexes_to_ignore {
            text = pattern.remove(&text).unwrap_or(text);
        }
        if self.ignore_case {
            text = text.to_lowercase();
        }
        if self.ignore_punctuation {
            text.retain(|character| !python_str::is_punctuation(character));
        }
        if self.ignore_numbers {
            text.retain(|character| !character.is_ascii_digit());
        }
        text
    }
}
