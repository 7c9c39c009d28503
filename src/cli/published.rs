//! Where everybody can get the models of a submission.

use std::fmt;

use merge_search::evaluate::OpenError;
use merge_search::hub::{Hub, HubError};
use merge_search::recipe::ModelRef;
use merge_search::rules::models::{self, CONVERT, Evidence, Told, WeightFiles};
use merge_search::space::SearchSpace;
use merge_search::submission::competition::Published;

use super::run_models::{Opened, RunModel, revised};
use super::{Failure, tell};

/// `NAME=owner/name@COMMIT[+owner/name@COMMIT]`: what a local model is called on the hub.
#[derive(Debug, Clone)]
pub struct PublishedAs {
    name: String,
    place: Published,
}

impl fmt::Display for PublishedAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Published { repository, revision, adapter } = &self.place;
        write!(f, "{}={repository}@{revision}", self.name)?;
        adapter.iter().try_for_each(|(adapter, commit)| write!(f, "+{adapter}@{commit}"))
    }
}

/// As `--published` takes it.
pub fn parse(text: &str) -> Result<PublishedAs, String> {
    let form =
        "expected NAME=owner/name@COMMIT[+owner/name@COMMIT], each COMMIT of 40 hexadecimal digits";
    let (name, places) = text.split_once('=').ok_or(form)?;
    let (model, adapter) = match places.split_once('+') {
        None => (places, None),
        Some((model, adapter)) => (model, Some(adapter)),
    };
    let (repository, revision) = pinned(model).ok_or(form)?;
    let adapter = adapter.map(|adapter| pinned(adapter).ok_or(form)).transpose()?;
    Ok(PublishedAs { name: name.to_owned(), place: Published { repository, revision, adapter } })
}

/// Repository and commit.
fn pinned(place: &str) -> Option<(String, String)> {
    let (repository, commit) = place.split_once('@')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let word = |word: &str| !word.trim_matches('.').is_empty() && word.chars().all(plain);
    let (owner, name) = repository.split_once('/')?;
    let whole = word(owner) && word(name) && is_commit(commit);
    whole.then(|| (repository.to_owned(), commit.to_owned()))
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Refuses options for models that the space does not have.
pub fn require_known(options: &[PublishedAs], space: &SearchSpace) -> Result<(), Failure> {
    let names: Vec<String> =
        (0..=space.experts.len()).map(|model| space.model_name(model)).collect();
    match options.iter().find(|option| !names.contains(&option.name)) {
        None => Ok(()),
        Some(option) => Err(Failure::input(format!(
            "--published {}=…: the run has no model `{}`; it has {}",
            option.name,
            option.name,
            names.join(", ")
        ))),
    }
}

/// The place of a model: what an option says, or else where it came from.
pub fn place(model: &RunModel, options: &[PublishedAs], hub: &Hub) -> Result<Published, Failure> {
    match options.iter().find(|option| option.name == model.name) {
        Some(option) => {
            require_same(model, &option.place, hub)?;
            Ok(option.place.clone())
        }
        None => own_place(model),
    }
}

fn own_place(model: &RunModel) -> Result<Published, Failure> {
    let name = &model.name;
    let Some(commit) = &model.commit else {
        return Err(local(name, model.model.path()));
    };
    let adapter = match &model.adapter {
        None => None,
        Some((path, None)) => return Err(local(name, path)),
        Some((path, Some(commit))) => Some((path.clone(), commit.clone())),
    };
    let repository = model.model.path().to_owned();
    tell_branch(name, &repository, model.model.revision(), commit);
    if let Some((path, commit)) = &adapter {
        tell_branch(name, path, model.model.lora().and_then(|lora| revised(lora).1), commit);
    }
    Ok(Published { repository, revision: commit.clone(), adapter })
}

fn local(name: &str, path: &str) -> Failure {
    Failure::input(format!(
        "model `{name}` is the local folder {path}; the competition's rules ask for models that everybody can get from the hub"
    ))
    .remedy(format!(
        "publish it and say where: --published {name}=OWNER/NAME@COMMIT (with its adapter: …+OWNER/NAME@COMMIT)"
    ))
}

/// A branch moves on; the submission does not.
fn tell_branch(name: &str, repository: &str, revision: Option<&str>, commit: &str) {
    if !revision.is_some_and(is_commit) {
        let branch = revision.unwrap_or("main");
        tell(&format!(
            "note: model `{name}`: {repository}@{branch} is pinned at its commit {commit}"
        ));
    }
}

/// What a local model is said to be published as must be the same model, as far as the cache can tell.
fn require_same(model: &RunModel, place: &Published, hub: &Hub) -> Result<(), Failure> {
    let name = &model.name;
    if place.adapter.is_some() != model.model.lora().is_some() {
        let has = if model.model.lora().is_some() { "has an" } else { "has no" };
        return Err(Failure::input(format!("--published {name}=…: the model {has} adapter"))
            .remedy(
                "name model and adapter as the search space does: MODEL@COMMIT+ADAPTER@COMMIT",
            ));
    }
    let cache = Hub { offline: true, ..hub.clone() };
    let reference = model_ref(place).map_err(|error| Failure::from_error(&error))?;
    require_safetensors(name, &reference, &cache)?;
    let opened = match Opened::find(&reference, &cache) {
        Ok(opened) => opened,
        Err(error) if matches!(*error, OpenError::Hub(HubError::NotCached { .. })) => {
            tell(&format!(
                "note: model `{name}`: {reference} is not in the cache, so that nobody has compared it with the folder that was scored"
            ));
            return Ok(());
        }
        Err(error) => return Err(Failure::from_error(&*error).at(&format!("model `{name}`"))),
    };
    let found = opened.checkpoint.digest().map_err(|error| Failure::from_error(&error))?;
    match found == model.sha256 {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "--published {name}={reference}: its digest is {found}, that of the model that the run scored is {}",
            model.sha256
        ))
        .remedy("publish the folder as it is, with its config.json and tokenizer")),
    }
}

