//! Oracles: products in f64 with the error bound of sums, small integers that are exact, and laws of bits.

use candle_core::{Device, Result, Tensor};
use half::bf16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::format::{Packed, round};
use super::product::Columns;
use super::rounded::{Rounded, Unit};
use super::*;
use crate::model::layers::Rows;

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// Rows × inputs × outputs around every edge: strips, blocks, tiles, pieces, panels.
const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (3, 31, 33),
    (14, 64, 32),
    (15, 65, 64),
    (17, 33, 31),
    (33, 257, 95),
    (29, 576, 96),
    (200, 300, 40),
    (197, 96, 64),
    (70, 1537, 33),
    (2, 5000, 65),
    (40, 8200, 32),
];

fn uniform(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1f32..1f32)).collect()
}

fn integers(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-8i32..=8) as f32).collect()
}

fn matrix(values: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Result<Matrix> {
    let matrix = Matrix::zeros(outputs, inputs, precision)?;
    matrix.write(values)?;
    Ok(matrix)
}

fn rows(values: &[f32], width: usize) -> Result<Tensor> {
    Tensor::from_slice(values, (values.len() / width, width), &Device::Cpu)
}

fn multiply(x: &[f32], weights: &Matrix) -> Result<Vec<f32>> {
    let x = rows(x, weights.inputs())?;
    let out = rows(&vec![f32::NAN; x.dim(0)? * weights.outputs()], weights.outputs())?;
    product(&out, &x, std::slice::from_ref(weights), None, false)?;
    out.flatten_all()?.to_vec1()
}

/// `(Σ a b, Σ |a| |b|)` of every element, in f64.
fn naive(x: &[f32], w: &[f32], inputs: usize) -> Vec<(f64, f64)> {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    };
    x.chunks(inputs).flat_map(|a| w.chunks(inputs).map(move |b| dot(a, b))).collect()
}

fn assert_near(ours: &[f32], exact: &[(f64, f64)], terms: usize) {
    assert_eq!(ours.len(), exact.len());
    for (at, (&ours, &(sum, size))) in ours.iter().zip(exact).enumerate() {
        let bound = terms as f64 * f64::from(f32::EPSILON) * size;
        assert!(
            (f64::from(ours) - sum).abs() <= bound,
            "element {at}: {ours} is not {sum} ± {bound}"
        );
    }
}

#[test]
fn products_agree_with_f64_within_the_error_bound_of_a_sum() -> Result<()> {
    for (count, inputs, outputs) in SHAPES {
        let (x, w) = (uniform(count * inputs, 1), uniform(outputs * inputs, 2));
        let ours = multiply(&x, &matrix(&w, outputs, inputs, Precision::F32)?)?;
        assert_near(&ours, &naive(&x, &w, inputs), inputs);

        let nearest =
            |values: &[f32]| values.iter().map(|&v| bf16::from_f32(v).to_f32()).collect::<Vec<_>>();
        let ours = multiply(&x, &matrix(&w, outputs, inputs, Precision::Bf16)?)?;
        assert_near(&ours, &naive(&nearest(&x), &nearest(&w), inputs), inputs + 1);
    }
    Ok(())
}

