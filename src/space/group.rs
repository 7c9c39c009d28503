//! Tensors that get values of their own.

use super::error::{Blame, SpaceError};
use super::raw::RawGroup;
use crate::units::TensorGroup;

/// Tensors that share values; a tensor belongs to the first of a space's groups that it fits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// By what they compute; which names that means depends on the architecture.
    Named(TensorGroup),
    /// Those whose names contain this text (mergekit's filter).
    Filter(String),
}

impl Group {
    /// The word in gene names.
    pub fn as_str(&self) -> &str {
        match self {
            Group::Named(group) => group.as_str(),
            Group::Filter(filter) => filter,
        }
    }

    /// Whether it may have tensors in every layer.
    pub fn has_depth(&self) -> bool {
        match self {
            Group::Named(group) => group.has_depth(),
            Group::Filter(_) => true,
        }
    }
}

/// Raw → checked, for `merge.groups`.
pub(super) fn check(blame: &Blame<'_>, raw: &[RawGroup]) -> Result<Vec<Group>, SpaceError> {
    let mut groups = Vec::new();
    for entry in raw {
        let group = match entry {
            RawGroup::Name(word) => Group::Named(named(blame, word)?),
            RawGroup::Filter(filter) => Group::Filter(filter.clone()),
        };
        check_next(blame, "merge.groups", &groups, &group)?;
        if let Some(earlier) = hides(&groups, &group) {
            let valid = format!("before {earlier:?}, which takes every tensor it could fit");
            return Err(blame.value("merge.groups", format!("{:?}", group.as_str()), valid));
        }
        groups.push(group);
    }
    Ok(groups)
}

fn named(blame: &Blame<'_>, word: &str) -> Result<TensorGroup, SpaceError> {
    TensorGroup::NAMED.into_iter().find(|group| group.as_str() == word).ok_or_else(|| {
        let words = TensorGroup::NAMED.map(TensorGroup::as_str).join(", ");
        let valid = format!("{words}, or {{ filter = \"part of the tensors' names\" }}");
        blame.value("merge.groups", format!("`{word}`"), valid)
    })
}

/// Gene names must tell the groups apart, and mergekit reads `*` as every tensor.
pub(super) fn check_next(
    blame: &Blame<'_>,
    key: &str,
    before: &[Group],
    group: &Group,
) -> Result<(), SpaceError> {
    let word = group.as_str();
    let taken = before.iter().any(|other| other.as_str() == word);
    if taken || ["rest", "all"].contains(&word) {
        let valid = "each at most once; `rest` and `all` name what no group takes";
        return Err(blame.value(key, format!("`{word}`"), valid));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if word.is_empty() || word.len() > 60 || !word.chars().all(plain) {
        let valid =
            "a filter of 1 to 60 letters, digits, `.`, `_` or `-`, a part of tensors' names";
        return Err(blame.value(key, format!("{word:?}"), valid));
    }
    Ok(())
}

/// The earlier filter that leaves no tensor for this one.
pub(super) fn hides<'g>(before: &'g [Group], group: &Group) -> Option<&'g str> {
    let Group::Filter(filter) = group else {
        return None;
    };
    before.iter().find_map(|earlier| match earlier {
        Group::Filter(earlier) if filter.contains(earlier) => Some(earlier.as_str()),
        _ => None,
    })
}
