//! The plain merges that a recipe is made of, and the documents that each of them reads.

use std::collections::BTreeMap;

use super::candle_evaluator::spec_of;
use super::fault::Fault;
use super::routing::{Judgement, PromptReader, Routed, Scored, Weights, join};
use super::{CandleEvaluator, EvaluateError, FittedGate, RoutingError, SetError};
use crate::outcome::{DocSubset, Evaluation, Outcome};
use crate::recipe::{Features, Gate, Recipe};
use crate::units::{Bytes, Split};

/// A merge without a document router, and what it reads.
pub(super) struct Part {
    /// Which of the recipe's different merges.
    pub merge: usize,
    pub recipe: Recipe,
    pub docs: DocSubset,
}

/// The merges of a routed recipe, what of the documents went to each, and what came of it.
struct Merges<'a> {
    routed: &'a Routed,
    parts: &'a [Part],
    scored: &'a [Scored],
}

impl Merges<'_> {
    fn parts_of(&self, merge: usize) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.merge == merge)
    }

    /// Of its weights; 0 if it read nothing.
    fn bytes(&self, merge: usize) -> u64 {
        let own = self.scored.iter().find(|part| part.merge == merge);
        own.map_or(0, |part| part.evaluation.cost.weight_bytes.0)
    }
}

impl CandleEvaluator {
    /// Splits `docs` by where the recipe's document router sends them; every document is in exactly one part. Without a router
    /// there is one part, and also where all classes go to equal merges. Otherwise there is one for each class, so that all
    /// candidates read the same sets of documents wherever they send them; those of one merge follow each other, so that it is
    /// merged once.
    pub(super) fn parts(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: &DocSubset,
    ) -> Result<Vec<Part>, Fault> {
        let one =
            |recipe: &Recipe| vec![Part { merge: 0, recipe: recipe.clone(), docs: docs.clone() }];
        let Some(router) = &recipe.document_router else { return Ok(one(recipe)) };
        let routed = Routed::new(recipe, router)?;
        if let [only] = routed.merges.as_slice() {
            return Ok(one(only));
        }
        self.parts_of(&routed, &router.gate, split, docs)
    }

    fn parts_of(
        &self,
        routed: &Routed,
        gate: &Gate,
        split: Split,
        docs: &DocSubset,
    ) -> Result<Vec<Part>, Fault> {
        let judgement = self.judgement(gate, split, docs)?;
        let mut parts = Vec::new();
        for (merge, recipe) in routed.merges.iter().enumerate() {
            let classes = (0..routed.routes.len()).filter(|class| routed.routes[*class] == merge);
            let sets = classes.map(|class| of_class(docs, &judgement, class));
            let sets = sets.filter(|docs| docs.docs() > 0);
            parts.extend(sets.map(|docs| Part { merge, recipe: recipe.clone(), docs }));
        }
        Ok(parts)
    }

    /// Scores a recipe, part by part where it has a document router.
    pub(super) fn outcome_of_parts(
        &self,
        recipe: &Recipe,
        split: Split,
        docs: Option<&DocSubset>,
    ) -> Result<Outcome, Fault> {
        let Some(router) = &recipe.document_router else {
            return self.outcome(recipe, split, docs);
        };
        let routed = Routed::new(recipe, router)?;
        if let [only] = routed.merges.as_slice() {
            return self.outcome(only, split, docs);
        }
        let parts = self.parts_of(&routed, &router.gate, split, &self.whole_or(docs, split))?;
        let mut scored = Vec::new();
        for part in &parts {
            match self.outcome(&part.recipe, split, Some(&part.docs))? {
                Outcome::Feasible(evaluation) => {
                    let (merge, docs) = (part.merge, part.docs.clone());
                    let work = self.base_work(split, &docs)?;
                    scored.push(Scored { merge, docs, evaluation, work });
                }
                infeasible => return Ok(infeasible),
            }
        }
        match join(&scored).map_err(|error| Fault::Candidate(error.to_string()))? {
            Some(joined) => {
                let merges = Merges { routed: &routed, parts: &parts, scored: &scored };
                Ok(Outcome::Feasible(self.with_gate(&router.gate, split, &merges, joined)?))
            }
            // No documents: any merge says what that gives.
            None => self.outcome(&Recipe { document_router: None, ..recipe.clone() }, split, docs),
        }
    }

    /// A document router's gate, fitted to the search split's prompts as the tasks' files have them, whatever a recipe says of
    /// prompts.
    ///
    /// # Errors
    /// See [`RoutingError`].
    pub fn gate(&self, gate: &Gate) -> Result<FittedGate, RoutingError> {
        let documents = self.documents.documents(Split::Search);
        self.document_gates
            .fitted(gate, &documents, &self.prompt_reader())
            .map(|gate| (*gate).clone())
    }

