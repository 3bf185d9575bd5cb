//! What needs no server: when to wait how long, what may be left out, where bytes are cut.

use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use ureq::http::HeaderMap;

use super::stream::Streamed;
use super::*;

const OPTIONS: Options = Options { max_new_tokens: 10, sampling: GREEDY, samples: 1 };
const GREEDY: Sampling =
    Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };

#[test]
fn waits_are_read_in_seconds_and_as_dates() {
    // 1994-11-06 08:49:37, the example of RFC 9110.
    let example = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let pause = |value: &str| {
        let headers: HeaderMap =
            [(ureq::http::header::RETRY_AFTER, value.parse().unwrap())].into_iter().collect();
        http::pause(&headers, example)
    };
    let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    assert_eq!(pause("7"), seconds(7.0));
    assert_eq!(pause(" 0.5 "), seconds(0.5));
    assert_eq!(pause("Sun, 06 Nov 1994 08:50:07 GMT"), seconds(30.0));
    assert_eq!(pause("Sun, 06 Nov 1994 08:49:07 GMT"), seconds(0.0), "the past is now");
    for odd in ["soon", "-1", "nan", "inf", "1e300", ""] {
        assert_eq!(pause(odd), None, "{odd}");
    }
}

#[test]
fn only_what_is_usual_anyway_is_left_out() {
    let refused = |status: u16, message: &str| Failure::of_status(status, message.to_owned());
    let openai = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                  'max_completion_tokens' instead.";
    let first = |options: &Options, failure: &Failure, without: &[&str]| {
        request::dispensable(failure, options, without)
    };
    assert_eq!(first(&OPTIONS, &refused(400, openai), &[]), Some("max_tokens"));
    assert_eq!(first(&OPTIONS, &refused(400, openai), &["max_tokens"]), None, "one limit stays");
    let top_k = refused(422, "Unrecognized request argument supplied: top_k");
    assert_eq!(first(&OPTIONS, &top_k, &[]), Some("top_k"));
    assert_eq!(first(&OPTIONS, &top_k, &["top_k"]), None);
    let wants = Options { sampling: Sampling { top_k: 5, ..GREEDY }, ..OPTIONS };
    assert_eq!(first(&wants, &top_k, &[]), None, "what is wanted stays");
    assert_eq!(first(&OPTIONS, &refused(404, "no top_k"), &[]), None);
    assert_eq!(first(&OPTIONS, &refused(400, "stop_top_k_now"), &[]), None, "words are whole");
    let several = Options { samples: 2, ..OPTIONS };
    let one = "Only one completion choice is allowed";
    assert_eq!(first(&several, &refused(500, one), &[]), Some("n"));
    assert_eq!(first(&several, &refused(400, "no"), &[]), Some("n"));
    assert_eq!(first(&several, &refused(500, "out of memory"), &[]), None);
    assert_eq!(first(&OPTIONS, &refused(400, one), &[]), None);
}

#[test]
fn seeds_fit_all_servers_and_differ_between_samples() {
    let image = Rgb { size: segzero_datasets::Size::new(1, 1), pixels: vec![1, 2, 3] };
    let question = Question::new("m", &image, "\"what\"\n").unwrap();
    let seed = |seed: u64, first: usize| {
        let options = Options { sampling: Sampling { seed, ..GREEDY }, ..OPTIONS };
        let body: Value = serde_json::from_slice(&question.body(&options, first, 1, &[])).unwrap();
        assert_eq!(body["messages"][0]["content"][1]["text"], "\"what\"\n");
        body["seed"].as_u64().unwrap()
    };
    assert_eq!([seed(0, 0), seed(7, 0), seed(7, 2)], [0, 7, 9]);
    assert!(seed(u64::MAX, 0) <= i32::MAX as u64 && seed(1 << 40, 0) != 0);
    assert_eq!(seed(u64::MAX, 1), 0);
}

fn chunk(delta: Value, finish: Value) -> String {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }).to_string()
}

/// All pieces and the reply of a stream that comes in parts of `size` bytes.
fn read(bytes: &[u8], size: usize) -> (String, Result<Choice, Failure>) {
    let (mut shown, mut streamed) = (String::new(), Streamed::default());
    let mut show = |piece: &str| {
        shown += piece;
        ControlFlow::Continue(())
    };
    for part in bytes.chunks(size) {
        match streamed.push(part, &mut show) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(failure) => return (shown, Err(failure)),
        }
    }
    let reply = streamed.finish(&mut show);
    (shown, reply)
}

