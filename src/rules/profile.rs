//! A competition's rules, as its file in `profiles/` has them.

/// The rules of one competition.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// As `--rules` names it.
    pub name: String,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is none of that name.
    #[error("there are no rules `{name}`; there are: merging-2024, efficiency-2023, seed")]
    Unknown {
        /// The name.
        name: String,
    },
}
