//! The hub client against servers on the loopback address: one that is the hub, one that keeps the
//! files.
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use segzero_model::checkpoint::hub::{Freshness, Hub, HubError, Name, Network, Patience};
use segzero_model::checkpoint::random::{self, Form};
use segzero_model::checkpoint::{Checkpoint, Dtype};
use segzero_test_support::server::{self, Reply, Request, Server};
use sha1::Sha1;
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

type Files = BTreeMap<String, Vec<u8>>;

/// A small model in two shards, with what lies beside weights on the hub.
fn model() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let list = ["a.weight", "b.weight"].map(|name| (name.to_owned(), vec![100, 300]));
    let form = Form { dtype: Dtype::F32, shard_bytes: 120_000, ..Form::default() };
    random::write(folder.path(), &list, &form, &[]).unwrap();
    let mut files = Files::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        files.insert(name(&path), fs::read(&path).unwrap());
    }
    let others = ["config.json", "tokenizer.json", "chat_template.jinja", "merges.txt"];
    let unread = ["pytorch_model.bin", "onnx/config.json", "README.md"];
    for other in others.into_iter().chain(unread) {
        files.insert(other.to_owned(), format!("{{\"file\": \"{other}\"}}").into_bytes());
    }
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listing(files: &Files) -> Reply {
    let siblings: Vec<_> =
        files.keys().map(|file| serde_json::json!({ "rfilename": file })).collect();
    let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string();
    Reply { status: 200, body: body.into_bytes(), ..Reply::default() }
}

/// Bytes from the asked-for offset on.
fn content(request: &Request, body: &[u8]) -> Reply {
    let Some(range) = request.header("range") else {
        return Reply { status: 200, body: body.to_vec(), ..Reply::default() };
    };
    let first: usize = range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
    let range = format!("bytes {first}-{}/{}", body.len() - 1, body.len());
    let headers = vec![("content-range", range)];
    Reply { status: 206, headers, body: body[first..].to_vec(), ..Reply::default() }
}

/// What the hub answers: small files itself, weights by sending on to `storage`.
fn hub(request: &Request, files: &Files, storage: &str) -> Reply {
    if request.path == "/api/models/org/tiny/revision/main" {
        return listing(files);
    }
    let prefix = format!("/org/tiny/resolve/{COMMIT}/");
    let Some(file) = request.path.strip_prefix(&prefix).filter(|file| files.contains_key(*file))
    else {
        return Reply { status: 404, ..Reply::default() };
    };
    let body = &files[file];
    if file.ends_with(".safetensors") || file.ends_with(".pt") {
        let headers = vec![
            ("x-linked-etag", format!("\"{}\"", hex(&Sha256::digest(body)))),
            ("x-linked-size", body.len().to_string()),
            ("location", format!("{storage}/{file}")),
        ];
        return Reply { status: 302, headers, ..Reply::default() };
    }
    let git = Sha1::new_with_prefix(format!("blob {}\0", body.len())).chain_update(body);
    let mut reply = content(request, body);
    reply.headers.push(("etag", format!("W/\"{}\"", hex(&git.finalize()))));
    reply
}

/// The hub, its storage, and a client with an empty cache that does not wait.
fn world(files: Files) -> (Server, Server, Hub, tempfile::TempDir) {
    world_with(files, content)
}

fn world_with(
    files: Files,
    storage: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static,
) -> (Server, Server, Hub, tempfile::TempDir) {
    let stored = files.clone();
    let storage = Server::start(move |request| storage(request, &stored[request.file()]));
    let at = storage.url.clone();
    let server = Server::start(move |request| hub(request, &files, &at));
    let (client, cache) = client(&server.url);
    (server, storage, client, cache)
}

