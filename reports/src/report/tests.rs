use segzero_eval::resample::Options;
use segzero_eval::{Provenance, Row, Run, Scores, Status};

use super::*;

fn row(key: &str, intersection: u64, union: u64, text: &str) -> Row {
    Row {
        dataset: "d".to_owned(),
        split: "val".to_owned(),
        key: key.to_owned(),
        query: None,
        text: text.to_owned(),
        image: key.to_owned(),
        status: Status::Scored,
        intersection,
        union,
        target_area: Some(intersection),
        prediction_area: Some(union),
        iou: intersection as f64 / union as f64,
        said_nothing: false,
        image_area: Some(10_000),
        category: None,
        distractors: None,
        is_sentence: None,
        box_iou: None,
        points: None,
        boundary: None,
    }
}

fn run(rows: Vec<Row>) -> Run {
    let scores = Scores::new(rows, Default::default(), Default::default());
    let provenance = Provenance {
        segzero: "0.1.0".to_owned(),
        data: "d".to_owned(),
        split: Some("val".to_owned()),
        predictions: "a_b.jsonl".into(),
        complete: true,
        ..Provenance::default()
    };
    Run { provenance, scores }
}

fn report(runs: Vec<(&str, Run)>) -> Result<Report, ReportError> {
    let runs = runs.into_iter().map(|(name, run)| (name.to_owned(), name.into(), run)).collect();
    Report::new(runs, None, &Options::default())
}

#[test]
fn nothing_is_no_report() {
    assert!(matches!(report(vec![]), Err(ReportError::NoRuns)));
    assert!(matches!(report(vec![("a", run(vec![]))]), Err(ReportError::NoRows(_))));
    let some = || run(vec![row("1", 1, 2, "x")]);
    assert!(matches!(report(vec![("a", some()), ("a", some())]), Err(ReportError::SameName(_))));
}
