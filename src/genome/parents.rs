//! What everybody tries first, as genotypes: the base model, each expert alone, the uniform merge.

use super::decode::recipe;
use super::{Decoder, Gene, Genotype, passthrough_of, uniform_average};
use crate::recipe::{BaseUse, Layout, MergeMethod, ModelEntry, Parameters, Recipe, Scope, Setting};
use crate::space::{GeneKey, ParameterSpec, takes_pair};

/// Values with which a parameter leaves task vectors as they are.
const NEUTRAL: [(&str, f64); 4] =
    [("density", 1.0), ("lambda", 1.0), ("gamma", 0.0), ("epsilon", 0.0)];

impl Decoder {
    /// `base`, each expert's name and `uniform`, with the genotype of each, as far as the space can express them. Where
    /// the signs of task vectors are put to the vote (ties and its kin) `uniform` is equal weights, which is not quite the average.
    pub fn parents(&self) -> Vec<(String, Genotype)> {
        let experts = self.space.experts.len();
        let alone = |only: usize| -> Vec<f64> {
            (0..experts).map(|expert| f64::from(u8::from(expert == only))).collect()
        };
        let mut parents =
            vec![("base".to_owned(), self.base().or(self.weighted(&vec![0.0; experts])))];
        for expert in 0..experts {
            let found = self.weighted(&alone(expert)).or_else(|| self.taken_over(expert + 1));
            parents.push((self.space.model_name(expert + 1), found));
        }
        if experts > 1 {
            let share = vec![1.0 / experts as f64; experts];
            parents.push(("uniform".to_owned(), self.weighted(&share)));
        }
        parents.into_iter().filter_map(|(name, genotype)| Some((name, genotype?))).collect()
    }

    /// The genotype of a recipe that a run makes for its baselines.
    pub(super) fn parent_of(&self, recipe: &Recipe) -> Option<Genotype> {
        let same = |other: &Recipe| same_merge(other, recipe);
        let models = (0..=self.space.experts.len())
            .filter(|model| same(&passthrough_of(&self.model_of(*model))));
        let uniform = same(&uniform_average(&self.space)).then(|| "uniform".to_owned());
        let name = models.map(|model| self.space.model_name(model)).next().or(uniform)?;
        self.parents().into_iter().find(|(parent, _)| *parent == name).map(|(_, genotype)| genotype)
    }

    fn model_of(&self, model: usize) -> crate::recipe::ModelRef {
        match model.checked_sub(1).and_then(|expert| self.space.experts.get(expert)) {
            None => self.space.base.clone(),
            Some(expert) => expert.model.clone(),
        }
    }

    /// The base with no expert taking part, or taken over block by block.
    fn base(&self) -> Option<Genotype> {
        let mut genotype = self.start();
        for expert in 0..self.space.experts.len() {
            for merge in 0..self.space.merges() {
                self.set(&mut genotype, merge, GeneKey::TakesPart { expert }, Gene::Category(1));
            }
        }
        let nothing = same_merge(&self.merge(&genotype, 0), &passthrough_of(&self.space.base));
        if nothing { Some(genotype) } else { self.taken_over(0) }
    }

    /// A model by itself, without weights.
    fn taken_over(&self, model: usize) -> Option<Genotype> {
        let of_method = |method: &MergeMethod| match method {
            MergeMethod::Passthrough => self.encode(&passthrough_of(&self.model_of(model))).ok(),
            MergeMethod::Slerp if !self.space.ranks_experts() => self.slerped(model),
            _ => None,
        };
        self.space.methods.iter().find_map(of_method)
    }

    /// At one end of a slerp with the base.
    fn slerped(&self, model: usize) -> Option<Genotype> {
        let (other, t) = if model == 0 { (1, 0.0) } else { (model, 1.0) };
        let models = [0, other].map(|m| ModelEntry::new(self.model_of(m), Parameters::default()));
        let t = Parameters::from([("t", Setting::from(t))]);
        let base = Some(self.space.base.clone());
        self.encode(&recipe(MergeMethod::Slerp, base, Layout::Models(models.to_vec()), t)).ok()
    }