fn client(endpoint: &str) -> (Hub, tempfile::TempDir) {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = Hub::new(|variable| match variable {
        "HF_ENDPOINT" => Some(format!("{endpoint}/").into()),
        "HF_HOME" => Some(cache.path().into()),
        "HF_TOKEN" => Some("secret".into()),
        _ => None,
    });
    let (wait, stall) = (Duration::from_millis(1), Duration::from_secs(20));
    hub.patience = Patience { attempts: 3, wait, stall };
    (hub, cache)
}

fn resolve(hub: &Hub, name: &str) -> Result<std::path::PathBuf, HubError> {
    hub.resolve(name, Freshness::Cached, &|_| {})
}

fn check_whole(folder: &Path, files: &Files) {
    assert_eq!(Checkpoint::open(folder).unwrap().entries().len(), 2);
    let mut found: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| name(&file.unwrap().path())).collect();
    found.sort();
    assert_eq!(found.len(), 7, "{found:?}");
    for file in &found {
        assert_eq!(fs::read(folder.join(file)).unwrap(), files[file], "{file}");
    }
}

#[test]
fn a_model_is_fetched_once_into_the_cache_that_others_share() {
    let files = model();
    let (server, storage, hub, home) = world(files.clone());
    let seen = RefCell::new(Vec::new());
    let folder = hub
        .resolve("org/tiny", Freshness::Cached, &|p| seen.borrow_mut().push((p.done, p.total)))
        .unwrap();
    check_whole(&folder, &files);
    let model = home.path().join("hub/models--org--tiny");
    assert_eq!(folder, model.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    let shard = "model-00001-of-00002.safetensors";
    let link = fs::read_link(folder.join(shard)).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(hex(&Sha256::digest(&files[shard]))));
    let seen = seen.into_inner();
    assert!(seen.iter().all(|(done, total)| done <= total));
    assert_eq!(seen.last().map(|(done, total)| done == total), Some(true));

    // The token goes to the hub and to nobody else.
    assert!(server.requests().iter().all(|r| r.header("authorization") == Some("Bearer secret")));
    assert_eq!(storage.requests().len(), 2);
    assert!(storage.requests().iter().all(|r| r.header("authorization").is_none()));

    let before = server.requests().len();
    for name in ["org/tiny", "org/tiny@main", &format!("org/tiny@{COMMIT}")] {
        assert_eq!(resolve(&hub, name).unwrap(), folder);
    }
    assert_eq!(server.requests().len(), before, "the cache suffices");
    let mut offline = hub.clone();
    offline.network = Network::Offline;
    assert_eq!(offline.resolve("org/tiny", Freshness::Latest, &|_| {}).unwrap(), folder);
    assert_eq!(server.requests().len(), before, "offline is offline");

    // Asked for the latest, the hub is asked, and nothing is fetched again.
    assert_eq!(hub.resolve("org/tiny", Freshness::Latest, &|_| {}).unwrap(), folder);
    assert_eq!(server.count("GET", "config.json"), 1);
    assert_eq!(storage.requests().len(), 2);
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let files = model();
    let (_server, storage, hub, _home) = world_with(files.clone(), |request, body| {
        let mut reply = content(request, body);
        reply.cut = (reply.body.len() > 40_000).then_some(40_000);
        reply
    });
    check_whole(&resolve(&hub, "org/tiny").unwrap(), &files);
    let ranges: Vec<Option<String>> =
        storage.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    let expected = [None, Some("bytes=40000-"), Some("bytes=80000-"), Some("bytes=120000-")];
    let expected: Vec<Option<String>> =
        expected.iter().cycle().take(8).map(|range| range.map(str::to_owned)).collect();
    assert_eq!(ranges, expected, "more attempts than patience, since each brought something");
}

#[test]
fn a_connection_that_stands_still_is_given_up() {
    let files = model();
    let first = Mutex::new(true);
    let (_server, storage, mut hub, _home) = world_with(files.clone(), move |request, body| {
        let mut reply = content(request, body);
        reply.stalls = std::mem::take(&mut *first.lock().unwrap());
        reply.cut = reply.stalls.then_some(30_000);
        reply
    });
    hub.patience.stall = Duration::from_millis(200);
    check_whole(&resolve(&hub, "org/tiny").unwrap(), &files);
    assert_eq!(storage.requests()[1].header("range"), Some("bytes=30000-"));
}

