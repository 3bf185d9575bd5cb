use std::fs;
use std::path::Path;

use super::axis::round;
use super::text::{duration, significant};
use super::*;
use crate::figures::Theme;

/// A training of `steps` steps in a folder, each line as `segzero train grpo` writes it.
fn write(folder: &Path, steps: u64, seed: f64) {
    let mut log =
        String::from("{\"step\":0,\"val/giou\":0.25,\"val/ciou\":0.2,\"val/samples\":8}\n");
    let mut samples = String::new();
    for step in 1..=steps {
        let x = step as f64 / steps as f64;
        let line = serde_json::json!({
            "step": step, "epoch": x, "loss": seed - x, "actor/lr": 1e-6, "actor/kl_loss": null,
            "critic/score/mean": 1.0 + x, "critic/score/min": 0.0, "critic/score/max": 4.0 + x,
            "reward/think/mean": x, "reward/bbox_iou/mean": x / 2.0, "reward/a\u{2f}<b>/mean": 0.5,
            "response_length/mean": 50.0 + step as f64, "response_length/min": 10.0,
            "response_length/max": 80.0, "timing_s/rollout": 2.0, "timing_s/forward": 1.0,
            "timing_s/step": 3.5, "tokens_per_second/rollout": 100.0,
        });
        log += &format!("{line}\n");
        if step % 2 == 0 {
            let line = serde_json::json!({"step": step, "val/giou": 0.3 + x / 10.0});
            log += &format!("{line}\n");
        }
        let sample = serde_json::json!({
            "step": step, "key": format!("k{step}"), "question": "the <i>cat</i>, left",
            "reply": "<think>a</think>", "rewards": {"think": 1.0}, "score": 1.0, "advantage": -0.5,
        });
        samples += &format!("{sample}\n");
    }
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("log.jsonl"), log).unwrap();
    fs::write(folder.join("samples.jsonl"), samples).unwrap();
    fs::write(folder.join("best.json"), "{\"step\":2,\"checkpoint\":\"c\",\"giou\":0.3}").unwrap();
    let settings = serde_json::json!({"segzero": "0.1.0", "run": {
        "training": "grpo", "moving": {"steps": 60}, "settings": {"loss": {"beta": seed}},
        "rewards": [{"reward": "think", "weight": 1.0}], "args": {"top_p": null},
    }});
    fs::write(folder.join("run.json"), settings.to_string()).unwrap();
}

/// Runs of 60 and of 3 steps.
fn two() -> (tempfile::TempDir, Trainings) {
    let folder = tempfile::tempdir().unwrap();
    let [long, short] = ["long", "short"].map(|name| folder.path().join(name));
    write(&long, 60, 2.0);
    write(&short, 3, 1.0);
    let runs = vec![("a & b".to_owned(), long), ("short".to_owned(), short)];
    let made = Trainings::open(runs, None).unwrap();
    (folder, made)
}

fn open(folder: &Path) -> Result<Trainings, TrainingError> {
    Trainings::open(vec![("a".to_owned(), folder.to_owned())], None)
}

#[test]
fn a_log_that_is_being_written_is_read_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert!(!is_training(at));
    write(at, 3, 1.0);
    assert!(is_training(at));
    let whole = fs::read_to_string(at.join("log.jsonl")).unwrap();
    let cut = whole.trim_end().len() - 7;
    fs::write(at.join("log.jsonl"), &whole[..cut]).unwrap();
    let made = open(at).unwrap();
    assert_eq!(made.runs[0].steps.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    // The same end with a line break was not cut off by time.
    fs::write(at.join("log.jsonl"), format!("{}\n", &whole[..cut])).unwrap();
    assert!(matches!(open(at), Err(TrainingError::Line { line: 5, .. })));
    let damaged = whole.replacen("{\"step\":0", "{\"stop\":0", 1);
    fs::write(at.join("log.jsonl"), damaged).unwrap();
    let message = open(at).unwrap_err().to_string();
    assert!(message.contains("log.jsonl`, line 1,") && message.contains("step"), "{message}");
    fs::write(at.join("log.jsonl"), "").unwrap();
    assert!(matches!(open(at), Err(TrainingError::NoSteps(_))));
    fs::remove_file(at.join("log.jsonl")).unwrap();
    assert!(matches!(open(at), Err(TrainingError::NoSteps(_))));
    write(at, 1, 1.0);
    fs::write(at.join("samples.jsonl"), "\n").unwrap();
    assert!(matches!(open(at), Err(TrainingError::Line { line: 1, .. })));
    fs::write(at.join("best.json"), "{").unwrap();
    fs::write(at.join("samples.jsonl"), "").unwrap();
    assert!(matches!(open(at), Err(TrainingError::Damaged { .. })));
    let twice = vec![("a".to_owned(), at.join("x")), ("a".to_owned(), at.join("x"))];
    fs::remove_file(at.join("best.json")).unwrap();
    assert!(open(at).is_ok());
    write(&at.join("x"), 1, 1.0);
    assert!(matches!(Trainings::open(twice, None), Err(TrainingError::SameName(_))));
}

