//! The columns of a table, and what a user may have meant by others.

use std::collections::BTreeSet;

use crate::ErrorKind;

/// Every column that means something; others are carried by users for themselves and left alone.
pub(super) const KNOWN: [&str; 11] = [
    "image", "text", "texts", "id", "split", "category", "mask", "rle", "polygons", "width",
    "height",
];

/// Where the mask may stand.
pub(super) const MASKS: [&str; 3] = ["mask", "rle", "polygons"];

/// Names that other tools give these columns.
const ALIASES: [(&str, &[&str]); 5] = [
    ("image", &["image_path", "image_file", "img", "img_path", "file_name", "filename", "path"]),
    ("text", &["caption", "sentence", "query", "expression", "prompt", "problem", "description"]),
    ("mask", &["mask_path", "mask_file", "mask_png"]),
    ("rle", &["counts", "segmentation", "mask_rle"]),
    ("polygons", &["polygon", "points"]),
];

/// Checks the columns of a whole table, or the keys of one line: an image, a text and a mask must
/// be there, and nothing may look like a misspelt column that is not there (`spilt`). The fault
/// comes with the column that it is about.
pub(super) fn check<'a>(
    present: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), (&'static str, ErrorKind)> {
    let has = |name: &str| present.clone().any(|there| there == name);
    for (wanted, any_of) in
        [("image", &["image"][..]), ("text", &["text", "texts"]), ("mask", &MASKS)]
    {
        if !any_of.iter().any(|name| has(name)) {
            return Err((wanted, missing(wanted, present)));
        }
    }
    for unknown in present.clone().filter(|name| !KNOWN.contains(name)) {
        // Half of a size needs its other half; alone, `weight` is no `height`.
        let expected = |known: &str| match known {
            "width" => has("height"),
            "height" => has("width"),
            _ => true,
        };
        let meant = KNOWN
            .into_iter()
            .find(|known| !has(known) && expected(known) && is_misspelling(unknown, known));
        if let Some(meant) = meant {
            return Err((meant, meant_by(meant, unknown)));
        }
    }
    Ok(())
}

/// Whether columns are those of a table, misspellings aside.
pub(super) fn are_ours<'a>(present: impl Iterator<Item = &'a str> + Clone) -> bool {
    let has = |name: &&str| present.clone().any(|there| there == *name);
    has(&"image") && (has(&"text") || has(&"texts")) && MASKS.iter().any(has)
}

fn missing<'a>(wanted: &str, present: impl Iterator<Item = &'a str> + Clone) -> ErrorKind {
    let group: &[&str] = if wanted == "mask" { &MASKS } else { &[wanted] };
    for name in group {
        let alias = |unknown: &&str| {
            let aliases = ALIASES.iter().filter(|(known, _)| known == name);
            let lower = unknown.to_lowercase();
            aliases.flat_map(|(_, names)| *names).any(|alias| *alias == lower)
                || is_misspelling(unknown, name)
        };
        let unknown = |there: &&str| !KNOWN.contains(there);
        if let Some(unknown) = present.clone().filter(unknown).find(alias) {
            return meant_by(name, unknown);
        }
    }
    let there: BTreeSet<_> = present.take(30).collect();
    let there = there.into_iter().collect::<Vec<_>>().join(", ");
    let what = if wanted == "mask" { "one of `mask`, `rle`, `polygons`" } else { "the column" };
    ErrorKind::Missing { what: format!("{what} (there are: {})", shortened(&there)) }
}

fn meant_by(meant: &str, unknown: &str) -> ErrorKind {
    ErrorKind::Unexpected {
        expected: format!("a column `{meant}`"),
        found: format!("`{}` (did you mean `{meant}`?)", shortened(unknown)),
    }
}

/// At most some 80 characters of a user's text, for a message.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

/// Same name in another case, or one or two letters off in a word of four or more.
fn is_misspelling(unknown: &str, known: &str) -> bool {
    let unknown: Vec<char> = unknown.trim().to_lowercase().chars().take(12).collect();
    let known: Vec<char> = known.chars().collect();
    unknown == known || known.len() >= 4 && distance(&unknown, &known) <= known.len().min(8) / 4
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swaps { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}
