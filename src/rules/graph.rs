//! How large candidates may be against the base model.

use crate::model::NetworkSpec;
use crate::recipe::{Layout, Recipe, SliceSource};
use crate::record::FrontRow;
use crate::space::{DepthChoice, SearchSpace};
use crate::target::Scale;

/// What is known of the size of what is to be judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Graph {
    /// Every candidate of a space: from the base model to this.
    Largest {
        /// At most.
        scale: Scale,
        /// Why.
        reason: String,
        /// Layers that a document router reads prompts with, at most.
        router_layers: usize,
    },
    /// Counted while it was scored.
    Counted {
        /// The winner against the base model.
        scale: Scale,
    },
    /// By its recipe.
    Recipe(Box<Recipe>),
}

impl Graph {
    /// Of all candidates of a space.
    pub fn of_space(space: &SearchSpace) -> Graph {
        let mut scale = Scale::ONE;
        let mut reasons = Vec::new();
        if let Some(documents) = &space.routing.documents {
            scale.weights *= documents.merges as f64;
            reasons.push(format!("{} merges at once", documents.merges));
        }
        if let Some(tokens) = &space.routing.tokens {
            scale.weights *= tokens.experts.len().max(1) as f64;
            scale.flops *= tokens.experts_per_token.iter().max().map_or(1.0, |&most| most as f64);
            reasons.push(format!("a mixture of {} experts", tokens.experts.len()));
        }
        let layers = space.routing.layers.iter();
        if layers.flat_map(|layers| &layers.depth).any(|choice| *choice == DepthChoice::Repeat) {
            scale = Scale { weights: 2.0 * scale.weights, flops: 2.0 * scale.flops };
            reasons.push("every block of layers twice".to_owned());
        }
        let limits = space.constraints;
        scale.weights = scale.weights.min(limits.max_relative_memory.unwrap_or(f64::INFINITY));
        scale.flops = scale.flops.min(limits.max_relative_time.unwrap_or(f64::INFINITY));
        let router_layers = space.routing.router_layers();
        Graph::Largest { scale, reason: reasons.join(", "), router_layers }
    }

    /// Of a run's winner, once it has one; its base model's cost is beside it.
    pub fn of_front(front: &[FrontRow]) -> Option<Graph> {
        let named = |name: &str| front.iter().find(|row| row.name.as_deref() == Some(name));
        let (base, winner) = (named("base")?.cost, named("winner")?.cost);
        let scale = Scale {
            weights: winner.weight_bytes.0 as f64 / base.weight_bytes.0.max(1) as f64,
            flops: winner.flops_per_item / base.flops_per_item.max(1.0),
        };
        Some(Graph::Counted { scale })
    }

    /// The smallest and the largest, and what that was read from.
    pub fn scales(&self, spec: &NetworkSpec) -> ([Scale; 2], String) {
        match self {
            Graph::Largest { scale, reason, .. } if reason.is_empty() => {
                ([*scale; 2], "one dense model".to_owned())
            }
            Graph::Largest { scale, reason, .. } => ([Scale::ONE, *scale], reason.clone()),
            Graph::Counted { scale } => {
                let (weights, flops) = (scale.weights, scale.flops);
                let from = format!(
                    "the winner has {weights:.3} times the base model's weights and {flops:.3} times its operations (front.parquet)"
                );
                ([*scale; 2], from)
            }
            Graph::Recipe(recipe) => of_recipe(recipe, spec),
        }
    }

    /// Layers that a document router reads prompts with.
    pub fn router_layers(&self) -> usize {
        match self {
            Graph::Largest { router_layers, .. } => *router_layers,
            // The count has them.
            Graph::Counted { .. } => 0,
            Graph::Recipe(recipe) => {
                recipe.document_router.as_ref().map_or(0, |router| router.gate.features.layers())
            }
        }
    }
}

fn of_recipe(recipe: &Recipe, spec: &NetworkSpec) -> ([Scale; 2], String) {
    let mut scale = Scale::ONE;
    let mut words = Vec::new();
    let stack = spec.decoder.as_ref().or(spec.encoder.as_ref());
    if let (Layout::Slices(slices), Some(stack)) = (&recipe.layout, stack) {
        let first = |sources: &[SliceSource]| {
            sources.first().map_or(0, |source| source.layer_range.layers())
        };
        let layers: usize = slices.iter().map(|slice| first(&slice.sources)).sum();
        let all = stack.layers.len();
        let share = layers as f64 / all.max(1) as f64;
        scale = Scale { weights: share, flops: share };
        words.push(format!("{layers} layers of {all}"));
    }
    if let Some(router) = &recipe.document_router {
        scale.weights *= 1.0 + router.merges.len() as f64;
        words.push(format!("{} merges at once, at most", 1 + router.merges.len()));
    }
    if let Some(router) = &recipe.token_router {
        scale.weights *= router.experts.len().max(1) as f64;
        scale.flops *= router.experts_per_token as f64;
        words.push(format!("a mixture of {} experts", router.experts.len()));
    }
    if words.is_empty() {
        words.push("one dense model".to_owned());
    }
    ([scale; 2], format!("{} (recipe)", words.join(", ")))
}
