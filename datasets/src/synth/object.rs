//! What the scenes are made of: kinds of object, their names, colours and parts.

use std::f64::consts::{PI, TAU};

use super::dice::Dice;
use super::shape::{Outline, Part, Vec2};

/// A kind of object. Each is awkward in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Disc,
    /// Thin.
    Bar,
    Block,
    /// Has a hole.
    Ring,
    /// Concave.
    Star,
    /// Concave, with tips.
    Crescent,
    /// Concave, its middle outside of it.
    Horseshoe,
    /// Two overlapping parts.
    Cross,
    /// Three overlapping parts, one of them thin.
    Dumbbell,
    /// Thin and concave.
    Zigzag,
    /// Three parts apart.
    Dots,
    /// Many small parts: COCO's crowd.
    Confetti,
}

/// All kinds; the position is the COCO category id less one.
pub(super) const KINDS: [Kind; 12] = [
    Kind::Disc,
    Kind::Bar,
    Kind::Block,
    Kind::Ring,
    Kind::Star,
    Kind::Crescent,
    Kind::Horseshoe,
    Kind::Cross,
    Kind::Dumbbell,
    Kind::Zigzag,
    Kind::Dots,
    Kind::Confetti,
];

/// A named colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Color {
    pub(super) name: &'static str,
    pub(super) rgb: [f64; 3],
}

/// The colours of the objects. Within an image each occurs once, so that it names one object.
pub(super) const COLORS: [Color; 11] = [
    Color { name: "red", rgb: [219.0, 50.0, 47.0] },
    Color { name: "orange", rgb: [245.0, 130.0, 20.0] },
    Color { name: "yellow", rgb: [250.0, 205.0, 45.0] },
    Color { name: "green", rgb: [62.0, 150.0, 68.0] },
    Color { name: "turquoise", rgb: [20.0, 165.0, 155.0] },
    Color { name: "blue", rgb: [35.0, 110.0, 220.0] },
    Color { name: "purple", rgb: [130.0, 55.0, 175.0] },
    Color { name: "pink", rgb: [240.0, 120.0, 170.0] },
    Color { name: "brown", rgb: [120.0, 80.0, 60.0] },
    Color { name: "white", rgb: [244.0, 244.0, 240.0] },
    Color { name: "black", rgb: [42.0, 42.0, 48.0] },
];

