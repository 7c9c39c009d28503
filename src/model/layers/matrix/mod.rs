//! Weight matrices packed for the CPU's vector and matrix units, and their products.

mod panel;

pub use panel::panel_product;

/// Width of a panel of packed outputs.
pub const PANEL: usize = 32;
