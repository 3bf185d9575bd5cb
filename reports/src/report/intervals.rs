//! Bootstrap intervals of a run's figures, from its rows.

use std::cmp::Ordering;

use segzero_eval::protocol::{MeanOver, Reach};
use segzero_eval::resample::{Headline, Interval, Options, Terms};
use segzero_eval::{Cell, Protocol, Row, Status};

/// Intervals of the headline figures; images are drawn with all their units. None for a figure that
/// is no ratio of sums over the units: a mean of means.
pub(super) fn intervals(
    rows: &[Row],
    protocol: &Protocol,
    options: &Options,
) -> Headline<Option<Interval>> {
    let counted = rows.iter().filter(|row| row.status != Status::Skipped);
    let units = counted.map(|row| {
        let cell = Cell::of(row);
        (cell.image, terms(&cell, protocol))
    });
    let mut intervals = Headline::intervals(units, options);
    if protocol.mean != MeanOver::Unit {
        intervals.giou = None;
    }
    intervals
}

fn terms(cell: &Cell, protocol: &Protocol) -> Terms {
    let of_targets = protocol.precision == Reach::AtLeastOfTargets;
    let reaches = |tenths: u32| match cell.iou.cmp_tenths(tenths) {
        Ordering::Greater => true,
        Ordering::Equal => protocol.precision != Reach::Above,
        Ordering::Less => false,
    };
    Terms {
        iou: Some(cell.iou.value()),
        intersection: cell.intersection,
        union: cell.union,
        reaches: (!of_targets || cell.has_target != Some(false))
            .then(|| [5, 6, 7, 8, 9].map(reaches)),
        is_rejected: (cell.has_target == Some(false)).then_some(cell.said_nothing),
        is_accepted: (cell.has_target == Some(true)).then(|| cell.is_positive()),
        box_is_found: (cell.box_iou >= 0.0).then_some(cell.box_iou > 0.5),
        points_on_target: cell.points[0],
        points: cell.points[1],
        boundary_iou: cell.boundary.map(|iou| iou.value()),
    }
}
