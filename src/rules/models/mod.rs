//! Rules about models: how large they are, whose they are, what they come from.
//!
//! [`fn@facts`] gathers what is known of a model, each fact with the place where it was read; [`check`] holds the facts against
//! [`ModelRules`] and looks nowhere else. Nothing is downloaded: weights are counted in their files' headers, and what is not
//! on this machine is taken from the catalogue, the user's [`Evidence`] or, online, from what the hub says of a model.

mod card;
mod chain;
mod checks;
mod evidence;
mod facts;
mod folder;
mod gather;
mod licence;
mod obligations;
mod rules;

pub use checks::{CONVERT, check, weights};
pub use evidence::{Evidence, EvidenceError};
pub use facts::{Ancestor, ModelFacts, RepositoryFacts, Told, WeightFiles};
pub use gather::facts;
pub use licence::{Licence, LicenceClass};
pub use obligations::{MergedLicence, Obligation, merged_licence, obligations};
pub use rules::ModelRules;

/// `8,030,261,248`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped_by_three() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (8_030_261_248, "8,030,261,248")];
        for (number, text) in cases {
            assert_eq!(super::grouped(number), text);
        }
    }
}
