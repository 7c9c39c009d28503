//! The files of a dataset's splits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cache::RepoCache;
use super::download::Remote;
use super::pattern::{Pattern, is_inside};
use super::{Hub, HubError, Repository, RepositoryKind, Wanted, layout};

/// How the files of a split are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetFiles {
    /// By split: paths in the repository, with `*` for any part of a name.
    Listed(BTreeMap<String, Vec<String>>),
    /// By the hub's usual layouts, such as `<config>/<split>-00000-of-00001.parquet` or `data/<split>.jsonl`.
    Found,
}

/// Files of one commit of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetSnapshot {
    /// Git commit on the hub, 40 hexadecimal digits.
    pub commit: String,
    /// By split, in the order of their names; none is empty.
    pub files: BTreeMap<String, Vec<PathBuf>>,
}

/// Names in the repository, by split.
type Chosen = BTreeMap<String, Vec<String>>;

impl Hub {
    /// The files of the asked-for `splits` of a dataset, and only those, at `revision` (default `main`; a branch, a tag, a
    /// commit, or `refs/convert/parquet`, the hub's own copy of many datasets).
    ///
    /// A commit that is in the cache is taken from there; for a branch or a tag, the hub is asked, and what it stood for
    /// last time is taken where the hub does not answer.
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn dataset(
        &self,
        id: &str,
        revision: Option<&str>,
        config: Option<&str>,
        files: &DatasetFiles,
        splits: &[&str],
    ) -> Result<DatasetSnapshot, HubError> {
        let repository = Repository::parse(RepositoryKind::Dataset, id)
            .ok_or_else(|| HubError::NotADataset { id: id.to_owned() })?;
        let wanted = self.wanted(&repository, revision)?;
        WantedDataset { wanted, config, files, splits }.snapshot()
    }
}

struct WantedDataset<'a> {
    wanted: Wanted<'a>,
    config: Option<&'a str>,
    files: &'a DatasetFiles,
    splits: &'a [&'a str],
}

impl WantedDataset<'_> {
    fn snapshot(&self) -> Result<DatasetSnapshot, HubError> {
        let cache = RepoCache::new(&self.wanted.hub.cache, self.wanted.repository);
        if self.wanted.hub.offline {
            return self.cached(&cache);
        }
        let revision = self.wanted.revision;
        // Only a noted list of files tells whether a pattern has all of its files here.
        if super::is_commit(revision)
            && cache.listing(revision).is_some()
            && let Ok(snapshot) = self.cached(&cache)
        {
            return Ok(snapshot);
        }
        let remote = Remote::new(self.wanted, &cache)?;
        match remote.resolve() {
            Ok(listing) => {
                let names = listing.siblings.into_iter().map(|file| file.rfilename);
                let mut names: Vec<String> = names.filter(|name| is_inside(name)).collect();
                names.sort();
                self.fetch(&remote, &cache, &listing.sha, &names)
            }
            Err(error) if error.is_silence() => {
                self.cached(&cache).map_err(|cached| match cached {
                    HubError::NotCached { .. } => self.unreachable(error),
                    other => other,
                })
            }
            Err(error) => Err(error),
        }
    }

    fn fetch(
        &self,
        remote: &Remote<'_>,
        cache: &RepoCache,
        commit: &str,
        names: &[String],
    ) -> Result<DatasetSnapshot, HubError> {
        let chosen = self.choose(names)?;
        cache.note_listing(commit, names)?;
        remote.fetch_files(commit, chosen.values().flatten())?;
        Ok(snapshot_of(cache, commit, chosen))
    }

    fn cached(&self, cache: &RepoCache) -> Result<DatasetSnapshot, HubError> {
        let commit = cache.commit(self.wanted.revision).ok_or_else(|| self.not_cached())?;
        let chosen = match cache.listing(&commit) {
            Some(names) => self.choose(&names)?,
            // Python's client fetched it: what is there is all that is known.
            None => self.choose(&cache.present(&commit)).map_err(|error| match error {
                HubError::NoSuchFiles { .. } => self.not_cached(),
                other => other,
            })?,
        };
        let folder = cache.snapshot(&commit);
        let absent = |name: &&String| !folder.join(name).is_file();
        let absent: Vec<String> = chosen.values().flatten().filter(absent).cloned().collect();
        if !absent.is_empty() {
            return Err(self.wanted.not_cached(absent));
        }
        match chosen.values().any(|names| layout::is_partial(names)) {
            true => Err(self.not_cached()),
            false => Ok(snapshot_of(cache, &commit, chosen)),
        }
    }

    /// The names of each split among all of the repository.
    fn choose(&self, names: &[String]) -> Result<Chosen, HubError> {
        self.splits
            .iter()
            .map(|split| Ok(((*split).to_owned(), self.choose_split(names, split)?)))
            .collect()
    }

    fn choose_split(&self, names: &[String], split: &str) -> Result<Vec<String>, HubError> {
        let missing = |sought: String| {
            let (repository, revision) = self.wanted.named();
            let (split, files) = (split.to_owned(), names.to_vec());
            HubError::NoSuchFiles { repository, revision, split, sought, files }
        };
        let DatasetFiles::Listed(listed) = self.files else {
            let found = layout::find(names, self.config, split);
            return if found.is_empty() { Err(missing(self.layouts(split))) } else { Ok(found) };
        };
        let patterns = listed.get(split).filter(|patterns| !patterns.is_empty());
        let patterns = patterns.ok_or_else(|| missing("none are listed for it".to_owned()))?;
        let mut found = Vec::new();
        for text in patterns {
            let pattern = Pattern::parse(text)?;
            let before = found.len();
            found.extend(names.iter().filter(|name| pattern.matches(name)).cloned());
            if found.len() == before {
                return Err(missing(format!("nothing matches {text}")));
            }
        }
        Ok(found)
    }

    fn layouts(&self, split: &str) -> String {
        match self.config {
            Some(config) => format!(
                "looked for {config}/{split}-*.parquet, {config}/{split}/*.parquet, {config}/{split}.jsonl and the like"
            ),
            None => format!(
                "no config is named; looked for data/{split}-*.parquet, {split}.jsonl and the like"
            ),
        }
    }

    /// What the pre-download command asks for.
    fn patterns(&self) -> Vec<String> {
        match (self.files, self.config) {
            (DatasetFiles::Listed(listed), _) => {
                let listed = self.splits.iter().filter_map(|split| listed.get(*split));
                listed.flatten().cloned().collect()
            }
            (DatasetFiles::Found, Some(config)) if config != "default" => {
                vec![format!("*{config}/*")]
            }
            (DatasetFiles::Found, _) => Vec::new(),
        }
    }

    fn not_cached(&self) -> HubError {
        self.wanted.not_cached(self.patterns())
    }

    fn unreachable(&self, source: HubError) -> HubError {
        let (repository, revision) = self.wanted.named();
        HubError::Unreachable {
            repository,
            revision,
            files: self.patterns(),
            cache: self.wanted.hub.cache.clone(),
            endpoint: self.wanted.hub.endpoint().to_owned(),
            source: Box::new(source),
        }
    }
}

fn snapshot_of(cache: &RepoCache, commit: &str, chosen: Chosen) -> DatasetSnapshot {
    let folder = cache.snapshot(commit);
    let paths = |names: Vec<String>| names.iter().map(|name| folder.join(name)).collect();
    DatasetSnapshot {
        commit: commit.to_owned(),
        files: chosen.into_iter().map(|(split, names)| (split, paths(names))).collect(),
    }
}
