//! What a recipe says of each layer, however it is laid out.

use super::error::EncodeError;
use crate::recipe::{
    BaseUse, Kind, Layout, Levels, MergeMethod, ModelRef, OutputSlice, ParameterSpec, Parameters,
    Profile, Recipe, Scope,
};

/// A recipe as a stack of runs of layers.
pub(super) struct Account<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) parts: Vec<Part<'a>>,
}

/// Consecutive layers that are merged alike.
pub(super) struct Part<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) sources: Vec<(&'a ModelRef, &'a Parameters)>,
    pub(super) base: Option<&'a ModelRef>,
    slice: Option<&'a Parameters>,
}

/// Where a number is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Position {
    /// In this layer.
    Layer(usize),
    /// At this of so many (at least two) control points from the first to the last layer.
    Point(usize, usize),
    /// Outside the layers, as this part has it.
    Outside(usize),
}

impl<'a> Account<'a> {
    /// # Errors
    /// The recipe does not build each of `layers` layers from the same layer of its models.
    pub(super) fn new(recipe: &'a Recipe, layers: usize) -> Result<Self, EncodeError> {
        let parts = match &recipe.layout {
            Layout::Models(entries) => {
                let sources = entries.iter().map(|entry| (&entry.model, &entry.parameters));
                let sources = sources.collect();
                let base = recipe.base_model.as_ref();
                vec![Part { start: 0, end: layers, sources, base, slice: None }]
            }
            Layout::Slices(slices) => {
                slices.iter().map(|slice| Part::of(slice, recipe)).collect::<Result<_, _>>()?
            }
            Layout::Modules(_) => return Err(EncodeError::Modules),
        };
        let mut next = 0;
        for part in &parts {
            if part.start != next {
                return Err(EncodeError::Layers { expected: next, found: part.start });
            }
            next = part.end;
        }
        if next != layers {
            return Err(EncodeError::LayerCount { expected: layers, found: next });
        }
        Ok(Self { recipe, parts })
    }

    pub(super) fn method(&self) -> MergeMethod {
        self.recipe.merge_method
    }

    /// The parts that have layers of `layers`.
    pub(super) fn within(&self, layers: std::ops::Range<usize>) -> impl Iterator<Item = &Part<'a>> {
        self.parts.iter().filter(move |part| part.start < layers.end && layers.start < part.end)
    }

    /// The first part has the embeddings, the last the head.
    pub(super) fn outside(&self) -> Vec<Position> {
        let mut ends = vec![0, self.parts.len().saturating_sub(1)];
        ends.dedup();
        ends.into_iter().map(Position::Outside).collect()
    }

    /// What the recipe sets the parameter to, for one model where each has its own, in tensors of that name at `position`;
    /// `None` where the model is not merged there.
    ///
    /// # Errors
    /// A parameter without a default that is not set.
    pub(super) fn number(
        &self,
        spec: &ParameterSpec,
        model: Option<&ModelRef>,
        tensor: &str,
        position: Position,
    ) -> Result<Option<f64>, EncodeError> {
        let Some((part, t)) = self.place(position) else {
            return Ok(None);
        };
        let own = match model {
            Some(model) => match part.sources.iter().find(|(source, _)| *source == model) {
                Some((_, own)) => Some(*own),
                None => return Ok(None),
            },
            None => None,
        };
        let source = own.filter(|_| spec.scope == Scope::PerModel);
        let levels =
            Levels { source, slice: part.slice, module: None, top: &self.recipe.parameters, t };
        let found = match (position, levels.profile(spec.name, tensor)) {
            // Exactly, which interpolation at a rounded `t` is not.
            (Position::Point(index, count), Some(Profile::Gradient(points)))
                if points.len() == count && self.parts.len() == 1 =>
            {
                points.get(index).map(|value| value.as_number())
            }
            _ if spec.kind == Kind::Truth => {
                let truth = levels.truth(spec.name, tensor);
                truth.map_err(EncodeError::Truth)?.map(|truth| f64::from(u8::from(truth)))
            }
            _ => levels.number(spec.name, tensor),
        };
        let missing = || EncodeError::Missing {
            parameter: spec.name,
            method: self.method(),
            model: model.map(ToString::to_string),
        };
        found.or(spec.default).map(Some).ok_or_else(missing)
    }

    /// The part at `position`, and how far on in it.
    fn place(&self, position: Position) -> Option<(&Part<'a>, f64)> {
        match position {
            Position::Outside(part) => self.parts.get(part).map(|part| (part, 0.0)),
            Position::Layer(layer) => {
                let part = self.within(layer..layer + 1).next()?;
                Some((part, part.fraction(layer)))
            }
            Position::Point(index, count) => {
                let t = index as f64 / (count - 1).max(1) as f64;
                match self.parts.as_slice() {
                    [part] => Some((part, t)),
                    parts => {
                        let last = parts.last()?.end.checked_sub(1)?;
                        self.place(Position::Layer((t * last as f64).round() as usize))
                    }
                }
            }
        }
    }
}

impl<'a> Part<'a> {
    fn of(slice: &'a OutputSlice, recipe: &'a Recipe) -> Result<Self, EncodeError> {
        let range = slice.sources.first().map(|source| source.layer_range);
        let range = range.ok_or(EncodeError::NoSources)?;
        if let Some(other) = slice.sources.iter().find(|source| source.layer_range != range) {
            let (expected, found) = (range.start(), other.layer_range.start());
            return Err(EncodeError::Layers { expected, found });
        }
        Ok(Self {
            start: range.start(),
            end: range.end(),
            sources: slice.sources.iter().map(|s| (&s.model, &s.parameters)).collect(),
            base: slice.base_model.as_ref().or(recipe.base_model.as_ref()),
            slice: Some(&slice.parameters),
        })
    }

    /// As [`Levels::t`].
    fn fraction(&self, layer: usize) -> f64 {
        match self.end - self.start {
            0 | 1 => 1.0,
            layers => (layer - self.start) as f64 / (layers - 1) as f64,
        }
    }

    /// What is merged, the base not counted where the method sets it apart.
    pub(super) fn members(&self, method: MergeMethod) -> impl Iterator<Item = &'a ModelRef> {
        let apart = if method.base() == BaseUse::Ignored { None } else { self.base };
        self.sources.iter().map(|(model, _)| *model).filter(move |model| Some(*model) != apart)
    }
}
