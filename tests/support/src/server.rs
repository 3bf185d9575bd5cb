//! A web server on the loopback address, as bad as a test wants it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Behind the host, the query included.
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As many bytes as `content-length` says.
    pub body: Vec<u8>,
}

impl Request {
    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The last part of the path.
    pub fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Besides those that say where the body ends.
    pub headers: Vec<(&'static str, String)>,
    /// All of it, `cut` or not.
    pub body: Vec<u8>,
    /// How its end is known.
    pub form: Form,
    /// Bytes of the body after which the connection is cut.
    pub cut: Option<usize>,
    /// Whether the connection then stays open, without another byte.
    pub stalls: bool,
}

/// How a client knows where a body ends.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Its length is said.
    Length,
    /// It comes in chunks of so many bytes, each sent by itself.
    Chunks(usize),
    /// With the connection.
    Close,
}

impl Default for Reply {
    /// Status 200, nothing in it.
    fn default() -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status: 200, headers, body, form: Form::Length, cut: None, stalls: false }
    }
}

/// A server that answers until the test ends.
pub struct Server {
    /// Scheme, host and port.
    pub url: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves what `answer` says, each connection on its own thread.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&log), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || converse(stream.unwrap(), &log, &*answer));
            }
        });
        Self { url, log }
    }

    /// All that was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How often a file was asked for.
    pub fn count(&self, method: &str, file: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|r| r.method == method && r.file() == file).count()
    }
}

/// An address at which nobody answers.
pub fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn converse(mut stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = receive(&mut reader) {
        log.lock().unwrap().push(request.clone());
        let reply = answer(&request);
        // A client that has seen enough may have gone.
        let sent = send(&mut stream, &request, &reply);
        if reply.stalls {
            // Until the client hangs up.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        if sent.is_err() || reply.cut.is_some() || matches!(reply.form, Form::Close) {
            return;
        }
    }
}

/// The next request of a connection; none where the client has hung up.
fn receive(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.strip_suffix("\r\n").map(str::to_owned)
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    while let Some(line) = line().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn send(stream: &mut TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
    let length = reply.body.len().to_string();
    let end = match reply.form {
        Form::Length => ("content-length", length),
        Form::Chunks(_) => ("transfer-encoding", "chunked".to_owned()),
        Form::Close => ("connection", "close".to_owned()),
    };
    for (name, value) in reply.headers.iter().chain([&end]) {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let shown = &reply.body[..reply.cut.unwrap_or(reply.body.len())];
    let Form::Chunks(size) = reply.form else { return stream.write_all(shown) };
    for chunk in shown.chunks(size) {
        let head = format!("{:x}\r\n", chunk.len());
        stream.write_all(&[head.as_bytes(), chunk, b"\r\n"].concat())?;
    }
    if reply.cut.is_none() && !reply.stalls { stream.write_all(b"0\r\n\r\n") } else { Ok(()) }
}
