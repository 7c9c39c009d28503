//! One tensor of several models, brought to the output's tokens.

use std::collections::BTreeMap;

use crate::recipe::{TokenEntry, TokenName, TokenSource};

use super::{Vocabulary, VocabularyError};

/// A tensor that is indexed by tokens, in one of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTensor {
    /// Index into the models that the vocabulary was built with.
    pub model: usize,
    /// Length of its axis of tokens.
    pub rows: usize,
}

/// What a row of the output is in one model before merging. Inputs are counted as [`Vocabulary::align`] got them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A row of an input, most often the model itself.
    Of {
        /// Which input.
        input: usize,
        /// Its row.
        row: usize,
    },
    /// The mean of (input, row).
    Mean(Vec<(usize, usize)>),
    /// All zeros.
    Zero,
}

/// How the models' rows become the output's, for one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    /// Rows of each input.
    rows: Vec<usize>,
    /// Per input and output token the input's own row.
    own: Vec<Vec<Option<usize>>>,
    /// By output token: the row of the inputs that have none of their own, or of all inputs where it is forced.
    given: BTreeMap<usize, Row>,
    /// Rows of the output, padding included.
    size: usize,
}

/// How a row-major tensor is made of rows: its axes before and behind the axis of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenAxis {
    /// Product of the lengths before.
    pub outer: usize,
    /// Product of the lengths behind: the width of a row.
    pub inner: usize,
}

impl Vocabulary {
    /// Settles the rows of `tensor` for the models that are merged there, in their order; `base` is an index into the
    /// models of the vocabulary.
    ///
    /// A model that has a token keeps its own row, unless the recipe forces another. Else the row is, in this order:
    /// the one that the recipe gives the token; that of the only input that has it; zeros where none has it; the base
    /// model's; the mean over the inputs that have it.
    ///
    /// # Errors
    /// The recipe gives a token no source, or one that does not have it or is not merged here; a row beyond the end of
    /// an input.
    pub fn align(
        &self,
        tensor: &str,
        inputs: &[TokenTensor],
        base: Option<usize>,
    ) -> Result<Alignment, VocabularyError> {
        let place = Place { vocabulary: self, tensor, inputs, base };
        let mut own: Vec<Vec<Option<usize>>> =
            inputs.iter().map(|input| self.models[input.model].rows.clone()).collect();
        let mut given = BTreeMap::new();
        for token in 0..self.tokens.len() {
            let entry = self.entries.get(&token);
            let forced = entry.is_some_and(|entry| entry.force);
            if forced || own.iter().any(|rows| rows[token].is_none()) {
                let row = match entry {
                    Some(entry) => place.chosen(token, entry)?,
                    None => place.default(token),
                };
                given.insert(token, row);
            }
            if forced {
                own.iter_mut().for_each(|rows| rows[token] = None);
            }
        }
        let rows = inputs.iter().map(|input| input.rows).collect();
        let alignment = Alignment { rows, own, given, size: self.size };
        place.require_rows(&alignment)?;
        Ok(alignment)
    }
}

/// One tensor whose rows are looked for.
struct Place<'a> {
    vocabulary: &'a Vocabulary,
    tensor: &'a str,
    inputs: &'a [TokenTensor],
    base: Option<usize>,
}

