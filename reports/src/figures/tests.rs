use segzero_eval::{Row, Status};

use super::*;

fn row(area: u64, intersection: u64, union: u64, text: &str) -> Row {
    Row {
        dataset: "d".to_owned(),
        split: "val".to_owned(),
        key: format!("{area}"),
        query: None,
        text: text.to_owned(),
        image: "1".to_owned(),
        status: Status::Scored,
        intersection,
        union,
        target_area: Some(area),
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

fn rows() -> Vec<Row> {
    (1..=40)
        .map(|i| row(i * i * 7, i, 40, ["one", "the left one", "a b"][i as usize % 3]))
        .collect()
}

fn named<'a>(figures: &'a [Figure], name: &str) -> &'a Figure {
    figures.iter().find(|figure| figure.name == name).unwrap()
}

#[test]
fn shares_and_means_are_those_of_the_rows() {
    let rows = rows();
    let figures = figures(&[Series { name: "a", rows: &rows }]);
    let names: Vec<&str> = figures.iter().map(|figure| &*figure.name).collect();
    assert_eq!(names, ["iou-histogram", "precision", "iou-by-area", "iou-by-words"]);
    // 40 IoUs of 1/40 to 40/40 over 20 bars: one in the first, two in every other, and the full match
    // joins the last.
    let bars = &named(&figures, "iou-histogram").bars;
    let counts: Vec<f64> = bars.iter().map(|bar| (bar.height * 40.0).round()).collect();
    assert_eq!((counts[0], counts[1], counts[19], counts.iter().sum()), (1.0, 2.0, 3.0, 40.0));
    let curve = &named(&figures, "precision").lines[0].points;
    assert_eq!(curve[0], [0.0, 1.0]);
    assert_eq!(curve[50], [0.5, 21.0 / 40.0]);
    assert_eq!(curve[100], [1.0, 1.0 / 40.0]);
    // Ten groups of four would be too small: groups of five.
    let means = &named(&figures, "iou-by-area").lines[0].points;
    assert_eq!(means.len(), 8);
    assert!((means[0][1] - 3.0 / 40.0).abs() < 1e-12);
    // One, two and three words: equal lengths are of one group.
    let words = &named(&figures, "iou-by-words").lines[0].points;
    assert_eq!(words.iter().map(|point| point[0]).collect::<Vec<_>>(), [1.5, 2.5, 3.5]);
}

#[test]
fn what_the_rows_do_not_say_is_not_drawn() {
    let mut rows = rows();
    for row in &mut rows {
        (row.target_area, row.text) = (None, String::new());
    }
    let only = figures(&[Series { name: "a", rows: &rows }]);
    assert_eq!(only.len(), 2);
    rows.iter_mut().for_each(|row| row.status = Status::Skipped);
    assert!(figures(&[Series { name: "a", rows: &rows }]).is_empty());
}

#[test]
fn figures_are_drawn_for_paper_and_for_a_page() {
    let rows = rows();
    let series = [Series { name: "a < b", rows: &rows }, Series { name: "c", rows: &rows[..1] }];
    for series in [&series[..1], &series[..]] {
        for figure in figures(series) {
            let paper = figure.svg(Theme::Paper).unwrap();
            assert!(paper.starts_with("<svg ") && paper.contains("#2563EB"), "{paper}");
            let page = figure.svg(Theme::Page).unwrap();
            assert!(page.contains("var(--series-1)") && page.contains("currentColor"));
            // No colour is left that only one theme can show.
            assert!(!page.contains("\"#"), "{page}");
            assert!(!page.contains("NaN") && !page.contains("inf"));
            assert!(!page.contains("a < b"), "a name is no markup");
            let png = figure.png().unwrap();
            assert_eq!(png[1..4], *b"PNG");
        }
    }
}
