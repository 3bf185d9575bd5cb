//! The default rules on worked examples with known values, and the laws that scores obey.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use common::{blank, by, first, options, predictions, rectangle, row_of, sample, score_all};
use proptest::prelude::*;
use segzero_datasets::{Geometry, Mask, Masks, Size};
use segzero_eval::{Counts, Iou, IouSum, Problems, Protocol, Scores, Status, Unit};

const SIZE: Size = Size::new(100, 100);

/// Percent with two decimals, as papers print them.
fn percent(value: Option<f64>) -> String {
    format!("{:.2}", value.unwrap() * 100.0)
}

/// Scores of pairs of (target pixels, prediction pixels, common pixels).
fn scores_of(pairs: &[(u64, u64, u64)]) -> Scores {
    let rows = pairs.iter().enumerate().map(|(i, &(target, prediction, intersection))| {
        row_of(&i.to_string(), Counts { intersection, target, prediction })
    });
    Scores::new(rows.collect(), Protocol::default(), Problems::default())
}

#[test]
fn mean_and_cumulative_iou_differ() {
    // E1: 90/100 and 1000/4000.
    let scores = scores_of(&[(95, 95, 90), (2500, 2500, 1000)]);
    assert_eq!(percent(scores.totals.summary.giou), "57.50");
    assert_eq!(percent(scores.totals.summary.ciou), "26.59");
}

#[test]
fn ignored_pixels_count_on_neither_side() {
    // E2: target 100 px, ignored 50 px; the prediction has 80 of the target, 40 ignored, 20 beside.
    let masks = Masks {
        target: first(SIZE, 0..100),
        overlap: None,
        ignore: Some(first(SIZE, 100..150)),
        parts: 1,
    };
    let prediction = first(SIZE, 20..140).union(&first(SIZE, 200..220)).unwrap();
    let counts = Counts::of(&masks, &prediction).unwrap();
    assert_eq!((counts.intersection, counts.union()), (80, 120));
    let scores = Scores::new(vec![row_of("a", counts)], Protocol::default(), Problems::default());
    assert_eq!(percent(scores.totals.summary.giou), "66.67");
}

#[test]
fn an_empty_answer_to_an_empty_target_is_right() {
    // E3 by LISA's rule: 1 and 0.60.
    let scores = scores_of(&[(0, 0, 0), (80, 80, 60)]);
    assert_eq!(percent(scores.totals.summary.giou), "80.00");
    assert_eq!(scores.rows[0].status, Status::BothEmpty);
    assert_eq!((scores.totals.summary.no_target, scores.totals.summary.both_empty), (1, 1));
    assert_eq!(scores.totals.summary.no_target_accuracy, Some(1.0));
}

#[test]
fn a_prediction_without_a_target_is_wrong_and_joins_the_union() {
    // E4 by LISA's rule.
    let scores = scores_of(&[(0, 50, 0)]);
    assert_eq!(scores.rows[0].status, Status::NoTarget);
    assert_eq!((scores.totals.summary.giou, scores.totals.summary.union), (Some(0.0), 50));
    assert_eq!(scores.totals.summary.no_target_accuracy, Some(0.0));
}

#[test]
fn every_sentence_counts() {
    // E5: ref A with sentence IoUs .9 .6 .3, ref B with .8; targets of 100 px, predictions inside.
    let samples = [
        sample("A", &[1, 2, 3], Geometry::Mask(first(SIZE, 0..100))),
        sample("B", &[4], Geometry::Mask(first(SIZE, 0..100))),
    ];
    let keyed = [("A:1", 90), ("A:2", 60), ("A:3", 30), ("B:4", 80)];
    let predictions = predictions(keyed.map(|(key, px)| (key, first(SIZE, 0..px))));
    let scores = score_all(&samples, &predictions, by(Unit::Query));
    assert_eq!(percent(scores.totals.summary.giou), "65.00");
    assert_eq!(scores.totals.summary.n, 4);
    // The first sentence of each, which another unit asks for.
    let scores = score_all(&samples, &predictions, by(Unit::Sample));
    assert_eq!(percent(scores.totals.summary.giou), "85.00");
    assert_eq!(scores.totals.problems.unmatched.first, ["A:2", "A:3"]);
}

#[test]
fn an_iou_at_the_threshold_reaches_it() {
    // E10: exactly one half; and 0.7 = 7/10, whose nearest double lies below.
    let scores = scores_of(&[(100, 50, 50), (10, 7, 7)]);
    let shares: Vec<f64> = scores.totals.summary.precision.iter().map(|p| p.share).collect();
    assert_eq!(shares, [1.0, 0.5, 0.5, 0.0, 0.0]);
}

