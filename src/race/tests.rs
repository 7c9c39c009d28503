//! Races of made-up candidates.

use proptest::prelude::*;

use super::*;
use crate::outcome::ItemScore;

const TASKS: usize = 3;
const DOCS: usize = 60;

fn race(racing: Racing, seed: u64) -> Race {
    Race::new(racing, &Aggregate::geometric_mean(TASKS), &[DOCS; TASKS], Seed(seed))
}

/// Scores of documents by a rule: right or wrong by task and position.
fn scored(docs: &DocSubset, right: impl Fn(usize, u32) -> bool) -> Scored {
    let item =
        |right: bool| ItemScore { score: f64::from(u8::from(right)), chosen: None, margin: 0.0 };
    let of_task = |(task, docs): (usize, &Vec<u32>)| TaskScore {
        task: task.to_string(),
        items: docs.iter().map(|&doc| item(right(task, doc))).collect(),
        others: Vec::new(),
    };
    Some(docs.0.iter().enumerate().map(of_task).collect())
}

/// Any outcome of a document, fixed by who was asked what.
fn coin(seed: u64, candidate: usize, task: usize, doc: u32) -> bool {
    let words = [candidate as u64, task as u64, u64::from(doc)];
    let hash = words.iter().fold(seed, |hash, word| {
        let mixed = (hash ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    });
    hash >> 63 == 1
}

/// Plays a generation: scores, documents of the second block, costs.
fn play(race: &mut Race, population: usize, right: impl Fn(usize, usize, u32) -> bool) -> Played {
    let (first, all) = (race.first(), race.all());
    let on = |docs: &DocSubset, i: usize| scored(docs, |task, doc| right(i, task, doc));
    let mut scores: Vec<Scored> = (0..population).map(|i| on(&first, i)).collect();
    let further = race.further(&scores);
    if let Some((survivors, rest)) = &further {
        assert_eq!(*rest, all.without(&first));
        survivors.iter().for_each(|&i| scores[i] = on(&all, i));
    }
    Played { first, further, costs: race.finish(&scores) }
}

#[derive(Debug, Clone, PartialEq)]
struct Played {
    first: DocSubset,
    further: Option<(Vec<usize>, DocSubset)>,
    costs: Vec<Costs>,
}

fn racings() -> impl Strategy<Value = Racing> {
    let shares = (0.0f64..=1.0, 0.0f64..=1.0, 0.0f64..=1.0, 0.05f64..0.95);
    (shares, 1usize..20, 1usize..80, 0usize..4).prop_map(
        |(
            (first_share, keep_share, anchor_share, reliability),
            least_docs,
            most_docs,
            resamples,
        )| {
            let sizes = (least_docs, most_docs.max(least_docs));
            let (least_docs, most_docs) = sizes;
            Racing {
                first_share,
                keep_share,
                anchor_share,
                reliability,
                least_docs,
                most_docs,
                resamples,
            }
        },
    )
}

proptest! {
    /// The same outcomes give the same documents, survivors and costs: what a replay needs.
    #[test]
    fn the_same_outcomes_make_the_same_race(racing in racings(), seed: u64, outcomes: u64) {
        let play_all = || {
            let mut race = race(racing, seed);
            (0..6).map(|_| play(&mut race, 8, |i, t, doc| coin(outcomes, i, t, doc))).collect::<Vec<_>>()
        };
        prop_assert_eq!(play_all(), play_all());
    }

    /// Nobody who was stopped ranks above anybody who was not, in no resample either; and who was stopped was not better
    /// on the first block.
    #[test]
    fn who_was_stopped_ranks_below(racing in racings(), seed: u64, outcomes: u64) {
        let mut race = race(racing, seed);
        for _ in 0..4 {
            let Played { further, costs, .. } = play(&mut race, 9, |i, t, doc| coin(outcomes, i, t, doc));
            let Some((survivors, _)) = further else { continue };
            let (on, off): (Vec<usize>, Vec<usize>) = (0..9).partition(|i| survivors.contains(i));
            prop_assert!(on.len() >= (racing.keep_share * 9.0).round() as usize);
            for (&on, &off) in on.iter().flat_map(|on| off.iter().map(move |off| (on, off))) {
                prop_assert!(costs[on].values[0] < costs[off].values[0]);
                prop_assert!(costs[on].resamples.iter().zip(&costs[off].resamples).all(|(on, off)| on < off));
            }
        }
    }

    /// Resamples are paired: candidates that agree on every document agree in every resample.
    #[test]
    fn equal_answers_have_equal_costs(racing in racings(), seed: u64, outcomes: u64) {
        let mut race = race(racing, seed);
        let costs = play(&mut race, 6, |i, t, doc| coin(outcomes, i / 2, t, doc)).costs;
        for pair in costs.chunks(2) {
            prop_assert_eq!(&pair[0], &pair[1]);
        }
        prop_assert!(costs.iter().all(|costs| costs.resamples.len() == racing.resamples));
    }
}

#[test]
fn the_better_half_goes_on_with_those_tied_to_it() {
    let racing = Racing { keep_share: 0.5, first_share: 0.5, least_docs: 10, ..Racing::default() };
    let race = race(racing, 1);
    let first = race.first();
    assert_eq!(first.docs(), 5 * TASKS);
    // Right on the first 5, 1, 3, 3 documents of each task's five; the fifth candidate is infeasible.
    let known = [5, 1, 3, 3];
    let of = |known: usize| scored(&first, |task, doc| first.0[task][..known].contains(&doc));
    let mut scores: Vec<Scored> = known.into_iter().map(of).collect();
    scores.push(None);
    let (survivors, rest) = race.further(&scores).unwrap();
    assert_eq!(survivors, [0, 2, 3], "round(0.5 · 5) = 3");
    assert_eq!(rest.docs(), 5 * TASKS);
    scores.push(None);
    scores.push(of(3));
    // Now 3 or 4 of 7 places, the cut among three that are tied.
    assert_eq!(race.further(&scores).unwrap().0, [0, 2, 3, 6]);
    assert_eq!(race.further(&vec![None; 4]), None, "nobody to go on");
}

#[test]
fn costs_by_hand() {
    let racing = Racing {
        first_share: 0.5,
        keep_share: 0.5,
        least_docs: 4,
        most_docs: 4,
        resamples: 3,
        ..Racing::default()
    };
    let mut race = Race::new(racing, &Aggregate::geometric_mean(1), &[4], Seed(0));
    let (first, all) = (race.first(), race.all());
    let right = scored(&all, |_, _| true);
    let wrong = scored(&first, |_, _| false);
    let costs = race.finish(&[right, wrong, None]);
    // (4 + ½)/(4 + 1) of all four right; (0 + ½)/(2 + 1) of two wrong, stopped; a resample of equals is the same.
    let close = |cost: f64, expected: f64| (cost - expected).abs() < 1e-15;
    assert!(costs[0].values.iter().chain(&costs[0].resamples).all(|cost| close(*cost, -0.9)));
    assert!(
        costs[1].values.iter().chain(&costs[1].resamples).all(|cost| close(*cost, 2.0 - 1.0 / 6.0))
    );
    assert!(costs[2].values.iter().chain(&costs[2].resamples).all(|cost| *cost == f64::INFINITY));
    assert_eq!((costs[0].resamples.len(), costs[2].resamples.len()), (3, 3));
}

/// Candidates that differ only by chance need more documents than those that differ much; nobody ever has more than
/// `most_docs`, or fewer than `least_docs`.
#[test]
fn documents_follow_the_noise() {
    let racing = Racing { least_docs: 5, most_docs: 40, ..Racing::default() };
    let docs_after = |right: &dyn Fn(usize, usize, u32) -> bool| {
        let mut race = race(racing, 3);
        for generation in 0..30 {
            let _ = play(&mut race, 20, |i, t, doc| right(i + 100 * generation, t, doc));
        }
        race.all().docs() / TASKS
    };
    assert_eq!(docs_after(&|i, t, doc| coin(9, i, t, doc)), 40);
    assert_eq!(docs_after(&|i, _, doc| doc % 20 < i as u32 % 20), 5);
    assert_eq!(docs_after(&|_, _, _| true), 5, "no noise, no need");
}

/// Of n documents with a share p right, the bootstrap's variance of the mean is p(1-p)/n; here on the shrunk scale.
#[test]
fn resamples_have_the_binomial_variance() {
    let racing = Racing {
        least_docs: 40,
        most_docs: 40,
        first_share: 1.0,
        resamples: 4000,
        ..Racing::default()
    };
    let mut race = Race::new(racing, &Aggregate::geometric_mean(1), &[40], Seed(5));
    let costs = race.finish(&[scored(&race.all(), |_, doc| doc < 10)]);
    let expected = 0.25 * 0.75 * 40.0 / (41.0 * 41.0);
    assert!((variance(&costs[0].resamples) / expected - 1.0).abs() < 0.1);
    assert!((mean(&costs[0].resamples) + 10.5 / 41.0).abs() < 0.005);
}

#[test]
fn populations_by_hand() {
    // 3 ln 32 = 10.397; √3318 = 57.6 = 6 · 9.6, √13271 = 115.2 = 12 · 9.6.
    assert_eq!((population(32, 3318.0, 1), population(32, 3318.0, 8)), (84, 88));
    assert_eq!((population(32, 13271.0, 1), population(1, 10.0, 3)), (168, 9));
    assert_eq!((population(32, f64::NAN, 1), population(32, f64::INFINITY, 1)), (28, 224));
}
