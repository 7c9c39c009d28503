//! The same recipe with other names for its models.

use super::{
    DocumentRouter, Layout, ModelEntry, ModuleBody, OutputModule, OutputSlice, Recipe, SliceSource,
    TokenEntry, TokenExpert, TokenRouter, TokenSource, TokenizerChoice, VocabularySource,
};
use crate::recipe::ModelRef;

/// What a model is called instead.
type Name<'a> = &'a dyn Fn(&ModelRef) -> ModelRef;

impl Recipe {
    /// Every model under the name that `name` gives it, such as the hub's for a local folder.
    pub fn renamed(&self, name: Name<'_>) -> Recipe {
        Recipe {
            base_model: self.base_model.as_ref().map(name),
            layout: layout(&self.layout, name),
            tokenizer: self.tokenizer.as_ref().map(|choice| tokenizer(choice, name)),
            token_router: self.token_router.as_ref().map(|router| token_router(router, name)),
            document_router: self.document_router.as_ref().map(|router| DocumentRouter {
                merges: router.merges.iter().map(|merge| merge.renamed(name)).collect(),
                ..router.clone()
            }),
            ..self.clone()
        }
    }
}

fn layout(layout: &Layout, name: Name<'_>) -> Layout {
    match layout {
        Layout::Models(all) => Layout::Models(entries(all, name)),
        Layout::Slices(all) => Layout::Slices(slices(all, name)),
        Layout::Modules(all) => {
            let module = |module: &OutputModule| OutputModule {
                body: match &module.body {
                    ModuleBody::Models(all) => ModuleBody::Models(entries(all, name)),
                    ModuleBody::Slices(all) => ModuleBody::Slices(slices(all, name)),
                },
                ..module.clone()
            };
            Layout::Modules(all.iter().map(module).collect())
        }
    }
}

fn entries(all: &[ModelEntry], name: Name<'_>) -> Vec<ModelEntry> {
    let entry = |entry: &ModelEntry| ModelEntry { model: name(&entry.model), ..entry.clone() };
    all.iter().map(entry).collect()
}

fn slices(all: &[OutputSlice], name: Name<'_>) -> Vec<OutputSlice> {
    let source =
        |source: &SliceSource| SliceSource { model: name(&source.model), ..source.clone() };
    let slice = |slice: &OutputSlice| OutputSlice {
        sources: slice.sources.iter().map(source).collect(),
        base_model: slice.base_model.as_ref().map(name),
        ..slice.clone()
    };
    all.iter().map(slice).collect()
}

fn tokenizer(choice: &TokenizerChoice, name: Name<'_>) -> TokenizerChoice {
    let entry = |entry: &TokenEntry| TokenEntry {
        source: entry.source.as_ref().map(|source| match source {
            TokenSource::Model(model) => TokenSource::Model(name(model)),
            TokenSource::ModelToken { model, token } => {
                TokenSource::ModelToken { model: name(model), token: token.clone() }
            }
            TokenSource::Zero => TokenSource::Zero,
        }),
        ..entry.clone()
    };
    TokenizerChoice {
        source: match &choice.source {
            VocabularySource::Model(model) => VocabularySource::Model(name(model)),
            other => other.clone(),
        },
        tokens: choice.tokens.iter().map(entry).collect(),
        pad_to_multiple_of: choice.pad_to_multiple_of,
    }
}

fn token_router(router: &TokenRouter, name: Name<'_>) -> TokenRouter {
    let expert = |expert: &TokenExpert| TokenExpert {
        source_model: name(&expert.source_model),
        ..expert.clone()
    };
    TokenRouter { experts: router.experts.iter().map(expert).collect(), ..router.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every place where a recipe can name a model: none may keep its old name.
    #[test]
    fn every_model_gets_its_new_name() {
        let file = "
merge_method: linear
base_model: /here/a
tokenizer:
  source: /here/b
  tokens:
    x: {source: /here/c}
    y: {source: {kind: model_token, model: /here/d, token: z}}
token_router:
  layers: [0]
  gate_mode: cheap_embed
  experts_per_token: 1
  temperature: 1.0
  experts:
    - {source_model: /here/e, positive_prompts: [p]}
    - {source_model: /here/f, positive_prompts: [q]}
modules:
  decoder:
    slices:
      - base_model: /here/g
        sources:
          - {model: /here/h, layer_range: [0, 1], parameters: {weight: 1}}
";
        let there =
            |model: &ModelRef| ModelRef::new(model.as_str().replace("/here/", "owner/")).unwrap();
        let recipe = Recipe::from_yaml(file).unwrap();
        let expected = Recipe::from_yaml(&file.replace("/here/", "owner/")).unwrap();
        assert_eq!(recipe.renamed(&there), expected);
    }
}
