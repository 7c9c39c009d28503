//! Python's literals: lists, texts, numbers, `None`, `True` and `False`, as `ast.literal_eval` reads and `repr` writes them.
//!
//! lm-eval's templates render lists of choices in this form, and so is the starter kit's `answer_choices` column.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::{Number, Value};

/// Lists in lists in lists: deeper than any task has, shallow enough for any stack.
const DEEPEST: usize = 32;

/// Text that is no literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {character}: expected {expected}")]
pub struct LiteralError {
    /// Where reading stopped, counted from 1.
    pub character: usize,
    /// What would be valid there.
    pub expected: &'static str,
}

/// Reads one literal; a tuple becomes a list.
///
/// # Errors
/// The text is no literal, or is a dictionary, a set, bytes, a complex number or an integer beyond 64 bits.
pub fn parse(text: &str) -> Result<Value, LiteralError> {
    let mut reader = Reader { text, rest: text.char_indices().peekable() };
    let value = reader.value(0)?;
    reader.blanks();
    match reader.rest.peek() {
        None => Ok(value),
        Some(_) => Err(reader.expected("the end")),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, LiteralError> {
        self.blanks();
        match self.peek() {
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('\'' | '"') => self.texts(),
            Some('0'..='9' | '-' | '+' | '.') => self.number(),
            Some(letter) if letter.is_alphabetic() => self.word(),
            _ => Err(self.expected("a list, a text in quotes, a number, None, True or False")),
        }
    }

    fn list(&mut self, end: char, depth: usize) -> Result<Value, LiteralError> {
        if depth == DEEPEST {
            return Err(self.expected("no more than 32 lists in one another"));
        }
        self.rest.next();
        let mut items = Vec::new();
        let mut has_comma = end == ']';
        loop {
            self.blanks();
            if self.take(end) {
                break;
            }
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.take(',') {
                has_comma = true;
            } else if !self.take(end) {
                return Err(self.expected(if end == ']' { "`,` or `]`" } else { "`,` or `)`" }));
            } else {
                break;
            }
        }
        // `(1)` is 1, `(1,)` and `()` are tuples.
        match <[Value; 1]>::try_from(items) {
            Ok([only]) if !has_comma => Ok(only),
            Ok(only) => Ok(Value::Array(only.into())),
            Err(items) => Ok(Value::Array(items)),
        }
    }

    /// Texts that follow one another are one.
    fn texts(&mut self) -> Result<Value, LiteralError> {
        let mut text = String::new();
        while let Some(quote @ ('\'' | '"')) = self.peek() {
            self.rest.next();
            self.quoted(quote, &mut text)?;
            self.blanks();
        }
        Ok(Value::String(text))
    }

    fn quoted(&mut self, quote: char, text: &mut String) -> Result<(), LiteralError> {
        let is_triple = self.at(quote, 2);
        if is_triple {
            self.rest.next();
            self.rest.next();
        }
        loop {
            match self.peek() {
                Some(letter) if letter == quote && (!is_triple || self.at(quote, 3)) => break,
                Some('\\') => self.escape(text)?,
                Some('\n') if !is_triple => {
                    return Err(self.expected("the closing quote in the same line"));
                }
                Some(letter) => {
                    self.rest.next();
                    text.push(letter);
                }
                None => return Err(self.expected("the closing quote")),
            }
        }
        (0..if is_triple { 3 } else { 1 }).for_each(|_| {
            self.rest.next();
        });
        Ok(())
    }

    fn escape(&mut self, text: &mut String) -> Result<(), LiteralError> {
        self.rest.next();
        let letter = self.peek().ok_or_else(|| self.expected("a character after `\\`"))?;
        if letter.is_digit(8) {
            text.push(self.code(8, 1..=3)?);
            return Ok(());
        }
        self.rest.next();
        match letter {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(letter),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\u{b}'),
            'x' => text.push(self.code(16, 2..=2)?),
            'u' => text.push(self.code(16, 4..=4)?),
            'U' => text.push(self.code(16, 8..=8)?),
            'N' => return Err(self.expected("a character's number, not its name")),
            other => text.extend(['\\', other]),
        }
        Ok(())
    }

    fn code(
        &mut self,
        radix: u32,
        digits: std::ops::RangeInclusive<usize>,
    ) -> Result<char, LiteralError> {
        let mut code = 0;
        let mut count = 0;
        while let Some(digit) = self.peek().and_then(|letter| letter.to_digit(radix)) {
            if count == *digits.end() {
                break;
            }
            self.rest.next();
            code = code * radix + digit;
            count += 1;
        }
        let known = char::from_u32(code).filter(|_| digits.contains(&count));
        known.ok_or_else(|| self.expected("the number of a Unicode character"))
    }

    /// At most one sign, then digits; an integer has no zeros in front.
    fn number(&mut self) -> Result<Value, LiteralError> {
        let sign = if self.take('-') { "-" } else { "" };
        if sign.is_empty() {
            self.take('+');
        }
        self.blanks();
        let mut digits = self.run(|letter| letter.is_ascii_alphanumeric() || "._".contains(letter));
        if digits.ends_with(['e', 'E']) {
            digits += &self.run(|letter| letter.is_ascii_digit() || "+-".contains(letter));
        }
        let plain = format!("{sign}{}", digits.replace('_', ""));
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        let has_zeros =
            digits.len() > 1 && digits.starts_with('0') && digits.contains(|c| c != '0');
        let number = match is_integer {
            true if has_zeros => None,
            true => plain.parse::<i64>().ok().map(Number::from),
            false => plain.parse::<f64>().ok().and_then(Number::from_f64),
        };
        number
            .map(Value::Number)
            .ok_or_else(|| self.expected("a decimal number of at most 64 bits before this"))
    }

    fn word(&mut self) -> Result<Value, LiteralError> {
        match self.run(char::is_alphanumeric).as_str() {
            "None" => Ok(Value::Null),
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            _ => Err(self.expected("quotes around the text before this, or None, True or False")),
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut letters = String::new();
        while let Some((_, letter)) = self.rest.next_if(|(_, letter)| belongs(*letter)) {
            letters.push(letter);
        }
        letters
    }

    fn blanks(&mut self) {
        while self.rest.next_if(|(_, letter)| " \t\n\r\u{c}".contains(*letter)).is_some() {}
    }

    fn take(&mut self, letter: char) -> bool {
        self.rest.next_if(|(_, next)| *next == letter).is_some()
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, letter)| *letter)
    }

    /// Whether the next `count` characters are all this one.
    fn at(&mut self, letter: char, count: usize) -> bool {
        self.rest.clone().map(|(_, next)| next).take(count).filter(|next| *next == letter).count()
            == count
    }

    fn expected(&mut self, expected: &'static str) -> LiteralError {
        let at = self.rest.peek().map_or(self.text.len(), |(at, _)| *at);
        let before = self.text.get(..at).unwrap_or(self.text);
        LiteralError { character: before.chars().count() + 1, expected }
    }
}

