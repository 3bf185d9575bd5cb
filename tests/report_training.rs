//! `segzero report` of trainings, and its page in a real browser.
#![allow(clippy::unwrap_used)] // helpers of tests may, as tests may

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use browser::Browser;
use common::{Data, assert_refused, segzero, text};

const MODEL: &str = "tests/fixtures/pipeline/qwen";

/// Two trainings of the fixture: `grpo` of two steps, `sft` of three.
fn trained() -> Data {
    let data = Data::new(8);
    let at = |name: &str| data.at(name).to_str().unwrap().to_owned();
    assert!(data.prep(&["--split", "train"]).status.success());
    let runs: [(&str, &[&str]); 2] = [
        ("grpo", &["--max-steps", "2", "--num-generations", "3", "--max-completion-length", "24"]),
        ("sft", &["--max-steps", "3"]),
    ];
    for (kind, flags) in runs {
        let (set, out) = (at("out"), at(kind));
        let fixed = ["train", kind, "--model", MODEL, "--set", &set, "--out", &out, "--quiet"];
        let size = ["--rollout-batch-size", "4"];
        let output = segzero(fixed.iter().chain(&size).chain(flags));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    data
}

fn report(runs: &[&Path], out: &Path, flags: &[&str]) -> Output {
    let paths = runs.iter().map(|path| path.to_str().unwrap());
    let out = ["--out", out.to_str().unwrap()];
    segzero(["report"].into_iter().chain(paths).chain(out).chain(flags.iter().copied()))
}

#[test]
fn trainings_are_drawn_and_written_as_tables() {
    let data = trained();
    let [grpo, sft, out] = ["grpo", "sft", "report"].map(|name| data.at(name));
    let output = report(&[&grpo, &sft], &out, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("2 runs, 5 logged steps in "));
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("report.csv").lines().count(), 1 + 2 + 3);
    let kept = fs::read_to_string(grpo.join("samples.jsonl")).unwrap().lines().count();
    let head = "run,step,key,question,reply,score,advantage,bbox_iou,";
    assert!(kept > 0 && read("report-samples.csv").starts_with(head));
    assert!(read("report.md").contains("| training | grpo | sft |"));
    let names = ["score", "reward-think", "reward-point_l1", "length", "loss-sft", "kl", "time-2"];
    for name in names.map(|name| format!("report-{name}")) {
        assert!(read(&format!("{name}.svg")).starts_with("<svg "));
        assert_eq!(fs::read(out.join(format!("{name}.png"))).unwrap()[1..4], *b"PNG");
    }
    let html = read("index.html");
    assert!(html.contains("report-loss-grpo.svg") && html.contains("grpo: GRPO, step 2; sft: SFT"));
    let before = html;
    assert!(report(&[&grpo, &sft], &out, &[]).status.success());
    assert_eq!(before, read("index.html"));
    // The page alone.
    let page = data.at("page/one.html");
    assert!(report(&[&sft], &page, &[]).status.success());
    assert_eq!(fs::read_dir(data.at("page")).unwrap().count(), 1);

    refusals(&data);
    if let Some(mut browser) = Browser::start() {
        browser.resize(1280, 900);
        browser.open(&out.join("index.html"));
        replies(&mut browser, kept);
        looks(&mut browser);
        browser.open(&page);
        assert_eq!(browser.eval("document.getElementById('controls').hidden"), true);
        assert_eq!(browser.complaints, [""; 0]);
    }
}

fn refusals(data: &Data) {
    let [grpo, sft, out] = ["grpo", "sft", "refused"].map(|name| data.at(name));
    let set = data.at("out");
    assert_refused(&report(&[&grpo, &set], &out, &[]), &["is no folder of a training"]);
    assert_refused(&report(&[&grpo], &out, &["--formats", "tex"]), &["not written as tex"]);
    assert_refused(&report(&[&sft], &out, &["--names", "a,b"]), &["2 names for 1 runs"]);
    let log = sft.join("log.jsonl");
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, whole.replacen('}', "", 1)).unwrap();
    assert_refused(&report(&[&sft], &out, &[]), &["log.jsonl`, line 1, is damaged"]);
    fs::write(&log, "").unwrap();
    assert_refused(&report(&[&sft], &out, &[]), &["holds no step: nothing was logged yet"]);
    assert!(!out.exists(), "nothing is left behind");
    fs::write(&log, whole).unwrap();
}

fn replies(browser: &mut Browser, kept: usize) {
    assert_eq!(browser.text_of("count"), format!("{kept} replies"));
    browser.set("step", "2");
    assert_eq!(browser.text_of("step-name"), "2");
    assert_eq!(browser.eval("state.found.every((i) => samples[i].step === 2)"), true);
    assert_ne!(browser.text_of("count"), format!("{kept} replies"));
    browser.set("step", "0");
    browser.set("search", "no such word");
    assert_eq!(browser.text_of("count"), format!("0 of {kept} replies"));
    let key = browser.eval("samples[1].key").as_str().unwrap().to_owned();
    browser.set("search", &key);
    assert_eq!(browser.eval("state.found.includes(1)"), true);
    browser.set("search", "");
    browser.set("run", "1");
    assert_eq!(browser.text_of("count"), format!("0 of {kept} replies"), "SFT keeps none");
    browser.set("run", "");
    browser.set("sort", "length-");
    let is_sorted = "state.found.every((s, i, all) => !i || \
                     samples[all[i - 1]].reply.length >= samples[s].reply.length)";
    assert_eq!(browser.eval(is_sorted), true);
    // Thinking and answer are set apart, and nothing is lost.
    let parts = browser.eval("reply('a <think>b <i>c</i></think><answer>[]</answer> d').innerText");
    let parts = parts.as_str().unwrap();
    for words in ["thinking", "b <i>c</i>", "answer", "[]", "outside of the tags", "a", "d"] {
        assert!(parts.contains(words), "{words}: {parts}");
    }
    browser.eval("document.activeElement.blur()");
    browser.key("/");
    assert_eq!(browser.eval("document.activeElement.id"), "search");
    let focused = "[...document.querySelectorAll('article')].indexOf(document.activeElement)";
    for _ in 0..5 {
        browser.key("Tab");
        if browser.eval(focused) == 0 {
            break;
        }
    }
    assert_eq!(browser.eval(focused), 0);
    browser.key("ArrowRight");
    assert_eq!(browser.eval(focused), 1);
    browser.key("Enter");
    assert_eq!(browser.eval("document.activeElement.classList.contains('open')"), true);
    browser.key("ArrowLeft");
    assert_eq!(browser.eval(focused), 0);
}

fn looks(browser: &mut Browser) {
    let seen = "[...document.querySelectorAll('#settings-table tbody tr')]\
                .filter((row) => row.checkVisibility()).map((row) => row.className)";
    let rows = browser.eval(seen);
    assert!(
        rows.as_array().unwrap().iter().all(|class| class == "differs") && rows[0] == "differs"
    );
    browser.eval("document.getElementById('differing').click()");
    assert!(browser.eval(seen).as_array().unwrap().iter().any(|class| class == ""));
    browser.assert_legible(100);
    browser.assert_in_order();
    browser.assert_no_slips();
    assert_eq!(browser.requests.iter().filter(|url| !url.starts_with("file:")).count(), 0);
}
