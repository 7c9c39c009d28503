//! What a repository of the hub is called, in its cache and in its addresses.

use std::fmt;

use hf_hub::{Repo, RepoType};

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryKind {
    /// A model or an adapter.
    Model,
    /// A dataset.
    Dataset,
}

/// One repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What it holds.
    pub kind: RepositoryKind,
    /// `owner/name`; old datasets have no owner (`squad`).
    pub id: String,
}

impl Repository {
    /// If `id` is safe as part of a path and of a URL.
    pub(super) fn parse(kind: RepositoryKind, id: &str) -> Option<Repository> {
        let words = match kind {
            RepositoryKind::Model => 2..=2,
            RepositoryKind::Dataset => 1..=2,
        };
        let is_id = words.contains(&id.split('/').count()) && id.split('/').all(is_word);
        is_id.then(|| Repository { kind, id: id.to_owned() })
    }

    pub(super) fn at(&self, revision: &str) -> Repo {
        let kind = match self.kind {
            RepositoryKind::Model => RepoType::Model,
            RepositoryKind::Dataset => RepoType::Dataset,
        };
        Repo::with_revision(self.id.clone(), kind, revision.to_owned())
    }

    /// Its folder in the cache.
    pub(super) fn folder_name(&self) -> String {
        self.at("main").folder_name()
    }

    /// Behind the server's address, the page where its licence is.
    pub(super) fn page(&self) -> String {
        self.at("main").url()
    }

    /// How a message about it begins: a model's id may have been meant as a folder.
    pub(super) fn opening(&self) -> String {
        match self.kind {
            RepositoryKind::Model => format!("{}: no such folder, and", self.id),
            RepositoryKind::Dataset => format!("dataset {}:", self.id),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

fn is_word(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && !word.starts_with('.') && !word.contains("..") && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_inside_the_cache() {
        let model = |id: &str| Repository::parse(RepositoryKind::Model, id);
        let dataset = |id: &str| Repository::parse(RepositoryKind::Dataset, id);
        for id in ["openai-community/gpt2", "a/b", "Qwen/Qwen2.5-0.5B", "a_b/c--d"] {
            assert!(model(id).is_some() && dataset(id).is_some(), "{id}");
        }
        for id in
            ["a/b/c", "/a", "a/", "../b", "a/..", "./b", "a/b?c", "a\\b/c", "a/ö", "a/b c", ""]
        {
            assert!(model(id).is_none() && dataset(id).is_none(), "{id}");
        }
        assert!(model("gpt2").is_none() && dataset("squad").is_some());
    }

    /// The names that Python's `huggingface_hub.file_download.repo_folder_name` gives.
    #[test]
    fn folders_are_named_as_in_python() {
        let name = |kind, id: &str| Repository::parse(kind, id).unwrap().folder_name();
        assert_eq!(name(RepositoryKind::Model, "owner/tiny"), "models--owner--tiny");
        assert_eq!(name(RepositoryKind::Dataset, "owner/tiny"), "datasets--owner--tiny");
        assert_eq!(name(RepositoryKind::Dataset, "squad"), "datasets--squad");
    }
}
