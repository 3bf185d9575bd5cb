//! Finding REFER data sets and their images in the directory variants of `protocols.md` §1.1.

use std::path::{Path, PathBuf};

use crate::{Error, Format, Source, walk};

/// Image folders relative to the data set's folder or one of its ancestors, best first. The names
/// are those of REFER, LISA, ReLA, mmdetection, GLaMM, Text4Seg, X-SAM and the COCO downloads.
const COCO_IMAGES: [&str; 18] = [
    "images/mscoco/images/train2014",
    "images/mscoco/train2014",
    "images/train2014",
    "images/coco_2014/train2014",
    "images/coco_2014",
    "images/coco2014/train2014",
    "train2014",
    "coco_2014/train2014",
    "coco2014/train2014",
    "coco/train2014",
    "coco/images/train2014",
    "mscoco/images/train2014",
    "mscoco/train2014",
    "images/train2017",
    "train2017",
    "coco/train2017",
    "coco/images/train2017",
    "images",
];

/// The same for RefCLEF, whose images are of ImageCLEF.
const CLEF_IMAGES: [&str; 4] =
    ["images/saiapr_tc-12", "saiapr_tc-12", "images/saiaprtc12", "saiaprtc12"];

/// How many folders above the annotations are searched for images.
const MAX_ANCESTORS: usize = 4;

/// All REFER data sets under `root`, or the one that `root` is a file of.
pub(crate) fn find(root: &Path) -> Result<Vec<Source>, Error> {
    if root.is_file() {
        return Ok(source(root).into_iter().collect());
    }
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for folder in walk::folders(root)? {
        for source in folder.files.iter().filter_map(|file| source(file)) {
            // A link to another folder (`refcocop` to `refcoco+`) is not a second data set. Links
            // sort by their own names, so the folder itself must win wherever it stands.
            let real = std::fs::canonicalize(&source.annotations);
            let real = real.unwrap_or_else(|_| source.annotations.clone());
            match seen.iter().position(|known| *known == real) {
                Some(known) if source.annotations == real => found[known] = source,
                Some(_) => {}
                None => {
                    seen.push(real);
                    found.push(source);
                }
            }
        }
    }
    Ok(found)
}

/// The data set of a file named `refs(SPLITBY).p`, `grefs(SPLITBY).p` or `grefs(SPLITBY).json`.
fn source(file: &Path) -> Option<Source> {
    let (prefix, split_by) = refs_name(file)?;
    let name = data_set_name(file, prefix, &split_by);
    let images = find_images(file, &name);
    Some(Source {
        name,
        split_by: Some(split_by),
        format: Format::Refer,
        annotations: file.to_owned(),
        images,
    })
}

/// `refs(umd).p` as `("refs", "umd")`.
fn refs_name(file: &Path) -> Option<(&'static str, String)> {
    let name = file.file_name()?.to_str()?;
    let (prefix, rest) = ["grefs(", "refs("]
        .iter()
        .find_map(|p| Some((p.trim_end_matches('('), name.strip_prefix(p)?)))?;
    let endings = [").p", ").pkl", ").pickle", ").json"];
    let split_by = endings.iter().find_map(|ending| rest.strip_suffix(ending))?;
    (!split_by.is_empty()).then(|| (prefix, split_by.to_owned()))
}

/// The folder's name where it is one of the published data sets' (X-SAM says `refcocop`), else what
/// the file's own name tells, else the folder's name.
fn data_set_name(file: &Path, prefix: &str, split_by: &str) -> String {
    let parents = file.ancestors().skip(1).take(2);
    let names = parents.filter_map(|p| p.file_name()?.to_str()).map(str::to_lowercase);
    for name in names.clone() {
        match name.as_str() {
            "refcoco" | "refcoco+" | "refcocog" | "refclef" | "grefcoco" => return name,
            "refcocop" | "refcocoplus" | "refcoco_plus" => return "refcoco+".to_owned(),
            _ => {}
        }
    }
    match (prefix, split_by) {
        ("grefs", _) => "grefcoco".to_owned(),
        (_, "umd") => "refcocog".to_owned(),
        (_, "berkeley") => "refclef".to_owned(),
        _ => names
            .into_iter()
            .find(|name| name != "annotations")
            .unwrap_or_else(|| "refer".to_owned()),
    }
}

/// The image folder of the annotation file's data set.
fn find_images(file: &Path, data_set: &str) -> Option<PathBuf> {
    let candidates: &[&str] = if data_set == "refclef" { &CLEF_IMAGES } else { &COCO_IMAGES };
    // A relative path has no ancestors to speak of; those of its absolute form are meant.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let accepts =
        |path: &Path| path.is_dir() && (data_set == "refclef" || walk::holds_images(path));
    file.ancestors()
        .skip(1)
        .take(MAX_ANCESTORS)
        .flat_map(|base| candidates.iter().map(move |candidate| base.join(candidate)))
        .find(|path| accepts(path))
}
