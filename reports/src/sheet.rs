//! [`Sheet`]: many samples on one picture, with masks tinted, boxes, circles and predictions drawn.

use segzero_datasets::{Bbox, Mask, Size};
use segzero_prep::image::{Filter, ImageError, Rgb, decode, resize};

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

type Color = [u8; 3];

const GROUND: Color = [23, 26, 31];
const MASK: Color = [255, 46, 136];
const BOX: Color = [0, 163, 255];
const CIRCLE: Color = [255, 214, 10];
const PREDICTION: Color = [52, 224, 122];

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
        Ok(Self { image: sheet.0 })
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
    let mut canvas = Canvas(resize(&decode(&picture.jpeg)?, large, Filter::Area));
    if let Some(mask) = &card.mask {
        canvas.tint(mask, MASK);
        canvas.outline(mask, MASK, 1);
    }
    let prediction = card.said.iter().find_map(|said| said.prediction.as_ref()?.mask.as_ref());
    if let Some(mask) = prediction {
        canvas.outline(mask, PREDICTION, 2);
    }
    let zoom = [f64::from(large.width) / fw, f64::from(large.height) / fh];
    for target in &card.targets {
        canvas.rectangle(target.bbox, zoom);
        for (index, circle) in target.circles.iter().enumerate() {
            let center = [circle.center.x, circle.center.y];
            let center = [0, 1].map(|axis| (f64::from(center[axis]) + 0.5) * zoom[axis]);
            let radius = (circle.radius_squared as f64).sqrt() - 0.5;
            if radius > 0.0 {
                canvas.ellipse(center, zoom.map(|z| radius * z), index);
            }
            canvas.dot(center);
        }
    }
    Ok(resize(&canvas.0, size, Filter::Area))
}

/// An image to draw on.
struct Canvas(Rgb);

impl Canvas {
    fn new(size: Size) -> Self {
        Self(Rgb { size, pixels: GROUND.repeat(size.pixels() as usize) })
    }

    /// Blends a colour over a pixel; outside of the image nothing happens.
    fn blend(&mut self, x: i64, y: i64, color: Color, opacity: f64) {
        let (w, h) = (i64::from(self.0.size.width), i64::from(self.0.size.height));
        if !(0..w).contains(&x) || !(0..h).contains(&y) {
            return;
        }
        let at = (y * w + x) as usize * 3;
        for (channel, color) in self.0.pixels[at..at + 3].iter_mut().zip(color) {
            let (below, above) = (f64::from(*channel), f64::from(color));
            *channel = (below + (above - below) * opacity).round() as u8;
        }
    }

    fn paste(&mut self, image: &Rgb, left: u32, top: u32) {
        let (from, to) = (image.size.width as usize * 3, self.0.size.width as usize * 3);
        for (row, pixels) in image.pixels.chunks_exact(from).enumerate() {
            let at = (top as usize + row) * to + left as usize * 3;
            self.0.pixels[at..at + from].copy_from_slice(pixels);
        }
    }

    /// The mask at this canvas's size, row-major.
    fn sampled(&self, mask: &Mask) -> Vec<u8> {
        let (from, to) = (mask.size(), self.0.size);
        let bitmap = mask.to_bitmap();
        let nearest = |i: u32, from: u32, to: u32| {
            (u64::from(2 * i + 1) * u64::from(from) / u64::from(2 * to)) as usize
        };
        let mut sampled = Vec::with_capacity(to.pixels() as usize);
        for y in 0..to.height {
            let row = nearest(y, from.height, to.height) * from.width as usize;
            sampled.extend((0..to.width).map(|x| bitmap[row + nearest(x, from.width, to.width)]));
        }
        sampled
    }

    fn tint(&mut self, mask: &Mask, color: Color) {
        let width = self.0.size.width as usize;
        for (i, &set) in self.sampled(mask).iter().enumerate() {
            if set != 0 {
                self.blend((i % width) as i64, (i / width) as i64, color, 0.42);
            }
        }
    }

