//! T5's learned bias by the distance between query and key (Raffel et al. 2020, section 2.1).

/// T5's table `[buckets, heads]` turned into one value per head and distance, f32.
#[derive(Debug, Clone)]
pub struct RelativeBias {
    /// `[heads, 2 · longest - 1]`, by `key position - query position + longest - 1`.
    values: Vec<f32>,
    heads: usize,
    longest: usize,
}

impl RelativeBias {
    /// `table`: `[buckets, heads]`, f32; distances from `max_distance` on share a bucket; `longest` is the length of the
    /// longest sequence that can be looked up.
    ///
    /// Where the table is too short for that, biases are NaN, so that no score comes of it.
    pub fn new(
        table: &[f32],
        heads: usize,
        buckets: usize,
        max_distance: usize,
        bidirectional: bool,
        longest: usize,
    ) -> Self {
        let reach = longest as isize;
        let rows: Vec<usize> = (1 - reach..reach)
            .map(|distance| bucket(distance, buckets, max_distance, bidirectional))
            .collect();
        let values = (0..heads)
            .flat_map(|head| rows.iter().map(move |row| row * heads + head))
            .map(|index| table.get(index).copied().unwrap_or(f32::NAN))
            .collect();
        RelativeBias { values, heads, longest }
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Length of the longest sequence that can be looked up.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Bias of the keys at positions `0..self.longest()` for a query of `head` at `position`.
    #[inline(always)]
    pub(super) fn row(&self, head: usize, position: usize) -> &[f32] {
        let distances = 2 * self.longest - 1;
        &self.values[head * distances + self.longest - 1 - position..][..self.longest]
    }
}

/// The row of T5's table for `distance` = key position - query position.
///
/// As transformers' `_relative_position_bucket`: exact for near keys, logarithmic in f32 up to `max_distance`.
pub fn bucket(distance: isize, buckets: usize, max_distance: usize, bidirectional: bool) -> usize {
    let (buckets, after) = match bidirectional {
        true => (buckets / 2, if distance > 0 { buckets / 2 } else { 0 }),
        false => (buckets, 0),
    };
    let distance = match bidirectional {
        true => distance.unsigned_abs(),
        false => distance.min(0).unsigned_abs(),
    };
    let exact = buckets / 2;
    if distance < exact {
        return after + distance;
    }
    let reach = (max_distance as f64 / exact as f64).ln() as f32;
    let logarithmic = (distance as f32 / exact as f32).ln() / reach * (buckets - exact) as f32;
    after + (exact + logarithmic as usize).min(buckets.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn buckets_are_those_of_transformers() {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/reference/transformers/relative_buckets.json"
        ));
        let reference: serde_json::Value = serde_json::from_str(text).unwrap();
        let farthest = reference["farthest"].as_i64().unwrap();
        for setting in reference["settings"].as_array().unwrap() {
            let number = |key: &str| setting[key].as_u64().unwrap() as usize;
            let (buckets, max_distance) = (number("buckets"), number("max_distance"));
            let bidirectional = setting["bidirectional"].as_bool().unwrap();
            let mut runs = setting["runs"].as_array().unwrap().iter().peekable();
            let mut expected = 0;
            for distance in -farthest..=farthest {
                if let Some(run) = runs.next_if(|run| run[0] == distance) {
                    expected = run[1].as_u64().unwrap() as usize;
                }
                let got = bucket(distance as isize, buckets, max_distance, bidirectional);
                assert_eq!(got, expected, "{distance} of {setting}");
            }
        }
    }
}
