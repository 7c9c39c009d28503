//! ROUGE (Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004), as the Python package rouge_score 0.1.2
//! computes it without stemmer: the F measure of precision and recall.

use std::collections::{BTreeSet, HashMap};

use super::lcs::Reference;

/// Lower-cased runs of ASCII letters and digits; all else separates.
fn tokens(lowered: &str) -> impl Iterator<Item = &str> {
    lowered
        .split(|character: char| !character.is_ascii_lowercase() && !character.is_ascii_digit())
        .filter(|token| !token.is_empty())
}

/// Numbers for tokens, equal for equal tokens.
#[derive(Default)]
struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    fn numbers(&mut self, text: &str) -> Vec<u32> {
        let lowered = text.to_lowercase();
        tokens(&lowered).map(|token| self.number(token)).collect()
    }

    fn number(&mut self, token: &str) -> u32 {
        if let Some(number) = self.0.get(token) {
            return *number;
        }
        let next = self.0.len() as u32;
        self.0.insert(token.to_owned(), next);
        next
    }

    /// The tokens of each line that is not empty.
    fn sentences(&mut self, text: &str) -> Vec<Vec<u32>> {
        text.split('\n').filter(|line| !line.is_empty()).map(|line| self.numbers(line)).collect()
    }
}

fn counts<T: Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

/// The harmonic mean of `hits / candidate` and `hits / reference`, in rouge_score's order of operations.
fn f_measure(hits: usize, reference: usize, candidate: usize) -> f64 {
    if hits == 0 {
        return 0.0;
    }
    let precision = hits as f64 / candidate as f64;
    let recall = hits as f64 / reference as f64;
    2.0 * precision * recall / (precision + recall)
}

/// ROUGE-N: common runs of `n` tokens, each counted as often as in the text that has fewer of it.
pub(super) fn rouge_n(reference: &str, candidate: &str, n: usize) -> f64 {
    let mut vocabulary = Vocabulary::default();
    let (reference, candidate) = (vocabulary.numbers(reference), vocabulary.numbers(candidate));
    let in_candidate = counts(candidate.windows(n));
    let hits = counts(reference.windows(n))
        .iter()
        .map(|(run, count)| in_candidate.get(run).map_or(0, |other| *count.min(other)))
        .sum();
    let runs = |tokens: &[u32]| tokens.windows(n).len();
    f_measure(hits, runs(&reference), runs(&candidate))
}

/// ROUGE-L: the longest common subsequence of the whole texts.
pub(super) fn rouge_l(reference: &str, candidate: &str) -> f64 {
    let mut vocabulary = Vocabulary::default();
    let (reference, candidate) = (vocabulary.numbers(reference), vocabulary.numbers(candidate));
    let hits = Reference::new(&reference).length(&candidate);
    f_measure(hits, reference.len(), candidate.len())
}

/// ROUGE-L of summaries: for each line of the reference, the union of its longest common subsequences with every line of the
/// candidate (Lin, §3.2); a token counts no oftener than it stands in either text (as in ROUGE 1.5.5).
pub(super) fn rouge_l_sum(reference: &str, candidate: &str) -> f64 {
    let mut vocabulary = Vocabulary::default();
    let (reference, candidate) = (vocabulary.sentences(reference), vocabulary.sentences(candidate));
    let mut left_in_reference = counts(reference.iter().flatten());
    let mut left_in_candidate = counts(candidate.iter().flatten());
    let mut hits = 0;
    for sentence in &reference {
        for token in union_of_subsequences(sentence, &candidate) {
            if let (Some(ours @ 1..), Some(theirs @ 1..)) =
                (left_in_reference.get_mut(&token), left_in_candidate.get_mut(&token))
            {
                *ours -= 1;
                *theirs -= 1;
                hits += 1;
            }
        }
    }
    let length = |sentences: &[Vec<u32>]| sentences.iter().map(Vec::len).sum();
    f_measure(hits, length(&reference), length(&candidate))
}

/// Those of a reference's sentence that are in one of its longest common subsequences with the candidate's sentences.
fn union_of_subsequences(sentence: &[u32], candidate: &[Vec<u32>]) -> Vec<u32> {
    let reference = Reference::new(sentence);
    let places: BTreeSet<usize> =
        candidate.iter().flat_map(|other| reference.places_of_one(other)).collect();
    places.into_iter().filter_map(|place| sentence.get(place).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_example_of_the_paper() {
        // Lin 2004, §3.2: reference w1 w2 w3 w4 w5; candidates "w1 w2 w6 w7 w8" and "w1 w3 w8 w9 w5": 4/5 of the reference
        let score = rouge_l_sum("w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5");
        let (precision, recall) = (4.0 / 10.0, 4.0 / 5.0);
        assert_eq!(score, 2.0 * precision * recall / (precision + recall));
    }

    #[test]
    fn police_killed_the_gunman() {
        // Lin 2004, §3.1: S1 "police killed the gunman"; S2 "police kill the gunman" 3/4; S3 "the gunman kill police" 2/4
        let reference = "police killed the gunman";
        assert_eq!(rouge_l(reference, "police kill the gunman"), 0.75);
        assert_eq!(rouge_l(reference, "the gunman kill police"), 0.5);
        assert_eq!(rouge_n(reference, "the gunman police killed", 2), 2.0 / 3.0);
    }

    const EACH: [fn(&str, &str) -> f64; 4] =
        [|a, b| rouge_n(a, b, 1), |a, b| rouge_n(a, b, 2), rouge_l, rouge_l_sum];

    proptest! {
        #[test]
        fn scores_are_fractions(a in "\\PC{0,60}|[ab \n]{0,40}", b in "\\PC{0,60}|[ab \n]{0,40}") {
            for score in EACH {
                prop_assert!((0.0..=1.0).contains(&score(&a, &b)));
            }
        }

        #[test]
        fn a_text_is_itself(text in "[a-c]{1,3}( [a-c]{1,3}\n?){1,20}") {
            for score in EACH {
                prop_assert_eq!(score(&text, &text), 1.0);
            }
        }

        /// Precision and recall change places, so their mean stays. (Not for the summaries' union, which goes by the
        /// reference's lines.)
        #[test]
        fn reference_and_candidate_can_be_swapped(a in "[ab \n]{0,40}", b in "[ab \n]{0,40}") {
            for score in &EACH[..3] {
                prop_assert!((score(&a, &b) - score(&b, &a)).abs() < 1e-12);
            }
        }

        #[test]
        fn one_line_needs_no_union(a in "[ab ]{0,40}", b in "[ab ]{0,40}") {
            prop_assert_eq!(rouge_l(&a, &b), rouge_l_sum(&a, &b));
        }
    }
}
