//! The competition's starter kit: how its `predict_multiple_choice` encodes and scores the choices of a document.
//!
//! Prompt and choice are encoded apart and nothing stands between them. A decoder's choice is encoded by a copy of the
//! tokenizer that is told to add no BOS and an EOS; classes that do not listen keep what their post-processor adds. Its first
//! token is never scored: after a Llama-2 tokenizer a letter is scored by its EOS alone, and where a tokenizer adds nothing a
//! choice of one token has no score (0), and a document with only such choices crashes the kit. An encoder-decoder scores
//! every token, its EOS included. Sums are not divided by lengths; the first of equal choices wins.

use super::tokenize::Encoder;
use super::tokenize_error::TokenizeError;
use crate::model::Sequence;
use crate::model::spec::Reading;
use crate::task::Doc;

/// Which tokens of a decoder's choice count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scored {
    /// As the kit has it.
    WithoutFirst,
    /// As it was meant.
    All,
}

/// Prompt and choice as the kit reads them. With [`Scored::WithoutFirst`] nothing may be left to predict: see [`crashes`].
pub(super) fn sequence(
    encoder: &Encoder,
    doc: &Doc,
    choice: &str,
    scored: Scored,
) -> Result<Sequence, TokenizeError> {
    let prompt = encoder.tokens(&doc.text, true, doc)?;
    let choice_tokens = choice_tokens(encoder, doc, choice)?;
    let place = || encoder.place(doc);
    if choice_tokens.is_empty() {
        return Err(TokenizeError::EmptyContinuation { place: place(), choice: choice.to_owned() });
    }
    if prompt.is_empty() {
        return Err(TokenizeError::EmptyText { place: place() });
    }
    match encoder.spec.reading {
        Reading::Seq2Seq => encoder.decoded(doc, prompt, choice_tokens),
        Reading::Causal => {
            let skipped = usize::from(scored == Scored::WithoutFirst);
            let first = prompt.len() + skipped;
            let tokens: Vec<u32> = prompt.into_iter().chain(choice_tokens).collect();
            Ok(Sequence { source: Vec::new(), scored: first..tokens.len(), tokens })
        }
        Reading::Masked | Reading::Classify => Err(TokenizeError::NotForKit { place: place() }),
    }
}

fn choice_tokens(encoder: &Encoder, doc: &Doc, choice: &str) -> Result<Vec<u32>, TokenizeError> {
    if !encoder.tokenizer.kit_adds_eos() || encoder.spec.reading == Reading::Seq2Seq {
        return encoder.tokens(choice, true, doc);
    }
    let mut tokens = encoder.tokens(choice, false, doc)?;
    let eos = encoder.tokenizer.eos().or(encoder.spec.tokens.eos.first().copied());
    tokens.extend(eos);
    Ok(tokens)
}

/// Whether the kit crashes on a document with these sequences: none of them has a token to predict.
pub(super) fn crashes(sequences: &[Sequence]) -> bool {
    sequences.iter().all(|sequence| sequence.scored.is_empty())
}
