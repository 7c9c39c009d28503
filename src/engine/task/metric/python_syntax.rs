//! Python's regular expressions in the syntax of fancy-regex.
//!
//! The two differ in `$` and `\Z`, in what `\s`, `\w` and `\b` mean beyond ASCII, in escapes, in brackets within classes and in
//! braces that are no repetition. Every mark that is not part of a construct is written as a number, so that nothing can mean
//! more to the engine than to Python. Reference: docs.python.org/3.11/library/re.html.

use super::python_re::PatternError;

/// `str.isspace`, which has the four information separators besides White_Space.
const SPACE: &str = r"[\s\x1c-\x1f]";
const NOT_SPACE: &str = r"[^\s\x1c-\x1f]";
/// `str.isalnum` or `_`: no combining marks.
const WORD: &str = r"[\p{L}\p{N}_]";
const NOT_WORD: &str = r"[^\p{L}\p{N}_]";

/// The pattern as fancy-regex reads it.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translation = Translation {
        pattern: pattern.chars().collect(),
        place: 0,
        written: String::new(),
        multiline: false,
        verbose: false,
        open: Vec::new(),
    };
    while let Some(character) = translation.take() {
        translation.element(character)?;
    }
    Ok(translation.written)
}

struct Translation {
    pattern: Vec<char>,
    /// Characters read so far.
    place: usize,
    written: String,
    /// The flags `m` and `x` where we are.
    multiline: bool,
    verbose: bool,
    /// `multiline` before each open group.
    open: Vec<bool>,
}

/// What an escape stands for.
enum Escaped {
    Character(char),
    /// A class that the engine reads inside and outside of brackets.
    Class(&'static str),
    /// An assertion or a reference.
    Other(String),
}

fn literal(character: char) -> String {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        character.to_string()
    } else {
        format!(r"\x{{{:x}}}", u32::from(character))
    }
}

impl Translation {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.pattern.get(self.place + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek(0)?;
        self.place += 1;
        Some(character)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek(0) == Some(wanted);
        self.place += usize::from(found);
        found
    }

    /// At most `limit` characters of a kind.
    fn take_while(&mut self, limit: usize, kind: impl Fn(char) -> bool) -> String {
        let from = self.place;
        while self.place - from < limit && self.peek(0).is_some_and(&kind) {
            self.place += 1;
        }
        self.pattern.get(from..self.place).into_iter().flatten().collect()
    }

    fn syntax(&self, what: &'static str) -> PatternError {
        PatternError::Syntax { what, place: self.place }
    }

