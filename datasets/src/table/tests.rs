//! Bounded lines, and arbitrary text.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use proptest::prelude::*;

use super::lines::{self, RowIter};

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
}
