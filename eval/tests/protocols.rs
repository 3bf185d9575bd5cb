//! Every preset against an independent statement of its rule (`fixtures/protocols/rules.py`), and
//! the worked examples E1 to E12 of the notes on protocols against their printed figures.
#![allow(clippy::unwrap_used)] // helpers of tests fail by panicking, as tests do

mod common;

use std::collections::HashMap;
use std::fs;

use common::{options, sample};
use segzero_datasets::{CocoSegmentation, Geometry, Label, Mask, Sample, Shape, Size};
use segzero_eval::protocol::{MeanOver, Missing, presets};
use segzero_eval::{OnBadRecord, Options, Predictions, Protocol, Row, Scores, Status, score};
use segzero_test_support::fixture;
use serde::Deserialize;
use serde_json::Value;

/// The fixture.
#[derive(Deserialize)]
struct File {
    groups: Vec<Data>,
    examples: Vec<Data>,
}

/// Samples and predictions, and what is known of their scores.
#[derive(Deserialize)]
struct Data {
    name: String,
    samples: Vec<Stated>,
    predictions: Vec<Value>,
    /// How often each sample stands.
    copies: Option<Vec<usize>>,
    #[serde(default)]
    expected: HashMap<String, Expected>,
    #[serde(default)]
    printed: HashMap<String, HashMap<String, Value>>,
}

/// A sample as rules.py reads it.
#[derive(Deserialize)]
struct Stated {
    key: String,
    image: String,
    width: u32,
    height: u32,
    annotations: Vec<Annotation>,
    target: Option<String>,
    ignore: Option<String>,
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Annotation {
    Polygons { polygons: Vec<Vec<f64>> },
    Rle { counts: String },
}

/// What rules.py makes of a group.
#[derive(Deserialize)]
struct Expected {
    n: u64,
    skipped: u64,
    giou: f64,
    ciou: f64,
    intersection: u64,
    union: u64,
    precision: Option<Vec<(f64, f64)>>,
    n_acc: Option<f64>,
    t_acc: Option<f64>,
    /// Intersection and union of every unit; none where it is left out.
    counts: Vec<Option<(u64, u64)>>,
    ious: Vec<Option<f64>>,
}

fn file() -> File {
    let path = fixture(env!("CARGO_MANIFEST_DIR"), "protocols/fixture.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn mask(size: Size, counts: &str) -> Mask {
    Mask::from_coco_string(size, counts.as_bytes()).unwrap()
}

/// The pixels of a mask as ReasonSeg polygons: a line for each run of a column.
fn strokes(mask: &Mask, label: Label) -> Vec<Shape> {
    let height = mask.size().height;
    let columns = mask.foreground().flat_map(|run| {
        (run.start / height..=(run.end - 1) / height).map(move |x| {
            let first = run.start.max(x * height) - x * height;
            let last = (run.end - 1).min((x + 1) * height - 1) - x * height;
            [[x, first], [x, last]]
        })
    });
    columns.map(|line| Shape { label, points: line.map(|p| p.map(f64::from)).to_vec() }).collect()
}

impl Stated {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }

    fn geometry(&self) -> Geometry {
        if let (Some(target), Some(ignore)) = (&self.target, &self.ignore) {
            let mut shapes = strokes(&mask(self.size(), target), Label::Target);
            shapes.extend(strokes(&mask(self.size(), ignore), Label::Ignore));
            return Geometry::ReasonSeg(shapes);
        }
        let segmentation = |annotation: &Annotation| match annotation {
            Annotation::Polygons { polygons } => CocoSegmentation::Polygons(polygons.clone()),
            Annotation::Rle { counts } => CocoSegmentation::Rle(mask(self.size(), counts)),
        };
        Geometry::Coco(self.annotations.iter().map(segmentation).collect())
    }

    fn sample(&self, key: &str) -> Sample {
        let ids: Vec<i64> = self.sentences.iter().filter_map(|sentence| sentence.id).collect();
        let mut sample = sample(key, &ids, self.geometry());
        sample.image.id.clone_from(&self.image);
        sample.image.size = Some(self.size());
        sample
    }
}

impl Data {
    /// The samples, and the lines of a predictions file; both as often as they stand.
    fn unrolled(&self) -> (Vec<Sample>, String) {
        let (mut samples, mut lines) = (Vec::new(), String::new());
        let key_of = |prediction: &Value| prediction["key"].as_str().unwrap().to_owned();
        for (position, stated) in self.samples.iter().enumerate() {
            let own = |key: &str| key.split(':').next() == Some(&stated.key);
            let copies = self.copies.as_ref().map_or(1, |copies| copies[position]);
            for copy in 0..copies {
                let key = format!("{}-{copy}", stated.key);
                samples.push(stated.sample(&key));
                for prediction in self.predictions.iter().filter(|p| own(&key_of(p))) {
                    let mut line = prediction.clone();
                    line["key"] = key_of(prediction).replacen(&stated.key, &key, 1).into();
                    lines += &format!("{line}\n");
                }
            }
        }
        (samples, lines)
    }