    /// The inner edge of the mask, `thickness` output pixels wide.
    fn outline(&mut self, mask: &Mask, color: Color, thickness: u32) {
        let (w, h) = (self.0.size.width as i64, self.0.size.height as i64);
        let bitmap = self.sampled(mask);
        let set = |x: i64, y: i64| {
            (0..w).contains(&x) && (0..h).contains(&y) && bitmap[(y * w + x) as usize] != 0
        };
        let reach = i64::from(thickness * OVERSAMPLING);
        for y in 0..h {
            for x in 0..w {
                let inner = [(-reach, 0), (reach, 0), (0, -reach), (0, reach)]
                    .iter()
                    .all(|(dx, dy)| set(x + dx, y + dy));
                if set(x, y) && !inner {
                    self.blend(x, y, color, 1.0);
                }
            }
        }
    }

    /// A dark line below a bright one stays visible on any image. `distance` is from the line's
    /// middle, in canvas pixels; `area` is `[left, top, right, bottom]` around the line.
    fn stroke(&mut self, color: Color, area: [f64; 4], distance: impl Fn(f64, f64) -> f64) {
        let [left, top, right, bottom] =
            [area[0] - 8.0, area[1] - 8.0, area[2] + 8.0, area[3] + 8.0];
        let (w, h) = (f64::from(self.0.size.width), f64::from(self.0.size.height));
        let span = |low: f64, high: f64, most: f64| {
            low.clamp(0.0, most) as i64..high.clamp(0.0, most) as i64
        };
        let half = f64::from(OVERSAMPLING) * 0.75;
        for y in span(top, bottom, h) {
            for x in span(left, right, w) {
                let d = distance(x as f64 + 0.5, y as f64 + 0.5);
                self.blend(x, y, [0; 3], (half + 2.0 - d).clamp(0.0, 1.0) * 0.35);
                self.blend(x, y, color, (half + 0.5 - d).clamp(0.0, 1.0));
            }
        }
    }

    /// The pixel edges of a box.
    fn rectangle(&mut self, bbox: Bbox, zoom: [f64; 2]) {
        let [x0, x1] = [bbox.x0, bbox.x1 + 1].map(|x| f64::from(x) * zoom[0]);
        let [y0, y1] = [bbox.y0, bbox.y1 + 1].map(|y| f64::from(y) * zoom[1]);
        self.stroke(BOX, [x0, y0, x1, y1], |x, y| {
            let (dx, dy) = ((x0 - x).max(x - x1), (y0 - y).max(y - y1));
            // Outside: to the nearest edge or corner. Inside: to the nearest edge.
            if dx <= 0.0 && dy <= 0.0 { -dx.max(dy) } else { dx.max(0.0).hypot(dy.max(0.0)) }
        });
    }

    /// A circle, which becomes an ellipse where the axes are scaled differently; all but the first
    /// are dashed.
    fn ellipse(&mut self, center: [f64; 2], radii: [f64; 2], index: usize) {
        let [cx, cy] = center;
        let [rx, ry] = radii;
        let mean = (rx * ry).sqrt();
        let dashes = (mean * 0.5).max(4.0).round();
        self.stroke(CIRCLE, [cx - rx, cy - ry, cx + rx, cy + ry], |x, y| {
            let (u, v) = ((x - cx) / rx, (y - cy) / ry);
            let turn = v.atan2(u) / std::f64::consts::TAU * dashes;
            let in_gap = index > 0 && turn.rem_euclid(1.0) > 0.6;
            if in_gap { f64::INFINITY } else { (u.hypot(v) - 1.0).abs() * mean }
        });
    }

    fn dot(&mut self, center: [f64; 2]) {
        let [cx, cy] = center;
        self.stroke(CIRCLE, [cx - 4.0, cy - 4.0, cx + 4.0, cy + 4.0], |x, y| {
            ((x - cx).hypot(y - cy) - 1.5).max(0.0)
        });
    }
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