#[test]
fn a_failed_sample_is_not_left_out() {
    // E11: one of two samples without answer, the other 100/125; targets of 100 px.
    let samples = [
        sample("lost", &[], Geometry::Mask(first(SIZE, 0..100))),
        sample("found", &[], Geometry::Mask(first(SIZE, 0..100))),
    ];
    let predictions = predictions([("found", first(SIZE, 0..125))]);
    let scores = score_all(&samples, &predictions, by(Unit::Query));
    assert_eq!(percent(scores.totals.summary.giou), "40.00");
    assert_eq!(percent(scores.totals.summary.ciou), "44.44");
    assert_eq!(scores.totals.problems.missing.first, ["lost"]);
    assert!(!scores.totals.problems.is_complete());
}

#[test]
fn a_missing_answer_to_an_empty_target_is_no_answer() {
    let samples = [sample("a", &[], Geometry::Mask(blank(SIZE)))];
    let scores = score_all(&samples, &predictions([]), by(Unit::Query));
    assert_eq!(scores.totals.summary.giou, Some(0.0));
    assert_eq!(scores.rows[0].status, Status::Missing);
    assert_eq!(scores.totals.summary.no_target_accuracy, Some(0.0));
}

#[test]
fn another_size_is_a_failure_with_a_name() {
    let samples = [sample("a", &[], Geometry::Mask(first(SIZE, 0..100)))];
    let predictions = predictions([("a", Mask::full(Size::new(50, 50)))]);
    let scores = score_all(&samples, &predictions, by(Unit::Query));
    assert_eq!(scores.rows[0].status, Status::SizeMismatch);
    assert_eq!((scores.totals.summary.intersection, scores.totals.summary.union), (0, 100));
    let named = &scores.totals.problems.size_mismatch;
    assert_eq!(named.first, ["a: the mask is 50x50, its image 100x100"]);
}

#[test]
fn a_sample_key_answers_all_its_queries_but_a_query_key_goes_first() {
    let samples = [sample("A", &[1, 2], Geometry::Mask(first(SIZE, 0..100)))];
    let predictions = predictions([("A", first(SIZE, 0..50)), ("A:2", first(SIZE, 0..100))]);
    let scores = score_all(&samples, &predictions, by(Unit::Query));
    let ious: Vec<f64> = scores.rows.iter().map(|row| row.iou).collect();
    assert_eq!(ious, [0.5, 1.0]);
    assert_eq!(scores.totals.problems, Problems::default());
}

#[test]
fn duplicates_and_strangers_are_counted_and_named() {
    let samples = [sample("A", &[], Geometry::Mask(first(SIZE, 0..10)))];
    let predictions = predictions([
        ("A", first(SIZE, 0..10)),
        ("A", first(SIZE, 0..5)),
        ("Z", blank(SIZE)),
        ("Y", blank(SIZE)),
    ]);
    let scores = score_all(&samples, &predictions, by(Unit::Query));
    assert_eq!(scores.totals.summary.giou, Some(1.0), "the first of two counts");
    assert_eq!(
        (scores.totals.problems.duplicate.count, scores.totals.problems.unmatched.count),
        (1, 2)
    );
    assert_eq!(scores.totals.problems.unmatched.first, ["Z", "Y"]);
    assert!(scores.totals.problems.is_complete());
}

#[test]
fn names_are_few_but_counts_exact() {
    let samples: Vec<_> =
        (0..25).map(|i| sample(&i.to_string(), &[], Geometry::Mask(blank(SIZE)))).collect();
    let missing = score_all(&samples, &predictions([]), by(Unit::Query)).totals.problems.missing;
    assert_eq!((missing.count, missing.first.len()), (25, 10));
}

#[test]
fn nothing_has_no_score() {
    let scores = scores_of(&[]);
    assert_eq!((scores.totals.summary.giou, scores.totals.summary.ciou), (None, None));
    assert_eq!(scores.totals.summary.median_iou, None);
}

#[test]
fn the_median_is_of_the_middle() {
    assert_eq!(
        scores_of(&[(10, 1, 1), (10, 9, 9), (10, 5, 5)]).totals.summary.median_iou,
        Some(0.5)
    );
    assert_eq!(scores_of(&[(4, 1, 1), (4, 3, 3)]).totals.summary.median_iou, Some(0.5));
}

#[test]
fn scores_survive_json() {
    let scores = scores_of(&[(3, 1, 1), (7, 5, 2), (0, 0, 0)]);
    let text = serde_json::to_string(&scores).unwrap();
    assert_eq!(serde_json::from_str::<Scores>(&text).unwrap(), scores);
}

/// A rectangle `(x0, y0, x1, y1)` within 12x9, half-open.
fn any_rectangle() -> impl Strategy<Value = [u32; 4]> {
    [0..12u32, 0..9u32, 0..13u32, 0..10u32]
}

