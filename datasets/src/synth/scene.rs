//! Composition: which objects stand where, which hides which, and the exact masks that follow.

use crate::{CocoSegmentation, Mask, Size};

use super::dice::Dice;
use super::object::{COLORS, Color, KINDS, Kind};
use super::render::Backdrop;
use super::sentence;
use super::shape::{Outline, Part, Vec2};
use super::{Composition, Objects, Sentences};
use crate::mask::signed_area_doubled;

/// One image to be: its objects and their exact masks; pixels are made when it is written.
#[derive(Clone, Debug)]
pub struct Scene {
    /// COCO image id.
    pub image_id: i64,
    /// Width and height.
    pub size: Size,
    /// Annotations, in drawing order.
    pub annotations: Vec<Annotation>,
    pub(super) objects: Vec<Object>,
    pub(super) backdrop: Backdrop,
}

/// One annotated object.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// COCO annotation id, unique in the set.
    pub id: i64,
    /// COCO category id.
    pub category_id: i64,
    /// COCO category name.
    pub category: &'static str,
    /// The visible pixels, exactly.
    pub mask: Mask,
    /// How `instances.json` states them.
    pub segmentation: CocoSegmentation,
    /// COCO's `iscrowd`.
    pub is_crowd: bool,
    /// What is said of it; `None` where nothing is.
    pub reference: Option<Reference>,
}

/// A ref of REFER.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Unique in the set, from 0.
    pub ref_id: i64,
    /// `train`, `val` or `test`.
    pub split: &'static str,
    /// The sentences, with unique ids.
    pub sentences: Vec<Sentence>,
}

/// A sentence of a ref.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// REFER's `sent_id`.
    pub id: i64,
    /// As a person would write it.
    pub raw: String,
    /// Lower case, without punctuation.
    pub sent: String,
}

/// An object of a scene, visible or not.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) color: Color,
    pub(super) parts: Vec<Part>,
    pub(super) relation: Option<Relation>,
}

/// What an object has to do with another one (an index into the scene's objects).
#[derive(Clone, Copy, Debug)]
pub(super) enum Relation {
    Around(usize),
    Inside(usize),
    HiddenBy(usize),
    InFrontOf(usize),
    Touching(usize),
    CutOffAt(&'static str),
}

/// What a scene is about; the images take turns.
const THEMES: [fn(&mut Stage); 8] =
    [ring_around, occlusion, scatter, touching, parts, border, thin, split_in_two];

/// Image sizes as data sets have them: landscape, portrait, small, large.
const SIZES: [(u32, u32); 10] = [
    (640, 480),
    (640, 427),
    (480, 640),
    (500, 375),
    (640, 480),
    (427, 640),
    (320, 240),
    (640, 360),
    (1024, 768),
    (333, 500),
];

impl Scene {
    /// The scene of a seed and an index; ids of annotations, refs and sentences are still local.
    pub(super) fn compose(seed: u64, index: usize, composition: &Composition) -> Self {
        let mut dice = Dice::new(seed, index as u64);
        let (width, height) = SIZES[index % SIZES.len()];
        let scaled = |side: u32| match composition.longest_side {
            Some(longest) => (side * longest).div_ceil(width.max(height)),
            None => side,
        };
        let (width, height) = (scaled(width), scaled(height));
        let backdrop = Backdrop::new(&mut dice);
        let mut colors: Vec<Color> =
            COLORS.iter().copied().filter(|c| backdrop.shows(c.rgb)).collect();
        dice.shuffle(&mut colors);
        let mut stage = Stage {
            size: Size::new(width, height),
            unit: f64::from(width.min(height)),
            taken: Vec::new(),
            objects: Vec::new(),
            colors,
            dice,
        };
        THEMES[index % THEMES.len()](&mut stage);
        stage.fill(index);
        stage.keep(composition.objects);
        let (size, objects, mut dice) = (stage.size, stage.objects, stage.dice);
        let annotations = annotate(size, &objects, composition.sentences, &mut dice);
        // Ascending and not consecutive, as COCO's.
        let image_id = 1009 + 97 * index as i64 + dice.below(90) as i64;
        Self { image_id, size, annotations, objects, backdrop }
    }

    /// The file's name in the image folder.
    pub fn file_name(&self) -> String {
        format!("COCO_train2014_{:012}.jpg", self.image_id)
    }
}

/// A scene under construction.
struct Stage {
    size: Size,
    /// The shorter side; sizes are relative to it.
    unit: f64,
    /// Discs that are occupied.
    taken: Vec<(Vec2, f64)>,
    objects: Vec<Object>,
    /// Colours that are left.
    colors: Vec<Color>,
    dice: Dice,
}

impl Stage {
    /// A free disc of the given radius inside the image, if luck finds one.
    fn place(&mut self, radius: f64) -> Option<Vec2> {
        let (w, h) = (f64::from(self.size.width), f64::from(self.size.height));
        for _ in 0..60 {
            let margin = radius + 3.0;
            let center = [self.dice.range(margin, w - margin), self.dice.range(margin, h - margin)];
            let free = |&(other, r): &(Vec2, f64)| {
                (other[0] - center[0]).hypot(other[1] - center[1]) > (r + radius) * 1.04
            };
            if self.taken.iter().all(free) {
                self.taken.push((center, radius));
                return Some(center);
            }
        }
        None
    }

