//! Models by name: from a folder, from the cache that the tools of Hugging Face share, or fetched
//! into it.
//!
//! ```text
//! NAME[@REVISION] ──▶ <cache>/models--ORG--NAME/
//!     refs/REVISION        the commit that a branch or tag stood at
//!     blobs/ETAG           the files, by hash; ETAG.incomplete while one is fetched
//!     snapshots/COMMIT/    the files by name, links to blobs
//! ```
//!
//! Settings are those of huggingface_hub: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`,
//! `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`
//! (<https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables>). The crate
//! hf-hub was looked at: 0.5, with ureq, neither checks hashes nor knows offline mode; 1.0 brings
//! tokio, reqwest and a storage client for what are a dozen requests.

mod blob;
mod error;
mod http;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;

use super::{Checkpoint, Index, SINGLE};
use blob::Blob;
pub use error::HubError;
use http::Ask;

/// A hub and the cache of what came from it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Scheme and host, without a slash at the end.
    pub endpoint: String,
    /// The folder of `models--ORG--NAME` folders.
    pub cache: PathBuf,
    /// Who asks; goes to the endpoint's own host only.
    pub token: Option<String>,
    /// Whether it may be asked at all.
    pub network: Network,
    /// How often to try.
    pub patience: Patience,
    agent: Agent,
}

/// Whether the hub may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Where the cache does not suffice.
    Online,
    /// Never: `HF_HUB_OFFLINE=1`.
    Offline,
}

/// When a request has failed, and how often it is made again. Attempts that brought bytes do not
/// count.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in all.
    pub attempts: u32,
    /// Before the second; twice as long before each further one.
    pub wait: Duration,
    /// Without a byte for so long, a connection is given up and taken up again.
    pub stall: Duration,
}

/// What suffices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Whatever the cache has whole.
    Cached,
    /// What the hub has now.
    Latest,
}

/// How far fetching is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that is being fetched.
    pub file: &'a str,
    /// Bytes of the model on disk.
    pub done: u64,
    /// Bytes of the model.
    pub total: u64,
}

/// `ORG/NAME[@REVISION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `ORG/NAME`, or a bare `NAME` as the oldest models have.
    pub model: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl Name {
    /// Reads a name; none where the text cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (model, revision) = text.split_once('@').unwrap_or((text, "main"));
        let parts: Vec<&str> = model.split('/').collect();
        let is_part = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            part.bytes().all(plain) && part.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        let is_model = parts.len() <= 2 && parts.iter().all(|part| is_part(part));
        let is_revision = revision.split('/').all(is_part);
        let (model, revision) = (model.to_owned(), revision.to_owned());
        (is_model && is_revision).then_some(Self { model, revision })
    }
}

