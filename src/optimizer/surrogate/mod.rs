//! A model of cost over genes, fitted to everything told, for the point to recommend.
//!
//! The centre of a search distribution that has not converged is a blurred guess; all candidates measured so far, taken
//! together, know more. A Gaussian process pools them; the recommended point is the best it can vouch for within
//! the search distribution.

mod descent;
mod kernel;
mod likelihood;
mod posterior;

pub(super) use descent::Region;
pub(super) use kernel::Point;

use posterior::Posterior;

/// Every candidate told, oldest first, with its cost.
#[derive(Debug, Clone, Default)]
pub(super) struct Surrogate {
    points: Vec<Point>,
    costs: Vec<f64>,
}

/// Costs known below which nothing is modelled.
const LEAST_POINTS: usize = 20;
/// Points on which the hyperparameters are chosen, O(n³), and through which all others are seen.
const LIKELIHOOD_POINTS: usize = 150;
const INDUCING_POINTS: usize = 200;
/// Standard deviations by which an unsure point is held to be worse. At 1 the model's errors were followed far out.
const CAUTION: f64 = 2.0;

impl Surrogate {
    /// Adds a generation in the order in which it was asked for; infeasible candidates are left out.
    pub(super) fn learn(
        &mut self,
        points: impl Iterator<Item = Point>,
        costs: impl Iterator<Item = f64>,
    ) {
        for (point, cost) in points.zip(costs).filter(|(_, cost)| cost.is_finite()) {
            self.points.push(point);
            self.costs.push(cost);
        }
    }

    /// The same knowledge of genes that are copies: coordinate i of coordinate `coordinates[i]`, categorical gene i of gene
    /// `distributions[i]`.
    pub(super) fn refined(&self, coordinates: &[usize], distributions: &[usize]) -> Self {
        let copied = |point: &Point| Point {
            x: coordinates.iter().map(|&i| point.x[i]).collect(),
            c: distributions.iter().map(|&i| point.c[i]).collect(),
        };
        Self { points: self.points.iter().map(copied).collect(), costs: self.costs.clone() }
    }

    /// The best point within `region`, starting at its centre, which is returned where nothing better can be vouched for.
    pub(super) fn optimum(&self, region: &Region) -> Point {
        let Some(posterior) = self.fitted() else { return region.centre.clone() };
        descent::descend(region, |point| posterior.upper_bound(point, CAUTION))
    }

    fn fitted(&self) -> Option<Posterior> {
        if self.costs.len() < LEAST_POINTS {
            return None;
        }
        let y = standardized(&self.costs)?;
        let few = thinned(y.len(), LIKELIHOOD_POINTS);
        let sample: Vec<&Point> = few.iter().map(|&i| &self.points[i]).collect();
        let kernel =
            likelihood::most_likely(&sample, &few.iter().map(|&i| y[i]).collect::<Vec<_>>());
        let inducing = thinned(y.len(), INDUCING_POINTS);
        let inducing = inducing.into_iter().map(|i| self.points[i].clone()).collect();
        Posterior::new(kernel, inducing, &self.points, &y)
    }
}

/// Indices of at most `most` of `n` points: half the newest, half evenly spaced over the rest, which keeps what is known of
/// bad regions.
fn thinned(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    let newest = most / 2;
    let (older, spaced) = (n - newest, most - newest);
    (0..spaced).map(|i| i * older / spaced).chain(older..n).collect()
}

/// Costs with median 0 and the spread of a standard normal, cut on both sides so that failures do not shape the
/// model; `None` where most are equal.
fn standardized(costs: &[f64]) -> Option<Vec<f64>> {
    let mut sorted = costs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartile = |q: usize| sorted[q * (sorted.len() - 1) / 4];
    // 1.349: interquartile range of the standard normal.
    let spread = (quartile(3) - quartile(1)) / 1.349;
    let standard = |cost: &f64| ((cost - quartile(2)) / spread).clamp(-CUT, CUT);
    (spread.is_finite() && spread > 0.0).then(|| costs.iter().map(standard).collect())
}

/// Largest distance from the median that the model is shown, in standard deviations.
const CUT: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed scatter over [0, 1]² and three categories.
    fn point(i: usize) -> Point {
        let fraction = |ratio: f64| (i as f64 * ratio).fract();
        Point { x: vec![fraction(0.754_877_67), fraction(0.569_840_29)], c: vec![i % 3] }
    }

    fn cost(point: &Point) -> f64 {
        (point.x[0] - 0.6).powi(2) + (point.x[1] - 0.4).powi(2) + [0.3, 0.0, 0.5][point.c[0]]
    }

    fn learnt(cost: impl Fn(&Point) -> f64) -> Surrogate {
        let mut surrogate = Surrogate::default();
        for generation in 0..5 {
            let points: Vec<Point> = (0..30).map(|i| point(30 * generation + i)).collect();
            let costs: Vec<f64> = points.iter().map(&cost).collect();
            surrogate.learn(points.into_iter(), costs.into_iter());
        }
        surrogate
    }

    fn region() -> Region {
        let centre = Point { x: vec![0.5, 0.5], c: vec![0] };
        Region { centre, sd: vec![0.4, 0.4], q: vec![vec![0.4, 0.3, 0.3]] }
    }

    #[test]
    fn noise_free_effects_are_recovered() {
        let best = learnt(cost).optimum(&region());
        assert_eq!(best.c, [1]);
        assert!((best.x[0] - 0.6).abs() < 0.05 && (best.x[1] - 0.4).abs() < 0.05, "{best:?}");
    }

    #[test]
    fn nothing_leaves_the_region() {
        let best = learnt(|p| p.x[0] - p.x[1]).optimum(&region());
        assert!((best.x[0] - 0.4).abs() < 1e-12 && (best.x[1] - 0.6).abs() < 1e-12, "{best:?}");
    }

    #[test]
    fn flat_and_infeasible_costs_move_nothing() {
        for flat in [1.0, f64::INFINITY, f64::NAN] {
            assert_eq!(learnt(|_| flat).optimum(&region()), region().centre);
        }
    }

    #[test]
    fn newest_half_and_an_even_share_of_the_rest() {
        assert_eq!(thinned(3, 4), [0, 1, 2]);
        assert_eq!(thinned(10, 4), [0, 4, 8, 9]);
    }
}
