//! [`Example`]: one row of the training set, spelled as Seg-Zero and VisionReasoner spell it
//! (`protocols.md` §3, `seg-zero.md` §1.5 and §1.6).

use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use segzero_datasets::{Query, Sample, Size};
use serde::{Deserialize, Serialize};

use crate::Target;

/// One row of the training set.
#[derive(Clone, Debug)]
pub struct Example {
    /// `refcocog_16521`; several annotation ids are joined by `_`.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The answer, in pixels of the written image.
    pub solution: String,
    /// The written image; rows of one image share its bytes.
    pub image: EncodedImage,
    /// Size of the original image.
    pub original: Size,
    /// Where all this came from.
    pub provenance: Provenance,
}

/// An image as it is written.
#[derive(Clone, Debug)]
pub struct EncodedImage {
    /// File name, unique in the set, with the extension of its format.
    pub name: String,
    /// The encoded image.
    pub bytes: Bytes,
}

/// Where an example came from and what was found on the way; one line of the sidecar files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The example's id.
    pub id: String,
    /// Data set name.
    pub dataset: String,
    /// Split as the data set spells it.
    pub split: String,
    /// The image's id in the data set.
    pub image_id: String,
    /// The image's file name in the data set.
    pub file_name: String,
    /// Size of the original image.
    pub original_size: Size,
    /// Size of the written image; `solution` is in its pixels.
    pub size: Size,
    /// The objects, in the order of `solution`.
    pub objects: Vec<ObjectProvenance>,
}

/// One object of an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectProvenance {
    /// The sample's key in its data set.
    pub key: String,
    /// REFER's ref id.
    pub ref_id: Option<i64>,
    /// COCO annotation ids.
    pub ann_ids: Vec<i64>,
    /// COCO category names.
    pub categories: Vec<String>,
    /// Id of the sentence in its data set.
    pub sentence_id: Option<i64>,
    /// The sentence as the annotator wrote it.
    pub sentence: String,
    /// Pixels of the mask, at the original size.
    pub area: u64,
    /// Number of polygons of the mask.
    pub parts: usize,
    /// Box, circles and flags, at the original size.
    pub target: Target,
}

/// The id of an example about `samples`: data set and up to three annotation ids (the sample's key
/// where it has none).
pub fn example_id<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> String {
    let (mut id, mut named) = (String::new(), 0);
    for sample in samples {
        if id.is_empty() {
            id.push_str(&sample.dataset);
        }
        let left = 3_usize.saturating_sub(named);
        for ann_id in sample.ann_ids.iter().take(left) {
            // Writing to a string cannot fail.
            let _ = write!(id, "_{ann_id}");
        }
        if sample.ann_ids.is_empty() && left > 0 {
            id.push('_');
            id.push_str(&sample.key);
        }
        named += sample.ann_ids.len().max(1);
    }
    id
}

/// Seg-Zero's question: the annotator's words, unchanged.
pub fn seg_zero_problem(query: &Query) -> String {
    query.raw.clone()
}

/// VisionReasoner's question: `'the dog' and 'a red car'`; each text without outer white space and
/// then without outer `.?!`, in lower case.
pub fn vision_reasoner_problem<'a>(queries: impl IntoIterator<Item = &'a Query>) -> String {
    let quoted: Vec<String> = queries
        .into_iter()
        .map(|query| {
            // Python's `strip` also takes the four information separators.
            let text = query
                .raw
                .trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c));
            format!("'{}'", text.trim_matches(['.', '?', '!']).to_lowercase())
        })
        .collect();
    quoted.join(" and ")
}

/// Seg-Zero's answer: `<box>(x1,y1),(x2,y2)</box><points>(x,y),(x,y)</points>`.
pub fn seg_zero_solution(target: &Target) -> String {
    let b = target.bbox;
    let points: Vec<String> =
        target.circles.iter().map(|c| format!("({},{})", c.center.x, c.center.y)).collect();
    let points = points.join(",");
    format!("<box>({},{}),({},{})</box><points>{points}</points>", b.x0, b.y0, b.x1, b.y1)
}

