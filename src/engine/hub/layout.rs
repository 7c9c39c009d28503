//! Which files of a dataset's repository are a split, told by their names.
//!
//! The layouts are those that the hub documents for repositories without a loading script
//! (<https://huggingface.co/docs/datasets/repository_structure>) and those that it writes itself: `push_to_hub`'s
//! `<config>/<split>-00000-of-00001.parquet`, and `<config>/<split>/0000.parquet` of `refs/convert/parquet`.

use std::collections::BTreeSet;

/// Formats that are read, the preferred first; a dataset kept in several is taken from one.
const ENDINGS: [&str; 9] =
    [".parquet", ".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz", ".tsv", ".tsv.gz"];

/// Files of no rows that repositories have.
const DESCRIPTIONS: [&str; 3] = ["dataset_infos.json", "dataset_info.json", "state.json"];

/// The hub's words for the usual splits.
const WORDS: [&[&str]; 3] = [
    &["train", "training"],
    &["validation", "valid", "dev", "val"],
    &["test", "testing", "eval", "evaluation"],
];

/// The files of `split` among `names`, in order; none where nothing fits.
pub(super) fn find(names: &[String], config: Option<&str>, split: &str) -> Vec<String> {
    let mut found = folders(config).into_iter().map(|folder| in_folder(names, &folder, split));
    let found = found.find(|found| !found.is_empty());
    match (found, config) {
        (Some(found), _) => found,
        (None, None) => in_only_config(names, split),
        (None, Some(_)) => Vec::new(),
    }
}

/// Where the files of a config are looked for, the likeliest first.
fn folders(config: Option<&str>) -> Vec<String> {
    let anywhere = ["data/", "", "default/"].map(str::to_owned);
    match config {
        None => anywhere.into(),
        Some("default") => anywhere.into_iter().rev().collect(),
        Some(config) => vec![format!("{config}/"), format!("data/{config}/")],
    }
}

/// A dataset with one config does not ask for its name.
fn in_only_config(names: &[String], split: &str) -> Vec<String> {
    let configs: BTreeSet<&str> =
        names.iter().filter_map(|name| name.split_once('/')).map(|(config, _)| config).collect();
    let found = configs.iter().map(|config| in_folder(names, &format!("{config}/"), split));
    let mut found: Vec<Vec<String>> = found.filter(|found| !found.is_empty()).collect();
    if found.len() == 1 { found.remove(0) } else { Vec::new() }
}

fn in_folder(names: &[String], folder: &str, split: &str) -> Vec<String> {
    let inside: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix(folder))
        .filter(|name| !DESCRIPTIONS.contains(name))
        .collect();
    let words = words(split);
    let matched = (words.iter())
        .map(|word| preferred(&inside, |stem| is_split(stem, word)))
        .chain(words.iter().map(|word| preferred(&inside, |stem| has_word(stem, word))))
        .find(|found| !found.is_empty())
        .or_else(|| (split == "train").then(|| unsplit(&inside)));
    let mut found: Vec<String> =
        matched.into_iter().flatten().map(|n| format!("{folder}{n}")).collect();
    found.sort();
    found
}

/// The split's own name first.
fn words(split: &str) -> Vec<&str> {
    let others = WORDS.iter().filter(|words| words.contains(&split)).flat_map(|words| words.iter());
    std::iter::once(split).chain(others.copied().filter(|word| *word != split)).collect()
}

/// Files whose name without its ending fits, all of one format.
fn preferred<'a>(names: &[&'a str], fits: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let of = |ending: &&str| -> Vec<&'a str> {
        let fits = |name: &&&str| name.strip_suffix(*ending).is_some_and(&fits);
        names.iter().filter(fits).copied().collect()
    };
    ENDINGS.iter().map(of).find(|found| !found.is_empty()).unwrap_or_default()
}

/// `train`, `train-00000-of-00004`, `train-00000-of-00001-<hash>`, `train/<anything>`.
fn is_split(stem: &str, word: &str) -> bool {
    let Some(rest) = stem.strip_prefix(word) else { return false };
    match rest.strip_prefix('/') {
        Some(name) => !name.contains('/'),
        None => rest.is_empty() || is_shard(rest),
    }
}

fn is_shard(rest: &str) -> bool {
    let Some((number, count)) = rest.strip_prefix('-').and_then(|rest| rest.split_once("-of-"))
    else {
        return false;
    };
    let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
    is_number(number) && count.split('-').next().is_some_and(is_number)
}

