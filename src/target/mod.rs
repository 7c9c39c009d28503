//! How long a competition's evaluation takes on the GPU it is judged on, estimated from a model's spec alone.
//!
//! An evaluation loads the checkpoints, merges them and reads and writes texts with the result, one after another. Each part is a
//! size divided by a rate: bytes by bandwidth, operations by operations per second. Sizes are counted ([`NetworkSpec::flops`],
//! [`NetworkSpec::parameters`]), a device's peaks are its maker's ([`DEVICES`]), and what of a peak is reached is assumed
//! ([`rates`]). Every step keeps its calculation, to be checked by hand. The command line fills in the tasks and prints.
//!
//! [`NetworkSpec::flops`]: crate::model::NetworkSpec::flops
//! [`NetworkSpec::parameters`]: crate::model::NetworkSpec::parameters

mod device;
mod estimate;
mod kit;
pub mod rates;
mod rows;

pub use device::{DEVICES, Device, Weights};
pub use estimate::{Estimate, Merge, Scale, Step, Verdict, Work};
pub use kit::kit_work;
pub use rows::Rows;
