//! [`Truths`]: one target under the rules of several protocols, rasterised once where rules agree.

use segzero_datasets::{Bbox, Error, FillRegime, Geometry, Mask, MaskError, Masks, Size};

use crate::Counts;
use crate::protocol::{Frame, Ignore, Overlap, Protocol, Raster};

/// A target by one protocol's rules.
#[derive(Debug)]
pub(crate) struct Truth {
    /// Pixels to find; disjoint from `ignore`.
    pub target: Mask,
    /// Pixels that count on neither side.
    pub ignore: Option<Mask>,
    /// Number of pixels to find.
    pub area: u64,
    /// The target's box.
    pub bbox: Option<Bbox>,
}

impl Truth {
    /// The target of a rasterised sample, by the protocol's rules for overlaps, ignored pixels and
    /// size.
    pub fn new(masks: &Masks, protocol: &Protocol) -> Result<Self, MaskError> {
        let mut target = match (&masks.overlap, protocol.overlap) {
            (Some(overlap), Overlap::Background) => masks.target.difference(overlap)?,
            _ => masks.target.clone(),
        };
        let mut ignore = None;
        match (&masks.ignore, protocol.ignore) {
            (Some(region), Ignore::Exclude) => {
                target = target.difference(region)?;
                ignore = Some(region.clone());
            }
            (Some(region), Ignore::Foreground) => target = target.union(region)?,
            (Some(region), Ignore::Background) => target = target.difference(region)?,
            (None, _) => {}
        }
        if let Some(size) = protocol.frame.size() {
            target = target.resized_nearest(size)?;
            ignore = ignore.map(|ignore| ignore.resized_nearest(size)).transpose()?;
        }
        Ok(Self { ignore, area: target.area(), bbox: target.bbox(), target })
    }

    /// Counts of a prediction of the target's size.
    pub fn counts(&self, prediction: &Mask) -> Result<Counts, MaskError> {
        let prediction_outside;
        let prediction = match &self.ignore {
            None => prediction,
            Some(ignore) => {
                prediction_outside = prediction.difference(ignore)?;
                &prediction_outside
            }
        };
        Ok(Counts {
            intersection: self.target.intersection_area(prediction)?,
            target: self.area,
            prediction: prediction.area(),
        })
    }
}

/// The fields of a protocol on which the rasterised masks depend, where they matter to a sample.
type MaskRules = (Raster, FillRegime, Option<Size>);
/// The fields on which the target depends, where they matter.
type TruthRules = (usize, Option<Overlap>, Option<Ignore>, Frame);

/// The targets of one sample under several protocols.
#[derive(Debug)]
pub(crate) struct Truths {
    truths: Vec<Truth>,
    /// Which truth holds under each protocol; the first, beyond its end.
    of_protocol: Vec<usize>,
}

impl Truths {
    /// Rasterises a sample under every protocol's rules; rules that make no difference to it share
    /// one target.
    ///
    /// # Errors
    /// As [`Geometry::rasterize`].
    pub fn new(geometry: Geometry, size: Size, protocols: &[Protocol]) -> Result<Self, Error> {
        if let [protocol] = protocols
            && protocol.raster == Raster::Coco
            && !matches!(protocol.frame, Frame::Polygons(_))
        {
            let masks = geometry.into_masks(size, protocol.fill)?;
            let truth = Truth::new(&masks, protocol).map_err(|e| Error::new("", e))?;
            return Ok(Self { truths: vec![truth], of_protocol: Vec::new() });
        }
        let is_shapes = matches!(geometry, Geometry::ReasonSeg(_));
        let is_coco = matches!(geometry, Geometry::Coco(_));
        let mut masks: Vec<(MaskRules, Masks)> = Vec::new();
        let mut truths: Vec<(TruthRules, Truth)> = Vec::new();
        let mut of_protocol = Vec::with_capacity(protocols.len());
        for protocol in protocols {
            let scaled = match protocol.frame {
                Frame::Polygons(to) if is_coco || is_shapes => Some(to),
                _ => None,
            };
            let raster = if is_coco { protocol.raster } else { Raster::Coco };
            let fill_matters = is_shapes || raster == Raster::Opencv;
            let fill = if fill_matters { protocol.fill } else { FillRegime::default() };
            let rules = (raster, fill, scaled);
            let position = match masks.iter().position(|(known, _)| *known == rules) {
                Some(position) => position,
                None => {
                    masks.push((rules, rasterize(&geometry, size, rules)?));
                    masks.len() - 1
                }
            };
            let found = &masks[position].1;
            let overlap = found.overlap.as_ref().map(|_| protocol.overlap);
            let ignore = found.ignore.as_ref().map(|_| protocol.ignore);
            let rules = (position, overlap, ignore, protocol.frame);
            let truth = match truths.iter().position(|(known, _)| *known == rules) {
                Some(truth) => truth,
                None => {
                    let truth = Truth::new(found, protocol).map_err(|e| Error::new("", e))?;
                    truths.push((rules, truth));
                    truths.len() - 1
                }
            };
            of_protocol.push(truth);
        }
        let truths = truths.into_iter().map(|(_, truth)| truth).collect();
        Ok(Self { truths, of_protocol })
    }

    /// The target of a rasterised sample under one protocol.
    ///
    /// # Errors
    /// When the masks are of several sizes.
    pub fn of_masks(masks: &Masks, protocol: &Protocol) -> Result<Self, MaskError> {
        Ok(Self { truths: vec![Truth::new(masks, protocol)?], of_protocol: Vec::new() })
    }

    /// Position of the truth that holds under a protocol.
    pub fn position(&self, protocol: usize) -> usize {
        self.of_protocol.get(protocol).copied().unwrap_or(0)
    }

    /// All that differ.
    pub fn all(&self) -> &[Truth] {
        &self.truths
    }
}

fn rasterize(
    geometry: &Geometry,
    size: Size,
    (raster, fill, scaled): MaskRules,
) -> Result<Masks, Error> {
    let scaled_geometry;
    let (geometry, size) = match scaled {
        None => (geometry, size),
        Some(to) => {
            scaled_geometry = geometry.scaled(size, to)?;
            (&scaled_geometry, to)
        }
    };
    match raster {
        Raster::Coco => geometry.rasterize(size, fill),
        Raster::Opencv => geometry.rasterize_opencv(size, fill),
    }
}
