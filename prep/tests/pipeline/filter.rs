//! Objects that a model does not find are left out.

use std::sync::atomic::{AtomicUsize, Ordering};

use segzero_datasets::Mask;
use segzero_prep::image::Rgb;
use segzero_prep::{Filtered, MaskFilter, Segmenter, Target};
use serde_json::{Value, json};

use super::*;

/// Sees the left half of objects that are 20 pixels wide or more, and the whole of others. All
/// objects of the fixture are rectangles.
#[derive(Debug, Default)]
struct ShortSighted {
    images: AtomicUsize,
}

impl Segmenter for ShortSighted {
    fn describe(&self) -> Value {
        json!("short-sighted")
    }

    fn masks(&self, image: &Rgb, targets: &[Target]) -> Result<Vec<Mask>, String> {
        self.images.fetch_add(1, Ordering::Relaxed);
        let mask = |target: &Target| {
            assert_eq!(target.size, image.size);
            let b = target.bbox;
            let width = if b.width() < 20 { b.width() } else { b.width() / 2 };
            let inside =
                |x: i32, y: i32| (b.x0..b.x0 + width).contains(&x) && (b.y0..=b.y1).contains(&y);
            Mask::from_rows(image.size, |y, row| {
                let pixels = (0..).zip(row.iter_mut());
                pixels.for_each(|(x, pixel)| *pixel = u8::from(inside(x, y as i32)));
            })
            .unwrap()
        };
        Ok(targets.iter().map(mask).collect())
    }
}

/// Sees nothing, and says so.
#[derive(Debug)]
struct Blind;

impl Segmenter for Blind {
    fn describe(&self) -> Value {
        json!("blind")
    }

    fn masks(&self, _: &Rgb, _: &[Target]) -> Result<Vec<Mask>, String> {
        Err("it is dark".to_owned())
    }
}

fn run_filtered(
    fixture: &Fixture,
    out: &Path,
    options: &PrepOptions,
    filter: MaskFilter,
    way: Way,
) -> Result<Report, PrepError> {
    fixture.with(options, way, |job| {
        let job = Job { filter: Some(filter), ..job.clone() };
        let plan = Plan::new(&job, &|_| {})?;
        run(&job, &plan, out, way.existing, &|_| {})
    })
}

#[test]
fn objects_that_are_not_found_are_left_out_and_listed() {
    let (fixture, model) = (Fixture::new(&objects()), ShortSighted::default());
    let filter = MaskFilter { segmenter: &model, min_iou: 0.6 };
    let out = fixture.out.path();
    let report = run_filtered(&fixture, out, &options(), filter, PLAIN).unwrap();
    assert_eq!(model.images.load(Ordering::Relaxed), 4, "each image is looked at once");
    let counts = &report.manifest.counts;
    assert_eq!((counts.selected, counts.written, counts.skipped[&Skip::MaskIou]), (8, 4, 4));
    let kept = ["refcocog_12", "refcocog_14", "refcocog_15", "refcocog_18"].map(str::to_owned);
    assert_eq!(ids(&read_all(out)), BTreeSet::from(kept));
    let skipped = fs::read_to_string(out.join("skipped.jsonl")).unwrap();
    let skipped: Vec<Filtered> =
        skipped.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(skipped.len(), 4);
    let one = skipped.iter().find(|object| object.record.contains("annotation 19")).unwrap();
    assert_eq!(one.iou, 12.0 / 25.0);
    assert!(one.file.ends_with(refer::file_name(2)), "{one:?}");
    let expected = json!({ "min-iou": 0.6, "segmenter": "short-sighted" });
    assert_eq!(report.manifest.making["filter"], expected);

    // Nothing is looked at twice, and another bound is another set.
    let again = run_filtered(&fixture, out, &options(), filter, PLAIN).unwrap();
    assert_eq!((again.found, model.images.load(Ordering::Relaxed)), (4, 4));
    let lenient = MaskFilter { min_iou: 0.4, ..filter };
    let error = run_filtered(&fixture, out, &options(), lenient, PLAIN).unwrap_err();
    assert!(error.to_string().contains("`filter.min-iou` was 0.6, now it is 0.4"), "{error}");
    let other = TempDir::new().unwrap();
    let report = run_filtered(&fixture, other.path(), &options(), lenient, PLAIN).unwrap();
    assert_eq!(report.manifest.counts.written, 8);
    let plain = TempDir::new().unwrap();
    fixture.run_into(plain.path(), &options(), PLAIN).unwrap();
    assert_eq!(read_all(other.path()), read_all(plain.path()));
}

#[test]
fn a_filtered_set_is_finished_where_it_stopped() {
    let (fixture, model) = (Fixture::new(&objects()), ShortSighted::default());
    let filter = MaskFilter { segmenter: &model, min_iou: 0.6 };
    let whole = TempDir::new().unwrap();
    run_filtered(&fixture, whole.path(), &options(), filter, Way { threads: 4, ..PLAIN }).unwrap();
    let last = fixture.image(2);
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..20]).unwrap();
    let (out, one) = (fixture.out.path(), Way { threads: 1, ..PLAIN });
    run_filtered(&fixture, out, &options(), filter, one).unwrap_err();
    fs::write(&last, bytes).unwrap();
    let looked = model.images.swap(0, Ordering::Relaxed);
    assert_eq!(looked, 4 + 3);
    run_filtered(&fixture, out, &options(), filter, one).unwrap();
    assert_eq!(model.images.load(Ordering::Relaxed), 1);
    assert_eq!(tree(out), tree(whole.path()));
}

#[test]
fn of_several_objects_in_an_example_those_that_are_found_stay() {
    let (fixture, model) = (Fixture::new(&objects()), ShortSighted::default());
    let filter = MaskFilter { segmenter: &model, min_iou: 0.6 };
    let mut options = PrepOptions { solution: SolutionFormat::VisionReasoner, ..options() };
    options.target.circles = 1;
    let out = fixture.out.path();
    let report = run_filtered(&fixture, out, &options, filter, PLAIN).unwrap();
    let counts = &report.manifest.counts;
    // Both objects of image 1 are wide; one of each of the others is, but for image 3.
    assert_eq!((counts.selected, counts.written, counts.skipped[&Skip::MaskIou]), (4, 3, 4));
    let kept = ["refcocog_12", "refcocog_14_15", "refcocog_18"].map(str::to_owned);
    assert_eq!(ids(&read_all(out)), BTreeSet::from(kept));
}

#[test]
fn a_model_that_fails_is_an_error_of_the_image() {
    let fixture = Fixture::new(&objects());
    let filter = MaskFilter { segmenter: &Blind, min_iou: 0.6 };
    let out = fixture.out.path();
    let error = run_filtered(&fixture, out, &options(), filter, PLAIN).unwrap_err().to_string();
    assert!(error.contains("COCO_train2014") && error.contains("it is dark"), "{error}");
    let skip = Way { on_bad: OnBad::Skip, ..PLAIN };
    let report = run_filtered(&fixture, out, &options(), filter, skip).unwrap();
    let counts = &report.manifest.counts;
    assert_eq!((counts.written, counts.skipped[&Skip::Bad]), (0, 8));
}
