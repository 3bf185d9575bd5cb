//! Bounded lines, and arbitrary text.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use proptest::prelude::*;

use super::lines::{self, RowIter};
use super::plain;
use super::row::Row;

fn jsonl(text: impl Into<Vec<u8>>, limit: u64) -> RowIter {
    lines::jsonl(Path::new("x.jsonl"), Cursor::new(text.into()), limit)
}

fn csv(text: impl Into<Vec<u8>>, limit: u64) -> Result<RowIter, crate::Error> {
    lines::csv(Path::new("x.csv"), Cursor::new(text.into()), limit)
}

#[test]
fn a_line_beyond_the_limit_is_passed_over() {
    let row = |text: &str| format!(r#"{{"image": "a.jpg", "text": "{text}", "polygons": []}}"#);
    let text = [row("short"), row(&"long".repeat(100)), row("short again")].join("\n");
    let rows: Vec<_> = jsonl(text, 200).collect();
    assert_eq!(rows.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let message = rows[1].as_ref().unwrap_err().to_string();
    assert!(message.contains("line 2: expected a line of less than 200 bytes"), "{message}");
    assert_eq!(rows[2].as_ref().unwrap().line, 3);
}

/// An endless line costs no memory: the reader gives a terabyte.
#[test]
fn an_unclosed_quote_ends_at_the_limit() {
    let start = Cursor::new(b"image,text,mask\na.jpg,\"".to_vec());
    let endless = BufReader::new(start.chain(std::io::repeat(b'x').take(1 << 40)));
    let mut rows = lines::csv(Path::new("x.csv"), endless, 1 << 20).unwrap();
    let message = rows.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("line 2: a row without end; is a quote not closed?"), "{message}");
    assert!(rows.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn arbitrary_bytes_return(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let lines = bytes.iter().filter(|&&b| b == b'\n').count() + 1;
        prop_assert!(jsonl(bytes.clone(), 1000).count() <= lines);
        if let Ok(rows) = csv(bytes, 1000) {
            prop_assert!(rows.count() <= lines);
        }
    }

    /// Damaged cells in a table whose columns are right.
    #[test]
    fn arbitrary_cells_return(
        text in ".{0,20}",
        rle in prop_oneof![".{0,30}", r#"\{"size": \[[0-9]{1,11}, ?[0-9]\], "counts": ".{0,9}"\}"#],
        polygons in r#"[\[\]0-9., eE-]{0,40}"#,
        width in "[0-9-]{0,12}",
        quote in any::<bool>(),
    ) {
        let cell = |s: &str| if quote { format!("\"{}\"", s.replace('"', "\"\"")) } else { s.into() };
        let cells = [&text, &rle, &polygons, &width, &width].map(|s| cell(s)).join(",");
        let table = format!("image,text,rle,polygons,width,height\na.png,{cells}\nb.png,{cells}\n");
        for row in csv(table, 10_000).unwrap() {
            let _ = row;
        }
        let string = |s: &str| serde_json::to_string(s).unwrap();
        for value in [string(&polygons), polygons.clone(), string(&rle), rle.clone()] {
            for field in ["polygons", "rle", "texts", "id", "width"] {
                let line = format!(r#"{{"image": "a", "text": {}, "{field}": {value}}}"#, string(&text));
                let _ = jsonl(line, 10_000).count();
            }
        }
    }

    /// A line of the usual form means what the general reading makes of it; where that finds a
    /// fault, the short way leaves it to it.
    #[test]
    fn the_short_way_reads_what_the_general_one_does(
        needed in [0..7usize, 0..7, 0..6],
        others in prop::collection::btree_map(3..8usize, 0..7usize, 0..3),
    ) {
        const STRINGS: [&str; 5] = [r#"" padded ""#, r#""a\\b.jpg""#, r#""""#, "null", "7"];
        const MASKS: [&str; 6] = [
            r#"{"size": [5, 5], "counts": "6320004"}"#,
            r#"{"counts": "\u0036320004", "size": [5, 5], "note": 1}"#,
            r#"{"size": [5, 5], "counts": "63200040"}"#,
            r#"{"size": [5, 5], "counts": [6, 3, 2, 3, 2, 3, 6]}"#,
            r#"{"size": [5, 4], "counts": "6320004"}"#,
            r#""6320004""#,
        ];
        let names = ["image", "text", "rle", "id", "split", "category", "width", "note"];
        let value = |name: &str, i: usize| match name {
            "rle" => MASKS[i % MASKS.len()].to_owned(),
            _ => STRINGS.get(i).map_or_else(|| format!("\"{name} {i}\""), |&s| s.to_owned()),
        };
        let fields = needed.iter().enumerate().chain(others.iter().map(|(&at, i)| (at, i)));
        let fields = fields.map(|(at, &i)| (names[at], value(names[at], i)));
        let fields: Vec<_> = fields.map(|(name, v)| format!("\"{name}\": {v}")).collect();
        let line = format!("{{{}}}", fields.join(", "));
        let general = Row::parse(3, serde_json::from_str(&line).unwrap());
        if let Some(short) = plain::row(3, line.as_bytes(), &mut Vec::new()) {
            prop_assert_eq!(short, general.unwrap());
        }
    }
}

#[test]
fn the_short_way_is_taken() {
    let rle = r#"{"size": [5, 5], "counts": "6320004"}"#;
    let line = format!(r#"{{"id": "1", "image": "a.jpg", "text": "x", "rle": {rle}}}"#);
    let short = plain::row(1, line.as_bytes(), &mut Vec::new()).unwrap();
    assert_eq!(short, Row::parse(1, serde_json::from_str(&line).unwrap()).unwrap());
}