#[test]
fn products_of_small_integers_are_exact() -> Result<()> {
    for precision in PRECISIONS {
        for count in 1..=40 {
            let (inputs, outputs) = (2 * count + 35, 97 - count);
            let (x, w) = (integers(count * inputs, 3), integers(outputs * inputs, 4));
            let exact =
                naive(&x, &w, inputs).into_iter().map(|(sum, _)| sum as f32).collect::<Vec<_>>();
            assert_eq!(
                multiply(&x, &matrix(&w, outputs, inputs, precision)?)?,
                exact,
                "{precision:?} {count}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_any_batch() -> Result<()> {
    for precision in PRECISIONS {
        for (_, inputs, outputs) in SHAPES {
            let x = uniform(230 * inputs, 5);
            let weights = matrix(&uniform(outputs * inputs, 6), outputs, inputs, precision)?;
            let all = multiply(&x, &weights)?;
            for (first, count) in [(0, 1), (229, 1), (13, 2), (31, 17), (100, 47), (1, 200)] {
                let part = multiply(&x[first * inputs..][..count * inputs], &weights)?;
                assert_eq!(
                    part,
                    all[first * outputs..][..count * outputs],
                    "{precision:?} {inputs} {first} {count}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn parts_bias_and_sum_into_a_column_range() -> Result<()> {
    let (count, inputs, sizes) = (21, 40, [33, 64, 5]);
    let total = sizes.iter().sum::<usize>();
    for precision in PRECISIONS {
        let x = integers(count * inputs, 7);
        let w = integers(total * inputs, 8);
        let mut parts = Vec::new();
        let mut first = 0;
        for size in sizes {
            parts.push(matrix(&w[first * inputs..][..size * inputs], size, inputs, precision)?);
            first += size;
        }
        let (bias, before) = (integers(total, 9), integers(count * (total + 10), 10));
        let wide_x = Tensor::cat(&[&rows(&x, inputs)?, &rows(&x, inputs)?], 1)?;
        let (x_range, out) = (wide_x.narrow(1, inputs, inputs)?, rows(&before, total + 10)?);
        product(
            &out.narrow(1, 4, total)?,
            &x_range,
            &parts,
            Some(&Tensor::from_slice(&bias, total, &Device::Cpu)?),
            true,
        )?;
        let (ours, exact) = (out.to_vec2::<f32>()?, naive(&x, &w, inputs));
        for (r, row) in ours.iter().enumerate() {
            for (c, &value) in row.iter().enumerate() {
                let before = before[r * (total + 10) + c];
                let here = (4..4 + total).contains(&c);
                let added =
                    if here { exact[r * total + c - 4].0 as f32 + bias[c - 4] } else { 0.0 };
                assert_eq!(value, before + added, "{precision:?} row {r} column {c}");
            }
        }
    }
    Ok(())
}

#[test]
fn gather_returns_what_was_written() -> Result<()> {
    let (outputs, inputs) = (70, 45);
    let values = uniform(outputs * inputs, 11);
    let transposed: Vec<f32> =
        (0..values.len()).map(|at| values[at % outputs * inputs + at / outputs]).collect();
    for precision in PRECISIONS {
        let expected = |v: f32| match precision {
            Precision::F32 => v,
            Precision::Bf16 => bf16::from_f32(v).to_f32(),
        };
        let direct = matrix(&values, outputs, inputs, precision)?;
        let from_columns = Matrix::zeros(outputs, inputs, precision)?;
        from_columns.write_from(&transposed, |output| output, outputs)?;
        for matrix in [direct, from_columns] {
            let mut out = vec![0.0; 3 * inputs];
            matrix.gather(&[69, 0, 33], &mut out)?;
            let rows = [69, 0, 33].map(|row| &values[row * inputs..][..inputs]).concat();
            assert_eq!(out, rows.into_iter().map(expected).collect::<Vec<_>>());
        }
    }
    Ok(())
}

#[test]
fn rounding_is_that_of_half() {
    let patterns = (0..=u32::MAX).step_by(4099).chain([
        0x7f80_0000,
        0xff80_0000,
        0x7f7f_ffff,
        0x3f80_8000,
        0x3f81_8000,
    ]);
    for bits in patterns {
        let value = f32::from_bits(bits);
        let (ours, theirs) = (round(value), bf16::from_f32(value));
        assert!(ours == theirs || ours.is_nan() && theirs.is_nan(), "{bits:#x}");
    }
}

#[test]
fn every_unit_of_this_processor_multiplies_bf16() -> Result<()> {
    for unit in units() {
        for (count, inputs, outputs) in SHAPES {
            let (x, w) = (integers(count * inputs, 12), integers(outputs * inputs, 13));
            let weights = matrix(&w, outputs, inputs, Precision::Bf16)?;
            let (storage, layout) = weights.packed.storage_and_layout();
            let Packed::Bf16(packed) = Packed::new(&storage, layout)? else {
                candle_core::bail!("not bf16");
            };
            let mut out = vec![1.0; count * outputs];
            let x_rows = Rows { values: &x, stride: inputs, width: inputs, count };
            let mut columns = Columns { values: &mut out, stride: outputs, width: outputs };
            Rounded::new(x_rows).product(unit, packed, &mut columns, true);
            let exact = naive(&x, &w, inputs)
                .into_iter()
                .map(|(sum, _)| sum as f32 + 1.0)
                .collect::<Vec<_>>();
            assert_eq!(out, exact, "{unit:?} {count} {inputs} {outputs}");
        }
    }
    Ok(())
}

fn units() -> Vec<Unit> {
    let mut units = vec![Unit::Widened, Unit::best()];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bf16") {
        units.push(Unit::Pairs);
    }
    units
}

#[test]
fn wrong_shapes_are_errors() -> Result<()> {
    let weights = matrix(&uniform(6, 14), 2, 3, Precision::F32)?;
    let x = rows(&uniform(8, 15), 4)?;
    assert!(
        product(&rows(&[0.0; 4], 2)?, &x, std::slice::from_ref(&weights), None, false).is_err()
    );
    assert!(weights.write(&[0.0; 5]).is_err());
    assert!(weights.gather(&[2], &mut [0.0; 3]).is_err());
    assert!(weights.write_from(&[0.0; 6], |output| output, 3).is_err());
    Ok(())
}

#[test]
fn the_portable_panel_product_agrees_with_the_fast_one_on_integers() {
    let (count, depth) = (17, 50);
    let (a, panel) = (integers(count * depth, 16), integers(depth * PANEL, 17));
    let mut fast = vec![1.0; count * PANEL];
    let mut portable = fast.clone();
    panel_product(&a, depth, count, depth, &panel, &mut fast, PANEL, true);
    panel::portable_product(&a, count, &panel, &mut portable);
    assert_eq!(fast, portable);
}
