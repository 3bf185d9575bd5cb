//! Single logits against torch's, bit for bit; masks are compared in the crate's tests.

use serde::Deserialize;

use super::*;
use crate::checkpoint::random::Formula;

#[derive(Deserialize)]
struct Case {
    pattern: String,
    side: usize,
    height: u32,
    width: u32,
    at: Vec<u32>,
    f32: Vec<u32>,
}

#[test]
fn logits_are_torchs_bit_for_bit() {
    let text = include_str!("../../tests/fixtures/sam2_image/masks.json");
    let cases: Vec<Case> = serde_json::from_str(text).unwrap();
    for case in cases.iter().filter(|case| case.pattern == "noise") {
        let side = case.side;
        let logits = Formula::scaled(&format!("low_res/{side}"), 8.0).values(side * side);
        let mut lines = Lines::new(&logits, side, Size::new(case.width, case.height));
        for (at, &bits) in case.at.iter().zip(&case.f32) {
            let (rows, x) = (lines.move_to(at / case.width), (at % case.width) as usize);
            let [upper, lower] =
                [&lines.upper, &lines.lower].map(|line| [line.logits[0][x], line.logits[1][x]]);
            let columns = [0, 1].map(|neighbour| lines.columns.shares[neighbour][x]);
            let found = mix([upper, lower], rows, columns);
            assert_eq!(found.to_bits(), bits, "{side} to {}x{}: {at}", case.height, case.width);
        }
    }
}
