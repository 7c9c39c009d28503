//! The values that one genotype gives to the parameters.

use super::{Decoder, Gene};
use crate::recipe::{Condition, MergeMethod, Parameters, Profile, Scope, Setting, Value};
use crate::space::{
    Axis, Choice, Depth, GeneId, GeneKey, Group, ParameterName, ParameterSpec, Place, SearchSpace,
};

/// One genotype being read, for one of its merges.
pub(super) struct Reading<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) genes: &'a [Gene],
    pub(super) merge: usize,
}

/// Which of a method's parameters are wanted, and for which part of the recipe.
#[derive(Clone, Copy)]
pub(super) enum Level {
    /// Those of one model that is merged (0 is the base model, `i + 1` expert `i`), in one block where there are blocks.
    Model(usize, Option<usize>),
    /// Those all models share, which differ by block.
    Block(usize),
    /// The others that all models share.
    Recipe,
}

impl Reading<'_> {
    pub(super) fn space(&self) -> &SearchSpace {
        &self.decoder.space
    }

    pub(super) fn category(&self, key: GeneKey) -> Option<usize> {
        match self.gene(key) {
            Some(Gene::Category(choice)) => Some(*choice),
            _ => None,
        }
    }

    pub(super) fn real(&self, key: GeneKey) -> Option<f64> {
        match self.gene(key) {
            Some(Gene::Real(value)) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn gene(&self, key: GeneKey) -> Option<&Gene> {
        let id = GeneId { merge: self.merge, key };
        self.decoder.index.get(&id).and_then(|&i| self.genes.get(i))
    }

    /// What the space says of the method's parameters at that level, in the order of the method's table.
    pub(super) fn parameters(&self, method: MergeMethod, level: Level) -> Parameters {
        let mut parameters = Parameters::default();
        let (scope, place) = match level {
            Level::Model(model, depth) => {
                let expert = model.checked_sub(1);
                (Scope::PerModel, Place { expert, group: None, depth })
            }
            Level::Block(block) => {
                (Scope::Shared, Place { depth: Some(block), ..Place::default() })
            }
            Level::Recipe => (Scope::Shared, Place::default()),
        };
        for parameter in method.parameters().iter().filter(|parameter| parameter.scope == scope) {
            let found = self.space().parameters.iter().find(|(n, _)| n.as_str() == parameter.name);
            let Some((name, spec)) = found.filter(|(name, _)| name.is_used_by(method)) else {
                continue;
            };
            if scope == Scope::Shared
                && self.differs_by_block(spec) != matches!(level, Level::Block(_))
            {
                continue;
            }
            if let Some(setting) = self.setting(*name, spec, place) {
                parameters.set(parameter.name, setting);
            }
        }
        parameters
    }

    fn differs_by_block(&self, spec: &ParameterSpec) -> bool {
        matches!(self.space().depth, Depth::Blocks { .. }) && spec.per().contains(&Axis::Depth)
    }

    fn setting(&self, name: ParameterName, spec: &ParameterSpec, place: Place) -> Option<Setting> {
        let groups = &self.space().groups;
        if !spec.per().contains(&Axis::Group) || groups.is_empty() {
            // With no group, the axis has the one value `all`.
            let group = spec.per().contains(&Axis::Group).then_some(0);
            let place = Place { group, ..place };
            return self.along_depth(name, spec, place).map(Setting::Everywhere);
        }
        let mut conditions = Vec::new();
        for group in 0..=groups.len() {
            let value = self.along_depth(name, spec, Place { group: Some(group), ..place })?;
            let condition = |filter| Condition { filter, value: value.clone() };
            conditions.extend(self.filters(group).into_iter().map(condition));
        }
        Some(Setting::Conditional(conditions))
    }

    /// mergekit's filters of one group; the rest has none, which every tensor meets.
    fn filters(&self, group: usize) -> Vec<Option<String>> {
        match self.space().groups.get(group) {
            None => vec![None],
            Some(Group::Filter(filter)) => vec![Some(filter.clone())],
            Some(Group::Named(group)) => {
                self.decoder.filters.of(*group).iter().cloned().map(Some).collect()
            }
        }
    }

    fn along_depth(
        &self,
        name: ParameterName,
        spec: &ParameterSpec,
        place: Place,
    ) -> Option<Profile> {
        let group = place.group.and_then(|group| self.space().groups.get(group));
        let layered = group.is_none_or(Group::has_depth);
        let at = |depth: usize| self.value(name, spec, Place { depth: Some(depth), ..place });
        let gradient = layered && spec.per().contains(&Axis::Depth);
        match (self.space().depth, self.decoder.depth_count()) {
            (Depth::ControlPoints(_) | Depth::PointPerBlock { .. }, points @ 2..) if gradient => (0
                ..points)
                .map(|point| at(point).map(yaml))
                .collect::<Option<_>>()
                .map(Profile::Gradient),
            // Embeddings and head stand outside the layers: one value.
            _ if layered => {
                at(place.depth.unwrap_or(0)).map(|value| Profile::Constant(yaml(value)))
            }
            _ => at(0).map(|value| Profile::Constant(yaml(value))),
        }
    }

    /// The number that the parameter has for an expert in a block.
    pub(super) fn number(&self, word: &str, expert: usize, block: usize) -> Option<f64> {
        let mut all = self.space().parameters.iter();
        let (name, spec) = all.find(|(name, _)| name.as_str() == word)?;
        let place = Place { expert: Some(expert), group: None, depth: Some(block) };
        self.value(*name, spec, place).map(|value| yaml(value).as_number())
    }

    /// The same for the whole recipe.
    pub(super) fn whole(&self, word: &str) -> Option<f64> {
        let (name, spec) =
            self.space().parameters.iter().find(|(name, _)| name.as_str() == word)?;
        self.value(*name, spec, Place::default()).map(|value| yaml(value).as_number())
    }

    /// The value at `place`, whose axes that the parameter does not have are ignored.
    fn value(&self, name: ParameterName, spec: &ParameterSpec, place: Place) -> Option<Choice> {
        let along = |axis, coordinate: Option<usize>| {
            if spec.per().contains(&axis) { coordinate } else { None }
        };
        let place = Place {
            expert: along(Axis::Expert, place.expert),
            group: along(Axis::Group, place.group),
            depth: along(Axis::Depth, place.depth),
        };
        match (spec, self.gene(GeneKey::Parameter(name, place))) {
            (ParameterSpec::Fixed(choice), _) => Some(*choice),
            (ParameterSpec::Range { .. }, Some(Gene::Real(value))) => Some(Choice::Number(*value)),
            (ParameterSpec::Steps { low, step, .. }, Some(Gene::Integer(count))) => {
                Some(Choice::Number(low + *count as f64 * step))
            }
            (ParameterSpec::Choices { choices, .. }, Some(Gene::Category(choice))) => {
                choices.get(*choice).copied()
            }
            _ => None,
        }
    }
}

fn yaml(choice: Choice) -> Value {
    match choice {
        Choice::Number(number) => Value::Number(number),
        Choice::Boolean(value) => Value::Bool(value),
    }
}
