//! Weighted means, by hand because their zeros and their last bits matter.

/// Weighted geometric mean of `(weight, value)` pairs, summed as logarithms; values below `floor` count as `floor`.
///
/// With a floor of 0 any zero makes the result exactly 0. A value that is no number (a task without documents) has shown
/// nothing and makes it 0 whatever the floor; so does an empty list. Weights are relative to their sum; a weight of 0
/// leaves its value out.
pub(super) fn geometric(weighted: impl IntoIterator<Item = (f64, f64)>, floor: f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (weight, value) in weighted {
        if weight == 0.0 {
            continue;
        }
        if value.is_nan() || value.max(floor) <= 0.0 {
            return 0.0;
        }
        sum += weight * value.max(floor).ln();
        total += weight;
    }
    if total == 0.0 { 0.0 } else { (sum / total).exp() }
}

/// Weighted arithmetic mean; as [`geometric`] for weights, values that are no numbers, and empty lists.
pub(super) fn arithmetic(weighted: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (weight, value) in weighted.into_iter().filter(|(weight, _)| *weight > 0.0) {
        if value.is_nan() {
            return 0.0;
        }
        sum += weight * value;
        total += weight;
    }
    if total == 0.0 { 0.0 } else { sum / total }
}

/// The least value of a positive weight; as [`geometric`] for values that are no numbers, and empty lists.
pub(super) fn least(weighted: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let counted = weighted.into_iter().filter(|(weight, _)| *weight > 0.0).map(|(_, value)| value);
    let least = counted.fold(
        f64::INFINITY,
        |least, value| {
            if value.is_nan() { 0.0 } else { least.min(value) }
        },
    );
    if least.is_finite() { least } else { 0.0 }
}
