//! Faults by field, encodings, and arbitrary input.

use proptest::prelude::*;

use super::record::{Fault, Record};
use crate::Label;

fn parse(bytes: &[u8]) -> Result<Record, Fault> {
    Record::parse(bytes)
}

/// The message for a file of these bytes.
fn fault(bytes: impl AsRef<[u8]>) -> String {
    match parse(bytes.as_ref()) {
        Ok(record) => panic!("parsed: {record:?}"),
        Err(fault) => fault.at("x.json".as_ref()).to_string(),
    }
}

/// A file with one shape of these points.
fn with_points(points: &str) -> String {
    format!(r#"{{"text": ["a"], "shapes": [{{"label": "target", "points": {points}}}]}}"#)
}

#[test]
fn faults_name_their_field() {
    let cases = [
        (r#"[]"#.to_owned(), "expected an object, found a list of 0"),
        (r#"{"shapes": []}"#.into(), "field `text`: `text` is missing"),
        (r#"{"text": [], "shapes": []}"#.into(), "field `text`: expected at least one string"),
        (r#"{"text": "a", "shapes": []}"#.into(), "field `text`: expected a list of strings"),
        (
            r#"{"text": ["a", 3], "shapes": []}"#.into(),
            "field `text[1]`: expected a string, found 3",
        ),
        (r#"{"text": ["a"]}"#.into(), "field `shapes`: `shapes` is missing"),
        (
            r#"{"text": ["a"], "is_sentence": 1, "shapes": []}"#.into(),
            "field `is_sentence`: expected true or false, found 1",
        ),
        (
            r#"{"text": ["a"], "shapes": [{"points": []}]}"#.into(),
            "field `shapes[0].label`: `label` is missing",
        ),
        (
            with_points("[]"),
            "field `shapes[0].points`: expected two points or more, found 0 of them",
        ),
        (with_points("[[1, 2]]"), "found 1 of them"),
        (with_points("[[1, 2], [3]]"), "field `shapes[0].points[1]`: expected two numbers [x, y]"),
        (with_points("[[1, 2], [3, 4, 5]]"), "found a list of 3"),
        (with_points("[[1, 2], [3, null]]"), "field `shapes[0].points[1].y`: expected a number"),
        (
            with_points("[[1, 2], [1e10, 3]]"),
            "field `shapes[0].points[1].x`: expected a coordinate",
        ),
        (with_points("[[1, 2], [1e999, 3]]"), "number out of range"),
        (with_points("[[1, 2], [NaN, 3]]"), "expected value at line 1"),
    ];
    for (file, message) in cases {
        let found = fault(&file);
        assert!(found.contains(message), "{file}\n  {found}\n  {message}");
    }
}

#[test]
fn labels_follow_lisa() {
    let label = |label: &str| {
        let points = "[[0, 0], [1.5, 2]]";
        let file =
            format!(r#"{{"text": ["a"], "shapes": [{{"label": "{label}", "points": {points}}}]}}"#);
        parse(file.as_bytes()).unwrap().shapes.first().map(|shape| shape.label)
    };
    assert_eq!(label("target"), Some(Label::Target));
    assert_eq!(label("anything else"), Some(Label::Target));
    assert_eq!(label("Ignore"), Some(Label::Ignore));
    assert_eq!(label("please ignore this"), Some(Label::Ignore));
    assert_eq!(label("FLAG"), None);
    assert_eq!(label("flags"), Some(Label::Target), "only equality drops a shape");
}

#[test]
fn other_bytes_than_utf8_are_code_page_1252() {
    let parsed = parse(b"{\"text\": [\"caf\xe9 \x93x\x94\"], \"shapes\": []}").unwrap();
    assert_eq!(parsed.text, ["café “x”"]);
    let parsed = parse("\u{feff}{\"text\": [\"café\"], \"shapes\": []}".as_bytes()).unwrap();
    assert_eq!(parsed.text, ["café"]);
    assert!(parsed.shapes.is_empty(), "a file without polygons is valid");
    assert_eq!(parsed.is_sentence, None);
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = format!(r#"{{"text": {}"#, "[".repeat(100_000));
    assert!(fault(deep).contains("recursion limit"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_return(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    /// Valid files with one stretch replaced: the way into every branch of the reader.
    #[test]
    fn damaged_files_return(at in 0usize..180, len in 0usize..30, patch in ".{0,12}") {
        let file = concat!(
            r#"{"text": ["a", "b"], "is_sentence": true, "shapes": [{"label": "ignore", "#,
            r#""points": [[1, 2], [3.5, 4], [5, -6e2]], "shape_type": "polygon"}, "#,
            r#"{"label": "flag", "points": []}]}"#
        );
        let mut bytes = file.as_bytes().to_vec();
        let at = at.min(bytes.len());
        let end = (at + len).min(bytes.len());
        bytes.splice(at..end, patch.into_bytes());
        if let Ok(record) = parse(&bytes) {
            prop_assert!(!record.text.is_empty());
            prop_assert!(record.shapes.iter().all(|shape| shape.points.len() >= 2));
            let finite = |p: &[f64; 2]| p.iter().all(|v| v.is_finite());
            prop_assert!(record.shapes.iter().all(|shape| shape.points.iter().all(finite)));
        }
    }
}
