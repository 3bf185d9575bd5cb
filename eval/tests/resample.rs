//! Bootstrap intervals and paired tests: against scipy (`fixtures/resample/generate.py`), against
//! what can be worked out by hand, and against themselves in another order.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use std::num::NonZeroU32;

use segzero_eval::resample::{
    Difference, Headline, Interval, Level, Options, Resample, Terms, compare, intervals,
};
use segzero_test_support::fixture;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    resamples: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// Image, then IoU in thousandths, intersection and union of either run.
    units: Vec<[u64; 7]>,
    swaps: Vec<Swap>,
    intervals: Vec<Expected>,
}

#[derive(Deserialize)]
struct Swap {
    figure: String,
    exact: bool,
    difference: f64,
    p: f64,
}

#[derive(Deserialize)]
struct Expected {
    figure: String,
    of: String,
    level: f64,
    low: f64,
    high: f64,
    standard_error: f64,
}

fn scipy() -> Fixture {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "resample/resample.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn options(resamples: u32) -> Options {
    Options { resamples: NonZeroU32::new(resamples).unwrap(), ..Options::default() }
}

/// Number of units, IoUs in thousandths, intersections, unions.
type Unit = [u64; 4];

fn pairs(case: &Case) -> Vec<(u64, [Unit; 2])> {
    let pair = |&[image, a, b, c, d, e, f]: &[u64; 7]| (image, [[1, a, b, c], [1, d, e, f]]);
    case.units.iter().map(pair).collect()
}

/// gIoU and cIoU.
fn figures(&[n, iou, intersection, union]: &Unit) -> [Option<f64>; 2] {
    let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    [ratio(iou, 1000 * n), ratio(intersection, union)]
}

fn position(figure: &str) -> usize {
    ["giou", "ciou"].iter().position(|name| *name == figure).unwrap()
}

/// An end of an interval from `m` resamples has a standard error of `sqrt(p (1 - p) / m) / f`, where
/// `f` is the density there. Of a nearly normal figure that is below 2.7 standard errors of the
/// figure by `sqrt(m)` at 2.5 % (and less at 10 %). Two generators: a factor of `sqrt(2)`; five of
/// these are allowed.
fn tolerance(standard_error: f64, resamples: u32) -> f64 {
    5.0 * 2f64.sqrt() * 2.7 / f64::from(resamples).sqrt() * standard_error
}

#[test]
fn intervals_are_those_of_scipy() {
    let Fixture { resamples, cases } = scipy();
    let mut checked = 0;
    for case in &cases {
        for expected in &case.intervals {
            let level = Level::try_from(expected.level).unwrap();
            let options = Options { level, ..options(resamples) };
            let figure = position(&expected.figure);
            let found = if expected.of == "gain" {
                compare(pairs(case), figures, &options)[figure].unwrap().interval
            } else {
                let base = pairs(case).into_iter().map(|(image, [base, _])| (image, base));
                intervals(base, figures, &options)[figure].unwrap()
            };
            let within = tolerance(expected.standard_error, resamples);
            assert!((found.low - expected.low).abs() < within, "{found:?}, {}", expected.low);
            assert!((found.high - expected.high).abs() < within, "{found:?}, {}", expected.high);
            // The standard deviation of m values is within 5 sqrt(2) / sqrt(2 m) of their own.
            let ratio = found.standard_error / expected.standard_error;
            assert!((ratio - 1.0).abs() < 5.0 / f64::from(resamples).sqrt(), "{ratio}");
            assert_eq!(found.undefined, 0);
            checked += 1;
        }
    }
    assert_eq!(checked, 8);
}

#[test]
fn randomisation_tests_are_those_of_scipy() {
    let Fixture { resamples, cases } = scipy();
    let (mut exact, mut drawn) = (0, 0);
    for case in &cases {
        let found = compare(pairs(case), figures, &options(resamples));
        for expected in &case.swaps {
            let found = found[position(&expected.figure)].unwrap();
            assert!((found.difference - expected.difference).abs() < 1e-12);
            assert_eq!(found.is_exact, expected.exact);
            if expected.exact {
                assert!(found.swaps.is_power_of_two());
                assert!((found.p_swap - expected.p).abs() < 1e-12, "{found:?}, {}", expected.p);
                exact += 1;
            } else {
                assert_eq!(found.swaps, u64::from(resamples) + 1);
                // Two shares of m draws each, five standard errors.
                let error = (2.0 * expected.p * (1.0 - expected.p) / f64::from(resamples)).sqrt();
                assert!(
                    (found.p_swap - expected.p).abs() < 5.0 * error,
                    "{found:?}, {}",
                    expected.p
                );
                drawn += 1;
            }
        }
    }
    assert_eq!((exact, drawn), (6, 2));
}

