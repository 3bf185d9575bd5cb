//! The client of endpoints against a server on the loopback address that does everything servers do.
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use segzero_datasets::Size;
use segzero_model::endpoint::{Choice, Endpoint, EndpointError, Failure, Options, Patience};
use segzero_model::qwen_vl::Sampling;
use segzero_prep::image::{Rgb, decode};
use segzero_test_support::server::{Form, Reply, Request, Server, nobody};
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret";
/// Nobody waits, and nothing times out unless a test wants it.
const PATIENCE: Patience = Patience {
    attempts: 3,
    wait: Duration::from_millis(1),
    timeout: Duration::from_secs(60),
    stall: Duration::from_secs(60),
};

fn image() -> Rgb {
    let size = Size::new(56, 28);
    let pixels = (0..size.pixels() as usize * 3).map(|i| (i * i / 7) as u8).collect();
    Rgb { size, pixels }
}

fn options(samples: usize, temperature: f64) -> Options {
    let sampling = Sampling { temperature, seed: 3, ..Sampling::default() };
    Options { max_new_tokens: 40, sampling, samples }
}

fn endpoint_with(server: &Server, patience: Patience) -> Endpoint {
    Endpoint::new(&format!("{}/v1/", server.url), "qwen", Some(KEY), patience).unwrap()
}

fn ask(server: &Server) -> Result<Vec<Choice>, EndpointError> {
    endpoint_with(server, PATIENCE).ask(&image(), "Where?", &options(1, 0.0))
}

fn stream(server: &Server, patience: Patience) -> (String, Result<Choice, EndpointError>) {
    let mut shown = String::new();
    let endpoint = endpoint_with(server, patience);
    let reply = endpoint.ask_streaming(&image(), "Where?", &options(1, 0.0), |piece| {
        shown += piece;
        ControlFlow::Continue(())
    });
    (shown, reply)
}

fn reply(body: impl ToString) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply { headers, body: body.to_string().into_bytes(), ..Reply::default() }
}

fn status(status: u16) -> Reply {
    Reply { status, ..reply(json!({"error": {"message": "because"}})) }
}

