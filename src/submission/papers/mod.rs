//! What people read of an export: the model card and, of a submission, the report.
//!
//! Everything is said from [`RunFacts`], which are values of the run's record, and from what was exported. What is not known
//! is left out, and a line says so. The texts have no paths of this machine and no times of day, so that an export of
//! the same trial is the same text.

mod card;
mod choice;
mod documents;
mod facts;
mod hand_in;
mod licences;
mod markdown;
mod method;
mod plain_card;
mod report;
mod reproduce;
mod results;
#[cfg(test)]
mod tests;

pub use card::competition_card;
pub use facts::{
    ChoiceFacts, Effort, GeneGroup, HubLicence, Licences, ModelScores, PairedScore, RunFacts,
    SplitScores, SubmissionFacts,
};
pub use plain_card::model_card;
pub use report::report;
