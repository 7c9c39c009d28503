//! When a text ends, and where it is cut: `MultiTokenEOSCriteria` and `postprocess_generated_text` of lm-eval 0.4.13.

use tokenizers::{Result, Tokenizer};

/// What stands for bytes that are no character, or none yet.
const REPLACEMENT: char = '\u{FFFD}';

/// A text that is growing.
pub(super) struct Ending<'a> {
    tokenizer: &'a Tokenizer,
    until: &'a [String],
    stop: &'a [u32],
    limit: usize,
    tokens: Vec<u32>,
    tail: Tail,
    finished: bool,
}

/// The end of the text so far. A token may be a part of a character, and what is first in a text loses its blank: so the
/// newest tokens are decoded together with some that were decoded before, and what goes beyond those is new.
#[derive(Default)]
struct Tail {
    /// First token that is decoded again.
    from: usize,
    /// First token whose text is not known yet.
    known: usize,
    /// Text of the tokens between these.
    before: String,
    /// The last characters, enough of them to see any string of `until` that has just come about.
    last: String,
}

impl<'a> Ending<'a> {
    pub fn new(
        tokenizer: &'a Tokenizer,
        until: &'a [String],
        stop: &'a [u32],
        limit: usize,
    ) -> Self {
        let (tokens, tail) = (Vec::new(), Tail::default());
        Ending { tokenizer, until, stop, limit, tokens, tail, finished: false }
    }

    /// Takes the next token; whether another is wanted.
    pub fn push(&mut self, token: u32) -> Result<bool> {
        self.tokens.push(token);
        self.finished = self.stop.contains(&token) || self.until_is_reached()?;
        Ok(!self.finished && self.tokens.len() < self.limit)
    }

    /// The text without special tokens, cut; how many tokens it has; whether something ended it before the limit.
    pub fn finish(self) -> Result<(String, usize, bool)> {
        let text = decode(self.tokenizer, &self.tokens)?;
        Ok((cut(&text, self.until).to_owned(), self.tokens.len(), self.finished))
    }

    /// Looks at the end alone, and at the whole text where that has something: only the whole is decoded without doubt.
    fn until_is_reached(&mut self) -> Result<bool> {
        let Some(longest) = self.until.iter().map(String::len).filter(|bytes| *bytes > 0).max()
        else {
            return Ok(false);
        };
        if !self.tail.read(self.tokenizer, &self.tokens)? {
            return Ok(false);
        }
        let reached = contains(&self.tail.last, self.until)
            && contains(&decode(self.tokenizer, &self.tokens)?, self.until);
        self.tail.shorten(longest);
        Ok(reached)
    }
}

impl Tail {
    /// Adds the text of the tokens that are new; `false`: they make no character yet.
    fn read(&mut self, tokenizer: &Tokenizer, tokens: &[u32]) -> Result<bool> {
        let now = decode(tokenizer, &tokens[self.from..])?;
        if now.ends_with(REPLACEMENT) || now == self.before {
            return Ok(false);
        }
        match now.strip_prefix(&self.before) {
            Some(new) => self.last.push_str(new),
            // This tokenizer changes the text of earlier tokens.
            None => self.last = decode(tokenizer, tokens)?,
        }
        let newest = decode(tokenizer, &tokens[self.known..])?;
        if newest.is_empty() {
            // Were it decoded first, the next token would lose its blank.
            self.before = now;
        } else {
            (self.from, self.before) = (self.known, newest);
        }
        self.known = tokens.len();
        Ok(true)
    }

    /// Keeps what an occurrence of `longest` bytes may begin with.
    fn shorten(&mut self, longest: usize) {
        let start = self.last.floor_char_boundary(self.last.len().saturating_sub(longest));
        self.last.drain(..start);
    }
}

fn decode(tokenizer: &Tokenizer, tokens: &[u32]) -> Result<String> {
    tokenizer.decode(tokens, true)
}

fn contains(text: &str, until: &[String]) -> bool {
    until.iter().any(|until| !until.is_empty() && text.contains(until.as_str()))
}

/// What stands before the first of these strings, then before the second in what is left, and so on.
fn cut<'t>(text: &'t str, until: &[String]) -> &'t str {
    let until = until.iter().filter(|until| !until.is_empty());
    until.fold(text, |text, until| text.split(until.as_str()).next().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// Of 64 ids: of Llama's kind, of GPT-2's, of T5's.
    fn tokenizer(name: &str) -> Tokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("../../tests/reference/transformers/generate").join(name);
        Tokenizer::from_file(folder.join("tokenizer.json")).unwrap()
    }

    /// How many of `tokens` are taken, and what they come to.
    fn ended(
        tokenizer: &Tokenizer,
        until: &[String],
        tokens: &[u32],
    ) -> (usize, (String, usize, bool)) {
        let mut ending = Ending::new(tokenizer, until, &[], tokens.len());
        let taken = tokens.iter().position(|token| !ending.push(*token).unwrap());
        (taken.map_or(tokens.len(), |index| index + 1), ending.finish().unwrap())
    }

    const UNTIL: [&str; 12] =
        ["a", " a", "b ", "é", "€", "ab", "the a", "\n", "\n\n", "  ", "an the", "é é"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// The end of the text alone says the same as the whole text decoded after every token.
        #[test]
        fn a_text_ends_as_soon_as_the_whole_of_it_contains_a_string(
            name in prop::sample::select(vec!["llama", "gpt2", "t5"]),
            tokens in prop::collection::vec(0u32..64, 1..40),
            until in prop::sample::subsequence(UNTIL.to_vec(), 0..4),
        ) {
            let tokenizer = tokenizer(name);
            let until: Vec<String> = until.into_iter().map(str::to_owned).collect();
            let whole = |count: usize| tokenizer.decode(&tokens[..count], true).unwrap();
            let found = |count: &usize| until.iter().any(|until| whole(*count).contains(until));
            let expected = (1..=tokens.len()).find(found);
            let (taken, (text, count, finished)) = ended(&tokenizer, &until, &tokens);
            prop_assert_eq!(taken, expected.unwrap_or(tokens.len()));
            prop_assert_eq!((count, finished), (taken, expected.is_some()));
            prop_assert!(whole(taken).starts_with(&text));
            prop_assert!(!until.iter().any(|until| text.contains(until)));
        }
    }

    /// `postprocess_generated_text` splits by one string after the other: by `bc` first, which leaves no `ab`.
    #[test]
    fn strings_cut_one_after_another() {
        let until = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        assert_eq!(cut("abc", &until(&["bc", "ab"])), "a");
        assert_eq!(cut("abc", &until(&["ab", "bc"])), "");
        assert_eq!(cut("one two three", &until(&["", " three", "two"])), "one ");
        assert_eq!(cut("one", &[]), "one");
    }
}
