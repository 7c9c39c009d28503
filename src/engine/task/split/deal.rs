//! Which document is searched on, selected on, held out.

use std::collections::BTreeMap;

use super::content_hash;
use super::groups::{Groups, group};
use crate::units::Split;

/// A document as dealing sees it.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// What makes it itself: prompt and answers, without few-shot examples.
    pub text: &'a str,
    /// What every split shall have its share of, such as a subject.
    pub stratum: &'a str,
    /// The split it must be in, such as a few-shot example's.
    pub pinned: Option<Split>,
}

/// Documents by split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealt {
    /// By document.
    pub splits: Vec<Split>,
    /// How many groups of documents that are (nearly) the same there are, single documents included.
    pub groups: usize,
    /// How many documents are in a group with another.
    pub near_duplicates: usize,
    /// Documents in the largest group.
    pub largest_group: usize,
    /// How many documents say just what another does, the first of each kind not counted.
    pub exact_duplicates: usize,
    /// How many documents were pinned to a split that a near duplicate, pinned to an earlier one, kept them out of.
    pub overruled_pins: usize,
}

/// Why documents cannot be dealt.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DealError {
    /// A share that is no share.
    #[error("the share of {split} is {share}; valid: numbers greater than 0 that sum to 1")]
    BadShare {
        /// Whose it is.
        split: Split,
        /// What was asked for.
        share: f64,
    },
    /// Shares of more or less than everything.
    #[error("the shares of search, selection and holdout sum to {sum}; valid: 1")]
    BadSum {
        /// Their sum.
        sum: f64,
    },
    /// There are too few groups for three splits.
    #[error(
        "no document is left for {split}: there are {documents}, in {groups} groups of near duplicates, which are not \
         divided, and {pinned} of these have their split already; valid: a group for each of the three splits"
    )]
    EmptySplit {
        /// The split that would be empty.
        split: Split,
        /// Documents to deal.
        documents: usize,
        /// Groups of them.
        groups: usize,
        /// Groups with a pinned document.
        pinned: usize,
    },
}

/// Deals documents to splits in `shares` of search, selection and holdout.
///
/// - The outcome depends on what the documents say, not on their order, the machine or a seed.
/// - Near duplicates are in one split: see [`NEAR_DUPLICATE`](super::NEAR_DUPLICATE).
/// - A group with a pinned document goes where that is pinned; of several pins the earliest split wins, since what the
///   search has seen, in a few-shot example say, can be no evidence later. Pinned groups come on top of the shares.
/// - Each other group counts for the stratum that most of its documents have (of several, the first by name). In a
///   stratum the groups lie in the order of their hashes along a line that is cut at the shares: the number of its
///   documents in a split differs from the share by no more than the size of its largest group, so by one at most where
///   all are single. Where in its stretch a single document is cut depends on the stratum's name, lest many small
///   strata all round the same way.
/// - A document more or less, if it is no near duplicate and no n-gram becomes or ceases to be template by it, moves at
///   most one group of its stratum per cut, two in all.
/// - No split is empty if it can be helped: one without a group gets the smallest that can be spared.
///
/// # Errors
/// Shares that are not positive or do not sum to 1 (within 1e-6); too few groups for three splits.
pub fn deal(documents: &[Content], shares: [f64; 3]) -> Result<Dealt, DealError> {
    check(shares)?;
    let texts: Vec<&str> = documents.iter().map(|document| document.text).collect();
    let groups = group(&texts);
    let pins: Vec<Option<Split>> = groups.members.iter().map(|m| pin(documents, m)).collect();
    let mut of_group = cut(documents, &groups, shares);
    for (split, pin) in of_group.iter_mut().zip(&pins) {
        *split = pin.unwrap_or(*split);
    }
    fill_empty(&mut of_group, &groups, &pins, documents.len())?;
    Ok(dealt(documents, &groups, &of_group))
}

