//! The score of one model: the geometric mean of its accuracies, with a confidence interval.

use crate::outcome::{Evaluation, GeometricMean, TaskScore};

/// Standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// Geometric mean of the tasks' accuracies, in `[0, 1]`. See [`geometric_mean_of`].
pub fn geometric_mean(evaluation: &Evaluation) -> f64 {
    geometric_mean_of(evaluation.tasks.iter().map(|task| task.accuracy().0))
}

/// Geometric mean of `accuracies` (each in `[0, 1]`), summed as logarithms.
///
/// Any accuracy of 0 makes the result exactly 0: there is no floor. (The 2023 competition floored a zero at the smallest
/// double, 5e-324, so that its published scores of such teams are about 1e-65 instead of 0; the ranking of teams with
/// a zero differs, nothing else.) No accuracies at all, or one of a task without documents, have shown nothing: 0.
pub fn geometric_mean_of(accuracies: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0u32);
    for accuracy in accuracies {
        if accuracy.is_nan() || accuracy <= 0.0 {
            return 0.0;
        }
        sum += accuracy.ln();
        count += 1;
    }
    if count == 0 {
        return 0.0;
    }
    (sum / f64::from(count)).exp()
}

/// The geometric mean with its 95 % confidence interval over documents, by the delta method on the log scale:
/// `var(log GM) = T⁻² Σ var(log a_t)` for `T` independent tasks.
///
/// The plain binomial `var(log a) = (1-a)/(a n)` is infinite at `a = 0` and zero at `a = 1`. So each task's logarithm is
/// taken at `(x + ½)/(n + ½)`, which removes its bias to order `1/n` (Pettigrew, Gart & Thomas, Biometrika 73, 1986, 425),
/// and its variance at `(x + 2)/(n + 4)` (Agresti & Coull, The American Statistician 52, 1998, 119). The interval is
/// clipped to `[0, 1]` and always holds the point estimate.
pub fn interval(evaluation: &Evaluation) -> GeometricMean {
    interval_of(&evaluation.tasks)
}

/// As [`interval`], of any tasks; of one task, its accuracy.
pub fn interval_of(scores: &[TaskScore]) -> GeometricMean {
    let value = geometric_mean_of(scores.iter().map(|task| task.accuracy().0));
    let tasks = scores.len().max(1) as f64;
    let centre = scores.iter().map(log_accuracy).sum::<f64>() / tasks;
    let variance = scores.iter().map(log_variance).sum::<f64>() / (tasks * tasks);
    let half_width = Z * variance.sqrt();
    GeometricMean {
        value,
        low: (centre - half_width).exp().min(value),
        high: (centre + half_width).exp().min(1.0).max(value),
    }
}

fn counts(task: &TaskScore) -> (f64, f64) {
    let right = task.items.iter().filter(|item| item.correct).count();
    (right as f64, task.items.len() as f64)
}

fn log_accuracy(task: &TaskScore) -> f64 {
    let (x, n) = counts(task);
    ((x + 0.5) / (n + 0.5)).ln()
}

fn log_variance(task: &TaskScore) -> f64 {
    let (x, n) = counts(task);
    let p = (x + 2.0) / (n + 4.0);
    (1.0 - p) / (p * (n + 4.0))
}
