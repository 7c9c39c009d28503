//! How large candidates may be against the base model.

use crate::model::spec::{GatedSpec, LayerSpec, LinearSpec, MlpSpec};
use crate::model::{NetworkSpec, Workload};
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

    /// Of a run's winner, by its number; its base model's cost is beside it.
    pub fn of_front(front: &[FrontRow], winner: u64) -> Option<Graph> {
        let base = front.iter().find(|row| row.name.as_deref() == Some("base"))?.cost;
        let winner = front.iter().find(|row| row.trial == winner)?.cost;
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
    let (own, mut words) = of_merge(recipe, spec);
    let mut scales = [own; 2];
    if let Some(router) = &recipe.document_router {
        let others = router.merges.iter().map(|merge| of_merge(merge, spec).0);
        // Equal tensors are kept once, so that the largest of them may be all that there is.
        scales = others.fold(scales, |[least, most], other| {
            [
                Scale {
                    weights: least.weights.max(other.weights),
                    flops: least.flops.min(other.flops),
                },
                Scale { weights: most.weights + other.weights, flops: most.flops.max(other.flops) },
            ]
        });
        words.push(format!("{} merges at once, at most", 1 + router.merges.len()));
    }
    if words.is_empty() {
        words.push("one dense model".to_owned());
    }
    (scales, format!("{} (recipe)", words.join(", ")))
}

/// Without its document router.
fn of_merge(recipe: &Recipe, spec: &NetworkSpec) -> (Scale, Vec<String>) {
    let share = Share::of(spec);
    let mut scale = Scale::ONE;
    let mut words = Vec::new();
    if let Layout::Slices(slices) = &recipe.layout {
        let first = |sources: &[SliceSource]| {
            sources.first().map_or(0, |source| source.layer_range.layers())
        };
        let layers: usize = slices.iter().map(|slice| first(&slice.sources)).sum();
        let more = layers as f64 - share.layers as f64;
        scale.weights += share.layer.weights * more;
        scale.flops += share.layer.flops * more;
        words.push(format!("{layers} layers of {}", share.layers));
    }
    if let Some(router) = &recipe.token_router {
        let routed = router.layers.len() as f64;
        let more = |blocks: usize| routed * blocks.saturating_sub(1) as f64;
        let weights = share.block.weights * more(router.experts.len());
        let flops = share.block.flops * more(router.experts_per_token);
        scale = Scale { weights: scale.weights + weights, flops: scale.flops + flops };
        let experts = router.experts.len();
        words.push(format!("a mixture of {experts} experts at {routed} layers"));
    }
    (scale, words)
}

/// What a layer has of a whole network, on average.
struct Share {
    /// Of the stack that recipes are about.
    layers: usize,
    layer: Scale,
    /// Its feed-forward block.
    block: Scale,
}

impl Share {
    fn of(spec: &NetworkSpec) -> Share {
        let stack = spec.decoder.as_ref().or(spec.encoder.as_ref());
        let layers = stack.map_or(&[][..], |stack| &stack.layers);
        let each = |elements: usize| {
            let mean = elements as f64 / layers.len().max(1) as f64;
            let token = spec.flops(&Workload::prefill(0, 1, 1)).max(1.0);
            // A multiplication and an addition for each element.
            Scale { weights: mean / spec.parameters().max(1) as f64, flops: 2.0 * mean / token }
        };
        Share {
            layers: layers.len(),
            layer: each(layers.iter().map(of_layer).sum()),
            block: each(layers.iter().map(|layer| of_block(&layer.mlp)).sum()),
        }
    }
}

/// Elements of its matrices; vectors are few.
fn of_layer(layer: &LayerSpec) -> usize {
    let cross = layer.cross.iter().map(|(attention, _)| attention);
    let attentions = std::iter::once(&layer.attention).chain(cross);
    let matrices = attentions.flat_map(|it| [&it.query, &it.key, &it.value, &it.output]);
    matrices.map(of_linear).sum::<usize>() + of_block(&layer.mlp)
}

fn of_block(block: &MlpSpec) -> usize {
    match block {
        MlpSpec::Plain { up, down, .. } => of_linear(up) + of_linear(down),
        MlpSpec::Gated(gated) => of_gated(gated),
        MlpSpec::Experts { experts, .. } => experts.iter().map(of_gated).sum(),
    }
}

fn of_gated(gated: &GatedSpec) -> usize {
    [&gated.gate, &gated.up, &gated.down].into_iter().map(of_linear).sum()
}

fn of_linear(linear: &LinearSpec) -> usize {
    linear.weight.inputs * linear.weight.outputs
}
