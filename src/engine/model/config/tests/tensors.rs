//! The specs against every tensor that transformers saves for tiny models of the families.

use std::collections::{BTreeMap, BTreeSet};

use super::{FAMILY_NAMES, parse};
use crate::model::config::ConfigError;
use crate::model::spec::*;

const ARCHITECTURES: &str =
    include_str!("../../../../../tests/reference/transformers/architectures.json");

/// Shapes by name, and which elements of each tensor are used.
#[derive(Default)]
struct Used {
    shapes: BTreeMap<String, Vec<usize>>,
    elements: BTreeMap<String, BTreeSet<usize>>,
}

impl Used {
    fn add(&mut self, tensor: &str, shape: &[usize], elements: impl Iterator<Item = usize>) {
        let before = self.shapes.insert(tensor.to_owned(), shape.to_vec());
        assert!(before.is_none_or(|before| before == shape), "{tensor} has two shapes");
        self.elements.entry(tensor.to_owned()).or_default().extend(elements);
    }

    fn matrix(&mut self, matrix: &MatrixSpec) {
        let total = *matrix.shape.last().unwrap();
        let stride = matrix.placement.stride(total);
        let rows = (0..matrix.outputs).flat_map(|output| {
            let first = matrix.placement.first_element(output, matrix.inputs);
            (0..matrix.inputs).map(move |input| first + input * stride)
        });
        self.add(&matrix.tensor, &matrix.shape, rows);
    }

    fn vector(&mut self, vector: &VectorSpec) {
        let element = |i| vector.placement.first_element(i, 1);
        self.add(&vector.tensor, &vector.shape, (0..vector.length).map(element));
    }

    fn linear(&mut self, linear: &LinearSpec) {
        self.matrix(&linear.weight);
        linear.bias.iter().for_each(|bias| self.vector(bias));
    }

    fn linears(&mut self, linears: &[&LinearSpec]) {
        linears.iter().for_each(|linear| self.linear(linear));
    }

    fn norm(&mut self, norm: &NormSpec) {
        self.vector(&norm.weight);
        norm.bias.iter().for_each(|bias| self.vector(bias));
    }

    fn sublayer_norm(&mut self, norm: &SublayerNorm) {
        match norm {
            SublayerNorm::Before(norm)
            | SublayerNorm::BeforeBoth(norm)
            | SublayerNorm::After(norm) => {
                self.norm(norm);
            }
            SublayerNorm::Around { before, after } => {
                [before, after].into_iter().for_each(|norm| self.norm(norm))
            }
        }
    }

    fn attention(&mut self, attention: &AttentionSpec) {
        self.linears(&[&attention.query, &attention.key, &attention.value, &attention.output]);
        if let Some((query, key)) = &attention.head_norms {
            self.norm(query);
            self.norm(key);
        }
        if let PositionsSpec::Relative { table, .. } = &attention.positions {
            self.matrix(table);
        }
    }

    fn gated(&mut self, gated: &GatedSpec) {
        self.linears(&[&gated.gate, &gated.up, &gated.down]);
    }

    fn mlp(&mut self, mlp: &MlpSpec) {
        match mlp {
            MlpSpec::Plain { up, down, .. } => self.linears(&[up, down]),
            MlpSpec::Gated(gated) => self.gated(gated),
            MlpSpec::Experts { router, experts, .. } => {
                self.linear(router);
                experts.iter().for_each(|expert| self.gated(expert));
            }
        }
    }

    fn stack(&mut self, stack: &StackSpec) {
        let embedding = &stack.embedding;
        self.matrix(&embedding.tokens);
        embedding.positions.iter().for_each(|(table, _)| self.matrix(table));
        embedding.token_type.iter().for_each(|vector| self.vector(vector));
        embedding.norm.iter().chain(&stack.norm).for_each(|norm| self.norm(norm));
        embedding.projection.iter().for_each(|linear| self.linear(linear));
        for layer in &stack.layers {
            self.attention(&layer.attention);
            self.sublayer_norm(&layer.attention_norm);
            self.mlp(&layer.mlp);
            self.sublayer_norm(&layer.mlp_norm);
            if let Some((attention, norm)) = &layer.cross {
                self.attention(attention);
                self.sublayer_norm(norm);
            }
        }
    }

    fn network(&mut self, network: &NetworkSpec) {
        network.encoder.iter().chain(&network.decoder).for_each(|stack| self.stack(stack));
        match &network.head {
            HeadSpec::LanguageModel { transform, output, .. } => {
                if let Some((dense, _, norm)) = transform.as_deref() {
                    self.linear(dense);
                    self.norm(norm);
                }
                self.linear(output);
            }
            HeadSpec::Classifier { pooler, output } => self.linears(&[pooler, output]),
        }
    }
}

type Shapes = BTreeMap<String, Vec<usize>>;

/// The models of the families that are read, by name: their specs, if there is one, and the tensors that were saved.
fn models() -> Vec<(String, Result<NetworkSpec, ConfigError>, Shapes)> {
    let models = parse(ARCHITECTURES);
    let model = |(name, model): (&String, &serde_json::Value)| {
        let family = model["config"]["model_type"].as_str()?;
        let tensors = model["tensors"].as_object()?.iter();
        let shape = |shape: &serde_json::Value| serde_json::from_value(shape[0].clone()).unwrap();
        let shapes: Shapes = tensors.map(|(name, facts)| (name.clone(), shape(facts))).collect();
        let spec = NetworkSpec::from_json(&model["config"], &|name| shapes.contains_key(name));
        FAMILY_NAMES.contains(&family).then(|| (name.clone(), spec, shapes))
    };
    models.as_object().unwrap().iter().filter_map(model).collect()
}

#[test]
fn a_network_uses_every_element_that_transformers_saves() {
    let mut seen = 0;
    for (name, spec, saved) in models() {
        // Labels are not scored by a decoder.
        if name == "bart-sequence-classification" {
            assert!(matches!(spec, Err(ConfigError::NoHead { .. })));
            continue;
        }
        let mut used = Used::default();
        used.network(&spec.unwrap_or_else(|error| panic!("{name}: {error}")));
        assert_eq!(used.shapes, saved, "{name}");
        for (tensor, elements) in used.elements {
            let first_type = tensor.contains("token_type_embeddings");
            let count: usize = saved[&tensor].iter().skip(usize::from(first_type)).product();
            assert_eq!(elements, (0..count).collect(), "{name}: {tensor}");
        }
        seen += 1;
    }
    assert_eq!(seen, 18);
}
