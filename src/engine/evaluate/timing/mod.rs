//! How long models take, compared with the base model, and what they hold.
//!
//! A model is timed on a fixed part of a split's documents ([`block`]), from their tokens to its answers. Its work and the
//! base model's are cut into pieces ([`work`]) that are done in turns on one thread ([`turns`]) by that thread's own clock
//! ([`clock`]), which stands still while something else has the core. So a busy machine slows both alike, by its caches and
//! its memory alone.
//!
//! In a search each candidate is timed once ([`expected`]); the members of a front several times while nothing else runs
//! here ([`rounds`]).

mod block;
mod build;
mod clock;
mod expected;
mod median;
mod prefill;
mod rounds;
mod tally;
mod turns;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use self::block::timing_block;
use self::expected::{Graph, RelativeTimes, share};
use self::turns::{Failed, in_turns};
use self::work::Timed;
use super::document_sets::Asked;
use super::fault::Fault;
use super::fingerprint::fingerprint;
use super::{CandleEvaluator, ScoreError, ScoringSet};
use crate::model::{Network, Scratch};
use crate::outcome::DocSubset;
use crate::recipe::{PromptChange, Recipe};
use crate::units::Split;

pub use clock::Lap;
pub(super) use clock::clocked;
pub(super) use clock::thread_seconds;

/// What an evaluator knows of times.
#[derive(Default)]
pub(super) struct Clock {
    /// By split.
    blocks: [OnceLock<Block>; 3],
    times: RelativeTimes,
}

/// The documents that models are timed on.
pub(super) struct Block {
    pub docs: DocSubset,
    /// As the base model reads them.
    pub set: Arc<ScoringSet>,
}

impl CandleEvaluator {
    /// The documents of `split` that models are timed on.
    pub(super) fn block(&self, split: Split) -> Result<&Block, Fault> {
        let place = &self.clock.blocks[split as usize];
        if let Some(block) = place.get() {
            return Ok(block);
        }
        let docs = timing_block(&self.documents.whole(split).docs_by_task());
        let set = self.set_of(split, &docs, &BTreeMap::new())?;
        // Another thread may have been as quick, with the same result.
        Ok(place.get_or_init(|| Block { docs, set }))
    }

    /// Some documents of `split`, as tokens.
    fn set_of(
        &self,
        split: Split,
        docs: &DocSubset,
        prompts: &BTreeMap<String, PromptChange>,
    ) -> Result<Arc<ScoringSet>, Fault> {
        Ok(self.documents.ask(split, Some(docs), prompts, self.preparing())?.set)
    }

    /// Time that a recipe without a document router, whose model is `network` and that `asked` is scored on, takes for the
    /// split's [`Self::block`], divided by the base model's time for it. Where `asked` is a part of a split most networks are
    /// not measured, see [`RelativeTimes`].
    pub(super) fn time_in_search(
        &self,
        recipe: &Recipe,
        network: &Network,
        asked: &Asked,
    ) -> Result<f64, Fault> {
        let (split, always) = (asked.key.split, asked.docs.is_none());
        let block = self.block(split)?;
        if block.docs.docs() == 0 {
            return Ok(0.0);
        }
        let own = self.set_of(split, &block.docs, &recipe.prompts)?;
        let read = share(own.tokens_and_texts(), block.set.tokens_and_texts());
        let graph = (fingerprint(network.spec()), split, read);
        let work = || Timed::new(network, &own);
        Ok(self.expected_or_measured(graph, always, &block.set, work)?)
    }

    fn expected_or_measured<'a>(
        &self,
        graph: Graph,
        always: bool,
        base: &ScoringSet,
        work: impl Fn() -> Timed<'a> + Sync,
    ) -> Result<f64, ScoreError> {
        if !always && let Some(relative_time) = self.clock.times.expected(&graph) {
            return Ok(relative_time);
        }
        let round = |scratch: &mut Scratch| {
            let mut sides = [Timed::new(&self.base, base), work()];
            in_turns(&mut sides, 1, scratch).map_err(|Failed { error, .. }| error)
        };
        // One job of the pool.
        let laps = self.pool.install(|| self.pool.with_scratch(round))?.concat();
        let seconds = |side: usize| laps.get(side).map_or(0.0, |lap: &Lap| lap.seconds);
        let relative_time = seconds(1) / seconds(0);
        self.clock.times.add(&graph, relative_time);
        Ok(relative_time)
    }
}
