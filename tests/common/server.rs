//! `segzero serve` as a process, and clients of it, good and bad.
#![allow(clippy::unwrap_used, dead_code)] // helpers of tests may

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub origin: String,
    /// `127.0.0.1:PORT`
    pub host: String,
}

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The head, names in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Server {
    /// Runs it on a free port, as soon as it says that it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_segzero"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let origin = line.trim().trim_end_matches('/').to_owned();
        let host = origin.strip_prefix("http://").unwrap().to_owned();
        Self { child, origin, host }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.host).unwrap()
    }

    /// Sends a request with headers of one's own, and reads the whole answer.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(self.head(method, path, headers, body.len()).as_bytes()).unwrap();
        // A server that refuses need not read to the end.
        let _ = stream.write_all(body);
        Answer::read(stream)
    }

    /// A request's head.
    pub fn head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            head += &format!("Content-Length: {length}\r\n");
        }
        head + "\r\n"
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send("POST", path, &json, body.to_string().as_bytes())
    }

    pub fn upload(&self, file: &[u8]) -> Answer {
        self.send("POST", "/api/images", &[("Content-Type", "image/png")], file)
    }

    /// Uploads an image; its name.
    pub fn image(&self, file: &[u8]) -> String {
        let answer = self.upload(file);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// All events of the answer to a question.
    pub fn ask(&self, image: &str, question: &Value) -> Vec<Value> {
        let answer = self.post(&format!("/api/images/{image}/ask"), question);
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    pub fn mask(&self, image: &str, objects: Value) -> Answer {
        self.post(&format!("/api/images/{image}/mask"), &json!({ "objects": objects }))
    }

    /// How many files and threads the process has open, where the system says so.
    pub fn open(&self) -> Option<[usize; 2]> {
        let count = |what: &str| {
            let entries = std::fs::read_dir(format!("/proc/{}/{what}", self.id())).ok()?;
            Some(entries.count())
        };
        Some([count("fd")?, count("task")?])
    }

    /// Asks it to end, as Ctrl-C does, and waits; its exit code.
    #[cfg(unix)]
    pub fn interrupt(mut self) -> Option<i32> {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// Reads until the server closes the connection.
    pub fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A server that refuses early resets what it did not read.
        let _ = stream.read_to_end(&mut bytes);
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Self {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Self { status: 0, head: String::new(), body: bytes.to_vec() };
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = &bytes[end + 4..];
        let is_chunked = head.contains("transfer-encoding: chunked");
        let body = if is_chunked { joined(body) } else { body.to_vec() };
        Self { status, head, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.map(str::trim)
    }
}

/// Chunks as one.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return all };
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 || rest.len() < end + 2 + length {
            return all;
        }
        all.extend_from_slice(&rest[end + 2..][..length]);
        rest = rest.get(end + length + 4..).unwrap_or_default();
    }
}
