//! Texts that answer documents: greedy, as lm-eval 0.4.13's `hf` model gives them.
//!
//! Prompts that begin alike form a [`Group`], whose beginning is read once per model. On each of a pool's threads a lane
//! keeps a window of the group's texts growing and begins the next where one ends ([`lane`]). A text ends with an end
//! token, where it contains a string of `until` ([`ending`]), or at its limit. What a text is does not depend on the
//! texts beside it, on their order or on the number of threads.

mod beginnings;
mod counted;
mod ending;
mod groups;
mod lane;
mod timing;

use std::sync::Arc;

use tokenizers::Tokenizer;

use self::counted::Shared;
use self::groups::{Group, Grouping};
use super::{Pool, Scorer};
use crate::model::spec::{NetworkSpec, Reading};
use crate::model::{Prefix, Prompt};

pub use timing::TextPack;

/// Positions of a model whose config sets no limit.
const LONGEST: usize = 1 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct TextRequest {
    /// The prompt's tokens, special ones included; for an encoder-decoder what the encoder reads.
    pub prompt: Vec<u32>,
    /// Tokens added at most.
    pub max_new_tokens: usize,
    /// The text is cut before the first occurrence of any of these; empty ones do not count. lm-eval adds the string of
    /// the tokenizer's end token.
    pub until: Arc<[String]>,
}

/// A text, and how it came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedText {
    /// Without special tokens, cut.
    pub text: String,
    /// Tokens that were added, with those that the cut took away.
    pub tokens: usize,
    /// The prompt was too long for the model, and its first tokens were left out.
    pub truncated: bool,
    /// Ended by an end token or by a string of `until`, not by the limit.
    pub finished: bool,
}

/// All texts, in the order of the requests.
pub struct TextRun {
    /// One per request.
    pub texts: Vec<GeneratedText>,
    /// States of the shared beginnings, for [`TextPack::lap`].
    pub prefixes: Vec<Arc<Prefix>>,
    /// Time on one core.
    pub seconds: f64,
}

/// Why texts cannot be asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TextSetError {
    /// The network gives no texts.
    #[error(
        "a model of family `{family}` gives no texts; a task with output_type = generate_until needs a decoder"
    )]
    NoDecoder {
        /// `model_type` of its config.
        family: String,
    },
    /// It runs where no texts are generated.
    #[error(
        "texts are generated on the CPU alone so far; a task with output_type = generate_until needs device cpu"
    )]
    OnDevice,
    /// The config of an encoder-decoder lacks a token.
    #[error(
        "the model's config has no decoder_start_token_id, which the decoder's texts begin with"
    )]
    NoDecoderStart,
    /// There is no token to go on from.
    #[error("the prompt of request {request} has no tokens")]
    EmptyPrompt {
        /// Index of the request.
        request: usize,
    },
    /// Tokenizer and checkpoint do not belong together.
    #[error("token {token} of request {request} is not below the model's vocab_size {vocab_size}")]
    Vocabulary {
        /// Index of the request.
        request: usize,
        /// The token's id.
        token: u32,
        /// Of the model's config.
        vocab_size: usize,
    },
    /// The new tokens alone are too many.
    #[error(
        "max_gen_toks is {max_new_tokens}; it must be below {longest}, the longest text of the model"
    )]
    NoRoom {
        /// Index of the request.
        request: usize,
        /// Of the request.
        max_new_tokens: usize,
        /// Tokens that the model can read.
        longest: usize,
    },
    /// A text does not fit into memory.
    #[error(
        "the text of request {request} takes {bytes} bytes of memory on each thread, and there are {available}"
    )]
    TooLarge {
        /// Index of the request.
        request: usize,
        /// For its keys, values and activations.
        bytes: usize,
        /// For one thread.
        available: usize,
    },
}

impl TextSetError {
    /// Index of the request whose fault it is.
    pub fn request(&self) -> Option<usize> {
        match self {
            TextSetError::NoDecoder { .. }
            | TextSetError::NoDecoderStart
            | TextSetError::OnDevice => None,
            TextSetError::EmptyPrompt { request }
            | TextSetError::Vocabulary { request, .. }
            | TextSetError::NoRoom { request, .. }
            | TextSetError::TooLarge { request, .. } => Some(*request),
        }
    }
}

/// Why a model gave no texts.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A candidate's fault: its numbers overflow.
    #[error("the logits after request {request} are not numbers")]
    NonFinite {
        /// Index of the request.
        request: usize,
    },
    /// The tokenizer cannot make a text of tokens.
    #[error("the tokenizer cannot decode the text of request {request}: {source}")]
    Decode {
        /// Index of the request.
        request: usize,
        /// The tokenizer's reason.
        source: tokenizers::Error,
    },
    /// candle could not compute.
    #[error("generating texts")]
    Candle(#[from] candle_core::Error),
}

/// A request that fits the model.
#[derive(Debug)]
struct Text {
    prompt: Prompt,
    max_new_tokens: usize,
    until: Arc<[String]>,
    truncated: bool,
}

/// Requests, grouped and measured: everything about them that does not depend on the weights.
#[derive(Debug)]
pub struct TextSet {
    texts: Vec<Text>,
    groups: Vec<Group>,
    stop: Vec<u32>,
    activations: usize,
    states: usize,
    shared: Shared,
}

