//! The same work for two models: prompts, and then as many new tokens for both.

use std::sync::Arc;

use super::super::Scorer;
use super::super::pool::timed;
use super::TextSet;
use super::groups::Group;
use crate::model::{Pace, Prefix, Prompt, Scratch, Texts};

/// Texts of one pack.
const TEXTS: usize = 8;
/// One pack of so many is timed.
const STEP: usize = 20;
/// New tokens of each text that is timed, if its limit allows. Where a model's texts end does not count: one that rambles
/// is not slower by that.
const NEW_TOKENS: usize = 16;

/// Neighbours of a group.
pub struct TextPack<'a> {
    set: &'a TextSet,
    group: &'a Group,
    members: &'a [usize],
    /// Which of a model's prefixes is the group's.
    prefix: Option<usize>,
}

/// One of every twenty packs.
pub(super) fn packs(set: &TextSet) -> Vec<TextPack<'_>> {
    let mut packs = Vec::new();
    let mut prefixes = 0;
    for group in &set.groups {
        let prefix = (!group.beginning.is_empty()).then_some(prefixes);
        prefixes += usize::from(prefix.is_some());
        let packs_of_group = group.members.chunks(TEXTS.min(group.pace.texts.max(1)));
        packs.extend(packs_of_group.map(|members| TextPack { set, group, members, prefix }));
    }
    packs.into_iter().step_by(STEP).collect()
}

impl TextSet {
    /// States of the shared beginnings, as a run gives them.
    ///
    /// # Errors
    /// candle's.
    pub fn prefixes(
        &self,
        network: &dyn Scorer,
        scratch: &mut Scratch,
    ) -> candle_core::Result<Vec<Arc<Prefix>>> {
        let beginnings = self.groups.iter().map(|group| &group.beginning);
        let beginnings = beginnings.filter(|beginning| !beginning.is_empty());
        beginnings.map(|tokens| super::super::run::prefix_of(network, tokens, scratch)).collect()
    }
}

impl TextPack<'_> {
    /// Time of this pack alone, in seconds: the prompts behind `prefixes`, and up to 16 new tokens for each, no end token
    /// heeded.
    ///
    /// # Errors
    /// candle's.
    pub fn seconds(
        &self,
        network: &dyn Scorer,
        prefixes: &[Arc<Prefix>],
        scratch: &mut Scratch,
    ) -> candle_core::Result<f64> {
        let prefix = self.prefix.and_then(|index| prefixes.get(index)).map(Arc::as_ref);
        let pace = Pace { texts: self.members.len(), ..self.group.pace };
        let mut texts =
            Counted { pack: self, begun: 0, left: vec![NEW_TOKENS; self.members.len()] };
        let (result, seconds) = timed(|| network.generate(prefix, pace, &mut texts, scratch));
        result.map(|()| seconds)
    }
}

struct Counted<'a> {
    pack: &'a TextPack<'a>,
    begun: usize,
    /// New tokens for each text.
    left: Vec<usize>,
}

impl Texts for Counted<'_> {
    fn begin(&mut self) -> Option<(usize, Prompt)> {
        let place = self.begun;
        let text = &self.pack.set.texts[*self.pack.members.get(place)?];
        self.begun += 1;
        self.left[place] = NEW_TOKENS.min(text.max_new_tokens);
        Some((place, text.prompt.clone()))
    }

    fn add(&mut self, place: usize, _: Option<u32>) -> bool {
        let left = &mut self.left[place];
        *left = left.saturating_sub(1);
        *left > 0
    }
}
