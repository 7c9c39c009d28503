//! Whether paired differences are luck: Wilcoxon's signed-rank test.

/// Two-sided p-value of "the differences are symmetric about zero" (Wilcoxon, Biometrics Bulletin 1, 1945, 80): exact up
/// to 60 differences without ties, else the normal approximation with the correction for ties; zeros are left out.
pub fn wilcoxon(differences: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = sorted.len();
    if n == 0 {
        return 1.0;
    }
    let (mut positive, mut ties, mut rank) = (0.0, 0.0, 0);
    for tied in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let mean = rank as f64 + (tied.len() as f64 + 1.0) / 2.0;
        rank += tied.len();
        positive += mean * tied.iter().filter(|d| **d > 0.0).count() as f64;
        ties += (tied.len().pow(3) - tied.len()) as f64;
    }
    if ties == 0.0 && n <= 60 { exact(n, positive) } else { approximate(n, positive, ties) }
}

/// By counting the subsets of 1..=n of every sum.
fn exact(n: usize, positive: f64) -> f64 {
    let most = n * (n + 1) / 2;
    let mut subsets = vec![0.0; most + 1];
    subsets[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            subsets[sum] += subsets[sum - rank];
        }
    }
    let smaller = positive.min(most as f64 - positive) as usize;
    let tail: f64 = subsets[..=smaller].iter().sum();
    (2.0 * tail / 2.0_f64.powi(n as i32)).min(1.0)
}

fn approximate(n: usize, positive: f64, ties: f64) -> f64 {
    let n = n as f64;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    let z = (positive - n * (n + 1.0) / 4.0).abs() / variance.sqrt();
    2.0 * upper_tail(z)
}

/// P(Z > z) for z ≥ 0: Abramowitz & Stegun 26.2.17, absolute error below 7.5e-8.
pub fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let coefficients =
        [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let series = coefficients.iter().fold(0.0, |sum, c| (sum + c) * t);
    (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * series
}