    /// The class of each document of `split` that is scored, task by task.
    ///
    /// # Errors
    /// See [`RoutingError`].
    pub fn classes(&self, gate: &Gate, split: Split) -> Result<Vec<Vec<usize>>, RoutingError> {
        let documents = self.documents.documents(split);
        let judgement =
            self.document_gates.judged(gate, split, &documents, &self.prompt_reader())?;
        let classes = judgement.iter().map(|task| task.iter().map(|judged| judged.class).collect());
        Ok(classes.collect())
    }

    fn prompt_reader(&self) -> PromptReader<'_> {
        PromptReader { tokenizer: &self.tokenizer, base: Some(&self.base), pool: &self.pool }
    }

    fn whole_or(&self, docs: Option<&DocSubset>, split: Split) -> DocSubset {
        let whole = || DocSubset::whole(&self.documents.whole(split).docs_by_task());
        docs.cloned().unwrap_or_else(whole)
    }

    /// What the gate says of all documents of `split`, among which `docs` are.
    fn judgement(&self, gate: &Gate, split: Split, docs: &DocSubset) -> Result<Judgement, Fault> {
        if !docs.fits(&self.documents.whole(split).docs_by_task()) {
            let source = Box::new(SetError::NoSuchDocuments);
            return Err(Fault::Machine(EvaluateError::Set { split, source }));
        }
        let documents = self.documents.documents(split);
        Ok(self.document_gates.judged(gate, split, &documents, &self.prompt_reader())?)
    }
}

impl CandleEvaluator {
    /// Operations of the base model on these documents under the tasks' own prompts, each text as long as it may be.
    fn base_work(&self, split: Split, docs: &DocSubset) -> Result<f64, Fault> {
        let own = BTreeMap::new();
        let set = self.documents.ask(split, Some(docs), &own, self.preparing())?.set;
        Ok(set.most_flops(self.base.spec()))
    }

    /// `joined` with what the gate adds to its cost, and the weights that the merges share counted once. Hidden states take a
    /// prefill of the base model's first layers over the prompts, from which no merge goes on; other gates are as good as
    /// free.
    fn with_gate(
        &self,
        gate: &Gate,
        split: Split,
        merges: &Merges,
        mut joined: Evaluation,
    ) -> Result<Evaluation, Fault> {
        let layers = match gate.features {
            Features::Hidden { layer, .. } => Some(layer),
            Features::Ngrams { .. } | Features::Shape => None,
        };
        let mut weights = Weights::default();
        layers.iter().for_each(|layers| weights.add_first_layers(&self.base, *layers));
        let (mut prefilled, mut bytes_per_element) = (0.0, 0.0);
        for (merge, recipe) in merges.routed.merges.iter().enumerate() {
            let plan = self.plan(recipe)?;
            let elements = weights.add(&plan, &spec_of(&plan, &plan.config()?)?);
            let bytes = merges.bytes(merge) as f64;
            bytes_per_element = f64::max(bytes_per_element, bytes / elements.max(1) as f64);
            if let Some(layers) = layers {
                let tokens = self.prompt_tokens(gate, split, merges.parts_of(merge))?;
                let flops = |tokens: &usize| self.base.spec().prefix_flops(layers, *tokens);
                prefilled += tokens.iter().map(flops).sum::<f64>();
            }
        }
        let work: f64 = merges.scored.iter().map(|part| part.work).sum();
        joined.relative_time += if work > 0.0 { prefilled / work } else { 0.0 };
        joined.cost.flops_per_item += prefilled / joined.items().max(1) as f64;
        let bytes = bytes_per_element * weights.elements() as f64;
        joined.cost.weight_bytes = Bytes(bytes.round() as u64);
        Ok(joined)
    }

    /// Of each document of the parts.
    fn prompt_tokens<'a>(
        &self,
        gate: &Gate,
        split: Split,
        parts: impl Iterator<Item = &'a Part>,
    ) -> Result<Vec<usize>, Fault> {
        let mut tokens = Vec::new();
        for part in parts {
            let judgement = self.judgement(gate, split, &part.docs)?;
            for (docs, judged) in part.docs.0.iter().zip(judgement.iter()) {
                let of_doc = |doc: &u32| judged.get(*doc as usize).map(|judged| judged.tokens);
                tokens.extend(docs.iter().filter_map(of_doc));
            }
        }
        Ok(tokens)
    }
}

/// The documents of `docs` that are of `class`.
fn of_class(docs: &DocSubset, judgement: &Judgement, class: usize) -> DocSubset {
    let of_task = |(task, docs): (usize, &Vec<u32>)| {
        let is_of_class = |doc: &&u32| {
            let judged = judgement.get(task).and_then(|task| task.get(**doc as usize));
            judged.is_some_and(|judged| judged.class == class)
        };
        docs.iter().filter(is_of_class).copied().collect()
    };
    DocSubset(docs.0.iter().enumerate().map(of_task).collect())
}
