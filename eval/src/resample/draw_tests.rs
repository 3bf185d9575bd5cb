#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use super::*;

/// Rows that name themselves: column k counts the draws of row k.
fn unit_rows<const K: usize>() -> Vec<Row<1, K>> {
    (0..K).map(|row| [std::array::from_fn(|k| u64::from(k == row))]).collect()
}

/// Pearson's statistic of observed counts against expected ones.
fn chi_square(observed: &[f64], expected: &[f64]) -> f64 {
    observed.iter().zip(expected).map(|(o, e)| (o - e).powi(2) / e).sum()
}

/// Three clusters have 27 ordered resamples: 10 sets with 1, 3 or 6 orders each.
#[test]
fn three_clusters_are_drawn_in_all_27_ways() {
    let draws = 270_000;
    let mut seen = std::collections::BTreeMap::new();
    for [counts] in resampled(&unit_rows::<3>(), draws, 5) {
        assert_eq!(counts.iter().sum::<u64>(), 3);
        *seen.entry(counts).or_insert(0.0) += 1.0;
    }
    let orders = |counts: &[u64; 3]| {
        6.0 / counts.iter().map(|&c| [1.0, 1.0, 2.0, 6.0][c as usize]).product::<f64>()
    };
    let expected: Vec<f64> = seen.keys().map(|counts| orders(counts) * 10_000.0).collect();
    assert_eq!(expected.iter().sum::<f64>(), f64::from(draws));
    // 9 degrees of freedom: above 33.7 once in 10,000 seeds.
    let observed: Vec<f64> = seen.into_values().collect();
    let statistic = chi_square(&observed, &expected);
    assert!(statistic < 33.7, "{statistic}: {observed:?}");
}

/// Any number of rows, whole blocks or not: each is drawn equally often, as often as there are rows.
#[test]
fn every_row_is_equally_likely() {
    for rows in [1, 2, 5, 511, 512, 513, 1025, 2047, 3000] {
        // A row is its own number and the square of it.
        let numbered: Vec<Row<1, 3>> = (0..rows).map(|i| [[1, i, i * i]]).collect();
        let resamples = 4000;
        let sums = resampled(&numbered, resamples, 11);
        assert!(sums.iter().all(|[sums]| sums[0] == rows));
        for column in [1, 2] {
            let values: Vec<f64> = numbered.iter().map(|[row]| row[column] as f64).collect();
            let n = rows as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            // The mean of a resample's mean is that of the rows, its variance the rows' by n.
            let means: Vec<f64> = sums.iter().map(|[sums]| sums[column] as f64 / n).collect();
            let average = means.iter().sum::<f64>() / f64::from(resamples);
            let error = (variance / n / f64::from(resamples)).sqrt();
            assert!((average - mean).abs() <= 4.5 * error, "{rows}: {average} {mean} {error}");
            let spread =
                means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / f64::from(resamples);
            // A variance of 4000 values is within 4.5 of its own errors, sqrt(2 / 4000) each
            // where the values are nearly normal, which of few rows they are less than.
            assert!(
                (spread / (variance / n).max(1e-300) - 1.0).abs() < 0.12 || rows == 1,
                "{rows}"
            );
        }
    }
}

#[test]
fn binomials_have_their_mean_and_variance() {
    let mut random = random(1, 2);
    for (n, share) in [(1, [1, 3]), (63, [2, 3]), (64, [1, 2]), (1000, [512, 700]), (130, [4, 5])] {
        let p = share[0] as f64 / share[1] as f64;
        let times = 20_000;
        let values: Vec<f64> = (0..times).map(|_| binomial(&mut random, n, share) as f64).collect();
        let (mean, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
        let found = values.iter().sum::<f64>() / f64::from(times);
        assert!(
            (found - mean).abs() < 4.5 * (variance / f64::from(times)).sqrt(),
            "{n} {p}: {found}"
        );
        let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(times);
        assert!((spread / variance - 1.0).abs() < 0.06, "{n} {p}: {spread} {variance}");
    }
    // Certain and impossible.
    assert_eq!(binomial(&mut random, 100, [0, 7]), 0);
    assert_eq!(binomial(&mut random, 0, [1, 7]), 0);
}
