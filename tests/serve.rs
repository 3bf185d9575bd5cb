//! `segzero serve`: its answers, what it refuses, and clients that wish it ill.
#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "common/browser.rs"]
mod browser;
mod common;
#[path = "common/server.rs"]
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use browser::Browser;
use common::folder::Folder;
use common::{assert_refused, models, segzero, text};
use serde_json::{Value, json};
use server::{Answer, Server};

const REPLY: &str = "<think>It lies on the left.</think>\n<answer>{\"bbox\": [100,80,501,680], \
                     \"points_1\": [201,400], \"points_2\": [300,440]}</answer>";

/// A folder with an image of 420x210 pixels, a recorded reply and a tiny SAM 2.
fn place() -> Folder {
    let folder = Folder::new();
    folder.image("a.png", 420, 210);
    folder.write("reply.txt", REPLY);
    fs::create_dir(folder.at("sam2")).unwrap();
    models::sam2(&folder.at("sam2"));
    folder
}

fn recorded(folder: &Folder, more: &[&str]) -> Server {
    let (reply, model) = (folder.path("reply.txt"), folder.path("sam2"));
    Server::start(&[&["--reply", &reply, "--segmenter", &model], more].concat())
}

/// A Qwen2.5-VL of random weights, which writes on and on and never an answer.
fn thinking(folder: &Folder, more: &[&str]) -> Server {
    fs::create_dir(folder.at("qwen")).unwrap();
    models::qwen_vl(&folder.at("qwen"));
    // No token ends a reply.
    fs::write(folder.at("qwen/generation_config.json"), "{}").unwrap();
    let (model, segmenter) = (folder.path("qwen"), folder.path("sam2"));
    let fixed = ["--reasoner", &model, "--segmenter", &segmenter, "--side", "56"];
    Server::start(&[&fixed, more].concat())
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

fn find<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().find(|event| event["event"] == kind).unwrap()
}

#[test]
fn answers_and_masks_are_those_of_the_other_commands() {
    let place = place();
    let server = recorded(&place, &[]);
    let file = fs::read(place.at("a.png")).unwrap();
    let uploaded = server.upload(&file).json();
    assert_eq!([&uploaded["width"], &uploaded["height"]], [420, 210]);
    let id = uploaded["id"].as_str().unwrap();
    let events = server.ask(id, &json!({"question": "the dog"}));
    let mut order = kinds(&events);
    order.retain(|kind| *kind != "queued");
    assert_eq!(order, ["started", "text", "answer", "mask"]);
    let answer = find(&events, "answer");
    assert_eq!(answer["thinking"], "It lies on the left.");
    let objects = json!([{"bbox": [50.0, 20.0, 250.5, 170.0], "points": [[100.5, 100.0], [150.0, 110.0]],
                          "background": []}]);
    assert_eq!(answer["objects"], objects);

    let (image, reply, model, out) =
        (place.path("a.png"), place.path("reply.txt"), place.path("sam2"), place.path("m.png"));
    let asked =
        ["segment", "the dog", "--image", &image, "--reply", &reply, "--json", "--out", &out];
    let said: Value =
        serde_json::from_slice(&segzero(asked.iter().chain(&["--segmenter", &model])).stdout)
            .unwrap();
    let mask = find(&events, "mask");
    assert_eq!(mask["counts"], said["counts"]);
    assert_eq!(mask["ious"], said["ious"]);
    // The same, drawn by hand, and as a file.
    let drawn = server.mask(id, objects).json();
    assert_eq!([&drawn["counts"], &drawn["size"]], [&said["counts"], &json!([210, 420])]);
    let png = server.post("/api/png", &json!({"size": [210, 420], "counts": said["counts"]}));
    assert_eq!(png.header("content-type"), Some("image/png"));
    assert_eq!(png.body, fs::read(&out).unwrap());
    // With a point beside the object, as `segzero mask` has it.
    let beside = json!([{"points": [[100, 100]], "background": [[300, 40]]}]);
    let asked =
        ["mask", "--model", &model, "--image", &image, "--point", "100,100", "--background"];
    let said = segzero(asked.iter().chain(&["300,40", "--json"])).stdout;
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(server.mask(id, beside).json()["counts"], said["counts"]);
    // The image as the models see it.
    let seen = server.get(&format!("/api/images/{id}"));
    let seen = segzero_prep::image::decode(&seen.body).unwrap();
    assert_eq!(seen, segzero_prep::image::decode(&file).unwrap());
}

