//! What the tests of the command share: running it, and a small synthetic data set.
#![allow(clippy::unwrap_used, dead_code)] // helpers of tests may; not every test needs all of them

pub mod folder;
pub mod models;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parquet::file::reader::{FileReader, SerializedFileReader};
use segzero_datasets::synth::{self, PickleProtocol, Scene};

pub fn segzero<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segzero")).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A synthetic RefCOCOg of `images` images in the folder `data` of a temporary one.
pub struct Data {
    folder: tempfile::TempDir,
    pub scenes: Vec<Scene>,
}

impl Data {
    pub fn new(images: usize) -> Self {
        let (folder, scenes) = (tempfile::tempdir().unwrap(), synth::compose(images, 7));
        synth::write(&folder.path().join("data"), &scenes, PickleProtocol::Two).unwrap();
        Self { folder, scenes }
    }

    /// A path in the temporary folder.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn root(&self) -> PathBuf {
        self.at("data")
    }

    pub fn refs(&self) -> PathBuf {
        self.at("data/refcocog/refs(umd).p")
    }

    pub fn instances(&self) -> PathBuf {
        self.at("data/refcocog/instances.json")
    }

    pub fn image(&self, index: usize) -> PathBuf {
        self.at("data/images/mscoco/images/train2014").join(self.scenes[index].file_name())
    }

    /// Number of refs of an image.
    pub fn refs_of(&self, index: usize) -> u64 {
        self.scenes[index].annotations.iter().filter(|a| a.reference.is_some()).count() as u64
    }

    pub fn refs_in_all(&self) -> u64 {
        (0..self.scenes.len()).map(|index| self.refs_of(index)).sum()
    }

    /// Runs `prep` on all of it, small and quick, into the folder `out`.
    pub fn prep(&self, flags: &[&str]) -> Output {
        prep(&self.root(), &self.at("out"), flags)
    }
}

/// Runs `prep` for small images.
pub fn prep(root: &Path, out: &Path, flags: &[&str]) -> Output {
    let paths = [OsStr::new("--root"), root.as_os_str(), OsStr::new("--out"), out.as_os_str()];
    let fixed = ["--leaks", "allow", "--size", "64", "--png", "fast"];
    let words = [OsStr::new("prep")].into_iter().chain(paths);
    segzero(words.chain(fixed.iter().chain(flags).map(OsStr::new)))
}

/// Rows of all Parquet files of a prepared set.
pub fn rows(set: &Path) -> u64 {
    let files = std::fs::read_dir(set.join("data")).unwrap();
    let count = |path: PathBuf| {
        let file = std::fs::File::open(path).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        reader.metadata().file_metadata().num_rows() as u64
    };
    files.map(|file| count(file.unwrap().path())).sum()
}

/// Whether a folder does not exist or has nothing in it.
pub fn is_bare(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// The command refused: exit code 2, nothing on stdout, and every one of `needles` on stderr.
pub fn assert_refused(output: &Output, needles: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(text(&output.stdout), "", "{stderr}");
    for needle in needles.iter().chain(&["error: ", "hint: "]) {
        assert!(stderr.contains(needle), "no `{needle}` in:\n{stderr}");
    }
}
