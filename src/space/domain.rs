//! The two types the optimizer works on: a named dimension and its domain.

/// The values one gene can take.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// Any real number in `[low, high]`.
    Continuous { low: f64, high: f64 },
    /// Any whole number in `[low, high]`.
    Integer { low: i64, high: i64 },
    /// One of the named choices; they have no order.
    Categorical { choices: Vec<String> },
}

/// One gene's name and domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// As in the columns `gene.<name>`.
    pub name: String,
    /// The values it can take.
    pub domain: Domain,
    /// Where the search starts, in the domain's own unit (continuous and integer genes; `None` = the middle).
    pub initial: Option<f64>,
}
