//! Images that were uploaded: the latest are kept, with what SAM 2 saw in them.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::body::Bytes;
use segzero_prep::image::Rgb;

use crate::pipeline::Embedded;

/// Most images that are kept.
const COUNT: usize = 16;
/// Most bytes of pixels that are kept, unless a single image has more.
const BYTES: usize = 512 << 20;

/// An image, and its embedding as soon as it is computed.
pub struct Picture {
    /// The pixels.
    pub rgb: Rgb,
    /// What the segmenter saw.
    pub embedded: OnceLock<Embedded>,
    /// The pixels as PNG, if somebody wanted that.
    pub png: OnceLock<Bytes>,
}

/// The latest images by their names.
#[derive(Default)]
pub struct Images {
    kept: Mutex<Kept>,
    /// Keyed with randomness of the operating system, once for each process: so nobody guesses the
    /// name of somebody else's image.
    key: RandomState,
}

#[derive(Default)]
struct Kept {
    /// Those used last stand last.
    pictures: VecDeque<(String, Arc<Picture>)>,
    count: u64,
}

impl Images {
    /// Keeps an image under a new name.
    pub fn insert(&self, rgb: Rgb) -> (String, Arc<Picture>) {
        let picture = Picture { rgb, embedded: OnceLock::new(), png: OnceLock::new() };
        let picture = Arc::new(picture);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.count += 1;
        let halves = [0, 1].map(|half| self.key.hash_one((kept.count, half)));
        let name = format!("{:016x}{:016x}", halves[0], halves[1]);
        kept.pictures.push_back((name.clone(), picture.clone()));
        while kept.pictures.len() > COUNT || (kept.pictures.len() > 1 && kept.bytes() > BYTES) {
            kept.pictures.pop_front();
        }
        (name, picture)
    }

    /// An image that is still kept.
    pub fn get(&self, name: &str) -> Option<Arc<Picture>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.pictures.iter().position(|(own, _)| own == name)?;
        let used = kept.pictures.remove(at)?;
        let picture = used.1.clone();
        kept.pictures.push_back(used);
        Some(picture)
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.pictures.iter().map(|(_, picture)| picture.rgb.pixels.len()).sum()
    }
}
