//! [`ImageFolder`]: from a file name in `instances.json` to a file on disk.

use std::path::{Path, PathBuf};

use super::instances::Instances;
use crate::ImageSource;

/// A folder of images and how it names them: COCO 2014 says `COCO_train2014_000000000790.jpg`
/// where COCO 2017 says `000000000790.jpg` for the same picture.
#[derive(Debug)]
pub(crate) struct ImageFolder {
    path: Option<PathBuf>,
    naming: Naming,
}

#[derive(Clone, Copy, Debug)]
enum Naming {
    AsWritten,
    Coco2017,
}

impl ImageFolder {
    /// Looks at one image of the file to see which naming the folder has.
    pub(crate) fn new(path: Option<&Path>, instances: &Instances) -> Self {
        let missing = |path: &Path, name: &str| !path.join(name).exists();
        let naming = match (path, instances.some_file_name()) {
            (Some(path), Some(name)) if missing(path, name) && !missing(path, short_name(name)) => {
                Naming::Coco2017
            }
            _ => Naming::AsWritten,
        };
        Self { path: path.map(Path::to_owned), naming }
    }

    /// Where the image of this file name is; whether it exists is for its reader to find out.
    pub(crate) fn locate(&self, file_name: &str) -> ImageSource {
        match (&self.path, self.naming) {
            (None, _) => ImageSource::Absent,
            (Some(path), Naming::AsWritten) => ImageSource::File(path.join(file_name)),
            (Some(path), Naming::Coco2017) => ImageSource::File(path.join(short_name(file_name))),
        }
    }
}

/// `COCO_train2014_000000000790.jpg` as `000000000790.jpg`.
fn short_name(file_name: &str) -> &str {
    match file_name.strip_prefix("COCO_") {
        Some(rest) => rest.split_once('_').map_or(file_name, |(_, number)| number),
        None => file_name,
    }
}
