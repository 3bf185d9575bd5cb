//! `segzero report`, and its page in a real browser.
#![allow(clippy::unwrap_used)] // helpers of tests may, as tests may

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::path::{Path, PathBuf};

use browser::{Browser, GROUND};
use common::{Data, assert_refused, segzero, text};
use segzero_datasets::synth;
use serde_json::{Value, json};

/// Predictions as the demo's, with replies, boxes and points; every eighth is missing.
fn predictions(data: &Data, seed: u64) -> String {
    let mut lines = String::new();
    for scene in &data.scenes {
        for annotation in &scene.annotations {
            let Some(reference) = &annotation.reference else { continue };
            for sentence in reference.sentences.iter().filter(|s| s.id % 8 != 3) {
                let (_, mask) = synth::imperfect(&annotation.mask, &[], seed, sentence.id as u64);
                let bbox = annotation.mask.bbox().unwrap();
                let corners = [bbox.x0, bbox.y0, bbox.x1, bbox.y1];
                let line = json!({
                    "key": format!("{}:{}", reference.ref_id, sentence.id),
                    "size": [mask.size().height, mask.size().width],
                    "counts": mask.to_coco_string(),
                    "boxes": [corners],
                    "points": [[bbox.x0, bbox.y0]],
                    "text": format!(
                        "<think>It is number {} & <b>bold</b>.</think><answer>[]</answer>",
                        sentence.id
                    ),
                });
                lines += &format!("{line}\n");
            }
        }
    }
    lines
}

