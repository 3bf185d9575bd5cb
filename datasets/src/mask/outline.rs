//! From runs to outlines: the pixel edges between foreground and background, as closed rings.

use std::ops::Range;

use super::Mask;

/// A closed ring of pixel corners, `[x, y]` with `0..=width` and `0..=height`; consecutive corners
/// (the last and the first too) differ in exactly one coordinate. Foreground lies to the right of
/// the direction of travel, y pointing down: outer rings run clockwise, those of holes do not.
pub type Ring = Vec<[u32; 2]>;

/// A maximal vertical edge: `x`, rows `top..bottom`, and on which side the foreground is.
struct Edge {
    x: u32,
    top: u32,
    bottom: u32,
    foreground_is_right: bool,
}

impl Mask {
    /// The outlines of the mask, outer rings and rings of holes. Diagonal neighbours are separate
    /// (4-connected). Filled by the even-odd rule they give back the mask exactly; as COCO
    /// polygons, rings without holes do too: COCO's rasteriser is exact on integer pixel corners.
    ///
    /// ```
    /// use segzero_datasets::{Mask, Size};
    /// let mask = Mask::from_coco_string(Size::new(5, 5), b"6320004").unwrap();
    /// assert_eq!(mask.outlines(), [[[1, 1], [4, 1], [4, 4], [1, 4]]]);
    /// ```
    pub fn outlines(&self) -> Vec<Ring> {
        let edges = self.vertical_edges();
        let partner = pair_ends(&edges);
        let mut seen = vec![false; edges.len()];
        let mut rings = Vec::new();
        for start in 0..edges.len() {
            let mut ring = Ring::new();
            let mut at = start;
            while !seen[at] {
                seen[at] = true;
                let edge = &edges[at];
                // Upwards with the foreground on the right, downwards with it on the left.
                let (from, to) = match edge.foreground_is_right {
                    true => (edge.bottom, edge.top),
                    false => (edge.top, edge.bottom),
                };
                ring.push([edge.x, from]);
                ring.push([edge.x, to]);
                at = partner[2 * at + usize::from(!edge.foreground_is_right)];
            }
            if !ring.is_empty() {
                // Begin with the upper left corner of the leftmost edge.
                ring.rotate_left(1);
                rings.push(ring);
            }
        }
        rings
    }

    /// Where neighbouring columns differ, in order of `x`.
    fn vertical_edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        let (mut before, mut column) = (Vec::new(), Vec::new());
        let mut x = 0;
        for (at, rows) in self.column_spans() {
            while x < at {
                differences(&before, &column, x, &mut edges);
                before = std::mem::take(&mut column);
                x += 1;
            }
            column.push(rows);
        }
        for x in x..=x + 1 {
            differences(&before, &column, x, &mut edges);
            before = std::mem::take(&mut column);
        }
        edges
    }

    /// Foreground as `(x, rows)`, runs cut at the ends of columns; ascending.
    pub(crate) fn column_spans(&self) -> impl Iterator<Item = (u32, Range<u32>)> + '_ {
        let height = self.size.height;
        self.foreground().flat_map(move |run| {
            (run.start / height..=(run.end - 1) / height).map(move |x| {
                let base = x * height;
                (x, run.start.max(base) - base..run.end.min(base + height) - base)
            })
        })
    }
}

/// Edges at `x` between a column and the next: the rows where exactly one of them is foreground.
fn differences(left: &[Range<u32>], right: &[Range<u32>], x: u32, edges: &mut Vec<Edge>) {
    let ends = |spans: &[Range<u32>]| -> Vec<u32> {
        spans.iter().flat_map(|span| [span.start, span.end]).collect()
    };
    let (a, b) = (ends(left), ends(right));
    let (mut i, mut j, mut top) = (0, 0, 0);
    while i < a.len() || j < b.len() {
        let next = a.get(i).copied().unwrap_or(u32::MAX).min(b.get(j).copied().unwrap_or(u32::MAX));
        // An odd number of ends passed means: inside a span.
        let (in_left, in_right) = (i % 2 == 1, j % 2 == 1);
        if in_left != in_right {
            edges.push(Edge { x, top, bottom: next, foreground_is_right: in_right });
        }
        top = next;
        i += usize::from(a.get(i) == Some(&next));
        j += usize::from(b.get(j) == Some(&next));
    }
}

