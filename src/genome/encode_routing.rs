//! From a recipe's routers and prompts to genes: [`super::routing`] backwards.

use super::encode::SAME;
use super::{Decoder, EncodeError, Gene};
use crate::recipe::{PromptChange, Prompts, Recipe, TokenRouter};
use crate::space::{GeneKey, PromptPart, PromptRouting, TokenRouting};

/// Genes that a recipe decides, of those that the space may have.
pub(super) type Genes = Vec<(GeneKey, Gene)>;

impl Decoder {
    /// A merge of the recipe for each that the space has: those of its document router, then the recipe itself again.
    ///
    /// # Errors
    /// The recipe has more.
    pub(super) fn merges_of(&self, recipe: &Recipe) -> Result<Vec<Recipe>, EncodeError> {
        let (most, found) = (self.space.merges(), 1 + others(recipe));
        if found > most {
            let valid = match most {
                1 => "left out, as the space has no `[routing.documents]`".to_owned(),
                _ => format!("at most {} (the space's `routing.documents.merges`)", most - 1),
            };
            return Err(wrong("document_router.merges", format!("{} long", found - 1), valid));
        }
        Ok((0..most).map(|i| recipe.merge(i).unwrap_or_else(|| recipe.plain())).collect())
    }

    /// Routes and gate; nothing for a recipe without a document router, all merges of which are equal.
    ///
    /// # Errors
    /// A gate that the space does not have.
    pub(super) fn document_genes(&self, recipe: &Recipe) -> Result<Genes, EncodeError> {
        let (Some(router), Some(routing)) =
            (&recipe.document_router, &self.space.routing.documents)
        else {
            return Ok(Genes::new());
        };
        let gate = &router.gate;
        if gate.classes != routing.classes {
            let (found, valid) = (format!("{:?}", gate.classes), format!("{:?}", routing.classes));
            return Err(wrong("document_router.gate.classes", found, valid));
        }
        let features = "document_router.gate.features";
        let shown = |value: &_| format!("{value:?}");
        let mut genes = vec![
            (GeneKey::GateFeatures, choice(features, &routing.features, &gate.features, shown)?),
            (
                GeneKey::GateKind,
                choice("document_router.gate.kind", &routing.gates, &gate.kind, |kind| {
                    kind.as_str().to_owned()
                })?,
            ),
        ];
        let routes = router.routes.iter().enumerate();
        genes.extend(routes.map(|(class, to)| (GeneKey::Route { class }, Gene::Category(*to))));
        Ok(genes)
    }

    /// The genes of one merge's mixtures; nothing for a recipe without them.
    ///
    /// # Errors
    /// A mixture that the space does not have.
    pub(super) fn token_genes(&self, merge: &Recipe) -> Result<Genes, EncodeError> {
        match (&merge.token_router, &self.space.routing.tokens) {
            (None, _) => Ok(Genes::new()),
            (Some(_), None) => {
                let valid = "left out, as the space has no `[routing.tokens]`";
                Err(wrong("token_router", "given", valid))
            }
            (Some(router), Some(routing)) => {
                let mut genes = self.routed_blocks(merge, router, routing)?;
                genes.extend(self.expert_genes(router, routing)?);
                genes.extend(gate_genes(router, routing)?);
                Ok(genes)
            }
        }
    }

    fn routed_blocks(
        &self,
        merge: &Recipe,
        router: &TokenRouter,
        routing: &TokenRouting,
    ) -> Result<Genes, EncodeError> {
        let key = "token_router.layers";
        let found = || format!("{:?}", router.layers);
        let sources = self.sources_of_layers(merge);
        if router.layers.iter().any(|layer| *layer >= sources.len()) {
            return Err(wrong(key, found(), format!("layers below {}", sources.len())));
        }
        let size = routing.layers_per_block.unwrap_or(self.layers).max(1);
        let mut blocks: Vec<Option<bool>> = vec![None; self.layers.div_ceil(size)];
        for (layer, source) in sources.iter().enumerate() {
            let routed = router.layers.contains(&layer);
            let others = blocks.get_mut(source / size);
            if others.is_some_and(|others| others.replace(routed).is_some_and(|all| all != routed))
            {
                let valid = format!("all or none of each {size} layers of the models");
                return Err(wrong(key, found(), valid));
            }
        }
        let routed = blocks.into_iter().enumerate().filter(|(_, routed)| *routed == Some(true));
        let gene = |block| (GeneKey::Routed { block }, Gene::Category(1));
        Ok(routed.map(|(block, _)| gene(block)).collect())
    }

