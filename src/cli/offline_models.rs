//! What can be told of a space's models from their configs alone: out of a folder, the hub's cache or the catalogue.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use merge_search::hub::{Hub, KnownModel, known};
use merge_search::model::NetworkSpec;
use merge_search::recipe::ModelRef;
use merge_search::space::SearchSpace;
use merge_search::units::Bytes;
use serde_json::{Value, json};

use super::Failure;
use super::failure::chain;
use super::target::element_bytes;

/// One model of the space.
pub struct OfflineModel {
    /// `base`, or the expert's.
    pub name: String,
    pub spec: NetworkSpec,
    pub config: Value,
    pub repository: OfflineRepository,
    pub adapter: Option<OfflineRepository>,
}

/// A model or an adapter by itself.
pub struct OfflineRepository {
    /// Folder or hub id.
    pub path: String,
    /// What the space pins.
    pub revision: Option<String>,
    /// Where its config was read.
    pub place: Place,
    /// Numbers in its tensors; `None` where that is not known.
    pub parameters: Option<u64>,
    /// Of its weight files.
    pub stored: Option<Bytes>,
    /// Of an adapter.
    pub rank: Option<u64>,
}

/// Where a config was found.
pub enum Place {
    Folder(PathBuf),
    Cache(PathBuf),
    Catalogue(&'static KnownModel),
}

impl OfflineModel {
    /// The base model and all experts, in this order.
    pub fn all(space: &SearchSpace, hub: &Hub) -> Result<Vec<Self>, Failure> {
        let experts = space.experts.iter().map(|expert| &expert.model);
        let models = std::iter::once(&space.base).chain(experts);
        models.enumerate().map(|(i, model)| Self::find(space.model_name(i), model, hub)).collect()
    }

    fn find(name: String, model: &ModelRef, hub: &Hub) -> Result<Self, Failure> {
        let (place, config) = config(model.path(), model.revision(), hub, &MODEL)?;
        let cannot = |why: String| Failure::input(format!("{}: config.json: {why}", model.path()));
        let spec =
            NetworkSpec::from_config_alone(&config).map_err(|error| cannot(chain(&error)))?;
        let adapter = model.lora().map(|lora| adapter(lora, &spec, hub)).transpose()?;
        let of_config = Bytes(spec.weight_bytes(element_bytes(&config)));
        let repository = OfflineRepository {
            path: model.path().to_owned(),
            revision: model.revision().map(str::to_owned),
            parameters: Some(spec.parameters()),
            stored: place.weights().or(Some(of_config)),
            rank: None,
            place,
        };
        Ok(Self { name, spec, config, repository, adapter })
    }

    /// Itself and its adapter.
    pub fn repositories(&self) -> impl Iterator<Item = &OfflineRepository> {
        std::iter::once(&self.repository).chain(&self.adapter)
    }

    /// The first tensor whose shape differs from the base model's, and both shapes: such models are not merged.
    pub fn differs(&self, base: &Self) -> Option<(String, Vec<usize>, Vec<usize>)> {
        let of_base: BTreeMap<&str, &[usize]> = base.spec.tensors().collect();
        self.spec.tensors().find_map(|(name, shape)| {
            let other = of_base.get(name).filter(|other| **other != shape)?;
            Some((name.to_owned(), shape.to_vec(), other.to_vec()))
        })
    }
}

impl OfflineRepository {
    /// As a recipe names it.
    pub fn title(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{}@{revision}", self.path),
            None => self.path.clone(),
        }
    }

    /// The catalogue's entry, if it is about this commit or the space names none.
    pub fn known(&self) -> Option<&'static KnownModel> {
        let same = |model: &&KnownModel| {
            self.revision.is_none() || model.revision.is_none() || model.revision == self.revision
        };
        known(&self.path).filter(same)
    }

    /// For people: size, place, day and licence.
    pub fn text(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.rank.map(|rank| format!("LoRA of rank {rank}")));
        words.extend(self.parameters.map(|count| format!("{count} parameters")));
        words.extend(self.stored.map(|bytes| bytes.to_string()));
        if self.parameters.is_none() {
            words.push("size not known".to_owned());
        }
        if self.revision.is_none() && !matches!(self.place, Place::Folder(_)) {
            words.push("no revision pinned".to_owned());
        }
        if let Some(model) = self.known() {
            let known = |word: &Option<String>| word.clone().unwrap_or("not known".to_owned());
            words.push(format!("commit's day {}", known(&model.committed)));
            words.push(format!("licence {}", known(&model.license)));
            words.extend(model.gated.unwrap_or(false).then(|| "gated".to_owned()));
        }
        words.push(self.place.text().to_owned());
        if matches!(self.place, Place::Catalogue(_)) && self.known().is_none() {
            words.push("as of another commit".to_owned());
        }
        words.join(", ")
    }

    pub fn json(&self) -> Value {
        let known = self.known();
        json!({
            "path": self.path,
            "revision": self.revision,
            "parameters": self.parameters,
            "bytes": self.stored.map(|bytes| bytes.0),
            "rank": self.rank,
            "config_from": self.place.word(),
            "committed": known.and_then(|model| model.committed.clone()),
            "license": known.and_then(|model| model.license.clone()),
            "gated": known.map(|model| model.gated),
        })
    }
}

