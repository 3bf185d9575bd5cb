//! The journal of a run: what it is making, and which shards are finished. It lies in a work folder
//! inside the output folder until the manifest is written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::manifest::{MANIFEST, Manifest};
use crate::writer::{FileEntry, WORK_DIR};
use crate::{BadRecord, Filtered, PrepError};

/// Name of the journal in the work folder.
const JOURNAL: &str = "journal.jsonl";

/// A finished shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Its number, from 0.
    pub shard: usize,
    /// Examples in it.
    pub rows: u64,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Chosen records that turned out bad.
    pub skipped: Vec<BadRecord>,
    /// Chosen objects that a filter left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filtered: Vec<Filtered>,
}

impl ShardEntry {
    /// Whether all its files are there, at their length.
    fn is_intact(&self, out: &Path) -> bool {
        self.files.iter().all(|file| file.is_intact(out))
    }
}

/// First line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Version of the crate that writes.
    pub version: String,
    /// What is made: the resolved options, the source and the choice of samples.
    pub making: serde_json::Value,
    /// Every path that will be written: the rows and the sidecar of each shard in turn, then others.
    pub files: Vec<String>,
}

/// Whether a set that is already in the output folder is completed or replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Completed, if it was begun with the same options; otherwise it is an error.
    #[default]
    Resume,
    /// Removed first.
    Overwrite,
}

/// An open journal. Its lock, held as long as it is, keeps other runs out of the folder.
pub(crate) struct Journal {
    _lock: Lock,
    file: Mutex<File>,
    path: PathBuf,
    /// Shards finished by earlier runs.
    pub finished: Vec<ShardEntry>,
}

impl Journal {
    /// Opens the journal of `out` for the set that `header` describes, taking over what is finished.
    pub fn open(out: &Path, header: &Header, existing: Existing) -> Result<Self, PrepError> {
        let work = out.join(WORK_DIR);
        let lock = Lock::take(out)?;
        let path = work.join(JOURNAL);
        let in_use = |reason: String| PrepError::OutputInUse { out: out.to_owned(), reason };
        let mut finished = match Found::read(out, &path)? {
            Some(found) if existing == Existing::Overwrite => {
                found.remove(out)?;
                Vec::new()
            }
            // Begun, and stopped before anything was finished.
            Some(found) if found.shards.is_empty() && holds_nothing_else(out) => Vec::new(),
            Some(found) => {
                if let Some(difference) = found.header.difference(header) {
                    return Err(in_use(format!("holds another set: {difference}")));
                }
                found.shards
            }
            None if out.join("data").exists() || out.join("train.jsonl").exists() => {
                return Err(in_use("holds files that segzero did not make".to_owned()));
            }
            None => Vec::new(),
        };
        // The rows of a folder's shards are gone once they are joined.
        let rows_are_there = |shard: &ShardEntry| {
            let rows = header.files.get(2 * shard.shard);
            shard.files.iter().any(|file| Some(&file.path) == rows)
        };
        finished.retain(|shard| rows_are_there(shard) && shard.is_intact(out));
        finished.sort_by_key(|shard| shard.shard);
        finished.dedup_by_key(|shard| shard.shard);
        let fail = |e| PrepError::write(&path, e);
        // Written anew, so that a torn last line is gone.
        let temporary = work.join("journal.new");
        let mut file = File::create(&temporary).map_err(fail)?;
        let mut text = line(header).map_err(fail)?;
        for shard in &finished {
            text.extend(line(shard).map_err(fail)?);
        }
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(fail)?;
        fs::rename(&temporary, &path).map_err(fail)?;
        // From here on the set is unfinished again.
        match fs::remove_file(out.join(MANIFEST)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
            _ => {}
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(fail)?;
        Ok(Self { _lock: lock, file: Mutex::new(file), path, finished })
    }

    /// Notes a finished shard, durably.
    pub fn record(&self, shard: &ShardEntry) -> Result<(), PrepError> {
        let fail = |e| PrepError::write(&self.path, e);
        let text = line(shard).map_err(fail)?;
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(fail)
    }
}

/// Keeps other runs out of the folder `out` as long as it lives, whatever ends the process.
struct Lock {
    out: PathBuf,
    _file: File,
}

impl Lock {
    fn take(out: &Path) -> Result<Self, PrepError> {
        let path = out.join(WORK_DIR).join("lock");
        let fail = |e| PrepError::write(&path, e);
        loop {
            fs::create_dir_all(out.join(WORK_DIR)).map_err(fail)?;
            let file = File::create(&path).map_err(fail)?;
            match file.try_lock() {
                // A run that has just ended took the work folder away with it.
                Ok(()) if !path.exists() => continue,
                Err(TryLockError::WouldBlock) => return Err(PrepError::Busy(out.to_owned())),
                // Some network file systems know no locks.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            return Ok(Self { out: out.to_owned(), _file: file });
        }
    }
}

impl Drop for Lock {
    /// A run that failed before it finished anything leaves nothing behind.
    fn drop(&mut self) {
        let work = self.out.join(WORK_DIR);
        let lines = fs::read(work.join(JOURNAL)).map_or(0, |text| text.lines().count());
        if lines == 0 || (lines == 1 && holds_nothing_else(&self.out)) {
            let _ = fs::remove_dir_all(work);
        }
    }
}

/// Whether the work folder is all there is in `out`.
fn holds_nothing_else(out: &Path) -> bool {
    fs::read_dir(out).is_ok_and(|mut entries| {
        entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == WORK_DIR))
    })
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}

