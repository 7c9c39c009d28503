//! Methods of Python's `str` where Rust's differ, or where lm-eval's and HELM's formulas name them.

/// `string.punctuation`: the 32 marks of ASCII.
pub(super) fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
}

/// `str.isspace` of one character. Python counts the four information separators as blanks (bidirectional types B and S),
/// which are not in Unicode's White_Space.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// `str.strip()`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.split()`: the words between blanks.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Python 3.11: "".join(c for c in map(chr, range(0x110000)) if c.isspace())
    const PYTHON_SPACES: &str = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\
        \u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\
        \u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

    #[test]
    fn blanks_are_pythons() {
        let ours: String = ('\0'..=char::MAX).filter(|character| is_space(*character)).collect();
        assert_eq!(ours, PYTHON_SPACES);
    }

    #[test]
    fn punctuation_is_pythons() {
        let ours: String = ('\0'..=char::MAX).filter(|mark| is_punctuation(*mark)).collect();
        assert_eq!(ours, r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##);
    }

    #[test]
    fn strips_and_splits() {
        assert_eq!(strip("\u{1f}\u{3000} a b\u{1c}\n"), "a b");
        assert_eq!(words(" a\u{1d}b\n\nc ").collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
