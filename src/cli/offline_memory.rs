//! How much memory a search takes at least, from the base model's config.

use merge_search::merge::Prepared;
use merge_search::model::NetworkSpec;
use merge_search::space::SearchSpace;
use merge_search::units::Bytes;
use serde_json::{Value, json};

use super::workbench::WorkerArgs;

/// What a search on the CPU allocates at least; checkpoints are mapped.
pub struct OfflineMemory {
    workers: usize,
    precision: &'static str,
    /// The base model, and each merged one.
    model: Bytes,
    /// Orders of the experts' elements, which some methods keep.
    orders: Bytes,
    /// A tensor in the making for each worker, in float32.
    making: Bytes,
}

impl OfflineMemory {
    pub fn new(base: &NetworkSpec, space: &SearchSpace, machine: &WorkerArgs) -> Self {
        let (workers, precision) = (machine.count(), machine.precision());
        let elements = |shape: &[usize]| shape.iter().map(|side| *side as u64).product::<u64>();
        let largest = base.tensors().map(|(_, shape)| elements(shape)).max().unwrap_or(0);
        let orders = 2 * Prepared::orders(&space.methods) as u64 * space.experts.len() as u64;
        Self {
            workers,
            precision,
            model: Bytes(base.weight_bytes(if precision == "bf16" { 2 } else { 4 })),
            orders: Bytes(orders.saturating_mul(base.parameters())),
            making: Bytes(4 * workers as u64 * largest),
        }
    }

    /// For one candidate at a time.
    fn least(&self) -> Bytes {
        Bytes(2 * self.model.0 + self.orders.0 + self.making.0)
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { workers, precision, model, orders, making } = self;
        let orders = match orders {
            Bytes(0) => String::new(),
            bytes => format!(" + {bytes} for orders of the experts' elements"),
        };
        format!(
            "memory to search with {workers} workers in {precision}: at least {} = {model} base model + {model} one candidate{orders} \
             + {making} tensors in the making; {model} for each further candidate at once. Prompts and activations come on top.\n",
            self.least()
        )
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "workers": self.workers,
            "precision": self.precision,
            "least_bytes": self.least().0,
            "candidate_bytes": self.model.0,
            "orders_bytes": self.orders.0,
            "making_bytes": self.making.0,
        })
    }
}
