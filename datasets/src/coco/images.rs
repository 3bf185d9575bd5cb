//! [`ImageFolder`]: from a file name in `instances.json` to a file on disk.

use std::path::{Path, PathBuf};

use super::instances::Instances;
use crate::{ImageSource, walk};

/// A folder of images, how it names them, and what its files are.
#[derive(Debug)]
pub(crate) struct ImageFolder {
    path: Option<PathBuf>,
    naming: Naming,
    files: Files,
}

/// COCO 2014 says `COCO_train2014_000000000790.jpg` where COCO 2017 says `000000000790.jpg` for the
/// same picture.
#[derive(Clone, Copy, Debug)]
enum Naming {
    AsWritten,
    Coco2017,
}

/// A tree of links that went through git or an archive on a system without links holds, for each
/// image, a text file with the path of the image.
#[derive(Clone, Copy, Debug)]
enum Files {
    Images,
    LinkTexts,
}

impl ImageFolder {
    /// Looks at one image of the file to see which naming and files the folder has.
    pub(crate) fn new(path: Option<&Path>, instances: &Instances) -> Self {
        let (mut naming, mut files) = (Naming::AsWritten, Files::Images);
        if let (Some(path), Some(name)) = (path, instances.some_file_name()) {
            let exists = |name: &str| path.join(name).exists();
            if !exists(name) && exists(short_name(name)) {
                naming = Naming::Coco2017;
            }
            if link_target(&path.join(named(name, naming))).is_some() {
                files = Files::LinkTexts;
            }
        }
        Self { path: path.map(Path::to_owned), naming, files }
    }

    /// Where the image of this file name is; whether it exists is for its reader to find out.
    pub(crate) fn locate(&self, file_name: &str) -> ImageSource {
        let Some(folder) = &self.path else { return ImageSource::Absent };
        let path = folder.join(named(file_name, self.naming));
        ImageSource::File(match self.files {
            Files::Images => path,
            Files::LinkTexts => link_target(&path).unwrap_or(path),
        })
    }
}

fn named(file_name: &str, naming: Naming) -> &str {
    match naming {
        Naming::AsWritten => file_name,
        Naming::Coco2017 => short_name(file_name),
    }
}

/// `COCO_train2014_000000000790.jpg` as `000000000790.jpg`.
fn short_name(file_name: &str) -> &str {
    match file_name.strip_prefix("COCO_") {
        Some(rest) => rest.split_once('_').map_or(file_name, |(_, number)| number),
        None => file_name,
    }
}

/// The image that a text file points to, if it is such a file and the image is there.
fn link_target(path: &Path) -> Option<PathBuf> {
    const LONGEST_PATH: u64 = 4096;
    if std::fs::metadata(path).ok()?.len() > LONGEST_PATH {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let target = Path::new(text.trim_end());
    let target = path.parent()?.join(target);
    (walk::is_image(&target) && target.is_file()).then_some(target)
}
