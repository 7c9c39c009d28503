//! Times of a front's members, measured several times while nothing else runs.

use std::sync::Arc;

use super::Block;
use super::build::Built;
use super::clock::Lap;
use super::median::FEWEST_ROUNDS;
use super::prefill::Prefill;
use super::tally::Tally;
use super::turns::{Failed, in_turns};
use super::work::Timed;
use crate::evaluate::fault::Fault;
use crate::evaluate::{CandleEvaluator, EvaluateError, ScoringSet};
use crate::model::Scratch;
use crate::outcome::{DocSubset, Timing};
use crate::recipe::Recipe;
use crate::units::Split;

/// A merge, and what it does for the block.
struct Unit {
    /// Index of the recipe that it belongs to.
    member: usize,
    recipe: Recipe,
    set: Arc<ScoringSet>,
    /// Of the recipe's gate, with one of its merges.
    prefill: Option<Prefill>,
}

/// A unit whose model is in memory.
struct Ready<'a> {
    unit: &'a Unit,
    model: Built,
}

impl CandleEvaluator {
    /// See [`crate::evaluate::Evaluator::times`]. A round is every member's block and the base model's; there are
    /// [`FEWEST_ROUNDS`] at least.
    pub(in crate::evaluate) fn measure_times(
        &self,
        recipes: &[&Recipe],
        split: Split,
        rounds: usize,
    ) -> Result<Vec<Option<Timing>>, EvaluateError> {
        let block = match self.block(split) {
            Ok(block) => block,
            // The tasks' own prompts could be read when the search began.
            Err(Fault::Candidate(_)) => return Ok(vec![None; recipes.len()]),
            Err(Fault::Machine(error)) => return Err(error),
        };
        let rounds = rounds.max(FEWEST_ROUNDS);
        let mut tallies = vec![Tally::new(rounds); recipes.len()];
        let mut units = Vec::new();
        for (member, (recipe, tally)) in recipes.iter().zip(&mut tallies).enumerate() {
            match self.units(member, recipe, split, block) {
                Ok(own) => units.extend(own),
                Err(fault) => tally.leave_out(fault)?,
            }
        }
        self.residents.clear();
        for units in units.chunks(self.models_at_rest.max(1)) {
            let ready = self.ready(units, &mut tallies)?;
            self.time(ready, block, rounds, &mut tallies);
        }
        let docs = block.docs.docs();
        Ok(tallies.iter().map(|tally| tally.timing(docs)).collect())
    }

    /// What a recipe does for the block.
    fn units(
        &self,
        member: usize,
        recipe: &Recipe,
        split: Split,
        block: &Block,
    ) -> Result<Vec<Unit>, Fault> {
        let parts = self.parts(recipe, split, &block.docs)?;
        // One part: all classes go to equal merges, and no gate is asked.
        let mut prefill = match parts.len() {
            0 | 1 => None,
            _ => self.prefill(recipe, split, &block.docs).map_err(Fault::Machine)?,
        };
        let mut units = Vec::new();
        for of_merge in parts.chunk_by(|a, b| a.merge == b.merge) {
            let Some(recipe) = of_merge.first().map(|part| part.recipe.clone()) else { continue };
            let none = DocSubset::default();
            let docs = of_merge.iter().fold(none, |docs, part| docs.with(&part.docs));
            if docs.docs() > 0 {
                let set = self.set_of(split, &docs, &recipe.prompts)?;
                units.push(Unit { member, recipe, set, prefill: prefill.take() });
            }
        }
        Ok(units)
    }

    /// One model after the other, so that what each adds to the process's memory can be told.
    fn ready<'a>(
        &self,
        units: &'a [Unit],
        tallies: &mut [Tally],
    ) -> Result<Vec<Ready<'a>>, EvaluateError> {
        let mut ready = Vec::with_capacity(units.len());
        for unit in units {
            let tally = &mut tallies[unit.member];
            let of_member = |ready: &&Ready| ready.unit.member == unit.member;
            let others: Vec<&Built> =
                ready.iter().filter(of_member).map(|it: &Ready| &it.model).collect();
            match self.build(&unit.recipe, &others) {
                Ok(model) => {
                    tally.add_model(&model);
                    ready.push(Ready { unit, model });
                }
                Err(fault) => tally.leave_out(fault)?,
            }
        }
        Ok(ready)
    }

    /// Models that are in memory together, in turns with the base model and with each other. One that cannot compute is left
    /// out, and the others begin again.
    fn time(&self, mut ready: Vec<Ready>, block: &Block, rounds: usize, tallies: &mut [Tally]) {
        let laps = loop {
            let measure = |scratch: &mut Scratch| Ok(self.laps(&ready, block, rounds, scratch));
            match self.pool.alone(|| self.pool.with_scratch(measure)) {
                Ok(Ok(laps)) => break laps,
                Ok(Err(Failed { side, .. })) if side > 0 && side <= ready.len() => {
                    tallies[ready.remove(side - 1).unit.member].infeasible = true;
                }
                // Nothing can be said without the base model.
                Ok(Err(_)) | Err(_) => {
                    ready.iter().for_each(|it| tallies[it.unit.member].infeasible = true);
                    return;
                }
            }
        };
        for (round, laps) in laps.iter().enumerate() {
            let Some((base, laps)) = laps.split_first() else { continue };
            for (ready, lap) in ready.iter().zip(laps) {
                tallies[ready.unit.member].add(round, lap, base);
            }
        }
    }

    /// Round by round, the base model first.
    fn laps(
        &self,
        ready: &[Ready],
        block: &Block,
        rounds: usize,
        scratch: &mut Scratch,
    ) -> Result<Vec<Vec<Lap>>, Failed> {
        let mut sides = vec![Timed::new(&self.base, &block.set)];
        for Ready { unit, model } in ready {
            let timed = Timed::new(&model.network, &unit.set);
            sides.push(match &unit.prefill {
                Some(prefill) => timed.after(Timed::of_gate(&self.base, prefill)),
                None => timed,
            });
        }
        in_turns(&mut sides, rounds, scratch)
    }
}
