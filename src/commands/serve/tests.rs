//! Who is let in, what is kept, who waits for what.
#![allow(clippy::unwrap_used)] // helpers of tests may

use std::sync::Arc;

use hyper::http::HeaderValue;
use hyper::http::header::{HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use segzero_datasets::Size;
use segzero_prep::image::Rgb;
use tokio::sync::{mpsc, oneshot};

use super::guard::{Names, typed};
use super::images::Images;
use super::queue::{AskJob, Job, MaskJob, Queue};
use super::wire::{Object, Question, Reasoner, Wanted};

fn request(method: Method, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

#[test]
fn only_our_own_names_are_answered_to() {
    let open = Names::Open("lab-box".to_owned());
    for (host, on_loopback, when_open) in [
        ("localhost:8080", true, true),
        ("LOCALHOST", true, true),
        ("127.0.0.1:8080", true, true),
        ("127.8.8.8", true, true),
        ("[::1]:8080", true, true),
        ("192.168.1.5:8080", false, true),
        ("[fe80::1]", false, true),
        ("lab-box:9", false, true),
        ("evil.example", false, false),
        ("localhost.evil.example", false, false),
        ("127.0.0.1.evil.example", false, false),
        ("user@localhost", true, true),
        ("", false, false),
        ("a b", false, false),
    ] {
        let asked = request(Method::GET, "/", &[("host", host)]);
        assert_eq!(Names::Loopback.check(&asked).is_ok(), on_loopback, "{host}");
        assert_eq!(open.check(&asked).is_ok(), when_open, "{host}");
    }
    assert!(Names::Loopback.check(&request(Method::GET, "/", &[])).is_err(), "no host");
    let twice = [("host", "localhost"), ("host", "localhost")];
    assert!(Names::Loopback.check(&request(Method::GET, "/", &twice)).is_err(), "two hosts");
    let target = request(Method::GET, "http://evil.example/", &[("host", "localhost")]);
    assert!(Names::Loopback.check(&target).is_err(), "another target");
}

#[test]
fn pages_of_others_cannot_send_anything() {
    let post = |headers: &[(&str, &str)]| {
        let mut asked = request(Method::POST, "/api/images", headers);
        asked.headers_mut().insert(HOST, HeaderValue::from_static("localhost:8080"));
        Names::Loopback.check(&asked).map_err(|refusal| refusal.status)
    };
    assert_eq!(post(&[]), Ok(()), "a program that is no browser");
    assert_eq!(post(&[("origin", "http://localhost:8080")]), Ok(()));
    assert_eq!(
        post(&[("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")]),
        Ok(())
    );
    for headers in [
        &[("origin", "http://localhost:9090")][..],
        &[("origin", "http://127.0.0.1:8080")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "localhost:8080")],
        &[("origin", "http://localhost:8080"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(post(headers), Err(StatusCode::FORBIDDEN), "{headers:?}");
    }
}

#[test]
fn what_a_form_could_send_is_refused() {
    let with = |kind: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        headers
    };
    let accepted = ["image/*", "application/json"];
    for kind in ["image/png", "IMAGE/JPEG", "application/json; charset=utf-8"] {
        assert!(typed(&with(kind), &accepted).is_ok(), "{kind}");
    }
    let forms =
        ["text/plain", "multipart/form-data; boundary=image/", "application/x-www-form-urlencoded"];
    for kind in forms.into_iter().chain(["", "application/jsonp"]) {
        assert!(typed(&with(kind), &accepted).is_err(), "{kind}");
    }
    assert!(typed(&HeaderMap::new(), &accepted).is_err());
}

fn image(side: u32) -> Rgb {
    Rgb { size: Size::new(side, side), pixels: vec![0; (side * side * 3) as usize] }
}

#[test]
fn images_that_were_used_last_are_kept() {
    let images = Images::default();
    let names: Vec<String> = (0..16).map(|_| images.insert(image(1)).0).collect();
    assert!(images.get(&names[0]).is_some());
    let (late, _) = images.insert(image(1));
    assert!(images.get(&names[1]).is_none(), "the one that nobody asked for the longest");
    assert!(images.get(&names[0]).is_some() && images.get(&late).is_some());
    let mut all = names.clone();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 16);
    assert!(names.iter().all(|name| name.len() == 32));
    assert!(Images::default().insert(image(1)).0 != names[0], "nobody can guess");
}

type Kept = (Job, Box<dyn std::any::Any>);

fn mask() -> Kept {
    let (answer, kept) = oneshot::channel();
    let picture = Images::default().insert(image(1)).1;
    (Job::Mask(MaskJob { picture, objects: Vec::new(), answer }), Box::new(kept))
}

fn ask(question: &str) -> Kept {
    let (events, kept) = mpsc::unbounded_channel();
    let picture = Images::default().insert(image(1)).1;
    let question = question.to_owned();
    (Job::Ask(AskJob { picture, question, key: String::new(), events }), Box::new(kept))
}

#[test]
fn jobs_are_done_in_order_and_quick_ones_between_words() {
    let queue = Queue::default();
    let mut listeners = Vec::new();
    for (job, listener) in [ask("first"), ask("second"), mask()] {
        queue.push(job).unwrap();
        listeners.push(listener);
    }
    assert!(matches!(queue.next(), Some(Job::Ask(job)) if job.question == "first"));
    assert!(matches!(queue.next_quick(), Some(Job::Mask(_))));
    assert!(queue.next_quick().is_none());
    assert!(matches!(queue.next(), Some(Job::Ask(job)) if job.question == "second"));
    // Of an image that is not kept there is nothing to see.
    let gone = Images::default().insert(image(1)).1;
    queue.push(Job::Embed(Arc::downgrade(&gone))).unwrap();
    drop(gone);
    assert_eq!(queue.push(ask("third").0), Ok(0));
    assert!(matches!(queue.next(), Some(Job::Ask(_))));
    queue.end();
    assert!(queue.next().is_none() && queue.is_over());
    assert_eq!(queue.push(mask().0).unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn too_many_jobs_are_refused_and_those_of_nobody_make_room() {
    let queue = Queue::default();
    let mut listeners = Vec::new();
    for ahead in 0..8 {
        let (job, listener) = ask("again");
        assert_eq!(queue.push(job), Ok(ahead));
        listeners.push(listener);
    }
    let refusal = queue.push(ask("too late").0).unwrap_err();
    assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refusal.error.contains("busy") && refusal.hint.is_some());
    let mut masks = Vec::new();
    for _ in 8..64 {
        let (job, listener) = mask();
        queue.push(job).unwrap();
        masks.push(listener);
    }
    assert!(queue.push(mask().0).is_err());
    drop(masks);
    assert!(queue.push(mask().0).is_ok());
    listeners.clear();
    assert_eq!(queue.push(ask("at last").0), Ok(0));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let check = |text: &str| serde_json::from_str::<Wanted>(text).unwrap().check();
    assert!(check(r#"{"objects": [{"bbox": [0, 1, 2, 3]}, {"background": [[1, 2]]}]}"#).is_ok());
    let none = check(r#"{"objects": [{}]}"#).unwrap_err();
    assert!(none.error.contains("object 1") && none.hint.is_some());
    for text in [r#"{"objects": []}"#, r#"{"objects": [{"points": [[1e7, 0]]}]}"#] {
        assert_eq!(check(text).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
    let many = |count| Wanted {
        objects: vec![Object { points: vec![[0.0; 2]; 8], ..Object::default() }; count],
    };
    assert!(many(32).check().is_ok() && many(33).check().is_err() && many(65).check().is_err());
    for text in [r#"{"objects": [{"points": [[1e999, 0]]}]}"#, r#"{"objects": [], "x": 1}"#, "[1]"]
    {
        assert!(serde_json::from_str::<Wanted>(text).is_err(), "{text}");
    }
    let asked = |text: &str| Question { question: text.to_owned(), key: String::new() };
    assert_eq!(asked(" the dog\n").text(Reasoner::Model), Ok("the dog"));
    assert_eq!(asked(" ").text(Reasoner::Recorded), Ok(""));
    assert!(asked(" ").text(Reasoner::Model).is_err());
    assert!(asked("the dog").text(Reasoner::None).unwrap_err().hint.is_some());
    assert!(asked(&"é".repeat(4000)).text(Reasoner::Model).is_ok());
    assert!(asked(&"é".repeat(4001)).text(Reasoner::Model).is_err());
}
