//! `segzero inspect`: tables, JSON and exit codes.
#![allow(clippy::unwrap_used)] // helpers of tests may

mod common;

use std::fs;
use std::process::Output;

use common::{Data, assert_refused, segzero, text};
use serde_json::Value;

fn inspect(data: &Data, flags: &[&str]) -> Output {
    let root = data.root();
    segzero(["inspect", root.to_str().unwrap()].iter().chain(flags))
}

#[test]
fn a_clean_set_is_counted() {
    let data = Data::new(5);
    let output = inspect(&data, &[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty());
    assert!(stdout.starts_with("refcocog/umd  ") && stdout.ends_with("no problems\n"), "{stdout}");
    let total: Vec<&str> =
        stdout.lines().find(|l| l.contains("total")).unwrap().split_whitespace().collect();
    assert_eq!(total[1..3], ["5", &data.refs_in_all().to_string()]);

    let output = inspect(&data, &["--json", "--deep"]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let source = &report["sources"][0];
    assert_eq!((&source["label"], &source["total"]["images"]), (&"refcocog/umd".into(), &5.into()));
    assert_eq!(source["total"]["refs"], data.refs_in_all());
    assert_eq!(source["masks"]["rasterised"], data.refs_in_all());
    assert_eq!(report["overlaps"], Value::Array(vec![]));
}

#[test]
fn a_missing_image_is_a_problem() {
    let data = Data::new(3);
    fs::remove_file(data.image(0)).unwrap();
    let output = inspect(&data, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).ends_with("1 problem\n"));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("refcocog/umd: 1 missing images"), "{stderr}");
    assert!(stderr.contains(&data.scenes[0].file_name()), "{stderr}");
    let json: Value = serde_json::from_slice(&inspect(&data, &["--json"]).stdout).unwrap();
    assert_eq!(json["sources"][0]["missing_images"]["count"], 1);

    fs::remove_dir_all(data.at("data/images")).unwrap();
    let stderr = text(&inspect(&data, &[]).stderr);
    assert!(stderr.contains("3 missing images") && stderr.contains("`--images`"), "{stderr}");
}

#[test]
fn only_a_deep_look_sees_what_is_in_the_files() {
    let data = Data::new(2);
    fs::write(data.image(1), "no image").unwrap();
    assert_eq!(inspect(&data, &[]).status.code(), Some(0));
    let deep = inspect(&data, &["--deep"]);
    assert_eq!(deep.status.code(), Some(1));
    assert!(text(&deep.stderr).contains("1 unreadable images"), "{}", text(&deep.stderr));
}

#[test]
fn an_unreadable_file_is_told_with_advice() {
    let data = Data::new(2);
    fs::write(data.refs(), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let output = inspect(&data, &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("refs(umd).p`") && stderr.contains("Git LFS"), "{stderr}");
}

#[test]
fn nothing_to_inspect_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    assert_refused(&segzero(["inspect", &at("")]), &["no data set found", "README"]);
    assert_refused(&segzero(["inspect", &at("none")]), &["none`", "check that"]);
    fs::write(at("notes.txt"), "no data").unwrap();
    assert_refused(&segzero(["inspect", &at("notes.txt")]), &["notes.txt`", "refs(NAME).p"]);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_and_names_of_any_kind_are_walked() {
    use std::os::unix::ffi::OsStrExt;
    let data = Data::new(2);
    std::os::unix::fs::symlink("..", data.at("data/up")).unwrap();
    std::os::unix::fs::symlink("self", data.at("data/self")).unwrap();
    let odd = data.at("").join(std::ffi::OsStr::from_bytes(b"a+b c\xff\x1b[31m"));
    fs::rename(data.root(), &odd).unwrap();
    let output = segzero([std::ffi::OsStr::new("inspect"), odd.as_os_str()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert_eq!(stdout.matches("refcocog/umd").count(), 1, "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "names must not move the cursor");
}
