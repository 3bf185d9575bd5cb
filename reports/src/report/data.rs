//! What the page's script gets. Names are short where they repeat, and lists go by columns: ten
//! thousand samples are some two megabytes.

use std::collections::{BTreeMap, HashMap};

use ahash::RandomState;
use segzero_datasets::Mask;
use segzero_eval::Status;
use serde::Serialize;

use super::plain::spelled;
use super::{Chosen, Gallery, Report};

/// All units, and the pictures of some.
#[derive(Serialize)]
pub(super) struct Data<'a> {
    runs: Vec<&'a str>,
    /// Names of data set and split, and the unit's position among them.
    sets: Vec<String>,
    set: Vec<usize>,
    key: Vec<String>,
    text: Vec<&'a str>,
    image: Vec<&'a str>,
    category: Vec<Option<&'a str>>,
    /// Pixels of target and image.
    area: Vec<Option<u64>>,
    pixels: Vec<Option<u64>>,
    /// One list a run.
    iou: Vec<Vec<Option<f64>>>,
    status: Vec<Vec<Option<String>>>,
    picks: Picks<'a>,
    pictures: Vec<String>,
    /// COCO strings.
    masks: Vec<String>,
    cards: BTreeMap<usize, CardData<'a>>,
}

#[derive(Serialize)]
struct Picks<'a> {
    worst: &'a [usize],
    best: &'a [usize],
    random: &'a [usize],
    losses: &'a [usize],
    wins: &'a [usize],
}

#[derive(Serialize)]
struct CardData<'a> {
    picture: Option<usize>,
    /// Width and height.
    size: [u32; 2],
    target: usize,
    ignore: Option<usize>,
    answers: Vec<Option<AnswerData<'a>>>,
}

#[derive(Serialize)]
struct AnswerData<'a> {
    mask: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    nothing: bool,
    boxes: Vec<[f64; 4]>,
    points: Vec<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a str>,
}

/// Every mask once: the sentences of an object share its target.
#[derive(Default)]
struct Strings {
    known: HashMap<String, usize, RandomState>,
}

impl Strings {
    fn add(&mut self, mask: &Mask) -> usize {
        let next = self.known.len();
        *self.known.entry(mask.to_coco_string()).or_insert(next)
    }

    fn list(self) -> Vec<String> {
        let mut list: Vec<(usize, String)> = self.known.into_iter().map(|(s, i)| (i, s)).collect();
        list.sort_unstable();
        list.into_iter().map(|(_, string)| string).collect()
    }
}

impl<'a> Data<'a> {
    /// `pictures` are the addresses of the gallery's.
    pub fn new(
        report: &'a Report,
        chosen: &'a Chosen,
        gallery: &'a Gallery,
        pictures: Vec<String>,
    ) -> Self {
        let units = report.units();
        let mut sets: Vec<String> = Vec::new();
        let mut set = Vec::with_capacity(units.len());
        for unit in &units {
            let name = format!("{} {}", unit.first.dataset, unit.first.split);
            let position = sets.iter().position(|known| *known == name);
            set.push(position.unwrap_or(sets.len()));
            if position.is_none() {
                sets.push(name);
            }
        }
        let runs = 0..report.entries.len();
        let rounded = |iou: f64| (iou * 1e5).round() / 1e5;
        let iou = |run: usize| {
            let of = |row: &segzero_eval::Row| {
                (row.status != Status::Skipped && row.iou.is_finite()).then(|| rounded(row.iou))
            };
            units.iter().map(|unit| unit.rows[run].and_then(of)).collect()
        };
        let status = |run: usize| {
            units.iter().map(|u| u.rows[run].map(|row| spelled(&row.status))).collect()
        };
        let mut masks = Strings::default();
        let cards =
            gallery.cards.iter().map(|(&unit, card)| (unit, card_data(card, &mut masks))).collect();
        Self {
            runs: report.entries.iter().map(|entry| &*entry.name).collect(),
            sets,
            set,
            key: units.iter().map(|unit| unit.first.query_key()).collect(),
            text: units.iter().map(|unit| &*unit.first.text).collect(),
            image: units.iter().map(|unit| &*unit.first.image).collect(),
            category: units.iter().map(|unit| unit.first.category.as_deref()).collect(),
            area: units.iter().map(|unit| unit.first.target_area).collect(),
            pixels: units.iter().map(|unit| unit.first.image_area).collect(),
            iou: runs.clone().map(iou).collect(),
            status: runs.map(status).collect(),
            picks: Picks {
                worst: &chosen.worst,
                best: &chosen.best,
                random: &chosen.random,
                losses: &chosen.losses,
                wins: &chosen.wins,
            },
            pictures,
            masks: masks.list(),
            cards,
        }
    }
}

fn card_data<'a>(card: &'a super::pictures::Card, masks: &mut Strings) -> CardData<'a> {
    let finite = |boxes: &[[f64; 4]]| {
        boxes.iter().copied().filter(|corners| corners.iter().all(|v| v.is_finite())).collect()
    };
    CardData {
        picture: card.picture,
        size: [card.size.width, card.size.height],
        target: masks.add(&card.target),
        ignore: card.ignore.as_ref().map(|mask| masks.add(mask)),
        answers: card
            .answers
            .iter()
            .map(|answer| {
                let answer = answer.as_ref()?;
                let points = answer.points.iter().copied();
                Some(AnswerData {
                    mask: masks.add(&answer.mask),
                    nothing: answer.no_target,
                    boxes: finite(&answer.boxes),
                    points: points.filter(|p| p.iter().all(|v| v.is_finite())).collect(),
                    reply: answer.reply.as_deref(),
                })
            })
            .collect(),
    }
}
