//! Predictions that are not all there yet: beside the file to be, so that an interrupted run goes on.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use segzero_reports::write_whole;
use serde_json::Value;

use crate::failure::Failure;
use crate::masks::not_written;

/// Lines under a temporary name: `OUT.part`, with what they are made by in `OUT.part.json`.
pub(super) struct Part<'a> {
    out: &'a Path,
    file: File,
    /// Images of whose lines so many are there.
    done: HashMap<PathBuf, usize>,
}

impl<'a> Part<'a> {
    /// Takes over the lines of an earlier run that was `made_by` the same; images of which not all
    /// lines are there are forgotten. `lines_of` is the number of lines that an image gives.
    ///
    /// # Errors
    /// A folder that cannot be written into.
    pub fn open(
        out: &'a Path,
        made_by: &Value,
        lines_of: &HashMap<&PathBuf, usize>,
    ) -> Result<Self, Failure> {
        if fs::metadata(out).is_ok_and(|found| !found.is_file()) {
            let refused = Failure::new(format_args!("`{}` is no regular file", out.display()));
            return Err(refused.hint("without `--out` the predictions go to the standard output"));
        }
        let failed = not_written(out);
        let header = made_by.to_string();
        let is_same = fs::read_to_string(beside(out, ".part.json")).is_ok_and(|was| was == header);
        let (kept, done) = match fs::read_to_string(beside(out, ".part")) {
            Ok(text) if is_same => whole_images(&text, lines_of),
            _ => (String::new(), HashMap::new()),
        };
        write_whole(&beside(out, ".part.json"), |file| file.write_all(header.as_bytes()))
            .and_then(|()| write_whole(&beside(out, ".part"), |f| f.write_all(kept.as_bytes())))
            .map_err(&failed)?;
        let file = File::options().append(true).open(beside(out, ".part")).map_err(&failed)?;
        Ok(Self { out, file, done })
    }

    /// Whether the lines of an image are there.
    pub fn has(&self, image: &Path) -> bool {
        self.done.contains_key(image)
    }

    /// Adds the lines of an image.
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&mut self, lines: &str) -> Result<(), Failure> {
        self.file.write_all(lines.as_bytes()).map_err(not_written(self.out))
    }

    /// Gives the lines their name.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(self) -> Result<(), Failure> {
        let finish = || -> io::Result<()> {
            self.file.sync_all()?;
            fs::rename(beside(self.out, ".part"), self.out)?;
            fs::remove_file(beside(self.out, ".part.json"))
        };
        finish().map_err(not_written(self.out))
    }
}

/// A path with more at its end.
fn beside(out: &Path, more: &str) -> PathBuf {
    let mut path: OsString = out.as_os_str().to_owned();
    path.push(more);
    path.into()
}

/// The lines of those images of which all are there. A line that was torn is none.
fn whole_images(
    text: &str,
    lines_of: &HashMap<&PathBuf, usize>,
) -> (String, HashMap<PathBuf, usize>) {
    let image = |line: &str| -> Option<PathBuf> {
        let line: Value = serde_json::from_str(line).ok()?;
        line["image"].as_str().map(PathBuf::from)
    };
    let lines: Vec<(PathBuf, &str)> =
        text.lines().filter_map(|line| Some((image(line)?, line))).collect();
    let mut done: HashMap<PathBuf, usize> = HashMap::new();
    for (image, _) in &lines {
        *done.entry(image.clone()).or_default() += 1;
    }
    done.retain(|image, count| lines_of.get(image) == Some(count));
    let kept = lines.iter().filter(|(image, _)| done.contains_key(image));
    (kept.map(|(_, line)| format!("{line}\n")).collect(), done)
}