/// The mean of whole numbers.
fn mean(&[sum, n]: &[u64; 2]) -> [Option<f64>; 1] {
    [(n > 0).then(|| sum as f64 / n as f64)]
}

/// Of 27 resamples of gains 3, 1 and -1: the sum is below 0 in 4 ((-1, -1, -1) and 3 orders of
/// (1, -1, -1)) and 0 in none, for the sum of three odd numbers is odd.
#[test]
fn three_clusters_are_enough() {
    let units = [(0, [[5, 1], [8, 1]]), (1, [[5, 1], [6, 1]]), (2, [[5, 1], [4, 1]])];
    let draws = 100_000;
    let [found] = compare(units, mean, &options(draws));
    let found = found.unwrap();
    let expected = 2.0 * 4.0 / 27.0;
    let error = 2.0 * (4.0 / 27.0 * 23.0 / 27.0 / f64::from(draws)).sqrt();
    assert!((found.p_bootstrap - expected).abs() < 5.0 * error, "{found:?}");
    // The signs of 3, 1 and 1 give sums of at least 3 in size 6 times of 8: 5, 3, 3 and opposites.
    assert_eq!((found.p_swap, found.swaps, found.is_exact), (6.0 / 8.0, 8, true));
    assert_eq!((found.wins, found.losses, found.ties), (2, 1, 0));
    assert_eq!(found.difference, 1.0);
    // Both ends are beyond 1 of 27: all three the largest gain, all three the smallest.
    assert_eq!((found.interval.low, found.interval.high), (-1.0, 3.0));
}

/// Whole numbers in no particular order.
fn numbers(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 1000)
}

#[test]
fn intervals_of_many_units_are_nearly_normal() {
    let values: Vec<f64> = numbers(20_000).map(|v| v as f64).collect();
    let n = values.len() as f64;
    let average = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - average).powi(2)).sum::<f64>() / n;
    let error = (variance / n).sqrt();
    let units = || numbers(20_000).enumerate().map(|(i, v)| (i as u64, [v, 1]));
    let [found] = intervals(units(), mean, &options(10_000));
    let found = found.unwrap();
    // As `tolerance`, for one generator.
    let within = 5.0 * 2.7 / 100.0 * error;
    assert!((found.low - (average - 1.959_964 * error)).abs() < within, "{found:?}");
    assert!((found.high - (average + 1.959_964 * error)).abs() < within, "{found:?}");

    // The same units, 100 to an image, alike within it: the interval is ten times as wide, unless
    // units are drawn.
    let clustered =
        || (0..20_000).zip(numbers(200).flat_map(|v| [v; 100])).map(|(i, v)| (i / 100, [v, 1]));
    let [by_image] = intervals(clustered(), mean, &options(2000));
    let by_unit = Options { resample: Resample::Unit, ..options(2000) };
    let [by_unit] = intervals(clustered(), mean, &by_unit);
    let ratio = by_image.unwrap().standard_error / by_unit.unwrap().standard_error;
    assert!((ratio - 10.0).abs() < 1.0, "{ratio}");
}

#[test]
fn results_do_not_depend_on_order_names_or_threads() {
    let units: Vec<(u64, [[u64; 2]; 2])> =
        numbers(3000).zip(0..).map(|(v, i)| (i / 3, [[v, 1], [v + i % 7, 1]])).collect();
    let run = |units: &[(u64, [[u64; 2]; 2])], options: &Options, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compare(units.iter().copied(), mean, options))
    };
    for resample in [Resample::Image, Resample::Unit] {
        let options = Options { resample, ..options(300) };
        let expected = run(&units, &options, 1);
        let mut other = units.clone();
        other.reverse();
        other.iter_mut().for_each(|(image, _)| *image = image.wrapping_mul(0x5851_f42d_4c95_7f2d));
        assert_eq!(run(&other, &options, 3), expected);
        let seeded = Options { seed: 1, ..options };
        assert_ne!(run(&units, &seeded, 1), expected);
    }
}

