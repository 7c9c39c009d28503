//! One evaluation of two that were made of the same model on different documents.

use super::{Cost, DocSubset, Evaluation, ItemScore, MetricScore, TaskScore};
use crate::units::Seconds;

/// Why two evaluations cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// They have other tasks, or other numbers of them.
    #[error("the parts of a trial were scored on different tasks")]
    Tasks,
    /// A task's positions are not one for each document scored, or a document is in both.
    #[error("task {task}: the documents of two parts of a trial are not those scored, or overlap")]
    Documents {
        /// Name of the task.
        task: String,
    },
}

impl Evaluation {
    /// What would have been measured on the documents of both: `docs` are this evaluation's, `other_docs` the other's, none
    /// of them in both. Scores come in the split's order; merging and scoring took as long as both together; the relative
    /// time is the mean of both, weighted by their documents.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn joined(
        &self,
        docs: &DocSubset,
        other: &Evaluation,
        other_docs: &DocSubset,
    ) -> Result<Evaluation, JoinError> {
        let tasks = self.tasks.len();
        if [other.tasks.len(), docs.0.len(), other_docs.0.len()].iter().any(|&own| own != tasks) {
            return Err(JoinError::Tasks);
        }
        let ours = self.tasks.iter().zip(&docs.0);
        let theirs = other.tasks.iter().zip(&other_docs.0);
        let tasks = ours.zip(theirs).map(|(ours, theirs)| join_task(ours, theirs));
        let tasks: Vec<TaskScore> = tasks.collect::<Result<_, _>>()?;
        let (own, new) = (self.items() as f64, other.items() as f64);
        let score_seconds = Seconds(self.score_seconds.0 + other.score_seconds.0);
        Ok(Evaluation {
            tasks,
            merge_seconds: Seconds(self.merge_seconds.0 + other.merge_seconds.0),
            score_seconds,
            seconds_per_item: Seconds(score_seconds.0 / (own + new).max(1.0)),
            relative_time: weighted((self.relative_time, own), (other.relative_time, new)),
            peak_bytes: self.peak_bytes.max(other.peak_bytes),
            cost: Cost {
                flops_per_item: weighted(
                    (self.cost.flops_per_item, own),
                    (other.cost.flops_per_item, new),
                ),
                weight_bytes: self.cost.weight_bytes.max(other.cost.weight_bytes),
            },
        })
    }
}

/// A task's scores and where they stand in the split.
type Placed<'a> = (&'a TaskScore, &'a Vec<u32>);

fn join_task(ours: Placed, theirs: Placed) -> Result<TaskScore, JoinError> {
    let task = ours.0.task.clone();
    if theirs.0.task != task {
        return Err(JoinError::Tasks);
    }
    let complete = |(scored, docs): Placed| scored.items.len() == docs.len();
    let mut placed: Vec<(u32, ItemScore)> = by_place(ours).chain(by_place(theirs)).collect();
    placed.sort_by_key(|(doc, _)| *doc);
    if !(complete(ours) && complete(theirs) && placed.is_sorted_by(|a, b| a.0 < b.0)) {
        return Err(JoinError::Documents { task });
    }
    let items = placed.into_iter().map(|(_, item)| item).collect();
    Ok(TaskScore { task, items, others: join_others(ours.0, theirs.0) })
}

fn by_place<'a>((scored, docs): Placed<'a>) -> impl Iterator<Item = (u32, ItemScore)> + 'a {
    docs.iter().copied().zip(scored.items.iter().copied())
}

/// Metrics that both have; of a part without documents, the other's.
fn join_others(ours: &TaskScore, theirs: &TaskScore) -> Vec<MetricScore> {
    let (own, new) = (ours.items.len() as f64, theirs.items.len() as f64);
    let join = |metric: &MetricScore| {
        let same = theirs.others.iter().find(|other| other.metric == metric.metric)?;
        let score = weighted((metric.score, own), (same.score, new));
        Some(MetricScore { metric: metric.metric.clone(), score })
    };
    ours.others.iter().filter_map(join).collect()
}

