use super::parameters::{Parameters, Profile, Value};

/// The levels at which a parameter may be set for one input of one slice, and the place within the slice.
///
/// The first level that has a setting for the tensor wins: slice source (or entry of `models`), output slice, module,
/// top level. A conditional setting of which no condition is met, and an empty list, count as not set, so that the next
/// level is asked.
#[derive(Debug, Clone, Copy)]
pub struct Levels<'a> {
    /// The input's own parameters; `None` for a parameter that all inputs share.
    pub source: Option<&'a Parameters>,
    /// The output slice's.
    pub slice: Option<&'a Parameters>,
    /// The module's.
    pub module: Option<&'a Parameters>,
    /// The recipe's.
    pub top: &'a Parameters,
    /// `i / (L - 1)` for layer `i` of the slice's `L`; 1 for a slice of one layer; 0 for tensors outside the layers.
    pub t: f64,
}

/// A setting of the wrong kind.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("parameter `{parameter}` is true or false, found {found}")]
pub struct ParameterError {
    /// The parameter.
    pub parameter: String,
    /// What was set.
    pub found: f64,
}

impl<'a> Levels<'a> {
    /// A number: interpolated linearly where it is a gradient.
    pub fn number(&self, parameter: &str, tensor: &str) -> Option<f64> {
        self.profile(parameter, tensor).map(|profile| match profile {
            Profile::Constant(value) => value.as_number(),
            Profile::Gradient(points) => interpolate(points, self.t),
        })
    }

    /// A truth value: the nearest point to the left where it is a gradient.
    ///
    /// # Errors
    /// A number other than 0 and 1.
    pub fn truth(&self, parameter: &str, tensor: &str) -> Result<Option<bool>, ParameterError> {
        let Some(profile) = self.profile(parameter, tensor) else {
            return Ok(None);
        };
        let wrong = |found| ParameterError { parameter: parameter.to_owned(), found };
        let truths: Vec<bool> = (profile.values().iter())
            .map(|value| value.as_bool().ok_or_else(|| wrong(value.as_number())))
            .collect::<Result<_, _>>()?;
        Ok(truths.get(place(truths.len(), self.t).0).copied())
    }

    /// The setting itself.
    pub fn profile(&self, parameter: &str, tensor: &str) -> Option<&'a Profile> {
        [self.source, self.slice, self.module, Some(self.top)]
            .into_iter()
            .flatten()
            .filter_map(|level| level.get(parameter)?.for_tensor(tensor))
            .find(|profile| !profile.values().is_empty())
    }
}

impl Profile {
    /// What holds at `t`, from 0 to 1: truth values as they are to the left of it.
    pub fn at(&self, t: f64) -> Profile {
        let Profile::Gradient(points) = self else {
            return self.clone();
        };
        let truths = points.iter().all(|point| matches!(point, Value::Bool(_)));
        match points.get(place(points.len(), t).0) {
            None => self.clone(),
            Some(left) if truths => Profile::Constant(*left),
            Some(_) => Profile::Constant(Value::Number(interpolate(points, t))),
        }
    }
}

/// Index of the point to the left of `t`, and how far on it is to the next.
fn place(points: usize, t: f64) -> (usize, f64) {
    let scaled = t * points.saturating_sub(1) as f64;
    (scaled as usize, scaled - scaled.trunc())
}

fn interpolate(points: &[Value], t: f64) -> f64 {
    let (left, fraction) = place(points.len(), t);
    let right = (left + 1).min(points.len() - 1);
    (1.0 - fraction) * points[left].as_number() + fraction * points[right].as_number()
}
