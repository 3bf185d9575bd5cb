//! Images of samples.

use segzero_datasets::ImageSource;
use segzero_prep::image::{Rgb, decode};

use crate::error::TrainError;

/// The pixels of a sample's image.
///
/// # Errors
/// An image that is not there or cannot be read.
pub(crate) fn picture(key: &str, image: &ImageSource) -> Result<Rgb, TrainError> {
    let fault = |reason: String| TrainError::Sample { key: key.to_owned(), reason };
    let decoded = match image {
        ImageSource::Bytes(bytes) => decode(bytes),
        ImageSource::File(path) => {
            let bytes = std::fs::read(path)
                .map_err(|error| fault(format!("`{}`: {error}", path.display())))?;
            decode(&bytes)
        }
        ImageSource::Absent => return Err(fault("it has no image".to_owned())),
    };
    decoded.map_err(|error| fault(error.to_string()))
}
