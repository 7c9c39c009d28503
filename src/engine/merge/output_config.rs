//! `config.json` of a merged model.

use serde_json::{Map, Value};

use crate::checkpoint::ArchitectureError;

use super::{MergePlan, mixtral_config};

impl MergePlan<'_> {
    /// The reference's `config.json` for the output's layers and [`MergePlan::settings`].
    ///
    /// # Errors
    /// A setting that cannot be kept in the output's layers.
    pub fn config(&self) -> Result<Value, ArchitectureError> {
        let source = self.reference().config();
        let mut config = self.architecture().output_config(source, self.source_layers())?;
        if let Some(entries) = config.as_object_mut() {
            entries.extend(self.settings());
        }
        Ok(config)
    }

    /// What the merge changes in `config.json` besides the layers: the family where layers are routed, the size of
    /// the vocabulary, and whether the head is the embedding.
    pub fn settings(&self) -> Map<String, Value> {
        let mut settings = self.routed().map_or_else(Map::new, |routed| {
            let layers = self.source_layers().iter().map(Vec::len).sum();
            mixtral_config::settings(self.reference().config(), layers, routed)
        });
        if let Some(vocabulary) = self.vocabulary() {
            settings.insert("vocab_size".to_owned(), vocabulary.size().into());
        }
        let architecture = self.architecture();
        let has_own_head =
            self.tensors().iter().any(|tensor| architecture.copy_of(&tensor.name).is_some());
        if architecture.is_tied() && has_own_head {
            settings.insert("tie_word_embeddings".to_owned(), false.into());
        }
        settings
    }
}
