//! One evaluation of those of a routed recipe's merges.

use crate::outcome::{DocSubset, Evaluation, JoinError};
use crate::units::Seconds;

/// What a merge scored on the documents of a class.
#[derive(Debug, Clone)]
pub(in crate::evaluate) struct Scored {
    /// Which merge.
    pub merge: usize,
    pub docs: DocSubset,
    pub evaluation: Evaluation,
    /// What the base model does for these documents, in any unit.
    pub work: f64,
}

/// Scores in the split's order; each merge was merged once, however many classes it has. The time relative to the base model's
/// is that of all documents together: a mean by what the base model does for the documents of each, not by their number. `None`
/// of nothing.
pub(in crate::evaluate) fn join(parts: &[Scored]) -> Result<Option<Evaluation>, JoinError> {
    let Some((first, rest)) = parts.split_first() else { return Ok(None) };
    let (mut all, mut docs) = (first.evaluation.clone(), first.docs.clone());
    for part in rest {
        all = all.joined(&docs, &part.evaluation, &part.docs)?;
        docs = docs.with(&part.docs);
    }
    all.relative_time = relative_time(parts);
    all.merge_seconds = merge_seconds(parts);
    Ok(Some(all))
}

fn relative_time(parts: &[Scored]) -> f64 {
    let work: f64 = parts.iter().map(|part| part.work).sum();
    let times = parts.iter().map(|part| part.work * part.evaluation.relative_time);
    match work > 0.0 {
        true => times.sum::<f64>() / work,
        false => parts.first().map_or(1.0, |part| part.evaluation.relative_time),
    }
}

/// A part that was scored before remembers what merging took then.
fn merge_seconds(parts: &[Scored]) -> Seconds {
    let last = parts.iter().map(|part| part.merge).max().unwrap_or(0);
    let of_merge = |merge: usize| {
        let own = parts.iter().filter(|part| part.merge == merge);
        own.map(|part| part.evaluation.merge_seconds.0).fold(0.0, f64::max)
    };
    Seconds((0..=last).map(of_merge).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cost, ItemScore, TaskScore};
    use crate::units::Bytes;

    fn scored(merge: usize, docs: &[u32], time: f64, work: f64, merging: f64) -> Scored {
        let item = |&doc: &u32| ItemScore { score: f64::from(doc), chosen: None, margin: 0.0 };
        let items = docs.iter().map(item).collect();
        let tasks = vec![TaskScore { task: "t".to_owned(), items, others: Vec::new() }];
        let evaluation = Evaluation {
            tasks,
            merge_seconds: Seconds(merging),
            score_seconds: Seconds(1.0),
            seconds_per_item: Seconds(1.0),
            relative_time: time,
            peak_bytes: Bytes(1),
            cost: Cost::default(),
        };
        Scored { merge, docs: DocSubset(vec![docs.to_vec()]), evaluation, work }
    }

    #[test]
    fn three_parts_of_two_merges_by_hand() {
        let parts = [
            scored(0, &[1, 4], 1.0, 30.0, 0.5),
            scored(0, &[2], 1.0, 10.0, 0.25),
            scored(1, &[0, 3], 0.5, 60.0, 2.0),
        ];
        let all = join(&parts).unwrap().unwrap();
        let scores: Vec<f64> = all.tasks[0].items.iter().map(|item| item.score).collect();
        assert_eq!(scores, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(all.relative_time, 0.7, "(40 · 1 + 60 · 0.5) / 100");
        assert_eq!(all.merge_seconds, Seconds(2.5));
        assert_eq!(join(&[]), Ok(None));
    }
}
