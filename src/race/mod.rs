//! Racing: who is scored on which documents, decided from the seed and recorded outcomes alone.
//!
//! Within a generation all candidates see the same documents. All are scored on a first block; the worse half stops, the
//! others go on to a second. Between generations the documents rotate, but for a fixed share of anchors, and their number
//! follows the noise: as the search converges candidates differ less, and more documents are needed to tell them apart.
//! Few documents and many candidates beat the opposite: a large population averages the noise out by itself, and noise
//! should not be reduced further than is necessary (Branke & Schmidt, GECCO 2003).
//!
//! One generation: [`Race::first`], score; [`Race::further`], score; [`Race::finish`], tell.

mod racing;
mod resample;
mod rotation;

pub use racing::{Racing, population};

use resample::Draw;
use rotation::Rotation;

use crate::objective::Aggregate;
use crate::optimizer::Costs;
use crate::outcome::{DocSubset, TaskScore};
use crate::units::Seed;

/// Bootstrap draws that the noise is estimated from: its relative standard error is √(2/32) for one candidate and far
/// less for a generation.
const NOISE_DRAWS: usize = 32;
/// Weight of the newest generation in the running estimates of signal and noise.
const NEWEST: f64 = 0.2;
/// The number of documents changes at most by this factor between generations.
const LARGEST_STEP: f64 = 1.25;
/// Above every score, so that who was stopped ranks below whoever was not.
const STOPPED: f64 = 2.0;

/// What a candidate was scored on so far; `None` is infeasible.
pub type Scored = Option<Vec<TaskScore>>;

/// The state between generations.
#[derive(Debug, Clone)]
pub struct Race {
    racing: Racing,
    aggregate: Aggregate,
    seed: Seed,
    rotation: Rotation,
    generation: u64,
    /// Documents per task of the current generation, before rounding.
    docs: f64,
    /// Running means of the variance between candidates that is their own, and of that due to documents times their
    /// number.
    spread: Option<Spread>,
}

#[derive(Debug, Clone, Copy)]
struct Spread {
    signal: f64,
    noise_per_doc: f64,
}

impl Race {
    /// For tasks with so many documents on the search split.
    pub fn new(racing: Racing, aggregate: &Aggregate, docs_per_task: &[usize], seed: Seed) -> Self {
        let most = docs_per_task.iter().copied().max().unwrap_or(0);
        let least_docs = racing.least_docs.min(most);
        let racing = Racing { least_docs, most_docs: racing.most_docs.min(most), ..racing };
        Self {
            racing,
            aggregate: aggregate.clone(),
            seed,
            rotation: Rotation::new(docs_per_task, racing.anchor_share, racing.most_docs, seed),
            generation: 0,
            docs: racing.least_docs as f64,
            spread: None,
        }
    }

    /// The documents that every candidate of the generation is scored on.
    pub fn first(&self) -> DocSubset {
        self.rotation.first(self.first_docs())
    }

    /// Those of the generation, the first block included, that a candidate is scored on which is not stopped.
    pub fn all(&self) -> DocSubset {
        self.rotation.first(self.docs_per_task())
    }

    /// After the first block: who goes on, in ascending order, and on which further documents. `None`: the generation is
    /// over. Candidates that are tied with the last who goes on go on too.
    pub fn further(&self, scored: &[Scored]) -> Option<(Vec<usize>, DocSubset)> {
        let rest = self.all().without(&self.first());
        let scores: Vec<Option<f64>> = scored.iter().map(|tasks| self.score(tasks)).collect();
        let mut order: Vec<f64> = scores.iter().flatten().copied().collect();
        order.sort_by(|a, b| b.total_cmp(a));
        let keep = share_of(self.racing.keep_share, scored.len());
        let cut = order.get(keep.min(order.len()).checked_sub(1)?)?;
        let goes_on = |index: &usize| scores[*index].is_some_and(|score| score >= *cut);
        (rest.docs() > 0).then(|| ((0..scored.len()).filter(goes_on).collect(), rest))
    }

    /// Ends the generation. `scored` is of each candidate on all documents that it was scored on, in the split's order.
    /// Who has seen the first block only ranks below who has seen all.
    pub fn finish(&mut self, scored: &[Scored]) -> Vec<Costs> {
        let (first, all) = (self.first(), self.all());
        let draws: Vec<_> = (0..self.racing.resamples)
            .map(|index| resample::draw(&first, &all, self.seed, self.generation, index))
            .collect();
        let costs = |tasks: &Scored| self.costs(tasks.as_deref(), all.docs(), &draws);
        let costs = scored.iter().map(costs).collect();
        let (early, docs) = (early_scores(scored, &first, &all), self.first_docs());
        self.learn(&early, docs, &first);
        self.rotation.turn(self.docs_per_task());
        self.generation += 1;
        self.docs = self.next_docs();
        costs
    }

