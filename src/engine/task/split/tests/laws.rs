//! What is promised in the docs of [`deal()`].

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::texts::{mosaics, unlike};
use crate::task::split::groups::group;
use crate::task::split::{Content, DealError, Dealt, content_hash, deal, overlaps};
use crate::units::Split;

const SHARES: [f64; 3] = [0.5, 0.2, 0.3];

fn contents<'a>(texts: &'a [String], strata: usize) -> Vec<Content<'a>> {
    let names = ["a", "b", "c", "d"];
    let stratum = |text: &str| names[content_hash(text) as usize % strata];
    let content = |text: &'a String| Content { text, stratum: stratum(text), pinned: None };
    texts.iter().map(content).collect()
}

fn unlike_texts(count: usize) -> Vec<String> {
    (0..count).map(unlike).collect()
}

fn count(dealt: &Dealt, split: Split) -> usize {
    dealt.splits.iter().filter(|&&s| s == split).count()
}

/// Another spelling of the same words.
fn respelt(text: &str, choices: &[u8]) -> String {
    let gaps = [" ", "\n\n", ", ", "  ", " - ", "! ", "_", "; \"", "\t"];
    let mut next = choices.iter().cycle();
    let mut pick = |n: usize| next.next().map_or(0, |&choice| choice as usize % n);
    let mut spelt = String::new();
    for word in text.split(' ') {
        spelt.push_str(&if pick(2) == 0 { word.to_uppercase() } else { word.to_owned() });
        spelt.push_str(gaps[pick(gaps.len())]);
    }
    spelt
}

fn shares() -> impl Strategy<Value = [f64; 3]> {
    [1..20_u32, 1..20, 1..20].prop_map(|parts| {
        let sum: u32 = parts.iter().sum();
        parts.map(|part| f64::from(part) / f64::from(sum))
    })
}