    fn expert_genes(
        &self,
        router: &TokenRouter,
        routing: &TokenRouting,
    ) -> Result<Genes, EncodeError> {
        let model = |expert: &usize| self.space.experts.get(*expert).map(|expert| &expert.model);
        let valid: Vec<_> =
            routing.experts.iter().filter_map(|(expert, _)| model(expert)).collect();
        let found: Vec<_> = router.experts.iter().map(|expert| &expert.source_model).collect();
        if found != valid {
            let words = |models: Vec<&crate::recipe::ModelRef>| {
                models.into_iter().map(|model| model.as_str()).collect::<Vec<_>>().join(", ")
            };
            return Err(wrong("token_router.experts", words(found), words(valid)));
        }
        let labels: Vec<Prompts> =
            self.space.task_labels().into_iter().map(Prompts::Task).collect();
        let key = "token_router.experts.positive_prompts";
        let mut genes = Genes::new();
        for ((expert, prompts), given) in routing.experts.iter().zip(&router.experts) {
            let valid = prompts.as_ref().map_or(labels.as_slice(), std::slice::from_ref);
            let gene = choice(key, valid, &given.positive_prompts, |p| format!("{p:?}"))?;
            genes.push((GeneKey::ExpertTask { expert: *expert }, gene));
        }
        Ok(genes)
    }

    /// # Errors
    /// Prompts that the space does not have.
    pub(super) fn prompt_genes(&self, recipe: &Recipe) -> Result<Genes, EncodeError> {
        let all = &self.space.routing.prompts;
        let mut genes = Genes::new();
        for (name, change) in &recipe.prompts {
            let found = all.iter().enumerate().find(|(_, routing)| routing.task == *name);
            let Some((task, routing)) = found else {
                let valid = "tasks of the space's `[routing.prompts]`";
                return Err(wrong("prompts", format!("for task `{name}`"), valid));
            };
            let of_task = part_genes(change, routing)?.into_iter().flatten();
            genes.extend(of_task.map(|(part, gene)| (GeneKey::Prompt { task, part }, gene)));
        }
        Ok(genes)
    }
}

fn others(recipe: &Recipe) -> usize {
    recipe.document_router.as_ref().map_or(0, |router| router.merges.len())
}

fn gate_genes(router: &TokenRouter, routing: &TokenRouting) -> Result<Genes, EncodeError> {
    let mode = choice("token_router.gate_mode", &routing.gate_modes, &router.gate_mode, |mode| {
        mode.as_str().to_owned()
    })?;
    let count = choice(
        "token_router.experts_per_token",
        &routing.experts_per_token,
        &router.experts_per_token,
        ToString::to_string,
    )?;
    let (low, high) = routing.temperature.unwrap_or((1.0, 1.0));
    let near = SAME * router.temperature.max(1.0);
    if !(low - near..=high + near).contains(&router.temperature) {
        let valid = format!("{low} to {high}");
        return Err(wrong("token_router.temperature", router.temperature.to_string(), valid));
    }
    let temperature = Gene::Real(router.temperature.clamp(low, high));
    Ok(vec![
        (GeneKey::GateMode, mode),
        (GeneKey::ExpertsPerToken, count),
        (GeneKey::Temperature, temperature),
    ])
}

/// What the recipe says nothing of has no gene here.
fn part_genes(
    change: &PromptChange,
    all: &PromptRouting,
) -> Result<[Option<(PromptPart, Gene)>; 6], EncodeError> {
    use PromptPart::{
        AnswerStyle, ApplyChatTemplate, DocToText, MaxGenToks, NumFewshot, SystemInstruction,
    };
    Ok([
        part(NumFewshot, &all.num_fewshot, &change.num_fewshot)?,
        part(SystemInstruction, &all.system_instruction, &change.system_instruction)?,
        part(DocToText, &all.doc_to_text, &change.doc_to_text)?,
        part(AnswerStyle, &all.answer_style, &change.answer_style)?,
        part(MaxGenToks, &all.max_gen_toks, &change.max_gen_toks)?,
        part(ApplyChatTemplate, &all.apply_chat_template, &change.apply_chat_template)?,
    ])
}

fn part<T: PartialEq + std::fmt::Debug>(
    part: PromptPart,
    all: &[T],
    given: &Option<T>,
) -> Result<Option<(PromptPart, Gene)>, EncodeError> {
    let Some(value) = given else {
        return Ok(None);
    };
    Ok(Some((part, choice(part.as_str(), all, value, |value| format!("{value:?}"))?)))
}

fn choice<T: PartialEq>(
    key: &'static str,
    all: &[T],
    value: &T,
    shown: impl Fn(&T) -> String,
) -> Result<Gene, EncodeError> {
    let found = all.iter().position(|known| known == value);
    found.map(Gene::Category).ok_or_else(|| {
        let valid = match all {
            [] => "left out, as the space has no choice for it".to_owned(),
            _ => all.iter().map(&shown).collect::<Vec<_>>().join(", "),
        };
        wrong(key, shown(value), valid)
    })
}

fn wrong(key: &'static str, found: impl Into<String>, valid: impl Into<String>) -> EncodeError {
    EncodeError::Routing { key, found: found.into(), valid: valid.into() }
}