#[test]
fn what_an_earlier_run_left_is_kept() {
    let files = model();
    let (_server, storage, hub, _home) = world(files.clone());
    let blobs = hub.cache.join("models--org--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let [first, second] = shards.map(|file| hex(&Sha256::digest(&files[file])));
    fs::write(blobs.join(format!("{first}.incomplete")), &files[shards[0]][..70_000]).unwrap();
    // A beginning of something else: the hash tells, and it is fetched from the start.
    fs::write(blobs.join(format!("{second}.incomplete")), vec![7; 70_000]).unwrap();
    check_whole(&resolve(&hub, "org/tiny").unwrap(), &files);
    let ranges: Vec<Option<String>> =
        storage.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    let from = || Some("bytes=70000-".to_owned());
    assert_eq!(ranges, [from(), from(), None]);
    assert!(!blobs.join(format!("{second}.incomplete")).exists());
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let files = model();
    let broken = Mutex::new(true);
    let (_server, _storage, hub, _home) = world_with(files.clone(), move |_, body| {
        let cut = std::mem::take(&mut *broken.lock().unwrap()).then_some(50_000);
        Reply { status: 200, body: body.to_vec(), cut, ..Reply::default() }
    });
    check_whole(&resolve(&hub, "org/tiny").unwrap(), &files);
}

#[test]
fn bytes_that_were_changed_on_the_way_are_refused() {
    let (_server, storage, hub, _home) = world_with(model(), |request, body| {
        let mut body = body.to_vec();
        body[90_000] ^= 1;
        content(request, &body)
    });
    let error = resolve(&hub, "org/tiny").unwrap_err();
    assert!(matches!(error, HubError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("model-00001-of-00002.safetensors` sent has hash"));
    assert_eq!(storage.requests().len(), 1, "not tried again: it would be the same");
    let blobs = hub.cache.join("models--org--tiny/blobs");
    let left = fs::read_dir(blobs).unwrap().map(|file| name(&file.unwrap().path()));
    assert!(left.into_iter().all(|file| file.len() == 40), "only the small files are kept");
    let mut offline = hub;
    offline.network = Network::Offline;
    assert!(resolve(&offline, "org/tiny").is_err(), "what lacks weights is not in the cache");
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let files = model();
    let busy = Mutex::new(2);
    let (_server, storage, hub, _home) = world_with(files.clone(), move |request, body| {
        let mut busy = busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            return Reply { status: 503, ..Reply::default() };
        }
        content(request, body)
    });
    check_whole(&resolve(&hub, "org/tiny").unwrap(), &files);
    assert_eq!(storage.requests().len(), 4);
}

#[test]
fn refusals_say_what_to_do() {
    for (status, attempts, hint) in
        [(401, 1, "HF_TOKEN"), (403, 1, "HF_TOKEN"), (404, 1, "revision"), (500, 3, "later")]
    {
        let headers = vec![("x-error-message", "Repository not found".to_owned())];
        let server =
            Server::start(move |_| Reply { status, headers: headers.clone(), ..Reply::default() });
        let (hub, _home) = client(&server.url);
        let error = resolve(&hub, "org/secret@v1.0").unwrap_err();
        let url = format!("`{}/api/models/org/secret/revision/v1.0`", server.url);
        assert_eq!(error.to_string(), format!("{url} answered {status}: Repository not found"));
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(server.requests().len(), attempts);
    }
}

#[test]
fn what_is_no_hub_is_said_to_be_none() {
    let page = Server::start(|_| Reply {
        status: 200,
        body: b"<html>Sign in".to_vec(),
        ..Reply::default()
    });
    let (hub, _home) = client(&page.url);
    let error = resolve(&hub, "org/tiny").unwrap_err();
    assert!(error.to_string().contains("did not answer as a hub does"), "{error}");
    assert!(error.hint().unwrap().contains("HF_ENDPOINT"));

    let circle = Server::start(|_| Reply {
        status: 302,
        headers: vec![("location", "/again".to_owned())],
        ..Reply::default()
    });
    let (hub, _home) = client(&circle.url);
    assert!(resolve(&hub, "org/tiny").unwrap_err().to_string().contains("more than 10 redirects"));

    let nobody = server::nobody();
    let (hub, _home) = client(&nobody);
    let error = resolve(&hub, "org/tiny").unwrap_err();
    assert!(error.to_string().starts_with(&format!("could not reach `{nobody}/api/")), "{error}");
    assert!(error.hint().unwrap().contains("HF_HUB_OFFLINE"));
}

#[test]
fn a_model_without_safetensors_says_what_it_has() {
    let mut files = model();
    files.retain(|file, _| !file.contains("safetensors") && !file.ends_with(".bin"));
    files.insert("model.gguf".to_owned(), Vec::new());
    let (_server, _storage, hub, _home) = world(files);
    let error = resolve(&hub, "org/tiny").unwrap_err();
    assert!(error.to_string().ends_with("here, only model.gguf"), "{error}");
    assert!(error.hint().unwrap().contains("safe_serialization"));
}

/// What `torch.save` writes, with the files beside it in Meta's repositories.
fn metas() -> Files {
    let fixture = |name: &str| {
        segzero_test_support::fixture(env!("CARGO_MANIFEST_DIR"), &format!("torch/{name}"))
    };
    let mut files = Files::new();
    files.insert("sam2_hiera_tiny.pt".to_owned(), fs::read(fixture("model.pt")).unwrap());
    files.insert("sam2_hiera_t.yaml".to_owned(), b"model:\n".to_vec());
    files.insert("README.md".to_owned(), b"# SAM 2\n".to_vec());
    files.insert("old/other.pt".to_owned(), b"not at the top".to_vec());
    files
}

#[test]
fn a_model_of_torch_is_fetched_where_there_are_no_safetensors() {
    let (server, storage, hub, _home) = world(metas());
    let folder = resolve(&hub, "org/tiny").unwrap();
    let mut found: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|file| name(&file.unwrap().path())).collect();
    found.sort();
    assert_eq!(found, ["sam2_hiera_t.yaml", "sam2_hiera_tiny.pt"]);
    assert_eq!(Checkpoint::open(&folder).unwrap().entries().len(), 10);
    let before = server.requests().len();
    assert_eq!(resolve(&hub, "org/tiny").unwrap(), folder);
    assert_eq!((server.requests().len(), storage.requests().len()), (before, 1), "in the cache");

    // Safetensors go first, and then the other form is not fetched.
    let mut both = metas();
    both.extend(model().into_iter().filter(|(file, _)| !file.ends_with(".bin")));
    let (_server, storage, hub, _home) = world(both);
    let folder = resolve(&hub, "org/tiny").unwrap();
    assert_eq!(Checkpoint::open(&folder).unwrap().entries().len(), 2);
    assert!(!folder.join("sam2_hiera_tiny.pt").exists());
    assert!(storage.requests().iter().all(|request| request.file().ends_with(".safetensors")));

    // Which of several is meant cannot be known.
    let mut several = metas();
    several.insert("sam2_hiera_small.pt".to_owned(), Vec::new());
    let (_server, _storage, hub, _home) = world(several);
    let error = resolve(&hub, "org/tiny").unwrap_err().to_string();
    assert!(
        error.contains("only old/other.pt, sam2_hiera_small.pt, sam2_hiera_tiny.pt"),
        "{error}"
    );
}

