//! What can stop a question on its way into the model.

use segzero_prep::image::ImageError;
use std::path::{Path, PathBuf};

/// Why an image, a chat or a text could not be made ready for the model.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file of the model folder could not be read.
    #[error("{0}")]
    Read(#[from] segzero_datasets::Error),
    /// A file of the model folder says something that we cannot do.
    #[error("{error}")]
    Folder {
        /// The file, its field and what is wrong.
        error: Box<segzero_datasets::Error>,
        /// What the user can do about it.
        hint: &'static str,
    },
    /// The bytes of an image could not be decoded.
    #[error("could not read `{}`: {source}", path.display())]
    Decode {
        /// The image's file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// An image that the model cannot see.
    #[error("the image of {size} {reason}")]
    Image {
        /// Width and height.
        size: segzero_datasets::Size,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
    /// A text that could not be split into words.
    #[error("the text could not be turned into tokens: {0}")]
    Encode(String),
    /// The chat template is not valid, or refused the chat.
    #[error("{}: {reason}", place(path, *line))]
    Template {
        /// The file that the template stands in.
        path: PathBuf,
        /// The line of the template.
        line: Option<usize>,
        /// What is wrong, in the template's own words where it refused.
        reason: String,
    },
    /// Images and places for them do not match.
    #[error("the chat has places for {places} images, and {images} were given")]
    Images {
        /// Places in the chat.
        places: usize,
        /// Images that were given.
        images: usize,
    },
    /// A chat with a place for a video.
    #[error("the chat shows a video, and videos are not read")]
    Video,
    /// Bounds of the resized image that no image can keep.
    #[error("from {min} to {max} pixels is no range")]
    PixelBounds {
        /// The least number of pixels.
        min: u64,
        /// The most.
        max: u64,
    },
}

impl InputError {
    /// An error about a file of the model folder, with a hint.
    pub(super) fn folder(error: segzero_datasets::Error, hint: &'static str) -> Self {
        Self::Folder { error: Box::new(error), hint }
    }

    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Read(error) => return error.hint(),
            Self::Folder { hint, .. } => hint,
            Self::Decode { .. } => "save it again as PNG or JPEG",
            Self::Images { .. } => "a message's words must not contain `<|image_pad|>`",
            Self::Video => "ask about single frames",
            Self::PixelBounds { .. } => "at least 1, and the least not above the most",
            Self::Image { .. } | Self::Encode(_) | Self::Template { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn place(path: &Path, line: Option<usize>) -> String {
    let line = line.map_or(String::new(), |line| format!(", line {line}"));
    format!("the chat template of `{}`{line}", path.display())
}
