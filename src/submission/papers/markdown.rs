//! Tables, blocks and words of the papers' language.

use crate::record::Estimate;

/// What a cell has that nothing is known for.
pub(super) const NONE: &str = "–";

/// Words under heads.
pub(super) fn words_table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    table(&heads, rows, "---|")
}

/// Numbers under heads, right of the rows' names.
pub(super) fn numbers_table(heads: &[String], rows: &[Vec<String>]) -> String {
    table(heads, rows, "---:|")
}

fn table(heads: &[String], rows: &[Vec<String>], rule: &str) -> String {
    let rules = rule.repeat(heads.len().saturating_sub(1));
    let lines: String = rows.iter().map(|row| line(row)).collect();
    format!("{}|---|{rules}\n{lines}", line(heads))
}

fn line(cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!(" {} |", one_cell(cell))).collect();
    format!("|{cells}\n")
}

fn one_cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A block that no line of `text` can end.
pub(super) fn block(language: &str, text: &str) -> String {
    let longest = text.lines().map(|line| line.chars().take_while(|c| *c == '`').count()).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

/// ×100 with its interval.
pub(super) fn interval(score: Option<Estimate>) -> String {
    score.map_or(NONE.to_owned(), |score| {
        let [value, low, high] = [score.value, score.low, score.high].map(|share| 100.0 * share);
        format!("{value:.1} [{low:.1}, {high:.1}]")
    })
}

/// A difference ×100 with its interval.
pub(super) fn points(difference: Estimate) -> String {
    let [value, low, high] =
        [difference.value, difference.low, difference.high].map(|share| 100.0 * share);
    format!("{value:+.1} [{low:+.1}, {high:+.1}]")
}

/// `a, b and c`.
pub(super) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// `1 expert`, `2 experts`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell_and_a_block_one_block() {
        let text = words_table(&["a|b"], &[vec!["c\nd".to_owned()]]);
        assert_eq!(text, "| a\\|b |\n|---|\n| c d |\n");
        assert_eq!(block("yaml", "a: 1\n"), "```yaml\na: 1\n```\n");
        assert_eq!(block("", "````\nx"), "`````\n````\nx\n`````\n");
    }

    #[test]
    fn words_are_listed_and_counted() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!((counted(1, "row"), counted(0, "row")), ("1 row".into(), "0 rows".into()));
    }
}