    /// Adds an object in a fresh colour, in front of the others; its index.
    fn add(&mut self, kind: Kind, parts: Vec<Part>, relation: Option<Relation>) -> usize {
        let color = self.colors.pop().unwrap_or(COLORS[0]);
        self.objects.push(Object { kind, color, parts, relation });
        self.objects.len() - 1
    }

    fn add_kind(&mut self, kind: Kind, center: Vec2, radius: f64) -> usize {
        let parts = kind.parts(center, radius, &mut self.dice);
        self.add(kind, parts, None)
    }

    /// A radius between two fractions of the shorter side.
    fn radius(&mut self, low: f64, high: f64) -> f64 {
        self.dice.range(low, high) * self.unit
    }

    /// Takes away all objects but the first, and what was said of their relation to those.
    fn keep(&mut self, Objects { low, high }: Objects) {
        let count = if low < high { low + self.dice.below(high - low + 1) } else { low };
        self.objects.truncate(count);
        let is_gone = |relation: &Relation| match *relation {
            Relation::Around(other)
            | Relation::Inside(other)
            | Relation::HiddenBy(other)
            | Relation::InFrontOf(other)
            | Relation::Touching(other) => other >= count,
            Relation::CutOffAt(_) => false,
        };
        for object in &mut self.objects {
            object.relation = object.relation.filter(|relation| !is_gone(relation));
        }
    }

