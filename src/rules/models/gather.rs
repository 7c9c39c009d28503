//! Where facts come from: the folder or the hub's cache first, then the user's evidence, the catalogue, and the hub.

use std::cell::Cell;
use std::path::Path;

use super::evidence::{Evidence, day_of_known, of_known};
use super::folder::{self, with_sources};
use super::{ModelFacts, RepositoryFacts, Told, card, chain};
use crate::hub::{self, Hub, HubError, RemoteModel};
use crate::recipe::ModelRef;

/// What is known of `model`, called `name`. The hub is asked, unless `hub` is offline, for what the rest does not tell; where
/// it does not answer, facts stay unknown.
pub fn facts(model: &ModelRef, name: &str, hub: &Hub, evidence: &Evidence) -> ModelFacts {
    let gathering = Gathering { hub, evidence, silent: Cell::new(hub.offline) };
    let own = gathering.repository(model.path(), model.revision());
    let adapter = model.lora().map(|lora| {
        let (id, revision) = lora.split_once('@').map_or((lora, None), |(id, it)| (id, Some(it)));
        gathering.repository(id, revision)
    });
    let (ancestors, cycles) = chain::follow(&own, adapter.as_ref(), &gathering);
    ModelFacts { name: name.to_owned(), model: own, adapter, ancestors, cycles }
}

/// What evidence calls what [`hub::known`] knows.
const CATALOGUE: &str = "catalogue";

pub(super) struct Gathering<'a> {
    hub: &'a Hub,
    evidence: &'a Evidence,
    /// There is no connection: each further question would wait for nothing.
    silent: Cell<bool>,
}

impl Gathering<'_> {
    /// What is known of a folder, or of a repository at `revision`.
    pub(super) fn repository(&self, id: &str, revision: Option<&str>) -> RepositoryFacts {
        let mut facts = RepositoryFacts::named(id, revision);
        if Path::new(id).is_dir() {
            facts.local = true;
            facts.fill(folder::read(Path::new(id), id.trim_end_matches('/')));
            return facts;
        }
        self.cached(&mut facts);
        if facts.local {
            return facts;
        }
        for known in self.evidence.of(id, revision) {
            facts.fill(known);
        }
        if let Some(known) = hub::known(id) {
            facts.fill(of_known(known, revision, CATALOGUE));
        }
        if has_gaps(&facts) {
            self.ask(&mut facts);
        }
        facts
    }

    /// The same of a model that another was made from, of which no revision is told: the day of any of its commits shows
    /// that it was there.
    pub(super) fn ancestor(&self, id: &str) -> RepositoryFacts {
        let mut facts = self.repository(id, None);
        if !facts.local && facts.committed.is_none() {
            let known = || day_of_known(hub::known(id)?, CATALOGUE);
            facts.committed = self.evidence.day(id).or_else(known);
        }
        facts
    }

    fn cached(&self, facts: &mut RepositoryFacts) {
        match self.hub.cached(&facts.id, facts.revision.as_deref()) {
            Ok(Some(snapshot)) => {
                let commit = snapshot.commit.unwrap_or_default();
                let short = commit.get(..12).unwrap_or(&commit);
                let name = format!("{}@{short} (cache)", facts.id);
                facts.fill(folder::read(&snapshot.folder, &name));
                facts.commit = Some(Told::new(commit, "cache of the hub"));
            }
            Ok(None) => {}
            Err(error) => {
                facts.local = matches!(error, HubError::NotAnId { .. });
                facts.faults.push(with_sources(&error));
            }
        }
    }

    fn ask(&self, facts: &mut RepositoryFacts) {
        if self.silent.get() {
            return;
        }
        match self.hub.describe(&facts.id, facts.revision.as_deref()) {
            Ok(remote) => facts.fill(of_remote(&remote, &facts.id)),
            Err(error @ HubError::Absent { .. }) => facts.absent = Some(error.to_string()),
            Err(error) => {
                self.silent.set(matches!(error, HubError::Connection { .. }));
                facts.faults.push(with_sources(&error));
            }
        }
    }
}

/// Whether the hub could tell something that a rule asks for.
fn has_gaps(facts: &RepositoryFacts) -> bool {
    facts.commit.is_none()
        || facts.committed.is_none()
        || facts.licence.is_none()
        || facts.gated.is_none()
        || facts.config.is_none() && facts.adapter_config.is_none()
}

fn of_remote(remote: &RemoteModel, id: &str) -> RepositoryFacts {
    let short = remote.commit.get(..12).unwrap_or(&remote.commit);
    let place = format!("the hub's description of {id}@{short}");
    let card = remote.card.as_ref().map(|it| card::of_value(it, &format!("{place}, cardData")));
    RepositoryFacts {
        commit: Some(Told::new(remote.commit.clone(), &*place)),
        committed: remote.committed.clone().map(|day| Told::new(day, format!("{place}, commits"))),
        gated: remote.gated.map(|gated| Told::new(gated, format!("{place}, gated"))),
        parameters: remote.parameters.map(|it| Told::new(it, format!("{place}, safetensors"))),
        config: remote.config.clone().map(|config| Told::new(config, format!("{place}, config"))),
        ..card.unwrap_or_default()
    }
}