#[test]
fn without_models_boxes_are_filled() {
    let place = place();
    let server = Server::start(&[]);
    let options = server.get("/api/options").json();
    assert_eq!([&options["reasoner"], &options["segmenter"]], [&json!("none"), &Value::Null]);
    let id = server.image(&fs::read(place.at("a.png")).unwrap());
    let mask = server.mask(&id, json!([{"bbox": [10, 20, 30, 40]}])).json();
    assert_eq!([&mask["area"], &mask["ious"]], [&json!(400), &json!([])]);
    let refused = server.post(&format!("/api/images/{id}/ask"), &json!({"question": "the dog"}));
    assert_eq!(refused.status, 400);
    assert!(refused.json()["hint"].as_str().unwrap().contains("--reasoner"));
}

#[test]
fn recorded_replies_are_found_by_the_image_name() {
    let place = place();
    let lines = format!("{}\n", json!({"key": "a", "text": REPLY}));
    let lines = place.write("replies.jsonl", lines);
    let server = Server::start(&["--reply", &lines]);
    let id = server.image(&fs::read(place.at("a.png")).unwrap());
    let events = server.ask(&id, &json!({"question": "", "key": "a"}));
    assert_eq!(find(&events, "mask")["area"], 201 * 150);
    let events = server.ask(&id, &json!({"question": "", "key": "b"}));
    let error = find(&events, "error").to_string();
    assert!(error.contains("no recorded reply") && !error.contains("replies.jsonl"), "{error}");
}

#[test]
fn a_reply_is_streamed_and_one_that_is_no_answer_is_said_to_be_none() {
    let place = place();
    let server = thinking(&place, &["--max-new-tokens", "12"]);
    let id = server.image(&fs::read(place.at("a.png")).unwrap());
    let events = server.ask(&id, &json!({"question": "the dog"}));
    let pieces: Vec<&str> = events.iter().filter_map(|event| event["text"].as_str()).collect();
    assert!(pieces.len() > 1, "{events:?}");
    let (image, model) = (place.path("a.png"), place.path("qwen"));
    let asked = ["segment", "the dog", "--image", &image, "--reasoner", &model, "--side", "56"];
    let output = segzero(asked.iter().chain(&["--max-new-tokens", "12"]));
    assert_eq!(pieces.concat().trim(), text(&output.stdout).trim());
    let error = events.last().unwrap();
    assert_eq!([&error["event"], &error["error"]], ["error", "the reply holds no answer"]);
    assert!(error["hint"].is_string());
}