#[test]
fn what_was_done_again_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1, 1.0);
    let log = "{\"step\":1,\"loss\":3.0}\n{\"step\":1,\"loss\":2.0}\n";
    fs::write(folder.path().join("log.jsonl"), log).unwrap();
    assert_eq!(open(folder.path()).unwrap().runs[0].curve("loss"), [[1.0, 2.0]]);
}

#[test]
fn figures_hold_the_log() {
    let (_folder, made) = two();
    let parts = made.figures();
    let titles: Vec<_> = parts.iter().map(|part| part.title).collect();
    assert_eq!(titles, ["Validation", "Rewards", "Lengths", "Optimization", "Time"]);
    let names: Vec<_> = parts.iter().flat_map(|part| &part.figures).map(|f| &*f.name).collect();
    let expected = [
        "validation-giou",
        "validation-ciou",
        "score",
        // The published ones first; what a file calls its own is no path.
        "reward-think",
        "reward-bbox_iou",
        "reward-a--b-",
        "length",
        "loss-grpo",
        "learning-rate",
        "time-1",
        "time-2",
        "tokens",
    ];
    assert_eq!(names, expected);
    let figure = |name: &str| {
        parts.iter().flat_map(|part| &part.figures).find(|figure| figure.name == name).unwrap()
    };
    // A twentieth of 61 lines: means of three steps.
    let loss = figure("loss-grpo");
    let looks: Vec<_> = loss.lines.iter().map(|line| (line.series, line.look)).collect();
    use crate::figures::Look::{Dots, Faint, Plain, Rings};
    assert_eq!(looks, [(0, Faint), (1, Faint), (0, Plain), (1, Plain)]);
    let last = loss.lines[2].points[59];
    assert!((last[1] - (1.0 + 1.0 / 60.0)).abs() < 1e-12, "{last:?}");
    assert_eq!(figure("learning-rate").lines[0].look, Plain);
    assert_eq!(figure("reward-think").y.to, 1.0);
    assert_eq!(figure("length").bands[0].points[4], [5.0, 10.0, 80.0]);
    let giou = figure("validation-giou");
    assert_eq!((giou.lines[0].look, giou.lines[1].look), (Dots, Rings));
    assert_eq!(giou.lines[1].points, [[2.0, 100.0 * (0.3 + 1.0 / 300.0)]]);
    // Rollout, nothing, nothing, forward, nothing, nothing.
    let time = figure("time-2");
    let tops: Vec<f64> = time.bands.iter().map(|band| band.points[0][2]).collect();
    assert_eq!(tops, [2.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
    assert!(time.caption.contains("3.50 s a step, of which 0.50 s"), "{}", time.caption);
    for figure in parts.iter().flat_map(|part| &part.figures) {
        let svg = figure.svg(Theme::Page).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("\"#"), "{svg}");
        assert_eq!(figure.png().unwrap()[1..4], *b"PNG");
    }
}

#[test]
fn long_curves_keep_their_ends_and_their_extremes() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 3000, 1.0);
    let log = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let spike = log.replacen("\"loss\":0.5,", "\"loss\":77.0,", 1);
    assert_ne!(spike, log);
    fs::write(folder.path().join("log.jsonl"), spike).unwrap();
    let parts = open(folder.path()).unwrap().figures();
    let loss = parts.iter().flat_map(|p| &p.figures).find(|f| f.name == "loss-grpo").unwrap();
    assert!(loss.lines.iter().all(|line| (300..=400).contains(&line.points.len())));
    assert!(loss.lines[0].points.contains(&[1500.0, 77.0]), "a spike of one step is seen");
}

#[test]
fn averages_are_of_what_came_before() {
    let curve = [[1.0, 2.0], [2.0, 4.0], [5.0, 9.0], [6.0, 2.0]];
    assert_eq!(plots::smooth(&curve, 1), curve);
    assert_eq!(plots::smooth(&curve, 3), [[1.0, 2.0], [2.0, 3.0], [5.0, 5.0], [6.0, 5.0]]);
}

