//! Test problems with several costs, all over [0, 1]^n.

use std::f64::consts::{FRAC_PI_2, PI};

/// ZDT1, 2, 3 and 6 (Zitzler, Deb & Thiele, Evol. Comput. 8, 2000, 173) and DTLZ2 with three costs (Deb, Thiele, Laumanns &
/// Zitzler, CEC 2002, 825).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Problem {
    Zdt1,
    Zdt2,
    Zdt3,
    Zdt6,
    Dtlz2,
}

impl Problem {
    pub const ALL: [Self; 5] = [Self::Zdt1, Self::Zdt2, Self::Zdt3, Self::Zdt6, Self::Dtlz2];

    pub fn name(self) -> &'static str {
        match self {
            Self::Zdt1 => "zdt1",
            Self::Zdt2 => "zdt2",
            Self::Zdt3 => "zdt3",
            Self::Zdt6 => "zdt6",
            Self::Dtlz2 => "dtlz2",
        }
    }

    pub fn objectives(self) -> usize {
        if self == Self::Dtlz2 { 3 } else { 2 }
    }

    pub fn costs(self, x: &[f64]) -> Vec<f64> {
        let rest = x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
        let (first, g) = match self {
            Self::Dtlz2 => return dtlz2(x),
            Self::Zdt6 => {
                let first = 1.0 - (-4.0 * x[0]).exp() * (6.0 * PI * x[0]).sin().powi(6);
                (first, 1.0 + 9.0 * rest.powf(0.25))
            }
            _ => (x[0], 1.0 + 9.0 * rest),
        };
        let ratio = first / g;
        let shape = match self {
            Self::Zdt2 | Self::Zdt6 => 1.0 - ratio * ratio,
            Self::Zdt3 => 1.0 - ratio.sqrt() - ratio * (10.0 * PI * first).sin(),
            _ => 1.0 - ratio.sqrt(),
        };
        vec![first, g * shape]
    }
}

fn dtlz2(x: &[f64]) -> Vec<f64> {
    let radius = 1.0 + x[2..].iter().map(|x| (x - 0.5) * (x - 0.5)).sum::<f64>();
    let (a, b) = (x[0] * FRAC_PI_2, x[1] * FRAC_PI_2);
    vec![radius * a.cos() * b.cos(), radius * a.cos() * b.sin(), radius * a.sin()]
}
