//! ML1 against its definition in other hands.

use super::ml1::{GENES, Ml1, SplitMix64, TASKS};

fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-12, "expected {expected}, got {got}");
}

#[test]
fn splitmix64_seed_42() {
    let mut g = SplitMix64(42);
    let drawn = [g.next(), g.next(), g.next()];
    assert_eq!(drawn, [13679457532755275413, 2949826092126892291, 5139283748462763858]);
}

/// o00, alpha0, nu00, h00, v000, tau00, F(centre, genes 0), F(ramp, genes g mod 4), time(genes
/// g mod 4).
fn check(instance: &Ml1, vector: [f64; 9], accuracies: [f64; TASKS]) {
    let d = instance.d;
    assert_eq!(instance.kstar, [0, 3, 3, 1, 2, 3, 0, 2]);
    let ramp: Vec<f64> = (0..d).map(|i| (i as f64 + 0.5) / d as f64).collect();
    let cycling: Vec<usize> = (0..GENES).map(|g| g % 4).collect();
    let got = [
        instance.o[0][0],
        instance.alpha[0],
        instance.nu[0][0],
        instance.h[0][0],
        instance.v[0][0][0],
        instance.tau[0][0],
        instance.truth(&vec![0.5; d], &[0; GENES]),
        instance.truth(&ramp, &cycling),
        instance.time(&cycling),
    ];
    got.into_iter().zip(vector).for_each(|(got, expected)| close(got, expected));
    instance
        .accuracies(&ramp, &cycling)
        .into_iter()
        .zip(accuracies)
        .for_each(|(got, e)| close(got, e));
}

#[test]
fn instance_1000_with_24_weights() {
    let vector = [
        0.51828879703198,
        1.4379406856387962,
        -1.710406259370863,
        1.0198767910300743,
        0.2577338788949273,
        0.7445659262850313,
        0.5437172837883198,
        0.3391773239412783,
        1.0639920660334672,
    ];
    let accuracies = [
        0.3509226765754585,
        0.25079137689831427,
        0.5678299241297871,
        0.31793194668779867,
        0.28252544571661525,
    ];
    check(&Ml1::new(1000, 24), vector, accuracies);
}

#[test]
fn instance_1000_with_96_weights() {
    let vector = [
        0.51828879703198,
        2.447702853350515,
        0.9189427836533205,
        0.17159074169849273,
        -0.08206861931350411,
        0.4162883781313602,
        0.5626575525517948,
        0.44665231835758495,
        1.063454259428137,
    ];
    let accuracies = [
        0.6825295105785126,
        0.36557746421530213,
        0.6893223400272424,
        0.3933860972660519,
        0.2627276322472757,
    ];
    check(&Ml1::new(1000, 96), vector, accuracies);
}

/// L-BFGS-B of scipy on the same landscape, from the same starts.
#[test]
fn best_of_the_first_instances_equal_scipys() {
    let d24 = [0.87927484, 0.87590196, 0.86588476, 0.85390664, 0.90309293];
    for (seed, expected) in (1000..).zip(d24) {
        let got = Ml1::new(seed, 24).best();
        assert!((got - expected).abs() < 2e-7, "instance {seed}: {got}, scipy {expected}");
    }
    let d96 = [0.90660052, 0.87077745];
    for (seed, expected) in (1000..).zip(d96) {
        let got = Ml1::new(seed, 96).best();
        assert!((got - expected).abs() < 2e-7, "instance {seed}: {got}, scipy {expected}");
    }
}
