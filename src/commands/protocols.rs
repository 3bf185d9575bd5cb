//! `segzero protocols`: the rules that `segzero eval` knows, and where each was read.

use std::process::ExitCode;

use segzero_eval::{Protocol, protocol};

use crate::failure::Failure;
use crate::output;

/// Flags of `segzero protocols`.
#[derive(clap::Args)]
pub struct Args {
    /// Only this one, field by field.
    name: Option<String>,
    /// As JSON: what `segzero eval --protocol FILE.json` reads.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let presets = protocol::presets().map_err(Failure::new)?;
    let text = match (&args.name, args.json) {
        (None, true) => serde_json::to_string_pretty(&presets).map_err(Failure::new)?,
        (None, false) => overview(&presets),
        (Some(name), json) => {
            let found = presets.iter().find(|preset| preset.name == *name).ok_or_else(|| {
                let names: Vec<&str> = presets.iter().map(|p| p.name.as_str()).collect();
                Failure::new(format_args!("there is no protocol `{name}`"))
                    .hint(format_args!("there are {}", names.join(", ")))
            })?;
            match json {
                true => serde_json::to_string_pretty(found).map_err(Failure::new)?,
                false => fields(found),
            }
        }
    };
    output::print(&(text + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// One line a protocol: what it is known for, as against the default.
fn overview(presets: &[Protocol]) -> String {
    let default = Protocol::default();
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for preset in presets {
        let changes: Vec<String> = preset
            .differences(&default)
            .into_iter()
            .filter(|(field, ..)| *field != "headline")
            .map(|(field, value, _)| format!("{field}={}", value.replace(' ', ",")))
            .collect();
        let changes = match changes.is_empty() {
            true => {
                "every query, native size, ignored pixels excluded, nothing left out".to_owned()
            }
            false => changes.join(" "),
        };
        text += &format!("{:<width$}  {changes}\n{:<width$}  {}\n", preset.name, "", preset.source);
    }
    text + "\n`segzero protocols NAME` lists every field; docs/protocols.md explains them."
}

fn fields(protocol: &Protocol) -> String {
    let lines = protocol.fields().into_iter().map(|(name, value)| format!("  {name:<12}{value}"));
    let lines: Vec<String> = lines.collect();
    format!("{}\n{}\n\n{}", protocol.name, protocol.source, lines.join("\n"))
}
