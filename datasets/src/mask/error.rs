use crate::Size;

/// A mask that cannot be what it says it is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MaskError {
    /// Runs must cover the image exactly.
    #[error("runs sum to {found} pixels, the size says {expected}")]
    RunSum {
        /// `width * height`.
        expected: u64,
        /// Sum of the runs.
        found: u64,
    },
    /// A byte outside COCO's alphabet (48 to 111).
    #[error("byte {byte} at position {position} is not of COCO's RLE alphabet")]
    Alphabet {
        /// The byte.
        byte: u8,
        /// Its position in the string.
        position: usize,
    },
    /// The string ends inside a number.
    #[error("the RLE string ends inside a number")]
    Truncated,
    /// A run below zero or of 2^32 pixels or more.
    #[error("run {index} is {value}, which no run can be")]
    BadRun {
        /// Which run.
        index: usize,
        /// Its value.
        value: i64,
    },
    /// 2^32 pixels or more, or a side of 2^31 or more.
    #[error("a mask of {size} has too many pixels")]
    TooLarge {
        /// The size.
        size: Size,
    },
    /// Two masks, or a mask and its image, of different size.
    #[error("the mask is {found}, its image {expected}")]
    SizeMismatch {
        /// The size that was asked for.
        expected: Size,
        /// The mask's.
        found: Size,
    },
    /// A pixel buffer whose length does not fit its size.
    #[error("expected {expected} pixels, found {found}")]
    BufferLength {
        /// `width * height`.
        expected: u64,
        /// Length of the buffer.
        found: u64,
    },
    /// An unusable polygon.
    #[error("polygon {polygon}: {reason}")]
    Polygon {
        /// Its position in the list.
        polygon: usize,
        /// Why.
        reason: PolygonFault,
    },
}

/// Why a polygon is unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolygonFault {
    /// x without y.
    #[error("an odd number of coordinates")]
    OddLength,
    /// NaN or infinite, which exhausts pycocotools' memory, or beyond any image.
    #[error("a coordinate that is not finite or is out of range")]
    NotFinite,
    /// Fewer than three vertices.
    #[error("fewer than three vertices")]
    TooShort,
    /// No vertices.
    #[error("no vertices")]
    Empty,
    /// An outline that runs to and fro over millions of columns.
    #[error("an outline that crosses more than 2^24 columns")]
    TooComplex,
}

impl MaskError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RunSum { .. } | Self::SizeMismatch { .. } => {
                Some("COCO sizes are [height, width]; were they swapped?")
            }
            _ => None,
        }
    }
}