fn check(shares: [f64; 3]) -> Result<(), DealError> {
    for (split, share) in Split::ALL.into_iter().zip(shares) {
        if !(share.is_finite() && share > 0.0) {
            return Err(DealError::BadShare { split, share });
        }
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 { Err(DealError::BadSum { sum }) } else { Ok(()) }
}

/// The earliest split that a document of the group is pinned to.
fn pin(documents: &[Content], members: &[usize]) -> Option<Split> {
    members.iter().filter_map(|&document| documents[document].pinned).min()
}

/// The stratum most of a group's documents have.
fn stratum<'a>(documents: &[Content<'a>], members: &[usize]) -> &'a str {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &document in members {
        *counts.entry(documents[document].stratum).or_default() += 1;
    }
    let most = counts.values().copied().max();
    counts.into_iter().find(|(_, count)| Some(*count) == most).map_or("", |(name, _)| name)
}

/// By group: the split on whose stretch of its stratum's line it lies; pinned groups lie on none.
fn cut(documents: &[Content], groups: &Groups, shares: [f64; 3]) -> Vec<Split> {
    let mut strata: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (g, members) in groups.members.iter().enumerate() {
        if pin(documents, members).is_none() {
            strata.entry(stratum(documents, members)).or_default().push(g);
        }
    }
    let mut splits = vec![Split::Search; groups.members.len()];
    for (name, mut line) in strata {
        line.sort_by_key(|&g| order_key(groups.least_hashes[g]));
        let lengths: Vec<usize> = line.iter().map(|&g| groups.members[g].len()).collect();
        let places = places(&lengths, unit(content_hash(name)));
        for (g, place) in line.into_iter().zip(places) {
            splits[g] = split_at(place, shares);
        }
    }
    splits
}

/// A new hash: the least of many hashes is small, so large groups would all come first.
fn order_key(least_hash: u64) -> u64 {
    content_hash(&format!("{least_hash:016x}"))
}

/// A hash as a number strictly between 0 and 1, in steps coarse enough for sums and products not to round across one.
fn unit(hash: u64) -> f64 {
    ((hash >> 48) as f64 + 0.5) / 65536.0
}

/// Where on a line of length 1 each group lies: at the part `offset` of its own stretch.
fn places(lengths: &[usize], offset: f64) -> Vec<f64> {
    let total = lengths.iter().sum::<usize>() as f64;
    let mut before = 0;
    let mut places = Vec::with_capacity(lengths.len());
    for &length in lengths {
        places.push((before as f64 + offset * length as f64) / total);
        before += length;
    }
    places
}

fn split_at(place: f64, [search, selection, _]: [f64; 3]) -> Split {
    match place {
        p if p < search => Split::Search,
        p if p < search + selection => Split::Selection,
        _ => Split::Holdout,
    }
}

/// Gives every split without a group the smallest that can be spared; of several, the first by hash.
fn fill_empty(
    of_group: &mut [Split],
    groups: &Groups,
    pins: &[Option<Split>],
    documents: usize,
) -> Result<(), DealError> {
    for split in Split::ALL {
        if of_group.contains(&split) {
            continue;
        }
        let count = |split| of_group.iter().filter(|&&s| s == split).count();
        let counts = Split::ALL.map(|split| (split, count(split)));
        let spared = |g: &usize| {
            pins[*g].is_none() && counts.iter().any(|&(s, n)| s == of_group[*g] && n > 1)
        };
        let smallest = (0..of_group.len()).filter(spared).min_by_key(|&g| groups.members[g].len());
        match smallest {
            Some(g) => of_group[g] = split,
            None => {
                let pinned = pins.iter().flatten().count();
                let groups = of_group.len();
                return Err(DealError::EmptySplit { split, documents, groups, pinned });
            }
        }
    }
    Ok(())
}

fn dealt(documents: &[Content], groups: &Groups, of_group: &[Split]) -> Dealt {
    let mut splits = vec![Split::Search; documents.len()];
    for (members, &split) in groups.members.iter().zip(of_group) {
        for &document in members {
            splits[document] = split;
        }
    }
    let sizes = || groups.members.iter().map(Vec::len);
    let overruled = |(d, s): &(&Content, &Split)| d.pinned.is_some_and(|pinned| pinned != **s);
    Dealt {
        groups: groups.members.len(),
        near_duplicates: sizes().filter(|&size| size > 1).sum(),
        largest_group: sizes().max().unwrap_or(0),
        exact_duplicates: groups.exact_duplicates,
        overruled_pins: documents.iter().zip(&splits).filter(overruled).count(),
        splits,
    }
}