fn completion(texts: &[&str]) -> Value {
    let choice = |(index, text): (usize, &&str)| json!({"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    json!({ "choices": texts.iter().enumerate().map(choice).collect::<Vec<_>>() })
}

fn said(text: &str) -> Choice {
    Choice { text: text.to_owned(), finish_reason: Some("stop".to_owned()) }
}

/// The fields of a request.
fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// A failure by its name; its hint is there, and the key is not, and it names the endpoint.
fn name(error: &EndpointError, server: &str) -> &'static str {
    let texts = [error.to_string(), format!("{error:?}"), error.hint().unwrap().to_owned()];
    assert!(texts.iter().all(|text| !text.contains(KEY)), "{texts:?}");
    assert!(texts[0].contains(&format!("`{server}/v1`")), "{}", texts[0]);
    error.name()
}

#[test]
fn a_question_is_sent_as_such_servers_want_it() {
    let server = Server::start(|_| reply(completion(&["<answer>"])));
    let asked = Options {
        max_new_tokens: 2048,
        sampling: Sampling {
            temperature: 0.7,
            top_k: 20,
            top_p: 0.8,
            repetition_penalty: 1.05,
            seed: 11,
        },
        samples: 1,
    };
    let endpoint = endpoint_with(&server, PATIENCE);
    let text = "Find \"the dog\"\nin <think> 🐕";
    assert_eq!(endpoint.ask(&image(), text, &asked).unwrap(), [said("<answer>")]);
    let requests = server.requests();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Bearer sk-very-secret"));
    let others = request.headers.iter().filter(|(name, _)| *name != "authorization");
    assert!(others.into_iter().all(|(_, value)| !value.contains(KEY)));
    assert!(!String::from_utf8_lossy(&request.body).contains(KEY));

    let mut fields = body(request);
    let messages = fields.as_object_mut().unwrap().remove("messages").unwrap();
    let expected = json!({
        "model": "qwen", "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.0,
        "repetition_penalty": 1.05, "max_completion_tokens": 2048, "max_tokens": 2048, "seed": 11,
    });
    assert_eq!(fields, expected);
    assert_eq!(messages[0]["role"], "user");
    let parts = messages[0]["content"].as_array().unwrap();
    assert_eq!([&parts[0]["type"], &parts[1]["type"]], ["image_url", "text"]);
    assert_eq!(parts[1]["text"], text);
    let url = parts[0]["image_url"]["url"].as_str().unwrap();
    let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    assert_eq!(decode(&png).unwrap(), image(), "the same pixels");
}

#[test]
fn servers_without_a_key_are_sent_none() {
    let server = Server::start(|_| reply(completion(&["a"])));
    for key in [None, Some(""), Some(" \n")] {
        let endpoint = Endpoint::new(&server.url, "qwen", key, PATIENCE).unwrap();
        endpoint.ask(&image(), "", &options(1, 0.0)).unwrap();
    }
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn several_replies_come_at_once_or_one_by_one() {
    // A server that knows `n`, and puts replies in an order of its own.
    let server = Server::start(|request| {
        let n = body(request)["n"].as_u64().unwrap_or(1);
        let choice = |i: u64| json!({"index": i, "message": {"content": format!("reply {i}")}, "finish_reason": "stop"});
        reply(json!({ "choices": (0..n).rev().map(choice).collect::<Vec<_>>() }))
    });
    let endpoint = endpoint_with(&server, PATIENCE);
    let replies = endpoint.ask(&image(), "", &options(3, 1.0)).unwrap();
    assert_eq!(replies, [said("reply 0"), said("reply 1"), said("reply 2")]);
    assert_eq!(server.requests().len(), 1);

    // One that passes over it: each further question has a seed of its own.
    let server = Server::start(|request| reply(completion(&[&body(request)["seed"].to_string()])));
    let replies = endpoint_with(&server, PATIENCE).ask(&image(), "", &options(3, 1.0)).unwrap();
    assert_eq!(replies, [said("3"), said("4"), said("5")]);
    let counts: Vec<Value> = server.requests().iter().map(|r| body(r)["n"].clone()).collect();
    assert_eq!(counts, [json!(3), json!(2), Value::Null]);

    // One that refuses it: that is remembered.
    let server = Server::start(|request| match body(request).get("n") {
        Some(_) => status(400),
        None => reply(completion(&["one"])),
    });
    let endpoint = endpoint_with(&server, PATIENCE);
    assert_eq!(endpoint.ask(&image(), "", &options(2, 1.0)).unwrap().len(), 2);
    assert_eq!(server.requests().len(), 3, "refused, then one by one");
    assert_eq!(endpoint.ask(&image(), "", &options(2, 1.0)).unwrap().len(), 2);
    assert_eq!(server.requests().len(), 5);

    // The greedy choice is the same however often it is asked for.
    let server = Server::start(|_| reply(completion(&["sure", "more than asked for"])));
    let endpoint = endpoint_with(&server, PATIENCE);
    let replies = endpoint.ask(&image(), "", &options(3, 0.0)).unwrap();
    assert_eq!(replies, [said("sure"), said("sure"), said("sure")]);
    assert_eq!(body(&server.requests()[0]).get("n"), None);
    assert!(endpoint.ask(&image(), "", &options(0, 0.0)).unwrap().is_empty());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn fields_that_a_hosted_server_does_not_know_are_left_out() {
    // OpenAI's refusals, one at a time.
    let server = Server::start(|request| {
        let fields = body(request);
        let unknown = ["top_k", "min_p", "repetition_penalty"];
        if let Some(name) = unknown.iter().find(|name| fields.get(**name).is_some()) {
            let message = format!("Unrecognized request argument supplied: {name}");
            return Reply { status: 400, ..reply(json!({"error": {"message": message}})) };
        }
        if fields.get("max_tokens").is_some() {
            let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is \
                           not supported.";
            return Reply { status: 400, ..reply(json!({"error": {"message": message}})) };
        }
        reply(completion(&["yes"]))
    });
    let endpoint = endpoint_with(&server, PATIENCE);
    assert_eq!(endpoint.ask(&image(), "", &options(1, 0.0)).unwrap(), [said("yes")]);
    assert_eq!(server.requests().len(), 5);
    let last = body(&server.requests()[4]);
    assert_eq!((&last["max_completion_tokens"], &last["temperature"]), (&json!(40), &json!(0.0)));
    endpoint.ask(&image(), "", &options(1, 0.0)).unwrap();
    assert_eq!(server.requests().len(), 6, "it is known by now");

    // What is not usual is not given up in silence.
    let mut penalized = options(1, 0.0);
    penalized.sampling.repetition_penalty = 1.05;
    let server = Server::start(|_| {
        let message = "repetition_penalty: Extra inputs are not permitted";
        Reply { status: 422, ..reply(json!({ "detail": message })) }
    });
    let error = endpoint_with(&server, PATIENCE).ask(&image(), "", &penalized).unwrap_err();
    assert_eq!((name(&error, &server.url), error.attempts), ("refused", 1));
    assert!(error.to_string().contains("Extra inputs"), "{error}");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let cases = [
        (400, "refused", 1),
        (401, "refused", 1),
        (403, "refused", 1),
        (404, "refused", 1),
        (413, "refused", 1),
        (408, "refused", 3),
        (409, "refused", 3),
        (425, "refused", 3),
        (429, "rate-limited", 3),
        (500, "server-error", 3),
        (502, "server-error", 3),
        (503, "server-error", 3),
        (599, "server-error", 3),
    ];
    for (code, expected, attempts) in cases {
        let server = Server::start(move |_| status(code));
        let error = ask(&server).unwrap_err();
        assert_eq!(name(&error, &server.url), expected, "{code}");
        assert_eq!((server.requests().len(), error.attempts), (attempts, attempts as u32));
        assert!(error.to_string().contains(&format!("{code}")), "{error}");
        assert!(error.to_string().contains("because"), "{error}");
        assert_eq!(name(&stream(&server, PATIENCE).1.unwrap_err(), &server.url), expected);
    }
    // The third attempt is in time.
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => status(503),
        1 => Reply { cut: Some(5), ..reply(completion(&["no"])) },
        _ => reply(completion(&["yes"])),
    });
    assert_eq!(ask(&server).unwrap(), [said("yes")]);
    assert_eq!(server.requests().len(), 3);
    assert!(server.requests().windows(2).all(|pair| pair[0].body == pair[1].body));
}

#[test]
fn the_server_says_how_long_to_wait() {
    // Were it not for what the server says, this test would take hours.
    let patience = Patience { wait: Duration::from_secs(10_000), ..PATIENCE };
    for (code, value) in
        [(429, "0"), (503, "0.001"), (429, "Sun, 06 Nov 1994 08:49:37 GMT"), (408, "0")]
    {
        let first = Mutex::new(true);
        let server = Server::start(move |_| match std::mem::take(&mut *first.lock().unwrap()) {
            true => {
                let headers = vec![("retry-after", value.to_owned())];
                Reply { headers, ..status(code) }
            }
            false => reply(completion(&["yes"])),
        });
        let endpoint = endpoint_with(&server, patience);
        assert_eq!(endpoint.ask(&image(), "", &options(1, 0.0)).unwrap(), [said("yes")]);
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_server_that_never_answers_ends_by_the_timeout() {
    let short = Duration::from_millis(200);
    let silent = [
        ("before a word", Reply { cut: Some(0), stalls: true, ..reply("{}") }),
        ("in the midst", Reply { cut: Some(9), stalls: true, ..reply(completion(&["a"])) }),
        ("in a stream", {
            let word = "data: {\"choices\":[{\"delta\":{\"content\":\"I\"}}]}\n\n";
            Reply { stalls: true, form: Form::Chunks(8), ..reply(word) }
        }),
        ("in a refusal", Reply { cut: Some(4), stalls: true, ..status(500) }),
    ];
    for (what, answer) in silent {
        let server = Server::start(move |_| answer.clone());
        let patience = Patience { attempts: 2, timeout: short, ..PATIENCE };
        let endpoint = endpoint_with(&server, patience);
        let error = endpoint.ask(&image(), "", &options(1, 0.0)).unwrap_err();
        let expected = if what == "in a refusal" { "server-error" } else { "timeout" };
        assert_eq!(name(&error, &server.url), expected, "{what}");
        assert_eq!(server.requests().len(), 2, "{what}");
        let (_, reply) = stream(&server, patience);
        assert_eq!(name(&reply.unwrap_err(), &server.url), expected, "{what}");
        if what == "in a stream" {
            assert_eq!(server.requests().len(), 3, "what was shown is not asked for again");
        }
        // Where it streams, silence is not waited out.
        let patience = Patience { stall: short, attempts: 1, ..PATIENCE };
        let error = stream(&server, patience).1.unwrap_err();
        assert_eq!(name(&error, &server.url), expected, "{what}");
    }
}

#[test]
fn connections_that_are_not_there_or_break_have_names() {
    let nobody = nobody();
    let endpoint = Endpoint::new(&format!("{nobody}/v1"), "qwen", Some(KEY), PATIENCE).unwrap();
    let error = endpoint.ask(&image(), "", &options(1, 0.0)).unwrap_err();
    assert_eq!((name(&error, &nobody), error.attempts), ("unreachable", 3));
    assert!(error.to_string().ends_with("(asked 3 times)"), "{error}");

    let whole = completion(&["a long reply"]).to_string();
    for form in [Form::Length, Form::Chunks(10), Form::Close] {
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            let body = whole.clone();
            let server =
                Server::start(move |_| Reply { form, cut: Some(cut), ..reply(body.clone()) });
            let error = ask(&server).unwrap_err();
            let found = name(&error, &server.url);
            assert_eq!(found, "cut-connection", "{form:?} {cut}: {error}");
            assert_eq!(server.requests().len(), 3);
        }
    }
    let cut = Server::start(|_| {
        let body = "data: {\"choices\":[{\"delta\":{\"content\":\"I see\"}}]}\n\n";
        Reply { form: Form::Chunks(16), cut: Some(body.len()), ..reply(body) }
    });
    let (shown, broken) = stream(&cut, PATIENCE);
    assert_eq!((shown.as_str(), name(&broken.unwrap_err(), &cut.url)), ("I see", "cut-connection"));
    assert_eq!(cut.requests().len(), 1, "what was shown is not asked for again");
}

#[test]
fn answers_that_are_none_have_names() {
    let empty = |content: Value| json!({"choices": [{"message": {"content": content}, "finish_reason": "length"}]});
    let cases = [
        ("not json".to_owned(), "malformed"),
        (String::new(), "malformed"),
        ("{\"choices\": [{\"mess".to_owned(), "malformed"),
        ("[]".to_owned(), "malformed"),
        ("null".to_owned(), "malformed"),
        ("<!doctype html><html>Sign in".to_owned(), "malformed"),
        ("{\"choices\": 3}".to_owned(), "malformed"),
        ("{\"choices\": [{\"message\": {\"content\": 7}}]}".to_owned(), "malformed"),
        ("{\"choices\": [{\"message\": {\"content\": \"\\ud800\"}}]}".to_owned(), "malformed"),
        ("\u{0}\u{1b}[31m".to_owned(), "malformed"),
        ("[".repeat(100_000), "malformed"),
        ("{\"choices\": []}".to_owned(), "empty"),
        ("{\"choices\": null}".to_owned(), "empty"),
        ("{}".to_owned(), "empty"),
        ("{\"choices\": [{}]}".to_owned(), "empty"),
        ("{\"choices\": [{\"message\": null}]}".to_owned(), "empty"),
        (empty(Value::Null).to_string(), "empty"),
        (empty(json!("")).to_string(), "empty"),
        (empty(json!(" \n")).to_string(), "empty"),
        (empty(json!([])).to_string(), "empty"),
        ("{\"error\": {\"message\": \"no\", \"code\": 400}}".to_owned(), "refused"),
        ("{\"error\": \"out of memory\"}".to_owned(), "server-error"),
    ];
    for (sent, expected) in cases {
        let body = sent.clone();
        let server = Server::start(move |_| reply(body.clone()));
        let error = ask(&server).unwrap_err();
        assert_eq!(name(&error, &server.url), expected, "{sent:.60}");
        let attempts = if expected == "server-error" { 3 } else { 1 };
        assert_eq!(server.requests().len(), attempts, "{sent:.60}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
        assert!(error.to_string().len() < 700);
        let error = stream(&server, PATIENCE).1.unwrap_err();
        assert_eq!(name(&error, &server.url), expected, "streamed: {sent:.60}");
    }
    let server = Server::start(|_| Reply { body: b"\xff\xfe{}".to_vec(), ..reply("") });
    assert_eq!(name(&ask(&server).unwrap_err(), &server.url), "malformed");
    let refusal = json!({"choices": [{"message": {"content": null, "refusal": "I will not."}}]});
    let server = Server::start(move |_| reply(&refusal));
    assert!(ask(&server).unwrap_err().to_string().ends_with("empty answer: I will not."));
}

#[test]
fn what_is_not_http_or_too_large_is_refused() {
    let large = || Reply { body: vec![b' '; (16 << 20) + 1], ..reply("") };
    let server = Server::start(move |_| large());
    let error = ask(&server).unwrap_err();
    assert_eq!(name(&error, &server.url), "malformed");
    assert!(error.to_string().contains("more than 16 MiB"), "{error}");
    let server = Server::start(move |_| Reply { form: Form::Chunks(1 << 16), ..large() });
    assert_eq!(name(&ask(&server).unwrap_err(), &server.url), "malformed");
    let error = stream(&server, PATIENCE).1.unwrap_err();
    assert!(error.to_string().contains("more than 16 MiB"), "{error}");
    // One line without an end.
    let server = Server::start(move |_| {
        let mut reply = large();
        reply.body[..5].copy_from_slice(b"data:");
        Reply { form: Form::Chunks(1 << 16), ..reply }
    });
    assert!(stream(&server, PATIENCE).1.unwrap_err().to_string().contains("more than 16 MiB"));
    let header = vec![("x", "y".repeat(1 << 20))];
    let server = Server::start(move |_| Reply { headers: header.clone(), ..reply("{}") });
    assert_eq!(name(&ask(&server).unwrap_err(), &server.url), "malformed");
    // A refusal is read in part, and quoted in part.
    let server = Server::start(|_| Reply { status: 400, body: vec![b'x'; 1 << 20], ..reply("") });
    let error = ask(&server).unwrap_err();
    assert_eq!(name(&error, &server.url), "refused");
    assert!(error.to_string().ends_with("xxx…") && error.to_string().len() < 700, "{error}");
}

#[test]
fn the_type_of_an_answer_is_what_it_is_and_not_what_it_says() {
    for kind in ["text/plain", "text/html; charset=latin-1", "application/octet-stream"] {
        let headers = vec![("content-type", kind.to_owned())];
        let server = Server::start(move |_| Reply {
            headers: headers.clone(),
            ..reply(completion(&["é"]))
        });
        assert_eq!(ask(&server).unwrap(), [said("é")]);
        assert_eq!(stream(&server, PATIENCE).1.unwrap(), said("é"));
    }
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let parts = json!({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]});
    let server = Server::start(move |_| reply(&parts));
    assert_eq!(ask(&server).unwrap(), [said("ab")]);
}

/// A reply in the form of server-sent events.
fn events(words: &[&str]) -> String {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\r\n\r\n", json!({ "choices": [choice] }))
    };
    let role = chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    let words = words.iter().map(|word| chunk(json!({ "content": word }), Value::Null));
    let end = chunk(json!({}), json!("stop"));
    format!(": hello\r\n\r\n{role}{}{end}", words.collect::<String>())
}

#[test]
fn a_reply_is_shown_as_it_streams() {
    let words = ["<think>", "Größe 🐕", "</think>", "<answer>"];
    let whole = events(&words) + "data: [DONE]\r\n\r\n";
    for (body, form) in [
        (whole.clone(), Form::Chunks(1)),
        (whole.clone(), Form::Chunks(7)),
        (whole.clone(), Form::Length),
        (whole.replace("\r\n", "\n"), Form::Close),
        (events(&words), Form::Chunks(50)),
        (events(&words), Form::Close),
    ] {
        let server = Server::start(move |_| Reply { form, ..reply(body.clone()) });
        let mut pieces = Vec::new();
        let endpoint = endpoint_with(&server, PATIENCE);
        let reply = endpoint.ask_streaming(&image(), "", &options(1, 0.0), |piece| {
            pieces.push(piece.to_owned());
            ControlFlow::Continue(())
        });
        assert_eq!(reply.unwrap(), said(&words.concat()));
        assert_eq!(pieces, words);
        assert_eq!(body_of_last(&server)["stream"], true);
    }
    // The line behind the last word is what servers end with; then nothing is waited for.
    let server = Server::start(move |_| Reply {
        form: Form::Chunks(64),
        stalls: true,
        ..reply(whole.clone())
    });
    assert_eq!(stream(&server, PATIENCE).1.unwrap(), said(&words.concat()));
    // A connection that breaks when all is said takes nothing away.
    let server = Server::start(move |_| {
        let body = events(&words);
        Reply { form: Form::Chunks(64), cut: Some(body.len()), ..reply(body) }
    });
    assert_eq!(stream(&server, PATIENCE).1.unwrap(), said(&words.concat()));
}

fn body_of_last(server: &Server) -> Value {
    body(server.requests().last().unwrap())
}

#[test]
fn who_watches_may_stop_a_reply() {
    let body = events(&["one ", "two ", "three "]);
    let server = Server::start(move |_| Reply {
        form: Form::Chunks(9),
        stalls: true,
        ..reply(body.clone())
    });
    let mut shown = String::new();
    let endpoint = endpoint_with(&server, PATIENCE);
    let reply = endpoint.ask_streaming(&image(), "", &options(1, 0.0), |piece| {
        shown += piece;
        if piece == "two " { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(reply.unwrap(), Choice { text: "one two ".to_owned(), finish_reason: None });
    assert_eq!(shown, "one two ");
}

#[test]
fn the_key_does_not_follow_redirects() {
    let other = Server::start(|_| reply(completion(&["stolen"])));
    let location = format!("{}/v1/chat/completions", other.url);
    for code in [301, 302, 303, 307, 308] {
        let headers = vec![("location", location.clone())];
        let server = Server::start(move |_| Reply { headers: headers.clone(), ..status(code) });
        let error = ask(&server).unwrap_err();
        assert_eq!(name(&error, &server.url), "refused");
        assert!(error.to_string().contains(&location), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
    assert!(other.requests().is_empty());
}

#[test]
fn the_key_is_shown_nowhere() {
    // Even where the server says it.
    let server = Server::start(|_| {
        let message = format!("the key {KEY} is wrong\u{1b}[2J\n");
        Reply { status: 401, ..reply(json!({"error": {"message": message}})) }
    });
    let error = ask(&server).unwrap_err();
    assert_eq!(name(&error, &server.url), "refused");
    assert!(error.to_string().ends_with("the key [key] is wrong [2J"), "{error}");
    assert!(error.hint().unwrap().contains("OPENAI_API_KEY"));
    let endpoint = endpoint_with(&server, PATIENCE);
    let shown = format!("{endpoint:?}");
    assert!(!shown.contains(KEY) && shown.contains("Sensitive"), "{shown}");
    let error = Endpoint::new("http://h/v1", "m", Some("sk-very-secret\nx"), PATIENCE).unwrap_err();
    assert_eq!(name(&error, "http://h"), "setting");
}

#[test]
fn addresses_are_checked_before_anything_is_asked() {
    let new = |url: &str| Endpoint::new(url, "m", None, PATIENCE);
    for url in ["http://h:1/v1", "http://h:1/v1/", "http://h:1/v1/chat/completions"] {
        assert_eq!(new(url).unwrap().url(), "http://h:1/v1");
    }
    assert_eq!(new("https://[::1]:8000/v1").unwrap().model(), "m");
    for url in ["", "h:8000", "ftp://h/v1", "http://", "/v1", "http://h /v1", "http://h/v1?k=pass"]
    {
        let error = new(url).unwrap_err();
        assert_eq!(error.name(), "setting", "{url}");
        assert!(!error.to_string().contains("pass"), "{error}");
        assert!(error.hint().unwrap().contains("http://localhost:8000/v1"));
    }
    let error = new("https://me:pass@h/v1").unwrap_err().to_string();
    assert_eq!(error, "`https://h/v1` cannot be asked: its address has a password in it");
}

#[test]
fn a_model_that_is_not_there_is_noticed_early() {
    let list = |names: &[&str]| {
        let models: Vec<Value> = names.iter().map(|name| json!({ "id": name })).collect();
        json!({"object": "list", "data": models})
    };
    let open = |server: &Server, model: Option<&str>| {
        Endpoint::open(&format!("{}/v1", server.url), model, Some(KEY), PATIENCE)
    };
    let one = list(&["Qwen/Qwen2.5-VL-7B-Instruct"]);
    let server = Server::start(move |_| reply(&one));
    assert_eq!(open(&server, None).unwrap().model(), "Qwen/Qwen2.5-VL-7B-Instruct");
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/models"));
    assert_eq!(request.header("authorization"), Some("Bearer sk-very-secret"));
    assert!(open(&server, Some("Qwen/Qwen2.5-VL-7B-Instruct")).is_ok());
    let error = open(&server, Some("Qwen/Qwen2.5-VL-3B")).unwrap_err();
    assert_eq!(name(&error, &server.url), "model");
    let expected = "has not `Qwen/Qwen2.5-VL-3B` but Qwen/Qwen2.5-VL-7B-Instruct";
    assert!(error.to_string().ends_with(expected), "{error}");

    let two = list(&["a", "b"]);
    let server = Server::start(move |_| reply(&two));
    let error = open(&server, None).unwrap_err();
    assert!(error.to_string().ends_with("has a, b"), "{error}");
    assert!(error.hint().unwrap().contains("--endpoint-model"));

    // A server without a list, or with an odd one, has what it is asked for.
    let odd = [status(404), status(405), reply("<html>"), reply("{}"), reply(list(&[]))];
    for answer in odd {
        let server = Server::start(move |_| answer.clone());
        assert_eq!(open(&server, Some("any")).unwrap().model(), "any");
        let error = open(&server, None).unwrap_err();
        assert!(matches!(error.failure, Failure::Model { .. }), "{error}");
        assert_eq!(server.requests().len(), 2);
    }
    let server = Server::start(|_| status(500));
    assert_eq!(open(&server, Some("any")).unwrap().model(), "any");
    assert_eq!(name(&open(&server, None).unwrap_err(), &server.url), "server-error");
    let server = Server::start(|_| status(401));
    assert_eq!(name(&open(&server, Some("any")).unwrap_err(), &server.url), "refused");
    let error = Endpoint::open(&nobody(), Some("any"), None, PATIENCE).unwrap_err();
    assert_eq!(error.name(), "unreachable");
}

#[test]
fn many_threads_may_ask_at_once() {
    let server = Server::start(|request| {
        let text = body(request)["messages"][0]["content"][1]["text"].clone();
        reply(completion(&[text.as_str().unwrap()]))
    });
    let endpoint = endpoint_with(&server, PATIENCE);
    let replies = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (endpoint, replies) = (&endpoint, &replies);
            scope.spawn(move || {
                for question in 0..8 {
                    let text = format!("{thread} {question}");
                    let reply = endpoint.ask(&image(), &text, &options(1, 0.0)).unwrap();
                    assert_eq!(reply, [said(&text)]);
                    replies.lock().unwrap().insert(text);
                }
            });
        }
    });
    assert_eq!(replies.into_inner().unwrap().len(), 64);
    assert_eq!(server.requests().len(), 64);
}
