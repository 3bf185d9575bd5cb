use super::*;
use crate::canvas::{BOX, Color, GROUND};
use crate::preview::tests::card;

/// One tile of 160x120 for an 8x6 image: 20 sheet pixels a pixel, after a gap of 10.
fn sheet(layers: impl Fn(&mut Card)) -> Rgb {
    let (mut card, picture) = card();
    layers(&mut card);
    let options = SheetOptions { columns: 3, tile: Size::new(160, 120), gap: 10 };
    Sheet::draw(&[card], &[picture], &options).unwrap().image
}

/// The sheet's pixel at a place of the original image, in pixels of that.
fn pixel(sheet: &Rgb, x: f64, y: f64) -> Color {
    let at = |v: f64| (10.0 + v * 20.0) as usize;
    let index = (at(y) * sheet.size.width as usize + at(x)) * 3;
    [sheet.pixels[index], sheet.pixels[index + 1], sheet.pixels[index + 2]]
}

/// Lines have smooth edges and are not whole pixels wide, so what is drawn is mostly its colour.
fn assert_drawn(found: Color, color: Color) {
    let off = found.iter().zip(color).map(|(a, b)| a.abs_diff(b)).max();
    assert!(off <= Some(60), "{found:?} is not {color:?}");
}

fn only_mask(card: &mut Card) {
    card.targets.clear();
    card.said[0].prediction = None;
}

#[test]
fn one_card_makes_one_tile() {
    let sheet = sheet(only_mask);
    assert_eq!(sheet.size, Size::new(180, 140));
    assert_eq!(sheet.pixels[..3], GROUND);
}

#[test]
fn a_mask_is_tinted_and_the_rest_is_not() {
    let sheet = sheet(only_mask);
    assert_eq!(
        pixel(&sheet, 3.5, 2.5),
        MASK.map(|c| (128.0 + (f64::from(c) - 128.0) * 0.42).round() as u8)
    );
    assert_eq!(pixel(&sheet, 6.5, 4.5), [128; 3]);
    // Its outline, on the inside of its first column.
    assert_eq!(pixel(&sheet, 2.02, 2.5), MASK);
}

#[test]
fn a_box_runs_along_pixel_edges() {
    let sheet = sheet(|card| {
        only_mask(card);
        card.mask = None;
        card.targets = self::card().0.targets;
        card.targets[0].circles.clear();
    });
    for (x, y) in [(2.0, 2.5), (5.0, 2.5), (3.5, 1.0), (3.5, 4.0)] {
        assert_drawn(pixel(&sheet, x, y), BOX);
    }
    assert_eq!(pixel(&sheet, 3.5, 2.5), [128; 3]);
}

#[test]
fn circles_have_their_centre_and_radius() {
    let sheet = sheet(|card| {
        only_mask(card);
        card.mask = None;
        card.targets = self::card().0.targets;
        card.targets[0].bbox = Bbox { x0: -50, y0: -50, x1: 60, y1: 60 };
        card.targets[0].circles.truncate(1);
    });
    // Centre (3, 2) is at (3.5, 2.5) in pixel edges; squared radius 4 reaches 1.5 to the edge.
    for (x, y) in [(3.5, 2.5), (5.0, 2.5), (2.0, 2.5), (3.5, 1.0), (3.5, 4.0)] {
        assert_drawn(pixel(&sheet, x, y), CIRCLE);
    }
    assert_eq!(pixel(&sheet, 3.5, 3.3), [128; 3]);
}

#[test]
fn a_prediction_is_outlined() {
    let sheet = sheet(|card| {
        card.targets.clear();
        card.mask = None;
    });
    assert_eq!(pixel(&sheet, 0.02, 3.0), PREDICTION);
    assert_eq!(pixel(&sheet, 4.0, 3.0), [128; 3]);
}

#[test]
fn tiles_fill_rows_and_keep_aspect_ratios() {
    let (card, picture) = card();
    let options = SheetOptions { columns: 2, tile: Size::new(120, 120), gap: 10 };
    let cards = vec![card; 3];
    let sheet = Sheet::draw(&cards, &[picture], &options).unwrap().image;
    assert_eq!(sheet.size, Size::new(270, 270));
    // 8x6 in 120x120 is 120x90, centred: 15 rows of ground above.
    let at = |x: usize, y: usize| sheet.pixels[(y * 270 + x) * 3..][..3].to_vec();
    assert_eq!(at(20, 12), GROUND);
    assert_ne!(at(20, 30), GROUND);
}
