//! How rows are summed up.

/// Quartiles by linear interpolation, as numpy's; NaN of nothing.
pub fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|share| {
        let place = share * sorted.len().saturating_sub(1) as f64;
        let below = sorted.get(place.floor() as usize).copied().unwrap_or(f64::NAN);
        let above = sorted.get(place.ceil() as usize).copied().unwrap_or(f64::NAN);
        below + place.fract() * (above - below)
    })
}

/// `median [Q1, Q3]`.
pub fn shown(values: &[f64]) -> String {
    let [low, median, high] = quartiles(values);
    format!("{median:.4} [{low:.4}, {high:.4}]")
}
