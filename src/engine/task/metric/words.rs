//! HELM's measures of short answers (stanford-crfm/helm, `evaluate_reference_metrics.py`), which go by SQuAD's and QuAC's
//! normal form of a text.

use std::collections::BTreeSet;

use super::python_str;

const ARTICLES: [&str; 3] = ["a", "an", "the"];

/// The words in lower case, without the marks of ASCII and without articles.
///
/// An article is a word between word boundaries, not between blanks: in "the—a" both go, and the dash stays.
fn normal_words(text: &str) -> Vec<String> {
    let kept: String =
        text.to_lowercase().chars().filter(|mark| !python_str::is_punctuation(*mark)).collect();
    let text = without_articles(&kept);
    python_str::words(&text).map(str::to_owned).collect()
}

/// Python's `re.sub(r"\b(a|an|the)\b", " ", text)`.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for run in text.split_inclusive(|character: char| !character.is_alphanumeric()) {
        let end = run.trim_end_matches(|character: char| !character.is_alphanumeric()).len();
        let (word, mark) = run.split_at(end);
        kept.push_str(if ARTICLES.contains(&word) { " " } else { word });
        kept.push_str(mark);
    }
    kept
}

/// 1 if the normal forms are the same, else 0; an empty candidate never matches.
pub(super) fn quasi_exact_match(reference: &str, candidate: &str) -> f64 {
    let same = !candidate.is_empty() && normal_words(reference) == normal_words(candidate);
    f64::from(u8::from(same))
}

/// The F measure of the sets of normal words (SQuAD's takes bags, which repeated words make differ); 0 if either is empty.
pub(super) fn f1(reference: &str, candidate: &str) -> f64 {
    let reference = BTreeSet::from_iter(normal_words(reference));
    let candidate = BTreeSet::from_iter(normal_words(candidate));
    let both = reference.intersection(&candidate).count();
    if both == 0 {
        return 0.0;
    }
    let precision = both as f64 / candidate.len() as f64;
    let recall = both as f64 / reference.len() as f64;
    1.0 / (0.5 / precision + 0.5 / recall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn normal_form() {
        assert_eq!(
            normal_words("The U.S.A. — an Answer,\n theatre a"),
            ["usa", "—", "answer", "theatre"]
        );
        assert_eq!(normal_words("the—a"), ["—"]);
    }

    #[test]
    fn quasi_exact_match_ignores_dress() {
        assert_eq!(quasi_exact_match("the cat.", "A  Cat"), 1.0);
        assert_eq!(quasi_exact_match("cat", "cats"), 0.0);
        assert_eq!(quasi_exact_match("", ""), 0.0);
        assert_eq!(quasi_exact_match("a", "The!"), 1.0);
    }

    #[test]
    fn f1_by_hand() {
        // {big, red, fox} and {red, fox, ran, far}: precision 2/4, recall 2/3
        let expected = 2.0 * 0.5 * (2.0 / 3.0) / (0.5 + 2.0 / 3.0);
        assert!((f1("the big red fox", "Red fox ran far") - expected).abs() < 1e-15);
        assert_eq!(f1("red red red", "red"), 1.0); // sets; with SQuAD's bags 1/2
        assert_eq!(f1("the", "the"), 0.0);
    }

    proptest! {
        #[test]
        fn fractions_and_symmetric(a in "\\PC{0,40}|[ab ]{0,30}", b in "\\PC{0,40}|[ab ]{0,30}") {
            let (there, back) = (f1(&a, &b), f1(&b, &a));
            prop_assert!((0.0..=1.0).contains(&there));
            prop_assert!((there - back).abs() < 1e-12);
            prop_assert!([0.0, 1.0].contains(&quasi_exact_match(&a, &b)));
        }
    }
}
