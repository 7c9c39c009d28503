//! What a tensor is for, read off its name. Covers the decoder families with Llama's or GPT-2's names.

/// The kind of computation a tensor takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorGroup {
    /// Projections of the attention, with their biases and their query and key norms.
    Attention,
    /// Projections of the feed-forward block.
    Mlp,
    /// Norms between the blocks and at the end.
    Norm,
    /// Token and position embeddings.
    Embedding,
    /// The output projection.
    Head,
    /// Anything else.
    Other,
}

/// A tensor's place in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorRole {
    /// What it is for.
    pub group: TensorGroup,
    /// Its layer; `None` before the first layer and after the last.
    pub layer: Option<usize>,
}

/// Part of a name, and the group it tells; the first that occurs counts.
const GROUPS: [(&str, TensorGroup); 13] = [
    (".self_attn.", TensorGroup::Attention),
    (".attn.", TensorGroup::Attention),
    (".attention.", TensorGroup::Attention),
    (".mlp.", TensorGroup::Mlp),
    (".feed_forward.", TensorGroup::Mlp),
    ("norm.", TensorGroup::Norm),
    (".ln_", TensorGroup::Norm),
    ("embed_tokens.", TensorGroup::Embedding),
    ("embed_positions.", TensorGroup::Embedding),
    ("embed_in.", TensorGroup::Embedding),
    ("wte.", TensorGroup::Embedding),
    ("wpe.", TensorGroup::Embedding),
    ("lm_head.", TensorGroup::Head),
];

/// What the list of layers is called.
const LAYER_LISTS: [&str; 3] = ["layers", "h", "blocks"];

impl TensorRole {
    /// The role of a tensor of that name.
    pub fn of(name: &str) -> TensorRole {
        let group = GROUPS.iter().find(|(part, _)| name.contains(part));
        TensorRole {
            group: group.map_or(TensorGroup::Other, |(_, group)| *group),
            layer: layer_span(name).and_then(|(start, end)| name[start..end].parse().ok()),
        }
    }
}

/// The tensor of the same role in another layer; unchanged outside the layers.
pub fn in_layer(name: &str, layer: usize) -> String {
    match layer_span(name) {
        Some((start, end)) => format!("{}{layer}{}", &name[..start], &name[end..]),
        None => name.to_owned(),
    }
}

/// Where in the name the number of the layer stands.
fn layer_span(name: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    let mut before = "";
    for part in name.split('.') {
        if LAYER_LISTS.contains(&before) && part.parse::<usize>().is_ok() {
            return Some((start, start + part.len()));
        }
        start += part.len() + 1;
        before = part;
    }
    None
}
