//! Questions about an image of 840x840 to a server that answers at once: what the client itself costs.
#![allow(missing_docs)] // criterion's macro makes an undocumented function
#![allow(clippy::unwrap_used)] // a bench stops when it cannot go on

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use segzero_datasets::Size;
use segzero_model::endpoint::{Endpoint, Options, Patience};
use segzero_model::qwen_vl::Sampling;
use segzero_prep::image::{PngEffort, Rgb, encode_png};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A picture of smooth shading and noise, whose PNG is about as large as a photograph's.
fn picture() -> Rgb {
    let mut state = 1u32;
    let sample = |at: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (at / 3 % 840 / 5 + at / 3 / 840 / 6 + (state >> 28)) as u8
    };
    Rgb { size: Size::new(840, 840), pixels: (0..840 * 840 * 3).map(sample).collect() }
}

/// Reads each request of a connection, and answers the same.
fn serve(stream: TcpStream) -> Option<()> {
    let body =
        r#"{"choices":[{"index":0,"message":{"content":"<answer>"},"finish_reason":"stop"}]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            length =
                line.strip_prefix("content-length: ").map_or(length, |n| n.trim().parse().unwrap());
            line.clear();
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        (&stream).write_all(answer.as_bytes()).ok()?;
    }
}

fn address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    url
}

fn asked(group: &mut BenchmarkGroup<'_, WallTime>, image: &Rgb, threads: usize) {
    let endpoint = Endpoint::new(&address(), "model", None, Patience::default()).unwrap();
    let options = Options { max_new_tokens: 1024, sampling: Sampling::default(), samples: 1 };
    // Sixteen questions, shared by so many threads.
    group.bench_function(format!("16 questions by {threads}"), |bencher| {
        bencher.iter(|| {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for _ in 0..16 / threads {
                            endpoint.ask(image, "Where?", &options).unwrap();
                        }
                    });
                }
            });
        });
    });
}

fn endpoint(criterion: &mut Criterion) {
    let image = picture();
    let mut group = criterion.benchmark_group("endpoint");
    group.sample_size(20);
    for (name, effort) in [("fast", PngEffort::Fast), ("balanced", PngEffort::Balanced)] {
        let bytes = encode_png(&image, effort).unwrap().len();
        group.bench_function(format!("png {name}, {bytes} bytes"), |bencher| {
            bencher.iter(|| black_box(encode_png(&image, effort).unwrap()));
        });
    }
    let png = encode_png(&image, PngEffort::Fast).unwrap();
    group.bench_function("base64", |bencher| bencher.iter(|| black_box(STANDARD.encode(&png))));
    for threads in [1, 2, 16] {
        asked(&mut group, &image, threads);
    }
    group.finish();
}

criterion_group!(benches, endpoint);
criterion_main!(benches);