/// The first lines of an answer to a question.
fn begin(server: &Server, id: &str, lines: usize) -> TcpStream {
    let mut stream = server.connect();
    let body = json!({"question": "the dog"}).to_string();
    let headers = [("Content-Type", "application/json")];
    let head = server.head("POST", &format!("/api/images/{id}/ask"), &headers, body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    let mut texts = 0;
    while texts < lines {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the answer ended");
        texts += usize::from(line.contains(r#""event":"text""#));
    }
    stream
}

/// Replies are so long that only who goes away makes room.
#[test]
fn who_goes_away_makes_room_for_others() {
    let place = place();
    let server = thinking(&place, &["--max-new-tokens", "20000", "--temperature", "1"]);
    let id = server.image(&fs::read(place.at("a.png")).unwrap());
    for _ in 0..3 {
        let stream = begin(&server, &id, 3);
        // A mask does not wait for the reply.
        assert_eq!(server.mask(&id, json!([{"points": [[5, 5]]}])).status, 200);
        drop(stream);
    }
    #[cfg(unix)]
    {
        let _writing = begin(&server, &id, 1);
        let _idle = server.connect();
        assert_eq!(server.interrupt(), Some(0), "an interrupted server ends well");
    }
}

#[test]
fn strangers_are_refused() {
    let place = place();
    let server = recorded(&place, &[]);
    let file = fs::read(place.at("a.png")).unwrap();
    let post = |headers: &[(&str, &str)]| server.send("POST", "/api/images", headers, &file).status;
    let png = ("Content-Type", "image/png");
    assert_eq!(post(&[png]), 201);
    assert_eq!(post(&[png, ("Origin", &server.origin)]), 201);
    assert_eq!(post(&[png, ("Origin", "http://evil.example")]), 403);
    assert_eq!(post(&[png, ("Host", "evil.example")]), 403);
    assert_eq!(post(&[png, ("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(post(&[("Content-Type", "text/plain")]), 415);
    assert_eq!(post(&[]), 415);
    // A page that a stranger's name leads to reads nothing either.
    assert_eq!(server.send("GET", "/api/options", &[("Host", "evil.example")], b"").status, 403);
    let asked = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")];
    let preflight = server.send("OPTIONS", "/api/images", &asked, b"");
    assert_eq!(preflight.status, 403);
    for answer in [preflight, server.get("/"), server.get("/api/options"), server.get("/none")] {
        assert!(!answer.head.contains("access-control-"), "{}", answer.head);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    assert_eq!(server.get("/api/options").header("cache-control"), Some("no-store"));
}

/// A PNG of so many pixels, by its header.
fn claimed(width: u32, height: u32) -> Vec<u8> {
    let mut png = segzero_prep::image::encode_png(
        &common::folder::picture(4, 4),
        segzero_prep::image::PngEffort::Fast,
    )
    .unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = check_sum(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    png
}

/// CRC-32 as PNG has it.
fn check_sum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[test]
fn what_is_sent_is_bounded_and_errors_name_nothing_of_the_machine() {
    let place = place();
    let server = recorded(&place, &[]);
    let id = server.image(&fs::read(place.at("a.png")).unwrap());
    let png = [("Content-Type", "image/png")];
    let (ask, mask) = (format!("/api/images/{id}/ask"), format!("/api/images/{id}/mask"));
    let words = |body: &str| {
        server.send("POST", &mask, &[("Content-Type", "application/json")], body.as_bytes())
    };
    let cases: [(u16, Answer); 16] = [
        (422, server.upload(b"GIF89a is not read")),
        (422, server.upload(b"")),
        (422, server.upload(&claimed(60_000, 60_000))),
        (422, server.upload(&claimed(5_000, 5_000))),
        (413, server.send("POST", "/api/images", &png, &vec![0; (32 << 20) + 1])),
        (413, words(&" ".repeat((64 << 10) + 1))),
        (400, words("{")),
        (400, words(r#"{"objects": [{"points": [[1e999, 0]]}]}"#)),
        (400, words(r#"{"objects": [{}]}"#)),
        (410, server.mask("0123456789abcdef0123456789abcdef", json!([{"points": [[1, 1]]}]))),
        (400, server.post(&ask, &json!({"question": "x".repeat(4001)}))),
        (400, server.post("/api/png", &json!({"size": [100_000, 100_000], "counts": "0"}))),
        (400, server.post("/api/png", &json!({"size": [2, 2], "counts": "zzz"}))),
        (405, server.get("/api/images")),
        (405, server.send("DELETE", "/api/options", &[], b"")),
        (404, server.get("/../../Cargo.toml")),
    ];
    for (status, answer) in cases {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let said = answer.json();
        assert!(!said["error"].as_str().unwrap().is_empty());
        let said = said.to_string();
        let root = place.root().to_str().unwrap();
        assert!(!said.contains(root) && !said.contains("/home") && !said.contains(".rs"), "{said}");
    }
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let place = place();
    let server = Server::start(&[]);
    let port = server.host.rsplit(':').next().unwrap();
    assert_refused(&segzero(["serve", "--port", port]), &["could not listen", port]);
    let none = place.path("none");
    assert_refused(&segzero(["serve", "--port", "0", "--segmenter", &none]), &["none"]);
}

/// Ways to be a bad client: what is sent, and whether the connection is then cut by the client.
fn bad_clients(server: &Server, id: &str) -> Vec<(Vec<u8>, bool, Option<u16>)> {
    let png = [("Content-Type", "image/png")];
    let json = [("Content-Type", "application/json")];
    let head = |method: &str, path: &str, headers: &[(&str, &str)], length: usize| {
        server.head(method, path, headers, length).into_bytes()
    };
    let with = |head: Vec<u8>, body: &[u8]| [&head[..], body].concat();
    let ask = json!({"question": "the dog"}).to_string();
    let ask_path = format!("/api/images/{id}/ask");
    let chunked = [png[0], ("Transfer-Encoding", "chunked")];
    let chunked =
        server.head("POST", "/api/images", &chunked, 0).replace("Content-Length: 0\r\n", "");
    vec![
        // Half-open; a head that never ends, at once and byte by byte.
        (Vec::new(), false, None),
        (b"GET / HT".to_vec(), false, None),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec(), false, None),
        // Bodies that do not come, or come cut off.
        (with(head("POST", "/api/images", &png, 1 << 20), &[0; 100]), false, None),
        (with(head("POST", "/api/images", &png, 1 << 20), &[0; 5000]), true, None),
        (with(chunked.clone().into_bytes(), b"5\r\nab"), false, None),
        // Garbage.
        (vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 13, 10, 13, 10], false, Some(400)),
        (b"\xff\xfe\0\r\n\r\n".repeat(50), false, Some(400)),
        (with(chunked.into_bytes(), b"xyz\r\nabc\r\n"), false, Some(400)),
        // Too much.
        (head("POST", "/api/images", &png, 10 << 30), false, Some(413)),
        (with(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec(), &[b'x'; 100_000]), false, None),
        // Wrong methods and places.
        (
            b"BREW / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec(),
            false,
            Some(405),
        ),
        (head("GET", "/../../../../etc/passwd", &[], 0), false, Some(404)),
        (head("GET", "/..%2f..%2f..%2fetc%2fpasswd", &[], 0), false, Some(404)),
        (head("GET", "//etc/passwd", &[], 0), false, Some(404)),
        (head("GET", "/api/images/..%2F..", &[], 0), false, Some(410)),
        // Questions of who does not wait for the answer, or does not read it.
        (with(head("POST", &ask_path, &json, ask.len()), ask.as_bytes()), true, None),
        (with(head("POST", &ask_path, &json, ask.len()), ask.as_bytes()), false, None),
    ]
}

#[test]
fn two_hundred_bad_clients_at_once_are_survived() {
    let place = place();
    // Long replies, so that those who ask and go away would block the others if they could.
    let server =
        thinking(&place, &["--max-new-tokens", "200", "--temperature", "1", "--patience", "1"]);
    let file = fs::read(place.at("a.png")).unwrap();
    let id = server.image(&file);
    assert_eq!(server.mask(&id, json!([{"points": [[5, 5]]}])).status, 200);
    server.ask(&id, &json!({"question": "the dog"}));
    let before = server.open();

    let kinds = bad_clients(&server, &id);
    let mut held = Vec::new();
    for (bytes, is_cut, status) in kinds.iter().cycle().take(200) {
        let mut stream = server.connect();
        // It may have been refused already.
        let _ = stream.write_all(bytes);
        if *is_cut {
            let _ = stream.shutdown(Shutdown::Both);
        } else {
            held.push((stream, *status, bytes.ends_with(b"X: ")));
        }
    }
    // A good client is served while they are all there.
    assert_eq!(server.get("/").status, 200);
    let own = server.image(&file);
    let mask = server.mask(&own, json!([{"bbox": [10, 20, 300, 140]}]));
    assert_eq!(mask.status, 200, "{mask:?}");
    assert!(mask.json()["area"].is_u64());
    let deadline = Duration::from_secs(120);
    for (stream, status, drips) in &mut held {
        // A byte now and then does not keep a head open for ever.
        if *drips {
            let _ = stream.write_all(b"y");
        }
        stream.set_read_timeout(Some(deadline)).unwrap();
        // The server ends every connection, those that say nothing too.
        let mut bytes = Vec::new();
        let ended = stream.read_to_end(&mut bytes);
        let waited = ended.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!waited, "a connection is still open: {}", String::from_utf8_lossy(&bytes));
        if let Some(status) = status {
            let said = String::from_utf8_lossy(&bytes);
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {said}");
        }
    }
    drop(held);
    // Its turn comes for a question too.
    let events = server.ask(&own, &json!({"question": "the dog"}));
    assert!(kinds_of_text(&events), "{events:?}");
    // Nothing is left of them.
    let mut after = server.open();
    for _ in 0..600 {
        if after
            .zip(before)
            .is_none_or(|(after, before)| after[0] <= before[0] && after[1] <= before[1])
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
        after = server.open();
    }
    panic!("files and threads before: {before:?}, after: {after:?}");
}

fn kinds_of_text(events: &[Value]) -> bool {
    kinds(events).contains(&"text")
}

/// What the page draws of the mask: a number that other pixels would change, 0 for none.
const DRAWN: &str = "(() => { const c = document.getElementById('mask'); \
    const copy = Object.assign(document.createElement('canvas'), { width: c.width, height: c.height }); \
    const context = copy.getContext('2d', { willReadFrequently: true }); context.drawImage(c, 0, 0); \
    const bytes = context.getImageData(0, 0, c.width, c.height).data; \
    return bytes.reduce((sum, byte, i) => (sum + byte * (1 + i % 65521)) % 1e9, 0); })()";
const LISTED: &str = "[...document.querySelectorAll('#objects ul span')].map((s) => s.textContent)";
const IDLE: &str = "!document.body.classList.contains('asking') && document.getElementById('status').textContent === ''";

/// Where a place of the image is in the window.
fn at(browser: &mut Browser, [x, y]: [f64; 2]) -> [f64; 2] {
    let seen = browser.eval(&format!(
        "(() => {{ const b = document.getElementById('marks').getBoundingClientRect(); \
         return [b.left + {x} * b.width / 420, b.top + {y} * b.height / 210]; }})()"
    ));
    [0, 1].map(|i| seen[i].as_f64().unwrap())
}

/// Does something, and waits until the mask is another.
fn new_mask(browser: &mut Browser, change: impl FnOnce(&mut Browser)) {
    let before = browser.eval(DRAWN);
    change(browser);
    browser.until(&format!("{DRAWN} !== {before} && {IDLE}"));
}

fn open(browser: &mut Browser, server: &Server, image: &std::path::Path) {
    browser.visit(&format!("{}/", server.origin));
    browser.until("document.getElementById('limits').textContent");
    browser.choose("#file", image);
    browser.until(
        "!document.getElementById('stage').hidden && document.getElementById('image').naturalWidth",
    );
    assert_eq!(browser.eval(DRAWN), 0);
}

#[test]
fn the_page_works_in_a_browser() {
    let place = place();
    let Some(mut browser) = Browser::start() else { return };
    let server = recorded(&place, &[]);
    browser.resize(1280, 860);
    open(&mut browser, &server, &place.at("a.png"));
    // An answer, with its reasoning.
    new_mask(&mut browser, |browser| _ = browser.eval("document.getElementById('ask').click()"));
    let said = browser.eval("document.getElementById('thinking').textContent");
    assert_eq!(said, "It lies on the left.");
    assert!(
        browser.eval("document.getElementById('answer').textContent").to_string().contains("bbox")
    );
    let first = json!(["box 50, 20 – 250.5, 170", "point 100.5, 100", "point 150, 110"]);
    assert_eq!(browser.eval(LISTED), first);
    corrections(&mut browser);
    keyboard(&mut browser);
    taken_away(&mut browser, &place, &server);
    looks(&mut browser);
    let strangers =
        |url: &&String| !["blob:", "data:", &server.origin].iter().any(|own| url.starts_with(own));
    assert!(browser.requests.len() > 10);
    assert_eq!(browser.requests.iter().find(strangers), None);
    assert_eq!(browser.complaints, [""; 0]);
}

fn corrections(browser: &mut Browser) {
    let drag = |from: [f64; 2], to: [f64; 2]| {
        move |browser: &mut Browser| {
            let (from, to) = (at(browser, from), at(browser, to));
            browser.drag(from, to);
        }
    };
    let listed = |browser: &mut Browser, index: usize| {
        browser.eval(LISTED)[index].as_str().unwrap().to_owned()
    };
    // A point, a corner, the whole box.
    new_mask(browser, drag([100.5, 100.0], [200.0, 60.0]));
    assert_eq!(listed(browser, 1), "point 200, 60");
    new_mask(browser, drag([250.5, 170.0], [300.0, 190.0]));
    assert_eq!(listed(browser, 0), "box 50, 20 – 300, 190");
    new_mask(browser, drag([50.0, 120.0], [60.0, 130.0]));
    assert_eq!(listed(browser, 0), "box 60, 30 – 310, 200");
    // A point beside the object, one on it, and away with it.
    let place = at(browser, [350.0, 100.0]);
    new_mask(browser, |browser| browser.click(place, 1, 8));
    assert_eq!(listed(browser, 3), "beside 350, 100");
    let place = at(browser, [20.0, 20.0]);
    new_mask(browser, |browser| browser.click(place, 1, 0));
    assert_eq!(listed(browser, 3), "point 20, 20");
    // Not a double click that begins with the one that made it.
    std::thread::sleep(Duration::from_millis(700));
    new_mask(browser, |browser| browser.click(place, 2, 0));
    assert_eq!(browser.eval(LISTED).as_array().unwrap().len(), 4);
    // A box of another object.
    browser.eval("document.getElementById('add-object').click()");
    new_mask(browser, drag([330.0, 120.0], [400.0, 200.0]));
    assert_eq!(listed(browser, 4), "box 330, 120 – 400, 200");
    new_mask(browser, |browser| _ = browser.eval("document.getElementById('undo').click()"));
    assert_eq!(browser.eval(LISTED).as_array().unwrap().len(), 4);
    new_mask(browser, |browser| _ = browser.eval("document.getElementById('reset').click()"));
    assert_eq!(listed(browser, 1), "point 100.5, 100");
}

fn keyboard(browser: &mut Browser) {
    browser.eval("document.activeElement.blur(); document.getElementById('image').focus()");
    browser.key("/");
    assert_eq!(browser.eval("document.activeElement.id"), "question");
    browser.eval("document.querySelector('.grip.points').focus()");
    let named = browser.eval("document.activeElement.getAttribute('aria-label')");
    assert_eq!(named, "Point on object 1, 101, 100");
    browser.key("ArrowRight");
    browser.until(
        "document.activeElement.getAttribute('aria-label') === 'Point on object 1, 102, 100'",
    );
    new_mask(browser, |browser| browser.key("Delete"));
    assert_eq!(browser.eval(LISTED).as_array().unwrap().len(), 2);
    assert_eq!(browser.eval("document.activeElement.classList.contains('grip')"), true);
    new_mask(browser, |browser| _ = browser.eval("document.getElementById('add-point').click()"));
    assert_eq!(browser.eval("document.activeElement.classList.contains('points')"), true);
}

/// The JSON and the PNG are what is shown.
fn taken_away(browser: &mut Browser, place: &Folder, server: &Server) {
    let folder = place.root();
    browser.eval("navigator.clipboard.writeText = async (text) => { window.copied = text; }");
    browser.eval("document.getElementById('copy').click()");
    browser.until("window.copied");
    let line = browser.eval("window.copied");
    let line: Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
    assert_eq!([&line["key"], &line["thinking"]], ["a", "It lies on the left."]);
    let id = server.image(&fs::read(place.at("a.png")).unwrap());
    assert_eq!(server.mask(&id, line["objects"].clone()).json()["counts"], line["counts"]);
    let page = json!({"behavior": "allow", "downloadPath": folder});
    browser.call("Page.setDownloadBehavior", page);
    browser.eval("document.getElementById('download').click()");
    browser.until("document.getElementById('download').textContent.startsWith('Downloaded')");
    let file = place.at("a-mask.png");
    for _ in 0..1000 {
        if file.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let size = segzero_datasets::Size::new(420, 210);
    let shown =
        segzero_datasets::Mask::from_coco_string(size, line["counts"].as_str().unwrap().as_bytes());
    assert_eq!(segzero_datasets::Mask::read_png(&fs::read(file).unwrap()).unwrap(), shown.unwrap());
}

fn looks(browser: &mut Browser) {
    browser.eval("for (const node of document.querySelectorAll('details')) node.open = true");
    browser.assert_legible(20);
    browser.assert_in_order();
}

/// A network of random weights reasons without end; it is heard, and stopped.
#[test]
fn the_page_streams_and_stops() {
    let place = place();
    let Some(mut browser) = Browser::start() else { return };
    let server = thinking(&place, &["--max-new-tokens", "20000", "--temperature", "1"]);
    open(&mut browser, &server, &place.at("a.png"));
    browser.eval("document.getElementById('question').value = 'the dog'");
    browser.eval("document.getElementById('ask').click()");
    browser.until("document.getElementById('thinking').textContent.length > 20");
    assert_eq!(browser.eval("document.getElementById('stop').hidden"), false);
    // Meanwhile a point has its mask.
    let place = at(&mut browser, [100.0, 100.0]);
    browser.click(place, 1, 0);
    browser.until(&format!("{DRAWN} > 0"));
    browser.eval("document.getElementById('stop').click()");
    browser.until("!document.body.classList.contains('asking')");
    assert_eq!(browser.eval("document.getElementById('problem').hidden"), true);
    assert_eq!(browser.complaints, [""; 0]);
}