#[test]
fn a_stream_may_be_cut_anywhere_and_end_lines_as_it_likes() {
    let words = ["<think>Größe 🐕", " und\n", "</think>", "\u{1F468}\u{200D}\u{1F469}"];
    let mut lines = vec![": wait".to_owned(), "event: message".to_owned()];
    lines.push(format!(
        "data: {}\n",
        chunk(json!({"role": "assistant", "content": ""}), Value::Null)
    ));
    for word in words {
        lines.push(format!("data:{}\n", chunk(json!({ "content": word }), Value::Null)));
    }
    lines.push(format!("data: {}\n", chunk(json!({}), json!("stop"))));
    lines.push("data: {\"choices\": [], \"usage\": {\"total_tokens\": 9}}\n".to_owned());
    let text: String = words.concat();
    let whole = Choice { text: text.clone(), finish_reason: Some("stop".to_owned()) };
    for done in ["data: [DONE]\n\n", "data: [DONE]", ""] {
        let stream = lines.join("\n") + "\n" + done;
        let crlf = stream.replace('\n', "\r\n");
        let dense = stream.replace("\n\n", "\n");
        for stream in [&stream, &crlf, &dense, &format!("\u{feff}{stream}")] {
            for size in [1, 2, 3, 7, 64, stream.len()] {
                let (shown, reply) = read(stream.as_bytes(), size);
                assert_eq!(reply, Ok(whole.clone()), "{size}: {stream}");
                assert_eq!(shown, text);
            }
        }
    }
}

#[test]
fn thinking_that_a_server_gives_apart_is_put_back() {
    for name in ["reasoning_content", "reasoning"] {
        let mut stream = String::new();
        for (name, word) in
            [(name, "It is "), (name, "left."), ("content", "<answer>"), ("content", "[]")]
        {
            stream += &format!("data: {}\n\n", chunk(json!({ name: word }), Value::Null));
        }
        stream += "data: [DONE]\n\n";
        let (shown, reply) = read(stream.as_bytes(), 10);
        assert_eq!(shown, "<think>It is left.</think><answer>[]");
        assert_eq!(reply.unwrap().text, shown);
        let message = json!({ name: "It is left.", "content": "<answer>[]" });
        let whole = json!({ "choices": [{ "message": message }] }).to_string();
        assert_eq!(answer::choices(whole.as_bytes()).unwrap()[0].text, shown);
    }
}

#[test]
fn streams_that_are_none_have_names() {
    let failure = |bytes: &str| read(bytes.as_bytes(), 5).1.unwrap_err();
    let word = format!("data: {}\n\n", chunk(json!({"content": "I"}), Value::Null));
    assert!(matches!(failure(&word), Failure::CutConnection(_)));
    assert!(matches!(failure("data: {\"cho\n\n"), Failure::Malformed(_)));
    assert!(matches!(failure("data: 3\n\n"), Failure::Malformed(_)));
    assert!(matches!(failure("<html>\nhello\n"), Failure::Malformed(_)));
    assert!(matches!(failure(""), Failure::Malformed(_)));
    assert!(matches!(failure("data: [DONE]\n\n"), Failure::Empty(_)));
    let error = json!({"error": {"message": "CUDA out of memory", "code": 503}});
    let failed = Failure::ServerError { status: 503, message: "CUDA out of memory".to_owned() };
    assert_eq!(failure(&format!("{word}data: {error}\n\n")), failed);
    let busy = json!({"error": {"message": "slow down", "code": "429"}});
    assert_eq!(failure(&busy.to_string()), Failure::RateLimited("slow down".to_owned()));
}

#[test]
fn refusals_are_quoted_wherever_their_words_stand() {
    let cases = [
        (json!({"error": {"message": "no"}}), "no"),
        (json!({"error": "no"}), "no"),
        (json!({"object": "error", "message": "no", "code": 404}), "no"),
        (json!({"detail": "no"}), "no"),
        (json!("no"), "no"),
        (json!({"detail": [{"loc": ["body", "n"]}]}), "{\"detail\":[{\"loc\":[\"body\",\"n\"]}]}"),
    ];
    for (body, words) in cases {
        assert_eq!(answer::message(body.to_string().as_bytes()), words);
    }
    assert_eq!(answer::message(b"no"), "no");
    assert_eq!(answer::message(b" <html>no</html>"), "");
}

#[test]
fn a_model_is_the_same_with_its_tag_and_without() {
    for (listed, wanted, same) in [
        ("qwen", "qwen", true),
        ("qwen:latest", "qwen", true),
        ("qwen/vl", "qwen/vl:free", true),
        ("qwen2", "qwen", false),
    ] {
        assert_eq!(is_same(listed, wanted), same, "{listed} {wanted}");
    }
}
