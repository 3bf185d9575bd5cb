//! The two small models that come with the command: a Qwen2.5-VL that reasons about the synthetic scenes,
//! and a SAM 2 that segments them. `demo/train.sh` makes them, from nothing.

use std::io;
use std::path::Path;

/// The folder of the model that reasons.
pub const REASONER: &str = "reasoner";

/// The folder of the model that segments.
pub const SEGMENTER: &str = "segmenter";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../demo/", $name)).as_slice())),*]
    };
}

const FILES: [(&str, &[u8]); 9] = files![
    "reasoner/config.json",
    "reasoner/generation_config.json",
    "reasoner/model.safetensors",
    "reasoner/preprocessor_config.json",
    "reasoner/special_tokens_map.json",
    "reasoner/tokenizer.json",
    "reasoner/tokenizer_config.json",
    "segmenter/config.json",
    "segmenter/model.safetensors",
];

/// Writes both into a folder.
///
/// # Errors
/// A disk that is full.
pub fn write(folder: &Path) -> io::Result<()> {
    for (name, bytes) in FILES {
        let path = folder.join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}
