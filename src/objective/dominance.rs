//! Which of many candidates are better than others when several costs count, all minimised.

/// Whether `a` is no worse than `b` in every cost and better in one.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut better = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        better |= a < b;
    }
    better
}

/// Fronts of indices into `costs`, each ascending: first those that none dominates, then those that only the first front
/// dominates, and so on. NaN must be replaced before: it neither dominates nor is dominated.
///
/// Fast non-dominated sort, `O(M N²)` for M costs (Deb, Pratap, Agarwal & Meyarivan, IEEE Trans. Evol. Comput. 6, 2002,
/// 182, section III.A).
pub fn non_dominated_sort(costs: &[Vec<f64>]) -> Vec<Vec<usize>> {
    let mut dominated_by = vec![Vec::new(); costs.len()];
    let mut dominators = vec![0_usize; costs.len()];
    for (i, a) in costs.iter().enumerate() {
        for (j, b) in costs.iter().enumerate() {
            if dominates(a, b) {
                dominated_by[i].push(j);
                dominators[j] += 1;
            }
        }
    }
    let mut fronts = Vec::new();
    let mut front: Vec<usize> = (0..costs.len()).filter(|&i| dominators[i] == 0).collect();
    while !front.is_empty() {
        let next = freed(&front, &dominated_by, &mut dominators);
        fronts.push(std::mem::replace(&mut front, next));
    }
    fronts
}

/// Those that nothing outside `front` dominates any more.
fn freed(front: &[usize], dominated_by: &[Vec<usize>], dominators: &mut [usize]) -> Vec<usize> {
    let mut freed = Vec::new();
    for &j in front.iter().flat_map(|&i| &dominated_by[i]) {
        dominators[j] -= 1;
        if dominators[j] == 0 {
            freed.push(j);
        }
    }
    freed.sort_unstable();
    freed
}

/// How far apart the neighbours of each of `front` (indices into `costs`) lie: the sum over costs of the distance between
/// the next lower and the next higher one, as a fraction of the front's range; infinite at the ends. In the order of `front`.
///
/// Deb et al. 2002, section III.B. A cost whose range is zero or not finite counts for nothing.
pub fn crowding_distance(costs: &[Vec<f64>], front: &[usize]) -> Vec<f64> {
    let mut distance = vec![0.0; front.len()];
    let objectives = front.first().map_or(0, |&first| costs[first].len());
    let of_front = |m: usize| front.iter().map(|&i| costs[i][m]).collect::<Vec<f64>>();
    for values in (0..objectives).map(of_front) {
        add_gaps(&values, &mut distance);
    }
    distance
}

/// Adds to each distance the gap around its entry of `values`, of which there is one at least.
fn add_gaps(values: &[f64], distance: &mut [f64]) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let (low, high) = (order[0], order[order.len() - 1]);
    let range = values[high] - values[low];
    if range > 0.0 && range.is_finite() {
        for three in order.windows(3) {
            distance[three[1]] += (values[three[2]] - values[three[0]]) / range;
        }
    }
    distance[low] = f64::INFINITY;
    distance[high] = f64::INFINITY;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_by_hand() {
        let costs =
            [[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [4.0, 4.0], [1.0, 4.0]].map(Vec::from);
        assert_eq!(non_dominated_sort(&costs), [vec![0, 1, 2, 5], vec![3], vec![4]]);
    }

    #[test]
    fn crowding_by_hand() {
        // Ranges 4 and 8: (4 - 0) / 4 ... of the second of (0, 8), (1, 4), (3, 2), (4, 0): (3 - 0) / 4 + (8 - 2) / 8.
        let costs = [[3.0, 2.0], [0.0, 8.0], [4.0, 0.0], [1.0, 4.0]].map(Vec::from);
        let ends = f64::INFINITY;
        assert_eq!(crowding_distance(&costs, &[0, 1, 2, 3]), [0.75 + 0.5, ends, ends, 0.75 + 0.75]);
        assert_eq!(crowding_distance(&costs, &[]), [0.0; 0]);
    }

    #[test]
    fn infinite_costs_have_finite_or_infinite_distances() {
        let costs =
            [[f64::NEG_INFINITY, f64::INFINITY], [0.0, 0.0], [f64::INFINITY, f64::NEG_INFINITY]]
                .map(Vec::from);
        assert_eq!(crowding_distance(&costs, &[0, 1, 2]), [f64::INFINITY, 0.0, f64::INFINITY]);
    }
}