/// A file here whose name has the word between `-`, `.`, `_` or digits, as in `squad_v2-train_1`.
fn has_word(stem: &str, word: &str) -> bool {
    let is_letter = |c: char| !matches!(c, '-' | '.' | '_' | ' ') && !c.is_ascii_digit();
    !stem.contains('/')
        && stem.match_indices(word).any(|(start, _)| {
            let before = stem.get(..start).and_then(|text| text.chars().next_back());
            let after = stem.get(start + word.len()..).and_then(|text| text.chars().next());
            !before.is_some_and(is_letter) && !after.is_some_and(is_letter)
        })
}

/// Where no file is named by a split, everything is `train`.
fn unsplit<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let named = |stem: &str| {
        WORDS
            .iter()
            .flat_map(|words| words.iter())
            .any(|word| is_split(stem, word) || has_word(stem, word))
    };
    match ENDINGS
        .iter()
        .any(|ending| names.iter().any(|n| n.strip_suffix(ending).is_some_and(named)))
    {
        true => Vec::new(),
        false => preferred(names, |stem| !stem.contains('/')),
    }
}

/// Whether a set of shards lacks some: `-00000-of-00003` says how many there are.
pub(super) fn is_partial(names: &[String]) -> bool {
    let count = |name: &String| -> Option<usize> {
        let rest = name.rsplit_once("-of-")?.1;
        rest.split(['-', '.']).next()?.parse().ok()
    };
    names.iter().filter_map(count).max().is_some_and(|count| names.len() < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], config: Option<&str>, split: &str) -> Vec<String> {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.push("README.md".to_owned());
        find(&names, config, split)
    }

    /// Listings of repositories on the hub, shortened.
    #[test]
    fn real_layouts_are_read() {
        let gsm8k = [
            "main/test-00000-of-00001.parquet",
            "main/train-00000-of-00001.parquet",
            "socratic/test-00000-of-00001.parquet",
            "socratic/train-00000-of-00001.parquet",
        ];
        assert_eq!(found(&gsm8k, Some("main"), "train"), [gsm8k[1]]);
        assert_eq!(found(&gsm8k, Some("socratic"), "test"), [gsm8k[2]]);
        assert_eq!(found(&gsm8k, None, "train"), [""; 0]);
        assert_eq!(found(&gsm8k, Some("main"), "validation"), [""; 0]);

        let xsum = [
            "data/test-00000-of-00001.parquet",
            "data/train-00001-of-00002-4bbd.parquet",
            "data/train-00000-of-00002-a5c3.parquet",
        ];
        assert_eq!(found(&xsum, None, "train"), [xsum[2], xsum[1]]);
        assert_eq!(found(&xsum, Some("default"), "test"), [xsum[0]]);

        let converted = [
            "default/train/0000.parquet",
            "default/train/0001.parquet",
            "default/test/0000.parquet",
        ];
        assert_eq!(found(&converted, None, "train"), converted[..2]);

        let squad = [
            "plain_text/train-00000-of-00001.parquet",
            "plain_text/validation-00000-of-00001.parquet",
        ];
        assert_eq!(found(&squad, None, "validation"), [squad[1]]);

        let dolly = ["databricks-dolly-15k.jsonl", ".gitattributes"];
        assert_eq!(found(&dolly, None, "train"), [dolly[0]]);
        assert_eq!(found(&dolly, None, "test"), [""; 0]);
    }

    #[test]
    fn other_words_and_formats() {
        let names = ["dev.csv", "dev.jsonl", "my_test_2.json", "latest.json", "dataset_infos.json"];
        assert_eq!(found(&names, None, "validation"), ["dev.jsonl"]);
        assert_eq!(found(&names, None, "test"), ["my_test_2.json"]);
        assert_eq!(found(&names, None, "train"), [""; 0]);
        assert_eq!(
            found(&["data/train.jsonl", "train.jsonl"], None, "train"),
            ["data/train.jsonl"]
        );
    }

    #[test]
    fn missing_shards_are_noticed() {
        let shard = |n: usize| format!("train-0000{n}-of-00003-abc.parquet");
        assert!(is_partial(&[shard(0), shard(2)]));
        assert!(!is_partial(&[shard(0), shard(1), shard(2)]));
        assert!(!is_partial(&["train.jsonl".to_owned(), "0000.parquet".to_owned()]));
    }
}
