//! Several tests at once.

/// Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979, 65): for each p-value the least level of the
/// whole family at which its hypothesis is rejected. The chance of rejecting any true hypothesis is then at most the
/// level, whatever depends on what.
///
/// The result is in the order of `p_values`, in `[0, 1]`. What is no number has shown nothing: it counts as 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let known = |p: f64| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) };
    let mut ascending: Vec<(usize, f64)> = p_values.iter().map(|p| known(*p)).enumerate().collect();
    ascending.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, (index, p)) in ascending.into_iter().enumerate() {
        let hypotheses_left = (p_values.len() - rank) as f64;
        largest = largest.max(hypotheses_left * p).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four tests at 0.01, 0.04, 0.03, 0.005: 4·0.005 = 0.02; 3·0.01 = 0.03; 2·0.03 = 0.06; 0.04 is not below the one
    /// before it, so 0.06 too.
    #[test]
    fn holms_steps_by_hand() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (a, e) in adjusted.iter().zip(expected) {
            assert!((a - e).abs() < 1e-15, "{adjusted:?}");
        }
    }

    #[test]
    fn of_one_none_and_no_number() {
        assert_eq!(holm(&[0.2]), [0.2]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
