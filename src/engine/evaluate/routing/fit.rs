//! A gate out of the search split's documents.

use super::clusters::{clusters, mean};
use super::ridge::ridge;
use super::{FittedGate, Term};
use crate::recipe::{Classes, Gate, GateKind};

/// What a gate is fitted to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub features: Vec<f64>,
    /// Index of the document's task.
    pub task: usize,
}

/// Fits `gate`; documents in whatever order give the same bits.
pub(super) fn fit(gate: &Gate, mut samples: Vec<Sample>) -> FittedGate {
    // Sums and draws go by the order, so it must be the documents' own.
    samples.sort_by(|a, b| {
        let by_features = a.features.iter().zip(&b.features).map(|(a, b)| a.total_cmp(b));
        by_features
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then(a.task.cmp(&b.task))
    });
    let rows: Vec<&[f64]> = samples.iter().map(|sample| sample.features.as_slice()).collect();
    let (labels, classes) = match gate.classes {
        Classes::Tasks(tasks) => (samples.iter().map(|sample| sample.task).collect(), tasks),
        Classes::Clusters(count) => (clusters(&rows, count), count),
    };
    let terms = match gate.kind {
        GateKind::Centroid => centroids(&rows, &labels, classes),
        GateKind::Linear => linear(&rows, &labels, classes),
    };
    FittedGate { features: gate.features, kind: gate.kind, terms }
}

fn centroids(rows: &[&[f64]], labels: &[usize], classes: usize) -> Vec<Term> {
    let of_class = |class: usize| {
        let members = rows.iter().zip(labels).filter(|(_, label)| **label == class);
        Some(Term { class, vector: mean(members.map(|(row, _)| *row))?, bias: 0.0 })
    };
    (0..classes).filter_map(of_class).collect()
}

fn linear(rows: &[&[f64]], labels: &[usize], classes: usize) -> Vec<Term> {
    let fitted = ridge(rows, labels, classes).unwrap_or_default().into_iter().enumerate();
    fitted
        .filter(|(class, _)| labels.contains(class))
        .map(|(class, fitted)| Term { class, vector: fitted.weights, bias: fitted.bias })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Features;
    use proptest::prelude::*;

    fn gate(kind: GateKind, classes: Classes) -> Gate {
        Gate { features: Features::Shape, kind, classes }
    }

    fn samples(rows: &[(f64, f64, usize)]) -> Vec<Sample> {
        rows.iter().map(|&(a, b, task)| Sample { features: vec![a, b], task }).collect()
    }

    #[test]
    fn means_by_hand_and_no_term_for_a_class_without_documents() {
        let rows = samples(&[(1.0, 0.0, 0), (3.0, 2.0, 0), (8.0, 8.0, 2)]);
        let fitted = fit(&gate(GateKind::Centroid, Classes::Tasks(3)), rows.clone());
        let expected = [(0, vec![2.0, 1.0]), (2, vec![8.0, 8.0])];
        let got: Vec<_> =
            fitted.terms.iter().map(|term| (term.class, term.vector.clone())).collect();
        assert_eq!(got, expected);
        let linear = fit(&gate(GateKind::Linear, Classes::Tasks(3)), rows);
        assert_eq!(linear.terms.iter().map(|term| term.class).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(fit(&gate(GateKind::Linear, Classes::Tasks(3)), Vec::new()).terms, []);
    }

    proptest! {
        #[test]
        fn the_order_of_the_documents_changes_no_bit(
            rows in prop::collection::vec((-3.0f64..3.0, -3.0f64..3.0, 0usize..3), 0..24),
            keys in prop::collection::vec(any::<u32>(), 24),
            linear in any::<bool>(),
            by_task in any::<bool>(),
        ) {
            let kind = if linear { GateKind::Linear } else { GateKind::Centroid };
            let classes = if by_task { Classes::Tasks(3) } else { Classes::Clusters(3) };
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&place| keys[place]);
            let moved: Vec<_> = order.iter().map(|&place| rows[place]).collect();
            let (fitted, again) = (fit(&gate(kind, classes), samples(&rows)), fit(&gate(kind, classes), samples(&moved)));
            prop_assert!(fitted.terms.iter().all(|term| term.vector.iter().all(|x| x.is_finite())));
            prop_assert_eq!(fitted, again);
        }
    }
}