/// A data set with two runs on it.
fn scored() -> (Data, [PathBuf; 2]) {
    let data = Data::new(12);
    let runs = ["first", "second"].map(|name| {
        let (pred, out) = (data.at(&format!("{name}.jsonl")), data.at(&format!("{name}.json")));
        std::fs::write(&pred, predictions(&data, name.len() as u64)).unwrap();
        let root = data.root();
        let [root, pred, to] = [&root, &pred, &out].map(|path| path.to_str().unwrap());
        let output =
            segzero(["eval", "--root", root, "--pred", pred, "--protocol", "all", "--out", to]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        out
    });
    (data, runs)
}

fn report(runs: &[&Path], out: &Path, flags: &[&str]) -> std::process::Output {
    let paths = runs.iter().map(|path| path.to_str().unwrap());
    let out = ["--out", out.to_str().unwrap()];
    segzero(["report"].into_iter().chain(paths).chain(out).chain(flags.iter().copied()))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn everything_is_written_whole_and_again_the_same() {
    let (data, [first, second]) = scored();
    let out = data.at("report");
    let output = report(&[&first, &second], &out, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures = ["iou-by-area", "iou-by-words", "iou-histogram", "precision"];
    let mut expected: Vec<String> =
        ["csv", "json", "md", "tex"].map(|e| format!("report.{e}")).into();
    expected.extend(["index.html", "report-samples.csv"].map(str::to_owned));
    for figure in figures {
        expected.extend(["svg", "png"].map(|e| format!("report-{figure}.{e}")));
    }
    expected.sort();
    assert_eq!(files(&out), expected);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    for name in ["index.html", "report.md", "report.csv", "report.tex", "report.json"] {
        let text = read(name);
        let before_the_data = text.split("<script").next().unwrap();
        assert!(!before_the_data.contains("NaN"), "{name}");
    }
    // Every digit is that of the score files.
    let scores: Value = serde_json::from_str(&std::fs::read_to_string(&first).unwrap()).unwrap();
    let json: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(json["runs"][0]["summary"], scores["summary"]);
    assert_eq!(json["runs"][0]["others"], scores["others"]);
    let giou = scores["summary"]["giou"].as_f64().unwrap();
    assert!(read("report.md").contains(&format!("{:.2} \\[", 100.0 * giou)));
    let rows = scores["rows"].as_array().unwrap().len();
    assert_eq!(read("report-samples.csv").lines().count(), 1 + 2 * rows);
    let before = read("index.html");
    assert!(report(&[&first, &second], &out, &[]).status.success());
    assert_eq!(before, read("index.html"));
}

#[test]
fn pictures_lie_beside_the_page_on_request_and_may_be_gone() {
    let (data, [first, _]) = scored();
    let page = data.at("pages/my page.html");
    let output = report(&[&first], &page, &["--embed", "none", "--gallery", "8"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(files(&data.at("pages")), ["my page.html", "my page_files"]);
    assert!(!files(&data.at("pages/my page_files")).is_empty());
    // Without data and predictions there is still a page, which says so.
    std::fs::rename(data.root(), data.at("elsewhere")).unwrap();
    std::fs::remove_file(data.at("first.jsonl")).unwrap();
    let output = report(&[&first], &page, &["--embed", "none"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("warning: the data cannot be opened"));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("No pictures: the data or the predictions could not be opened"));
    // And it can be told where they are now.
    let [root, pred] = [data.at("elsewhere"), data.at("second.jsonl")];
    let [root, pred] = [&root, &pred].map(|path| path.to_str().unwrap());
    let output = report(&[&first], &page, &["--root", root, "--pred", pred, "--gallery", "9999"]);
    let said = text(&output.stderr);
    let about_pictures = ["could not", "cannot", "without a picture", "no data set"];
    assert!(output.status.success() && !about_pictures.iter().any(|word| said.contains(word)));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("data:image/jpeg;base64,") && html.contains("samples have pictures"));
}

#[test]
fn what_cannot_be_reported_is_refused() {
    let (data, [first, _]) = scored();
    let out = data.at("report");
    let mut empty: Value = serde_json::from_str(&std::fs::read_to_string(&first).unwrap()).unwrap();
    empty["rows"] = json!([]);
    let path = data.at("empty.json");
    std::fs::write(&path, empty.to_string()).unwrap();
    assert_refused(&report(&[&path], &out, &[]), &["empty.json", "no scored sample"]);
    std::fs::write(&path, "{}").unwrap();
    assert_refused(&report(&[&path], &out, &[]), &["empty.json", "segzero eval --out"]);
    assert_refused(&report(&[&data.at("none.json")], &out, &[]), &["none.json"]);
    assert_refused(&report(&[&first], &out, &["--names", "a,b"]), &["2 names for 1 runs"]);
    assert_refused(&report(&[&first, &first], &out, &["--names", "a,a"]), &["called `a`"]);
    assert!(!out.exists(), "nothing is left behind");
}

const FOCUSED: &str =
    "[...document.querySelectorAll('#cards .figure')].indexOf(document.activeElement)";

#[test]
fn the_page_works_in_a_browser() {
    let (data, [first, second]) = scored();
    let Some(mut browser) = Browser::start() else { return };
    let out = data.at("report");
    // A click shows a picture only once its image is there, so they lie in the page.
    assert!(report(&[&first, &second], &out, &["--gallery", "16"]).status.success());
    browser.resize(1280, 900);
    browser.open(&out.join("index.html"));
    filters(&mut browser);
    keyboard(&mut browser);
    masks(&mut browser);
    looks(&mut browser);
    assert_eq!(browser.complaints, [""; 0]);
}

fn filters(browser: &mut Browser) {
    let all = browser.eval("data.key.length").as_u64().unwrap();
    assert_eq!(browser.text_of("count"), format!("16 of {all} samples"));
    browser.set("show", "all");
    assert_eq!(browser.text_of("count"), format!("{all} samples"));
    browser.set("show", "worst");
    assert_eq!(browser.text_of("count"), format!("4 of {all} samples"));
    browser.set("show", "status-missing");
    let missing = browser.eval("data.status[0].filter((s) => s === 'missing').length");
    assert_eq!(browser.text_of("count"), format!("{missing} of {all} samples"));
    browser.set("show", "all");
    browser.set("search", "no such word");
    assert_eq!(browser.text_of("count"), format!("0 of {all} samples"));
    let key = browser.eval("data.key[5]").as_str().unwrap().to_owned();
    browser.set("search", &key);
    let texts = browser.eval("[...document.querySelectorAll('article')].map((a) => a.innerText)");
    assert!(texts.as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains(&key)));
    // A reply is found too.
    browser.set("search", "it is number");
    let found = browser.eval("state.found.every((unit) => data.cards[unit])");
    assert_eq!(found, true);
    browser.set("search", "");
    browser.set("sort", "iou-");
    assert_eq!(browser.eval("data.iou[0][state.found[0]]"), 1.0);
    browser.set("run", "1");
    assert_eq!(browser.eval("data.iou[1][state.found[0]]"), 1.0);
    browser.eval("document.querySelectorAll('#histogram button')[9].click()");
    assert_eq!(browser.eval("state.found.every((unit) => data.iou[1][unit] >= 0.9)"), true);
    browser.eval("document.querySelectorAll('#histogram button')[9].click()");
    browser.set("show", "pictured");
}

fn keyboard(browser: &mut Browser) {
    browser.eval("document.activeElement.blur(); window.scrollTo(0, 0)");
    browser.key("/");
    assert_eq!(browser.eval("document.activeElement.id"), "search");
    assert_eq!(browser.eval("document.activeElement.value"), "");
    // From the search by Tab to the first sample, through every control.
    let mut passed = Vec::new();
    for _ in 0..40 {
        browser.key("Tab");
        passed.push(browser.eval("document.activeElement.id || document.activeElement.value"));
        if browser.eval(FOCUSED) == 0 {
            break;
        }
    }
    for control in ["show", "run", "sort", "target", "prediction", "box", "point"] {
        assert!(passed.contains(&json!(control)), "{control}: {passed:?}");
    }
    let outline = browser.eval("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "the focus is seen");
    browser.key("ArrowRight");
    assert_eq!(browser.eval(FOCUSED), 1);
    browser.key("ArrowDown");
    let below = browser.eval(FOCUSED).as_i64().unwrap();
    assert!(below > 2, "{below}");
    browser.key("ArrowUp");
    assert_eq!(browser.eval(FOCUSED), 1);
    browser.key("Enter");
    assert_eq!(browser.eval("document.getElementById('zoom').open"), true);
    let said = browser.eval("document.getElementById('zoom').innerText");
    let said = said.as_str().unwrap();
    assert!(said.contains("reasoning") && said.contains("& <b>bold</b>."), "{said}");
    browser.key("ArrowRight");
    assert_eq!(browser.eval("state.open === state.found[2]"), true);
    browser.key("Escape");
    browser.eval("new Promise((done) => setTimeout(done, 50))");
    assert_eq!(browser.eval("document.getElementById('zoom').open"), false);
    assert_eq!(browser.eval(FOCUSED), 2);
}

/// The page's own outlines hold exactly the pixels of the run lengths.
fn masks(browser: &mut Browser) {
    let wrong = browser.eval(
        r#"(() => {
          const context = document.createElement("canvas").getContext("2d");
          let wrong = 0;
          for (const card of Object.values(data.cards).slice(0, 6)) {
            const [width, height] = card.size;
            const path = new Path2D(trace(data.masks[card.target], width, height));
            const inside = new Uint8Array(width * height);
            let at = 0;
            runLengths(data.masks[card.target]).forEach((n, i) => { inside.fill(i % 2, at, at + n); at += n; });
            if (at !== width * height) wrong += 1;
            for (let x = 0; x < width; x += 1) for (let y = 0; y < height; y += 3) {
              wrong += context.isPointInPath(path, x + 0.5, y + 0.5, "evenodd") !== (inside[x * height + y] === 1);
            }
          }
          // A square, and two pixels that touch at a corner.
          wrong += trace("6320004", 5, 5) !== "M1 1h3v3h-3v-3z";
          wrong += trace("0120", 2, 2) !== "M0 0h1v1h-1v-1zM1 1h1v1h-1v-1z";
          return wrong;
        })()"#,
    );
    assert_eq!(wrong, 0);
    let broken = "Promise.all([...document.images].map((i) => i.decode().then(() => i.naturalWidth)))\
                  .then((widths) => [widths.length, widths.filter((w) => w === 0).length])";
    let images = browser.eval(broken);
    assert!(images[0].as_u64().unwrap() > 0 && images[1] == 0, "{images}");
}

fn looks(browser: &mut Browser) {
    browser.eval("for (const node of document.querySelectorAll('details')) node.open = true");
    let [_, dark_ground] = browser.assert_legible(100);
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    browser.call("Emulation.setEmulatedMedia", dark);
    assert_eq!(browser.eval(GROUND), dark_ground, "the system's wish is heard");
    browser.assert_in_order();
    browser.assert_no_slips();
}
