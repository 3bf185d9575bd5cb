//! One image and its chosen objects → examples: decoded, resized and encoded once for all of them.

use std::cell::Cell;
use std::path::Path;

use bytes::Bytes;
use segzero_datasets::{Geometry, ImageRef, ImageSource, Masks, Query, Sample, Size, Source};

use crate::error::sample_name;
use crate::example::{
    EncodedImage, Example, ObjectProvenance, Provenance, example_id, seg_zero_problem,
    seg_zero_solution, vision_reasoner_problem, vision_reasoner_solution,
};
use crate::image::{self, Rgb};
use crate::options::{FrameSize, ImageEncoding, PrepOptions, SolutionFormat};
use crate::select::Sentences;
use crate::{BadRecord, Target};

/// An image with its chosen objects.
#[derive(Debug)]
pub(crate) struct Group {
    /// File name of the written image, without extension.
    pub stem: String,
    /// The image.
    pub image: ImageRef,
    /// The objects, in file order.
    pub members: Vec<Member>,
    /// Number of examples that are planned.
    pub examples: usize,
}

/// A sample and its chosen sentences.
#[derive(Debug)]
pub(crate) struct Member {
    pub sample: Sample,
    /// Positions in `sample.queries`.
    pub queries: Vec<u32>,
}

/// What became of an image.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub examples: Vec<Example>,
    pub bad: Vec<BadRecord>,
}

/// An object whose target was found.
struct Object<'a> {
    member: &'a Member,
    area: u64,
    parts: usize,
    original: Target,
    scaled: Target,
}

/// The images that are made on the way. Each thread keeps its own from one group to the next,
/// because fresh memory of this size costs a page fault for every 4 kB.
#[derive(Default)]
struct Workspace {
    decoded: Rgb,
    resized: Rgb,
}

impl Workspace {
    /// Larger ones are given back, so that one huge image does not occupy its memory to the end.
    const MOST_KEPT: usize = 32 << 20;

    fn bytes(&self) -> usize {
        self.decoded.pixels.capacity() + self.resized.pixels.capacity()
    }
}

thread_local! {
    static WORKSPACE: Cell<Workspace> = Cell::default();
}

/// Makes the examples of one image. The files of `source` are named where they are at fault.
pub(crate) fn render(group: &Group, options: &PrepOptions, source: &Source) -> Rendered {
    let mut workspace = WORKSPACE.take();
    let rendered = render_in(&mut workspace, group, options, source);
    if workspace.bytes() <= Workspace::MOST_KEPT {
        WORKSPACE.set(workspace);
    }
    rendered
}

fn render_in(
    workspace: &mut Workspace,
    group: &Group,
    options: &PrepOptions,
    source: &Source,
) -> Rendered {
    let Workspace { decoded: rgb, resized } = workspace;
    if group.members.is_empty() {
        return Rendered::default();
    }
    let bytes = match load(group, &source.annotations, rgb) {
        Ok(bytes) => bytes,
        Err(bad) => {
            let again = |m: &Member| BadRecord { record: sample_name(&m.sample), ..bad.clone() };
            return Rendered { examples: vec![], bad: group.members.iter().map(again).collect() };
        }
    };
    let (mut objects, mut rendered) = (Vec::new(), Rendered::default());
    for member in &group.members {
        match find_target(member, rgb.size, options, source) {
            Ok(object) => objects.push(object),
            Err(bad) => rendered.bad.push(bad),
        }
    }
    if objects.is_empty() {
        return rendered;
    }
    match encode(group, bytes, rgb, resized, options) {
        Ok(image) => rendered.examples = compose(group, &objects, &image, rgb.size, options),
        Err(reason) => {
            let file = image_file(group, &source.annotations);
            let record = format!("image {}", group.image.id);
            rendered.bad.push(BadRecord { file, record, reason, hint: None });
        }
    }
    rendered
}

pub(crate) fn image_file(group: &Group, annotations: &Path) -> std::path::PathBuf {
    match &group.image.source {
        ImageSource::File(path) => path.clone(),
        ImageSource::Bytes(_) | ImageSource::Absent => annotations.to_owned(),
    }
}

/// Reads the image, decodes it to `rgb`, and compares its size with the annotations'.
pub(crate) fn load(group: &Group, annotations: &Path, rgb: &mut Rgb) -> Result<Bytes, BadRecord> {
    let fail = |reason: String| BadRecord {
        file: image_file(group, annotations),
        record: format!("image {}", group.image.id),
        reason,
        hint: None,
    };
    let bytes = match &group.image.source {
        ImageSource::File(path) => std::fs::read(path).map_err(|e| fail(e.to_string()))?.into(),
        ImageSource::Bytes(bytes) => bytes.clone(),
        ImageSource::Absent => {
            return Err(fail(format!("image `{}` was not found", group.image.file_name)));
        }
    };
    image::decode_into(&bytes, rgb).map_err(|e| fail(e.to_string()))?;
    match group.image.size {
        Some(size) if size != rgb.size => {
            let found = rgb.size;
            Err(fail(format!("the image is {found}, its annotations (and masks) are for {size}")))
        }
        _ => Ok(bytes),
    }
}