#[test]
fn offline_names_the_cache_and_paths_win_over_names() {
    let (mut hub, home) = client("http://127.0.0.1:1");
    hub.network = Network::Offline;
    let error = resolve(&hub, "org/tiny").unwrap_err();
    assert!(error.to_string().contains(&*home.path().join("hub").to_string_lossy()), "{error}");
    assert!(error.hint().unwrap().contains("HF_HUB_OFFLINE"));
    for odd in ["./absent", "/absent/model", "a/b/c", "~/model", "org/..", "a b", "org/x@../y", ""]
    {
        let error = resolve(&hub, odd).unwrap_err();
        assert!(matches!(error, HubError::NotAName(_)), "{odd}: {error}");
    }
    let path = home.path().to_str().unwrap();
    assert_eq!(resolve(&hub, path).unwrap(), home.path());
}

#[test]
fn two_at_once_fetch_each_file_once() {
    let files = model();
    let (server, storage, hub, _home) = world_with(files.clone(), |request, body| {
        // Long enough that the other must wait; the outcome does not depend on it.
        std::thread::sleep(Duration::from_millis(50));
        content(request, body)
    });
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| resolve(&hub, "org/tiny").unwrap()));
        both.into_iter().for_each(|one| check_whole(&one.join().unwrap(), &files));
    });
    assert_eq!(storage.requests().len(), 2);
    assert_eq!(server.count("GET", "tokenizer.json"), 1);
}