fn any_counts() -> impl Strategy<Value = Counts> {
    (0..50u64, 0..50u64, 0..50u64).prop_map(|(common, a, b)| Counts {
        intersection: common,
        target: common + a,
        prediction: common + b,
    })
}

proptest! {
    #[test]
    fn counts_are_those_of_pixels(
        target in any_rectangle(), prediction in any_rectangle(), ignore in any_rectangle(),
    ) {
        let size = Size::new(12, 9);
        let [t, p, i] = [target, prediction, ignore].map(|r| rectangle(size, r));
        let masks = Masks { target: t.clone(), overlap: None, ignore: Some(i.clone()), parts: 1 };
        let counts = Counts::of(&masks, &p).unwrap();
        let [t, p, i] = [t, p, i].map(|m| m.to_bitmap());
        let count = |keep: &dyn Fn(bool, bool) -> bool| {
            (0..t.len()).filter(|&k| i[k] == 0 && keep(t[k] != 0, p[k] != 0)).count() as u64
        };
        prop_assert_eq!(counts.intersection, count(&|t, p| t && p));
        prop_assert_eq!(counts.union(), count(&|t, p| t || p));
        prop_assert_eq!(counts.target, count(&|t, _| t));
        prop_assert_eq!(counts.prediction, count(&|_, p| p));
    }

    #[test]
    fn order_and_shards_do_not_matter(
        counts in prop::collection::vec(any_counts(), 1..60),
        cut in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let rows: Vec<_> =
            counts.iter().enumerate().map(|(i, &c)| row_of(&i.to_string(), c)).collect();
        let whole = Scores::new(rows.clone(), Protocol::default(), Problems::default());
        let (left, right) = rows.split_at(cut.index(rows.len()));
        let part = |rows: &[_]| Scores::new(rows.to_vec(), Protocol::default(), Problems::default());
        prop_assert_eq!(&part(left).merge(part(right)).unwrap(), &whole);
        let mut shuffled = rows;
        shuffled.sort_by_key(|row| row.key.parse::<u64>().unwrap().wrapping_mul(seed | 1));
        let shuffled = Scores::new(shuffled, Protocol::default(), Problems::default());
        prop_assert_eq!(shuffled.totals.summary, whole.totals.summary);
    }

    #[test]
    fn one_sample_has_one_iou(counts in any_counts()) {
        prop_assume!(counts.union() > 0);
        let summary = Scores::new(vec![row_of("a", counts)], Protocol::default(), Problems::default()).totals.summary;
        let (giou, ciou) = (summary.giou.unwrap(), summary.ciou.unwrap());
        // The fixed-point term is rounded once more than the division: one unit in the last place.
        prop_assert!((giou - ciou).abs() <= f64::EPSILON, "{} {}", giou, ciou);
        prop_assert_eq!(summary.median_iou, Some(ciou));
    }

    #[test]
    fn the_sum_is_the_real_one(fractions in prop::collection::vec((0..1000u64, 1..1000u64), 1..200)) {
        let mut sum = IouSum::default();
        sum.extend(fractions.iter().map(|&(a, b)| Iou::new(a.min(b), b)));
        let real: f64 = fractions.iter().map(|&(a, b)| a.min(b) as f64 / b as f64).sum();
        // `real` itself carries the rounding of up to 200 additions.
        prop_assert!((sum.mean().unwrap() - real / fractions.len() as f64).abs() < 1e-13);
    }

    #[test]
    fn fractions_compare_as_fractions(a in 0..100u64, b in 1..100u64, c in 0..100u64, d in 1..100u64) {
        let (left, right) = (Iou::new(a.min(b), b), Iou::new(c.min(d), d));
        prop_assert_eq!(left.partial_cmp(&right), left.value().partial_cmp(&right.value()));
    }
}

#[test]
fn threads_do_not_matter() {
    let samples: Vec<_> = (0..3000u32)
        .map(|i| sample(&i.to_string(), &[], Geometry::Mask(first(SIZE, 0..i % 97 + 1))))
        .collect();
    let keys: Vec<String> = (0..3000).map(|i| i.to_string()).collect();
    let masks = (0..3000u32).map(|i| first(SIZE, i % 13..i % 89 + 14));
    let mut predictions = segzero_eval::Predictions::default();
    for (key, mask) in keys.iter().zip(masks) {
        predictions.insert(key, Geometry::Mask(mask));
    }
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let samples = samples.clone().into_iter().map(Ok);
        let run = || segzero_eval::score(samples, &predictions, &options(by(Unit::Query)), |_| {});
        pool.install(run).unwrap()
    };
    assert_eq!(run(1), run(3));
}