impl Place<'_> {
    fn own(&self, input: usize, token: usize) -> Option<usize> {
        self.vocabulary.models[self.inputs[input].model].rows[token]
    }

    fn default(&self, token: usize) -> Row {
        let having: Vec<(usize, usize)> = (0..self.inputs.len())
            .filter_map(|input| Some((input, self.own(input, token)?)))
            .collect();
        let is_base = |(input, _): &&(usize, usize)| self.base == Some(self.inputs[*input].model);
        match having.as_slice() {
            [] => Row::Zero,
            [(input, row)] => Row::Of { input: *input, row: *row },
            several => match several.iter().find(is_base) {
                Some((input, row)) => Row::Of { input: *input, row: *row },
                None => Row::Mean(having),
            },
        }
    }

    fn chosen(&self, token: usize, entry: &TokenEntry) -> Result<Row, VocabularyError> {
        let name = || entry.token.clone();
        let (model, wanted) = match &entry.source {
            None => {
                let tensor = self.tensor.to_owned();
                return Err(VocabularyError::NoSource { token: name(), tensor });
            }
            Some(TokenSource::Zero) => return Ok(Row::Zero),
            Some(TokenSource::Model(model)) => (model, None),
            Some(TokenSource::ModelToken { model, token }) => (model, Some(token)),
        };
        let models = &self.vocabulary.models;
        let is_model = |input: &TokenTensor| models[input.model].model == *model;
        let Some(input) = self.inputs.iter().position(is_model) else {
            let (tensor, model) = (self.tensor.to_owned(), model.clone());
            return Err(VocabularyError::NotMerged { token: name(), tensor, model });
        };
        let tokens = &models[self.inputs[input].model];
        let row = match wanted {
            None => self.own(input, token),
            Some(TokenName::Id(id)) => usize::try_from(*id).ok(),
            Some(TokenName::Text(text)) => {
                tokens.vocabulary.get(text).and_then(|id| usize::try_from(*id).ok())
            }
        };
        let wanted = || match wanted {
            Some(TokenName::Text(text)) => text.clone(),
            Some(TokenName::Id(id)) => id.to_string(),
            None => name(),
        };
        let model = || model.clone();
        let row = row.ok_or_else(|| VocabularyError::NoToken {
            token: name(),
            wanted: wanted(),
            model: model(),
        })?;
        Ok(Row::Of { input, row })
    }

    fn require_rows(&self, alignment: &Alignment) -> Result<(), VocabularyError> {
        for token in 0..self.vocabulary.tokens.len() {
            for input in 0..self.inputs.len() {
                let own = alignment.own[input][token].map(|row| vec![(input, row)]);
                let used = own.unwrap_or_else(|| sources(alignment.given.get(&token)));
                let beyond = used.into_iter().find(|(input, row)| *row >= self.inputs[*input].rows);
                if let Some((input, row)) = beyond {
                    return Err(self.no_row(token, input, row));
                }
            }
        }
        Ok(())
    }

    fn no_row(&self, token: usize, input: usize, row: usize) -> VocabularyError {
        let TokenTensor { model, rows } = self.inputs[input];
        VocabularyError::NoRow {
            token: self.vocabulary.tokens[token].clone(),
            row,
            tensor: self.tensor.to_owned(),
            model: self.vocabulary.models[model].model.clone(),
            rows,
        }
    }
}

fn sources(row: Option<&Row>) -> Vec<(usize, usize)> {
    match row {
        Some(Row::Of { input, row }) => vec![(*input, *row)],
        Some(Row::Mean(rows)) => rows.clone(),
        Some(Row::Zero) | None => Vec::new(),
    }
}

impl Alignment {
    /// Rows of the output, padding included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What the row of an output token is in an input; `None` for padding, which is the mean of all tokens' rows.
    pub fn row(&self, input: usize, token: usize) -> Option<Row> {
        match self.own.get(input)?.get(token)? {
            Some(row) => Some(Row::Of { input, row: *row }),
            None => self.given.get(&token).cloned(),
        }
    }

    /// An input's tensor in the output's tokens: as `tensors[input]`, with `size` rows along the axis of tokens.
    ///
    /// `tensors` are the elements of all inputs, row-major, with the rows that [`Vocabulary::align`] was told and
    /// equal lengths along all other axes. Padding rows are the mean of the input's other rows.
    ///
    /// # Panics
    /// The tensors are not of that size.
    pub fn aligned(&self, input: usize, tensors: &[&[f32]], axis: TokenAxis) -> Vec<f32> {
        let width = axis.inner;
        let mut aligned = vec![0.0; axis.outer * self.size * width];
        if aligned.is_empty() {
            return aligned;
        }
        for (outer, block) in aligned.chunks_exact_mut(self.size * width).enumerate() {
            let read = |input: usize, row: usize| {
                let start = (outer * self.rows[input] + row) * width;
                &tensors[input][start..start + width]
            };
            let tokens = self.own[input].len();
            for (token, out) in block.chunks_exact_mut(width).take(tokens).enumerate() {
                match (self.own[input][token], self.given.get(&token)) {
                    (Some(row), _) => out.copy_from_slice(read(input, row)),
                    (None, Some(Row::Of { input, row })) => out.copy_from_slice(read(*input, *row)),
                    (None, Some(Row::Mean(rows))) => {
                        mean(rows.iter().map(|(input, row)| read(*input, *row)), out);
                    }
                    (None, Some(Row::Zero) | None) => {}
                }
            }
            pad(block, tokens * width, width);
        }
        aligned
    }
}

fn mean<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, out: &mut [f32]) {
    let count = rows.len() as f32;
    for row in rows {
        out.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    out.iter_mut().for_each(|sum| *sum /= count);
}

/// New tokens at the mean of the old ones' distribution: J. Hewitt, "Initializing New Word Embeddings for Pretrained
/// Language Models" (2021), without its noise.
fn pad(block: &mut [f32], filled: usize, width: usize) {
    let (tokens, padding) = block.split_at_mut(filled);
    if tokens.is_empty() || padding.is_empty() {
        return;
    }
    let mut sums = vec![0.0_f64; width];
    for row in tokens.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (filled / width) as f64;
    for row in padding.chunks_exact_mut(width) {
        row.iter_mut().zip(&sums).for_each(|(x, sum)| *x = (sum / count) as f32);
    }
}
