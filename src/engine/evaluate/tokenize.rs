//! Documents to token sequences by lm-eval's rules (`TemplateLM._encode_pair`, `loglikelihood`, `HFLM.tok_encode` and
//! `HFLM._loglikelihood_tokens`, lm-eval 0.4.13), and by Salazar et al. 2020 for masked models, which lm-eval does not score.

use tokenizers::Encoding;

use super::TaskTokenizer;
use super::columns::Column;
use super::kit;
use super::tokenize_error::{DocPlace, TokenizeError};
use crate::model::Sequence;
use crate::model::spec::{HeadSpec, NetworkSpec, Reading};
use crate::task::{Doc, OutputType, Task};

/// What stands for a hidden token in the vocabularies of BERT's and RoBERTa's families.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// Encodes the documents of one task.
pub(super) struct Encoder<'a> {
    pub task: &'a Task,
    pub tokenizer: &'a TaskTokenizer,
    pub spec: &'a NetworkSpec,
}

/// The token that hides another; `None` where the tokenizer has none.
pub(super) fn mask_token(tokenizer: &TaskTokenizer) -> Option<u32> {
    MASKS.iter().find_map(|mask| tokenizer.tokenizer().token_to_id(mask))
}

impl Encoder<'_> {
    /// What gives a choice the log-likelihood of `column`.
    pub fn choice(
        &self,
        doc: &Doc,
        choice: &str,
        column: Column,
    ) -> Result<Sequence, TokenizeError> {
        let delimiter = &self.task.target_delimiter;
        let sequence = match column {
            Column::Conditional => self.pair(doc, &doc.text, &format!("{delimiter}{choice}"))?,
            Column::Unconditional => self.pair(doc, "", &format!("{delimiter}{choice}"))?,
            Column::Kit => kit::sequence(self, doc, choice, kit::Scored::WithoutFirst)?,
            Column::KitFixed => kit::sequence(self, doc, choice, kit::Scored::All)?,
        };
        match self.task.cuts_prompts {
            true => self.require_vocabulary(&sequence, doc)?,
            false => self.require_readable(&sequence, doc)?,
        }
        Ok(sequence)
    }

    /// What the model reads of a choice's sequence: where the task cuts prompts, without the first tokens of one that is too
    /// long, as lm-eval does; and whether there were any. Of a choice that is too long by itself, the beginning is not scored.
    pub fn cut(
        &self,
        sequence: Sequence,
        column: Column,
        doc: &Doc,
    ) -> Result<(Sequence, bool), TokenizeError> {
        let (true, Some(longest)) = (self.task.cuts_prompts, self.spec.longest) else {
            return Ok((sequence, false));
        };
        let of_source = sequence.source.len().saturating_sub(longest);
        let surplus = match self.spec.reading {
            Reading::Causal => sequence.inputs().len().saturating_sub(longest),
            Reading::Seq2Seq | Reading::Masked | Reading::Classify => 0,
        };
        // The kit never scores the first token that it reads of a choice, and a token is predicted from one before it.
        let skipped = usize::from(surplus > 0 && column == Column::Kit);
        let answer = (sequence.scored.start - skipped).saturating_sub(surplus);
        let answer = if surplus > 0 { answer.max(1) } else { answer };
        let end = sequence.scored.end - surplus;
        let cut = Sequence {
            source: sequence.source.get(of_source..).unwrap_or_default().to_vec(),
            tokens: sequence.tokens.get(surplus..).unwrap_or_default().to_vec(),
            scored: (answer + skipped).min(end)..end,
        };
        self.require_readable(&cut, doc)?;
        Ok((cut, of_source + surplus > 0))
    }

    /// What gives a text the log-likelihood of being written; several windows where a rolling one is longer than the model.
    pub fn reference(&self, doc: &Doc, reference: &str) -> Result<Vec<Sequence>, TokenizeError> {
        let delimiter = &self.task.target_delimiter;
        let sequences = match self.task.output_type {
            OutputType::LoglikelihoodRolling => self.rolling(doc, reference)?,
            OutputType::Loglikelihood => vec![self.pair(doc, &doc.text, reference)?],
            OutputType::MultipleChoice | OutputType::GenerateUntil => {
                vec![self.pair(doc, &doc.text, &format!("{delimiter}{reference}"))?]
            }
        };
        for sequence in &sequences {
            self.require_readable(sequence, doc)?;
        }
        Ok(sequences)
    }

    /// What a text of the model's own begins with.
    pub fn prompt(&self, doc: &Doc) -> Result<Vec<u32>, TokenizeError> {
        let tokens = match self.spec.reading {
            // lm-eval heeds `add_bos_token` for decoders only here.
            Reading::Seq2Seq => self.tokens(&doc.text, true, doc)?,
            _ => self.with_special(&doc.text, doc)?,
        };
        self.require_known(tokens.iter(), doc)?;
        match (tokens.is_empty(), self.spec.reading) {
            (false, _) => Ok(tokens),
            (true, Reading::Causal) => Ok(vec![self.start_token(doc)?]),
            (true, _) => Err(TokenizeError::EmptyText { place: self.place(doc) }),
        }
    }

    fn pair(
        &self,
        doc: &Doc,
        context: &str,
        continuation: &str,
    ) -> Result<Sequence, TokenizeError> {
        match self.spec.reading {
            Reading::Masked => self.masked(doc, context, continuation),
            Reading::Seq2Seq => self.seq2seq(doc, context, continuation),
            Reading::Causal if context.is_empty() => self.without_context(doc, continuation),
            Reading::Causal | Reading::Classify => self.causal(doc, context, continuation),
        }
    }

    /// Context and continuation are encoded together; what goes beyond the context's tokens is the continuation. Where a token
    /// spans the border, the model still reads the context as it is encoded alone: so does lm-eval.
    fn causal(
        &self,
        doc: &Doc,
        context: &str,
        continuation: &str,
    ) -> Result<Sequence, TokenizeError> {
        let mut tokens = self.with_special(context.trim_end(), doc)?;
        let whole = self.with_special(&format!("{context}{continuation}"), doc)?;
        let start = tokens.len();
        match whole.get(start..) {
            None | Some([]) => Err(self.empty(doc, continuation)),
            // Of blanks that the tokenizer gives no token for.
            Some(_) if start == 0 => self.after_start(doc, whole, continuation),
            Some(answer) => {
                tokens.extend_from_slice(answer);
                Ok(Sequence { source: Vec::new(), scored: start..tokens.len(), tokens })
            }
        }
    }

    fn without_context(&self, doc: &Doc, continuation: &str) -> Result<Sequence, TokenizeError> {
        self.after_start(doc, self.tokens(continuation, false, doc)?, continuation)
    }

    /// With the token that stands where nothing does in front, unless it is there already.
    fn after_start(
        &self,
        doc: &Doc,
        mut tokens: Vec<u32>,
        continuation: &str,
    ) -> Result<Sequence, TokenizeError> {
        let start = self.start_token(doc)?;
        if !tokens.is_empty() && tokens.first() != Some(&start) {
            tokens.insert(0, start);
        }
        match tokens.len() {
            0 | 1 => Err(self.empty(doc, continuation)),
            length => Ok(Sequence { source: Vec::new(), tokens, scored: 1..length }),
        }
    }

    /// The encoder reads the context with the tokenizer's special tokens, the decoder the continuation without.
    fn seq2seq(
        &self,
        doc: &Doc,
        context: &str,
        continuation: &str,
    ) -> Result<Sequence, TokenizeError> {
        let read = context.trim_end();
        // Trailing blanks of the prompt go to the continuation: most tokenizers put a blank before a word.
        let blanks = context.get(read.len()..).unwrap_or_default();
        let source = match context {
            "" => vec![self.start_token(doc)?],
            _ => self.with_special(read, doc)?,
        };
        if source.is_empty() {
            return Err(TokenizeError::EmptyText { place: self.place(doc) });
        }
        let answer = self.tokens(&format!("{blanks}{continuation}"), false, doc)?;
        if answer.is_empty() {
            return Err(self.empty(doc, continuation));
        }
        self.decoded(doc, source, answer)
    }

    /// All of `answer` is predicted by the decoder.
    pub(super) fn decoded(
        &self,
        doc: &Doc,
        source: Vec<u32>,
        answer: Vec<u32>,
    ) -> Result<Sequence, TokenizeError> {
        let no_start = || TokenizeError::NoDecoderStart { place: self.place(doc) };
        let start = self.spec.tokens.decoder_start.ok_or_else(no_start)?;
        let tokens: Vec<u32> = std::iter::once(start).chain(answer).collect();
        Ok(Sequence { source, scored: 1..tokens.len(), tokens })
    }

    /// The rule for causal models, with the tokenizer's special tokens around the whole.
    fn masked(
        &self,
        doc: &Doc,
        context: &str,
        continuation: &str,
    ) -> Result<Sequence, TokenizeError> {
        let before = self.tokens(context.trim_end(), false, doc)?.len();
        let whole = self.encoding(&format!("{context}{continuation}"), true, doc)?;
        let special = whole.get_special_tokens_mask();
        let first = special.iter().take_while(|mask| **mask == 1).count();
        let text = special.iter().filter(|mask| **mask == 0).count();
        if text <= before {
            return Err(self.empty(doc, continuation));
        }
        let tokens = whole.get_ids().to_vec();
        Ok(Sequence { source: Vec::new(), tokens, scored: first + before..first + text })
    }

    /// Every token of `text` is predicted once, from as many before it as the model reads (lm-eval's
    /// `get_rolling_token_windows` with a context of one token).
    fn rolling(&self, doc: &Doc, text: &str) -> Result<Vec<Sequence>, TokenizeError> {
        if self.spec.reading != Reading::Causal {
            return Err(TokenizeError::NotRolling { place: self.place(doc) });
        }
        let mut tokens = vec![self.start_token(doc)?];
        tokens.extend(self.with_special(text, doc)?);
        if tokens.len() < 2 {
            return Err(self.empty(doc, text));
        }
        Ok(windows(&tokens, self.spec.longest.unwrap_or(usize::MAX).max(1)))
    }

    /// The text alone, for a classifier whose label `i` is choice `i`.
    pub fn text(&self, doc: &Doc) -> Result<Sequence, TokenizeError> {
        let (choices, labels) = (doc.answer.choices().len(), self.labels());
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

    /// What stands where nothing does.
    fn start_token(&self, doc: &Doc) -> Result<u32, TokenizeError> {
        self.start().ok_or_else(|| TokenizeError::EmptyContext { place: self.place(doc) })
    }

    fn start(&self) -> Option<u32> {
        let tokens = &self.spec.tokens;
        tokens.bos.or(tokens.eos.first().copied())
    }

    /// Chat templates write the first token themselves: it is not added to a text that begins with it.
    fn begins_with_start(&self, text: &str) -> bool {
        let start = self.start().and_then(|token| self.tokenizer.tokenizer().id_to_token(token));
        start.is_some_and(|start| text.starts_with(&start))
    }

    fn with_special(&self, text: &str, doc: &Doc) -> Result<Vec<u32>, TokenizeError> {
        let special = !self.begins_with_start(text) && self.task.add_bos_token.unwrap_or(true);
        self.tokens(text, special, doc)
    }

    pub(super) fn tokens(
        &self,
        text: &str,
        special: bool,
        doc: &Doc,
    ) -> Result<Vec<u32>, TokenizeError> {
        Ok(self.encoding(text, special, doc)?.get_ids().to_vec())
    }

    fn encoding(&self, text: &str, special: bool, doc: &Doc) -> Result<Encoding, TokenizeError> {
        let failed = |source| TokenizeError::Encode { place: self.place(doc), source };
        self.tokenizer.tokenizer().encode(text, special).map_err(failed)
    }

    fn require_known<'t>(
        &self,
        tokens: impl IntoIterator<Item = &'t u32>,
        doc: &Doc,
    ) -> Result<(), TokenizeError> {
        let vocab_size = self.spec.vocab_size;
        match tokens.into_iter().find(|token| **token as usize >= vocab_size) {
            Some(&token) => {
                Err(TokenizeError::Vocabulary { place: self.place(doc), token, vocab_size })
            }
            None => Ok(()),
        }
    }

    fn require_vocabulary(&self, sequence: &Sequence, doc: &Doc) -> Result<(), TokenizeError> {
        self.require_known(sequence.source.iter().chain(&sequence.tokens), doc)
    }

    fn require_readable(&self, sequence: &Sequence, doc: &Doc) -> Result<(), TokenizeError> {
        self.require_vocabulary(sequence, doc)?;
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

    pub(super) fn place(&self, doc: &Doc) -> DocPlace {
        DocPlace { task: self.task.name.clone(), place: doc.place.clone() }
    }
}

/// `tokens` without the first, each predicted once by a window of at most `longest` tokens: the first window has as many as
/// fit, a later one has before its new tokens as many old ones as there is room for, at least one.
fn windows(tokens: &[u32], longest: usize) -> Vec<Sequence> {
    let mut windows = Vec::new();
    let mut done = 1;
    while done < tokens.len() {
        let end = tokens.len().min(done.saturating_add(longest));
        let begin =
            if windows.is_empty() { 0 } else { end.saturating_sub(longest + 1).min(done - 1) };
        windows.push(Sequence {
            source: Vec::new(),
            tokens: tokens.get(begin..end).unwrap_or_default().to_vec(),
            scored: done - begin..end - begin,
        });
        done = end;
    }
    windows
}
