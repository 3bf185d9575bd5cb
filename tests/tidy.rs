//! Style that a machine can check, and the direction of the crates' dependencies.
#![allow(clippy::unwrap_used)] // clippy lets `#[test]` functions unwrap, but not their helpers

use std::fs;
use std::path::{Path, PathBuf};

/// Longest function and file that still reads well (TigerBeetle's and the anchors' measure).
const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rust sources of the workspace, tests and benches included.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Tests may be long lists of cases.
fn is_test(path: &Path) -> bool {
    let inside = path.strip_prefix(root()).unwrap();
    inside.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "benches")
        || path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn starts_function(line: &str) -> bool {
    let mut line = line.trim_start();
    let qualifiers =
        ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe ", "extern \"C\" "];
    while let Some(rest) = qualifiers.iter().find_map(|q| line.strip_prefix(q)) {
        line = rest;
    }
    line.starts_with("fn ")
}

/// rustfmt closes a function with `}` at the indentation of its `fn`, so no parser is needed.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| starts_function(line)) {
        let end = lines[start..]
            .iter()
            .position(|l| l.trim_start().starts_with('}') && indent(l) == indent(line));
        let length = end.map_or(0, |end| end + 1);
        if length > FUNCTION_LINES && !line.trim_end().ends_with(';') {
            found.push((start + 1, length));
        }
    }
    found
}

#[test]
fn functions_and_files_stay_readable() {
    let mut faults = Vec::new();
    for path in sources().iter().filter(|path| !is_test(path)) {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display();
        let lines = text.lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{name}: {lines} lines"));
        }
        for (line, length) in long_functions(&text) {
            faults.push(format!("{name}:{line}: a function of {length} lines"));
        }
    }
    assert!(faults.is_empty(), "split these:\n{}", faults.join("\n"));
}

#[test]
fn the_length_check_sees_a_long_function() {
    let body = "    let _ = 1;\n".repeat(FUNCTION_LINES);
    assert_eq!(long_functions(&format!("pub fn f() {{\n{body}}}\n")), [(1, FUNCTION_LINES + 2)]);
    assert!(long_functions("fn f() {\n}\n").is_empty());
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled in two halves, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut faults = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "finish these:\n{}", faults.join("\n"));
}

/// Names under `[dependencies]` of a crate's manifest.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[").find(|s| s.starts_with("dependencies]")).unwrap();
    let names = section.lines().skip(1).filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn crates_look_upstream_only() {
    let allowed: [(&str, &[&str]); 7] = [
        ("datasets", &[]),
        ("prep", &["segzero-datasets"]),
        ("eval", &["segzero-datasets", "segzero-prep"]),
        ("reports", &["segzero-datasets", "segzero-prep", "segzero-eval"]),
        ("model", &["segzero-datasets", "segzero-prep"]),
        ("train", &["segzero-datasets", "segzero-prep", "segzero-eval", "segzero-model"]),
        ("python", &["segzero-datasets", "segzero-prep", "segzero-eval"]),
    ];
    for (folder, upstream) in allowed {
        for name in dependencies(folder) {
            let names_burn = name.starts_with("burn") && !["model", "train"].contains(&folder);
            assert!(!names_burn, "only the crates of networks may name Burn, not {folder}");
            assert!(
                !name.starts_with("segzero") || upstream.contains(&name.as_str()),
                "{folder} must not depend on {name}"
            );
        }
    }
}

#[test]
fn readme_and_ci_run_the_same_tests() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    let command = "cargo test --release --workspace";
    assert!(readme.contains(command) && ci.contains(command));
}