/// VisionReasoner's answer: `[{"bbox_2d": [10, 20, 30, 40], "point_2d": [15, 25]}, ...]`, spaced as
/// Python's `json.dumps` does.
pub fn vision_reasoner_solution<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let objects: Vec<String> = targets
        .into_iter()
        .filter_map(|target| {
            let (b, p) = (target.bbox, target.circles.first()?.center);
            let bbox = format!("[{}, {}, {}, {}]", b.x0, b.y0, b.x1, b.y1);
            Some(format!("{{\"bbox_2d\": {bbox}, \"point_2d\": [{}, {}]}}", p.x, p.y))
        })
        .collect();
    format!("[{}]", objects.join(", "))
}

/// The file an image is read from, for messages.
pub(crate) fn image_path(sample: &Sample, annotations: &std::path::Path) -> PathBuf {
    match &sample.image.source {
        segzero_datasets::ImageSource::File(path) => path.clone(),
        _ => annotations.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use segzero_datasets::{Bbox, Geometry, ImageRef, ImageSource, Point};

    use super::*;
    use crate::{Circle, Flags};

    fn target(bbox: [i32; 4], points: &[[i32; 2]]) -> Target {
        let [x0, y0, x1, y1] = bbox;
        let circle = |p: &[i32; 2]| Circle { center: Point::new(p[0], p[1]), radius_squared: 9 };
        Target {
            size: Size::new(840, 840),
            bbox: Bbox { x0, y0, x1, y1 },
            circles: points.iter().map(circle).collect(),
            flags: Flags::default(),
        }
    }

    fn query(raw: &str) -> Query {
        Query { id: Some(0), raw: raw.to_owned(), text: raw.to_lowercase() }
    }

    fn sample(ann_ids: &[i64]) -> Sample {
        Sample {
            dataset: Arc::from("refcocog"),
            split: Arc::from("train"),
            key: "k7".to_owned(),
            image: ImageRef {
                id: "1".to_owned(),
                file_name: "1.jpg".to_owned(),
                source: ImageSource::Absent,
                size: None,
            },
            queries: vec![query("A dog.")],
            ref_id: None,
            ann_ids: ann_ids.to_vec(),
            categories: vec![],
            category_ids: Vec::new(),
            is_crowd: false,
            distractors: None,
            is_sentence: None,
            geometry: Geometry::Coco(vec![]),
        }
    }

    /// The published record that two repositories quote (`seg-zero.md` §1.6).
    #[test]
    fn published_record() {
        let question = query("A black and white dog laying down, looking away from the camera.");
        assert_eq!(seg_zero_problem(&question), question.raw);
        let target = target([0, 457, 374, 672], &[[50, 592], [144, 601]]);
        let expected = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>";
        assert_eq!(seg_zero_solution(&target), expected);
        assert_eq!(example_id([&sample(&[16521])]), "refcocog_16521");
    }

    /// Strings as CPython 3.11 prints them: `json.dumps`, `str.strip`, `str.lower`.
    #[test]
    fn vision_reasoner_strings() {
        let targets = [target([10, 100, 200, 210], &[[30, 110]]), target([1, 2, 3, 4], &[[2, 3]])];
        let expected = r#"[{"bbox_2d": [10, 100, 200, 210], "point_2d": [30, 110]}, {"bbox_2d": [1, 2, 3, 4], "point_2d": [2, 3]}]"#;
        assert_eq!(vision_reasoner_solution(&targets), expected);
        let queries = [query("  The DOG?!. "), query("Mr. Smith .\x1c"), query("ÀÉ \u{2028}")];
        assert_eq!(vision_reasoner_problem(&queries), "'the dog' and 'mr. smith ' and 'àé'");
    }

    #[test]
    fn ids_hold_three_annotations_at_most() {
        let (a, b) = (sample(&[1, 2]), sample(&[3, 4]));
        assert_eq!(example_id([&a, &b]), "refcocog_1_2_3");
        assert_eq!(example_id([&a, &b, &b]), "refcocog_1_2_3");
        assert_eq!(example_id([&sample(&[])]), "refcocog_k7");
    }
}
