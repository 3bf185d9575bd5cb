//! Names of parameters: several on disk, one here.

mod sam2;

use std::borrow::Cow;

/// The one name by which a parameter is known here, whatever the file calls it: that of the
/// published Qwen-VL checkpoints (`visual.*`, `model.layers.*`, `model.embed_tokens.weight`,
/// `model.norm.weight`, `lm_head.weight`), and of Meta's SAM 2 (`image_encoder.*`,
/// `sam_prompt_encoder.*`, `sam_mask_decoder.*`, …).
///
/// | on disk | written by |
/// |---|---|
/// | `visual.*`, `model.*`, `lm_head.*` | the published checkpoints; `save_pretrained` |
/// | `model.visual.*`, `model.language_model.*`, `lm_head.*` | tools that save transformers' modules as they are named in memory since 4.52 |
/// | `visual.*`, `language_model.model.*`, `language_model.lm_head.*` | wrappers of a language model |
/// | `vision_encoder.*`, `prompt_encoder.*`, `mask_decoder.*`, … | transformers' `Sam2Model` and `Sam2VideoModel` |
/// | any of these behind `module.` or one more `model.` | trainers that saved what they wrapped |
///
/// Names of other models pass unchanged.
pub fn canonical(on_disk: &str) -> Cow<'_, str> {
    let mut name = on_disk;
    while let Some(inner) = unwrapped(name) {
        name = inner;
    }
    match name.strip_prefix("language_model.") {
        None => sam2::metas(name).map_or(Cow::Borrowed(name), Cow::Owned),
        Some(inner) if inner.starts_with("model.") || inner.starts_with("lm_head.") => {
            Cow::Borrowed(inner)
        }
        Some(inner) => Cow::Owned(format!("model.{inner}")),
    }
}

/// The parameters that a tensor on disk holds: one, or one in each of its rows.
pub(super) fn held(on_disk: &str, shape: &[usize]) -> Vec<String> {
    let name = canonical(on_disk);
    sam2::rows(&name, shape).unwrap_or_else(|| vec![name.into_owned()])
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

/// How a file names parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// `visual.*`, `model.*`, `lm_head.*`: as published.
    #[default]
    Published,
    /// `model.visual.*`, `model.language_model.*`, `lm_head.*`: Qwen-VL as the modules of newer
    /// transformers.
    Nested,
    /// `vision_encoder.*`, `prompt_encoder.*`, `mask_decoder.*`: SAM 2 as transformers has it.
    Transformers,
}

impl Layout {
    /// The name on disk of a parameter by its canonical name; of consecutive parameters with one name
    /// on disk, each is a row there.
    pub fn on_disk(self, canonical: &str) -> String {
        match (self, canonical.strip_prefix("model.")) {
            (Self::Nested, Some(inner)) => format!("model.language_model.{inner}"),
            (Self::Nested, None) if canonical.starts_with("visual.") => {
                format!("model.{canonical}")
            }
            (Self::Transformers, _) => sam2::transformers(canonical),
            _ => canonical.to_owned(),
        }
    }
}
