//! Which costs belong to which candidate.

use std::cmp::Ordering;

use super::Costs;
use crate::genome::Genotype;

/// The first `objectives` costs of each candidate asked for; all infinite where one of them is missing, NaN or infinite, or
/// nothing was told. Equal candidates that were told several costs get one each, in ascending order, so that the order of
/// telling does not matter.
pub(super) fn values_of(
    asked: &[Genotype],
    told: &[(Genotype, Costs)],
    objectives: usize,
) -> Vec<Vec<f64>> {
    let mut told: Vec<(&Genotype, Vec<f64>)> =
        told.iter().map(|(genotype, costs)| (genotype, feasible(costs, objectives))).collect();
    told.sort_by(|a, b| ascending(&a.1, &b.1));
    let mut take = |genotype: &Genotype| {
        let place = told.iter().position(|(other, _)| *other == genotype)?;
        Some(told.remove(place).1)
    };
    let infeasible = || vec![f64::INFINITY; objectives];
    asked.iter().map(|genotype| take(genotype).unwrap_or_else(infeasible)).collect()
}

fn feasible(costs: &Costs, objectives: usize) -> Vec<f64> {
    match costs.values.get(..objectives) {
        Some(values) if values.iter().all(|value| *value < f64::INFINITY) => values.to_vec(),
        _ => vec![f64::INFINITY; objectives],
    }
}

/// By the first cost, then the second, and so on.
pub(super) fn ascending(a: &[f64], b: &[f64]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).fold(Ordering::Equal, Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Gene;

    fn told(gene: i64, values: &[f64]) -> (Genotype, Costs) {
        (Genotype(vec![Gene::Integer(gene)]), Costs { values: values.to_vec(), ..Costs::default() })
    }

    #[test]
    fn equal_candidates_share_in_ascending_order_and_the_rest_is_infeasible() {
        let pairs = [
            told(1, &[5.0, 0.0]),
            told(2, &[f64::NAN, 1.0]),
            told(1, &[3.0, 9.0]),
            told(3, &[1.0]),
        ];
        let asked = [1, 2, 1, 3, 4].map(|gene| Genotype(vec![Gene::Integer(gene)]));
        let none = vec![f64::INFINITY; 2];
        let expected = [vec![3.0, 9.0], none.clone(), vec![5.0, 0.0], none.clone(), none];
        assert_eq!(values_of(&asked, &pairs, 2), expected);
    }
}