/// Mean of two values by their weights; what weighs nothing counts nothing, whatever it is.
fn weighted(first: (f64, f64), second: (f64, f64)) -> f64 {
    match (first.1 > 0.0, second.1 > 0.0) {
        (true, true) => (first.0 * first.1 + second.0 * second.1) / (first.1 + second.1),
        (false, true) => second.0,
        _ => first.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;
    use proptest::prelude::*;

    fn scored(task: &str, scores: &[f64], other: f64) -> TaskScore {
        let item = |&score: &f64| ItemScore { score, chosen: None, margin: score as f32 };
        let others = vec![MetricScore { metric: "acc_norm".to_owned(), score: other }];
        TaskScore { task: task.to_owned(), items: scores.iter().map(item).collect(), others }
    }

    fn evaluation(tasks: Vec<TaskScore>, seconds: f64, relative_time: f64) -> Evaluation {
        let items: usize = tasks.iter().map(|task| task.items.len()).sum();
        Evaluation {
            tasks,
            merge_seconds: Seconds(0.5),
            score_seconds: Seconds(seconds),
            seconds_per_item: Seconds(seconds / items as f64),
            relative_time,
            peak_bytes: Bytes(seconds as u64),
            cost: Cost::default(),
        }
    }

    #[test]
    fn two_parts_by_hand() {
        let first =
            evaluation(vec![scored("a", &[0.1, 0.4], 0.5), scored("b", &[0.7], 0.9)], 6.0, 1.0);
        let second =
            evaluation(vec![scored("a", &[0.2, 0.3, 0.5], 1.0), scored("b", &[], 0.0)], 3.0, 2.0);
        let (own, new) =
            (DocSubset(vec![vec![0, 5], vec![3]]), DocSubset(vec![vec![2, 3, 9], vec![]]));
        let both = first.joined(&own, &second, &new).unwrap();
        let scores =
            |task: usize| both.tasks[task].items.iter().map(|item| item.score).collect::<Vec<_>>();
        assert_eq!((scores(0), scores(1)), (vec![0.1, 0.2, 0.3, 0.4, 0.5], vec![0.7]));
        assert_eq!(both.tasks[0].others[0].score, 0.8, "(2·0.5 + 3·1)/5");
        assert_eq!(both.tasks[1].others[0].score, 0.9);
        assert_eq!((both.merge_seconds.0, both.score_seconds.0), (1.0, 9.0));
        assert_eq!((both.seconds_per_item.0, both.relative_time), (1.5, 1.5));
        assert_eq!(both.peak_bytes, Bytes(6));
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        let part =
            |task: &str, scores: &[f64]| evaluation(vec![scored(task, scores, 0.0)], 1.0, 1.0);
        let docs = |docs: &[u32]| DocSubset(vec![docs.to_vec()]);
        let join = |task: &str, own: &[u32], new: &[u32]| {
            part("a", &[0.0, 1.0]).joined(&docs(own), &part(task, &[1.0]), &docs(new))
        };
        assert!(join("a", &[0, 1], &[2]).is_ok());
        assert_eq!(join("b", &[0, 1], &[2]), Err(JoinError::Tasks));
        let refused = Err(JoinError::Documents { task: "a".to_owned() });
        assert_eq!(join("a", &[0, 1], &[1]), refused, "a document twice");
        assert_eq!(join("a", &[0, 1, 2], &[3]), refused, "a position without a score");
        assert_eq!(join("a", &[0, 1], &[]), refused, "a score without a position");
        let two = part("a", &[0.0]).joined(
            &DocSubset(vec![vec![0], vec![]]),
            &part("a", &[1.0]),
            &docs(&[1]),
        );
        assert_eq!(two, Err(JoinError::Tasks));
    }

    proptest! {
        /// However a split is cut in two, its halves joined are the split.
        #[test]
        fn halves_joined_are_the_whole(
            scores in prop::collection::vec((0.0f64..1.0, any::<bool>()), 2..40),
            cut in 0usize..40,
        ) {
            let cut = cut % scores.len();
            let tasks = [&scores[..cut], &scores[cut..]];
            let part = |side: Option<bool>| {
                let kept = |own: &&(f64, bool)| side.is_none_or(|side| own.1 == side);
                let of_task = |own: &[(f64, bool)]| own.iter().filter(kept).map(|own| own.0).collect::<Vec<_>>();
                evaluation(tasks.iter().map(|own| scored("t", &of_task(own), 0.5)).collect(), 1.0, 1.0)
            };
            let docs = |side: bool| {
                let of_task = |own: &&[(f64, bool)]| (0u32..).zip(*own).filter(|(_, own)| own.1 == side).map(|(doc, _)| doc).collect();
                DocSubset(tasks.iter().map(of_task).collect())
            };
            let both = part(Some(true)).joined(&docs(true), &part(Some(false)), &docs(false)).unwrap();
            let whole = part(None);
            for (both, whole) in both.tasks.iter().zip(&whole.tasks) {
                prop_assert_eq!(&both.items, &whole.items);
            }
            prop_assert_eq!(docs(true).without(&docs(false)), docs(true));
            prop_assert!(DocSubset::whole(&[cut, scores.len() - cut]).contains(&docs(true)));
        }
    }
}