/// For the top (`2 * edge`) and the bottom (`2 * edge + 1`) of every edge, the edge that its
/// horizontal neighbour belongs to. On a horizontal line the corners, sorted by x, pair up in turn;
/// where two corners coincide (diagonal neighbours), the edge with foreground on its left comes
/// first, which keeps the neighbours apart.
fn pair_ends(edges: &[Edge]) -> Vec<usize> {
    let mut ends: Vec<(u32, u32, bool, usize)> = Vec::with_capacity(edges.len() * 2);
    for (index, edge) in edges.iter().enumerate() {
        ends.push((edge.top, edge.x, edge.foreground_is_right, 2 * index));
        ends.push((edge.bottom, edge.x, edge.foreground_is_right, 2 * index + 1));
    }
    ends.sort_unstable();
    let mut partner = vec![0; ends.len()];
    for pair in ends.chunks_exact(2) {
        partner[pair[0].3] = pair[1].3 / 2;
        partner[pair[1].3] = pair[0].3 / 2;
    }
    partner
}

/// Twice the signed area of a ring: positive for an outer ring, negative for a hole.
pub fn signed_area_doubled(ring: &[[u32; 2]]) -> i64 {
    let next = ring.iter().skip(1).chain(ring.first());
    ring.iter()
        .zip(next)
        .map(|(a, b)| {
            let [ax, ay, bx, by] = [a[0], a[1], b[0], b[1]].map(i64::from);
            ax * by - bx * ay
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    /// Even-odd fill: a pixel is inside when an odd number of vertical edges lies to its left.
    fn fill(size: Size, rings: &[Ring]) -> Mask {
        let mut pixels = vec![0u8; size.pixels() as usize];
        for ring in rings {
            for (i, a) in ring.iter().enumerate() {
                let b = ring[(i + 1) % ring.len()];
                assert!((a[0] == b[0]) != (a[1] == b[1]), "one coordinate changes: {a:?} {b:?}");
                if a[0] == b[0] {
                    for y in a[1].min(b[1])..a[1].max(b[1]) {
                        for x in a[0]..size.width {
                            pixels[(y * size.width + x) as usize] ^= 1;
                        }
                    }
                }
            }
        }
        Mask::from_bitmap(size, &pixels).unwrap()
    }

    fn mask(rows: &[&str]) -> Mask {
        let pixels: Vec<u8> = rows.concat().bytes().map(|b| u8::from(b == b'#')).collect();
        Mask::from_bitmap(Size::new(rows[0].len() as u32, rows.len() as u32), &pixels).unwrap()
    }

    #[test]
    fn a_ring_has_an_outer_outline_and_a_hole() {
        let rings = mask(&["####.", "#..#.", "####."]).outlines();
        let areas: Vec<i64> = rings.iter().map(|r| signed_area_doubled(r)).collect();
        assert_eq!(areas, [24, -4]);
    }

    #[test]
    fn diagonal_neighbours_are_apart() {
        assert_eq!(mask(&["#.", ".#"]).outlines().len(), 2);
        assert_eq!(mask(&[".#", "#."]).outlines().len(), 2);
    }

    #[test]
    fn empty_and_full() {
        assert!(Mask::empty(Size::new(3, 2)).outlines().is_empty());
        assert!(Mask::empty(Size::new(0, 0)).outlines().is_empty());
        assert_eq!(Mask::full(Size::new(3, 2)).outlines(), [[[0, 0], [3, 0], [3, 2], [0, 2]]]);
    }

    proptest::proptest! {
        #[test]
        fn filled_outlines_are_the_mask(
            width in 1u32..12, height in 1u32..12, bits in proptest::collection::vec(0u8..2, 144),
        ) {
            let size = Size::new(width, height);
            let mask = Mask::from_bitmap(size, &bits[..size.pixels() as usize]).unwrap();
            let rings = mask.outlines();
            let area: i64 = rings.iter().map(|r| signed_area_doubled(r)).sum();
            proptest::prop_assert_eq!(area, 2 * mask.area() as i64);
            proptest::prop_assert_eq!(fill(size, &rings), mask);
        }
    }
}