    /// Tops up with single objects; every ninth image gets a crowd.
    fn fill(&mut self, index: usize) {
        if index % 9 == 4 {
            let radius = self.radius(0.12, 0.16);
            if let Some(center) = self.place(radius) {
                self.add_kind(Kind::Confetti, center, radius);
            }
        }
        let wanted = 3 + self.dice.below(3);
        for _ in 0..8 {
            if self.objects.len() >= wanted {
                return;
            }
            let (kind, radius) = (self.dice.pick(&KINDS[..11]), self.radius(0.08, 0.17));
            if let Some(center) = self.place(radius) {
                self.add_kind(kind, center, radius);
            }
        }
    }
}

fn scatter(stage: &mut Stage) {
    for kind in [Kind::Star, Kind::Crescent, Kind::Horseshoe] {
        let radius = stage.radius(0.11, 0.2);
        if let Some(center) = stage.place(radius) {
            stage.add_kind(kind, center, radius);
        }
    }
}

fn ring_around(stage: &mut Stage) {
    let radius = stage.radius(0.18, 0.26);
    let Some(center) = stage.place(radius) else { return };
    let inner = stage.dice.pick(&[Kind::Disc, Kind::Star, Kind::Disc]);
    let share = stage.dice.range(0.35, 0.52);
    let inside = stage.add_kind(inner, center, radius * share);
    let ring = stage.add_kind(Kind::Ring, center, radius);
    stage.objects[ring].relation = Some(Relation::Around(inside));
    stage.objects[inside].relation = Some(Relation::Inside(ring));
}

fn occlusion(stage: &mut Stage) {
    let radius = stage.radius(0.2, 0.28);
    let Some(center) = stage.place(radius * 1.2) else { return };
    let back = stage.dice.pick(&[Kind::Disc, Kind::Star, Kind::Block]);
    let front = stage.dice.pick(&[Kind::Star, Kind::Crescent, Kind::Block, Kind::Horseshoe]);
    let aside = radius * stage.dice.range(0.45, 0.6);
    let a = stage.add_kind(back, [center[0] - aside * 0.6, center[1]], radius * 0.8);
    let b = stage.add_kind(front, [center[0] + aside, center[1] + aside * 0.3], radius * 0.7);
    stage.objects[a].relation = Some(Relation::HiddenBy(b));
    stage.objects[b].relation = Some(Relation::InFrontOf(a));
}

fn touching(stage: &mut Stage) {
    let radius = stage.radius(0.2, 0.26);
    let Some(center) = stage.place(radius) else { return };
    // Edges half way between pixel centres: the masks abut without a gap and without overlap.
    let edge = center[0].floor() + 0.5;
    let [left, right] = [0.42, 0.62].map(|f| (radius * f).floor());
    let block = |x: f64, half_width: f64, half_height: f64| {
        let outline = Outline::Block { half: [half_width, half_height.floor()], corner: 0.0 };
        Part::new(outline, [x, center[1].floor() + 0.5], 0.0)
    };
    let a = stage.add(Kind::Block, vec![block(edge - left, left, radius * 0.6)], None);
    let b = stage.add(Kind::Block, vec![block(edge + right, right, radius * 0.35)], None);
    stage.objects[a].relation = Some(Relation::Touching(b));
    stage.objects[b].relation = Some(Relation::Touching(a));
}

fn border(stage: &mut Stage) {
    let (w, h) = (f64::from(stage.size.width), f64::from(stage.size.height));
    for side in ["left", "bottom"] {
        let radius = stage.radius(0.16, 0.24);
        let along = stage.dice.range(0.3, 0.7);
        let center = match side {
            "left" => [radius * 0.2, h * along * 0.8],
            _ => [w * (0.3 + along * 0.6), h - radius * 0.25],
        };
        let kind = stage.dice.pick(&[Kind::Disc, Kind::Ring, Kind::Star, Kind::Block]);
        stage.taken.push((center, radius));
        let index = stage.add_kind(kind, center, radius);
        stage.objects[index].relation = Some(Relation::CutOffAt(side));
    }
}

fn thin(stage: &mut Stage) {
    for kind in [Kind::Bar, Kind::Zigzag, Kind::Bar] {
        let radius = stage.radius(0.14, 0.22);
        if let Some(center) = stage.place(radius * 0.9) {
            stage.add_kind(kind, center, radius);
        }
    }
}

fn parts(stage: &mut Stage) {
    for kind in [Kind::Cross, Kind::Dumbbell, Kind::Dots] {
        let radius = stage.radius(0.13, 0.2);
        if let Some(center) = stage.place(radius) {
            stage.add_kind(kind, center, radius);
        }
    }
}

/// A bar in front of something, which falls into two visible parts.
fn split_in_two(stage: &mut Stage) {
    let radius = stage.radius(0.2, 0.26);
    let Some(center) = stage.place(radius * 1.1) else { return };
    let back = stage.dice.pick(&[Kind::Disc, Kind::Block, Kind::Ring]);
    let a = stage.add_kind(back, center, radius * 0.85);
    let half = [radius * 1.15, stage.dice.range(0.07, 0.14) * radius];
    let angle = std::f64::consts::FRAC_PI_2 + stage.dice.range(-0.4, 0.4);
    let bar = Part::new(Outline::Block { half, corner: half[1] * 0.5 }, center, angle);
    let b = stage.add(Kind::Bar, vec![bar], None);
    stage.objects[a].relation = Some(Relation::HiddenBy(b));
    stage.objects[b].relation = Some(Relation::InFrontOf(a));
}

/// Exact masks from front to back: an object shows where nothing in front of it does.
fn annotate(size: Size, objects: &[Object], said: Sentences, dice: &mut Dice) -> Vec<Annotation> {
    let mut in_front = Mask::empty(size);
    let mut masks = Vec::new();
    for object in objects.iter().rev() {
        let parts: Vec<Mask> = object.parts.iter().map(|part| part.mask(size)).collect();
        let whole = union(size, &parts);
        let visible: Vec<Mask> = parts
            .iter()
            .map(|part| part.difference(&in_front).unwrap_or_else(|_| part.clone()))
            .collect();
        masks.push((visible, whole.area()));
        in_front = union(size, &[in_front, whole]);
    }
    masks.reverse();
    let boxes: Vec<Option<crate::Bbox>> =
        masks.iter().map(|(parts, _)| union(size, parts).bbox()).collect();
    let mut annotations = Vec::new();
    for (index, (object, (parts, whole_area))) in objects.iter().zip(masks).enumerate() {
        let mask = union(size, &parts);
        let Some(bbox) = boxes[index] else { continue };
        let is_crowd = object.kind == Kind::Confetti;
        let speaks_of = !is_crowd && mask.area() >= 40 && 4 * mask.area() >= whole_area;
        let sentences = |dice| match said {
            Sentences::All => sentence::of(objects, index, bbox, size, dice),
            Sentences::Plain => vec![sentence::plain(&objects[index])],
        };
        annotations.push(Annotation {
            id: 0,
            category_id: object.kind.category_id(),
            category: object.kind.noun(),
            segmentation: segmentation(object.kind, &parts, &mask),
            is_crowd,
            reference: speaks_of.then(|| Reference {
                ref_id: 0,
                split: "train",
                sentences: sentences(dice),
            }),
            mask,
        });
    }
    annotations
}

/// Polygons where they can say it: one per overlapping part, or one per visible piece. Run lengths
/// for crowds, and where there is a hole.
fn segmentation(kind: Kind, parts: &[Mask], mask: &Mask) -> CocoSegmentation {
    let rings: Vec<_> = match kind.parts_overlap() {
        true => parts.iter().flat_map(Mask::outlines).collect(),
        false => mask.outlines(),
    };
    let has_hole = rings.iter().any(|ring| signed_area_doubled(ring) < 0);
    if kind == Kind::Confetti || has_hole || rings.len() > 12 {
        return CocoSegmentation::Rle(mask.clone());
    }
    let flat = |ring: &crate::mask::Ring| ring.iter().flatten().map(|&v| f64::from(v)).collect();
    CocoSegmentation::Polygons(rings.iter().map(flat).collect())
}

fn union(size: Size, masks: &[Mask]) -> Mask {
    // All masks of a scene have its size, so the union cannot fail.
    masks.iter().fold(Mask::empty(size), |all, mask| all.union(mask).unwrap_or(all))
}
