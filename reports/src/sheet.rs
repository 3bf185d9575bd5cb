//! [`Sheet`]: many samples on one picture, with masks tinted, boxes, circles and predictions drawn.

use segzero_datasets::{Bbox, Size};
use segzero_prep::image::{Filter, ImageError, Rgb, decode, resize};

use crate::canvas::{CIRCLE, Canvas, MASK, PREDICTION};
use crate::preview::{Card, Picture};

/// Layout and layers of a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetOptions {
    /// Tiles in a row.
    pub columns: u32,
    /// Size of a tile; images keep their aspect ratio inside it.
    pub tile: Size,
    /// Pixels between tiles and around them.
    pub gap: u32,
}

impl Default for SheetOptions {
    fn default() -> Self {
        Self { columns: 4, tile: Size::new(320, 240), gap: 8 }
    }
}

/// A contact sheet.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The pixels.
    pub image: Rgb,
}

/// Tiles are drawn this much larger and then averaged, which smooths every edge.
const OVERSAMPLING: u32 = 2;

impl Sheet {
    /// Draws the cards in their order.
    ///
    /// # Errors
    /// When a picture is no image.
    pub fn draw(
        cards: &[Card],
        pictures: &[Picture],
        options: &SheetOptions,
    ) -> Result<Self, ImageError> {
        let SheetOptions { columns, tile, gap } = *options;
        let columns = columns.clamp(1, (cards.len() as u32).max(1));
        let rows = (cards.len() as u32).div_ceil(columns);
        let size = Size::new(columns * (tile.width + gap) + gap, rows * (tile.height + gap) + gap);
        let mut sheet = Canvas::new(size);
        for (index, card) in cards.iter().enumerate() {
            let Some(picture) = pictures.get(card.picture) else { continue };
            let (column, row) = (index as u32 % columns, index as u32 / columns);
            let (left, top) = (gap + column * (tile.width + gap), gap + row * (tile.height + gap));
            let drawn = draw_tile(card, picture, tile)?;
            // Centred in its tile.
            let x = left + (tile.width - drawn.size.width) / 2;
            let y = top + (tile.height - drawn.size.height) / 2;
            sheet.paste(&drawn, x, y);
        }
        Ok(Self { image: sheet.image })
    }
}

/// One sample, as large as fits.
fn draw_tile(card: &Card, picture: &Picture, tile: Size) -> Result<Rgb, ImageError> {
    let frame = card.frame;
    let [fw, fh] = [frame.width, frame.height].map(|side| f64::from(side.max(1)));
    let scale = (f64::from(tile.width) / fw).min(f64::from(tile.height) / fh);
    let fit = |side: f64, most: u32| ((side * scale).round() as u32).clamp(1, most);
    let size = Size::new(fit(fw, tile.width), fit(fh, tile.height));
    let large = Size::new(size.width * OVERSAMPLING, size.height * OVERSAMPLING);
    let image = resize(&decode(&picture.jpeg)?, large, Filter::Area);
    let mut canvas = Canvas { image, pen: f64::from(OVERSAMPLING) };
    if let Some(mask) = &card.mask {
        canvas.tint(mask, MASK);
        canvas.outline(mask, MASK, 1.0);
    }
    let prediction = card.said.iter().find_map(|said| said.prediction.as_ref()?.mask.as_ref());
    if let Some(mask) = prediction {
        canvas.outline(mask, PREDICTION, 2.0);
    }
    let zoom = [f64::from(large.width) / fw, f64::from(large.height) / fh];
    for target in &card.targets {
        let Bbox { x0, y0, x1, y1 } = target.bbox;
        // The pixels' outer edges.
        let [left, right] = [x0, x1 + 1].map(|x| f64::from(x) * zoom[0]);
        let [top, bottom] = [y0, y1 + 1].map(|y| f64::from(y) * zoom[1]);
        canvas.rectangle([left, top, right, bottom]);
        for (index, circle) in target.circles.iter().enumerate() {
            let center = [circle.center.x, circle.center.y];
            let center = [0, 1].map(|axis| (f64::from(center[axis]) + 0.5) * zoom[axis]);
            let radius = (circle.radius_squared as f64).sqrt() - 0.5;
            if radius > 0.0 {
                canvas.ellipse(center, zoom.map(|z| radius * z), index);
            }
            canvas.dot(center, CIRCLE);
        }
    }
    Ok(resize(&canvas.image, size, Filter::Area))
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
