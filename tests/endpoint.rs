//! `segzero segment` and `segzero predict` with a reasoner behind an endpoint.
#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::folder::Folder;
use common::{Data, assert_refused, models, segzero, text};
use segzero_datasets::Size;
use segzero_model::qwen_vl::read_image;
use segzero_prep::image::{Filter, Rgb, decode, resize};
use segzero_test_support::server::{Form, Reply, Request, Server, nobody};
use serde_json::{Value, json};

const REPLY: &str = "<think>It lies on the left.</think>\n<answer>{\"bbox\": [100,80,501,680], \
                     \"points_1\": [201,400], \"points_2\": [300,440]}</answer>";
const MODEL: &str = "Ricky06662/Seg-Zero-7B";

/// An endpoint that has these models, and answers so: word by word where it is asked to stream.
fn endpoint(models: &'static [&'static str], reply: &'static str) -> Server {
    Server::start(move |request| {
        if request.path == "/v1/models" {
            let models: Vec<Value> = models.iter().map(|id| json!({ "id": id })).collect();
            return with(json!({ "data": models }).to_string(), Form::Length);
        }
        if body(request)["stream"] != true {
            let message = json!({"content": reply});
            let choices = json!([{"message": message, "finish_reason": "stop"}]);
            return with(json!({ "choices": choices }).to_string(), Form::Length);
        }
        let chunk = |word: &str| {
            let choices = json!([{"index": 0, "delta": {"content": word}, "finish_reason": null}]);
            format!("data: {}\n\n", json!({ "choices": choices }))
        };
        let words: String = reply.split_inclusive(' ').map(chunk).collect();
        with(words + "data: [DONE]\n\n", Form::Chunks(11))
    })
}