    fn score(&self, options: &Options) -> Scores {
        let (samples, lines) = self.unrolled();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.jsonl");
        fs::write(&path, lines).unwrap();
        let predictions = Predictions::open(&path, OnBadRecord::Stop).unwrap();
        score(samples.into_iter().map(Ok), &predictions, options, |_| {}).unwrap()
    }
}

fn preset(name: &str) -> Protocol {
    Protocol::preset(name).unwrap_or_else(|| panic!("no preset {name}"))
}

/// Both sides add and divide doubles, in another order: some units in the last place apart. A
/// thousand of those, 2e-13, is still far below the smallest epsilon's effect on these data (1e-10).
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b.abs()
}

/// The figures that a row adds to the summary: none where it is left out.
fn counted(row: &Row) -> Option<(u64, u64)> {
    (row.status != Status::Skipped).then_some((row.intersection, row.union))
}

#[test]
fn every_preset_does_what_its_statement_says() {
    for group in file().groups {
        for (name, expected) in &group.expected {
            let place = format!("{} of {}", name, group.name);
            let protocol = preset(name);
            let epsilon = protocol.epsilon.iou;
            let Scores { totals, rows } = group.score(&options(protocol));
            let found: Vec<_> = rows.iter().map(counted).collect();
            let keys: Vec<_> = rows.iter().map(Row::query_key).collect();
            for ((key, found), expected) in keys.iter().zip(&found).zip(&expected.counts) {
                assert_eq!(found, expected, "{key}, {place}");
            }
            assert_eq!(found.len(), expected.counts.len(), "{place}");
            for (row, expected) in rows.iter().zip(&expected.ious) {
                let Some(expected) = expected else { continue };
                // A row holds I/U; I/(U + epsilon) is less by epsilon at most.
                let same = close(row.iou, *expected) || (row.iou - expected).abs() <= epsilon;
                assert!(same, "{place}: {expected}, but {row:?}");
            }
            let summary = &totals.summary;
            let counts = (summary.n, summary.skipped, summary.intersection, summary.union);
            let (n, skipped) = (expected.n, expected.skipped);
            assert_eq!(counts, (n, skipped, expected.intersection, expected.union), "{place}");
            let (giou, ciou) = (summary.giou.unwrap(), summary.ciou.unwrap());
            assert!(close(giou, expected.giou), "{place}: {giou}, not {}", expected.giou);
            assert!(close(ciou, expected.ciou), "{place}: {ciou}, not {}", expected.ciou);
            // The evaluators print 0 for a share of nothing; ours has no such figure.
            let (n_acc, t_acc) = (summary.no_target_accuracy, summary.target_accuracy);
            for (found, expected) in [(n_acc, expected.n_acc), (t_acc, expected.t_acc)] {
                assert_eq!(
                    found.unwrap_or(0.0),
                    expected.unwrap_or(found.unwrap_or(0.0)),
                    "{place}"
                );
            }
            let Some(precision) = &expected.precision else { continue };
            let found: Vec<_> = summary.precision.iter().map(|p| (p.at, p.share)).collect();
            assert_eq!(&found, precision, "{place}");
        }
    }
}

/// One pass over the data under all presets gives what one pass each gives.
#[test]
fn all_presets_at_once_are_each_alone() {
    let presets = presets().unwrap();
    for group in file().groups {
        let all = Options { protocols: presets.clone(), ..Options::default() };
        let totals = group.score(&all).totals;
        assert_eq!(totals.others.len(), presets.len() - 1);
        for (verdict, preset) in totals.others.iter().zip(&presets[1..]) {
            let alone = group.score(&options(preset.clone())).totals;
            assert_eq!(verdict.summary, alone.summary, "{} of {}", preset.name, group.name);
            assert_eq!(verdict.protocol, alone.protocol);
        }
    }
}

/// A fraction as it is printed: per cent, with as many decimals as `like`.
fn percent(value: Option<f64>, like: &Value) -> String {
    let decimals = like.as_str().unwrap().split('.').nth(1).unwrap().len();
    format!("{:.decimals$}", 100.0 * value.unwrap())
}

#[test]
fn worked_examples_give_the_printed_figures() {
    for example in file().examples {
        for (name, printed) in &example.printed {
            for (figure, expected) in printed {
                let mut protocol = preset(name);
                match figure.as_str() {
                    "giou_of_ref_means" => protocol.mean = MeanOver::Sample,
                    "giou_on_eight_gpus" => protocol.replicas = 8,
                    _ => {}
                }
                let Scores { totals, rows } = example.score(&options(protocol));
                let found = match figure.as_str() {
                    "unit" => serde_json::to_value(counted(&rows[0])).unwrap(),
                    "ciou" => percent(totals.summary.ciou, expected).into(),
                    "precision_at_half" => {
                        let half = totals.summary.precision.iter().find(|p| p.at == 0.5);
                        percent(half.map(|p| p.share), expected).into()
                    }
                    _ => percent(totals.summary.giou, expected).into(),
                };
                assert_eq!(&found, expected, "{figure} of {} under {name}", example.name);
            }
        }
    }
}

/// E11's other half: an evaluator that leaves out what it cannot read.
#[test]
fn leaving_out_the_missing_doubles_the_figure() {
    let file = file();
    let example = file.examples.iter().find(|example| example.name == "E11").unwrap();
    let protocol = Protocol { missing: Missing::Skip, ..preset("seg-zero") };
    let summary = example.score(&options(protocol)).totals.summary;
    assert_eq!((summary.n, summary.skipped), (1, 1));
    assert_eq!((summary.giou, summary.ciou), (Some(0.8), Some(0.8)));
}
