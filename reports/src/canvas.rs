//! [`Canvas`]: an image to draw masks, boxes and points on.

use segzero_datasets::{Mask, Size};
use segzero_prep::image::Rgb;

pub(crate) type Color = [u8; 3];

pub(crate) const GROUND: Color = [23, 26, 31];
pub(crate) const MASK: Color = [255, 46, 136];
pub(crate) const BOX: Color = [0, 163, 255];
pub(crate) const CIRCLE: Color = [255, 214, 10];
pub(crate) const PREDICTION: Color = [52, 224, 122];
pub(crate) const BACKGROUND: Color = [255, 92, 51];

/// An image to draw on.
pub(crate) struct Canvas {
    pub image: Rgb,
    /// Width of lines: two thirds of it, in pixels.
    pub pen: f64,
}

impl Canvas {
    /// An empty one.
    pub fn new(size: Size) -> Self {
        Self { image: Rgb { size, pixels: GROUND.repeat(size.pixels() as usize) }, pen: 1.0 }
    }

    /// Blends a colour over a pixel; outside of the image nothing happens.
    fn blend(&mut self, x: i64, y: i64, color: Color, opacity: f64) {
        let (w, h) = (i64::from(self.image.size.width), i64::from(self.image.size.height));
        if !(0..w).contains(&x) || !(0..h).contains(&y) {
            return;
        }
        let at = (y * w + x) as usize * 3;
        for (channel, color) in self.image.pixels[at..at + 3].iter_mut().zip(color) {
            let (below, above) = (f64::from(*channel), f64::from(color));
            *channel = (below + (above - below) * opacity).round() as u8;
        }
    }

    /// Copies an image over this one.
    pub fn paste(&mut self, image: &Rgb, left: u32, top: u32) {
        let (from, to) = (image.size.width as usize * 3, self.image.size.width as usize * 3);
        for (row, pixels) in image.pixels.chunks_exact(from).enumerate() {
            let at = (top as usize + row) * to + left as usize * 3;
            self.image.pixels[at..at + from].copy_from_slice(pixels);
        }
    }

    /// The mask at this canvas's size, row-major.
    fn sampled(&self, mask: &Mask) -> Vec<u8> {
        let (from, to) = (mask.size(), self.image.size);
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

    /// Lays a colour over the mask's pixels.
    pub fn tint(&mut self, mask: &Mask, color: Color) {
        let width = self.image.size.width as usize;
        for (i, &set) in self.sampled(mask).iter().enumerate() {
            if set != 0 {
                self.blend((i % width) as i64, (i / width) as i64, color, 0.42);
            }
        }
    }

    /// The inner edge of the mask, `thickness` pens wide.
    pub fn outline(&mut self, mask: &Mask, color: Color, thickness: f64) {
        let (w, h) = (self.image.size.width as i64, self.image.size.height as i64);
        let bitmap = self.sampled(mask);
        let set = |x: i64, y: i64| {
            (0..w).contains(&x) && (0..h).contains(&y) && bitmap[(y * w + x) as usize] != 0
        };
        let reach = (thickness * self.pen).round().max(1.0) as i64;
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
        let margin = 4.0 * self.pen;
        let [left, top, right, bottom] =
            [area[0] - margin, area[1] - margin, area[2] + margin, area[3] + margin];
        let (w, h) = (f64::from(self.image.size.width), f64::from(self.image.size.height));
        let span = |low: f64, high: f64, most: f64| {
            low.clamp(0.0, most) as i64..high.clamp(0.0, most) as i64
        };
        let (half, dark) = (self.pen * 0.75, self.pen);
        for y in span(top, bottom, h) {
            for x in span(left, right, w) {
                let d = distance(x as f64 + 0.5, y as f64 + 0.5);
                self.blend(x, y, [0; 3], (half + dark - d).clamp(0.0, 1.0) * 0.35);
                self.blend(x, y, color, (half + 0.5 - d).clamp(0.0, 1.0));
            }
        }
    }

    /// A box's edges.
    pub fn rectangle(&mut self, edges: [f64; 4]) {
        let [x0, y0, x1, y1] = edges;
        self.stroke(BOX, edges, |x, y| {
            let (dx, dy) = ((x0 - x).max(x - x1), (y0 - y).max(y - y1));
            // Outside: to the nearest edge or corner. Inside: to the nearest edge.
            if dx <= 0.0 && dy <= 0.0 { -dx.max(dy) } else { dx.max(0.0).hypot(dy.max(0.0)) }
        });
    }

    /// A circle, which becomes an ellipse where the axes are scaled differently; all but the first
    /// are dashed.
    pub fn ellipse(&mut self, center: [f64; 2], radii: [f64; 2], index: usize) {
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

    /// A point.
    pub fn dot(&mut self, center: [f64; 2], color: Color) {
        let ([cx, cy], radius) = (center, 0.75 * self.pen);
        self.stroke(color, [cx - radius, cy - radius, cx + radius, cy + radius], |x, y| {
            ((x - cx).hypot(y - cy) - radius).max(0.0)
        });
    }
}
