//! Raw → checked: the rules for each key of a search space, and what is said when one is broken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::Blame;
use super::model_ref::model_ref;
use super::raw::{RawMerge, RawRouting, RawSpace, RawTasks};
use super::{Depth, DocLimits, Expert, Routing, SearchSpace, SpaceError};
use super::{document_routing, genes, group, layer_routing, objective, optimizer};
use super::{prompt_routing, together, token_routing};
use crate::recipe::MergeMethod;

/// Rows of a run that are no expert's.
pub(super) const RESERVED: [&str; 3] = ["base", "uniform", "winner"];

/// Checks a parsed file; relative folders are taken from `file`'s own folder.
pub(super) fn check(raw: RawSpace, file: &Path) -> Result<SearchSpace, SpaceError> {
    let blame = Blame(file);
    let folder = file.parent().unwrap_or(Path::new("."));
    check_name(&blame, "name", &raw.name)?;
    let experts = check_experts(&blame, &raw.models.experts, folder)?;
    let methods = check_methods(&blame, &raw.merge.methods)?;
    let routing = check_routing(&blame, &raw, &experts, &methods)?;
    let mut parameters = BTreeMap::new();
    for (key, value) in &raw.parameters {
        let (name, spec) = genes::check(&blame, key, value, &methods)?;
        parameters.insert(name, spec);
    }
    let mut notes = Vec::new();
    let aggregate = objective::check_aggregate(&blame, &raw, folder, &mut notes)?;
    let space = SearchSpace {
        name: raw.name,
        base: model_ref(&blame, "models.base", &raw.models.base, folder)?,
        experts,
        methods,
        choose_experts: raw.merge.choose_experts,
        groups: group::check(&blame, &raw.merge.groups)?,
        depth: check_depth(&blame, &raw.merge)?,
        parameters,
        tasks: check_tasks(&blame, &raw.tasks, folder)?,
        docs: check_docs(&blame, &raw.tasks)?,
        objectives: objective::check_axes(&blame, raw.objectives.as_deref(), aggregate.kind)?,
        aggregate,
        tie_break: raw.objective.tie_break,
        routing,
        optimizer: optimizer::check(&blame, &raw.optimizer, folder)?,
        tokenizer: None,
        notes,
    };
    together::check(&blame, &space)?;
    Ok(space)
}

fn check_name(blame: &Blame<'_>, key: &str, name: &str) -> Result<(), SpaceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 60 && name.chars().all(plain) {
        return Ok(());
    }
    let valid = "1 to 60 letters, digits, `-` or `_` (it names columns and folders)";
    Err(blame.value(key, format!("{name:?}"), valid))
}

fn check_routing(
    blame: &Blame<'_>,
    raw: &RawSpace,
    experts: &[Expert],
    methods: &[MergeMethod],
) -> Result<Routing, SpaceError> {
    let RawRouting { layers, documents, tokens, prompts } = &raw.routing;
    let layers = layers.as_ref().map(|raw| layer_routing::check(blame, raw, methods));
    let tasks = raw.tasks.folders.len();
    let documents = documents.as_ref().map(|raw| document_routing::check(blame, raw, tasks));
    let tokens = tokens.as_ref().map(|raw| token_routing::check(blame, raw, experts));
    Ok(Routing {
        layers: layers.transpose()?,
        documents: documents.transpose()?,
        tokens: tokens.transpose()?,
        prompts: prompt_routing::check(blame, prompts)?,
    })
}

fn check_experts(
    blame: &Blame<'_>,
    table: &toml::Table,
    folder: &Path,
) -> Result<Vec<Expert>, SpaceError> {
    if table.is_empty() {
        return Err(blame.value(
            "models.experts",
            "empty",
            "at least one `name = \"folder or hub id\"`",
        ));
    }
    table
        .iter()
        .map(|(name, value)| {
            let key = format!("models.experts.{name}");
            check_name(blame, &key, name)?;
            if RESERVED.contains(&name.as_str()) {
                return Err(blame.value(
                    &key,
                    "a reserved row name",
                    "any name but base, uniform, winner",
                ));
            }
            let word = value
                .as_str()
                .ok_or_else(|| blame.value(&key, value, "a folder or a hub id, as a string"))?;
            Ok(Expert { name: name.clone(), model: model_ref(blame, &key, word, folder)? })
        })
        .collect()
}

fn check_methods(blame: &Blame<'_>, words: &[String]) -> Result<Vec<MergeMethod>, SpaceError> {
    let valid = || {
        let words: Vec<_> = MergeMethod::ALL.iter().map(|method| method.as_str()).collect();
        format!("one or more of {}, each once", words.join(", "))
    };
    let mut methods = Vec::new();
    for word in words {
        let method = MergeMethod::ALL.iter().find(|method| method.as_str() == word);
        match method {
            Some(method) if !methods.contains(method) => methods.push(*method),
            _ => return Err(blame.value("merge.methods", format!("`{word}`"), valid())),
        }
    }
    if methods.is_empty() {
        return Err(blame.value("merge.methods", "empty", valid()));
    }
    Ok(methods)
}

fn check_depth(blame: &Blame<'_>, merge: &RawMerge) -> Result<Depth, SpaceError> {
    let count = |key: &str, value: i64| match usize::try_from(value) {
        Ok(count @ 1..=1000) => Ok(count),
        _ => Err(blame.value(key, value, "a whole number from 1 to 1000")),
    };
    match (merge.control_points, merge.layer_granularity) {
        (None, None) => Ok(Depth::ControlPoints(1)),
        (Some(points), None) => count("merge.control_points", points).map(Depth::ControlPoints),
        (None, Some(layers)) => count("merge.layer_granularity", layers)
            .map(|layers_per_block| Depth::Blocks { layers_per_block, must_divide: false }),
        (Some(_), Some(_)) => Err(blame.value(
            "merge.control_points",
            "given together with `layer_granularity`",
            "one of the two",
        )),
    }
}

fn check_tasks(
    blame: &Blame<'_>,
    tasks: &RawTasks,
    folder: &Path,
) -> Result<Vec<PathBuf>, SpaceError> {
    if tasks.folders.is_empty() {
        return Err(blame.value("tasks.folders", "empty", "at least one folder with a task.toml"));
    }
    let mut folders = Vec::new();
    for word in &tasks.folders {
        let path = folder.join(word);
        let path = std::path::absolute(&path).unwrap_or(path);
        if folders.contains(&path) {
            return Err(blame.value("tasks.folders", format!("`{word}` twice"), "each task once"));
        }
        folders.push(path);
    }
    Ok(folders)
}

fn check_docs(blame: &Blame<'_>, tasks: &RawTasks) -> Result<DocLimits, SpaceError> {
    let limit = |key: &str, value: Option<i64>| match value {
        None => Ok(None),
        Some(docs) => match usize::try_from(docs) {
            Ok(docs) if docs > 0 => Ok(Some(docs)),
            _ => Err(blame.value(&format!("tasks.{key}"), docs, "a positive number of documents")),
        },
    };
    Ok(DocLimits {
        search: limit("search_docs", tasks.search_docs)?,
        selection: limit("selection_docs", tasks.selection_docs)?,
        holdout: limit("holdout_docs", tasks.holdout_docs)?,
    })
}