impl Place {
    fn word(&self) -> &'static str {
        match self {
            Place::Folder(_) => "folder",
            Place::Cache(_) => "cache",
            Place::Catalogue(_) => "catalogue",
        }
    }

    fn text(&self) -> &'static str {
        match self {
            Place::Folder(_) => "config from the folder",
            Place::Cache(_) => "config from the hub's cache",
            Place::Catalogue(_) => "config from the catalogue",
        }
    }

    /// Bytes of the weights that are there, or were there when the catalogue was written.
    fn weights(&self) -> Option<Bytes> {
        match self {
            Place::Folder(folder) | Place::Cache(folder) => {
                Some(weight_files(folder)).filter(|bytes| bytes.0 > 0)
            }
            Place::Catalogue(model) => model.bytes.map(Bytes),
        }
    }
}

fn weight_files(folder: &Path) -> Bytes {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let weights = entries.filter(|entry| {
        entry.path().extension().is_some_and(|extension| extension == "safetensors")
    });
    // Through the links of a cache.
    let sizes = weights.filter_map(|entry| std::fs::metadata(entry.path()).ok());
    Bytes(sizes.map(|metadata| metadata.len()).sum())
}

/// Which config of a repository is wanted.
struct Wanted {
    file: &'static str,
    of: fn(&KnownModel) -> Option<&Value>,
}

const MODEL: Wanted = Wanted { file: "config.json", of: |model| model.config.as_ref() };
const ADAPTER: Wanted =
    Wanted { file: "adapter_config.json", of: |model| model.adapter_config.as_ref() };

fn config(
    path: &str,
    revision: Option<&str>,
    hub: &Hub,
    wanted: &Wanted,
) -> Result<(Place, Value), Failure> {
    let folder = Path::new(path);
    if folder.is_dir() {
        let config = read(&folder.join(wanted.file))?;
        return Ok((Place::Folder(folder.to_owned()), config));
    }
    let cached = hub.cached(path, revision).ok().flatten().map(|snapshot| snapshot.folder);
    if let Some(folder) = cached.filter(|folder| folder.join(wanted.file).is_file()) {
        let config = read(&folder.join(wanted.file))?;
        return Ok((Place::Cache(folder), config));
    }
    let known = known(path).and_then(|model| Some((model, (wanted.of)(model)?)));
    if let Some((model, config)) = known {
        return Ok((Place::Catalogue(model), config.clone()));
    }
    let cache = hub.cache.display();
    Err(Failure::input(format!(
        "{path}: its {} is needed, and there is no such folder, nothing of it in the hub's cache ({cache}) and no entry in \
         the catalogue",
        wanted.file
    ))
    .remedy(format!(
        "fetch that file alone, for instance with `hf download {path} {}`, or plan without --offline",
        wanted.file
    )))
}

fn read(file: &Path) -> Result<Value, Failure> {
    let cannot = |why: String| Failure::input(format!("{}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|error| cannot(format!("cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| cannot(format!("is no JSON: {error}")))
}

fn adapter(lora: &str, spec: &NetworkSpec, hub: &Hub) -> Result<OfflineRepository, Failure> {
    let (path, revision) = lora.split_once('@').map_or((lora, None), |(p, r)| (p, Some(r)));
    let (place, config) = config(path, revision, hub, &ADAPTER)?;
    let parameters = factors(&config, spec);
    // PEFT writes float32 unless it is told otherwise.
    let of_config = parameters.map(|count| Bytes(count.saturating_mul(4)));
    Ok(OfflineRepository {
        path: path.to_owned(),
        revision: revision.map(str::to_owned),
        parameters,
        stored: place.weights().or(of_config),
        rank: config.get("r").and_then(Value::as_u64),
        place,
    })
}

/// Numbers in the factors `A` and `B` of all layers that the adapter is on, where its config lists them by the ends of their
/// names; `None` for patterns.
fn factors(config: &Value, spec: &NetworkSpec) -> Option<u64> {
    let rank = config.get("r").and_then(Value::as_u64)?;
    let patterns = ["rank_pattern", "layers_to_transform", "layers_pattern"];
    let is_set = |key: &str| {
        config.get(key).is_some_and(|value| *value != json!(null) && *value != json!({}))
    };
    if patterns.into_iter().any(is_set) {
        return None;
    }
    let targets: Vec<&str> =
        config.get("target_modules")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let is_on = |tensor: &str| {
        let module = tensor.strip_suffix(".weight").unwrap_or(tensor);
        targets.iter().any(|target| {
            module.strip_suffix(target).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    };
    let matrices: BTreeMap<&str, &[usize]> =
        spec.tensors().filter(|(name, _)| is_on(name)).collect();
    let sides = matrices.values().filter(|shape| shape.len() == 2);
    let both = sides.map(|shape| shape.iter().map(|side| *side as u64).sum::<u64>()).sum::<u64>();
    Some(rank.saturating_mul(both)).filter(|count| *count > 0)
}
