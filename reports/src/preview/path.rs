//! Masks as SVG paths.

use std::fmt::Write;

use segzero_datasets::Mask;

/// The mask's outlines as the `d` of an SVG path, in pixels of the mask; filled by the even-odd rule
/// it covers exactly the mask's pixels. Outlines follow pixel edges, so that a path is `h` and `v`
/// steps only.
///
/// ```
/// use segzero_datasets::{Mask, Size};
/// let mask = Mask::from_coco_string(Size::new(5, 5), b"6320004").unwrap();
/// assert_eq!(segzero_reports::preview::svg_path(&mask), "M1 1h3v3h-3z");
/// ```
pub fn svg_path(mask: &Mask) -> String {
    let mut path = String::new();
    for ring in mask.outlines() {
        let [x, y] = ring[0];
        // Writing to a string cannot fail.
        let _ = write!(path, "M{x} {y}");
        for pair in ring.windows(2) {
            let [dx, dy] = [0, 1].map(|axis| i64::from(pair[1][axis]) - i64::from(pair[0][axis]));
            let _ = if dy == 0 { write!(path, "h{dx}") } else { write!(path, "v{dy}") };
        }
        path.push('z');
    }
    path
}
