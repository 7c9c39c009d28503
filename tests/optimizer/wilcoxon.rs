//! The benchmark's paired test against scipy 1.17.1: `scipy.stats.wilcoxon(x, mode="exact")`, and with ties
//! `wilcoxon(x, mode="approx", correction=False)`.

use super::compare::wilcoxon;

#[test]
fn exact_p_values_are_scipys() {
    let eight = [2.6409, -1.9557, 1.0181, 0.0322, 0.1474, 0.3844, -1.42, 0.3681];
    assert!((wilcoxon(&eight) - 0.546875).abs() < 1e-12);
    #[rustfmt::skip]
    let many = [
        -0.5652, 3.623, 0.5258, -0.0526, 0.0187, -0.368, -0.7552, -0.0908, 0.7819, 0.0614, 1.2578, 0.1002, 0.3243,
        1.8458, 0.8451, -0.2052, 0.1172, 0.8405, 2.2351, 0.0304, 0.0564, 1.3023, -0.5865, 0.0083, 1.1825,
    ];
    assert!((wilcoxon(&many) - 0.021908342838287354).abs() < 1e-12);
}

#[test]
fn ties_are_corrected_for_as_scipy_does() {
    #[rustfmt::skip]
    let tied = [
        -0.8, 0.8, -0.6, 1.8, 0.4, -1.3, 2.1, 1.2, 1.2, 1.5, 0.7, -0.2, -0.4, -0.4, 1.8, -1.1, -0.2, 0.1, 0.6, 1.0,
        -0.8, -1.3, 0.4, 1.6, 1.2, 0.6, 0.1, 0.7, 0.2, 0.0,
    ];
    let p = wilcoxon(&tied);
    assert!((p - 0.064254964638537).abs() < 1e-6, "{p}");
    assert_eq!(wilcoxon(&[0.0, 0.0]), 1.0);
}