proptest! {
    #[test]
    fn the_order_of_documents_does_not_matter(texts in mosaics(40), order in any::<u64>(), strata in 1..4_usize) {
        let documents = contents(&texts, strata);
        let mut places: Vec<usize> = (0..documents.len()).collect();
        places.sort_by_key(|&i| content_hash(&format!("{order} {i}")));
        let shuffled: Vec<Content> = places.iter().map(|&i| documents[i]).collect();
        match (deal(&documents, SHARES), deal(&shuffled, SHARES)) {
            (Ok(dealt), Ok(other)) => {
                let back: Vec<Split> = places.iter().map(|&i| dealt.splits[i]).collect();
                prop_assert_eq!(back, other.splits);
            }
            (a, b) => prop_assert_eq!(a.err(), b.err()),
        }
    }

    #[test]
    fn groups_are_never_divided(texts in mosaics(60), shares in shares(), strata in 1..4_usize) {
        let Ok(dealt) = deal(&contents(&texts, strata), shares) else { return Ok(()) };
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let groups = group(&borrowed);
        prop_assert_eq!(dealt.groups, groups.members.len());
        for members in groups.members {
            let splits: BTreeSet<Split> = members.iter().map(|&i| dealt.splits[i]).collect();
            prop_assert_eq!(splits.len(), 1);
        }
    }

    #[test]
    fn single_documents_are_dealt_within_one_of_every_stratum(
        n in 40..200_usize,
        shares in shares(),
        strata in 1..4_usize,
    ) {
        prop_assume!(shares.iter().all(|share| share * n as f64 > 2.0 * strata as f64));
        let texts = unlike_texts(n);
        let documents = contents(&texts, strata);
        let dealt = deal(&documents, shares).unwrap();
        for name in ["a", "b", "c", "d"] {
            let of_stratum = (0..n).filter(|&i| documents[i].stratum == name);
            let of_stratum: Vec<Split> = of_stratum.map(|i| dealt.splits[i]).collect();
            for (split, share) in Split::ALL.into_iter().zip(shares) {
                let got = of_stratum.iter().filter(|&&s| s == split).count() as f64;
                prop_assert!((got - share * of_stratum.len() as f64).abs() < 1.0 + 1e-9, "{} {} {}", name, split, got);
            }
        }
    }

    #[test]
    fn groups_are_dealt_within_the_largest(sizes in prop::collection::vec(1..6_usize, 30..60), shares in shares()) {
        let n: usize = sizes.iter().sum();
        prop_assume!(shares.iter().all(|share| share * n as f64 > 10.0));
        let numbers = sizes.iter().enumerate();
        let members = numbers.flat_map(|(g, &size)| (0..size).map(move |i| (g, i)));
        let texts: Vec<String> = members.map(|(g, i)| format!("{} tail{i}", unlike(g))).collect();
        let dealt = deal(&contents(&texts, 1), shares).unwrap();
        prop_assert_eq!(dealt.groups, sizes.len());
        for (split, share) in Split::ALL.into_iter().zip(shares) {
            let off = (count(&dealt, split) as f64 - share * n as f64).abs();
            prop_assert!(off <= dealt.largest_group as f64, "{} is {} off", split, off);
        }
    }

    #[test]
    fn a_document_more_moves_one_of_its_stratum_per_cut(
        n in 40..150_usize,
        strata in 1..4_usize,
        shares in shares(),
    ) {
        prop_assume!(shares.iter().all(|share| share * n as f64 > 2.0 * strata as f64));
        let texts = unlike_texts(n + 1);
        let documents = contents(&texts, strata);
        let (without, with) = (deal(&documents[..n], shares).unwrap(), deal(&documents, shares).unwrap());
        let moved: Vec<usize> = (0..n).filter(|&i| without.splits[i] != with.splits[i]).collect();
        prop_assert!(moved.len() <= 2, "{} moved", moved.len());
        prop_assert!(moved.iter().all(|&i| documents[i].stratum == documents[n].stratum));
    }

    #[test]
    fn spelling_does_not_hide_a_duplicate(
        n in 6..30_usize,
        which in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<u8>(), 4..40),
    ) {
        let mut texts = unlike_texts(n);
        let which = which.index(n);
        let spelt = respelt(&texts[which], &choices);
        prop_assert_eq!(content_hash(&spelt), content_hash(&texts[which]));
        texts.push(spelt);
        let dealt = deal(&contents(&texts, 1), SHARES).unwrap();
        prop_assert_eq!(dealt.splits[n], dealt.splits[which]);
        prop_assert_eq!((dealt.groups, dealt.near_duplicates, dealt.largest_group, dealt.exact_duplicates), (n, 2, 2, 1));
    }

    #[test]
    fn no_split_is_empty_unless_there_are_too_few_groups(
        texts in mosaics(12),
        shares in shares(),
        pins in prop::collection::vec(0..6_usize, 12),
    ) {
        let mut documents = contents(&texts, 2);
        for (document, &pin) in documents.iter_mut().zip(&pins) {
            document.pinned = Split::ALL.get(pin).copied();
        }
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let groups = group(&borrowed).members;
        let pinned: Vec<Option<Split>> =
            groups.iter().map(|members| members.iter().filter_map(|&i| documents[i].pinned).min()).collect();
        let free = pinned.iter().filter(|pin| pin.is_none()).count();
        let wanting = Split::ALL.iter().filter(|&&split| !pinned.contains(&Some(split))).count();
        match deal(&documents, shares) {
            Ok(dealt) => {
                prop_assert!(free >= wanting);
                prop_assert!(Split::ALL.iter().all(|&split| count(&dealt, split) > 0));
                for (members, pin) in groups.iter().zip(pinned) {
                    prop_assert!(pin.is_none_or(|pin| members.iter().all(|&i| dealt.splits[i] == pin)));
                }
            }
            Err(error) => {
                let is_empty_split = matches!(error, DealError::EmptySplit { .. });
                prop_assert!(is_empty_split);
                prop_assert!(free < wanting);
            }
        }
    }
}