fn with(body: String, form: Form) -> Reply {
    Reply { body: body.into_bytes(), form, ..Reply::default() }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The fields of the last question, and the image and the text in it.
fn question(server: &Server) -> (Value, Rgb, String) {
    let fields = body(server.requests().last().unwrap());
    let parts = fields["messages"][0]["content"].clone();
    let url = parts[0]["image_url"]["url"].as_str().unwrap();
    let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
    let text = parts[1]["text"].as_str().unwrap().to_owned();
    (fields, decode(&png).unwrap(), text)
}

/// `segment` of an image of 420x210 pixels.
fn segment(folder: &Folder, server: &Server, arguments: &[&str]) -> Output {
    let (image, url) = (folder.image("a.png", 420, 210), format!("{}/v1", server.url));
    let fixed = ["segment", "The dog.", "--image", &image, "--reasoner", &url];
    segzero(fixed.iter().chain(arguments))
}

fn line(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_endpoint_is_as_good_as_the_reply_it_gives() {
    let (folder, server) = (Folder::new(), endpoint(&[MODEL], REPLY));
    std::fs::create_dir(folder.at("sam2")).unwrap();
    models::sam2(&folder.at("sam2"));
    let sam2 = folder.path("sam2");
    let arguments = ["--segmenter", &sam2, "--parser", "reference", "--json"];
    let asked = line(&segment(&folder, &server, &arguments));
    let (image, reply) = (folder.path("a.png"), folder.write("r.txt", REPLY));
    let recorded = ["segment", "The dog.", "--image", &image, "--reply", &reply];
    assert_eq!(asked, line(&segzero(recorded.iter().chain(&arguments))));
    assert_eq!(asked["boxes"], json!([[50.0, 20.0, 250.0, 170.0]]));

    // The question is the published one: normalised, about a square, at the greedy choice.
    let (fields, image, text) = question(&server);
    let path = folder.at("a.png");
    let square = resize(&read_image(&path).unwrap(), Size::new(840, 840), Filter::PilBilinear);
    assert_eq!(image, square);
    assert!(text.starts_with("Please find 'the dog' with bbox and points."), "{text}");
    assert_eq!([&fields["model"], &fields["temperature"]], [&json!(MODEL), &json!(0.0)]);
    assert_eq!([&fields["max_tokens"], &fields["repetition_penalty"]], [&json!(1024), &json!(1.0)]);
}

#[test]
fn the_reply_is_printed_as_it_streams() {
    let (folder, server) = (Folder::new(), endpoint(&[MODEL], REPLY));
    let output = segment(&folder, &server, &[]);
    let printed = text(&output.stdout);
    assert!(printed.starts_with(&format!("{REPLY}\n")), "{printed}");
    assert!(printed.contains("object 1: box 50,20 to 250,170"), "{printed}");
    assert_eq!(question(&server).0["stream"], true);
}

#[test]
fn what_the_model_sees_and_counts_is_known() {
    let box_of = |models, reply, arguments: &[&str]| {
        let (folder, server) = (Folder::new(), endpoint(models, reply));
        let found = line(&segment(&folder, &server, &[arguments, &["--json"]].concat()));
        (found["boxes"][0].clone(), question(&server).1.size)
    };
    // 420x210 is not made of squares of 28 pixels: it is resized before it is sent.
    let (reply, side) = ("<answer>[42, 21, 210, 112]</answer>", ["--side", "0"]);
    let (found, size) = box_of(&[MODEL], reply, &side);
    assert_eq!((found, size), (json!([42.0, 19.6875, 210.0, 105.0]), Size::new(420, 224)));
    let (found, size) = box_of(&[MODEL], reply, &["--side", "0", "--coordinates", "original"]);
    assert_eq!((found, size), (json!([42.0, 21.0, 210.0, 112.0]), Size::new(420, 224)));
    let reply = "<answer>[100, 100, 500, 500]</answer>";
    let (found, size) = box_of(&["Qwen/Qwen3-VL-8B-Instruct"], reply, &side);
    assert_eq!((found, size), (json!([42.0, 21.0, 210.0, 105.0]), Size::new(420, 210)));
    let boxes = ["--prompt", "qwen-box"];
    let (found, _) = box_of(&["Qwen/Qwen2-VL-7B-Instruct"], reply, &boxes);
    assert_eq!(found, json!([42.0, 21.0, 210.0, 105.0]));
    let (found, _) = box_of(&["Qwen/Qwen2.5-VL-7B-Instruct"], reply, &boxes);
    assert_eq!(found[0], 100.0, "pixels");
}

#[test]
fn models_are_chosen_and_missed_before_anything_is_asked() {
    let folder = Folder::new();
    let two = endpoint(&["a", "b"], REPLY);
    assert_refused(&segment(&folder, &two, &[]), &["has a, b", "--endpoint-model"]);
    assert_refused(&segment(&folder, &two, &["--endpoint-model", "c"]), &["has not `c` but a, b"]);
    assert!(segment(&folder, &two, &["--endpoint-model", "b"]).status.success());
    assert_eq!(question(&two).0["model"], "b");
    let none = Server::start(|_| Reply { status: 404, ..Reply::default() });
    assert_refused(&segment(&folder, &none, &[]), &["does not say which models it has"]);
    let few = ["--endpoint-timeout", "0"];
    assert_refused(&segment(&folder, &two, &few), &["--endpoint-timeout is 0"]);
}

#[test]
fn the_key_comes_from_the_environment_and_is_not_shown() {
    let (folder, server) = (Folder::new(), endpoint(&[MODEL], REPLY));
    let (image, url) = (folder.image("a.png", 42, 42), format!("{}/v1", server.url));
    let run = |url: &str| {
        let arguments = ["segment", "dog", "--image", &image, "--reasoner", url];
        let few = ["--endpoint-attempts", "1"];
        Command::new(env!("CARGO_BIN_EXE_segzero"))
            .args(arguments.iter().chain(&few))
            .env("OPENAI_API_KEY", "sk-secret")
            .output()
            .unwrap()
    };
    let output = run(&url);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|r| r.header("authorization") == Some("Bearer sk-secret")));
    let refused =
        Server::start(|_| Reply { status: 401, ..with("sk-secret?".into(), Form::Length) });
    for (output, needle) in [
        (run(&format!("{}/v1", refused.url)), "refused with 401: [key]?"),
        (run(&nobody()), "could not be reached"),
        (run(&url.replace("http://", "http://sk-secret@")), "password"),
    ] {
        assert_refused(&output, &[needle]);
        assert!(!text(&output.stderr).contains("sk-secret"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_broken_endpoint_costs_the_image_and_names_why() {
    let folder = Folder::new();
    let broken = |answer: Reply| {
        Server::start(move |request| match request.path.as_str() {
            "/v1/models" => with(json!({"data": [{"id": MODEL}]}).to_string(), Form::Length),
            _ => answer.clone(),
        })
    };
    let few = ["--endpoint-attempts", "1", "--endpoint-timeout", "0.5"];
    let silent = Reply { cut: Some(0), stalls: true, ..with("{}".into(), Form::Length) };
    for (answer, needle) in [
        (silent, "did not"),
        (Reply { status: 500, ..Reply::default() }, "failed with 500"),
        (Reply { status: 429, ..Reply::default() }, "takes no more requests"),
        (with("{\"choices\": []}".into(), Form::Length), "gave an empty answer"),
        (with("{\"choi".into(), Form::Length), "did not answer as such servers do"),
    ] {
        let server = broken(answer);
        let output = segment(&folder, &server, &few);
        assert_refused(&output, &["a.png", "/v1", needle]);
    }
}

#[test]
fn whatever_an_endpoint_does_costs_samples_and_never_the_run() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.path == "/v1/models" {
            return with(json!({"data": [{"id": MODEL}]}).to_string(), Form::Length);
        }
        let message = json!({"content": REPLY});
        let good = json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string();
        let whole = |body: &str| with(body.to_owned(), Form::Length);
        match count.fetch_add(1, Ordering::Relaxed) % 7 {
            0 => whole(&good),
            1 => Reply { cut: Some(0), stalls: true, ..whole(&good) },
            2 => Reply { status: 429, ..whole("{}") },
            3 => Reply { status: 500, ..whole("{}") },
            4 => whole("{\"choices\": [{\"mess"),
            5 => whole("{\"choices\": []}"),
            _ => Reply { cut: Some(20), ..whole(&good) },
        }
    });
    let data = Data::new(6);
    let (root, out, url) = (data.root(), data.at("run"), format!("{}/v1", server.url));
    let [root, out] = [&root, &out].map(|path| path.to_str().unwrap());
    let asked = ["predict", "--root", root, "--out", out, "--reasoner", &url];
    let few = ["--endpoint-attempts", "1", "--endpoint-timeout", "2"];
    let output = segzero(asked.iter().chain(&few));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = std::fs::read(data.at("run/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let units = server.count("POST", "completions");
    assert_eq!(summary["units"], units);
    assert!(units >= 14, "{units}");
    let names = ["timeout", "rate-limited", "server-error", "malformed", "empty", "cut-connection"];
    let expected = (1..).zip(names).map(|(at, name)| {
        (name.to_owned(), json!((0..units).filter(|number| number % 7 == at).count()))
    });
    assert_eq!(summary["failures"], Value::Object(expected.collect()));
    let lines = std::fs::read_to_string(data.at("run/predictions.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), units.div_ceil(7));
}
