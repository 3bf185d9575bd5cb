//! A temporary folder and what tests put into it.

use std::fs;
use std::path::{Path, PathBuf};

use segzero_datasets::Size;
use segzero_prep::image::{PngEffort, Rgb, encode_jpeg, encode_png};

pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// As the command takes it.
    pub fn path(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.at(name), content).unwrap();
        self.path(name)
    }

    /// A picture in the form that the name's end says.
    pub fn image(&self, name: &str, width: u32, height: u32) -> String {
        let image = picture(width, height);
        self.write(
            name,
            match name.ends_with("jpg") {
                true => encode_jpeg(&image, 95).unwrap(),
                false => encode_png(&image, PngEffort::Fast).unwrap(),
            },
        )
    }
}

/// A picture of many colours.
pub fn picture(width: u32, height: u32) -> Rgb {
    let pixel = |x: u32, y: u32| [x * 5, y * 3, (x ^ y) * 2].map(|v| v as u8);
    let pixels = (0..width * height).flat_map(|i| pixel(i % width, i / width)).collect();
    Rgb { size: Size::new(width, height), pixels }
}
