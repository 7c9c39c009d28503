//! Gates against numpy's (`tests/reference/routing/gates.py`), from text to decision.

use serde_json::Value;

use super::fit::{Sample, fit};
use super::text::ngrams;
use crate::recipe::{Classes, Features, Gate, GateKind};

fn reference() -> Value {
    serde_json::from_str(include_str!("../../../../tests/reference/routing/gates.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn close(got: &[f64], expected: &Value, tolerance: f64) {
    let expected = numbers(expected);
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        assert!((got - expected).abs() <= tolerance, "{got} {expected}");
    }
}

#[test]
fn odd_prompts_give_numpys_ngrams() {
    let reference = reference();
    let buckets = reference["buckets"].as_u64().unwrap() as usize;
    for odd in reference["odd"].as_array().unwrap() {
        close(&ngrams(odd["prompt"].as_str().unwrap(), buckets), &odd["ngrams"], 1e-11);
    }
}

#[test]
fn gates_are_numpys() {
    let reference = reference();
    let buckets = reference["buckets"].as_u64().unwrap() as usize;
    let prompts = reference["prompts"].as_array().unwrap().iter();
    let rows: Vec<Vec<f64>> = prompts.map(|text| ngrams(text.as_str().unwrap(), buckets)).collect();
    let labels = numbers(&reference["labels"]);
    let samples = || {
        let labelled = rows.iter().zip(&labels);
        labelled.map(|(row, task)| Sample { features: row.clone(), task: *task as usize }).collect()
    };
    let gate =
        |kind| Gate { features: Features::Ngrams { buckets }, kind, classes: Classes::Tasks(3) };
    let decisions = |gate: &super::FittedGate| -> Vec<f64> {
        rows.iter().map(|row| gate.class(row) as f64).collect()
    };
    let nearest = fit(&gate(GateKind::Centroid), samples());
    let greatest = fit(&gate(GateKind::Linear), samples());
    for class in 0..3 {
        close(&nearest.terms[class].vector, &reference["means"][class], 1e-11);
        close(&greatest.terms[class].vector, &reference["weights"][class], 1e-8);
        close(&[greatest.terms[class].bias], &serde_json::json!([reference["bias"][class]]), 1e-8);
    }
    assert_eq!(decisions(&nearest), numbers(&reference["nearest"]));
    assert_eq!(decisions(&greatest), numbers(&reference["greatest"]));
}