    /// The first method's merge with these weights, in which nothing else changes the result.
    fn weighted(&self, weights: &[f64]) -> Option<Genotype> {
        let zero = weights.iter().all(|weight| *weight == 0.0);
        let variants = [(false, false), (false, true), (true, false), (true, true)];
        let of_method = |method: &MergeMethod| {
            // Normalized weights that are all 0 are no weights.
            let possible = variants.iter().filter(|(normalize, _)| !(zero && *normalize));
            possible.clone().find_map(|&(normalize, sparse)| {
                self.encode(&self.weighted_recipe(*method, weights, normalize, sparse)).ok()
            })
        };
        let usable = |method: &&MergeMethod| {
            let task_vectors = method.base() == BaseUse::Required;
            method.parameter("weight").is_some()
                && !takes_pair(**method)
                && !matches!(method, MergeMethod::GeometricMedian | MergeMethod::ExpertChoice)
                && (task_vectors || !zero)
        };
        self.space.methods.iter().filter(usable).find_map(of_method)
    }

    fn weighted_recipe(
        &self,
        method: MergeMethod,
        weights: &[f64],
        normalize: bool,
        sparse: bool,
    ) -> Recipe {
        let (mut own, mut shared) = (Parameters::default(), Parameters::default());
        for (word, value) in NEUTRAL {
            if let Some(parameter) = method.parameter(word) {
                let at = if parameter.scope == Scope::PerModel { &mut own } else { &mut shared };
                at.set(word, value);
            }
        }
        for word in ["normalize", "normalize_weights"] {
            if method.parameter(word).is_some() {
                shared.set(word, normalize);
            }
        }
        self.keep_others(method, &mut shared);
        let taken = self.space.experts.iter().zip(weights);
        let entries =
            taken.filter(|(_, weight)| !sparse || **weight != 0.0).map(|(expert, weight)| {
                ModelEntry::new(expert.model.clone(), own.clone().with("weight", *weight))
            });
        let base = (method.base() != BaseUse::Ignored).then(|| self.space.base.clone());
        let mut made = recipe(method, base, Layout::Models(entries.collect()), shared);
        made.mask_seed = self.any_seed();
        made
    }

    /// Switches that change nothing here, such as `rescale` at density 1, are as the space has them.
    fn keep_others(&self, method: MergeMethod, shared: &mut Parameters) {
        for (name, spec) in &self.space.parameters {
            let word = name.as_str();
            let known =
                shared.get(word).is_some() || NEUTRAL.iter().any(|(other, _)| *other == word);
            let all = method.parameter(word).is_some_and(|p| p.scope == Scope::Shared);
            if let (true, false, Some(value)) = (all, known, any_value(spec)) {
                shared.set(word, value);
            }
        }
    }

    fn any_seed(&self) -> u64 {
        let seed = self.space.parameters.iter().find(|(name, _)| name.as_str() == "mask_seed");
        seed.and_then(|(_, spec)| any_value(spec)).map_or(0, |seed| seed as u64)
    }
}

/// For recipes without parameters of their own: what is left may differ, as the seed of masks that are not drawn does.
fn same_merge(a: &Recipe, b: &Recipe) -> bool {
    a.merge_method == b.merge_method && a.layout == b.layout
}

/// One that the space allows.
fn any_value(spec: &ParameterSpec) -> Option<f64> {
    match spec {
        ParameterSpec::Fixed(choice) => Some(choice.as_number()),
        ParameterSpec::Range { low, .. } | ParameterSpec::Steps { low, .. } => Some(*low),
        ParameterSpec::Choices { choices, .. } => choices.first().map(|choice| choice.as_number()),
    }
}
