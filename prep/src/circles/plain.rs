//! The rules on a full distance map: the obvious way, for what the pruned search does not cover.

use segzero_datasets::Point;

use super::columns::Columns;
use super::map::box_map;
use super::{Disc, Peak};

/// The largest squared distance of the pixels outside all of `excluded`, first in raster order.
/// The flag says whether another pixel has it too.
pub(super) fn farthest(columns: &Columns, excluded: &[Disc], map: &mut Vec<u64>) -> Option<Peak> {
    box_map(columns, map);
    let mut best: Option<Peak> = None;
    for (y, row) in (columns.top as i32..).zip(map.chunks_exact(columns.width as usize)) {
        for (x, &squared) in (columns.left as i32..).zip(row) {
            if squared == 0 || best.is_some_and(|b| squared < b.squared) {
                continue;
            }
            let center = Point::new(x, y);
            if excluded.iter().any(|disc| disc.contains(center)) {
                continue;
            }
            match &mut best {
                Some(best) if best.squared == squared => best.tie = true,
                _ => best = Some(Peak { center, squared, tie: false }),
            }
        }
    }
    best
}
