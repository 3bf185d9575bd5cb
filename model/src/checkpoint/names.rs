//! Names of parameters: several on disk, one here.

use std::borrow::Cow;

/// The one name by which a parameter is known here, whatever the file calls it: that of the
/// published Qwen-VL checkpoints (`visual.*`, `model.layers.*`, `model.embed_tokens.weight`,
/// `model.norm.weight`, `lm_head.weight`).
///
/// | on disk | written by |
/// |---|---|
/// | `visual.*`, `model.*`, `lm_head.*` | the published checkpoints; `save_pretrained` |
/// | `model.visual.*`, `model.language_model.*`, `lm_head.*` | tools that save transformers' modules as they are named in memory since 4.52 |
/// | `visual.*`, `language_model.model.*`, `language_model.lm_head.*` | wrappers of a language model |
/// | any of these behind `module.` or one more `model.` | trainers that saved what they wrapped |
///
/// Names of other models pass unchanged.
pub fn canonical(on_disk: &str) -> Cow<'_, str> {
    let mut name = on_disk;
    while let Some(inner) = unwrapped(name) {
        name = inner;
    }
    match name.strip_prefix("language_model.") {
        None => Cow::Borrowed(name),
        Some(inner) if inner.starts_with("model.") || inner.starts_with("lm_head.") => {
            Cow::Borrowed(inner)
        }
        Some(inner) => Cow::Owned(format!("model.{inner}")),
    }
}

/// The name without a wrapper's prefix. A single `model.` is no wrapper: the decoder has it.
fn unwrapped(name: &str) -> Option<&str> {
    if let Some(inner) = name.strip_prefix("module.") {
        return Some(inner);
    }
    let inner = name.strip_prefix("model.")?;
    let roots = ["model.", "module.", "visual.", "language_model.", "lm_head."];
    roots.iter().any(|root| inner.starts_with(root)).then_some(inner)
}

/// How a file names the parameters of a vision-language model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// `visual.*`, `model.*`, `lm_head.*`: as published.
    #[default]
    Published,
    /// `model.visual.*`, `model.language_model.*`, `lm_head.*`: as the modules of newer transformers.
    Nested,
}

impl Layout {
    /// The name on disk of a parameter by its canonical name.
    pub fn on_disk(self, canonical: &str) -> String {
        match (self, canonical.strip_prefix("model.")) {
            (Self::Nested, Some(inner)) => format!("model.language_model.{inner}"),
            (Self::Nested, None) if canonical.starts_with("visual.") => {
                format!("model.{canonical}")
            }
            _ => canonical.to_owned(),
        }
    }
}