/// Two images, of which one has no such unit: a quarter of the resamples do not define the share.
#[test]
fn what_a_resample_does_not_define_is_counted() {
    let units = [(0, [0, 0]), (1, [3, 4])];
    let [found] = intervals(units, mean, &options(4000));
    let found = found.unwrap();
    assert_eq!((found.low, found.high, found.standard_error), (0.75, 0.75, 0.0));
    assert!((f64::from(found.undefined) - 1000.0).abs() < 5.0 * (4000.0f64 * 0.1875).sqrt());
    assert_eq!(intervals([(0, [0, 0])], mean, &options(10)), [None]);
    assert_eq!(intervals([], mean, &options(10)), [None]);
    assert_eq!(compare([], mean, &options(10)), [None]);
    assert_eq!(compare([(0, [[1, 1], [0, 0]])], mean, &options(10)), [None]);
    let infinite = |_: &[u64; 2]| [Some(f64::INFINITY), Some(f64::NAN)];
    assert_eq!(intervals([(0, [1, 1])], infinite, &options(10)), [None, None]);
}

#[test]
fn equal_runs_do_not_differ() {
    let units = numbers(50).zip(0..).map(|(v, i)| (i, [[v, 1]; 2]));
    let [found] = compare(units, mean, &options(100));
    let found: Difference = found.unwrap();
    assert_eq!((found.difference, found.interval.low, found.interval.high), (0.0, 0.0, 0.0));
    assert_eq!((found.p_bootstrap, found.p_swap, found.swaps), (1.0, 1.0, 1));
    assert_eq!((found.wins, found.losses, found.ties), (0, 0, 50));
}

/// Of one image every resample is the same, so an interval is the figure itself.
#[test]
fn headline_figures_are_ratios_of_sums() {
    let first = Terms {
        iou: Some(0.75),
        intersection: 30,
        union: 40,
        reaches: Some([true, true, true, false, false]),
        is_accepted: Some(true),
        box_is_found: Some(true),
        points_on_target: 1,
        points: 2,
        boundary_iou: Some(0.5),
        ..Terms::default()
    };
    let second = Terms {
        iou: Some(0.5),
        intersection: 20,
        union: 60,
        reaches: Some([true, false, false, false, false]),
        is_accepted: Some(false),
        box_is_found: Some(false),
        points: 2,
        ..Terms::default()
    };
    let absent = Terms { iou: Some(1.0), is_rejected: Some(true), ..Terms::default() };
    let units = [first, second, absent].map(|terms| (9, terms));
    let found = Headline::intervals(units, &options(50));
    let value = |interval: Option<Interval>| {
        let interval = interval.unwrap();
        assert_eq!((interval.low, interval.standard_error), (interval.high, 0.0));
        interval.low
    };
    assert_eq!(value(found.giou), 0.75);
    assert_eq!(value(found.ciou), 0.5);
    assert_eq!(found.precision.map(value), [1.0, 0.5, 0.5, 0.0, 0.0]);
    assert_eq!(value(found.no_target_accuracy), 1.0);
    assert_eq!(value(found.target_accuracy), 0.5);
    assert_eq!(value(found.box_accuracy), 0.5);
    assert_eq!(value(found.points_on_target), 0.25);
    assert_eq!(value(found.boundary_iou), 0.5);

    let none = Headline::intervals([(0, Terms::default())], &options(5));
    assert_eq!(none, Headline::default());

    let better = Terms { iou: Some(0.875), intersection: 35, ..first };
    let pairs = [(0, [first, better]), (1, [second, second])];
    let found = Headline::compare(pairs, &options(50));
    let giou = found.giou.unwrap();
    assert_eq!((giou.difference, giou.wins, giou.losses, giou.ties), (0.0625, 1, 0, 1));
    assert_eq!(found.ciou.unwrap().wins, 1);
    assert_eq!(found.no_target_accuracy, None);
}

#[test]
fn levels_are_between_0_and_1() {
    assert_eq!("0.9".parse::<Level>().map(f64::from), Ok(0.9));
    for text in ["0", "1", "95", "-1", "NaN", "", "x"] {
        assert!(text.parse::<Level>().is_err(), "{text}");
    }
    assert!(serde_json::from_str::<Level>("2").is_err());
    assert_eq!(serde_json::to_string(&Level::default()).unwrap(), "0.95");
}
