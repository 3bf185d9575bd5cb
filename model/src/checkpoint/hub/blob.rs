//! One file of a model: fetched from where the last attempt stopped, its hash checked, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use ureq::http::StatusCode;

use super::http::Ask;
use super::{Hub, HubError};
use crate::http::text;

/// What the hub says a file is.
pub(super) struct Blob {
    /// Where it is asked for.
    pub url: String,
    /// Its name in the cache: SHA-256 of a large file, else the object's name in git.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

impl Hub {
    /// Asks what a file is.
    pub(super) fn describe(&self, url: String) -> Result<Blob, HubError> {
        let response = self.patiently(|| self.ask(&url, Ask::Head))?;
        let header = |names: [&str; 2]| names.iter().find_map(|n| text(response.headers(), n));
        let etag = header(["x-linked-etag", "etag"]).unwrap_or_default();
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        let size = header(["x-linked-size", "content-length"]).and_then(|n| n.parse().ok());
        // It becomes the name of a file.
        let is_name =
            !etag.is_empty() && etag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match size {
            Some(size) if is_name => Ok(Blob { url, etag, size }),
            _ => {
                let what = "no ETag or no length of the file in its headers".to_owned();
                Err(HubError::Answer { url, what })
            }
        }
    }

    /// Fetches a file to `path` unless it is there. `received` is told of the bytes on disk so far.
    pub(super) fn fetch(
        &self,
        blob: &Blob,
        path: &Path,
        lock: &Path,
        received: &dyn Fn(u64),
    ) -> Result<(), HubError> {
        // Held until it is dropped; other programs that use this cache take the same one.
        let held = File::create(lock).map_err(HubError::io(lock))?;
        held.lock().map_err(HubError::io(lock))?;
        if path.exists() {
            return Ok(());
        }
        let incomplete = path.with_extension("incomplete");
        let resumed = length(&incomplete) > 0;
        let result = self.fetch_checked(blob, &incomplete, received);
        if resumed && matches!(result, Err(HubError::Corrupt { .. })) {
            // The beginning was of something else, perhaps; once from the start.
            self.fetch_checked(blob, &incomplete, received)?;
        } else {
            result?;
        }
        fs::rename(&incomplete, path).map_err(HubError::io(path))
    }

    fn fetch_checked(
        &self,
        blob: &Blob,
        incomplete: &Path,
        received: &dyn Fn(u64),
    ) -> Result<(), HubError> {
        // Attempts are counted from the last one that brought something.
        let mut failures = 0;
        loop {
            let before = length(incomplete);
            match self.append(blob, incomplete, received) {
                Err(e) if e.is_transient() => {
                    failures = if length(incomplete) > before { 1 } else { failures + 1 };
                    if failures >= self.patience.attempts {
                        return Err(e);
                    }
                    std::thread::sleep(self.patience.wait * (1 << (failures - 1)));
                }
                Err(e) => return Err(e),
                Ok(()) => break,
            }
        }
        let found = hashes(incomplete, blob).map_err(HubError::io(incomplete))?;
        if found.is_empty() || found.contains(&blob.etag) {
            return Ok(());
        }
        fs::remove_file(incomplete).map_err(HubError::io(incomplete))?;
        let (url, expected) = (blob.url.clone(), blob.etag.clone());
        Err(HubError::Corrupt { url, expected, found: found.join(" or ") })
    }

    /// One request for what is still missing.
    fn append(
        &self,
        blob: &Blob,
        incomplete: &Path,
        received: &dyn Fn(u64),
    ) -> Result<(), HubError> {
        let io = || HubError::io(incomplete);
        let mut have = length(incomplete);
        if have == blob.size && incomplete.exists() {
            return Ok(());
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(incomplete).map_err(io())?;
        let restart = |have: &mut u64| {
            *have = 0;
            file.set_len(0).map_err(io())
        };
        if have > blob.size {
            restart(&mut have)?;
        }
        let response = match self.ask(&blob.url, Ask::From(have)) {
            Err(e @ HubError::Status { status: 416, .. }) => {
                restart(&mut have)?;
                return Err(e);
            }
            response => response?,
        };
        let range = text(response.headers(), "content-range").unwrap_or_default();
        let continues = response.status() == StatusCode::PARTIAL_CONTENT
            && range.starts_with(&format!("bytes {have}-"));
        if !continues {
            restart(&mut have)?;
        }
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 1 << 18];
        while have < blob.size {
            // A connection that fails has ended, as far as the file is concerned.
            let read = body.read(&mut buffer).unwrap_or_default();
            if read == 0 {
                let (url, expected) = (blob.url.clone(), blob.size);
                return Err(HubError::Interrupted { url, received: have, expected });
            }
            file.write_all(&buffer[..read]).map_err(io())?;
            have += read as u64;
            received(have);
        }
        Ok(())
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// What the file's etag may be: SHA-256 of a large file; of a small one its name in git, or SHA-1
/// behind some mirrors. Empty where the etag is of none of these forms.
fn hashes(path: &Path, blob: &Blob) -> std::io::Result<Vec<String>> {
    match blob.etag.len() {
        _ if !blob.etag.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Vec::new()),
        64 => Ok(vec![hash(path, Sha256::new())?]),
        40 => {
            let in_git = Sha1::new_with_prefix(format!("blob {}\0", blob.size));
            Ok(vec![hash(path, in_git)?, hash(path, Sha1::new())?])
        }
        _ => Ok(Vec::new()),
    }
}

fn hash(path: &Path, mut hasher: impl Digest + Write) -> std::io::Result<String> {
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
