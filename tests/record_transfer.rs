//! The best genotypes of an earlier run in the genes of another space.

use merge_search::genome::{Dimension, Domain, Gene, Genotype};
use merge_search::outcome::Estimate;
use merge_search::record::{RecordedGene, RunFolder, RunWriter, Transfer, TrialKind};
use merge_search::units::Split;

use crate::record::{manifest, scored, trial};

const TASKS: [&str; 2] = ["arc", "boolq"];

/// A run whose candidates 1, 2, 3 have weights 1.1, 2.1, 3.1 and scores as given; the last is scored on selection too.
fn run(scores: [f64; 3], on_selection: f64) -> (tempfile::TempDir, RunFolder) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut writer = RunWriter::create(&path, manifest(&TASKS, 4)).unwrap();
    let estimate = |value| Some(Estimate { value, low: value - 0.1, high: value + 0.1 });
    for (number, score) in (1..).zip(scores) {
        let mut row = trial(number, 1, scored(&TASKS, 4, number));
        row.objective = estimate(score);
        writer.append(&row).unwrap();
    }
    let mut last = trial(3, 1, scored(&TASKS, 4, 3));
    (last.kind, last.split, last.objective) =
        (TrialKind::Final, Split::Selection, estimate(on_selection));
    writer.append(&last).unwrap();
    drop(writer);
    (folder, RunFolder::open(&path).unwrap())
}

fn dimension(name: &str, domain: Domain) -> Dimension {
    Dimension { name: name.to_owned(), domain, initial: None }
}

fn weight(high: f64) -> Dimension {
    dimension("weight", Domain::Continuous { low: 0.0, high })
}

/// The choices in another order than the run's, which had "ties" and "dare_ties".
fn method() -> Dimension {
    let choices = ["dare_ties", "linear", "ties"].map(str::to_owned).to_vec();
    dimension("method", Domain::Categorical { choices })
}

#[test]
fn genes_are_matched_by_name_and_choices_by_word() {
    let (_folder, run) = run([0.4, 0.6, 0.5], 0.3);
    let density = dimension("density", Domain::Continuous { low: 0.0, high: 1.0 });
    let start = Genotype(vec![Gene::Category(2), Gene::Real(0.8), Gene::Real(0.5)]);
    let found = run.transfer(&[method(), density, weight(5.0)], &start, 3).unwrap();
    // First the finalist, though its score on selection is less; then by the score on the search split.
    let genotype = |weight| Genotype(vec![Gene::Category(0), Gene::Real(0.8), Gene::Real(weight)]);
    let expected = Transfer {
        genotypes: vec![genotype(3.1), genotype(2.1), genotype(1.1)],
        missing: vec!["density".to_owned()],
        ignored: vec!["layers".to_owned()],
        outside: Vec::new(),
    };
    assert_eq!(found, expected);
}

#[test]
fn values_outside_the_space_are_counted_and_not_clipped() {
    let (_folder, run) = run([0.4, 0.6, 0.5], 0.3);
    let start = Genotype(vec![Gene::Real(0.0)]);
    let found = run.transfer(&[weight(2.5)], &start, 9).unwrap();
    assert_eq!(found.genotypes, [Genotype(vec![Gene::Real(2.1)]), Genotype(vec![Gene::Real(1.1)])]);
    assert_eq!(found.outside, ["weight"]);
    assert_eq!(run.transfer(&[weight(2.5)], &start, 1).unwrap().genotypes.len(), 1);
}

#[test]
fn an_integer_gene_of_another_domain_is_another_gene() {
    let (_folder, run) = run([0.4, 0.6, 0.5], 0.3);
    let start = Genotype(vec![Gene::Real(0.0), Gene::Integer(7)]);
    let layers = |high| dimension("layers", Domain::Integer { low: 0, high });
    let same = run.transfer(&[weight(5.0), layers(9)], &start, 1).unwrap();
    assert_eq!((same.genotypes[0].0[1], same.missing.len()), (Gene::Integer(3), 0));
    let other = run.transfer(&[weight(5.0), layers(8)], &start, 1).unwrap();
    assert_eq!((other.genotypes[0].0[1], other.missing), (Gene::Integer(7), vec!["layers".into()]));
}

#[test]
fn warm_starts_in_the_manifest_come_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut began = manifest(&TASKS, 4);
    let genes = [Gene::Real(0.1 + 0.2), Gene::Integer(i64::MIN), Gene::Category(1)];
    began.optimizer.warm_start = vec![genes.map(RecordedGene::from).to_vec()];
    began.optimizer.covariance = "low-rank".to_owned();
    drop(RunWriter::create(&path, began.clone()).unwrap());
    let read = RunFolder::open(&path).unwrap().manifest().optimizer.clone();
    assert_eq!(read, began.optimizer);
    let back: Vec<Gene> = read.warm_start[0].iter().map(|gene| (*gene).into()).collect();
    assert_eq!(back, genes);
}

#[test]
fn the_merges_of_a_space_start_from_the_one_of_a_run() {
    let (_folder, run) = run([0.4, 0.6, 0.5], 0.3);
    let of = |name: &str| Dimension { name: name.to_owned(), ..weight(5.0) };
    let space = [weight(5.0), of("merge1.weight"), of("merges.weight"), of("merge1.density")];
    let start = Genotype(vec![Gene::Real(0.25); 4]);
    let found = run.transfer(&space, &start, 1).unwrap();
    let genes = [3.1, 3.1, 0.25, 0.25].map(Gene::Real).to_vec();
    assert_eq!(found.genotypes, [Genotype(genes)]);
    assert_eq!(found.missing, ["merges.weight", "merge1.density"]);
}
