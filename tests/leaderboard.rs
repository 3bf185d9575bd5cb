//! `segzero leaderboard`.
#![allow(clippy::unwrap_used)] // helpers of tests may

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{segzero, text};
use segzero_eval::{Problems, Protocol, Provenance, Run, Scores};

fn leaderboard(flags: &[&str]) -> Output {
    segzero([&["leaderboard"], flags].concat())
}

/// The standard output of a run that must succeed.
fn shown(flags: &[&str]) -> String {
    let output = leaderboard(flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(!shown.contains("NaN"), "{shown}");
    shown
}

/// What stderr says where the command must fail.
fn refused(flags: &[&str]) -> String {
    let output = leaderboard(flags);
    assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// A file as `segzero eval --out` writes it, of a thousand samples with this IoU in thousandths.
fn scores(folder: &Path, name: &str, data: &str, split: &str, iou: u64) -> String {
    let row = |i: u64| {
        let row = serde_json::json!({
            "dataset": data, "split": split, "key": i.to_string(), "query": null, "text": "a thing",
            "image": "1", "status": "scored", "intersection": iou, "union": 1000,
            "iou": iou as f64 / 1000.0,
        });
        serde_json::from_value(row).unwrap()
    };
    let scores =
        Scores::new((0..1000).map(row).collect(), Protocol::default(), Problems::default());
    let provenance = Provenance {
        data: data.to_owned(),
        split: Some(split.to_owned()),
        complete: true,
        ..Provenance::default()
    };
    let path = folder.join(name);
    Run { provenance, scores }.write(fs::File::create(&path).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_table_of_the_paper_is_one_command() {
    let expected = "
                       val    val   test  test
method                gIoU   cIoU   gIoU  cIoU  protocol  source
Qwen2.5-VL-3B + SAM2  53.8   44.1   47.6  37.4  seg-zero  [1]
Seg-Zero-3B           62.6!  58.5!  56.1  48.6  seg-zero  [1] a
Seg-Zero-7B           62.6   62.0   57.5  52.0  seg-zero  [1]

3 rows in the paper's order, percent; sources: (P) the method's own, (S) another's, (U) unverified
! fails a check, see its note and `segzero leaderboard --check`
 a  ! values in conflict: val-giou 58.2 or 62.6, val-ciou 53.1 or 58.5
 [1] Seg-Zero paper Table 6 (P)
";
    assert_eq!(format!("\n{}", shown(&["--table", "6"])), expected);
    for (number, figure) in
        [("1", "44.9"), ("2", "69.6"), ("3", "54.1"), ("4", "73.0"), ("5", "37.2"), ("7", "79.3")]
    {
        let table = shown(&["--table", number]);
        assert!(
            table.contains(figure) && table.contains(&format!("Table {number} (P)")),
            "{table}"
        );
    }
}

#[test]
fn every_board_fits_a_terminal() {
    assert!(shown(&[]).contains("segzero leaderboard --table 6"));
    for set in ["refcoco", "refcoco+", "refcocog", "grefcoco", "reasonseg"] {
        let board = shown(&["--set", set]);
        let table = board.split("\n\n").next().unwrap();
        let widest = table.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 120, "{set}: {widest}");
    }
}

#[test]
fn one_partition_is_a_board_of_its_own() {
    let google = shown(&["--set", "refcocog/google"]);
    assert!(google.contains("LAVT") && google.contains("60.50") && !google.contains("LISA"));
    assert!(!google.contains("google split"), "there is nothing else beside it: {google}");
    let umd = shown(&["--set", "refcocog/umd"]);
    assert!(!umd.contains("60.50") && !umd.contains("ReSTR"), "{umd}");
}

#[test]
fn a_run_is_ranked_among_the_published_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mine = scores(folder.path(), "mine.json", "reasonseg", "test", 575);
    let board = shown(&["--run", &mine]);
    let line = board.lines().find(|line| line.contains("> mine (n = 1000)")).unwrap();
    let twin = board.lines().find(|line| line.contains(" Seg-Zero-7B  ")).unwrap();
    let rank = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    assert_eq!(rank(line), rank(twin));
    assert!(line.contains("57.50") && line.contains("default"), "{line}");
    let table = shown(&["--run", &mine, "--table", "6"]);
    assert!(table.contains("> mine (n = 1000)"), "{table}");

    let name = format!("{}.json", "long-".repeat(20));
    let long = scores(folder.path(), &name, "reasonseg", "test", 600);
    let board = shown(&["--run", &long, "--set", "reasonseg"]);
    let line = board.lines().find(|line| line.contains("\u{2026} (n = 1000)")).unwrap();
    assert!(line.contains("> long-") && line.chars().count() <= 120, "{line}");

    // A set under a name of one's own is placed by the flags.
    let copy = scores(folder.path(), "copy.json", "my copy", "all", 900);
    assert!(refused(&["--run", &copy]).contains("field `data`: expected a set of the boards"));
    let board = shown(&["--run", &copy, "--set", "reasonseg", "--split", "val"]);
    assert!(board.lines().nth(2).unwrap().starts_with(" 1  > copy"), "{board}");

    let other = scores(folder.path(), "other.json", "refcocog/umd", "val", 700);
    let message = refused(&["--run", &mine, "--run", &other]);
    assert!(message.contains("was scored on refcocog val"), "{message}");
    let message = refused(&["--run", &other, "--table", "6"]);
    assert!(message.contains("no column"), "{message}");
    let impossible = scores(folder.path(), "impossible.json", "reasonseg", "test", 1200);
    let board = shown(&["--run", &impossible]);
    assert!(board.contains("! test-giou: 120.00 is not between 0 and 100"), "{board}");
    let edited = fs::read_to_string(&mine).unwrap().replacen("\"giou\":0.575", "\"giou\":0.9", 1);
    fs::write(&mine, edited).unwrap();
    assert!(refused(&["--run", &mine]).contains("field `summary.giou`: expected 0.575, which its"));
}

#[test]
fn other_formats_hold_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--set", "reasonseg", "--split", "test", "--metric", "giou"];
    let with = |format: &str| shown(&[&flags[..], &["--format", format]].concat());
    assert!(with("markdown").contains("| 2 | AnchorSeg-13B |"), "{}", with("markdown"));
    assert!(with("latex").contains("\\begin{tabular}{rlrrrll}"), "{}", with("latex"));
    let json: serde_json::Value = serde_json::from_str(&with("json")).unwrap();
    assert_eq!(json["columns"].as_array().unwrap().len(), 3);

    let path = folder.path().join("figures.csv");
    let path = path.to_str().unwrap();
    let out = shown(&[&flags[..], &["--format", "csv", "--out", path]].concat());
    assert!(out.is_empty());
    let checked = shown(&["--check", path]);
    assert!(checked.starts_with("reasonseg test, SESAME, gIoU: implies 237 to 283"), "{checked}");
    assert!(!checked.contains("cIoU"));
}

#[test]
fn checks_fail_only_if_asked() {
    let output = leaderboard(&["--check"]);
    let found = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for said in [
        "LISA-7B, cIoU: overall 34.1 is not between short 34.4 and long 34.7",
        "X-SAM, gIoU: overall 57.8 is not between short 47.7 and long 56.0",
        "SESAME, gIoU: implies 237 to 283 short queries of 779, the other rows 187 to 190",
        "refcocog/umd test, LISA-7B, cIoU: conflicting values: 68.4",
    ] {
        assert!(found.contains(said), "{said}\n{found}");
    }
    assert_eq!(leaderboard(&["--check", "--strict"]).status.code(), Some(1));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.csv");
    let path = file.to_str().unwrap();
    let head = "set,split,method,metric,value,source,status\n";
    fs::write(&file, format!("{head}refcoco,val,a,ciou,70.1,x,P\n")).unwrap();
    let output = leaderboard(&["--check", path, "--strict"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "1 figures checked, 0 findings\n");
    fs::write(&file, format!("{head}refcoco,val,a,ciou,seventy,x,P\n")).unwrap();
    let message = refused(&["--check", path]);
    assert!(message.contains("own.csv`: line 2: field `value`: expected a number"), "{message}");
    assert!(message.contains("hint: docs/leaderboard.md"), "{message}");
    fs::write(&file, head).unwrap();
    assert!(refused(&["--check", path]).contains("no figure to check"));
}

#[test]
fn names_that_are_not_there_are_answered_with_those_that_are() {
    for (flags, said) in [
        (&["--set", "cityscapes"][..], "hint: there are refcoco, refcoco+, refcocog"),
        (&["--set", "refcoco", "--split", "test"], "its splits are testA, testB, val"),
        (&["--table", "9"], "hint: there are 1, 2, 3, 4, 5, 6, 7,"),
        (
            &["--set", "reasonseg", "--sort", "speed"],
            "there are val-giou, val-ciou, test-short-giou",
        ),
        (&["--run", "absent.json"], "check that `absent.json` exists"),
    ] {
        let message = refused(flags);
        assert!(message.contains(said), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.json");
    for content in ["", "[]", "{\"data\": 3}", "{\"data\": \"reasonseg\", \"summary\": {\"n\": 0}}"]
    {
        fs::write(&broken, content).unwrap();
        let message = refused(&["--run", broken.to_str().unwrap()]);
        assert!(message.contains("broken.json`") && message.contains("hint: "), "{message}");
    }
}
