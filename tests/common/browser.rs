//! A real browser, where one is installed: Chromium without a window, driven over its debugging pipe
//! (the DevTools protocol, one JSON message up to each zero byte).
#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code)] // helpers of tests may

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    next: u64,
    /// Errors and warnings that pages logged, and exceptions that nobody caught.
    pub complaints: Vec<String>,
    /// Addresses that pages asked for.
    pub requests: Vec<String>,
    _folder: tempfile::TempDir,
}

fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let paths = std::env::split_paths(&folders).flat_map(|f| names.map(|name| f.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

impl Browser {
    /// None, with the reason printed, where there is no Chromium.
    pub fn start() -> Option<Self> {
        let Some(program) = installed().filter(|_| cfg!(unix)) else {
            eprintln!("skipped: there is no Chromium on the path");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        // The pipe is file descriptors 3 and 4. A browser that hangs is ended, which ends the test.
        let script = r#"exec 3<"$1" 4>"$2"; shift 2; exec timeout 240 "$@""#;
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .args([&to, &from, &program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--remote-debugging-pipe", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let to = File::options().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let mut browser = Self {
            child,
            to,
            from,
            session: None,
            next: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.call(domain, json!({}));
        }
        Some(browser)
    }

    fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has gone away");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        let params = &message["params"];
        let level = |value: &Value| matches!(value.as_str(), Some("error" | "warning"));
        let complains = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => level(&params["type"]),
            Some("Log.entryAdded") => level(&params["entry"]["level"]),
            _ => false,
        };
        if complains {
            self.complaints.push(params.to_string());
        }
        if message["method"] == "Network.requestWillBeSent" {
            self.requests.extend(params["request"]["url"].as_str().map(str::to_owned));
        }
        message
    }

    /// Calls a method of the DevTools protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.message();
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, page: &Path) {
        let url = format!("file://{}", page.canonicalize().unwrap().display());
        self.visit(&url.replace(' ', "%20"));
    }

    /// Opens an address and waits until it is loaded.
    pub fn visit(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        while self.eval("document.readyState") != "complete" {}
    }

    /// Waits until an expression holds. A page where it never does is ended by the browser's end.
    pub fn until(&mut self, expression: &str) {
        while self.eval(&format!("Boolean({expression})")) != true {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Puts a file into a file input.
    pub fn choose(&mut self, selector: &str, file: &Path) {
        let root = self.call("DOM.getDocument", json!({}));
        let query = json!({"nodeId": root["root"]["nodeId"], "selector": selector});
        let node = self.call("DOM.querySelector", query);
        let files = json!({"nodeId": node["nodeId"], "files": [file]});
        self.call("DOM.setFileInputFiles", files);
    }

    /// Presses the left button at one place, moves, and lets go at another.
    pub fn drag(&mut self, from: [f64; 2], to: [f64; 2]) {
        let between = |i: usize, t: f64| from[i] + (to[i] - from[i]) * t;
        let path = (0..=4).map(|step| [0, 1].map(|i| between(i, f64::from(step) / 4.0)));
        self.mouse("mousePressed", from, json!({}));
        path.for_each(|at| self.mouse("mouseMoved", at, json!({})));
        self.mouse("mouseReleased", to, json!({}));
    }

    /// Clicks, with modifiers as the DevTools protocol counts them (Shift is 8).
    pub fn click(&mut self, at: [f64; 2], clicks: u32, modifiers: u32) {
        for count in 1..=clicks {
            let more = json!({"clickCount": count, "modifiers": modifiers});
            self.mouse("mousePressed", at, more.clone());
            self.mouse("mouseReleased", at, more);
        }
    }

    fn mouse(&mut self, kind: &str, [x, y]: [f64; 2], more: Value) {
        let mut params =
            json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        self.call("Input.dispatchMouseEvent", params);
    }

    /// The value of a JavaScript expression; of a promise, what it comes to.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Presses and releases a key.
    pub fn key(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Escape" => (27, ""),
            "Delete" => (46, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            _ => (0, key),
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        for kind in [down, "keyUp"] {
            let mut params = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Size of the window, in CSS pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// The text of the element with this id.
    pub fn text_of(&mut self, id: &str) -> String {
        let text = self.eval(&format!("document.getElementById('{id}').textContent"));
        text.as_str().unwrap().to_owned()
    }

    /// Gives a control another value, as its user would.
    pub fn set(&mut self, id: &str, value: &str) {
        self.eval(&format!(
            "{{ const node = document.getElementById('{id}'); node.value = '{value}'; \
             node.dispatchEvent(new Event(node.tagName === 'INPUT' ? 'input' : 'change')); }}"
        ));
    }

    /// Goes once through the page's colours, light, dark and the system's, each of which leaves more than
    /// `texts` texts to be read, and gives the grounds of the first two.
    pub fn assert_legible(&mut self, texts: u64) -> [Value; 2] {
        let grounds = ["light", "dark", "system"].map(|theme| {
            self.eval("document.getElementById('theme').click()");
            assert_eq!(self.text_of("theme"), theme);
            let contrast = self.eval(FAINT);
            assert!(contrast["seen"].as_u64().unwrap() > texts, "{contrast}");
            assert_eq!(contrast["faint"], json!([]), "{theme}");
            self.eval(GROUND)
        });
        assert_ne!(grounds[0], grounds[1]);
        let [light, dark, _] = grounds;
        [light, dark]
    }

    /// On a desktop and on a telephone nothing is wider than the page, and every control has a name.
    pub fn assert_in_order(&mut self) {
        for width in [1280, 390] {
            self.resize(width, 900);
            let wide = self.eval("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(wide <= u64::from(width), "{wide} > {width}");
        }
        let unnamed = "[...document.querySelectorAll('button, select, input, textarea')].filter((node) => \
                       !node.closest('[hidden]') && !node.getAttribute('aria-label') && \
                       !node.innerText.trim() && !node.labels?.length).length";
        assert_eq!(self.eval(unnamed), 0, "every control has a name");
    }

    /// No text is a value that was not meant to be seen.
    pub fn assert_no_slips(&mut self) {
        let said = self.eval("document.body.innerText");
        for word in ["NaN", "undefined", "null", "Infinity"] {
            assert!(!said.as_str().unwrap().contains(word), "{word}");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The colour of the page.
pub const GROUND: &str = "getComputedStyle(document.body).backgroundColor";

/// Texts whose colour does not stand out by 4.5:1 from the nearest background that is not transparent
/// (WCAG 2.2, 1.4.3).
const FAINT: &str = r#"(() => {
  const parse = (text) => { const c = text.match(/[\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c; };
  const linear = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let seen = 0;
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const words = texts.currentNode.textContent.trim();
    if (!words || !node.checkVisibility() || /^(SCRIPT|STYLE|NOSCRIPT|OPTION)$/.test(node.tagName)) continue;
    seen += 1;
    const style = getComputedStyle(node);
    const color = parse(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(color), light(behind(node))].sort((x, y) => y - x);
    if (color[3] !== 1 || (a + 0.05) / (b + 0.05) < 4.5) faint.push(`${words}: ${(a + 0.05) / (b + 0.05)}`);
  }
  return { seen, faint };
})()"#;
