//! Near duplicates by comparing every pair of sets of words, as the docs define them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::texts::{mosaics, plain_words};
use crate::task::split::groups::group;
use crate::task::split::{Overlap, overlaps};

type Ngrams = BTreeSet<Vec<String>>;

fn ngrams(text: &str) -> Ngrams {
    let words = plain_words(text);
    let n = words.len().min(8);
    if n == 0 { Ngrams::new() } else { words.windows(n).map(<[String]>::to_vec).collect() }
}

/// "One in a hundred, but ten up to 1,000, half in a tiny one, four at the least, a hundred at most."
fn limit(texts: usize) -> usize {
    match texts {
        0..=8 => 4,
        9..=19 => texts / 2,
        20..=1099 => 10,
        _ => (texts / 100).min(100),
    }
}

/// The n-grams that are template among distinct texts.
fn template(texts: &BTreeSet<Vec<String>>) -> Ngrams {
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for text in texts {
        for ngram in ngrams(&text.join(" ")) {
            *counts.entry(ngram).or_default() += 1;
        }
    }
    counts.into_iter().filter(|(_, n)| *n > limit(texts.len())).map(|(ngram, _)| ngram).collect()
}

/// A text's words and its n-grams that are no template.
type Parts = (Vec<String>, Ngrams);

fn parts(texts: &[String], template: &Ngrams) -> Vec<Parts> {
    let content = |text: &String| ngrams(text).difference(template).cloned().collect();
    texts.iter().map(|text| (plain_words(text), content(text))).collect()
}

fn share(a: &Parts, b: &Parts) -> Option<f64> {
    let common = a.1.intersection(&b.1).count();
    let share = common as f64 / a.1.len().min(b.1.len()) as f64;
    if a.0 == b.0 { Some(1.0) } else { Some(share).filter(|&share| common > 0 && share >= 0.3) }
}

/// By text: the least index of its group, by spreading least indices along alike pairs until nothing changes.
fn groups_of_all_pairs(texts: &[String]) -> Vec<usize> {
    let template = template(&texts.iter().map(|text| plain_words(text)).collect());
    let parts = parts(texts, &template);
    let alike = |a: usize, b: usize| share(&parts[a], &parts[b]).is_some();
    let n = texts.len();
    let pairs: Vec<(usize, usize)> =
        (0..n).flat_map(|a| (0..a).map(move |b| (b, a))).filter(|&(a, b)| alike(a, b)).collect();
    let mut least: Vec<usize> = (0..n).collect();
    for _ in 0..n {
        for &(a, b) in &pairs {
            let both = least[a].min(least[b]);
            (least[a], least[b]) = (both, both);
        }
    }
    least
}

fn groups_found(texts: &[String]) -> Vec<usize> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut least = vec![0; texts.len()];
    for members in group(&texts).members {
        for &member in &members {
            least[member] = members[0];
        }
    }
    least
}

proptest! {
    #[test]
    fn groups_are_those_of_all_pairs(texts in mosaics(60)) {
        prop_assert_eq!(groups_found(&texts), groups_of_all_pairs(&texts));
    }

    #[test]
    fn overlaps_are_those_of_all_pairs(texts in mosaics(30), forbidden in mosaics(30)) {
        let words = |texts: &[String]| texts.iter().map(|text| plain_words(text)).collect();
        let mut of_both = template(&words(&texts));
        of_both.extend(template(&words(&forbidden)));
        let (left, right) = (parts(&texts, &of_both), parts(&forbidden, &of_both));
        let mut expected = Vec::new();
        for (document, text) in left.iter().enumerate() {
            let mut best: Option<Overlap> = None;
            for (i, other) in right.iter().enumerate() {
                let Some(share) = share(text, other) else { continue };
                if best.is_none_or(|best| share > best.share) {
                    best = Some(Overlap { document, forbidden: i, share });
                }
            }
            expected.extend(best);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let forbidden: Vec<&str> = forbidden.iter().map(String::as_str).collect();
        prop_assert_eq!(overlaps(&texts, &forbidden), expected);
    }
}
