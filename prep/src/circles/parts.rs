//! The largest connected part of a mask.

use segzero_datasets::Mask;

use super::columns::Columns;
use crate::Border;

/// The largest 4-connected component; of equal ones, that with the first pixel in raster order.
///
/// Pixels that share only a corner are apart: no circle passes from one to the other.
pub(crate) fn largest_part(mask: &Mask) -> Mask {
    let mut columns = Columns::default();
    if !columns.read(mask, Border::Background) {
        return mask.clone();
    }
    let intervals: Vec<(u32, u32, u32)> = (0..columns.width)
        .flat_map(|x| columns.column(x).iter().map(move |i| (x, i.start as u32, i.end as u32)))
        .collect();
    let labels = label(&intervals);
    // Per component: area, then its first pixel; the key of the largest wins.
    let mut sizes = vec![(0u64, (u32::MAX, u32::MAX)); intervals.len()];
    for (&root, &(x, start, end)) in labels.iter().zip(&intervals) {
        sizes[root].0 += u64::from(end - start);
        sizes[root].1 = sizes[root].1.min((start, x));
    }
    let key = |i: &usize| (sizes[*i].0, std::cmp::Reverse(sizes[*i].1));
    let largest = (0..intervals.len()).max_by_key(key);
    let rows = mask.size().height;
    let mut runs = vec![];
    let mut end_of_last = 0;
    for (&root, &(x, start, end)) in labels.iter().zip(&intervals) {
        if Some(root) == largest {
            let base = (columns.left + x) * rows;
            runs.extend([base + start - end_of_last, end - start]);
            end_of_last = base + end;
        }
    }
    runs.push(mask.size().pixels() as u32 - end_of_last);
    Mask::from_runs(mask.size(), &runs).unwrap_or_else(|_| mask.clone())
}

/// The component of each interval, named by its first interval: union-find over the intervals of
/// neighbouring columns that share a row.
fn label(intervals: &[(u32, u32, u32)]) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..intervals.len()).collect();
    let mut before = 0; // first interval that may still touch the current one from the left
    for (i, &(x, start, end)) in intervals.iter().enumerate() {
        while intervals[before].0 + 1 < x
            || (intervals[before].0 < x && intervals[before].2 <= start)
        {
            before += 1;
        }
        for (j, other) in intervals.iter().enumerate().take(i).skip(before) {
            if other.0 + 1 != x || other.1 >= end {
                break;
            }
            let (a, b) = (root(&mut parent, i), root(&mut parent, j));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..intervals.len()).map(|i| root(&mut parent, i)).collect()
}

/// The root of an interval's tree; halves the path on the way.
fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}
