//! Predictions in `.npz`: one array a key.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use segzero_datasets::{Error, Mask};

use super::gather::Gather;
use super::keys::Ids;
use super::records::Found;
use super::{Answer, Item, Predictions, Reading, Records};

/// Reads every array; masks are kept as runs.
pub(super) fn read(path: &Path, reading: &Reading) -> Result<Predictions, Error> {
    let file = File::open(path).map_err(|e| Error::new(path, e))?;
    let mut gather = Gather::new(path, Records::Arrays, reading);
    let mut first_error = None;
    let mut number = 0;
    Mask::read_npz(BufReader::new(file), |name, mask| {
        number += 1;
        let strings = &mut gather.predictions.strings;
        let found = mask.map_err(|kind| Error::new(path, kind).record(format!("array `{name}`")));
        let found = found.map(|mask| {
            let start = strings.len();
            strings.extend_from_slice(mask.to_coco_string().as_bytes());
            let answer = Answer::Rle(mask.size(), start..strings.len());
            let ids = Ids { key: Some(name.into()), ..Ids::default() };
            let key = ids.key().unwrap_or_default();
            Found { key, item: Item { line: 0, answer, said: None }, score: None }
        });
        if first_error.is_none() {
            first_error = gather.take(number, found).err();
        }
    })
    .map_err(|kind| Error::new(path, kind))?;
    match first_error {
        Some(error) => Err(error),
        None => Ok(gather.finish()),
    }
}
