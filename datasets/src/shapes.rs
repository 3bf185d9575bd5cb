//! The vocabulary of places: [`Size`], [`Point`], [`Bbox`]. Pixels, origin at the top left, y down.

use serde::{Deserialize, Serialize};

/// Width and height of an image or mask, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl Size {
    /// A size from width and height, in that order.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The centre of a pixel: column `x`, row `y`. May lie outside the image (a model's answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// Column, 0 at the left.
    pub x: i32,
    /// Row, 0 at the top.
    pub y: i32,
}

impl Point {
    /// A point from column and row.
    pub const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

/// A box of **inclusive** pixel indices: `x1` and `y1` are the last column and row inside it, so a
/// single pixel has `x0 == x1`. This is Seg-Zero's convention for targets and answers.
///
/// ```
/// use segzero_datasets::Bbox;
/// let bbox = Bbox { x0: 2, y0: 3, x1: 4, y1: 3 };
/// assert_eq!(bbox.to_coco_xywh(), [2.0, 3.0, 3.0, 1.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bbox {
    /// Leftmost column.
    pub x0: i32,
    /// Topmost row.
    pub y0: i32,
    /// Rightmost column, inclusive.
    pub x1: i32,
    /// Bottommost row, inclusive.
    pub y1: i32,
}

impl Bbox {
    /// COCO's `[x, y, width, height]`, where width counts pixels.
    pub fn to_coco_xywh(self) -> [f64; 4] {
        let [x0, y0, x1, y1] = [self.x0, self.y0, self.x1, self.y1].map(f64::from);
        [x0, y0, x1 - x0 + 1.0, y1 - y0 + 1.0]
    }

    /// Number of columns.
    pub fn width(self) -> i32 {
        self.x1 - self.x0 + 1
    }

    /// Number of rows.
    pub fn height(self) -> i32 {
        self.y1 - self.y0 + 1
    }
}
