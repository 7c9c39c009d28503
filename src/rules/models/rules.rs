//! `[models]` of a profile.

use serde::Deserialize;

use super::checks::{
    BytesRules, ContextRules, FamilyRules, InstructionRules, LicenceRules, PublicRules,
    RevisionRules, SizeRules, UploadRules,
};

/// What a competition asks of models. A rule without a table is not one of its rules.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRules {
    /// Number of parameters.
    pub size: Option<SizeRules>,
    /// Size of the weight files.
    pub bytes: Option<BytesRules>,
    /// Of a model and of what it was made from.
    pub licence: Option<LicenceRules>,
    /// Which base models are approved.
    pub family: Option<FamilyRules>,
    /// Whether they may be instruction-tuned.
    pub instruction_tuned: Option<InstructionRules>,
    /// That models are pinned.
    pub revision: Option<RevisionRules>,
    /// Since when they have to be there.
    pub uploaded_before: Option<UploadRules>,
    /// That everybody can get them.
    pub public: Option<PublicRules>,
    /// How long a text they can read.
    pub context: Option<ContextRules>,
}

impl ModelRules {
    /// Who says the rule of a finding.
    pub fn source(&self, rule: &str) -> Option<&str> {
        let source = match rule {
            "size" | "parameters" => self.size.as_ref().map(|it| &it.source),
            "bytes" => self.bytes.as_ref().map(|it| &it.source),
            "licence" => self.licence.as_ref().map(|it| &it.source),
            "family" => self.family.as_ref().map(|it| &it.source),
            "instruction_tuned" => self.instruction_tuned.as_ref().map(|it| &it.source),
            "revision" | "one_revision" => self.revision.as_ref().map(|it| &it.source),
            "uploaded_before" => self.uploaded_before.as_ref().map(|it| &it.source),
            "public" => self.public.as_ref().map(|it| &it.source),
            "context" => self.context.as_ref().map(|it| &it.source),
            _ => None,
        };
        source.map(String::as_str)
    }
}
