//! Sums over pieces against the summary of the whole.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

use segzero_eval::protocol::{MeanOver, presets};
use segzero_eval::{Cell, Partial, Protocol, Row, Status, Summary};

/// Units of every status, of few samples and images.
fn cells(count: u64) -> Vec<Cell> {
    let statuses = [
        Status::Scored,
        Status::Scored,
        Status::BothEmpty,
        Status::NoTarget,
        Status::Denied,
        Status::Missing,
        Status::Skipped,
    ];
    let cell = |i: u64| {
        let status = statuses[(i % 7) as usize];
        let union = 50 + i * i % 977;
        let intersection = if status == Status::Scored { union * (i % 13) / 13 } else { 0 };
        let iou = match status {
            Status::Scored => intersection as f64 / union as f64,
            Status::BothEmpty => 1.0,
            _ => 0.0,
        };
        let row = Row {
            key: format!("{}", i / 3),
            image: format!("{}", i / 5),
            status,
            intersection,
            union,
            iou,
            target_area: Some(i % 4 * 10),
            said_nothing: i.is_multiple_of(3),
            box_iou: Some(iou),
            ..Row::default()
        };
        Cell::of(&row)
    };
    (0..count).map(cell).collect()
}

fn sums<'a>(cells: impl IntoIterator<Item = &'a Cell>, protocol: &Protocol) -> Partial {
    let mut sums = Partial::default();
    cells.into_iter().for_each(|cell| sums.add(cell, protocol));
    sums
}

#[test]
fn pieces_join_into_the_whole() {
    let cells = cells(400);
    for protocol in presets().unwrap() {
        let whole = sums(&cells, &protocol);
        for length in [1, 7, 399] {
            let mut joined = Partial::default();
            cells.chunks(length).rev().for_each(|piece| joined.merge(&sums(piece, &protocol)));
            assert_eq!(joined, whole, "{} in pieces of {length}", protocol.name);
        }
        let expected = Summary { median_iou: None, ..Summary::of(&cells, &protocol) };
        assert_eq!(Partial::summary_of(&[whole], &protocol), expected, "{}", protocol.name);
    }
}

#[test]
fn means_over_groups_need_whole_groups_only() {
    let cells = cells(400);
    for (mean, group) in [
        (MeanOver::Sample, (|cell| cell.sample) as fn(&Cell) -> u64),
        (MeanOver::Image, |cell| cell.image),
    ] {
        let protocol = Protocol { mean, ..Protocol::default() };
        let groups: Vec<Partial> =
            cells.chunk_by(|a, b| group(a) == group(b)).map(|c| sums(c, &protocol)).rev().collect();
        assert!(groups.len() > 70);
        let expected = Summary { median_iou: None, ..Summary::of(&cells, &protocol) };
        assert_eq!(Partial::summary_of(&groups, &protocol), expected);
    }
}
