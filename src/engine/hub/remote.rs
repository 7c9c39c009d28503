//! What the hub says of a model besides its files: nothing is downloaded.

use std::time::Duration;

use hf_hub::api::sync::ApiError;
use serde_json::Value;

use super::cache::RepoCache;
use super::{Hub, HubError, Repository, RepositoryKind, Snapshot, Wanted, is_commit};

/// For one request, all in all.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A model's page at one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteModel {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// Day of that commit, `2024-04-18`.
    pub committed: Option<String>,
    /// Whether a token of an approved account is needed.
    pub gated: Option<bool>,
    /// The front matter of its README.md.
    pub card: Option<Value>,
    /// Elements that the headers of its safetensors list, copies of tied tensors included.
    pub parameters: Option<u64>,
    /// What the hub read in its config.json: `model_type` and `architectures`.
    pub config: Option<Value>,
}

impl Hub {
    /// What the cache has of a model's `revision` (default `main`), be it a config.json alone. The hub is not asked.
    ///
    /// # Errors
    /// Not a hub id, or not a revision.
    pub fn cached(
        &self,
        model: &str,
        revision: Option<&str>,
    ) -> Result<Option<Snapshot>, HubError> {
        let repository = model_repository(model)?;
        let wanted = self.wanted(&repository, revision)?;
        let cache = RepoCache::new(&self.cache, &repository);
        let commit = cache.commit(wanted.revision);
        let snapshot =
            commit.map(|commit| Snapshot { folder: cache.snapshot(&commit), commit: Some(commit) });
        Ok(snapshot.filter(|snapshot| snapshot.folder.is_dir()))
    }

    /// Asks the hub about a model's `revision` (default `main`).
    ///
    /// # Errors
    /// See [`HubError`]; [`HubError::Absent`] where there is no such model or revision.
    pub fn describe(&self, model: &str, revision: Option<&str>) -> Result<RemoteModel, HubError> {
        let repository = model_repository(model)?;
        let wanted = self.wanted(&repository, revision)?;
        let page = wanted.ask("revision", wanted.revision)?;
        let commit = page.get("sha").and_then(Value::as_str).filter(|sha| is_commit(sha));
        let missing = || wanted.failure(PAGE, ApiError::InvalidHeader("sha"));
        let commit = commit.ok_or_else(missing)?.to_owned();
        Ok(RemoteModel {
            committed: wanted.ask("commits", &commit).ok().and_then(|log| day_of(&log, &commit)),
            commit,
            gated: page.get("gated").and_then(is_gated),
            card: page.get("cardData").filter(|card| card.is_object()).cloned(),
            parameters: page.pointer("/safetensors/total").and_then(Value::as_u64),
            config: page.get("config").filter(|config| config.is_object()).cloned(),
        })
    }
}

fn model_repository(model: &str) -> Result<Repository, HubError> {
    Repository::parse(RepositoryKind::Model, model)
        .ok_or_else(|| HubError::NotAnId { model: model.to_owned() })
}

/// What messages call the answers.
const PAGE: &str = "description";

impl Wanted<'_> {
    /// `/api/models/ID/{what}/{revision}`.
    fn ask(&self, what: &str, revision: &str) -> Result<Value, HubError> {
        let revision = revision.replace('/', "%2F");
        let endpoint = self.hub.endpoint();
        let url = format!("{endpoint}/api/models/{}/{what}/{revision}", self.repository.id);
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build();
        let mut request = ureq::Agent::new_with_config(config).get(&url);
        if let Some(token) = &self.hub.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let text = request.call().and_then(|mut answer| answer.body_mut().read_to_string());
        let text = text.map_err(|error| self.failure(PAGE, Box::new(error).into()))?;
        serde_json::from_str(&text)
            .map_err(|_| self.failure(PAGE, ApiError::InvalidHeader("content-type")))
    }
}

/// `false`, or how access is granted: `"auto"`, `"manual"`.
fn is_gated(gated: &Value) -> Option<bool> {
    match gated {
        Value::Bool(gated) => Some(*gated),
        Value::String(_) => Some(true),
        _ => None,
    }
}

/// Of the log's entry for `commit`, the day of `2024-04-18T00:30:12.000Z`.
fn day_of(log: &Value, commit: &str) -> Option<String> {
    let is_it = |entry: &&Value| entry.get("id").and_then(Value::as_str) == Some(commit);
    let entry = log.as_array()?.iter().find(is_it)?;
    entry.get("date")?.as_str()?.get(..10).map(str::to_owned)
}
