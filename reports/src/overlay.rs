//! [`overlay`]: an image with a mask, and with what the mask was asked for.

use segzero_datasets::Mask;
use segzero_prep::image::Rgb;

use crate::canvas::{BACKGROUND, CIRCLE, Canvas, MASK};

/// The image's longer side for a pen of one pixel.
const SIDE_TO_PEN: f64 = 480.0;

/// Places in an image, continuous (x, y) in its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// Left, top, right and bottom edge.
    pub boxes: Vec<[f64; 4]>,
    /// Points on the object.
    pub foreground: Vec<[f64; 2]>,
    /// Points beside it.
    pub background: Vec<[f64; 2]>,
}

/// The image with the mask's pixels tinted and its edge, the boxes and the points drawn.
pub fn overlay(image: Rgb, mask: &Mask, marks: &Marks) -> Rgb {
    let side = image.size.width.max(image.size.height);
    let mut canvas = Canvas { image, pen: (f64::from(side) / SIDE_TO_PEN).max(1.0) };
    canvas.tint(mask, MASK);
    canvas.outline(mask, MASK, 1.0);
    for &edges in &marks.boxes {
        canvas.rectangle(edges);
    }
    // Points are drawn with a wider pen, so that they are seen on the mask.
    canvas.pen *= 2.0;
    for (points, color) in [(&marks.foreground, CIRCLE), (&marks.background, BACKGROUND)] {
        for &center in points {
            canvas.dot(center, color);
        }
    }
    canvas.image
}

#[cfg(test)]
mod tests {
    use segzero_datasets::Size;

    use super::*;

    #[test]
    fn what_is_asked_is_drawn_on_the_image_and_beyond_it_nothing() {
        let size = Size::new(40, 30);
        let grey = Rgb { size, pixels: vec![128; 40 * 30 * 3] };
        let mask = Mask::from_rows(size, |y, row| {
            let inside = |x| (20..36).contains(&x) && (5..25).contains(&y);
            (0..).zip(row).for_each(|(x, pixel)| *pixel = u8::from(inside(x)));
        })
        .unwrap();
        let marks = Marks {
            boxes: vec![[2.0, 2.0, 12.0, 28.0], [-50.0, 10.0, 5000.0, 1e9]],
            foreground: vec![[28.0, 15.0], [-5.0, f64::NAN]],
            background: vec![[16.5, 6.5]],
        };
        let drawn = overlay(grey, &mask, &marks);
        assert_eq!(drawn.size, size);
        let pixel = |x: usize, y: usize| &drawn.pixels[(y * 40 + x) * 3..][..3];
        assert_eq!(pixel(7, 20), [128; 3]);
        assert_eq!(pixel(32, 20), [181, 94, 131], "0.42 of the mask's colour");
        assert_eq!(pixel(20, 20), MASK);
        assert_eq!(pixel(28, 15), CIRCLE);
        assert_eq!(pixel(16, 6), BACKGROUND);
        assert!(pixel(2, 20)[2] > 200, "a blue edge: {:?}", pixel(2, 20));
    }
}
