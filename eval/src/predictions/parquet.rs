//! Predictions in Parquet: masks of nested booleans, as the Hugging Face evaluation sets hold them.

use std::borrow::Cow;
use std::path::Path;

use segzero_datasets::{Error, ErrorKind, mask_rows};

use super::gather::Gather;
use super::keys::Ids;
use super::records::Found;
use super::{Answer, Item, Predictions, Reading, Records};

/// Reads the file by row group; masks are kept as runs.
pub(super) fn read(path: &Path, reading: &Reading) -> Result<Predictions, Error> {
    let mut gather = Gather::new(path, Records::Rows, reading);
    for (number, row) in (1..).zip(mask_rows(path)?) {
        let strings = &mut gather.predictions.strings;
        let found = row.and_then(|row| {
            let id = |name: &str| {
                let found = row.ids.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| Cow::Borrowed(value.as_str()))
            };
            let ids = Ids {
                key: id("key").or_else(|| id("id")),
                ref_id: id("ref_id"),
                sent_id: id("sent_id"),
                ann_id: id("ann_id"),
                image_id: id("image_id"),
                ..Ids::default()
            };
            let key = ids.key().ok_or_else(|| {
                let what = "what it is for (`key`, `id`, `ref_id`, `ann_id` or `image_id`)";
                let kind = ErrorKind::Missing { what: what.to_owned() };
                Error::new(path, kind).record(Records::Rows.name(number))
            })?;
            let start = strings.len();
            strings.extend_from_slice(row.mask.to_coco_string().as_bytes());
            let answer = Answer::Rle(row.mask.size(), start..strings.len());
            Ok(Found { key, item: Item { line: 0, answer, said: None }, score: None })
        });
        gather.take(number, found)?;
    }
    Ok(gather.finish())
}
