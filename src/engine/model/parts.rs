//! Every tensor that a network uses.

use crate::model::spec::{
    AttentionSpec, EmbeddingSpec, GatedSpec, HeadSpec, LayerSpec, LinearSpec, MatrixSpec, MlpSpec,
    NetworkSpec, NormSpec, PositionsSpec, StackSpec, SublayerNorm, VectorSpec,
};

/// What a tensor is for, which decides its precision in memory.
pub enum Part<'a> {
    /// In the network's precision.
    Matrix(&'a MatrixSpec),
    /// In the network's precision.
    Bias(&'a VectorSpec),
    /// Added to attention scores, which are float32.
    ScoreTable(&'a MatrixSpec),
    /// Norms are computed in float32.
    Norm(&'a VectorSpec),
}

impl<'a> Part<'a> {
    /// Name in the checkpoint.
    pub fn tensor(&self) -> &'a str {
        match self {
            Part::Matrix(spec) | Part::ScoreTable(spec) => &spec.tensor,
            Part::Bias(spec) | Part::Norm(spec) => &spec.tensor,
        }
    }
}

impl NetworkSpec {
    /// Names and shapes of the checkpoint's tensors that the network uses, some more than once.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        of(self).into_iter().map(|part| match part {
            Part::Matrix(spec) | Part::ScoreTable(spec) => (spec.tensor.as_str(), &*spec.shape),
            Part::Bias(spec) | Part::Norm(spec) => (spec.tensor.as_str(), &*spec.shape),
        })
    }
}

/// All of them, some more than once.
pub fn of(spec: &NetworkSpec) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for stack in spec.encoder.iter().chain(&spec.decoder) {
        of_stack(stack, &mut parts);
    }
    match &spec.head {
        HeadSpec::LanguageModel { transform, output, .. } => {
            if let Some((dense, _, norm)) = transform.as_deref() {
                of_linear(dense, &mut parts);
                of_norm(norm, &mut parts);
            }
            of_linear(output, &mut parts);
        }
        HeadSpec::Classifier { pooler, output } => {
            of_linear(pooler, &mut parts);
            of_linear(output, &mut parts);
        }
    }
    parts
}

fn of_stack<'a>(stack: &'a StackSpec, parts: &mut Vec<Part<'a>>) {
    of_embedding(&stack.embedding, parts);
    stack.layers.iter().for_each(|layer| of_layer(layer, parts));
    stack.norm.iter().for_each(|norm| of_norm(norm, parts));
}

fn of_embedding<'a>(embedding: &'a EmbeddingSpec, parts: &mut Vec<Part<'a>>) {
    parts.push(Part::Matrix(&embedding.tokens));
    parts.extend(embedding.positions.iter().map(|(table, _)| Part::Matrix(table)));
    parts.extend(embedding.token_type.iter().map(Part::Bias));
    embedding.norm.iter().for_each(|norm| of_norm(norm, parts));
    embedding.projection.iter().for_each(|projection| of_linear(projection, parts));
}

fn of_layer<'a>(layer: &'a LayerSpec, parts: &mut Vec<Part<'a>>) {
    of_attention(&layer.attention, parts);
    of_sublayer(&layer.attention_norm, parts);
    if let Some((attention, norm)) = &layer.cross {
        of_attention(attention, parts);
        of_sublayer(norm, parts);
    }
    of_mlp(&layer.mlp, parts);
    of_sublayer(&layer.mlp_norm, parts);
}

fn of_attention<'a>(attention: &'a AttentionSpec, parts: &mut Vec<Part<'a>>) {
    for linear in [&attention.query, &attention.key, &attention.value, &attention.output] {
        of_linear(linear, parts);
    }
    if let Some((query, key)) = &attention.head_norms {
        of_norm(query, parts);
        of_norm(key, parts);
    }
    if let PositionsSpec::Relative { table, .. } = &attention.positions {
        parts.push(Part::ScoreTable(table));
    }
}

fn of_mlp<'a>(mlp: &'a MlpSpec, parts: &mut Vec<Part<'a>>) {
    match mlp {
        MlpSpec::Plain { up, down, .. } => {
            of_linear(up, parts);
            of_linear(down, parts);
        }
        MlpSpec::Gated(gated) => of_gated(gated, parts),
        MlpSpec::Experts { router, experts, .. } => {
            of_linear(router, parts);
            experts.iter().for_each(|expert| of_gated(expert, parts));
        }
    }
}

fn of_gated<'a>(gated: &'a GatedSpec, parts: &mut Vec<Part<'a>>) {
    [&gated.gate, &gated.up, &gated.down].into_iter().for_each(|linear| of_linear(linear, parts));
}

fn of_sublayer<'a>(norm: &'a SublayerNorm, parts: &mut Vec<Part<'a>>) {
    match norm {
        SublayerNorm::Before(norm) | SublayerNorm::BeforeBoth(norm) | SublayerNorm::After(norm) => {
            of_norm(norm, parts);
        }
        SublayerNorm::Around { before, after } => {
            of_norm(before, parts);
            of_norm(after, parts);
        }
    }
}

fn of_linear<'a>(linear: &'a LinearSpec, parts: &mut Vec<Part<'a>>) {
    parts.push(Part::Matrix(&linear.weight));
    parts.extend(linear.bias.iter().map(Part::Bias));
}

fn of_norm<'a>(norm: &'a NormSpec, parts: &mut Vec<Part<'a>>) {
    parts.push(Part::Norm(&norm.weight));
    parts.extend(norm.bias.iter().map(Part::Norm));
}