/// The exported class reads nothing else. What neither the cache nor the catalogue knows is let through.
fn require_safetensors(name: &str, reference: &ModelRef, cache: &Hub) -> Result<(), Failure> {
    let facts = models::facts(reference, name, cache, &Evidence::default());
    for repository in [Some(&facts.model), facts.adapter.as_ref()].into_iter().flatten() {
        let pickled = |it: &&Told<WeightFiles>| it.value == WeightFiles::Pickled;
        if let Some(stored) = repository.weights.as_ref().filter(pickled) {
            let what = format!("--published {name}={reference}: {}", stored.place);
            return Err(Failure::input(what).remedy(CONVERT));
        }
    }
    Ok(())
}

/// As a recipe names it.
pub fn model_ref(place: &Published) -> Result<ModelRef, merge_search::recipe::InvalidModelRef> {
    let mut text = format!("{}@{}", place.repository, place.revision);
    if let Some((adapter, commit)) = &place.adapter {
        text = format!("{text}+{adapter}@{commit}");
    }
    ModelRef::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn commits_are_whole_and_ids_are_ids() {
        let typed = format!("logic=a/b.c@{COMMIT}+d/e@{COMMIT}");
        let right = parse(&typed).unwrap();
        assert_eq!(right.to_string(), typed);
        assert_eq!(right.name, "logic");
        assert_eq!(right.place.repository, "a/b.c");
        assert_eq!(right.place.adapter, Some(("d/e".to_owned(), COMMIT.to_owned())));
        for wrong in [
            "logic".to_owned(),
            "logic=a/b".to_owned(),
            "logic=a/b@main".to_owned(),
            format!("logic=a@{COMMIT}"),
            format!("logic=a/b/c@{COMMIT}"),
            format!("logic=../b@{COMMIT}"),
            format!("logic=a/b@{COMMIT}+c/d"),
            format!("logic=a/b@{}", COMMIT.to_uppercase()),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
    }
}