    fn element(&mut self, character: char) -> Result<(), PatternError> {
        match character {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            ')' => {
                self.multiline = self.open.pop().unwrap_or(self.multiline);
                self.written.push(')');
            }
            '{' => self.repetition(),
            '$' if !self.multiline => self.written.push_str(r"(?=\n?\z)"),
            '$' | '|' | '.' | '*' | '+' | '?' | '^' => self.written.push(character),
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' if self.verbose => {}
            '#' if self.verbose => drop(self.take_while(usize::MAX, |mark| mark != '\n')),
            _ => self.written.push_str(&literal(character)),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match self.escaped(false)? {
            Escaped::Character(character) => self.written.push_str(&literal(character)),
            Escaped::Class(class) => self.written.push_str(class),
            Escaped::Other(other) => self.written.push_str(&other),
        }
        Ok(())
    }

    /// What follows a backslash.
    fn escaped(&mut self, in_class: bool) -> Result<Escaped, PatternError> {
        let backslash = self.place;
        let Some(character) = self.take() else {
            return Err(self.syntax("a backslash with nothing after it"));
        };
        Ok(match character {
            'a' => Escaped::Character('\u{7}'),
            'b' if in_class => Escaped::Character('\u{8}'),
            'f' => Escaped::Character('\u{c}'),
            'n' => Escaped::Character('\n'),
            'r' => Escaped::Character('\r'),
            't' => Escaped::Character('\t'),
            'v' => Escaped::Character('\u{b}'),
            'd' => Escaped::Class(r"\d"),
            'D' => Escaped::Class(r"\D"),
            's' => Escaped::Class(SPACE),
            'S' => Escaped::Class(NOT_SPACE),
            'w' => Escaped::Class(WORD),
            'W' => Escaped::Class(NOT_WORD),
            'x' => Escaped::Character(self.code('x', 2, backslash)?),
            'u' => Escaped::Character(self.code('u', 4, backslash)?),
            'U' => Escaped::Character(self.code('U', 8, backslash)?),
            '0'..='9' => self.number(character, in_class, backslash)?,
            'A' | 'Z' | 'b' | 'B' if !in_class => Escaped::Other(assertion(character)),
            'A'..='Z' | 'a'..='z' => return Err(bad_escape(character, backslash)),
            _ => Escaped::Character(character),
        })
    }

    /// A character by its code of that many hexadecimal digits.
    fn code(&mut self, letter: char, digits: usize, place: usize) -> Result<char, PatternError> {
        let code = self.take_while(digits, |digit| digit.is_ascii_hexdigit());
        let character = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
        character.filter(|_| code.len() == digits).ok_or_else(|| bad_escape(letter, place))
    }

    /// An octal code (`\0`, three octal digits, or any in a class), or the number of a group.
    fn number(
        &mut self,
        first: char,
        in_class: bool,
        place: usize,
    ) -> Result<Escaped, PatternError> {
        let is_octal =
            |digit: Option<char>| digit.is_some_and(|digit| ('0'..='7').contains(&digit));
        let three = is_octal(Some(first)) && is_octal(self.peek(0)) && is_octal(self.peek(1));
        if first == '0' || three || in_class {
            let rest = self.take_while(2, |digit| is_octal(Some(digit)));
            let code = u32::from_str_radix(&format!("{first}{rest}"), 8).ok();
            let character = code.filter(|code| *code <= 0o377).and_then(char::from_u32);
            return character.map(Escaped::Character).ok_or_else(|| bad_escape(first, place));
        }
        let second = self.take_while(1, |digit| digit.is_ascii_digit());
        Ok(Escaped::Other(format!(r"(?:\{first}{second})")))
    }

    /// After `{`: bounds of a repetition, or else a brace.
    fn repetition(&mut self) {
        let start = self.place;
        let least = self.take_while(usize::MAX, |digit| digit.is_ascii_digit());
        let comma = self.take_if(',');
        let most = self.take_while(usize::MAX, |digit| digit.is_ascii_digit());
        if !self.take_if('}') || (least.is_empty() && !comma) {
            self.place = start;
            self.written.push_str(&literal('{'));
            return;
        }
        let least = if least.is_empty() { "0" } else { &least };
        let comma = if comma { "," } else { "" };
        self.written.push_str(&format!("{{{least}{comma}{most}}}"));
    }

    /// After `[`: up to the bracket that ends it; the first one does not.
    fn class(&mut self) -> Result<(), PatternError> {
        self.written.push('[');
        if self.take_if('^') {
            self.written.push('^');
        }
        let mut first = true;
        while first || self.peek(0) != Some(']') {
            self.member()?;
            first = false;
        }
        self.place += 1;
        self.written.push(']');
        Ok(())
    }

    /// One character of a class, or a range, or a class in it.
    fn member(&mut self) -> Result<(), PatternError> {
        let low = self.end_of_range()?;
        let is_range = self.peek(0) == Some('-') && self.peek(1).is_some_and(|next| next != ']');
        if !is_range {
            self.written.push_str(&match low {
                Escaped::Character(character) => literal(character),
                Escaped::Class(class) => class.to_owned(),
                Escaped::Other(other) => other,
            });
            return Ok(());
        }
        self.place += 1;
        match (low, self.end_of_range()?) {
            (Escaped::Character(low), Escaped::Character(high)) if low <= high => {
                self.written.push_str(&format!("{}-{}", literal(low), literal(high)));
                Ok(())
            }
            _ => Err(self.syntax("bad character range")),
        }
    }

    fn end_of_range(&mut self) -> Result<Escaped, PatternError> {
        match self.take() {
            Some('\\') => self.escaped(true),
            Some(character) => Ok(Escaped::Character(character)),
            None => Err(self.syntax("unterminated character set")),
        }
    }

    /// After `(`.
    fn group(&mut self) -> Result<(), PatternError> {
        if !self.take_if('?') {
            self.begin("(");
            return Ok(());
        }
        match (self.take(), self.peek(0)) {
            (Some(kind @ (':' | '=' | '!' | '>')), _) => self.begin(&format!("(?{kind}")),
            (Some('<'), Some(kind @ ('=' | '!'))) => {
                self.place += 1;
                self.begin(&format!("(?<{kind}"));
            }
            (Some('P'), Some('<')) => {
                let name = self.until('>')?;
                self.begin(&format!("(?P{name}"));
            }
            (Some('P'), Some('=')) => {
                let name = self.until(')')?;
                self.written.push_str(&format!("(?P{name}"));
            }
            (Some('('), _) => self.condition()?,
            (Some('#'), _) => drop(self.until(')')?),
            (Some('a'..='z' | 'A'..='Z' | '-'), _) => {
                self.place -= 1;
                self.flags()?;
            }
            _ => return Err(self.syntax("unknown extension of a group")),
        }
        Ok(())
    }

    fn begin(&mut self, group: &str) {
        self.open.push(self.multiline);
        self.written.push_str(group);
    }

    /// What stands up to a mark, with it.
    fn until(&mut self, mark: char) -> Result<String, PatternError> {
        let mut found = self.take_while(usize::MAX, |character| character != mark);
        if !self.take_if(mark) {
            return Err(self.syntax("a group that does not end"));
        }
        found.push(mark);
        Ok(found)
    }

    /// After `(?(`: the group, by number or name, on whose match the branch depends.
    fn condition(&mut self) -> Result<(), PatternError> {
        let id = self.until(')')?;
        let id = id.trim_end_matches(')');
        let is_number = id.chars().all(|digit| digit.is_ascii_digit());
        self.begin(&if is_number { format!("(?({id})") } else { format!("(?(<{id}>)") });
        Ok(())
    }

    /// After `(?`: flags of the whole pattern, which stand at its start, or of a group.
    fn flags(&mut self) -> Result<(), PatternError> {
        let at_start = self.place == 2;
        let on = self.take_while(usize::MAX, |flag| flag.is_ascii_alphabetic());
        let minus = self.take_if('-');
        let off =
            self.take_while(if minus { usize::MAX } else { 0 }, |flag| flag.is_ascii_alphabetic());
        let global = self.take_if(')');
        if global && !at_start {
            return Err(self.syntax("global flags not at the start of the pattern"));
        }
        if (global && minus) || minus == off.is_empty() || !(global || self.take_if(':')) {
            return Err(self.syntax("bad flags"));
        }
        self.set_flags(&on, &off, global)
    }

    fn set_flags(&mut self, on: &str, off: &str, global: bool) -> Result<(), PatternError> {
        let valid = if global { "imsxu" } else { "imsu" };
        if !on.chars().all(|flag| valid.contains(flag))
            || !off.chars().all(|flag| "ims".contains(flag))
        {
            return Err(self.syntax("a flag that cannot be used here"));
        }
        let engines =
            |flags: &str| flags.chars().filter(|flag| "ims".contains(*flag)).collect::<String>();
        let off = if off.is_empty() { String::new() } else { format!("-{off}") };
        let flags = format!("{}{off}", engines(on));
        match (global, flags.is_empty()) {
            (true, true) => {}
            (true, false) => self.written.push_str(&format!("(?{flags})")),
            (false, _) => self.begin(&format!("(?{flags}:")),
        }
        self.verbose |= on.contains('x');
        self.multiline = (self.multiline || on.contains('m')) && !off.contains('m');
        Ok(())
    }
}

fn bad_escape(character: char, place: usize) -> PatternError {
    PatternError::Escape { escape: format!("\\{character}"), place }
}

/// `\A`, `\Z`, `\b` or `\B`, of which Python before 3.14 finds the last in no empty text.
fn assertion(letter: char) -> String {
    match letter {
        'A' => r"\A".to_owned(),
        'Z' => r"\z".to_owned(),
        'b' => format!("(?:(?<={WORD})(?!{WORD})|(?<!{WORD})(?={WORD}))"),
        _ => format!(r"(?:(?<={WORD})(?={WORD})|(?!\A\z)(?<!{WORD})(?!{WORD}))"),
    }
}