/// A set, finished or not, that is in the output folder already.
struct Found {
    header: Header,
    shards: Vec<ShardEntry>,
}

impl Found {
    fn read(out: &Path, journal: &Path) -> Result<Option<Self>, PrepError> {
        if let Ok(file) = File::open(journal) {
            let mut lines = BufReader::new(file).lines().map_while(Result::ok);
            if let Some(header) = lines.next().and_then(|text| serde_json::from_str(&text).ok()) {
                // A line that a killed process left half-written ends the list.
                let shards = lines.map_while(|text| serde_json::from_str(&text).ok()).collect();
                return Ok(Some(Self { header, shards }));
            }
        }
        match Manifest::read(out)? {
            Some(manifest) => {
                let files = manifest.all_files().map(|file| file.path.clone()).collect();
                let header = Header { version: manifest.version, making: manifest.making, files };
                Ok(Some(Self { header, shards: manifest.shards }))
            }
            None => Ok(None),
        }
    }

    /// Removes what the journal or manifest lists, and nothing else.
    fn remove(&self, out: &Path) -> Result<(), PrepError> {
        let listed = self.shards.iter().flat_map(|shard| &shard.files).map(|file| &file.path);
        let inside = |path: &&String| {
            Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
        };
        for path in listed.chain(&self.header.files).filter(inside) {
            let path = out.join(path);
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            match removed {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(PrepError::write(path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Header {
    /// The first difference between two descriptions, in words.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.version != other.version {
            return Some(format!("made by version {}, this is {}", self.version, other.version));
        }
        let (mut was, mut is) = (Vec::new(), Vec::new());
        flatten("", &self.making, &mut was);
        flatten("", &other.making, &mut is);
        let missing = || "nothing".to_owned();
        let find = |list: &[(String, String)], key: &str| {
            list.iter().find(|(k, _)| k == key).map_or_else(missing, |(_, value)| value.clone())
        };
        let keys = was.iter().chain(&is).map(|(key, _)| key);
        keys.into_iter()
            .find(|key| find(&was, key) != find(&is, key))
            .map(|key| format!("`{key}` was {}, now it is {}", find(&was, key), find(&is, key)))
    }
}

/// `{"select": {"seed": 1}}` as `select.seed`, `1`.
fn flatten(prefix: &str, value: &serde_json::Value, into: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, into);
            }
        }
        value => into.push((prefix.to_owned(), value.to_string())),
    }
}
