//! Model ids → folders, through the Hugging Face hub and its local cache (the one Python uses).

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

/// Where models come from. The caller reads the environment; this does not.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Folder with `models--owner--name` folders.
    pub cache: PathBuf,
    /// Server, without the trailing slash; `None` = the public one.
    pub endpoint: Option<String>,
    /// Access token for gated models.
    pub token: Option<String>,
    /// Take everything from the cache.
    pub offline: bool,
    /// Draw a progress bar for downloads.
    pub progress: bool,
}

/// Why a model id gave no folder.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither a folder nor `owner/name`.
    #[error("{model}: no such folder, and not a hub id (owner/name)")]
    NotAnId { model: String },
    /// Offline, and the cache does not have it.
    #[error(
        "{id}: no such folder, and {file} of {id}@{revision} is not in the cache {}; downloads are off",
        cache.display()
    )]
    NotCached { id: String, revision: String, file: String, cache: PathBuf },
    /// The hub answered with an error, or did not answer.
    #[error("{id}: no such folder, and the hub gave no {file} of {id}@{revision}")]
    Download {
        id: String,
        revision: String,
        file: String,
        #[source]
        source: Box<ApiError>,
    },
    /// There are no safetensors in the repository.
    #[error("{id}@{revision} has no safetensors weights; only safetensors checkpoints are read")]
    NoSafetensors { id: String, revision: String },
}

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
const OPTIONAL: [&str; 3] =
    ["tokenizer_config.json", "special_tokens_map.json", "generation_config.json"];

impl Hub {
    /// The folder of `model`: itself if it is one, or else a snapshot of the hub's `owner/name` at `revision`
    /// (default `main`).
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn folder(&self, model: &str, revision: Option<&str>) -> Result<PathBuf, HubError> {
        let path = Path::new(model);
        if path.is_dir() {
            return Ok(path.to_owned());
        }
        let is_id = !path.is_absolute() && !model.starts_with('.') && model.split('/').count() == 2;
        if !is_id {
            return Err(HubError::NotAnId { model: model.to_owned() });
        }
        let revision = revision.unwrap_or("main");
        let repo = Repo::with_revision(model.to_owned(), RepoType::Model, revision.to_owned());
        Snapshot { hub: self, id: model, revision, repo }.fetch()
    }
}

/// One revision being fetched.
struct Snapshot<'a> {
    hub: &'a Hub,
    id: &'a str,
    revision: &'a str,
    repo: Repo,
}

/// Where files are taken from.
enum Source {
    Cache(CacheRepo),
    Network(Box<ApiRepo>),
}

impl Snapshot<'_> {
    fn fetch(&self) -> Result<PathBuf, HubError> {
        let source = self.source()?;
        for file in REQUIRED {
            self.get(&source, file)?;
        }
        // Not every repository has these, and none is needed for scoring.
        for file in OPTIONAL {
            let _absent = self.get(&source, file);
        }
        let weights = self.weights(&source)?;
        Ok(weights.parent().map_or_else(|| self.hub.cache.clone(), Path::to_owned))
    }

    /// One file, or an index and the shards it names; the path of the last one.
    fn weights(&self, source: &Source) -> Result<PathBuf, HubError> {
        let Ok(index) = self.get(source, INDEX) else {
            return self.get(source, WEIGHTS).map_err(|error| match error {
                HubError::Download { .. } => self.no_safetensors(),
                other => other,
            });
        };
        let text = std::fs::read_to_string(&index).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let map = json.get("weight_map").and_then(|map| map.as_object());
        let mut shards: Vec<&str> =
            map.into_iter().flat_map(|map| map.values()).filter_map(|file| file.as_str()).collect();
        shards.sort_unstable();
        shards.dedup();
        let mut last = Err(self.no_safetensors());
        for shard in shards {
            last = Ok(self.get(source, shard)?);
        }
        last
    }

    fn no_safetensors(&self) -> HubError {
        HubError::NoSafetensors { id: self.id.to_owned(), revision: self.revision.to_owned() }
    }

    fn source(&self) -> Result<Source, HubError> {
        let cache = Cache::new(self.hub.cache.clone());
        if self.hub.offline {
            return Ok(Source::Cache(cache.repo(self.repo.clone())));
        }
        let builder = ApiBuilder::from_cache(cache)
            .with_token(self.hub.token.clone())
            .with_retries(3)
            .with_progress(self.hub.progress);
        let builder = match &self.hub.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint.clone()),
            None => builder,
        };
        let api = builder.build().map_err(|source| self.download_error("anything", source))?;
        Ok(Source::Network(Box::new(api.repo(self.repo.clone()))))
    }

    fn get(&self, source: &Source, file: &str) -> Result<PathBuf, HubError> {
        match source {
            Source::Network(api) => {
                api.get(file).map_err(|source| self.download_error(file, source))
            }
            Source::Cache(cache) => cache.get(file).ok_or_else(|| HubError::NotCached {
                id: self.id.to_owned(),
                revision: self.revision.to_owned(),
                file: file.to_owned(),
                cache: self.hub.cache.clone(),
            }),
        }
    }

    fn download_error(&self, file: &str, source: ApiError) -> HubError {
        HubError::Download {
            id: self.id.to_owned(),
            revision: self.revision.to_owned(),
            file: file.to_owned(),
            source: Box::new(source),
        }
    }
}