#[test]
fn axes_end_at_round_numbers() {
    let axis = |values: &[f64], finest: f64| {
        let axis = round("", values.iter().copied(), finest);
        let labels: Vec<String> = axis.ticks.into_iter().map(|tick| tick.1).collect();
        (axis.from, axis.to, labels.join(" "))
    };
    let is = |from: f64, to: f64, labels: &str| (from, to, labels.to_owned());
    assert_eq!(axis(&[0.0, 71.0], 1.0), is(0.0, 80.0, "0 20 40 60 80"));
    assert_eq!(axis(&[0.0, 1.0], 1.0), is(0.0, 1.0, "0 1"));
    assert_eq!(axis(&[0.3, 1.0], 0.0), is(0.0, 1.0, "0 0.2 0.4 0.6 0.8 1.0"));
    assert_eq!(axis(&[6.4, 7.2], 0.0), is(6.4, 7.2, "6.4 6.6 6.8 7.0 7.2"));
    assert_eq!(
        axis(&[1e-6, 1e-6], 0.0),
        is(4e-7, 1.6e-6, "4e-7 6e-7 8e-7 1e-6 1.2e-6 1.4e-6 1.6e-6")
    );
    assert_eq!(axis(&[-0.02, 0.03], 0.0), is(-0.02, 0.03, "-0.02 -0.01 0 0.01 0.02 0.03"));
    assert_eq!(axis(&[0.0, 23_000.0], 0.0), is(0.0, 25_000.0, "0 5k 10k 15k 20k 25k"));
    assert_eq!(axis(&[0.0, 0.0], 1.0), is(0.0, 1.0, "0 1"));
    assert_eq!(axis(&[], 0.0), is(0.0, 1.0, "0 0.2 0.4 0.6 0.8 1.0"));
}

#[test]
fn tables_are_as_they_were() {
    let (_folder, made) = two();
    let expected = r"# Training: a &amp; b, short

| run | a &amp; b | short |
| --- | --: | --: |
| training | grpo | grpo |
| steps | 60 | 3 of 60 |
| epochs | 1.000 | 1.000 |
| time | 3 min 30 s | 11 s |
| time of a step | 3.500 s | 3.500 s |
| tokens a second, rollout | 100 | 100 |
| gIoU | 25.00 % → 30.33 % at step 2 | 25.00 % → 36.67 % at step 2 |
| cIoU | 20.00 % | 20.00 % |
| score | 1.092 → 1.925 | 1.333 → 2.000 |
| think | 0.0917 → 0.9250 | 0.3333 → 1.000 |
| bbox\_iou | 0.0458 → 0.4625 | 0.1667 → 0.5000 |
| a/&lt;b> | 0.5000 → 0.5000 | 0.5000 → 0.5000 |
| completion length | 55.5 → 106 | 51.0 → 53.0 |
| loss | 1.908 → 1.075 | 0.6667 → 0 |

Arrows go from the mean of a run's first steps to that of its last: a quarter of them, ten at most.

## Settings that differ

| setting | a &amp; b | short |
| --- | --: | --: |
| settings.loss.beta | 2.0 | 1.0 |

## Settings in common

| setting | a &amp; b | short |
| --- | --: | --: |
| moving.steps | 60 | 60 |
| rewards | think 1.0 | think 1.0 |
| segzero | 0.1.0 | 0.1.0 |
| training | grpo | grpo |
";
    assert_eq!(made.markdown(), expected);
    let csv = made.csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 61 + 4);
    assert!(lines[0].starts_with("run,step,actor/lr,critic/score/max,"), "{}", lines[0]);
    assert!(lines[65].starts_with("short,3,0.000001,5,"), "{}", lines[65]);
    let csv = made.samples_csv();
    assert!(csv.contains("short,3,k3,\"the <i>cat</i>, left\",<think>a</think>,1,-0.5,1"), "{csv}");
}

#[test]
fn numbers_are_short() {
    let all = [0.0, 5.7e-15, 0.25, -3.21159, 71.078, 1407.29].map(significant);
    assert_eq!(all, ["0", "5.7e-15", "0.2500", "-3.212", "71.1", "1407"]);
    let all = [0.4, 59.6, 3599.0, 7380.0].map(duration);
    assert_eq!(all, ["0 s", "1 min 00 s", "59 min 59 s", "2 h 03 min"]);
}

#[test]
fn texts_of_others_are_no_markup() {
    let (_folder, made) = two();
    let html = made.html(&[]).unwrap();
    let [page, data] = {
        let (page, rest) = html.split_once("id=\"data\">").unwrap();
        [page, rest.split_once("</script>").unwrap().0]
    };
    for text in [page, data] {
        assert!(!text.contains("<i>cat") && !text.contains("a/<b>"));
    }
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["samples"].as_array().unwrap().len(), 63);
    assert_eq!(data["samples"][62]["question"], "the <i>cat</i>, left");
    assert_eq!(data["samples"][62]["run"], 1);
    assert!(page.contains("a &amp; b: GRPO, step 60; short: GRPO, step 3 of 60"));
    let differs = "<tr class=\"differs\"><th scope=\"row\">settings.loss.beta</th>";
    assert_eq!(page.matches("class=\"differs\"").count(), 1);
    assert!(page.contains(differs));
}
