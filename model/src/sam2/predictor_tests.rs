//! The predictor against the network it asks, and prompts at their limits.

use super::super::{Preset, parameters, tests::small};
use super::*;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::random::{Form, Formula, write};
use crate::device::DeviceName;
use crate::packed::Format;

const SIZE: Size = Size { width: 200, height: 90 };
const FOREGROUND: PointLabel = PointLabel::Foreground;

fn predictor() -> Predictor {
    let folder = tempfile::tempdir().unwrap();
    let config = small();
    let form = Form { dtype: safetensors::Dtype::F32, ..Form::default() };
    write(folder.path(), &parameters(&config), &form, &[]).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let placement = DeviceName::Cpu.place(Format::F32).unwrap();
    Predictor::new(Sam2::load(&checkpoint, config, placement).unwrap(), Preprocessing::Meta)
}

fn image(size: Size) -> Rgb {
    let formula = Formula::scaled("image", 1.0);
    let sample = |index| (formula.integer(index) >> 16) as u8;
    Rgb { size, pixels: (0..size.pixels() as usize * 3).map(sample).collect() }
}

fn point(x: f32, y: f32) -> ImagePrompt {
    ImagePrompt { points: vec![([x, y], FOREGROUND)], ..ImagePrompt::default() }
}

fn bbox(edges: [f32; 4]) -> ImagePrompt {
    ImagePrompt { bbox: Some(edges), ..ImagePrompt::default() }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn an_image_of_any_size_is_asked_in_its_own_pixels() {
    let predictor = predictor();
    let embedded = predictor.embed(&image(SIZE));
    assert_eq!(embedded.size(), SIZE);
    let background = ([150.0, 80.0], PointLabel::Background);
    let prompt = ImagePrompt {
        points: vec![([50.0, 45.0], FOREGROUND), background],
        bbox: Some([25.0, 9.0, 100.0, 72.0]),
        mask: None,
    };
    // 128 / 200 and 128 / 90 of it.
    let y = |y: f32| y / 90.0 * 128.0;
    let seen = Prompt {
        points: vec![([32.0, y(45.0)], FOREGROUND), ([96.0, y(80.0)], background.1)],
        bbox: Some([16.0, y(9.0), 64.0, y(72.0)]),
        mask: None,
    };
    assert_eq!(prompt.seen(SIZE, 128), seen);
    for (choice, output) in [(Choice::BestIou, Output::Multimask), (Choice::Single, Output::Single)]
    {
        let found = predictor.predict(&embedded, std::slice::from_ref(&prompt), choice).unwrap();
        let decoded =
            predictor.network().decode(&embedded.embedding, 0, std::slice::from_ref(&seen), output);
        let [found] = &found[..] else { panic!("one object") };
        assert_eq!((&found.ious, found.object_score), (&decoded.ious, decoded.object_scores[0]));
        assert_eq!(found.mask.size(), SIZE);
        let logits = decoded.logits.chunks(decoded.side * decoded.side).nth(found.chosen).unwrap();
        assert_eq!(found.mask, upscale(logits, decoded.side, SIZE).unwrap());
        assert!(found.ious.iter().all(|&iou| iou <= found.iou()));
    }
}

#[test]
fn the_last_of_equally_good_masks_is_taken_and_its_logits_are_bounded() {
    let decoded = Decoded {
        masks: 3,
        side: 1,
        logits: vec![1.0, 2.0, 3.0, -40.0, 50.0, 60.0],
        ious: vec![0.7, 0.9, 0.9, 0.8, 0.6, 0.7],
        object_scores: vec![1.5, -2.5],
    };
    let objects = [0, 1].map(|object| choose(&decoded, object, Size::new(2, 2)).unwrap());
    assert_eq!(objects.each_ref().map(|object| object.chosen), [2, 0]);
    assert_eq!(objects[0].logits, [3.0]);
    assert_eq!(objects[1].logits, [-32.0]);
    assert!(objects[1].mask.is_empty() && objects[1].object_score == -2.5);
}

#[test]
fn objects_do_not_know_of_one_another() {
    let predictor = predictor();
    let embedded = predictor.embed(&image(SIZE));
    // More than are decoded at once, of several lengths.
    let prompts: Vec<ImagePrompt> = (0..OBJECTS + 5)
        .map(|i| match i % 3 {
            0 => point(i as f32 * 5.0, 40.0),
            1 => bbox([i as f32, 10.0, i as f32 + 60.0, 80.0]),
            _ => ImagePrompt { bbox: Some([9.0, 9.0, 99.0, 70.0]), ..point(i as f32, 20.0) },
        })
        .collect();
    let together = predictor.predict(&embedded, &prompts, Choice::BestIou).unwrap();
    assert_eq!(together.len(), prompts.len());
    for at in [0, 1, 2, OBJECTS, OBJECTS + 4] {
        let alone = predictor.predict(&embedded, &prompts[at..=at], Choice::BestIou).unwrap();
        // Sums of matrix products are cut otherwise in a batch.
        let apart = largest_difference(&alone[0].logits, &together[at].logits);
        assert!(apart < 1e-3, "{at}: {apart}");
        assert_eq!(alone[0].chosen, together[at].chosen);
    }
    let none = predictor.predict(&embedded, &[], Choice::BestIou).unwrap();
    assert!(none.is_empty());
}

#[test]
fn prompts_at_their_limits_have_results() {
    let predictor = predictor();
    for size in [SIZE, Size::new(1, 1), Size::new(1, 700)] {
        let embedded = predictor.embed(&image(size));
        let (width, height) = (size.width as f32, size.height as f32);
        let prompts = [
            ImagePrompt::default(),
            point(0.0, 0.0),
            point(width, height),
            point(-1e4, 1e30),
            bbox([0.0, 0.0, width, height]),
            bbox([5.0, 5.0, 5.0, 5.0]),
            bbox([80.0, 60.0, 20.0, 10.0]),
            bbox([1e4, 1e4, 2e4, 2e4]),
        ];
        for choice in [Choice::BestIou, Choice::Single] {
            let objects = predictor.predict(&embedded, &prompts, choice).unwrap();
            for (prompt, object) in prompts.iter().zip(&objects) {
                assert_eq!(object.mask.size(), size);
                let numbers =
                    object.logits.iter().chain(&object.ious).chain([&object.object_score]);
                assert!(numbers.into_iter().all(|x| x.is_finite()), "{prompt:?}");
            }
        }
    }
}

#[test]
fn what_is_no_number_is_refused_by_its_name() {
    let predictor = predictor();
    let embedded = predictor.embed(&image(Size::new(9, 9)));
    let side = predictor.network().config().mask_side();
    let refused = |prompt: ImagePrompt, message: &str| {
        let prompts = [point(1.0, 1.0), prompt];
        let error = predictor.predict(&embedded, &prompts, Choice::BestIou).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    };
    let two = ImagePrompt {
        points: vec![([1.0, 1.0], FOREGROUND), ([f32::NAN, 1.0], FOREGROUND)],
        ..ImagePrompt::default()
    };
    refused(two, "object 1: `points[1]` is NaN, and must be a finite number");
    refused(bbox([0.0, f32::INFINITY, 1.0, 1.0]), "object 1: `box` is inf");
    let mask = |mask: Vec<f32>| ImagePrompt { mask: Some(mask), ..ImagePrompt::default() };
    refused(mask(vec![f32::NEG_INFINITY; side * side]), "`mask` is -inf");
    refused(mask(vec![0.0; 7]), "`mask` has 7 logits, and must have 32x32");
}

#[test]
fn an_answer_is_the_mask_of_the_next_prompt() {
    let predictor = predictor();
    let embedded = predictor.embed(&image(SIZE));
    let ask = |prompt: &ImagePrompt| {
        let prompts = std::slice::from_ref(prompt);
        predictor.predict(&embedded, prompts, Choice::BestIou).unwrap().remove(0)
    };
    let first = ask(&point(60.0, 30.0));
    let mut next = point(60.0, 30.0);
    next.mask = Some(first.logits.clone());
    assert!(largest_difference(&ask(&next).logits, &first.logits) > 1e-3);
}

#[test]
fn presets_ask_as_they_were_published() {
    let (one, two) = ([1.0, 2.0, 30.0, 40.0], [5.0, 6.0, 70.0, 80.0]);
    let (a, b, c) = ([3.0, 4.0], [9.0, 9.0], [8.0, 7.0]);
    let prompt = |bbox, points: &[[f32; 2]]| ImagePrompt {
        points: points.iter().map(|&at| (at, FOREGROUND)).collect(),
        bbox: Some(bbox),
        mask: None,
    };
    assert_eq!(Preset::SegZero.prompts(&[one], &[a, b]), Ok(vec![prompt(one, &[a, b])]));
    let both = vec![prompt(one, &[a]), prompt(two, &[b])];
    assert_eq!(Preset::VisionReasoner.prompts(&[one, two], &[a, b]), Ok(both));
    for preset in [Preset::SegZero, Preset::VisionReasoner] {
        assert_eq!(preset.recipe().choice, Choice::BestIou);
        for (boxes, points) in [(&[][..], &[][..]), (&[one], &[]), (&[one, two], &[a, b, c])] {
            let error = preset.prompts(boxes, points).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{} boxes and", boxes.len())), "{error}");
        }
    }
    assert!(Preset::SegZero.prompts(&[one, two], &[a, b, c, c]).is_err());
}
