use std::borrow::Cow;

use crate::units::Dtype;

use super::Change;
use super::tensor::{borrowed, decode};

/// One tensor's elements as `f32`, row-major, to be had in any part without reading the rest.
#[derive(Debug, Clone)]
pub struct Elements<'a>(Source<'a>);

/// Elements where they lie.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// Little-endian.
    Bfloat16(&'a [u8]),
    /// In this machine's order.
    Single(&'a [f32]),
}

#[derive(Debug, Clone)]
enum Source<'a> {
    /// As a file has them, of a type that must be decoded.
    Stored { dtype: Dtype, bytes: &'a [u8] },
    /// In memory.
    Values(Cow<'a, [f32]>),
    /// Others, as an adapter changes them.
    Changed { elements: Box<Elements<'a>>, change: &'a Change },
}

impl<'a> Elements<'a> {
    pub(super) fn stored(dtype: Dtype, bytes: &'a [u8]) -> Elements<'a> {
        Elements(match borrowed(dtype, bytes) {
            Some(values) => Source::Values(Cow::Borrowed(values)),
            None => Source::Stored { dtype, bytes },
        })
    }

    pub(super) fn changed(self, change: &'a Change) -> Elements<'a> {
        Elements(Source::Changed { elements: Box::new(self), change })
    }

    /// Where and how the elements lie, if they are as they are and of a type that kernels read directly.
    pub fn stored_as(&self) -> Option<Stored<'_>> {
        match &self.0 {
            Source::Values(values) => Some(Stored::Single(values)),
            Source::Stored { dtype: Dtype::BF16, bytes } => Some(Stored::Bfloat16(bytes)),
            Source::Stored { .. } | Source::Changed { .. } => None,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Changed { elements, .. } => elements.len(),
            Source::Stored { dtype, bytes } => bytes.len() / dtype.size(),
            Source::Values(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements `start..start + out.len()`.
    ///
    /// # Panics
    /// There are not so many.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        match &self.0 {
            Source::Stored { dtype, bytes } => {
                let size = dtype.size();
                decode(*dtype, &bytes[start * size..(start + out.len()) * size], out);
            }
            Source::Values(values) => out.copy_from_slice(&values[start..start + out.len()]),
            Source::Changed { elements, change } => {
                elements.read(start, out);
                change.apply(start, out);
            }
        }
    }

    /// The same where they lie, or else in `buffer`, which has the wanted length.
    ///
    /// # Panics
    /// There are not so many.
    pub fn part<'b>(&'b self, start: usize, buffer: &'b mut [f32]) -> &'b [f32] {
        match &self.0 {
            Source::Values(values) => &values[start..start + buffer.len()],
            Source::Stored { .. } | Source::Changed { .. } => {
                self.read(start, buffer);
                buffer
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> Cow<'_, [f32]> {
        match &self.0 {
            Source::Values(values) => Cow::Borrowed(values),
            Source::Stored { .. } | Source::Changed { .. } => {
                let mut all = vec![0.0; self.len()];
                self.read(0, &mut all);
                Cow::Owned(all)
            }
        }
    }

    /// All of them, without a copy where they are in memory.
    pub fn into_all(self) -> Cow<'a, [f32]> {
        match self.0 {
            Source::Values(values) => values,
            Source::Stored { .. } | Source::Changed { .. } => Cow::Owned(self.all().into_owned()),
        }
    }
}

impl<'a> From<&'a [f32]> for Elements<'a> {
    fn from(values: &'a [f32]) -> Elements<'a> {
        Elements(Source::Values(Cow::Borrowed(values)))
    }
}

impl From<Vec<f32>> for Elements<'_> {
    fn from(values: Vec<f32>) -> Self {
        Elements(Source::Values(Cow::Owned(values)))
    }
}
