//! `segzero model verify`: everything that is wrong with a checkpoint.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::ProgressBar;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::checkpoint::{self, Checkpoint, Values, Verified};
use segzero_model::info::Architecture;

use super::size;
use crate::failure::Failure;
use crate::progress::{self, Verbosity};
use crate::{model_source, output};

/// Flags of `segzero model verify`.
///
/// Exit code 0: sound; 1: faults, which are listed; 2: there is nothing to verify.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of a model, a .safetensors or .pt file, or a name on the hub.
    #[arg(value_name = "DIR|NAME")]
    model: String,
    /// Also read every value: NaN and infinities are faults.
    #[arg(long)]
    values: bool,
    /// Show no progress.
    #[arg(long)]
    quiet: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let path = model_source::resolve(&args.model, Freshness::Cached, verbosity)?;
    let mut faults: Vec<String> = Vec::new();
    let architecture = architecture(&path).unwrap_or_else(|error| {
        faults.push(error.to_string());
        Architecture::Unstated
    });
    let bar = args.values.then(|| progress::bytes(weights(&path), "values", verbosity));
    let start = Instant::now();
    let expected = architecture.parameters();
    let read = |bytes: u64| bar.iter().for_each(|bar: &ProgressBar| bar.inc(bytes));
    let values = if args.values { Values::Finite(&read) } else { Values::Unread };
    let verified = checkpoint::verify(&path, expected.as_deref(), values)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.iter().for_each(ProgressBar::finish_and_clear);
    faults.extend(verified.faults.iter().map(ToString::to_string));
    let mut text: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    text += &summary(&verified, &architecture, faults.len());
    if args.values {
        let rate = verified.bytes as f64 / 1e6 / seconds;
        text += &format!(
            "every value read: {} in {seconds:.1} s, {rate:.0} MB/s\n",
            size(verified.bytes)
        );
    }
    output::print(&text)?;
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

/// The architecture of a folder, or of a file that says so itself: a file of weights may be one of
/// several. What cannot be opened is left to the list of faults.
fn architecture(path: &Path) -> Result<Architecture, segzero_datasets::Error> {
    match Checkpoint::open(path) {
        Ok(checkpoint) => match Architecture::of(&checkpoint)? {
            known @ Architecture::Sam2(..) => Ok(known),
            known if path.is_dir() => Ok(known),
            _ => Ok(Architecture::Unstated),
        },
        Err(_) if path.is_dir() => Architecture::open(path),
        Err(_) => Ok(Architecture::Unstated),
    }
}

/// Bytes that a scan will read, for the bar; 0 where the files cannot be opened.
fn weights(path: &Path) -> u64 {
    Checkpoint::open(path).map_or(0, |checkpoint| checkpoint.bytes())
}

fn summary(verified: &Verified, architecture: &Architecture, faults: usize) -> String {
    let checked = match architecture {
        Architecture::QwenVl(_) | Architecture::Sam2(..) => {
            format!("names and shapes against {}", architecture.name())
        }
        Architecture::Other(name) => {
            format!("names and shapes not checked: `{name}` is not known here")
        }
        Architecture::Unstated => "names and shapes not checked: no config.json".to_owned(),
    };
    let verdict = match faults {
        0 => "sound".to_owned(),
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    };
    let (files, tensors) = (verified.shards, verified.tensors);
    format!("{verdict}: {files} files, {tensors} tensors, {}; {checked}\n", size(verified.bytes))
}
