//! Where two sets of predictions differ.

use std::collections::BTreeMap;

use super::{Predicted, WrittenRow};

/// One of our own answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Of the row.
    pub id: String,
    /// What our model answered.
    pub answer: Predicted,
    /// By how much the best choice's score is above the next one's, in the scorer's own unit; `None` for texts.
    pub margin: Option<f64>,
}

/// A row that is answered in two ways.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// Another choice.
    Choice {
        /// Of the row.
        id: String,
        /// Our index.
        ours: usize,
        /// What the other file has.
        theirs: String,
        /// As in [`Answered::margin`].
        margin: f64,
    },
    /// Another text.
    Text {
        /// Of the row.
        id: String,
        /// Our text.
        ours: String,
        /// The other file's.
        theirs: String,
        /// How many characters the two begin with alike.
        at: usize,
    },
}

/// Two sets of predictions beside each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Rows that both have.
    pub rows: usize,
    /// In our order.
    pub differences: Vec<Difference>,
    /// Ids that the other file has not.
    pub missing: Vec<String>,
    /// Ids that only the other file has, or that it has again.
    pub extra: Vec<String>,
    /// Whether the rows that both have are in the same order.
    pub same_order: bool,
}

impl Comparison {
    /// Rows that are answered alike.
    pub fn equal(&self) -> usize {
        self.rows - self.differences.len()
    }

    /// Rows in which the other file has another choice although ours is better by more than `margin`.
    pub fn clear(&self, margin: f64) -> usize {
        let is_clear = |own: &&Difference| matches!(own, Difference::Choice { margin: own, .. } if *own > margin);
        self.differences.iter().filter(is_clear).count()
    }

    /// Whether both have the same ids, each once.
    pub fn ids_match(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// Puts our answers beside those of a file.
pub fn compare(ours: &[Answered], theirs: &[WrittenRow]) -> Comparison {
    let own: BTreeMap<&str, usize> =
        ours.iter().enumerate().map(|(place, row)| (row.id.as_str(), place)).collect();
    let mut found: BTreeMap<usize, &WrittenRow> = BTreeMap::new();
    let (mut extra, mut places) = (Vec::new(), Vec::new());
    for row in theirs {
        match own.get(row.id.as_str()) {
            Some(&place) if !found.contains_key(&place) => {
                found.insert(place, row);
                places.push(place);
            }
            _ => extra.push(row.id.clone()),
        }
    }
    let both = |(place, own): (usize, &Answered)| difference(own, found.get(&place)?);
    let missing =
        |(place, own): (usize, &Answered)| (!found.contains_key(&place)).then(|| own.id.clone());
    Comparison {
        rows: found.len(),
        differences: ours.iter().enumerate().filter_map(both).collect(),
        missing: ours.iter().enumerate().filter_map(missing).collect(),
        extra,
        same_order: places.is_sorted(),
    }
}

fn difference(ours: &Answered, theirs: &WrittenRow) -> Option<Difference> {
    let (id, written) = (ours.id.clone(), theirs.prediction.clone());
    match &ours.answer {
        Predicted::Choice(choice) => {
            (choice.to_string() != written).then_some(Difference::Choice {
                id,
                ours: *choice,
                theirs: written,
                margin: ours.margin.unwrap_or(0.0),
            })
        }
        Predicted::Text(text) => (*text != written).then(|| Difference::Text {
            id,
            ours: text.clone(),
            at: text.chars().zip(written.chars()).take_while(|(a, b)| a == b).count(),
            theirs: written,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<Answered> {
        let row = |id: &str, answer, margin| Answered { id: id.to_owned(), answer, margin };
        vec![
            row("a", Predicted::Choice(1), Some(0.5)),
            row("b", Predicted::Text("Zoë said".to_owned()), None),
            row("c", Predicted::Choice(0), Some(1e-4)),
        ]
    }

    fn theirs(rows: &[(&str, &str)]) -> Vec<WrittenRow> {
        let row = |(id, prediction): &(&str, &str)| WrittenRow {
            line: 0,
            id: (*id).to_owned(),
            prediction: (*prediction).to_owned(),
            dummy_field: "0".to_owned(),
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn equal_files_are_equal() {
        let both = compare(&ours(), &theirs(&[("a", "1"), ("b", "Zoë said"), ("c", "0")]));
        assert_eq!((both.rows, both.equal(), both.clear(0.0)), (3, 3, 0));
        assert!(both.same_order && both.ids_match());
    }

    #[test]
    fn every_difference_has_its_margin_or_place() {
        let both = compare(&ours(), &theirs(&[("a", "2"), ("b", "Zoë sings"), ("c", "x")]));
        let choice = |id: &str, ours, theirs: &str, margin| Difference::Choice {
            id: id.to_owned(),
            ours,
            theirs: theirs.to_owned(),
            margin,
        };
        let text = Difference::Text {
            id: "b".to_owned(),
            ours: "Zoë said".to_owned(),
            theirs: "Zoë sings".to_owned(),
            at: 5,
        };
        assert_eq!(both.differences, [choice("a", 1, "2", 0.5), text, choice("c", 0, "x", 1e-4)]);
        assert_eq!((both.equal(), both.clear(1e-3), both.clear(1e-5)), (0, 1, 2));
    }

    #[test]
    fn a_text_may_be_the_beginning_of_the_other() {
        let both = compare(&ours(), &theirs(&[("b", "Zoë")]));
        assert!(matches!(both.differences.as_slice(), [Difference::Text { at: 3, .. }]));
    }

    #[test]
    fn ids_and_order_are_told() {
        let both = compare(&ours(), &theirs(&[("c", "0"), ("x", "1"), ("a", "1"), ("c", "5")]));
        assert_eq!((both.rows, both.equal()), (2, 2));
        assert_eq!(
            (both.missing.as_slice(), both.extra.as_slice()),
            (&["b".to_owned()][..], &["x".to_owned(), "c".to_owned()][..])
        );
        assert!(!both.same_order && !both.ids_match());
    }
}
