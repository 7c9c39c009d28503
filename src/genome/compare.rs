//! How far the merge that a recipe asks for is from the one that a genotype gives.

use super::account::{Account, Position};
use super::encode::SAME;
use super::probe::Probe;
use super::{Decoder, Difference, EncodeError};
use crate::recipe::{MergeMethod, ModelRef, ParameterSpec, Recipe};
use crate::space::ParameterName;

/// A recipe, and that of the genotype.
struct Pair<'a> {
    asked: &'a Account<'a>,
    near: Account<'a>,
}

impl Decoder {
    /// The largest difference of two recipes of one method in any parameter that it heeds.
    ///
    /// # Errors
    /// The methods differ, or a parameter is not set where it must be.
    pub(super) fn farthest(
        &self,
        asked: &Account<'_>,
        decoded: &Recipe,
    ) -> Result<Option<Difference>, EncodeError> {
        let method = asked.method();
        if decoded.merge_method != method {
            let valid = decoded.merge_method.to_string();
            return Err(EncodeError::Method { method, valid });
        }
        let pair = Pair { asked, near: Account::new(decoded, self.layers)? };
        let mut differences: Vec<Difference> = pair.seeds().into_iter().collect();
        let probes = self.probes_of(asked.recipe);
        for parameter in method.parameters().iter().filter(|spec| is_used(spec, method)) {
            for model in self.models_of(parameter.scope, method, None) {
                let absent = self.absent(model, parameter.name);
                for (probe, position) in self.everywhere(&probes, asked) {
                    differences.extend(pair.difference(parameter, model, absent, probe, position)?);
                }
            }
        }
        Ok(differences.into_iter().max_by(|a, b| a.gap().total_cmp(&b.gap())))
    }

    fn everywhere<'p>(
        &self,
        probes: &'p [Probe],
        account: &Account<'_>,
    ) -> Vec<(&'p Probe, Position)> {
        let layers: Vec<Position> = (0..self.layers).map(Position::Layer).collect();
        let outside = account.outside();
        let of = |probe: &'p Probe| {
            let positions = if probe.layered { &layers } else { &outside };
            positions.iter().map(move |position| (probe, *position)).collect::<Vec<_>>()
        };
        probes.iter().flat_map(of).collect()
    }
}

fn is_used(spec: &ParameterSpec, method: MergeMethod) -> bool {
    ParameterName::find(spec.name).is_some_and(|name| name.is_used_by(method))
}

impl Pair<'_> {
    fn seeds(&self) -> Option<Difference> {
        let (asked, near) = (self.asked.recipe.mask_seed, self.near.recipe.mask_seed);
        (self.asked.method().is_random() && asked != near).then(|| Difference {
            parameter: "mask_seed",
            model: None,
            tensor: String::new(),
            layer: None,
            asked: asked as f64,
            nearest: near as f64,
        })
    }

    /// `absent` is what a model that is not merged counts for.
    fn difference(
        &self,
        parameter: &ParameterSpec,
        model: Option<&ModelRef>,
        absent: Option<f64>,
        probe: &Probe,
        position: Position,
    ) -> Result<Option<Difference>, EncodeError> {
        let asked = self.asked.number(parameter, model, &probe.tensor, position)?.or(absent);
        let end = self.near.parts.len().saturating_sub(1);
        let (position, layer) = match position {
            // The end of one is the end of the other, however many parts lie between.
            Position::Outside(part) => (Position::Outside(part.min(end)), None),
            Position::Layer(layer) => (position, Some(layer)),
            Position::Point(..) => (position, None),
        };
        let near = self.near.number(parameter, model, &probe.tensor, position)?.or(absent);
        let (Some(asked), Some(nearest)) = (asked, near) else {
            return Ok(None);
        };
        let same = (asked - nearest).abs() <= SAME * asked.abs().max(1.0);
        Ok((!same).then(|| Difference {
            parameter: parameter.name,
            model: model.map(ToString::to_string),
            tensor: probe.tensor.clone(),
            layer,
            asked,
            nearest,
        }))
    }
}
