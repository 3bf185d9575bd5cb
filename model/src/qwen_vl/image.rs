//! Images from files.

use super::InputError;
use segzero_datasets::Error;
use segzero_prep::image::{Orientation, Rgb, decode_as};
use std::path::Path;

/// Reads an image as `load_image` of transformers does: upright by its EXIF orientation, RGB, alpha
/// dropped, CMYK converted. JPEG, PNG, WebP, BMP and TIFF are read.
///
/// Transparent pixels keep the colour that is stored for them, as in transformers 4. Transformers 5
/// does the same for an image that it loads itself, except for the transparent entry of a palette,
/// and lays an image that is already in memory on white.
///
/// Images of 16 bits keep their upper 8; PIL would turn most of a 16-bit grey image white. A
/// truncated image is an error, as in PIL. Size is no reason to refuse an image here (up to PIL's
/// limit of 358 million pixels); [`super::Processor::view`] scales it down.
///
/// # Errors
/// When the file cannot be read or decoded; the error names it.
pub fn read_image(path: &Path) -> Result<Rgb, InputError> {
    let bytes = std::fs::read(path).map_err(|error| Error::new(path, error))?;
    decode_as(&bytes, Orientation::Upright)
        .map_err(|source| InputError::Decode { path: path.to_owned(), source })
}
