//! [`Frame`]: the size at which pixels are compared.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use segzero_datasets::Size;
use serde::{Deserialize, Serialize};

/// The size at which target and prediction are compared. Written `native`, `480x480` (both resized
/// by nearest neighbour, as PIL does) or `480x480:polygons` (the target's polygons are scaled and
/// filled there; the prediction is resized). A prediction that has the frame's size already is taken
/// as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Frame {
    /// The image's own.
    Native,
    /// The target's mask is resized.
    Nearest(Size),
    /// The target's polygons are scaled.
    Polygons(Size),
}

impl Frame {
    /// The size, where it is not the image's own.
    pub fn size(self) -> Option<Size> {
        match self {
            Self::Native => None,
            Self::Nearest(size) | Self::Polygons(size) => Some(size),
        }
    }
}

impl Display for Frame {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Nearest(size) => write!(f, "{size}"),
            Self::Polygons(size) => write!(f, "{size}:polygons"),
        }
    }
}

impl From<Frame> for String {
    fn from(frame: Frame) -> Self {
        frame.to_string()
    }
}

impl FromStr for Frame {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "native" {
            return Ok(Self::Native);
        }
        let (size, polygons) = match text.strip_suffix(":polygons") {
            Some(size) => (size, true),
            None => (text, false),
        };
        let side = |text: &str| text.parse().ok().filter(|side| (1..=1 << 14).contains(side));
        let size = size
            .split_once('x')
            .and_then(|(width, height)| Some(Size::new(side(width)?, side(height)?)));
        match (size, polygons) {
            (Some(size), false) => Ok(Self::Nearest(size)),
            (Some(size), true) => Ok(Self::Polygons(size)),
            (None, _) => Err(format!(
                "expected `native`, WIDTHxHEIGHT or WIDTHxHEIGHT:polygons, found `{text}`"
            )),
        }
    }
}

impl TryFrom<String> for Frame {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
