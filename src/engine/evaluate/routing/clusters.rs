//! k-means: which documents are alike.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Lloyd's iterations at most.
const ITERATIONS: usize = 50;

/// The cluster of each of `rows`, at most `clusters` of them; the same for the same rows in the same order.
///
/// Centres are drawn as in k-means++ (Arthur and Vassilvitskii, SODA 2007), each from a stream of ChaCha8 of its own, then
/// moved by Lloyd's iterations until no document changes its cluster. A document between two centres belongs to the first, a
/// centre without documents stays where it is.
pub(super) fn clusters(rows: &[&[f64]], clusters: usize) -> Vec<usize> {
    let mut centres = drawn(rows, clusters);
    let mut labels = nearest_of_all(rows, &centres);
    for _ in 0..ITERATIONS {
        move_to_means(&mut centres, rows, &labels);
        let moved = nearest_of_all(rows, &centres);
        if moved == labels {
            break;
        }
        labels = moved;
    }
    labels
}

/// Each with a probability proportional to its squared distance from the nearest before it; fewer where all are centres.
fn drawn(rows: &[&[f64]], clusters: usize) -> Vec<Vec<f64>> {
    let mut distances = vec![1.0; rows.len()];
    let mut centres: Vec<Vec<f64>> = Vec::new();
    for number in 0..clusters {
        let Some(row) = draw(&distances, number as u64).and_then(|place| rows.get(place)) else {
            break;
        };
        for (distance, own) in distances.iter_mut().zip(rows) {
            let new = squared_distance(own, row);
            *distance = if number == 0 { new } else { new.min(*distance) };
        }
        centres.push(row.to_vec());
    }
    centres
}

/// `None` where all weights are 0.
fn draw(weights: &[f64], stream: u64) -> Option<usize> {
    let mut random = ChaCha8Rng::from_seed(*b"clusters of documents, k-means++");
    random.set_stream(stream);
    let total: f64 = weights.iter().sum();
    let mut left = random.random::<f64>() * total;
    for (place, &weight) in weights.iter().enumerate() {
        if left < weight {
            return Some(place);
        }
        left -= weight;
    }
    // Rounding may leave a little of the last.
    weights.iter().rposition(|weight| *weight > 0.0)
}

fn nearest_of_all(rows: &[&[f64]], centres: &[Vec<f64>]) -> Vec<usize> {
    rows.iter().map(|row| nearest(row, centres)).collect()
}

fn nearest(row: &[f64], centres: &[Vec<f64>]) -> usize {
    let distances = centres.iter().map(|centre| squared_distance(row, centre)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place)
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn move_to_means(centres: &mut [Vec<f64>], rows: &[&[f64]], labels: &[usize]) {
    for (cluster, centre) in centres.iter_mut().enumerate() {
        let members = rows.iter().zip(labels).filter(|(_, label)| **label == cluster);
        if let Some(mean) = mean(members.map(|(row, _)| *row)) {
            *centre = mean;
        }
    }
}

/// `None` of nothing.
pub(super) fn mean<'a>(rows: impl IntoIterator<Item = &'a [f64]>) -> Option<Vec<f64>> {
    let mut rows = rows.into_iter();
    let mut sum = rows.next()?.to_vec();
    let mut count = 1.0;
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        count += 1.0;
    }
    Some(sum.into_iter().map(|sum| sum / count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(points: &[f64], count: usize) -> Vec<usize> {
        let rows: Vec<[f64; 1]> = points.iter().map(|x| [*x]).collect();
        clusters(&rows.iter().map(<[f64; 1]>::as_slice).collect::<Vec<_>>(), count)
    }

    /// Far apart: k-means++ takes a second centre beside the first with a probability below 1e-4.
    #[test]
    fn groups_far_apart_are_found() {
        let found = labels(&[0.0, 0.1, 0.2, 100.0, 100.1, 200.0, 200.2], 3);
        assert!(
            found[0] == found[1]
                && found[1] == found[2]
                && found[3] == found[4]
                && found[5] == found[6]
        );
        assert!(found[0] != found[3] && found[3] != found[5] && found[0] != found[5]);
    }

    #[test]
    fn no_more_clusters_than_different_documents() {
        assert_eq!(labels(&[5.0, 5.0, 5.0], 4), [0, 0, 0]);
        assert_eq!(labels(&[], 2), [0_usize; 0]);
        let two = labels(&[1.0, 2.0, 1.0], 4);
        assert!(two[0] == two[2] && two[0] != two[1]);
    }

    #[test]
    fn lloyds_iterations_by_hand() {
        // Centres 0 and 1 at first: {0}, {1, 2, 9} with means 0 and 4; then {0, 1, 2}, {9} with means 1 and 9; then no change.
        let rows: [&[f64]; 4] = [&[0.0], &[1.0], &[2.0], &[9.0]];
        let mut centres = vec![vec![0.0], vec![1.0]];
        let labels = nearest_of_all(&rows, &centres);
        assert_eq!(labels, [0, 1, 1, 1]);
        move_to_means(&mut centres, &rows, &labels);
        assert_eq!(centres, [[0.0], [4.0]]);
        assert_eq!(nearest_of_all(&rows, &centres), [0, 0, 0, 1], "2 is between both");
    }
}
