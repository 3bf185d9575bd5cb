//! A protocol's rules in words.

use segzero_eval::protocol::{
    Empty, Frame, Ignore, MeanOver, Missing, NoTarget, Overlap, Raster, Reach,
};
use segzero_eval::{Names, Problems, Protocol, Unit};

/// What a field's value means; `field` is a name of [`Protocol::fields`].
pub(super) fn meaning(protocol: &Protocol, field: &str) -> &'static str {
    match field {
        "unit" => match protocol.unit {
            Unit::Query => "every query counts",
            Unit::FirstQuery => "the first query of every sample counts",
            Unit::Sample => "every sample counts once, its queries joined",
        },
        "raster" => match protocol.raster {
            Raster::Coco => "COCO polygons are filled by pycocotools' rule",
            Raster::Opencv => "COCO polygons are filled by OpenCV, outline included",
        },
        "fill" => "OpenCV's fill rule, for ReasonSeg's polygons",
        "overlap" => match protocol.overlap {
            Overlap::Foreground => "pixels of two polygons of one annotation are target",
            Overlap::Background => "pixels of two polygons of one annotation are background",
        },
        "ignore" => match protocol.ignore {
            Ignore::Exclude => "ignored pixels count on neither side",
            Ignore::Foreground => "ignored pixels count as target",
            Ignore::Background => "ignored pixels count as background",
        },
        "frame" => match protocol.frame {
            Frame::Native => "compared at the image's own size",
            Frame::Nearest(_) => "both masks resized to this size by nearest neighbour",
            Frame::Polygons(_) => "polygons filled at this size, the prediction resized to it",
        },
        "empty" => match protocol.empty {
            Empty::One => "nothing to find and nothing found is IoU 1",
            Empty::Zero => "nothing to find and nothing found is IoU 0",
            Empty::Skip => "nothing to find and nothing found is left out",
        },
        "no-target" => match protocol.no_target {
            NoTarget::Flag => "an answer of \"nothing\" empties the mask; then masks decide",
            NoTarget::Mask => "masks decide; an answer of \"nothing\" is not looked at",
            NoTarget::Rela => "the answer decides: right is 1, a wrong \"nothing\" is 0",
            NoTarget::Gsva => "the answer decides; a wrong \"nothing\" adds its intersection",
            NoTarget::Skip => "samples without a target are left out",
        },
        "missing" => match protocol.missing {
            Missing::Wrong => "no usable prediction is IoU 0, and the target joins the union",
            Missing::Empty => "no usable prediction counts as an empty mask",
            Missing::MeanOnly => "no usable prediction is IoU 0 in the mean, and in no sum",
            Missing::Skip => "samples without a usable prediction are left out",
        },
        "mean" => match protocol.mean {
            MeanOver::Unit => "gIoU is the mean over what is scored",
            MeanOver::Sample => "gIoU is the mean over samples of their queries' mean",
            MeanOver::Image => "gIoU is the mean over images of their queries' mean",
        },
        "precision" => match protocol.precision {
            Reach::AtLeast => "Pr@ counts IoUs at the threshold or above",
            Reach::Above => "Pr@ counts IoUs above the threshold",
            Reach::AtLeastOfTargets => "Pr@ is taken over samples with a target",
        },
        "thresholds" => "thresholds of Pr@",
        "epsilon" => "added to each union, to the number of samples, to the sum of unions",
        "replicas" => match protocol.replicas {
            0 | 1 => "no sample is repeated",
            _ => "the first samples are repeated, as a sampler for so many processes does",
        },
        "headline" => "the figures that are reported under it",
        _ => "",
    }
}

/// What differs in a protocol from another, in words; `headline` alone changes no number.
pub(super) fn differences(protocol: &Protocol, from: &Protocol) -> Vec<String> {
    let words = |(field, value, _): (&'static str, String, String)| match field {
        "headline" => None,
        "fill" => Some(format!("OpenCV's fill is {value}")),
        "frame" if protocol.frame != Frame::Native => {
            Some(format!("{} ({value})", meaning(protocol, field)))
        }
        "thresholds" => Some(format!("Pr@ at {value}")),
        "epsilon" => Some("other small numbers in denominators".to_owned()),
        _ => Some(meaning(protocol, field).to_owned()),
    };
    protocol.differences(from).into_iter().filter_map(words).collect()
}

/// What was wrong with the input, in words: the names, and whether it changes a number.
pub(super) fn problems(problems: &Problems) -> Vec<(&'static str, &Names)> {
    let all = [
        ("samples without a prediction", &problems.missing),
        ("predictions of another size than the image", &problems.size_mismatch),
        ("unreadable predictions", &problems.unreadable),
        ("samples that could not be read, and are not scored", &problems.bad_samples),
        ("prediction records that could not be read", &problems.bad_predictions),
        ("samples that stand in the data more than once, and count each time", &problems.repeated),
        ("predictions whose key came before; the first counts", &problems.duplicate),
        ("predictions that belong to no sample", &problems.unmatched),
        ("predictions without a mask, whose boxes were filled", &problems.filled_boxes),
    ];
    all.into_iter().filter(|(_, names)| names.count > 0).collect()
}
