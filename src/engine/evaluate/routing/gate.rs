//! A gate as plain numbers, which is what an export writes.

use serde::Serialize;

use crate::recipe::{Features, GateKind};

/// A classifier of documents, fitted. As JSON: `{"features": {"ngrams": {"buckets": 512}}, "kind": "linear", "terms":
/// [{"class": 0, "vector": [...], "bias": 0.1}, ...]}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FittedGate {
    /// What it sees of a prompt.
    pub features: Features,
    /// How it decides.
    pub kind: GateKind,
    /// Of every class that the search split has documents of, ascending; the others are never chosen.
    pub terms: Vec<Term>,
}

/// What a gate knows of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Term {
    /// Which class.
    pub class: usize,
    /// The mean of its documents' features, or the weights of the features.
    pub vector: Vec<f64>,
    /// Added to the weighted sum; 0 for a mean.
    pub bias: f64,
}

impl FittedGate {
    /// The class of a document with these features: the one whose mean is nearest by Euclid, or whose `bias + vector ·
    /// features` is greatest; the first of equal ones. 0 for a gate that has seen no documents.
    pub fn class(&self, features: &[f64]) -> usize {
        let mut best: Option<(f64, usize)> = None;
        for term in &self.terms {
            let score = self.score(term, features);
            if best.is_none_or(|(greatest, _)| score > greatest) {
                best = Some((score, term.class));
            }
        }
        best.map_or(0, |(_, class)| class)
    }

    fn score(&self, term: &Term, features: &[f64]) -> f64 {
        let pairs = term.vector.iter().zip(features);
        match self.kind {
            GateKind::Centroid => -pairs.map(|(mean, x)| (x - mean) * (x - mean)).sum::<f64>(),
            GateKind::Linear => term.bias + pairs.map(|(weight, x)| weight * x).sum::<f64>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(kind: GateKind) -> FittedGate {
        let term = |class, vector: [f64; 2], bias| Term { class, vector: vector.to_vec(), bias };
        let terms =
            vec![term(0, [0.0, 0.0], 0.5), term(2, [2.0, 0.0], 0.0), term(3, [2.0, 0.0], 0.0)];
        FittedGate { features: Features::Shape, kind, terms }
    }

    #[test]
    fn decisions_by_hand() {
        let nearest = gate(GateKind::Centroid);
        assert_eq!(nearest.class(&[0.9, 5.0]), 0);
        assert_eq!(nearest.class(&[1.1, -5.0]), 2, "the first of two equal ones");
        assert_eq!(nearest.class(&[1.0, 0.0]), 0, "the first of two equally near ones");
        let linear = gate(GateKind::Linear);
        assert_eq!(linear.class(&[0.2, 9.0]), 0, "0.5 against 0.4");
        assert_eq!(linear.class(&[0.3, 9.0]), 2, "0.5 against 0.6");
        let empty = FittedGate { terms: Vec::new(), ..linear };
        assert_eq!(empty.class(&[1.0, 1.0]), 0);
    }

    #[test]
    fn an_export_reads() {
        let gate =
            FittedGate { features: Features::Ngrams { buckets: 2 }, ..gate(GateKind::Centroid) };
        let json = serde_json::to_value(&gate).unwrap();
        assert_eq!(json["features"]["ngrams"]["buckets"], 2);
        assert_eq!(
            (json["kind"].as_str(), json["terms"][1]["class"].as_u64()),
            (Some("centroid"), Some(2))
        );
    }
}
