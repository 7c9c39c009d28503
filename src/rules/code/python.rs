//! Python's code and texts apart, without its comments.

/// A file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Source {
    /// Number of lines.
    pub(super) lines: usize,
    /// Line, from 1, and what is code of it; a text is two quotes.
    pub(super) code: Vec<(usize, String)>,
    /// Line that it begins on, and each text; escapes stay as they are written.
    pub(super) texts: Vec<(usize, String)>,
}

impl Source {
    /// Takes any text: what is no Python gives pieces all the same.
    pub(super) fn read(text: &str) -> Source {
        let mut source = Source { lines: text.lines().count(), ..Source::default() };
        let mut rest = text;
        let (mut line, mut code) = (1, String::new());
        while let Some(next) = rest.chars().next() {
            let taken = match next {
                '#' => rest.find('\n').unwrap_or(rest.len()),
                '\n' => {
                    source.end_of_line(line, &mut code);
                    1
                }
                '"' | '\'' => {
                    let (whole, inner) = quoted(rest, next);
                    source.texts.push((line, inner.to_owned()));
                    code.push_str("\"\"");
                    whole
                }
                _ => {
                    code.push(next);
                    next.len_utf8()
                }
            };
            let (before, after) = rest.split_at(taken);
            line += before.matches('\n').count();
            rest = after;
        }
        source.end_of_line(line, &mut code);
        source
    }

    fn end_of_line(&mut self, line: usize, code: &mut String) {
        if !code.trim().is_empty() {
            self.code.push((line, std::mem::take(code)));
        }
        code.clear();
    }

    /// First parts of the modules' names; not those of relative imports.
    pub(super) fn imports(&self) -> impl Iterator<Item = &str> {
        self.code.iter().flat_map(|(_, line)| line.split(';')).flat_map(|statement| {
            let statement = statement.trim();
            let several = statement.strip_prefix("import ");
            let one =
                statement.strip_prefix("from ").and_then(|rest| rest.split_whitespace().next());
            let names = several.into_iter().flat_map(|list| list.split(',')).chain(one);
            names.map(first_part).filter(|name| !name.is_empty())
        })
    }
}

/// `numpy` of ` numpy.linalg as la`.
fn first_part(name: &str) -> &str {
    let name = name.trim();
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    name.get(..end).unwrap_or_default()
}

/// Length of the text that `rest` begins with, and what is in its quotes; an open one goes to the end of the line, or of the
/// file if its quotes are three.
fn quoted(rest: &str, quote: char) -> (usize, &str) {
    let three: String = [quote; 3].iter().collect();
    let mark = if rest.starts_with(&three) { three } else { quote.to_string() };
    let inner = rest.get(mark.len()..).unwrap_or_default();
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        let here = inner.get(at..).unwrap_or_default();
        let open_line = c == '\n' && mark.len() == 1 && !escaped;
        if (!escaped && here.starts_with(&mark)) || open_line {
            let end = if open_line { 0 } else { mark.len() };
            return (mark.len() + at + end, inner.get(..at).unwrap_or_default());
        }
        escaped = c == '\\' && !escaped;
    }
    (rest.len(), inner)
}
