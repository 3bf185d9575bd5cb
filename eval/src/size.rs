//! The size of a sample's image, which every mask of it must have.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use image::ImageReader;
use segzero_datasets::{CocoSegmentation, Error, ErrorKind, Geometry, ImageSource, Sample, Size};

/// Size of the sample's image as stored: as the annotations state it, or else as the target's runs
/// or mask file have it, or else from the image's header (ReasonSeg's polygons state none).
///
/// # Errors
/// When nothing of it is there, or the header cannot be read.
pub(crate) fn sample_size(sample: &Sample) -> Result<Size, Error> {
    if let Some(size) = sample.image.size {
        return Ok(size);
    }
    match &sample.geometry {
        Geometry::Mask(mask) => return Ok(mask.size()),
        Geometry::Coco(parts) => {
            let of_runs = parts.iter().find_map(|part| match part {
                CocoSegmentation::Rle(mask) => Some(mask.size()),
                CocoSegmentation::Polygons(_) => None,
            });
            if let Some(size) = of_runs {
                return Ok(size);
            }
        }
        Geometry::File(path)
            if path.extension().is_some_and(|e| !e.eq_ignore_ascii_case("npy")) =>
        {
            return file_size(path);
        }
        _ => {}
    }
    match &sample.image.source {
        ImageSource::File(path) => file_size(path),
        ImageSource::Bytes(bytes) => ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| Error::new(&sample.image.file_name, e))
            .and_then(|reader| dimensions(reader, Path::new(&sample.image.file_name))),
        ImageSource::Absent => {
            let what = "the image's size (no annotation states it, and the image is not there)";
            Err(Error::new("", ErrorKind::Missing { what: what.to_owned() }))
        }
    }
}

fn file_size(path: &Path) -> Result<Size, Error> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    dimensions(reader.map_err(|e| Error::new(path, e))?, path)
}

/// Reads the header only.
fn dimensions(reader: ImageReader<impl BufRead + Seek>, path: &Path) -> Result<Size, Error> {
    let (width, height) = reader.into_dimensions().map_err(|e| {
        let kind = ErrorKind::Unexpected { expected: "an image".to_owned(), found: e.to_string() };
        Error::new(path, kind)
    })?;
    Ok(Size { width, height })
}
