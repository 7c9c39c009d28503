//! A part of a split as text: the column `docs`.
//!
//! Tasks in order with `;` between them, each a list of positions and ranges of positions, both ends included:
//! `0-9,12;3,5-6` are ten documents and one of the first task and three of the second.

use std::fmt::Write;

use crate::outcome::DocSubset;

/// `docs` as text.
pub(super) fn to_text(docs: &DocSubset) -> String {
    let tasks: Vec<String> = docs.0.iter().map(|positions| ranges(positions)).collect();
    tasks.join(";")
}

fn ranges(positions: &[u32]) -> String {
    let mut text = String::new();
    for run in positions.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _always_ok = match first == last {
            true => write!(text, "{comma}{first}"),
            false => write!(text, "{comma}{first}-{last}"),
        };
    }
    text
}

/// The documents that `text` names, if all of them are among the `counts` documents of each task, in ascending order.
pub(super) fn from_text(text: &str, counts: &[u64]) -> Option<DocSubset> {
    let tasks: Vec<&str> = match counts.is_empty() {
        true => Vec::new(),
        false => text.split(';').collect(),
    };
    if tasks.len() != counts.len() {
        return None;
    }
    let tasks = tasks.into_iter().zip(counts).map(|(task, &count)| positions(task, count));
    tasks.collect::<Option<Vec<_>>>().map(DocSubset)
}

fn positions(task: &str, count: u64) -> Option<Vec<u32>> {
    let mut positions: Vec<u32> = Vec::new();
    for range in task.split(',').filter(|_| !task.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let follows = positions.last().is_none_or(|&before| before < first);
        if !follows || last < first || u64::from(last) >= count {
            return None;
        }
        positions.extend(first..=last);
    }
    Some(positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_by_hand() {
        let docs = DocSubset(vec![(0..10).chain([12]).collect(), Vec::new(), vec![3, 5, 6]]);
        assert_eq!(to_text(&docs), "0-9,12;;3,5-6");
        assert_eq!(from_text("0-9,12;;3,5-6", &[13, 5, 7]), Some(docs));
        assert_eq!(from_text("", &[4]), Some(DocSubset(vec![Vec::new()])));
    }

    #[test]
    fn what_names_no_documents_of_the_split_is_refused() {
        let wrong = [
            "0-9", "0;1;2", "3,3;", "3,2;", "5-4;", "0-10;", "10;", "a;", "-1;", "0-;", "1,,2;",
            ";5",
        ];
        for text in wrong.into_iter().chain(["0-4294967295;", "4294967296;", "+1x;"]) {
            assert_eq!(from_text(text, &[10, 5]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            tasks in prop::collection::vec(prop::collection::btree_set(0u32..60, 0..60), 0..4),
        ) {
            let counts = vec![60; tasks.len()];
            let docs = DocSubset(tasks.into_iter().map(|own| own.into_iter().collect()).collect());
            prop_assert_eq!(from_text(&to_text(&docs), &counts), Some(docs));
        }
    }
}