#[test]
fn ten_documents_in_halves_fifths_and_the_rest() {
    let texts = unlike_texts(10);
    let dealt = deal(&contents(&texts, 1), SHARES).unwrap();
    assert_eq!(Split::ALL.map(|split| count(&dealt, split)), [5, 2, 3]);
}

/// A passage of 40 words with four questions, twelve times; every document begins with the same 12 words.
#[test]
fn questions_about_one_passage_stay_together_and_a_template_does_not_join_passages() {
    let mut texts = Vec::new();
    for passage in 0..12 {
        let words: Vec<String> = (0..40).map(|i| format!("p{passage}w{i}")).collect();
        for question in 0..4 {
            let own: Vec<String> = (0..30).map(|i| format!("p{passage}q{question}w{i}")).collect();
            let template = "here is a passage then a question give the right answer please";
            texts.push(format!("{template} {} {}", words.join(" "), own.join(" ")));
        }
    }
    let dealt = deal(&contents(&texts, 1), SHARES).unwrap();
    assert_eq!((dealt.groups, dealt.largest_group, dealt.near_duplicates), (12, 4, 48));
}

/// The least of several hashes is small; large groups must not all be searched on for it.
#[test]
fn large_groups_are_in_every_split() {
    let mut texts = unlike_texts(300);
    for big in 0..30 {
        texts.extend((0..9).map(|i| format!("{} tail{i}", unlike(1000 + big))));
    }
    let dealt = deal(&contents(&texts, 1), SHARES).unwrap();
    assert_eq!(dealt.groups, 330);
    let of_large: Vec<Split> = (0..30).map(|big| dealt.splits[300 + 9 * big]).collect();
    let holdout = of_large.iter().filter(|&&split| split == Split::Holdout).count();
    // Binomial with 30 and about 0.3: less than 3 has probability 0.002.
    assert!((3..=17).contains(&holdout), "{holdout}");
}

#[test]
fn what_a_few_shot_example_is_like_is_searched_on() {
    let mut texts = unlike_texts(10);
    texts.extend([format!("{} and more", texts[0]), format!("{}!", texts[0])]);
    let mut documents = contents(&texts, 1);
    documents[11].pinned = Some(Split::Holdout);
    documents[10].pinned = Some(Split::Search);
    let dealt = deal(&documents, SHARES).unwrap();
    assert_eq!([0, 10, 11].map(|i| dealt.splits[i]), [Split::Search; 3]);
    assert_eq!(dealt.overruled_pins, 1);
}

#[test]
fn symbols_are_content_where_there_is_nothing_else() {
    let brackets: Vec<String> = (0..20)
        .map(|i| format!("Close it: {}{}", "( ".repeat(1 + i), "[ ".repeat(20 - i)))
        .collect();
    let hashes: BTreeSet<u64> = brackets.iter().map(|text| content_hash(text)).collect();
    assert_eq!(hashes.len(), 20);
    assert_ne!(content_hash(":-)"), content_hash("?!"));
    assert_eq!(content_hash("Don't  stop\u{ad}ping -- NOW"), content_hash("don’t stopping; now"));
}

/// `printf 'the cat ' | sha256sum`
#[test]
fn the_hash_is_sha_256_of_the_words() {
    assert_eq!(content_hash("The, CAT!"), 0xa654_57b3_0560_2d56);
}

#[test]
fn bad_shares_are_refused() {
    let texts = unlike_texts(10);
    let error = |shares| deal(&contents(&texts, 1), shares).unwrap_err();
    for bad in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            error([0.5, bad, 0.5]),
            DealError::BadShare { split: Split::Selection, .. }
        ));
    }
    assert_eq!(error([0.5, 0.2, 0.2]), DealError::BadSum { sum: 0.5 + 0.2 + 0.2 });
    assert!(deal(&contents(&texts, 1), [0.7, 0.2, 0.1]).is_ok());
}

