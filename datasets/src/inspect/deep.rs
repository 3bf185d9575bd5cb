//! Rasterising every mask and reading every image's header, in parallel by the batch.

use std::io::Cursor;

use image::ImageReader;
use rayon::prelude::*;

use super::{Faults, MaskReport};
use crate::{Error, FillRegime, Geometry, ImageSource, Sample, Size};

/// Samples held back until a batch is full; few, since each may carry an image of a megabyte.
const BATCH: usize = 64;

/// The masks of one data set while it is being read.
#[derive(Default)]
pub(super) struct MaskSurvey {
    report: MaskReport,
    batch: Vec<(Sample, HeaderCheck)>,
}

/// Whether a sample's image is met for the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeaderCheck {
    Report,
    AlreadyReported,
}

/// What one sample showed.
struct Finding {
    header: Option<Fault>,
    mask: Option<Result<u64, Fault>>,
}

enum Fault {
    Image(String),
    Size(String),
    Mask(String),
}

impl MaskSurvey {
    /// Takes a sample in; `new_image` tells whether its image was not seen before.
    pub(super) fn add(&mut self, sample: Sample, new_image: bool) {
        let check = if new_image { HeaderCheck::Report } else { HeaderCheck::AlreadyReported };
        self.batch.push((sample, check));
        if self.batch.len() == BATCH {
            self.flush();
        }
    }

    /// The report of all samples.
    pub(super) fn finish(mut self) -> MaskReport {
        self.flush();
        self.report
    }

    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let findings: Vec<(String, Finding)> =
            batch.par_iter().map(|(sample, check)| (name(sample), find(sample, *check))).collect();
        for (name, finding) in findings {
            if let Some(fault) = finding.header {
                self.fault(fault);
            }
            match finding.mask {
                Some(Ok(0)) => self.report.empty.add(name),
                Some(Ok(_)) => self.report.rasterised += 1,
                Some(Err(fault)) => self.fault(fault),
                None => {}
            }
        }
    }

    fn fault(&mut self, fault: Fault) {
        let (faults, name): (&mut Faults, String) = match fault {
            Fault::Image(name) => (&mut self.report.unreadable_images, name),
            Fault::Size(name) => (&mut self.report.size_mismatches, name),
            Fault::Mask(name) => (&mut self.report.failures, name),
        };
        faults.add(name);
    }
}

fn name(sample: &Sample) -> String {
    format!("{} {} {}", sample.dataset, sample.split, sample.key)
}

fn find(sample: &Sample, check: HeaderCheck) -> Finding {
    let stated = sample.image.size;
    let known = stated.is_some() && check == HeaderCheck::AlreadyReported;
    let header = if known { None } else { header_size(&sample.image.source) };
    // A training set states the size before its images were resized.
    let resized = matches!(sample.geometry, Geometry::Solution(_));
    let fault = match (&header, stated.filter(|_| !resized)) {
        _ if check == HeaderCheck::AlreadyReported => None,
        (Some(Err(reason)), _) => Some(Fault::Image(format!("{}: {reason}", name(sample)))),
        (Some(Ok(found)), Some(stated)) if *found != stated => Some(Fault::Size(format!(
            "{}: image `{}` is {found}, the annotations say {stated}",
            name(sample),
            sample.image.file_name
        ))),
        _ => None,
    };
    let size = stated.or_else(|| header.and_then(Result::ok));
    let size = size.filter(|_| super::has_mask(&sample.geometry));
    let mask = size.map(|size| rasterise(sample, size));
    Finding { header: fault, mask }
}

/// Area of the mask.
fn rasterise(sample: &Sample, size: Size) -> Result<u64, Fault> {
    let masks = sample.geometry.rasterize(size, FillRegime::default());
    let fault = |error: Error| Fault::Mask(format!("{}: {}", name(sample), error.kind));
    masks.map(|masks| masks.target.area()).map_err(fault)
}

/// Size in the image's header; `None` where there is no image or its file is missing, which is
/// counted elsewhere.
fn header_size(source: &ImageSource) -> Option<Result<Size, String>> {
    let dimensions = match source {
        ImageSource::File(path) if !path.is_file() => return None,
        ImageSource::File(path) => ImageReader::open(path)
            .and_then(ImageReader::with_guessed_format)
            .map_err(|e| e.to_string())
            .and_then(|reader| reader.into_dimensions().map_err(|e| e.to_string())),
        ImageSource::Bytes(bytes) => ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| e.to_string())
            .and_then(|reader| reader.into_dimensions().map_err(|e| e.to_string())),
        ImageSource::Absent => return None,
    };
    Some(dimensions.map(|(width, height)| Size::new(width, height)))
}
