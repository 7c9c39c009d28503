//! What BERT and ALBERT have in common: the embedding, and the two heads through which they are read.

use serde_json::{Value, json};

use super::fields::{Fields, invalid};
use super::tensors::{Heads, layer_norm, linear, tied_or_own};
use super::{ConfigError, Has, Names};
use crate::model::spec::{
    Activation, EmbeddingSpec, HeadSpec, LinearSpec, MatrixSpec, NetworkSpec, NormSpec, Placement,
    Reading, SpecialTokens, StackSpec, VectorSpec,
};

const CLASSIFIER: &str = "classifier";

/// What the config says, checked, and what the checkpoint has.
pub(super) struct Encoder<'a> {
    pub names: Names,
    pub has: Has<'a>,
    pub vocab_size: usize,
    pub longest: usize,
    pub embedding_width: usize,
    pub width: usize,
    pub inner: usize,
    pub heads: Heads,
    pub activation: Activation,
    pub epsilon: f32,
}

/// Names of the heads' tensors.
pub(super) struct Heading {
    /// Dense layer before the logits of the masked language model.
    pub dense: &'static str,
    /// Norm after it.
    pub norm: &'static str,
    /// Matrix and bias of the logits.
    pub decoder: &'static str,
    /// The same bias under the name that every file has.
    pub bias: &'static str,
    /// Dense layer before the classifier, in the module that has the layers.
    pub pooler: &'static str,
}

/// The whole network: a masked language model where the checkpoint has its head, else a classifier.
///
/// # Errors
/// [`ConfigError::NoHead`] if it has neither.
pub(super) fn network(
    family: &str,
    fields: &Fields,
    model: &Encoder,
    heading: &Heading,
    stack: StackSpec,
    tokens: SpecialTokens,
) -> Result<NetworkSpec, ConfigError> {
    let (reading, head) = match (model.has)(&format!("{}.weight", heading.dense)) {
        true => (Reading::Masked, model.language_model(fields, heading)?),
        false => (Reading::Classify, model.classifier(fields, heading)?),
    };
    Ok(NetworkSpec {
        family: family.to_owned(),
        reading,
        vocab_size: model.vocab_size,
        hidden_size: model.width,
        longest: Some(model.longest),
        encoder: Some(stack),
        decoder: None,
        head,
        tokens: fields.special_tokens_or(tokens)?,
        settings: fields.settings(),
    })
}

impl Encoder<'_> {
    /// Files made from TensorFlow's call a norm's weight and bias gamma and beta.
    pub fn norm(&self, name: &str, width: usize) -> NormSpec {
        let norm = layer_norm(name, width, self.epsilon);
        let (weight, bias) = (format!("{name}.gamma"), format!("{name}.beta"));
        if !(self.has)(&weight) || (self.has)(&norm.weight.tensor) {
            return norm;
        }
        let whole = |tensor| VectorSpec::whole(tensor, width);
        NormSpec { weight: whole(weight), bias: Some(whole(bias)), ..norm }
    }

    /// Without a projection.
    pub fn embedding(&self, fields: &Fields) -> Result<EmbeddingSpec, ConfigError> {
        // transformers 5 ignores the others, 4 computed them.
        fields.only("position_embedding_type", &[json!("absolute")])?;
        let types = fields.count_or("type_vocab_size", 2)?;
        let at = |part: &str| self.names.of(&format!("embeddings.{part}"));
        let width = self.embedding_width;
        let positions = MatrixSpec::whole(at("position_embeddings.weight"), self.longest, width);
        Ok(EmbeddingSpec {
            tokens: self.word_embeddings(),
            scale: 1.0,
            positions: Some((positions, 0)),
            token_type: Some(VectorSpec {
                shape: vec![types, width],
                placement: Placement::Rows { first: 0 },
                ..VectorSpec::whole(at("token_type_embeddings.weight"), width)
            }),
            norm: Some(self.norm(&at("LayerNorm"), width)),
            projection: None,
        })
    }

    fn word_embeddings(&self) -> MatrixSpec {
        let tensor = self.names.of("embeddings.word_embeddings.weight");
        MatrixSpec::whole(tensor, self.vocab_size, self.embedding_width)
    }

    fn language_model(&self, fields: &Fields, heading: &Heading) -> Result<HeadSpec, ConfigError> {
        let own = format!("{}.weight", heading.decoder);
        let tied = fields.flag("tie_word_embeddings", true)?;
        let shape = [self.vocab_size, self.embedding_width];
        let weight = tied_or_own(own, &[self.word_embeddings().tensor], tied, shape, self.has)?;
        let bias = format!("{}.bias", heading.decoder);
        let bias = if (self.has)(&bias) { bias } else { heading.bias.to_owned() };
        let dense = linear(heading.dense, self.embedding_width, self.width, true);
        let norm = self.norm(heading.norm, self.embedding_width);
        Ok(HeadSpec::LanguageModel {
            transform: Some(Box::new((dense, self.activation, norm))),
            scale: 1.0,
            output: LinearSpec { weight, bias: Some(VectorSpec::whole(bias, self.vocab_size)) },
            softcap: None,
        })
    }

    fn classifier(&self, fields: &Fields, heading: &Heading) -> Result<HeadSpec, ConfigError> {
        let pooler = self.names.of(heading.pooler);
        for name in [CLASSIFIER, &pooler].map(|name| format!("{name}.weight")) {
            if !(self.has)(&name) {
                let expected = format!("{}.weight, and no {name}", heading.dense);
                return Err(ConfigError::NoHead { expected });
            }
        }
        fields.only("problem_type", &[json!("single_label_classification")])?;
        Ok(HeadSpec::Classifier {
            pooler: linear(&pooler, self.width, self.width, true),
            output: linear(CLASSIFIER, labels(fields)?, self.width, true),
        })
    }
}

/// As many as have names; a single one would be a regression's.
fn labels(fields: &Fields) -> Result<usize, ConfigError> {
    let (field, labels) = match fields.get("id2label").and_then(Value::as_object) {
        Some(names) => ("id2label", names.len()),
        None => ("num_labels", fields.count_or("num_labels", 2)?),
    };
    if labels < 2 {
        return Err(invalid(field, &json!(labels), "at least 2 labels"));
    }
    Ok(labels)
}