#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub {
    /// The hub and cache that environment variables ask for; `variable` looks one up.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let text = |name: &str| variable(name)?.into_string().ok().filter(|v| !v.is_empty());
        let user = || path("HOME").or_else(|| path("USERPROFILE")).unwrap_or_default();
        let caches = || path("XDG_CACHE_HOME").unwrap_or_else(|| user().join(".cache"));
        let home = path("HF_HOME").unwrap_or_else(|| caches().join("huggingface"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = text("HF_TOKEN").or_else(|| fs::read_to_string(token_file).ok());
        let offline = text("HF_HUB_OFFLINE").map(|value| value.to_uppercase());
        let is_offline = offline.is_some_and(|v| ["1", "ON", "YES", "TRUE"].contains(&v.as_str()));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            network: if is_offline { Network::Offline } else { Network::Online },
            patience: Patience {
                attempts: 5,
                wait: Duration::from_secs(1),
                stall: Duration::from_secs(60),
            },
            agent: http::agent(),
        }
    }

    /// The folder (or file) that a path or a name stands for. A path that exists wins; then what the
    /// cache has whole; then the hub is asked.
    ///
    /// # Errors
    /// Neither a path nor a name; not in the cache and offline; refused, unreachable, not what was
    /// promised; or without weights that are read.
    pub fn resolve(
        &self,
        name: &str,
        freshness: Freshness,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<PathBuf, HubError> {
        if Path::new(name).exists() {
            return Ok(PathBuf::from(name));
        }
        let parsed = Name::parse(name).ok_or_else(|| HubError::NotAName(name.to_owned()))?;
        let may_ask = self.network == Network::Online;
        if (freshness == Freshness::Cached || !may_ask)
            && let Some(snapshot) = self.cached(&parsed)
        {
            return Ok(snapshot);
        }
        match may_ask {
            true => self.download(&parsed, progress),
            false => Err(HubError::Offline { name: name.to_owned(), cache: self.cache.clone() }),
        }
    }

    fn folder(&self, name: &Name) -> PathBuf {
        self.cache.join(format!("models--{}", name.model.replace('/', "--")))
    }

    /// The snapshot of a revision, if its configuration and all its weights are there; models of
    /// `torch.save` may have none. (Weights are fetched last, so that the rest is there with them.)
    fn cached(&self, name: &Name) -> Option<PathBuf> {
        let folder = self.folder(name);
        let commit = fs::read_to_string(folder.join("refs").join(&name.revision));
        let commit = commit.unwrap_or_else(|_| name.revision.clone());
        let snapshot = folder.join("snapshots").join(commit.trim());
        let (.., weights) = Checkpoint::files(&snapshot).ok()?;
        let is_torch =
            |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(super::is_torch);
        let is_configured = snapshot.join("config.json").exists() || weights.iter().all(is_torch);
        (is_configured && weights.iter().all(|f| f.exists())).then_some(snapshot)
    }

    /// Fetches what is missing of a revision.
    fn download(&self, name: &Name, progress: &dyn Fn(Progress<'_>)) -> Result<PathBuf, HubError> {
        let listing = self.listing(name)?;
        let folder = self.folder(name);
        let snapshot = folder.join("snapshots").join(&listing.sha);
        let files: BTreeSet<&str> = listing.siblings.iter().map(|s| s.rfilename.as_str()).collect();
        let small: Vec<&str> = files.iter().copied().filter(|file| is_small(file)).collect();
        self.fetch_all(name, &listing.sha, &small, progress)?;
        // The order is that of `Checkpoint::open`.
        let mut torch = files.iter().filter(|file| !file.contains('/') && super::is_torch(file));
        let weights: Vec<String> = if files.contains(SINGLE) {
            vec![SINGLE.to_owned()]
        } else if files.contains(super::INDEX) {
            Index::read(&snapshot)?.files().into_iter().map(str::to_owned).collect()
        } else if let (Some(file), None) = (torch.next(), torch.next()) {
            vec![(*file).to_owned()]
        } else {
            return Err(no_weights(&name.model, &files).into());
        };
        let weights: Vec<&str> = weights.iter().map(String::as_str).collect();
        self.fetch_all(name, &listing.sha, &weights, progress)?;
        if listing.sha != name.revision {
            let reference = folder.join("refs").join(&name.revision);
            create_parent(&reference)?;
            replace(&reference, |new| fs::write(new, &listing.sha))?;
        }
        Ok(snapshot)
    }

    /// The commit that a revision stands at, and its files.
    fn listing(&self, name: &Name) -> Result<Listing, HubError> {
        let revision = name.revision.replace('/', "%2F");
        let url = format!("{}/api/models/{}/revision/{revision}", self.endpoint, name.model);
        let mut response = self.patiently(|| self.ask(&url, Ask::From(0)))?;
        let strange = |what: String| HubError::Answer { url: url.clone(), what };
        let text = response.body_mut().read_to_string().map_err(|e| strange(e.to_string()))?;
        let listing: Listing =
            serde_json::from_str(&text).map_err(|e| strange(format!("no list of files ({e})")))?;
        // It becomes the name of a folder.
        let is_commit =
            !listing.sha.is_empty() && listing.sha.bytes().all(|b| b.is_ascii_hexdigit());
        if is_commit { Ok(listing) } else { Err(strange("no commit".to_owned())) }
    }

    /// Fetches files of a commit and links them into its snapshot.
    fn fetch_all(
        &self,
        name: &Name,
        commit: &str,
        files: &[&str],
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<(), HubError> {
        let folder = self.folder(name);
        let snapshot = folder.join("snapshots").join(commit);
        let blobs = folder.join("blobs");
        let locks = self.cache.join(".locks").join(folder.file_name().unwrap_or_default());
        for folder in [&snapshot, &blobs, &locks] {
            fs::create_dir_all(folder).map_err(HubError::io(folder))?;
        }
        let url = |file: &&str| format!("{}/{}/resolve/{commit}/{file}", self.endpoint, name.model);
        let found: Result<Vec<Blob>, HubError> =
            files.iter().map(|file| self.describe(url(file))).collect();
        let found = found?;
        let total = found.iter().map(|blob| blob.size).sum();
        let done = Cell::new(0);
        for (file, blob) in files.iter().zip(&found) {
            let path = blobs.join(&blob.etag);
            let lock = locks.join(format!("{}.lock", blob.etag));
            self.fetch(blob, &path, &lock, &|have| {
                progress(Progress { file, done: done.get() + have, total });
            })?;
            done.set(done.get() + blob.size);
            progress(Progress { file, done: done.get(), total });
            link(&blobs, &blob.etag, &snapshot.join(file))?;
        }
        Ok(())
    }
}

/// Configuration, tokenizer, template: everything at the top that is text.
fn is_small(file: &str) -> bool {
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    !file.contains(['/', '\\'])
        && extension.is_some_and(|e| ["json", "jinja", "txt", "yaml"].contains(&e))
}

fn no_weights(model: &str, files: &BTreeSet<&str>) -> super::Error {
    let found = files.iter().filter(|file| super::is_weights(file));
    let found = found.map(|file| (*file).to_owned()).collect();
    super::Error::new(model, super::ErrorKind::no_weights(found))
}

fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(parent).map_err(HubError::io(parent))
}

/// The file of a snapshot: a link to the blob, or a copy where there are no links.
fn link(blobs: &Path, etag: &str, file: &Path) -> Result<(), HubError> {
    if file.exists() {
        return Ok(());
    }
    replace(file, |new| {
        #[cfg(unix)]
        if std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), new).is_ok() {
            return Ok(());
        }
        fs::copy(blobs.join(etag), new).map(drop)
    })
}

/// Puts what `write` makes under a name of its own at `path`, at once: others who use this cache see
/// the file whole or not at all, and nothing is written through a link of theirs into its blob.
fn replace(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), HubError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}-{number}", std::process::id()));
    let new = PathBuf::from(new);
    // A process of that number that was killed may have left one.
    let _ = fs::remove_file(&new);
    write(&new).and_then(|()| fs::rename(&new, path)).map_err(HubError::io(path))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn many_who_link_one_blob_leave_it_whole() {
        let cache = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (cache.path().join("blobs"), cache.path().join("snapshots/c"));
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(blobs.join("e"), "whole").unwrap();
        for round in 0..100 {
            let (file, barrier) = (snapshot.join(round.to_string()), Barrier::new(4));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        barrier.wait();
                        link(&blobs, "e", &file).unwrap();
                        assert_eq!(fs::read_to_string(&file).unwrap(), "whole");
                    });
                }
            });
        }
        assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 100, "only the files themselves");
    }
}
