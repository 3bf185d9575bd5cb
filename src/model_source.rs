//! Models as the user names them: a folder, or a name on the hub.

use std::cell::RefCell;
use std::path::PathBuf;

use indicatif::ProgressBar;
use segzero_model::checkpoint::hub::{Freshness, Hub};
use segzero_model::checkpoint::sharded;

use crate::failure::Failure;
use crate::progress::{self, Verbosity};

/// The folder of a model, fetched first where it must be.
///
/// # Errors
/// Neither a folder nor a name; it cannot be fetched; or it is the checkpoint of a training in pieces.
pub fn resolve(
    model: &str,
    freshness: Freshness,
    verbosity: Verbosity,
) -> Result<PathBuf, Failure> {
    let bar: RefCell<Option<ProgressBar>> = RefCell::new(None);
    let folder = Hub::new(|name| std::env::var_os(name)).resolve(model, freshness, &|progress| {
        let mut bar = bar.borrow_mut();
        let bar = bar.get_or_insert_with(|| progress::bytes(progress.total, "", verbosity));
        bar.set_message(progress.file.to_owned());
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    if let Some(bar) = bar.into_inner() {
        bar.finish_and_clear();
    }
    let folder = folder?;
    sharded::refuse(&folder)?;
    Ok(folder)
}
