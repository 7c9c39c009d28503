//! The models of a run, found again.

use std::ffi::OsStr;
use std::path::Path;

use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{OpenError, open_checkpoint};
use merge_search::hub::{Hub, HubError};
use merge_search::recipe::ModelRef;
use merge_search::record::{CheckpointEntry, RunFolder};
use merge_search::space::SearchSpace;

use super::workbench::SpaceSource;
use super::{Failure, quickstart, unchanged};

/// One of them, with the weights that the run scored.
pub struct RunModel {
    /// `base`, or the expert's.
    pub name: String,
    /// As recipes name it.
    pub model: ModelRef,
    /// Commit on the hub; `None`: a local folder.
    pub commit: Option<String>,
    /// Repository and commit of its adapter; the commit of a local one is `None`.
    pub adapter: Option<(String, Option<String>)>,
    /// Opened at these commits.
    pub checkpoint: Checkpoint,
    /// Digest of its weights, as in the run's manifest.
    pub sha256: String,
}

/// The search space of a run.
pub fn space(run: &RunFolder) -> Result<SearchSpace, Failure> {
    let file = &run.manifest().space;
    let source = SpaceSource::recorded(&file.path, &file.text)?;
    Ok(SearchSpace::parse(&source.text, &source.file)?)
}

/// Opens models of the run's space, and refuses those that have changed.
pub fn open(
    models: &[&ModelRef],
    space: &SearchSpace,
    run: &RunFolder,
    hub: &Hub,
) -> Result<Vec<RunModel>, Failure> {
    models.iter().map(|model| open_one(model, space, run, hub)).collect()
}

fn open_one(
    model: &ModelRef,
    space: &SearchSpace,
    run: &RunFolder,
    hub: &Hub,
) -> Result<RunModel, Failure> {
    let entry = entry(model, space, run)?;
    let opened = Opened::find(model, hub).map_err(|error| not_there(&error, entry, model))?;
    let sha256 = opened.checkpoint.digest().map_err(|error| Failure::from_error(&error))?;
    unchanged::require_checkpoint(entry, sha256, unchanged::AS_SCORED)?;
    Ok(RunModel {
        name: entry.name.clone(),
        model: model.clone(),
        sha256: sha256.to_owned(),
        commit: opened.commit,
        adapter: opened.adapter,
        checkpoint: opened.checkpoint,
    })
}

/// What the manifest says of a model.
fn entry<'a>(
    model: &ModelRef,
    space: &SearchSpace,
    run: &'a RunFolder,
) -> Result<&'a CheckpointEntry, Failure> {
    let own = std::iter::once(&space.base).chain(space.experts.iter().map(|expert| &expert.model));
    // A folder that is gone is no longer told from a hub id by whoever reads the space.
    // The built-in quickstart of another version lies elsewhere; its digests say whether it is the same.
    let built_in = run.manifest().space.path == quickstart::NAME;
    let name = |model: &ModelRef| Path::new(model.path()).file_name().map(OsStr::to_owned);
    let same = |known: &ModelRef| {
        known == model
            || model.as_str().ends_with(&format!("/{}", known.as_str()))
            || (built_in && name(known) == name(model))
    };
    let place = own.into_iter().position(same);
    place.and_then(|place| run.manifest().checkpoints.get(place)).ok_or_else(|| {
        Failure::input(format!(
            "{} names {model}, which the run's search space does not have",
            run.path().display()
        ))
        .remedy("the run's files do not belong together; export from an untouched copy of it")
    })
}

fn not_there(error: &OpenError, entry: &CheckpointEntry, model: &ModelRef) -> Failure {
    let failure = Failure::from_error(error).at(&format!("model `{}`", entry.name));
    match error {
        OpenError::Hub(HubError::NotAnId { .. }) => failure
            .remedy(format!("put {} back, where it was when the run began", model.path())),
        OpenError::Hub(HubError::Absent { .. }) => failure.remedy(
            "it was there when the run began: what is gone from the hub can be exported only from a cache that has it (HF_HUB_OFFLINE=1)",
        ),
        _ => failure,
    }
}

/// A model at commits that stay what they are.
pub struct Opened {
    commit: Option<String>,
    adapter: Option<(String, Option<String>)>,
    /// With its adapter.
    pub checkpoint: Checkpoint,
}

impl Opened {
    /// Branches and tags are looked up once, and everything is taken from the commit that they stand for.
    pub fn find(model: &ModelRef, hub: &Hub) -> Result<Opened, Box<OpenError>> {
        let commit_of = |path: &str, revision: Option<&str>| match hub.snapshot(path, revision) {
            Ok(snapshot) => Ok(snapshot.commit),
            Err(error) => Err(Box::new(OpenError::from(error))),
        };
        let commit = commit_of(model.path(), model.revision())?;
        let adapter = match model.lora() {
            None => None,
            Some(lora) => {
                let (path, revision) = revised(lora);
                Some((path.to_owned(), commit_of(path, revision)?))
            }
        };
        let mut pinned = at_commit(model.path(), commit.as_deref());
        if let Some((path, commit)) = &adapter {
            pinned = format!("{pinned}+{}", at_commit(path, commit.as_deref()));
        }
        // Nothing was added to what was a model before.
        let pinned = ModelRef::new(pinned).unwrap_or_else(|_| model.clone());
        let checkpoint = open_checkpoint(&pinned, hub).map_err(Box::new)?;
        Ok(Opened { commit, adapter, checkpoint })
    }
}

/// Path and revision.
pub fn revised(model: &str) -> (&str, Option<&str>) {
    model.split_once('@').map_or((model, None), |(path, revision)| (path, Some(revision)))
}

fn at_commit(path: &str, commit: Option<&str>) -> String {
    commit.map_or_else(|| path.to_owned(), |commit| format!("{path}@{commit}"))
}
