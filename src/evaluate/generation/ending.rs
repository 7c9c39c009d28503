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