impl Kind {
    /// What people call it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Disc => "disc",
            Self::Bar => "bar",
            Self::Block => "block",
            Self::Ring => "ring",
            Self::Star => "star",
            Self::Crescent => "crescent",
            Self::Horseshoe => "horseshoe",
            Self::Cross => "cross",
            Self::Dumbbell => "dumbbell",
            Self::Zigzag => "zigzag",
            Self::Dots => "three dots",
            Self::Confetti => "confetti",
        }
    }

    /// What some call it instead.
    pub(super) fn nickname(self) -> &'static str {
        match self {
            Self::Disc => "coin",
            Self::Bar => "stick",
            Self::Block => "brick",
            Self::Ring => "doughnut",
            Self::Star => "étoile",
            Self::Crescent => "moon",
            Self::Horseshoe => "magnet",
            Self::Cross => "plus sign",
            Self::Dumbbell => "bone",
            Self::Zigzag => "lightning",
            Self::Dots => "traffic light",
            Self::Confetti => "décor",
        }
    }

    /// COCO category id.
    pub(super) fn category_id(self) -> i64 {
        KINDS.iter().position(|&kind| kind == self).map_or(0, |i| i as i64 + 1)
    }

    /// Whether its parts overlap, and are annotated as one polygon each.
    pub(super) fn parts_overlap(self) -> bool {
        matches!(self, Self::Cross | Self::Dumbbell)
    }

    /// The parts of an object of about `radius` around `center`.
    pub(super) fn parts(self, center: Vec2, radius: f64, dice: &mut Dice) -> Vec<Part> {
        let r = radius;
        let angle = match self {
            Self::Block => dice.range(-0.3, 0.3),
            _ => dice.range(0.0, TAU),
        };
        let one = |outline| vec![Part::new(outline, center, angle)];
        match self {
            Self::Disc => one(Outline::Disc { radius: r * dice.range(0.7, 1.0) }),
            Self::Bar => {
                let half = [r * 1.25, dice.range(1.1, 1.5 + 0.06 * r)];
                one(Outline::Block { half, corner: half[1] * 0.6 })
            }
            Self::Block => {
                let half = [r * dice.range(0.75, 0.95), r * dice.range(0.4, 0.65)];
                one(Outline::Block { half, corner: r * 0.12 })
            }
            Self::Ring => one(Outline::Ring { radius: r * 0.82, half: r * dice.range(0.08, 0.18) }),
            Self::Star => one(Outline::Polygon { corners: star(r) }),
            Self::Crescent => {
                one(Outline::Crescent { radius: r, bite: r * 0.86, offset: r * 0.45 })
            }
            Self::Horseshoe => one(Outline::Horseshoe {
                radius: r * 0.78,
                half: r * dice.range(0.14, 0.22),
                opening: dice.range(1.3, 1.9),
            }),
            Self::Cross => {
                let half = [r, r * dice.range(0.16, 0.26)];
                let outline = Outline::Block { half, corner: half[1] * 0.4 };
                [angle, angle + PI / 2.0]
                    .map(|angle| Part::new(outline.clone(), center, angle))
                    .into()
            }
            Self::Dumbbell => dumbbell(center, r, angle),
            Self::Zigzag => one(zigzag(r, dice)),
            Self::Dots => dots(center, r, angle),
            Self::Confetti => confetti(center, r, dice),
        }
    }
}

fn star(radius: f64) -> Vec<Vec2> {
    let corner = |i: u32| {
        let r = if i.is_multiple_of(2) { radius } else { radius * 0.45 };
        let a = f64::from(i) * PI / 5.0;
        [r * a.sin(), -r * a.cos()]
    };
    (0..10).map(corner).collect()
}

fn dumbbell(center: Vec2, radius: f64, angle: f64) -> Vec<Part> {
    let rod = Outline::Block { half: [radius * 0.75, (radius * 0.07).max(1.2)], corner: 1.0 };
    let mut parts = vec![Part::new(rod, center, angle)];
    let end = |share: f64| disc_beside(center, share * radius, angle, radius * 0.32);
    parts.extend([-0.68, 0.68].map(end));
    parts
}

fn zigzag(radius: f64, dice: &mut Dice) -> Outline {
    let point = |i: u32| {
        let x = (f64::from(i) / 2.5 - 1.0) * radius;
        [x, if i.is_multiple_of(2) { -0.3 } else { 0.3 } * radius]
    };
    let half = dice.range(1.2, 1.6 + 0.07 * radius);
    Outline::Stroke { points: (0..6).map(point).collect(), half }
}

fn dots(center: Vec2, radius: f64, angle: f64) -> Vec<Part> {
    [(-0.72, 0.2), (0.0, 0.28), (0.72, 0.24)]
        .map(|(share, r)| disc_beside(center, share * radius, angle, radius * r))
        .into()
}

/// A disc at a distance from a centre, in a direction.
fn disc_beside(center: Vec2, distance: f64, angle: f64, radius: f64) -> Part {
    let at = [center[0] + distance * angle.cos(), center[1] + distance * angle.sin()];
    Part::new(Outline::Disc { radius }, at, 0.0)
}

fn confetti(center: Vec2, radius: f64, dice: &mut Dice) -> Vec<Part> {
    (0..24)
        .map(|_| {
            let (a, r) = (dice.range(0.0, TAU), radius * dice.unit().sqrt());
            disc_beside(center, r, a, radius * dice.range(0.05, 0.1))
        })
        .collect()
}