/// A text as Python's `repr` writes it.
pub fn write_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => out.extend(['\\', letter]),
            _ if is_printable(letter) => out.push(letter),
            _ => write_code(letter, out),
        }
    }
    out.push(quote);
}

fn write_code(letter: char, out: &mut String) {
    let code = u32::from(letter);
    // Writing to a text cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// `str.isprintable` but for the code points that Unicode has not assigned: false for its controls, formats, private
/// use, and blanks other than the space.
fn is_printable(letter: char) -> bool {
    !letter.is_control()
        && (letter == ' ' || !letter.is_whitespace())
        && !matches!(u32::from(letter),
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e | 0x200b..=0x200f
            | 0x202a..=0x202e | 0x2060..=0x206f | 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0x110bd | 0x110cd
            | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0001 | 0xe0020..=0xe007f
            | 0xf0000..=0x10ffff)
}

/// A float as Python writes it: the fewest digits that read back the same, with an exponent below 1e-4 and from 1e16.
pub fn float(number: f64) -> String {
    if !number.is_finite() {
        return number.to_string().to_lowercase();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..16).contains(&exponent) => format!("{number:?}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Written by tests/reference/jinja/jinja.py.
    const REFERENCE: &str = include_str!("../../../tests/reference/jinja/jinja.json");

    fn reference() -> Value {
        serde_json::from_str(REFERENCE).unwrap()
    }

    fn repr(value: &Value) -> String {
        let mut out = String::new();
        match value {
            Value::Null => out.push_str("None"),
            Value::Bool(flag) => out.push_str(if *flag { "True" } else { "False" }),
            Value::Number(number) if number.is_f64() => out = float(number.as_f64().unwrap()),
            Value::Number(number) => out = number.to_string(),
            Value::String(text) => write_text(text, &mut out),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(repr).collect();
                out = format!("[{}]", items.join(", "));
            }
            Value::Object(_) => unreachable!("not generated"),
        }
        out
    }

    #[test]
    fn texts_and_floats_are_written_as_python_writes_them() {
        for entry in reference()["reprs"].as_array().unwrap() {
            assert_eq!(repr(&entry["value"]), entry["repr"].as_str().unwrap());
        }
    }

    #[test]
    fn characters_that_python_does_not_print() {
        let reference = reference();
        let codes = reference["unprintable"].as_array().unwrap();
        let theirs: Vec<u64> = codes.iter().map(|code| code.as_u64().unwrap()).collect();
        // Not in the reference: private use, and what Python's Unicode has not assigned within or beside the formats.
        let is_compared = |code: &u64| !matches!(code, 0x2060..=0x206f | 0xe000..=0xf8ff | 0x13439..=0x1343f | 0xe0000..=0x10ffff);
        let unprintable =
            |code: &u32| char::from_u32(*code).is_some_and(|letter| !is_printable(letter));
        let ours = (0..0x11_0000).filter(unprintable).map(u64::from).filter(is_compared);
        assert_eq!(
            ours.collect::<Vec<_>>(),
            theirs.into_iter().filter(is_compared).collect::<Vec<_>>()
        );
    }

    #[test]
    fn errors_say_where() {
        let at = |text: &str| parse(text).unwrap_err().character;
        assert_eq!(at("['é', nope]"), 11);
        assert_eq!(at("['a' , 'b'"), 11);
        assert_eq!(at("[1] 2"), 5);
        assert_eq!(at(""), 1);
        assert_eq!(at("'\\ud83d'"), 8);
        assert_eq!(at(&"[".repeat(40)), 33);
        assert_eq!(at("99999999999999999999"), 21);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::num::f64::NORMAL.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop::collection::vec(inner, 0..5).prop_map(Value::from)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in value()) {
            prop_assert_eq!(parse(&repr(&value)).unwrap(), value);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([\\[\\](),'\"\\\\xuUN{}0-9eE+._ \n-]|True|None|é|a){0,24}") {
            if let Err(error) = parse(&text) {
                prop_assert!(error.character <= text.chars().count() + 1);
            }
        }
    }
}
