//! Shapes as signed distances: negative inside, in pixels. One formula gives the exact mask (the
//! sign at pixel centres), the smooth edge, the bevel and the shadow.

use crate::{Mask, Size};

/// A pair of coordinates in pixels, y down; pixel centres are at integers.
pub(super) type Vec2 = [f64; 2];

/// A shape around the origin.
#[derive(Clone, Debug)]
pub(super) enum Outline {
    Disc {
        radius: f64,
    },
    /// A band of half width `half` around a circle.
    Ring {
        radius: f64,
        half: f64,
    },
    /// A rectangle with rounded corners.
    Block {
        half: Vec2,
        corner: f64,
    },
    /// A disc less a disc of `bite` whose centre is `offset` to the right.
    Crescent {
        radius: f64,
        bite: f64,
        offset: f64,
    },
    /// A band around an arc of a circle that is open downwards by `opening` radians.
    Horseshoe {
        radius: f64,
        half: f64,
        opening: f64,
    },
    /// A closed polygon.
    Polygon {
        corners: Vec<Vec2>,
    },
    /// A band along a line.
    Stroke {
        points: Vec<Vec2>,
        half: f64,
    },
}

/// An outline at its place.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) outline: Outline,
    pub(super) center: Vec2,
    /// Cosine and sine of its rotation, clockwise as seen on the screen.
    rotation: Vec2,
}

impl Part {
    /// An outline moved to `center` and turned by `angle` radians, clockwise as seen on the screen.
    pub(super) fn new(outline: Outline, center: Vec2, angle: f64) -> Self {
        Self { outline, center, rotation: [angle.cos(), angle.sin()] }
    }

    /// Signed distance of a point from the outline.
    pub(super) fn distance(&self, at: Vec2) -> f64 {
        let [cos, sin] = self.rotation;
        let [dx, dy] = [at[0] - self.center[0], at[1] - self.center[1]];
        self.outline.distance([cos * dx + sin * dy, cos * dy - sin * dx])
    }

    /// The pixels whose centre is inside.
    pub(super) fn mask(&self, size: Size) -> Mask {
        let (w, h) = (size.width as usize, size.height as usize);
        let mut pixels = vec![0u8; w * h];
        let [xs, ys] = self.pixel_range(size, 1.0);
        for y in ys {
            for x in xs.clone() {
                pixels[y * w + x] = u8::from(self.distance([x as f64, y as f64]) < 0.0);
            }
        }
        Mask::from_bitmap(size, &pixels).unwrap_or_else(|_| Mask::empty(size))
    }

    /// Columns and rows that may lie within `margin` of the part.
    pub(super) fn pixel_range(&self, size: Size, margin: f64) -> [std::ops::Range<usize>; 2] {
        let reach = self.outline.reach() + margin;
        [(self.center[0], size.width), (self.center[1], size.height)].map(|(center, length)| {
            let clamp = |v: f64| v.clamp(0.0, f64::from(length)) as usize;
            clamp((center - reach).floor())..clamp((center + reach).ceil() + 1.0)
        })
    }
}

impl Outline {
    /// Radius of a disc around the origin that holds the shape.
    pub(super) fn reach(&self) -> f64 {
        let farthest = |points: &[Vec2]| points.iter().map(|&p| length(p)).fold(0.0, f64::max);
        match self {
            Self::Disc { radius } | Self::Crescent { radius, .. } => *radius,
            Self::Ring { radius, half } | Self::Horseshoe { radius, half, .. } => radius + half,
            Self::Block { half, .. } => length(*half),
            Self::Polygon { corners } => farthest(corners),
            Self::Stroke { points, half } => farthest(points) + half,
        }
    }

    fn distance(&self, p: Vec2) -> f64 {
        match self {
            Self::Disc { radius } => length(p) - radius,
            Self::Ring { radius, half } => (length(p) - radius).abs() - half,
            Self::Block { half, corner } => {
                let q = [p[0].abs() - half[0] + corner, p[1].abs() - half[1] + corner];
                length([q[0].max(0.0), q[1].max(0.0)]) + q[0].max(q[1]).min(0.0) - corner
            }
            Self::Crescent { radius, bite, offset } => {
                (length(p) - radius).max(bite - length([p[0] - offset, p[1]]))
            }
            Self::Horseshoe { radius, half, opening } => {
                // Angle from "up"; beyond the arc, the distance to its nearer end.
                let end = std::f64::consts::PI - opening / 2.0;
                if p[0].abs().atan2(-p[1]) <= end {
                    (length(p) - radius).abs() - half
                } else {
                    let tip = [radius * end.sin(), -radius * end.cos()];
                    length([p[0].abs() - tip[0], p[1] - tip[1]]) - half
                }
            }
            Self::Polygon { corners } => polygon_distance(corners, p),
            Self::Stroke { points, half } => {
                let segments = points.windows(2).map(|ab| segment_distance(ab[0], ab[1], p));
                segments.fold(f64::INFINITY, f64::min) - half
            }
        }
    }
}

/// Distance from a closed polygon's edge, negative inside by the even-odd rule.
fn polygon_distance(corners: &[Vec2], p: Vec2) -> f64 {
    let (mut nearest, mut inside) = (f64::INFINITY, false);
    for (i, &a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        nearest = nearest.min(segment_distance(a, b, p));
        if (a[1] > p[1]) != (b[1] > p[1]) {
            inside ^= p[0] < a[0] + (p[1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
        }
    }
    if inside { -nearest } else { nearest }
}

fn segment_distance(a: Vec2, b: Vec2, p: Vec2) -> f64 {
    let (ab, ap) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let squared = (ab[0] * ab[0] + ab[1] * ab[1]).max(f64::MIN_POSITIVE);
    let t = ((ap[0] * ab[0] + ap[1] * ab[1]) / squared).clamp(0.0, 1.0);
    length([ap[0] - t * ab[0], ap[1] - t * ab[1]])
}

fn length(p: Vec2) -> f64 {
    (p[0] * p[0] + p[1] * p[1]).sqrt()
}