#[test]
fn settings_come_from_the_variables_that_others_use() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".cache/huggingface")).unwrap();
    fs::write(home.path().join(".cache/huggingface/token"), "from-file\n").unwrap();
    let hub = |set: &[(&str, &str)]| {
        let set: BTreeMap<String, String> =
            set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Hub::new(|name| match name {
            "HOME" => Some(home.path().into()),
            name => set.get(name).map(Into::into),
        })
    };
    let default = hub(&[]);
    assert_eq!(default.endpoint, "https://huggingface.co");
    assert_eq!(default.cache, home.path().join(".cache/huggingface/hub"));
    assert_eq!(default.token.as_deref(), Some("from-file"));
    assert_eq!(default.network, Network::Online);
    assert_eq!(hub(&[("XDG_CACHE_HOME", "/x")]).cache, Path::new("/x/huggingface/hub"));
    assert_eq!(hub(&[("HF_HOME", "/h")]).cache, Path::new("/h/hub"));
    assert_eq!(hub(&[("HF_HOME", "/h")]).token, None);
    assert_eq!(hub(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
    assert_eq!(hub(&[("HF_TOKEN", " t ")]).token.as_deref(), Some("t"));
    let file = home.path().join(".cache/huggingface/token");
    let file = file.to_str().unwrap();
    let elsewhere = hub(&[("HF_HOME", "/h"), ("HF_TOKEN_PATH", file)]);
    assert_eq!(elsewhere.token.as_deref(), Some("from-file"));
    for (value, network) in [("1", Network::Offline), ("true", Network::Offline)] {
        assert_eq!(hub(&[("HF_HUB_OFFLINE", value)]).network, network);
    }
    assert_eq!(hub(&[("HF_HUB_OFFLINE", "0")]).network, Network::Online);
}

#[test]
fn names_have_a_revision() {
    let name = |model: &str, revision: &str| {
        Some(Name { model: model.to_owned(), revision: revision.to_owned() })
    };
    assert_eq!(
        Name::parse("Qwen/Qwen2.5-VL-3B-Instruct"),
        name("Qwen/Qwen2.5-VL-3B-Instruct", "main")
    );
    assert_eq!(Name::parse("org/model@refs/pr/1"), name("org/model", "refs/pr/1"));
    assert_eq!(Name::parse("gpt2@v1"), name("gpt2", "v1"));
    assert_eq!(Name::parse("org/model@"), None);
    assert_eq!(Name::parse("-x/model"), None);
}
