//! mergekit-evolve's genome file (mergekit 0.1.5): raw, then the [`SearchSpace`] that searches the same merges.
//!
//! mergekit-evolve's genotype is a tensor of shape (layer groups, models, filters and their rest, parameters), its last axis
//! `weight`, `density` or, for slerp, `t`. Here each of its numbers is a gene of that name.

use std::path::Path;

use serde::Deserialize;

use super::check::RESERVED;
use super::error::{Blame, SpaceError};
use super::evolve_tasks::{self, RawTask};
use super::group::{self, Group};
use super::model_ref::model_ref;
use super::{
    Axis, Choice, Depth, DocLimits, Expert, Note, Objective, OptimizerChoice, ParameterName,
    ParameterSpec, SearchSpace,
};
use crate::objective::Constraints;
use crate::recipe::{BaseUse, MergeMethod, ModelRef, TokenizerChoice, VocabularySource};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvolve {
    genome: RawGenome,
    pub tasks: Vec<RawTask>,
    pub limit: Option<i64>,
    pub num_fewshot: Option<i64>,
    #[serde(default)]
    pub shuffle: bool,
    #[serde(default)]
    random_init: bool,
    #[serde(default = "yes")]
    pub apply_chat_template: bool,
    /// Says how examples are put, and there are none.
    #[serde(default = "yes", rename = "fewshot_as_multiturn")]
    _fewshot_as_multiturn: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenome {
    models: Vec<String>,
    merge_method: String,
    base_model: Option<String>,
    tokenizer_source: Option<String>,
    #[serde(default)]
    layer_granularity: i64,
    normalize: Option<bool>,
    #[serde(default)]
    allow_negative_weights: bool,
    filters: Option<Vec<String>>,
    #[serde(default)]
    smooth: bool,
}

fn yes() -> bool {
    true
}

const METHODS: [MergeMethod; 5] = [
    MergeMethod::Linear,
    MergeMethod::TaskArithmetic,
    MergeMethod::Ties,
    MergeMethod::DareTies,
    MergeMethod::Slerp,
];

/// Twice what task arithmetic with one expert needs to give that expert back.
const HEAVIEST: f64 = 2.0;

/// Checks a parsed file; relative folders are taken from `file`'s own folder.
pub(super) fn check(raw: RawEvolve, file: &Path) -> Result<SearchSpace, SpaceError> {
    let blame = Blame(file);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut notes = vec![Note::Float32];
    let method = check_method(&blame, &raw.genome)?;
    let (base, experts) = check_models(&blame, &raw.genome, method, folder, &mut notes)?;
    let groups = check_filters(&blame, &raw.genome, &mut notes)?;
    let depth = check_depth(&blame, &raw.genome)?;
    let start = Start { models: raw.genome.models.len(), random: raw.random_init };
    let parameters = parameters(&raw.genome, method, start, &mut notes);
    let tokenizer = raw.genome.tokenizer_source.as_deref();
    let tokenizer = tokenizer.map(|word| check_tokenizer(&blame, word)).transpose()?;
    let tasks = evolve_tasks::check(&blame, &raw, folder, &mut notes)?;
    Ok(SearchSpace {
        name: plain_name(&file.file_stem().unwrap_or_default().to_string_lossy()),
        base,
        experts,
        methods: vec![method],
        choose_experts: false,
        groups,
        depth,
        parameters: parameters.into_iter().collect(),
        tasks,
        docs: DocLimits { search: evolve_tasks::limit(&blame, &raw)?, ..DocLimits::default() },
        objectives: vec![Objective::Aggregate],
        constraints: Constraints::default(),
        aggregate: evolve_tasks::aggregate(&raw.tasks),
        tie_break: None,
        routing: super::Routing::default(),
        optimizer: OptimizerChoice::default(),
        tokenizer,
        notes,
    })
}

fn check_tokenizer(blame: &Blame<'_>, word: &str) -> Result<TokenizerChoice, SpaceError> {
    let source = match word {
        "union" => VocabularySource::Union,
        "base" => VocabularySource::Base,
        // Documents are turned into tokens by the base model's tokenizer.
        _ => {
            let valid = "base or union, which leave the base model's tokens where they are";
            return Err(blame.value("genome.tokenizer_source", format!("`{word}`"), valid));
        }
    };
    Ok(TokenizerChoice::of_source(source))
}

fn check_method(blame: &Blame<'_>, genome: &RawGenome) -> Result<MergeMethod, SpaceError> {
    let word = &genome.merge_method;
    let method = METHODS.into_iter().find(|method| method.as_str() == word).ok_or_else(|| {
        let valid = METHODS.map(MergeMethod::as_str).join(", ");
        blame.value("genome.merge_method", format!("`{word}`"), valid)
    })?;
    let filtered = genome.filters.as_ref().is_some_and(|filters| !filters.is_empty());
    for (key, set) in [("smooth", genome.smooth), ("filters", filtered)] {
        if method == MergeMethod::Slerp && set {
            let valid = "left out with slerp, as in mergekit-evolve";
            return Err(blame.value(&format!("genome.{key}"), "set", valid));
        }
    }
    Ok(method)
}

/// The base model and the experts, whose task vectors (or, without base, weights) are merged.
fn check_models(
    blame: &Blame<'_>,
    genome: &RawGenome,
    method: MergeMethod,
    folder: &Path,
    notes: &mut Vec<Note>,
) -> Result<(ModelRef, Vec<Expert>), SpaceError> {
    let key = "genome.models";
    let mut experts: Vec<Expert> = Vec::new();
    for word in &genome.models {
        let model = model_ref(blame, key, word, folder)?;
        if experts.iter().any(|other| other.model == model) {
            return Err(blame.value(key, format!("{word:?} twice"), "each model once"));
        }
        let name = free_name(&experts, &expert_name(&model));
        experts.push(Expert { name, model });
    }
    let base = match &genome.base_model {
        Some(word) => model_ref(blame, "genome.base_model", word, folder)?,
        None => base_in_tables(blame, method, &experts, notes)?,
    };
    if genome.base_model.is_some() {
        settle_base(&base, method, &mut experts, notes);
    }
    let least = if method == MergeMethod::Slerp { 2 } else { 1 };
    if experts.len() < least {
        let valid = format!("at least {least} besides the base model");
        return Err(blame.value(key, format!("{} long", experts.len()), valid));
    }
    Ok((base, experts))
}

/// Whether the base is one more operand, which slerp among the experts does not need.
fn has_task_vectors(method: MergeMethod) -> bool {
    method.base() == BaseUse::Required && method != MergeMethod::Slerp
}

fn base_in_tables(
    blame: &Blame<'_>,
    method: MergeMethod,
    experts: &[Expert],
    notes: &mut Vec<Note>,
) -> Result<ModelRef, SpaceError> {
    let first = experts.first().map(|expert| expert.model.clone());
    match first.filter(|_| !has_task_vectors(method)) {
        Some(base) => {
            notes.push(Note::BaseIsFirstModel { base: base.clone() });
            Ok(base)
        }
        None if experts.is_empty() => {
            Err(blame.value("genome.models", "empty", "at least one folder or hub id"))
        }
        None => {
            let valid = format!("a folder or a hub id; {method} needs it");
            Err(blame.value("genome.base_model", "missing", valid))
        }
    }
}

fn settle_base(
    base: &ModelRef,
    method: MergeMethod,
    experts: &mut Vec<Expert>,
    notes: &mut Vec<Note>,
) {
    let listed = experts.iter().any(|expert| expert.model == *base);
    if has_task_vectors(method) && listed {
        experts.retain(|expert| expert.model != *base);
        notes.push(Note::BaseAmongModels { base: base.clone() });
    } else if !has_task_vectors(method) && !listed {
        notes.push(Note::BaseNotMerged { base: base.clone(), method });
    }
}

/// Last part of the path, with the adapter's.
fn expert_name(model: &ModelRef) -> String {
    let last = |path: &str| {
        let path = path.split('@').next().unwrap_or_default().trim_end_matches('/');
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let adapter = model.lora().map(|lora| format!("-{}", last(lora))).unwrap_or_default();
    plain_name(&(last(model.path()) + &adapter))
}

/// Letters that names of columns and folders may have, 50 at most.
fn plain_name(word: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = word.chars().map(plain).take(50).collect();
    if name.is_empty() { "evolve".to_owned() } else { name }
}

fn free_name(experts: &[Expert], wanted: &str) -> String {
    let taken = |name: &str| RESERVED.contains(&name) || experts.iter().any(|e| e.name == name);
    if !taken(wanted) {
        return wanted.to_owned();
    }
    // One of so many names is free, whatever the others are.
    let mut numbered = (2..experts.len() + 4).map(|number| format!("{wanted}-{number}"));
    numbered.find(|name| !taken(name)).unwrap_or_default()
}

fn check_filters(
    blame: &Blame<'_>,
    genome: &RawGenome,
    notes: &mut Vec<Note>,
) -> Result<Vec<Group>, SpaceError> {
    let mut groups = Vec::new();
    for filter in genome.filters.iter().flatten() {
        let next = Group::Filter(filter.clone());
        group::check_next(blame, "genome.filters", &groups, &next)?;
        if let Some(by) = group::hides(&groups, &next) {
            notes.push(Note::HiddenFilter { filter: filter.clone(), by: by.to_owned() });
        }
        groups.push(next);
    }
    Ok(groups)
}

fn check_depth(blame: &Blame<'_>, genome: &RawGenome) -> Result<Depth, SpaceError> {
    match usize::try_from(genome.layer_granularity) {
        Ok(0) => Ok(Depth::ControlPoints(1)),
        Ok(layers_per_block @ 1..=1000) if genome.smooth => {
            Ok(Depth::PointPerBlock { layers_per_block })
        }
        Ok(layers_per_block @ 1..=1000) => {
            Ok(Depth::Blocks { layers_per_block, must_divide: true })
        }
        _ => {
            let valid = "0 (all layers together) to 1000 layers, a divisor of their number";
            Err(blame.value("genome.layer_granularity", genome.layer_granularity, valid))
        }
    }
}

/// Where mergekit-evolve starts.
#[derive(Clone, Copy)]
struct Start {
    /// Of `models`, a base among them included.
    models: usize,
    random: bool,
}

impl Start {
    fn at(self, value: f64) -> Option<f64> {
        Some(if self.random { 0.5 } else { value })
    }
}

fn parameters(
    genome: &RawGenome,
    method: MergeMethod,
    start: Start,
    notes: &mut Vec<Note>,
) -> Vec<(ParameterName, ParameterSpec)> {
    let mut per = vec![Axis::Expert];
    per.extend(genome.filters.as_ref().filter(|all| !all.is_empty()).map(|_| Axis::Group));
    per.extend((genome.layer_granularity > 0).then_some(Axis::Depth));
    let genes = |low, high, initial| ParameterSpec::Range { low, high, initial, per: per.clone() };
    let share = start.at(1.0 / start.models as f64);
    // slerp's numbers are compared and their differences taken; allow_negative_weights does not concern them.
    let negative = genome.allow_negative_weights || method == MergeMethod::Slerp;
    let low = if negative { -HEAVIEST } else { 0.0 };
    let first = if method == MergeMethod::Slerp { "t" } else { "weight" };
    notes.push(Note::Bounded { parameter: first, low, high: HEAVIEST });
    notes.extend(start.random.then_some(Note::StartsAtMean));
    let averaged =
        matches!(method, MergeMethod::Linear | MergeMethod::Ties | MergeMethod::DareTies);
    let switch = |on| ParameterSpec::Fixed(Choice::Boolean(on));
    let all = [
        (first, genes(low, HEAVIEST, share)),
        ("density", genes(0.0, 1.0, start.at(1.0))),
        ("normalize", switch(genome.normalize.unwrap_or(averaged))),
        ("int8_mask", switch(true)),
    ];
    let named = all.into_iter().filter_map(|(word, spec)| Some((ParameterName::find(word)?, spec)));
    named.filter(|(name, _)| name.is_used_by(method)).collect()
}
