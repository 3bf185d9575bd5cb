//! What can stop a question on its way into the model.

use segzero_prep::image::ImageError;

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
        error: segzero_datasets::Error,
        /// What the user can do about it.
        hint: &'static str,
    },
    /// The bytes of an image could not be decoded.
    #[error("{0}")]
    Decode(#[from] ImageError),
    /// An image that the model cannot see.
    #[error("the image of {size} {reason}")]
    Image {
        /// Width and height.
        size: segzero_datasets::Size,
        /// What is wrong with it, as a predicate.
        reason: String,
    },
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
    /// What the user can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Folder { hint, .. } => Some((*hint).to_owned()),
            Self::Decode(_) => Some("save the image again as PNG or JPEG".to_owned()),
            Self::Image { .. } => None,
            Self::PixelBounds { .. } => Some("at least 1, and the least not above the most".into()),
        }
    }
}
