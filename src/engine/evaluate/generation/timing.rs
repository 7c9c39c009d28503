//! The same work for two models: prompts, and then as many new tokens for both.

use std::sync::Arc;

use super::super::Scorer;
use super::super::timing::{Lap, clocked, thread_seconds};
use super::TextSet;
use super::groups::Group;
use crate::model::{Pace, Prefix, Prompt, Scratch, Texts};

/// Texts of one pack.
const TEXTS: usize = 8;
/// New tokens of each text that are timed, if its limit allows; the rest, up to the limit, counts as long as these took. Where
/// a model's texts end does not count: one that rambles is not slower by that.
const NEW_TOKENS: usize = 16;

/// Neighbours of a group.
pub struct TextPack<'a> {
    set: &'a TextSet,
    group: &'a Group,
    members: &'a [usize],
    /// Which of a model's prefixes is the group's.
    prefix: Option<usize>,
}

/// All of a set.
pub(super) fn packs(set: &TextSet) -> Vec<TextPack<'_>> {
    let mut packs = Vec::new();
    let mut prefixes = 0;
    for group in &set.groups {
        let prefix = (!group.beginning.is_empty()).then_some(prefixes);
        prefixes += usize::from(prefix.is_some());
        let packs_of_group = group.members.chunks(TEXTS.min(group.pace.texts.max(1)));
        packs.extend(packs_of_group.map(|members| TextPack { set, group, members, prefix }));
    }
    packs
}

impl TextPack<'_> {
    /// Time of this pack alone on the calling thread: the prompts behind `prefixes`, and as many new tokens for each as its limit
    /// allows, no end token heeded; what is beyond 16 is reckoned from the pace of those.
    ///
    /// # Errors
    /// candle's.
    pub fn lap(
        &self,
        network: &dyn Scorer,
        prefixes: &[Arc<Prefix>],
        scratch: &mut Scratch,
    ) -> candle_core::Result<Lap> {
        let prefix = self.prefix.and_then(|index| prefixes.get(index)).map(Arc::as_ref);
        let pace = Pace { texts: self.members.len(), ..self.group.pace };
        let left = vec![NEW_TOKENS; self.members.len()];
        let mut texts = Counted { pack: self, begun: 0, left, decoding: None };
        let (result, seconds) = clocked(|| network.generate(prefix, pace, &mut texts, scratch));
        result?;
        let (decode_seconds, decoded) = texts.decoding.map_or((0.0, 0), |it| it.taken());
        let per_token = if decoded > 0 { decode_seconds / decoded as f64 } else { 0.0 };
        let seconds = seconds + per_token * self.untimed() as f64;
        Ok(Lap { seconds, decode_seconds, decoded })
    }

    /// New tokens that are only reckoned.
    fn untimed(&self) -> usize {
        let of_text = |index: &usize| {
            self.set
                .texts
                .get(*index)
                .map_or(0, |text| text.max_new_tokens.saturating_sub(NEW_TOKENS))
        };
        self.members.iter().map(of_text).sum()
    }
}

struct Counted<'a> {
    pack: &'a TextPack<'a>,
    begun: usize,
    /// New tokens for each text.
    left: Vec<usize>,
    decoding: Option<Decoding>,
}

/// Begins when the last text has its first new token: texts are read in their order.
struct Decoding {
    begun: f64,
    /// When the latest token came.
    latest: f64,
    tokens: usize,
}

impl Decoding {
    fn taken(&self) -> (f64, usize) {
        (self.latest - self.begun, self.tokens)
    }
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
        let now = thread_seconds();
        match &mut self.decoding {
            Some(decoding) => (decoding.latest, decoding.tokens) = (now, decoding.tokens + 1),
            None if place + 1 == self.left.len() => {
                self.decoding = Some(Decoding { begun: now, latest: now, tokens: 0 });
            }
            None => {}
        }
        let left = &mut self.left[place];
        *left = left.saturating_sub(1);
        *left > 0
    }
}