impl TextSet {
    /// Prepares requests for `network` and models of its kind. `stop`: ids that end a text besides those of the model's
    /// config. `bytes_per_thread`: for the keys, values and activations of the texts that grow on one thread and the
    /// states of all shared beginnings.
    ///
    /// A prompt that leaves no room for the new tokens loses its first ones, as with lm-eval.
    ///
    /// # Errors
    /// What the model or the memory cannot do.
    pub fn new(
        requests: Vec<TextRequest>,
        stop: &[u32],
        network: &dyn Scorer,
        bytes_per_thread: usize,
    ) -> Result<Self, TextSetError> {
        let spec = network.spec();
        if spec.decoder.is_none() || matches!(spec.reading, Reading::Masked | Reading::Classify) {
            return Err(TextSetError::NoDecoder { family: spec.family.clone() });
        }
        if network.on_device() {
            return Err(TextSetError::OnDevice);
        }
        let requests = requests.into_iter().enumerate();
        let texts: Vec<Text> = requests
            .map(|(index, request)| Text::new(index, request, spec))
            .collect::<Result<_, _>>()?;
        let grouping = Grouping { network, bytes: bytes_per_thread, texts: &texts };
        let grouped = grouping.group()?;
        let stop = spec.tokens.eos.iter().chain(stop).copied().collect();
        let (activations, states) = (grouped.activations, grouped.states);
        let shared = Shared::of(&texts, spec.reading);
        Ok(TextSet { groups: grouped.groups, texts, stop, activations, states, shared })
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Tokens of all prompts.
    pub(super) fn prompt_tokens(&self) -> usize {
        let tokens = |text: &Text| text.prompt.source.len() + text.prompt.tokens.len();
        self.texts.iter().map(tokens).sum()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Number of prompts that lost their first tokens.
    pub fn truncated(&self) -> usize {
        self.texts.iter().filter(|text| text.truncated).count()
    }

    /// Bytes that each thread needs: keys, values and activations of the texts that grow there.
    pub fn activation_bytes(&self) -> usize {
        self.activations
    }

    /// Bytes that the states of shared beginnings take, for each model that is at work.
    pub fn header_bytes(&self) -> usize {
        self.states
    }

    /// Generates all texts on the pool's threads. `progress` is told how many have just ended, from several threads.
    ///
    /// # Errors
    /// See [`TextError`]; of several texts whose logits are no numbers the first is named.
    pub fn run(
        &self,
        network: &dyn Scorer,
        pool: &Pool,
        tokenizer: &Tokenizer,
        progress: Option<&(dyn Fn(usize) + Sync)>,
    ) -> Result<TextRun, TextError> {
        lane::Course::new(self, network, pool, tokenizer, progress).run()
    }

    /// All texts in packs, for timing.
    pub fn packs(&self) -> Vec<TextPack<'_>> {
        timing::packs(self)
    }

    /// What groups of prompts begin with, in the order of [`TextRun::prefixes`].
    pub(super) fn beginnings(&self) -> impl Iterator<Item = &[u32]> {
        let beginnings = self.groups.iter().map(|group| group.beginning.as_slice());
        beginnings.filter(|beginning| !beginning.is_empty())
    }
}

impl Text {
    /// `HFLM.generate_until` and `tok_batch_encode` of lm-eval 0.4.13: a causal model's prompt keeps its last
    /// `max_length - max_gen_toks` tokens, an encoder's its last `max_length`.
    fn new(index: usize, request: TextRequest, spec: &NetworkSpec) -> Result<Text, TextSetError> {
        let TextRequest { mut prompt, max_new_tokens, until } = request;
        check(index, &prompt, spec)?;
        let longest = spec.longest.unwrap_or(LONGEST);
        let no_room = TextSetError::NoRoom { request: index, max_new_tokens, longest };
        let readable = match spec.reading {
            Reading::Seq2Seq if max_new_tokens > longest => return Err(no_room),
            Reading::Seq2Seq => longest,
            _ => match longest.checked_sub(max_new_tokens) {
                None | Some(0) => return Err(no_room),
                Some(readable) => readable,
            },
        };
        let surplus = prompt.len().saturating_sub(readable);
        prompt.drain(..surplus);
        let prompt = match spec.reading {
            Reading::Seq2Seq => {
                let start = spec.tokens.decoder_start.ok_or(TextSetError::NoDecoderStart)?;
                Prompt { source: prompt, tokens: vec![start] }
            }
            _ => Prompt { source: Vec::new(), tokens: prompt },
        };
        Ok(Text { prompt, max_new_tokens, until, truncated: surplus > 0 })
    }

    /// Tokens that the decoder comes to know at most.
    fn longest(&self) -> usize {
        self.prompt.tokens.len() + self.max_new_tokens
    }
}

fn check(request: usize, prompt: &[u32], spec: &NetworkSpec) -> Result<(), TextSetError> {
    let vocab_size = spec.vocab_size;
    if prompt.is_empty() {
        return Err(TextSetError::EmptyPrompt { request });
    }
    match prompt.iter().find(|token| **token as usize >= vocab_size) {
        Some(&token) => Err(TextSetError::Vocabulary { request, token, vocab_size }),
        None => Ok(()),
    }
}