fn find_target<'a>(
    member: &'a Member,
    size: Size,
    options: &PrepOptions,
    source: &Source,
) -> Result<Object<'a>, BadRecord> {
    let (original, masks) = target_of(member, size, options, source)?;
    let scaled = original.scaled_to(options.size.of(size), options.rounding, options.bbox);
    Ok(Object { member, area: masks.target.area(), parts: masks.parts, original, scaled })
}

/// An object's target and masks in an image of `size`.
pub(crate) fn target_of(
    member: &Member,
    size: Size,
    options: &PrepOptions,
    source: &Source,
) -> Result<(Target, Masks), BadRecord> {
    let sample = &member.sample;
    let masks = sample
        .geometry
        .rasterize(size, options.fill)
        .map_err(|e| BadRecord::of_mask(e, sample, &source.mask_file()))?;
    let target =
        Target::from_masks(&masks, &options.target).ok_or_else(|| empty_mask(sample, source))?;
    Ok((target, masks))
}

fn empty_mask(sample: &Sample, source: &Source) -> BadRecord {
    let file = match &sample.geometry {
        Geometry::File(path) => path.clone(),
        _ => source.mask_file(),
    };
    let reason = "the mask is empty".to_owned();
    BadRecord { file, record: sample_name(sample), reason, hint: None }
}

fn encode(
    group: &Group,
    bytes: Bytes,
    rgb: &Rgb,
    resized: &mut Rgb,
    options: &PrepOptions,
) -> Result<EncodedImage, String> {
    let pixels = match options.size {
        FrameSize::Fixed(size) if size != rgb.size => {
            image::resize_into(rgb, size, options.filter, resized);
            resized
        }
        _ => rgb,
    };
    let (bytes, extension) = match options.image {
        ImageEncoding::Png(effort) => {
            (image::encode_png(pixels, effort).map_err(|e| e.to_string())?.into(), "png")
        }
        ImageEncoding::Jpeg(quality) => {
            (image::encode_jpeg(pixels, quality).map_err(|e| e.to_string())?.into(), "jpg")
        }
        ImageEncoding::Original => {
            let name = group.image.file_name.rsplit_once('.');
            (bytes, name.map_or("jpg", |(_, extension)| extension))
        }
    };
    Ok(EncodedImage { name: format!("{}.{extension}", group.stem), bytes })
}

fn compose(
    group: &Group,
    objects: &[Object],
    image: &EncodedImage,
    original: Size,
    options: &PrepOptions,
) -> Vec<Example> {
    let example = |id: String, problem, solution, objects: Vec<ObjectProvenance>| Example {
        id: id.clone(),
        problem,
        solution,
        image: image.clone(),
        original,
        provenance: Provenance {
            id,
            dataset: group.members[0].sample.dataset.to_string(),
            split: group.members[0].sample.split.to_string(),
            image_id: group.image.id.clone(),
            file_name: group.image.file_name.clone(),
            original_size: original,
            size: options.size.of(original),
            objects,
        },
    };
    match options.solution {
        SolutionFormat::SegZero => {
            let mut examples = Vec::new();
            for object in objects {
                let sample = &object.member.sample;
                for query in chosen(object.member) {
                    let mut id = example_id([sample]);
                    if let (Sentences::All, Some(sentence)) = (options.select.sentences, query.id) {
                        id = format!("{id}_{sentence}");
                    }
                    let (problem, solution) =
                        (seg_zero_problem(query), seg_zero_solution(&object.scaled));
                    examples.push(example(id, problem, solution, vec![provenance(object, query)]));
                }
            }
            examples
        }
        SolutionFormat::VisionReasoner => {
            let named: Vec<(&Object, &Query)> =
                objects.iter().flat_map(|o| chosen(o.member).map(move |q| (o, q))).collect();
            vec![example(
                example_id(named.iter().map(|(object, _)| &object.member.sample)),
                vision_reasoner_problem(named.iter().map(|(_, query)| *query)),
                vision_reasoner_solution(named.iter().map(|(object, _)| &object.scaled)),
                named.iter().map(|(object, query)| provenance(object, query)).collect(),
            )]
        }
    }
}

fn chosen(member: &Member) -> impl Iterator<Item = &Query> {
    member.queries.iter().map(|&query| &member.sample.queries[query as usize])
}

fn provenance(object: &Object, query: &Query) -> ObjectProvenance {
    let sample = &object.member.sample;
    ObjectProvenance {
        key: sample.key.clone(),
        ref_id: sample.ref_id,
        ann_ids: sample.ann_ids.clone(),
        categories: sample.categories.clone(),
        sentence_id: query.id,
        sentence: query.raw.clone(),
        area: object.area,
        parts: object.parts,
        target: object.original.clone(),
    }
}
