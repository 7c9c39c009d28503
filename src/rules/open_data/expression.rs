//! SPDX licence expressions (SPDX 2.3, annex D), of which `WITH` is not read.

use std::iter::Peekable;

/// Nested parentheses; real expressions have one or two.
const DEEPEST: usize = 16;

/// Whether the user has what is asked for: of `A OR B` one has to hold, of `A AND B`, which binds closer, both; `None` for what
/// is no such expression.
pub(super) fn holds(expression: &str, is_open: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let open = either(&mut words, is_open, 0)?;
    words.next().is_none().then_some(open)
}

fn either<'a>(
    words: &mut Peekable<impl Iterator<Item = &'a str>>,
    is_open: &dyn Fn(&str) -> bool,
    depth: usize,
) -> Option<bool> {
    let mut open = both(words, is_open, depth)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        open |= both(words, is_open, depth)?;
    }
    Some(open)
}

fn both<'a>(
    words: &mut Peekable<impl Iterator<Item = &'a str>>,
    is_open: &dyn Fn(&str) -> bool,
    depth: usize,
) -> Option<bool> {
    let mut open = one(words, is_open, depth)?;
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        open &= one(words, is_open, depth)?;
    }
    Some(open)
}

fn one<'a>(
    words: &mut Peekable<impl Iterator<Item = &'a str>>,
    is_open: &dyn Fn(&str) -> bool,
    depth: usize,
) -> Option<bool> {
    match words.next()? {
        "(" if depth < DEEPEST => {
            let open = either(words, is_open, depth + 1)?;
            words.next_if(|word| *word == ")").map(|_| open)
        }
        "(" | ")" => None,
        word if ["and", "or", "with"].contains(&word.to_lowercase().as_str()) => None,
        word => Some(is_open(word)),
    }
}