#[test]
fn no_documents_or_one_group_cannot_be_dealt() {
    let few = DealError::EmptySplit { split: Split::Search, documents: 0, groups: 0, pinned: 0 };
    assert_eq!(deal(&[], SHARES), Err(few));
    let same = vec!["One and the same".to_owned(); 50];
    let error = deal(&contents(&same, 1), SHARES).unwrap_err();
    assert!(matches!(error, DealError::EmptySplit { documents: 50, groups: 1, .. }));
}

#[test]
fn overlaps_name_the_text_most_alike_and_how_much() {
    let (a, b) = (unlike(1), unlike(2));
    let forbidden = [unlike(3), format!("{b} {a} {}", unlike(4)), b.to_uppercase()];
    let forbidden: Vec<&str> = forbidden.iter().map(String::as_str).collect();
    let found = overlaps(&[&a, &unlike(5), &b], &forbidden);
    let found: Vec<(usize, usize, f64)> =
        found.iter().map(|overlap| (overlap.document, overlap.forbidden, overlap.share)).collect();
    assert_eq!(found, [(0, 1, 1.0), (2, 1, 1.0)]);
}

/// Seventeen words have ten n-grams; ten words in common are three of these, nine words two.
#[test]
fn three_of_ten_ngrams_are_enough_and_two_are_not() {
    for (in_common, groups) in [(10, 11), (9, 12)] {
        let mut texts = unlike_texts(10);
        for name in ["x", "y"] {
            let own: Vec<String> = (in_common..17).map(|i| format!("{name}{i}")).collect();
            let both: Vec<String> = (0..in_common).map(|i| format!("both{i}")).collect();
            texts.push(format!("{} {}", both.join(" "), own.join(" ")));
        }
        assert_eq!(deal(&contents(&texts, 1), SHARES).unwrap().groups, groups);
    }
}

/// One in a hundred of 2,000.
#[test]
fn what_twenty_of_two_thousand_have_in_common_is_content_and_what_twenty_one_have_is_template() {
    for (with_passage, groups) in [(20, 1981), (21, 2000)] {
        let mut texts = unlike_texts(2000);
        for text in &mut texts[..with_passage] {
            *text = format!("{} {} {text}", unlike(9998), unlike(9999));
        }
        assert_eq!(deal(&contents(&texts, 1), SHARES).unwrap().groups, groups);
    }
}

#[test]
fn pinned_documents_come_on_top_of_the_shares() {
    let texts = unlike_texts(15);
    let mut documents = contents(&texts, 1);
    for document in &mut documents[..5] {
        document.pinned = Some(Split::Search);
    }
    let dealt = deal(&documents, SHARES).unwrap();
    assert_eq!(Split::ALL.map(|split| count(&dealt, split)), [10, 2, 3]);
}

/// Two documents each: the middle fifth is 0.4 of a document, 80 in all; were every stratum rounded alike, 0 or 200.
#[test]
fn small_strata_do_not_all_round_the_same_way() {
    let texts = unlike_texts(400);
    let names: Vec<String> = (0..200).map(|i| format!("subject {i}")).collect();
    let content = |i: usize| Content { text: &texts[i], stratum: &names[i / 2], pinned: None };
    let dealt = deal(&(0..400).map(content).collect::<Vec<_>>(), SHARES).unwrap();
    assert_eq!(count(&dealt, Split::Search), 200);
    // Binomial with 200 and 0.4: a standard deviation is 7.
    assert!(
        count(&dealt, Split::Selection).abs_diff(80) < 25,
        "{}",
        count(&dealt, Split::Selection)
    );
}

/// The last of a chain is unlike the first, but what is between them is like both.
#[test]
fn chains_are_one_group() {
    let link = |i: usize| [100, 101, 102].map(|start| unlike(start + i)).join(" ");
    let mut texts: Vec<String> = (0..5).map(link).collect();
    texts.extend(unlike_texts(10));
    assert_eq!(deal(&contents(&texts, 1), SHARES).unwrap().largest_group, 5);
}
