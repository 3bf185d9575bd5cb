//! `segzero prep`, as a user runs it: whole, interrupted, twice, and where it cannot write.
#![allow(clippy::unwrap_used)] // helpers of tests may

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Data, assert_refused, is_bare, prep, rows, text};

/// Every file under a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

#[test]
fn a_set_is_written_whole() {
    let data = Data::new(3);
    let output = data.prep(&["--count", "5"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("examples written"));
    let names: Vec<PathBuf> = files(&data.at("out")).into_keys().collect();
    let expected = [
        "data/train-00000-of-00001.parquet",
        "manifest.json",
        "provenance/train-00000-of-00001.jsonl",
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    assert_eq!(rows(&data.at("out")), 5);
}

#[test]
fn a_killed_run_goes_on_where_it_stopped() {
    let data = Data::new(6);
    // A shard an image, and images that take their time.
    let flags = ["--shard-rows", "1", "--threads", "1", "--size", "1200", "--png", "balanced"];
    let start = |out: &Path| -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segzero"));
        command.args(["prep", "--leaks", "allow", "--root"]).arg(data.root());
        command.arg("--out").arg(out).args(flags).stdout(Stdio::null()).spawn().unwrap()
    };
    let uninterrupted = data.at("uninterrupted");
    assert!(start(&uninterrupted).wait().unwrap().success());
    // Should this machine sleep just when the process is to be killed, another try will do.
    let killed = (0..5).map(|attempt| data.at(&format!("killed-{attempt}"))).find(|out| {
        let mut child = start(out);
        let first = out.join("data/train-00000-of-00006.parquet");
        while !first.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        first.exists() && !out.join("manifest.json").exists()
    });
    let killed = killed.expect("a run that is killed after its first shard");
    assert_ne!(files(&killed), files(&uninterrupted));
    assert!(start(&killed).wait().unwrap().success());
    assert!(files(&killed) == files(&uninterrupted), "the files differ");
}

#[test]
fn other_options_in_the_same_folder_are_refused() {
    let data = Data::new(2);
    assert!(data.prep(&[]).status.success());
    let before = files(&data.at("out"));
    let needles = ["holds another set", "`options.select.seed` was 42, now it is 1", "--overwrite"];
    assert_refused(&data.prep(&["--seed", "1"]), &needles);
    assert!(files(&data.at("out")) == before);
    assert!(data.prep(&["--seed", "1", "--overwrite"]).status.success());

    let foreign = data.at("foreign");
    fs::create_dir_all(foreign.join("data")).unwrap();
    fs::write(foreign.join("data/mine.txt"), "mine").unwrap();
    let output = prep(&data.root(), &foreign, &["--overwrite"]);
    assert_refused(&output, &["holds files that segzero did not make"]);
    assert_eq!(files(&foreign).len(), 1);
}

#[test]
fn a_dry_run_writes_nothing() {
    let data = Data::new(2);
    let output = data.prep(&["--dry-run"]);
    assert!(output.status.success());
    let stdout = text(&output.stdout);
    assert!(stdout.contains("nothing was written") && stdout.contains("size, estimated"));
    assert!(!data.at("out").exists());
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let data = Data::new(1);
    fs::create_dir_all(data.at("out/.segzero-prep")).unwrap();
    // What the other run holds as long as it lives.
    let lock = fs::File::create(data.at("out/.segzero-prep/lock")).unwrap();
    lock.lock().unwrap();
    let before = files(&data.at("out"));
    assert_refused(&data.prep(&[]), &["another run is writing into", "wait until it is done"]);
    assert_refused(&data.prep(&["--overwrite"]), &["another run is writing into"]);
    assert!(files(&data.at("out")) == before);
    drop(lock);
    assert!(data.prep(&[]).status.success());
    assert!(!data.at("out/.segzero-prep").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let data = Data::new(1);
    fs::write(data.at("file"), "").unwrap();
    for out in ["file", "file/below"] {
        let output = prep(&data.root(), &data.at(out), &[]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("could not write `") && stderr.contains(out), "{stderr}");
    }
    assert_eq!(fs::read(data.at("file")).unwrap(), b"");
}

/// A limit on the size of files stands in for a full disk, which needs rights to make.
#[cfg(unix)]
#[test]
fn a_disk_without_room_leaves_nothing_half_written() {
    let data = Data::new(2);
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"";
    let [root, out] = ["data", "out"].map(|name| data.at(name).to_str().unwrap().to_owned());
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_segzero"), "prep", "--leaks", "allow"])
        .args(["--root", &root, "--out", &out])
        .output()
        .unwrap();
    let needles = ["could not write `", "train-00000-of-00001.parquet`", "free some space"];
    assert_refused(&output, &needles);
    assert!(!data.at("out/data").exists() && !data.at("out/manifest.json").exists());

    let again = data.prep(&["--overwrite"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(rows(&data.at("out")), data.refs_in_all());
    assert!(!is_bare(&data.at("out")));
}