    /// `docs`: how many a candidate has seen that was not stopped.
    fn costs(&self, tasks: Option<&[TaskScore]>, docs: usize, draws: &[Draw]) -> Costs {
        let Some(tasks) = tasks else {
            let resamples = vec![f64::INFINITY; draws.len()];
            return Costs { resamples, ..f64::INFINITY.into() };
        };
        let stopped = tasks.iter().map(|task| task.items.len()).sum::<usize>() < docs;
        let cost = |score: f64| if stopped { STOPPED - score } else { -score };
        let drawn = |(early, all): &Draw| {
            resample::resampled(&self.aggregate, tasks, if stopped { early } else { all })
        };
        let score = resample::score(&self.aggregate, tasks);
        Costs {
            values: vec![cost(score)],
            resamples: draws.iter().map(|draw| cost(drawn(draw))).collect(),
            estimate: Some(-score),
        }
    }

    /// Takes the variance between candidates on the first block, which all have seen, apart. Only differences between
    /// candidates count: a document that is hard for all of them is no noise.
    fn learn(&mut self, early: &[Vec<TaskScore>], docs: usize, first: &DocSubset) {
        if early.len() < 2 {
            return;
        }
        let scores: Vec<f64> = early.iter().map(|t| resample::score(&self.aggregate, t)).collect();
        let observed = variance(&scores);
        let mut differences = vec![Vec::with_capacity(NOISE_DRAWS); early.len()];
        for index in 0..NOISE_DRAWS {
            let (counts, _) = resample::draw(first, first, self.seed, self.generation, index);
            let drawn: Vec<f64> =
                early.iter().map(|t| resample::resampled(&self.aggregate, t, &counts)).collect();
            let mean = mean(&drawn);
            differences.iter_mut().zip(&drawn).for_each(|(own, drawn)| own.push(drawn - mean));
        }
        let noise = mean(&differences.iter().map(|own| variance(own)).collect::<Vec<_>>());
        let newest = Spread { signal: observed - noise, noise_per_doc: noise * docs as f64 };
        self.spread = Some(self.spread.map_or(newest, |old| old.towards(newest)));
    }

    /// Documents per task at which the wanted share of the variance would be the candidates' own.
    fn next_docs(&self) -> f64 {
        let Racing { least_docs, most_docs, reliability, .. } = self.racing;
        let Some(Spread { signal, noise_per_doc }) = self.spread else {
            return self.docs;
        };
        let wanted =
            reliability / (1.0 - reliability) * noise_per_doc / signal.max(f64::MIN_POSITIVE);
        let near = wanted.max(self.docs / LARGEST_STEP).min(self.docs * LARGEST_STEP);
        near.min(most_docs as f64).max(least_docs as f64)
    }

    fn docs_per_task(&self) -> usize {
        self.docs.round() as usize
    }

    fn first_docs(&self) -> usize {
        share_of(self.racing.first_share, self.docs_per_task())
    }

    fn score(&self, tasks: &Scored) -> Option<f64> {
        tasks.as_ref().map(|tasks| resample::score(&self.aggregate, tasks))
    }
}

impl Spread {
    fn towards(self, newest: Spread) -> Spread {
        let mix = |old: f64, new: f64| (1.0 - NEWEST) * old + NEWEST * new;
        Spread {
            signal: mix(self.signal, newest.signal),
            noise_per_doc: mix(self.noise_per_doc, newest.noise_per_doc),
        }
    }
}

/// Each feasible candidate's scores on the documents of `first`, of those of `all` or of `first` that it has seen.
fn early_scores(scored: &[Scored], first: &DocSubset, all: &DocSubset) -> Vec<Vec<TaskScore>> {
    let of_task = |((task, first), all): ((&TaskScore, &Vec<u32>), &Vec<u32>)| {
        let seen = if task.items.len() == all.len() { all } else { first };
        let placed = task.items.iter().zip(seen);
        let early = placed.filter(|(_, doc)| first.binary_search(doc).is_ok());
        let items = early.map(|(item, _)| *item).collect();
        TaskScore { task: task.task.clone(), items, others: Vec::new() }
    };
    let of_candidate =
        |tasks: &Vec<TaskScore>| tasks.iter().zip(&first.0).zip(&all.0).map(of_task).collect();
    scored.iter().flatten().map(of_candidate).collect()
}

/// `share` of `count`, rounded, at least 1 and at most all.
fn share_of(share: f64, count: usize) -> usize {
    ((share * count as f64).round() as usize).max(1).min(count)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample variance of at least two values.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests;
