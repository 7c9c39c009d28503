//! Documents to token sequences by lm-eval's rules (`TemplateLM._encode_pair` and `HFLM._loglikelihood_tokens`, lm-eval
//! 0.4.13), and by Salazar et al. 2020 for masked models, which lm-eval does not score.

use tokenizers::{Encoding, Tokenizer};

use super::tokenize_error::{DocPlace, TokenizeError};
use crate::model::Sequence;
use crate::model::spec::{HeadSpec, NetworkSpec, Reading};
use crate::task::{Doc, Task};
use crate::units::Split;

/// What stands for a hidden token in the vocabularies of BERT's and RoBERTa's families.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// Encodes the documents of one task.
pub(super) struct Encoder<'a> {
    pub task: &'a Task,
    pub split: Split,
    pub tokenizer: &'a Tokenizer,
    pub spec: &'a NetworkSpec,
}

/// The token that hides another; `None` where the tokenizer has none.
pub(super) fn mask_token(tokenizer: &Tokenizer) -> Option<u32> {
    MASKS.iter().find_map(|mask| tokenizer.token_to_id(mask))
}

impl Encoder<'_> {
    /// One sequence per choice; for a classifier the text alone.
    pub fn encode(&self, doc: &Doc) -> Result<Vec<Sequence>, TokenizeError> {
        let of_choice: fn(&Self, &Doc, &str) -> Result<Sequence, TokenizeError> =
            match self.spec.reading {
                Reading::Causal => Self::causal,
                Reading::Seq2Seq => Self::seq2seq,
                Reading::Masked => Self::masked,
                Reading::Classify => return Ok(vec![self.text(doc)?]),
            };
        let checked = |choice: &String| {
            let sequence = of_choice(self, doc, choice)?;
            self.require_readable(&sequence, doc)?;
            Ok(sequence)
        };
        doc.choices.iter().map(checked).collect()
    }

    /// Context and continuation are encoded together; what goes beyond the context's tokens is the continuation.
    fn causal(&self, doc: &Doc, choice: &str) -> Result<Sequence, TokenizeError> {
        let special = self.task.add_bos_token;
        let context = self.tokens(doc.text.trim_end(), special, doc)?.len();
        let mut tokens = self.tokens(&self.whole(doc, choice), special, doc)?;
        if tokens.len() <= context {
            return Err(self.empty(doc, choice));
        }
        if context > 0 {
            return Ok(Sequence { source: Vec::new(), scored: context..tokens.len(), tokens });
        }
        let start = self.start_token(doc)?;
        if tokens.first() != Some(&start) {
            tokens.insert(0, start);
        }
        match tokens.len() {
            1 => Err(self.empty(doc, choice)),
            length => Ok(Sequence { source: Vec::new(), tokens, scored: 1..length }),
        }
    }

    /// The encoder reads the context with the tokenizer's special tokens, the decoder the continuation without.
    fn seq2seq(&self, doc: &Doc, choice: &str) -> Result<Sequence, TokenizeError> {
        let context = doc.text.trim_end();
        // Trailing blanks of the prompt go to the continuation: most tokenizers put a blank before a word.
        let blanks = &doc.text[context.len()..];
        let continuation = format!("{blanks}{}{choice}", self.task.target_delimiter);
        let source = match context {
            "" => vec![self.start_token(doc)?],
            _ => self.tokens(context, true, doc)?,
        };
        if source.is_empty() {
            return Err(TokenizeError::EmptyText { place: self.place(doc) });
        }
        let continuation = self.tokens(&continuation, false, doc)?;
        if continuation.is_empty() {
            return Err(self.empty(doc, choice));
        }
        let no_start = || TokenizeError::NoDecoderStart { place: self.place(doc) };
        let start = self.spec.tokens.decoder_start.ok_or_else(no_start)?;
        let tokens: Vec<u32> = std::iter::once(start).chain(continuation).collect();
        Ok(Sequence { source, scored: 1..tokens.len(), tokens })
    }

    /// The rule for causal models, with the tokenizer's special tokens around the whole.
    fn masked(&self, doc: &Doc, choice: &str) -> Result<Sequence, TokenizeError> {
        let context = self.tokens(doc.text.trim_end(), false, doc)?.len();
        let whole = self.encoding(&self.whole(doc, choice), true, doc)?;
        let special = whole.get_special_tokens_mask();
        let first = special.iter().take_while(|mask| **mask == 1).count();
        let text = special.iter().filter(|mask| **mask == 0).count();
        if text <= context {
            return Err(self.empty(doc, choice));
        }
        let tokens = whole.get_ids().to_vec();
        Ok(Sequence { source: Vec::new(), tokens, scored: first + context..first + text })
    }

    fn text(&self, doc: &Doc) -> Result<Sequence, TokenizeError> {
        let (choices, labels) = (doc.choices.len(), self.labels());
        if choices > labels {
            let place = self.place(doc);
            return Err(TokenizeError::Labels { place, choices, labels });
        }
        let tokens = self.tokens(&doc.text, true, doc)?;
        if tokens.is_empty() {
            return Err(TokenizeError::EmptyText { place: self.place(doc) });
        }
        let sequence = Sequence { source: Vec::new(), tokens, scored: 0..0 };
        self.require_readable(&sequence, doc)?;
        Ok(sequence)
    }

    fn labels(&self) -> usize {
        match &self.spec.head {
            HeadSpec::Classifier { output, .. } => output.weight.outputs,
            HeadSpec::LanguageModel { .. } => 0,
        }
    }

    fn whole(&self, doc: &Doc, choice: &str) -> String {
        format!("{}{}{choice}", doc.text, self.task.target_delimiter)
    }

    /// What stands where nothing does.
    fn start_token(&self, doc: &Doc) -> Result<u32, TokenizeError> {
        let tokens = &self.spec.tokens;
        let start = tokens.bos.or(tokens.eos.first().copied());
        start.ok_or_else(|| TokenizeError::EmptyContext { place: self.place(doc) })
    }

    fn tokens(&self, text: &str, special: bool, doc: &Doc) -> Result<Vec<u32>, TokenizeError> {
        Ok(self.encoding(text, special, doc)?.get_ids().to_vec())
    }

    fn encoding(&self, text: &str, special: bool, doc: &Doc) -> Result<Encoding, TokenizeError> {
        let failed = |source| TokenizeError::Encode { place: self.place(doc), source };
        self.tokenizer.encode(text, special).map_err(failed)
    }

    fn require_readable(&self, sequence: &Sequence, doc: &Doc) -> Result<(), TokenizeError> {
        let vocab_size = self.spec.vocab_size;
        let mut tokens = sequence.source.iter().chain(&sequence.tokens);
        if let Some(&token) = tokens.find(|token| **token as usize >= vocab_size) {
            let place = self.place(doc);
            return Err(TokenizeError::Vocabulary { place, token, vocab_size });
        }
        let own = match self.spec.reading {
            Reading::Causal | Reading::Seq2Seq => sequence.inputs().len(),
            Reading::Masked | Reading::Classify => sequence.tokens.len(),
        };
        let tokens = own.max(sequence.source.len());
        match self.spec.longest {
            Some(longest) if tokens > longest => {
                Err(TokenizeError::TooLong { place: self.place(doc), tokens, longest })
            }
            _ => Ok(()),
        }
    }

    fn empty(&self, doc: &Doc, choice: &str) -> TokenizeError {
        TokenizeError::EmptyContinuation { place: self.place(doc), choice: choice.to_owned() }
    }

    fn place(&self, doc: &Doc) -> DocPlace {
        DocPlace { task: self.task.name.clone(), split: self.split, line: doc.line }
    }
}
