//! What is worked out once per expert and serves all candidates of a search.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::recipe::MergeMethod;
use crate::units::Bytes;

use super::Input;
use super::cut::{Cut, cuts};
use super::della::RowRanks;
use super::magnitudes::Magnitudes;
use super::task_vector::TaskVector;

/// The order of each task vector's elements by magnitude, kept from the first time that a recipe asks for it.
///
/// Two bytes per element and expert for TIES and breadcrumbs, as many again if DELLA is searched beside them; nothing
/// for tensors and methods that no recipe has asked for.
#[derive(Debug, Default)]
pub struct Prepared {
    entries: Mutex<BTreeMap<(Input, Input), Arc<Entry>>>,
}

#[derive(Debug, Default)]
struct Entry {
    magnitudes: OnceLock<Magnitudes>,
    rows: OnceLock<RowRanks>,
}

impl Prepared {
    /// Nothing yet.
    pub fn new() -> Prepared {
        Prepared::default()
    }

    /// How many orders of an expert's elements these methods need, at two bytes per element each.
    pub fn orders(methods: &[MergeMethod]) -> usize {
        use MergeMethod::{Breadcrumbs, BreadcrumbsTies, Della, DellaLinear, Ties};
        let any =
            |of: &[MergeMethod]| usize::from(methods.iter().any(|method| of.contains(method)));
        any(&[Ties, Breadcrumbs, BreadcrumbsTies]) + any(&[Della, DellaLinear])
    }

    /// Memory held.
    pub fn bytes(&self) -> Bytes {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let of_entry = |entry: &Arc<Entry>| {
            entry.magnitudes.get().map_or(0, Magnitudes::bytes)
                + entry.rows.get().map_or(0, RowRanks::bytes)
        };
        Bytes(entries.values().map(of_entry).sum::<usize>() as u64)
    }

    fn entry(&self, base: &Input, expert: &Input) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.entry((base.clone(), expert.clone())).or_default().clone()
    }
}

/// How the elements of one task vector are put in order: from what is prepared, or anew.
pub(super) struct Ranking {
    entry: Option<Arc<Entry>>,
    /// Length of a row.
    width: usize,
    /// Serves this one merge where nothing is kept.
    rows: OnceLock<RowRanks>,
}

impl Ranking {
    /// Kept in `prepared` if given.
    pub(super) fn new(
        prepared: Option<&Prepared>,
        base: &Input,
        expert: &Input,
        width: usize,
    ) -> Ranking {
        let entry = prepared.map(|prepared| prepared.entry(base, expert));
        Ranking { entry, width, rows: OnceLock::new() }
    }

    /// After the `counts[i]` largest elements.
    pub(super) fn cuts<const N: usize>(&self, vector: TaskVector, counts: [usize; N]) -> [Cut; N] {
        match &self.entry {
            None => cuts(vector, counts),
            Some(entry) => {
                let magnitudes = entry.magnitudes.get_or_init(|| Magnitudes::of(vector));
                counts.map(|count| magnitudes.cut(vector, count))
            }
        }
    }

    pub(super) fn rows(&self, vector: TaskVector) -> &RowRanks {
        let rows = self.entry.as_ref().map_or(&self.rows, |entry| &entry.rows);
        rows.get_or_init(|| RowRanks::of(vector, self.width.max(1)))
    }
}
