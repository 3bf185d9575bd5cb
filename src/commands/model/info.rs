//! `segzero model info`: what a model is and what it needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use segzero_model::checkpoint::Checkpoint;
use segzero_model::checkpoint::hub::Freshness;
use segzero_model::info::{Architecture, Info, Memory, PATCHES, PROMPT_TOKENS, Part, Place};

use super::size;
use crate::failure::Failure;
use crate::progress::Verbosity;
use crate::{model_source, output};

/// Flags of `segzero model info`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of a model, a .safetensors or .pt file, or a name on the hub.
    #[arg(value_name = "DIR|NAME")]
    model: String,
    /// Print everything as JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let path = model_source::resolve(&args.model, Freshness::Cached, Verbosity::Normal)?;
    let checkpoint = Checkpoint::open(&path)?;
    let architecture = Architecture::of(&checkpoint)?;
    let info = Info::new(&checkpoint, &architecture);
    let text = match args.json {
        true => serde_json::to_string_pretty(&info).map_err(Failure::new)? + "\n",
        false => table(&path, &info),
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(path: &Path, info: &Info) -> String {
    let dtypes: Vec<String> =
        info.dtypes.iter().map(|(dtype, bytes)| format!("{dtype} {}", size(*bytes))).collect();
    let files = match info.shards.len() {
        1 => "1 file".to_owned(),
        n => format!("{n} files"),
    };
    let mut text = format!(
        "{}\narchitecture  {}\nparameters    {}\non disk       {} in {files}: {}\n",
        path.display(),
        info.architecture,
        parameters(&info.parameters),
        size(info.bytes),
        dtypes.join(", "),
    );
    if let Some(bytes) = info.kv_cache_bytes_per_token {
        text += &format!(
            "KV cache      {} a token in f32, {} in bf16\n\nmemory, for a prompt of \
             {PROMPT_TOKENS} tokens and an image of {PATCHES} patches (840x840)\n",
            size(bytes),
            size(bytes / 2)
        );
    }
    if let Some(side) = info.image_size {
        text += &format!("\nmemory, for an image of {side}x{side}\n");
    }
    text + &memory(&info.memory)
}

fn parameters(parts: &BTreeMap<Part, u64>) -> String {
    let named: Vec<String> =
        parts.iter().map(|(part, count)| format!("{} {}", part.name(), many(*count))).collect();
    format!("{} ({})", many(parts.values().sum()), named.join(", "))
}

fn many(count: u64) -> String {
    match count {
        1_000_000.. => format!("{:.1} M", count as f64 / 1e6),
        _ => count.to_string(),
    }
}

fn memory(rows: &[Memory]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "  {:<8}{:<8}{:>10}{:>10}{:>13}{:>10}\n",
        "device", "format", "weights", "KV cache", "activations", "total"
    );
    for row in rows {
        let device = match row.device {
            Place::Cpu => "cpu",
            Place::Gpu => "gpu",
        };
        text += &format!(
            "  {device:<8}{:<8}{:>10}{:>10}{:>13}{:>10}\n",
            row.format.to_string(),
            size(row.weights),
            if row.kv_cache == 0 { "-".to_owned() } else { size(row.kv_cache) },
            size(row.activations),
            size(row.total())
        );
    }
    text
}
