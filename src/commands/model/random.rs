//! `segzero model random`: weights by formula in the published form.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use segzero_model::checkpoint::random::{self, Form};
use segzero_model::checkpoint::{Dtype, INDEX, Layout};
use segzero_model::info::Architecture;
use segzero_model::sam2::{self, Family};

use crate::failure::Failure;
use crate::output;

/// Flags of `segzero model random`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with config.json, which is copied with tokenizer and templates; or sam2-tiny, sam2-small,
    /// sam2-base-plus, sam2-large.
    #[arg(value_name = "CONFIG_DIR|FAMILY")]
    config: PathBuf,
    /// Folder to write.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// How numbers are stored.
    #[arg(long, value_enum, default_value_t = Stored::Bf16)]
    dtype: Stored,
    /// How parameters are named.
    #[arg(long, value_enum, default_value_t = Layout::Published)]
    layout: Layout,
    /// Largest file, in bytes.
    #[arg(long, default_value_t = Form::default().shard_bytes, value_name = "BYTES")]
    shard_bytes: u64,
}

/// How numbers are stored.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Stored {
    F32,
    F16,
    Bf16,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let (parameters, files) = match family(&args.config) {
        Some(family) => (sam2::parameters(&family.config()), Vec::new()),
        None => (parameters(&args.config)?, beside(&args.config)?),
    };
    let dtype = match args.dtype {
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        Stored::Bf16 => Dtype::BF16,
    };
    let form = Form { dtype, layout: args.layout, shard_bytes: args.shard_bytes };
    random::write(&args.out, &parameters, &form, &files)?;
    let numbers: usize = parameters.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let tensors = parameters.len();
    output::print(&format!("{}: {tensors} tensors, {numbers} numbers\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// A published SAM 2, unless there is a folder of that name.
fn family(name: &Path) -> Option<Family> {
    let family = name.to_str().filter(|_| !name.exists())?.strip_prefix("sam2-")?;
    Family::from_str(family, false).ok()
}

/// The parameters of the architecture in a folder.
fn parameters(folder: &Path) -> Result<Vec<(String, Vec<usize>)>, Failure> {
    Architecture::open(folder)?.parameters().ok_or_else(|| {
        let config = folder.join("config.json");
        let message = format!("`{}` names no architecture that is known here", config.display());
        Failure::new(message)
            .hint("Qwen2-VL, Qwen2.5-VL and SAM 2 are; sam2-large names the latter's")
    })
}

/// Files that go along with weights.
fn beside(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fail = |e: std::io::Error| {
        Failure::new(format_args!("could not read `{}`: {e}", folder.display()))
    };
    let mut files = Vec::new();
    for file in std::fs::read_dir(folder).map_err(fail)? {
        let path = file.map_err(fail)?.path();
        let text = path.extension().is_some_and(|e| e == "json" || e == "jinja" || e == "txt");
        if text && path.is_file() && !path.ends_with(INDEX) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
