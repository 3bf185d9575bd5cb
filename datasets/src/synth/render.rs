//! Pixels: a soft backdrop, shadows, shaded objects with smooth edges, a little noise.

use crate::Size;

use super::dice::Dice;
use super::object::Kind;
use super::scene::{Object, Scene};
use super::shape::{Part, Vec2};

type Rgb = [f64; 3];

/// What is behind the objects.
#[derive(Clone, Debug)]
pub(super) struct Backdrop {
    /// Colours at the two ends of a gradient.
    from: Rgb,
    to: Rgb,
    /// Unit vector of the gradient.
    direction: Vec2,
    /// Out-of-focus lights: place and radius relative to the image, strength.
    lights: Vec<(Vec2, f64, f64)>,
    noise_seed: u32,
}

const BACKDROPS: [[Rgb; 2]; 7] = [
    [[236.0, 240.0, 244.0], [176.0, 192.0, 208.0]],
    [[246.0, 236.0, 222.0], [214.0, 184.0, 150.0]],
    [[226.0, 238.0, 228.0], [160.0, 188.0, 170.0]],
    [[72.0, 84.0, 104.0], [38.0, 44.0, 58.0]],
    [[244.0, 230.0, 236.0], [198.0, 168.0, 188.0]],
    [[64.0, 88.0, 92.0], [30.0, 42.0, 50.0]],
    [[238.0, 234.0, 214.0], [190.0, 184.0, 146.0]],
];

impl Backdrop {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let [from, to] = dice.pick(&BACKDROPS);
        let light = |dice: &mut Dice| {
            ([dice.unit(), dice.unit()], dice.range(0.08, 0.3), dice.range(0.04, 0.12))
        };
        let angle = dice.range(0.9, 2.2);
        Self {
            from,
            to,
            direction: [angle.cos(), angle.sin()],
            lights: (0..6).map(|_| light(dice)).collect(),
            noise_seed: (dice.unit() * f64::from(u32::MAX)) as u32,
        }
    }

    /// Whether an object of this colour stands out.
    pub(super) fn shows(&self, color: Rgb) -> bool {
        let apart = |b: Rgb| (0..3).map(|i| (b[i] - color[i]).abs()).fold(0.0, f64::max) > 60.0;
        apart(self.from) && apart(self.to)
    }

    fn at(&self, x: f64, y: f64, size: Size) -> Rgb {
        let (w, h) = (f64::from(size.width), f64::from(size.height));
        let (u, v) = (x / w - 0.5, y / h - 0.5);
        let along = (u * self.direction[0] + v * self.direction[1] + 0.5).clamp(0.0, 1.0);
        let mut color = mix(self.from, self.to, smooth(along));
        for &(place, radius, strength) in &self.lights {
            let (dx, dy, r) = (x - place[0] * w, y - place[1] * h, radius * w.min(h));
            let squared = (dx * dx + dy * dy) / (r * r);
            if squared < 1.44 {
                let fade = smooth(((squared.sqrt() - 0.8) / 0.4).clamp(0.0, 1.0));
                color = mix(color, [255.0; 3], strength * (1.0 - fade));
            }
        }
        mix(color, [0.0; 3], 0.28 * (u * u + v * v))
    }
}

/// Renders a scene; row-major RGB.
pub(super) fn render(scene: &Scene) -> Vec<u8> {
    let (w, h) = (scene.size.width as usize, scene.size.height as usize);
    let mut canvas: Vec<Rgb> = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            canvas.push(scene.backdrop.at(x as f64, y as f64, scene.size));
        }
    }
    for object in &scene.objects {
        paint(&mut canvas, scene.size, object);
    }
    let mut pixels = Vec::with_capacity(w * h * 3);
    for (index, color) in canvas.iter().enumerate() {
        let grain = noise(index as u32, scene.backdrop.noise_seed) * 5.0;
        pixels.extend(color.map(|channel| (channel + grain).clamp(0.0, 255.0) as u8));
    }
    pixels
}

/// Shadow first, then the body.
fn paint(canvas: &mut [Rgb], size: Size, object: &Object) {
    let unit = f64::from(size.width.min(size.height));
    let (drop, blur) = (unit * 0.012, unit * 0.022);
    let flat = object.kind == Kind::Confetti;
    let mut each = |part: &Part, paint: &dyn Fn(Vec2, Rgb) -> Rgb| {
        let [xs, ys] = part.pixel_range(size, drop + blur + 2.0);
        for y in ys {
            for x in xs.clone() {
                let pixel = &mut canvas[y * size.width as usize + x];
                *pixel = paint([x as f64, y as f64], *pixel);
            }
        }
    };
    for part in &object.parts {
        each(part, &|at, below| {
            let d = part.distance([at[0] - drop * 0.6, at[1] - drop]);
            let depth = 1.0 - smooth(((d + blur * 0.5) / (blur * 1.5)).clamp(0.0, 1.0));
            mix(below, [0.0; 3], depth * if flat { 0.12 } else { 0.3 })
        });
    }
    for part in &object.parts {
        each(part, &|at, below| {
            let d = part.distance(at);
            let cover = (0.5 - d).clamp(0.0, 1.0);
            if cover == 0.0 {
                below
            } else {
                mix(below, shade(part, at, d, object.color.rgb), cover)
            }
        });
    }
}

/// Light from the upper left: a gradient over the body and a bevel along its edge.
fn shade(part: &Part, at: Vec2, distance: f64, color: Rgb) -> Rgb {
    let reach = part.outline.reach();
    let height = ((at[1] - part.center[1]) / reach + (at[0] - part.center[0]) / reach * 0.5) / 1.5;
    let body = mix(color, [255.0; 3], 0.16 * (0.5 - 0.5 * height).clamp(0.0, 1.0));
    let body = mix(body, [0.0; 3], 0.2 * (0.5 + 0.5 * height).clamp(0.0, 1.0));
    let rim = (reach * 0.07).clamp(1.5, 9.0);
    let bevel = (1.0 + distance / rim).clamp(0.0, 1.0);
    let slope =
        part.distance([at[0] + 0.7, at[1] + 0.7]) - part.distance([at[0] - 0.7, at[1] - 0.7]);
    // `slope` is positive where the edge faces the lower right, away from the light.
    let light = -slope / 2.0 * bevel;
    match light > 0.0 {
        true => mix(body, [255.0; 3], 0.45 * light.min(1.0)),
        false => mix(body, [0.0; 3], 0.3 * (-light).min(1.0)),
    }
}

fn mix(a: Rgb, b: Rgb, t: f64) -> Rgb {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * t)
}

/// Hermite's step on 0..1.
fn smooth(t: f64) -> f64 {
    t * t * (3.0 - 2.0 * t)
}

/// White noise in -0.5..0.5, by an integer hash.
fn noise(index: u32, seed: u32) -> f64 {
    let mut v = index.wrapping_mul(0x9e37_79b9) ^ seed;
    v = (v ^ (v >> 16)).wrapping_mul(0x85eb_ca6b);
    v = (v ^ (v >> 13)).wrapping_mul(0xc2b2_ae35);
    f64::from(v ^ (v >> 16)) / f64::from(u32::MAX) - 0.5
}
