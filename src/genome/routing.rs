//! Routers and prompts of a genotype: which documents go to which merge, which layers are mixtures of experts, and how tasks
//! are asked.

use std::collections::BTreeMap;

use super::values::Reading;
use super::{Decoder, Gene, Genotype};
use crate::recipe::{
    DocumentRouter, Gate, Layout, PromptChange, Prompts, Recipe, TokenExpert, TokenRouter,
};
use crate::space::{DocumentRouting, GeneKey, PromptPart, PromptRouting, TokenRouting};

/// Of a recipe's merges, those that are different and that some documents are sent to.
struct Routes {
    /// In order of the first class that is sent there, so that no two recipes differ in their order alone.
    merges: Vec<Recipe>,
    /// Of each class, an index into `merges`.
    of_classes: Vec<usize>,
}

impl Decoder {
    /// The recipe with all of its merges: the merge itself where all documents are sent to the same.
    pub(super) fn routed(&self, genotype: &Genotype) -> Recipe {
        let reading = Reading { decoder: self, genes: &genotype.0, merge: 0 };
        let Some(routing) = &self.space.routing.documents else {
            return self.merge(genotype, 0);
        };
        let Routes { merges, of_classes } = self.routes(genotype, routing);
        let mut merges = merges.into_iter();
        let mut recipe = merges.next().unwrap_or_else(|| self.merge(genotype, 0));
        let merges: Vec<Recipe> = merges.collect();
        if let (false, Some(gate)) = (merges.is_empty(), reading.gate(routing)) {
            recipe.document_router = Some(DocumentRouter { gate, routes: of_classes, merges });
        }
        recipe
    }

    fn routes(&self, genotype: &Genotype, routing: &DocumentRouting) -> Routes {
        let reading = Reading { decoder: self, genes: &genotype.0, merge: 0 };
        let all: Vec<Recipe> =
            (0..routing.merges).map(|merge| self.merge(genotype, merge)).collect();
        let mut routes = Routes { merges: Vec::new(), of_classes: Vec::new() };
        for class in 0..routing.classes.count() {
            let merge = reading.chosen(GeneKey::Route { class }, &all);
            routes.of_classes.extend(merge.map(|merge| place(&mut routes.merges, merge)));
        }
        routes
    }

    pub(super) fn prompts(&self, genotype: &Genotype) -> BTreeMap<String, PromptChange> {
        let reading = Reading { decoder: self, genes: &genotype.0, merge: 0 };
        let tasks = self.space.routing.prompts.iter().enumerate();
        tasks.map(|(task, all)| (all.task.clone(), reading.prompt_change(task, all))).collect()
    }

    /// For each layer of the recipe's output, which layer of the models it is made of.
    pub(super) fn sources_of_layers(&self, recipe: &Recipe) -> Vec<usize> {
        match &recipe.layout {
            Layout::Models(_) => (0..self.layers).collect(),
            Layout::Slices(slices) => {
                let ranges = slices.iter().filter_map(|slice| slice.sources.first());
                let ranges = ranges.map(|source| source.layer_range);
                ranges.flat_map(|range| range.start()..range.end()).collect()
            }
            Layout::Modules(_) => Vec::new(),
        }
    }
}

/// Where `merge` is among `merges`, the last if it was not.
fn place(merges: &mut Vec<Recipe>, merge: &Recipe) -> usize {
    merges.iter().position(|known| is_same(known, merge)).unwrap_or_else(|| {
        merges.push(merge.clone());
        merges.len() - 1
    })
}

/// Equal, but for the seed of masks that are not drawn.
fn is_same(a: &Recipe, b: &Recipe) -> bool {
    let drawn = b.merge_method.is_random();
    a == b || !drawn && *a == Recipe { mask_seed: a.mask_seed, ..b.clone() }
}

impl Reading<'_> {
    /// The first where no gene chooses.
    fn chosen<'t, T>(&self, key: GeneKey, all: &'t [T]) -> Option<&'t T> {
        all.get(self.category(key).unwrap_or(0))
    }

    fn gate(&self, routing: &DocumentRouting) -> Option<Gate> {
        Some(Gate {
            features: *self.chosen(GeneKey::GateFeatures, &routing.features)?,
            kind: *self.chosen(GeneKey::GateKind, &routing.gates)?,
            classes: routing.classes,
        })
    }

    /// The mixtures in one merge; `None` where it has none.
    pub(super) fn token_router(&self, merge: &Recipe) -> Option<TokenRouter> {
        let routing = self.space().routing.tokens.as_ref()?;
        let sources = self.decoder.sources_of_layers(merge).into_iter().enumerate();
        let routed = sources.filter(|(_, source)| self.is_routed(routing, *source));
        let layers: Vec<usize> = routed.map(|(layer, _)| layer).collect();
        if layers.is_empty() {
            return None;
        }
        Some(TokenRouter {
            layers,
            experts: self.token_experts(routing)?,
            gate_mode: *self.chosen(GeneKey::GateMode, &routing.gate_modes)?,
            experts_per_token: *self
                .chosen(GeneKey::ExpertsPerToken, &routing.experts_per_token)?,
            temperature: match self.gene(GeneKey::Temperature) {
                Some(Gene::Real(temperature)) => *temperature,
                _ => 1.0,
            },
        })
    }

    /// Choice 0 is `dense`; without the gene all layers are routed.
    fn is_routed(&self, routing: &TokenRouting, layer: usize) -> bool {
        routing.layers_per_block.is_none_or(|size| {
            let block = layer / size.max(1);
            self.category(GeneKey::Routed { block }).is_some_and(|choice| choice == 1)
        })
    }

    fn token_experts(&self, routing: &TokenRouting) -> Option<Vec<TokenExpert>> {
        let labels = self.space().task_labels();
        let of = |(expert, prompts): &(usize, Option<Prompts>)| {
            let positive_prompts = match prompts {
                Some(prompts) => prompts.clone(),
                None => {
                    let key = GeneKey::ExpertTask { expert: *expert };
                    Prompts::Task(self.chosen(key, &labels)?.clone())
                }
            };
            let source_model = self.space().experts.get(*expert)?.model.clone();
            Some(TokenExpert { source_model, positive_prompts })
        };
        routing.experts.iter().map(of).collect()
    }

    fn prompt_change(&self, task: usize, all: &PromptRouting) -> PromptChange {
        let key = |part| GeneKey::Prompt { task, part };
        PromptChange {
            num_fewshot: self.chosen(key(PromptPart::NumFewshot), &all.num_fewshot).copied(),
            system_instruction: self
                .chosen(key(PromptPart::SystemInstruction), &all.system_instruction)
                .cloned(),
            doc_to_text: self.chosen(key(PromptPart::DocToText), &all.doc_to_text).cloned(),
            answer_style: self.chosen(key(PromptPart::AnswerStyle), &all.answer_style).copied(),
            max_gen_toks: self.chosen(key(PromptPart::MaxGenToks), &all.max_gen_toks).copied(),
            apply_chat_template: self
                .chosen(key(PromptPart::ApplyChatTemplate), &all.apply_chat_template)
                .copied(),
        }
    }
}
