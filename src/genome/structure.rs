//! The genes that decide what is merged: method, experts, pairs, owners.

use std::collections::BTreeMap;

use super::Decoder;
use super::account::{Account, Part};
use super::error::EncodeError;
use crate::recipe::{BaseUse, MergeMethod, ModelRef};
use crate::space::{GeneKey, takes_pair};

/// The choice of each categorical gene that is not a parameter's.
pub(super) type Structure = BTreeMap<GeneKey, usize>;

impl Decoder {
    /// # Errors
    /// The recipe merges what no genotype merges.
    pub(super) fn structure(&self, account: &Account<'_>) -> Result<Structure, EncodeError> {
        let method = account.method();
        let mut structure = Structure::from([(GeneKey::Method, self.method_choice(method)?)]);
        if method == MergeMethod::Passthrough {
            structure.extend(self.owners(account)?);
        } else if takes_pair(method) {
            let pair = self.of_every_part(account, |part| self.pair_choice(part))?;
            structure.insert(GeneKey::Pair, pair);
        } else {
            let merged = self.of_every_part(account, |part| self.merged(part, method))?;
            if method == MergeMethod::Nuslerp {
                structure.insert(GeneKey::ExpertPair, self.expert_pair_choice(&merged)?);
            } else {
                structure.extend(self.taking_part(&merged, method)?);
            }
        }
        Ok(structure)
    }

    fn method_choice(&self, method: MergeMethod) -> Result<usize, EncodeError> {
        let methods = &self.space.methods;
        methods.iter().position(|known| *known == method).ok_or_else(|| {
            let words: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
            EncodeError::Method { method, valid: words.join(", ") }
        })
    }

    fn of_every_part<T: PartialEq>(
        &self,
        account: &Account<'_>,
        read: impl Fn(&Part<'_>) -> Result<T, EncodeError>,
    ) -> Result<T, EncodeError> {
        let mut parts = account.parts.iter();
        let first = read(parts.next().ok_or(EncodeError::NoSources)?)?;
        for part in parts {
            if read(part)? != first {
                return Err(EncodeError::Slices);
            }
        }
        Ok(first)
    }

    /// 0 is the base model, `i + 1` expert `i`; an expert that is the base too is taken for the expert.
    pub(super) fn model_index(&self, model: &ModelRef) -> Result<usize, EncodeError> {
        let expert = self.space.experts.iter().position(|expert| expert.model == *model);
        if let Some(expert) = expert {
            return Ok(expert + 1);
        }
        if *model == self.space.base {
            return Ok(0);
        }
        let experts = self.space.experts.iter().map(|expert| expert.model.as_str());
        let valid: Vec<_> = [self.space.base.as_str()].into_iter().chain(experts).collect();
        Err(EncodeError::Model { model: model.to_string(), valid: valid.join(", ") })
    }

    /// Experts of a part, ascending.
    fn merged(&self, part: &Part<'_>, method: MergeMethod) -> Result<Vec<usize>, EncodeError> {
        if method.base() != BaseUse::Ignored && part.base != Some(&self.space.base) {
            return Err(self.other_base(part.base));
        }
        let mut experts = Vec::new();
        for model in part.members(method) {
            match self.model_index(model)?.checked_sub(1) {
                Some(expert) => experts.push(expert),
                None => return Err(self.other_base(Some(model))),
            }
        }
        experts.sort_unstable();
        Ok(experts)
    }

    fn other_base(&self, found: Option<&ModelRef>) -> EncodeError {
        let found = found.map_or_else(|| "not set".to_owned(), |model| format!("`{model}`"));
        let valid = format!("`{}`, which none of the merged models is", self.space.base);
        EncodeError::Base { found, valid }
    }

    fn taking_part(&self, merged: &[usize], method: MergeMethod) -> Result<Structure, EncodeError> {
        let mut structure = Structure::new();
        for (expert, entry) in self.space.experts.iter().enumerate() {
            let out = !merged.contains(&expert);
            if self.space.choose_experts {
                structure.insert(GeneKey::TakesPart { expert }, usize::from(out));
            } else if out && method.parameter("weight").is_none() {
                return Err(EncodeError::Absent { model: entry.model.to_string() });
            }
        }
        Ok(structure)
    }

    fn pair_choice(&self, part: &Part<'_>) -> Result<usize, EncodeError> {
        let valid =
            || "a model of the space that stands before the other one, base first".to_owned();
        let base = part.base.ok_or_else(|| self.other_base(None))?;
        let others = part.sources.iter().map(|(model, _)| *model).filter(|model| *model != base);
        let pair = (self.model_index(base)?, self.only(others, part)?);
        let pairs = self.space.pairs();
        pairs
            .iter()
            .position(|known| *known == pair)
            .ok_or_else(|| EncodeError::Base { found: format!("`{base}`"), valid: valid() })
    }

    fn only<'m>(
        &self,
        mut models: impl Iterator<Item = &'m ModelRef>,
        part: &Part<'_>,
    ) -> Result<usize, EncodeError> {
        match (models.next(), models.next()) {
            (Some(model), None) => self.model_index(model),
            _ => Err(EncodeError::Owner { start: part.start, end: part.end }),
        }
    }

    fn expert_pair_choice(&self, merged: &[usize]) -> Result<usize, EncodeError> {
        let wanted: Vec<usize> = merged.iter().map(|expert| expert + 1).collect();
        let pairs = self.space.expert_pairs();
        let found = pairs.iter().position(|&(a, b)| wanted == [a, b]);
        found.ok_or(EncodeError::Slices)
    }

    fn owners(&self, account: &Account<'_>) -> Result<Structure, EncodeError> {
        let mut structure = Structure::new();
        for (block, layers) in self.block_ranges() {
            let (start, end) = (layers.start, layers.end);
            let mut owner = None;
            for part in account.within(layers) {
                let model = self.only(part.sources.iter().map(|(model, _)| *model), part)?;
                if owner.replace(model).is_some_and(|other| other != model) {
                    return Err(EncodeError::Owner { start, end });
                }
            }
            structure.extend(owner.map(|model| (GeneKey::Owner { block }, model)));
        }
        Ok(structure)
    }
}
