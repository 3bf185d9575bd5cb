//! Bad input, from files to exit code: an error that names file, record and field, with advice and
//! nothing half-written; or, with `--skip-bad`, a counted and listed skip.
#![allow(clippy::unwrap_used)] // helpers of tests may

mod common;

use std::fs;
use std::path::Path;

use common::{Data, assert_refused, is_bare, prep, rows, segzero, text};
use segzero_datasets::{CocoSegmentation, Mask, Size};
use serde_json::{Value, json};

/// Refused without `--skip-bad`, leaving nothing; with it, `bad` records are listed and `left` rows
/// written.
fn refused_or_skipped(root: &Path, out: &Path, needles: &[&str], [bad, left]: [u64; 2]) {
    assert_refused(&prep(root, out, &[]), &[needles, &["--skip-bad"]].concat());
    assert!(is_bare(out), "{needles:?}: something was left in the output folder");

    let output = prep(root, out, &["--skip-bad"]);
    assert_eq!(output.status.code(), Some(0), "{needles:?}: {}", text(&output.stderr));
    assert!(text(&output.stdout).contains("skipped.jsonl"));
    let listed = fs::read_to_string(out.join("skipped.jsonl")).unwrap();
    let listed: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(listed.len() as u64, bad, "{listed:?}");
    for record in &listed {
        assert!(["file", "record", "reason"].iter().all(|field| record[field].is_string()));
    }
    let manifest: Value =
        serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["counts"]["skipped"]["bad"], bad);
    assert_eq!((&manifest["counts"]["written"], rows(out)), (&left.into(), left));
}

/// Refused whatever the flags, since nothing of the file can be used.
fn refused_whole(root: &Path, out: &Path, needles: &[&str]) {
    for flags in [&[][..], &["--skip-bad"]] {
        assert_refused(&prep(root, out, flags), needles);
        assert!(is_bare(out));
    }
}

/// Writes this segmentation for the first annotation that has polygons and is referred to; the
/// string "NaN" becomes the word, which JSON does not have. Returns the annotation's id.
fn spoil(data: &Data, segmentation: impl Fn(Vec<Vec<f64>>) -> Value) -> i64 {
    let annotations = data.scenes.iter().flat_map(|scene| &scene.annotations);
    let mut polygons = annotations.filter(|a| a.reference.is_some()).filter_map(|a| {
        let CocoSegmentation::Polygons(polygons) = &a.segmentation else { return None };
        Some((a.id, polygons.clone()))
    });
    let (id, polygons) = polygons.next().unwrap();
    let mut file: Value = serde_json::from_slice(&fs::read(data.instances()).unwrap()).unwrap();
    let annotations = file["annotations"].as_array_mut().unwrap();
    let annotation = annotations.iter_mut().find(|a| a["id"] == id).unwrap();
    annotation["segmentation"] = segmentation(polygons);
    fs::write(data.instances(), file.to_string().replace("\"NaN\"", "NaN")).unwrap();
    id
}

#[test]
fn bad_masks_are_named_or_skipped() {
    type Spoil = fn(Vec<Vec<f64>>) -> Value;
    let cases: [(Spoil, &str); 12] = [
        (|p| json!([["NaN", p[0]]]), "`NaN"),
        (|mut p| (p[0].push(3.0), json!(p)).1, "an odd number of coordinates"),
        (|mut p| (p[0][3] = 1e308, json!(p)).1, "not finite or is out of range"),
        (|_| json!([[1, 1, 2, 2]]), "fewer than three vertices"),
        (|_| json!([]), "the mask is empty"),
        (|_| json!([[1, 1, 1, 1, 1, 1]]), "the mask is empty"),
        (|_| json!({"size": [10, 20], "counts": [199, 2]}), "runs sum to 201 pixels"),
        (|_| json!({"size": [10, 20], "counts": "0zz"}), "byte 122 at position 1"),
        (|_| json!({"size": [10, 20], "counts": "0o"}), "ends inside a number"),
        (|_| json!({"size": [10, 20], "counts": [100, 100]}), "the mask is 20x10, its image"),
        (|_| json!({"size": [-1, 20], "counts": [0]}), "invalid value: integer `-1`"),
        (|_| json!("no mask"), "invalid type: string"),
    ];
    for (segmentation, reason) in cases {
        let data = Data::new(2);
        let id = spoil(&data, segmentation);
        let record = format!("annotation {id}");
        let mut needles = vec!["refcocog/instances.json`", record.as_str(), reason];
        if reason != "the mask is empty" {
            needles.push("field `segmentation`");
        }
        let left = data.refs_in_all() - 1;
        refused_or_skipped(&data.root(), &data.at("out"), &needles, [1, left]);
    }
}

#[test]
fn bad_images_are_named_or_skipped() {
    let name = |data: &Data| data.image(1).file_name().unwrap().to_str().unwrap().to_owned();
    let check = |spoil: fn(&Data), reason: &str| {
        let data = Data::new(2);
        spoil(&data);
        let (bad, left) = (data.refs_of(1), data.refs_of(0));
        let needles = [&*name(&data), "sample ", reason];
        refused_or_skipped(&data.root(), &data.at("out"), &needles, [bad, left]);
    };
    check(|data| fs::remove_file(data.image(1)).unwrap(), "the image does not exist");
    check(|data| fs::write(data.image(1), "<html>404</html>").unwrap(), "not an image");
    let cut_short = |data: &Data| {
        let jpeg = fs::read(data.image(1)).unwrap();
        fs::write(data.image(1), &jpeg[..jpeg.len() / 2]).unwrap();
    };
    check(cut_short, "JPEG: Premature end");
    let another = |data: &Data| {
        let mut file: Value = serde_json::from_slice(&fs::read(data.instances()).unwrap()).unwrap();
        file["images"][1]["width"] = 17.into();
        fs::write(data.instances(), file.to_string()).unwrap();
    };
    check(another, "its annotations (and masks) are for 17x");

    let data = Data::new(1);
    fs::remove_dir_all(data.at("data/images")).unwrap();
    assert_refused(&data.prep(&[]), &["was not found", "`--images DIR`"]);
}

#[test]
fn a_cut_pickle_is_refused_whole() {
    let data = Data::new(2);
    let pickle = fs::read(data.refs()).unwrap();
    fs::write(data.refs(), &pickle[..pickle.len() / 2]).unwrap();
    refused_whole(&data.root(), &data.at("out"), &["refs(umd).p`: byte ", "cut short"]);
}

#[test]
fn a_pickle_with_a_global_is_not_executed() {
    let data = Data::new(1);
    let proof = data.at("executed");
    let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", proof.display());
    fs::write(data.refs(), pickle).unwrap();
    let needles = ["refs(umd).p`", "`os.system`", "not executed", "load it in Python"];
    refused_whole(&data.root(), &data.at("out"), &needles);
    let predictions = data.at("predictions.jsonl");
    fs::write(&predictions, "").unwrap();
    let root = data.root();
    let [root, predictions] = [&root, &predictions].map(|path| path.to_str().unwrap());
    assert_refused(&segzero(["eval", "--root", root, "--pred", predictions]), &needles);
    assert_eq!(segzero(["inspect", root]).status.code(), Some(1));
    assert!(!proof.exists());
}

#[test]
fn parquet_of_other_columns_is_refused() {
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    let write = |path: &Path, columns: &str| {
        let schema = parse_message_type(&format!("message table {{ {columns} }}")).unwrap();
        let file = fs::File::create(path).unwrap();
        SerializedFileWriter::new(file, schema.into(), Default::default())
            .unwrap()
            .close()
            .unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("test.parquet"), folder.path().join("out"));
    write(&file, "optional binary picture (UTF8);");
    let missing = ["test.parquet`", "field `image`", "there are: picture", "the columns of"];
    refused_or_nothing(&file, &out, &missing);
    let image = "optional group image { optional binary bytes; optional binary path (UTF8); }";
    write(&file, &format!("{image} optional binary text (UTF8); optional int64 mask;"));
    let wrong = ["field `mask`", "expected a list of lists of booleans, found int64"];
    refused_or_nothing(&file, &out, &wrong);
    fs::write(&file, "PAR1 and no more").unwrap();
    refused_or_nothing(&file, &out, &["test.parquet`"]);
}

/// Refused; and with `--skip-bad` refused too, as nothing is left.
fn refused_or_nothing(root: &Path, out: &Path, needles: &[&str]) {
    assert_refused(&prep(root, out, &[]), needles);
    assert_refused(&prep(root, out, &["--skip-bad"]), &["no sample is left", "bad record: 1"]);
    assert!(is_bare(out));
}

/// A folder with an image of 20x10, masks of it, and a table of these lines.
fn table(name: &str, lines: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, mask: &Mask| {
        let mut png = Vec::new();
        mask.write_png(&mut png).unwrap();
        fs::write(folder.path().join(name), png).unwrap();
    };
    write("image.png", &Mask::full(Size::new(20, 10)));
    write("mask.png", &Mask::full(Size::new(20, 10)));
    write("empty.png", &Mask::empty(Size::new(20, 10)));
    write("turned.png", &Mask::full(Size::new(10, 20)));
    fs::write(folder.path().join(name), lines).unwrap();
    folder
}

#[test]
fn tables_of_other_columns_are_refused_whole() {
    for (header, needle) in [
        ("image,caption,mask", "found `caption` (did you mean `text`?)"),
        ("image,text,mask,spilt", "found `spilt` (did you mean `split`?)"),
        ("a,b", "field `image`"),
        ("", "field `image`"),
    ] {
        let folder = table("my.csv", &format!("{header}\nimage.png,x,mask.png\n"));
        let (file, out) = (folder.path().join("my.csv"), folder.path().join("out"));
        refused_whole(&file, &out, &["my.csv`: line 1", needle, "docs/own-masks.md"]);
    }
}

#[test]
fn bad_lines_of_a_table_are_named_or_skipped() {
    let good = r#"{"image": "image.png", "text": "x", "mask": "mask.png"}"#;
    for (bad, needles) in [
        (r#"{"image": "image.png", "text":"#, &["my.jsonl`: line 2", "EOF"][..]),
        (
            r#"{"image": "image.png", "text": 7, "mask": "mask.png"}"#,
            &["line 2", "field `text`", "found 7"],
        ),
        (
            r#"{"image": "image.png", "text": "x", "polygons": [[1, 2, 3]]}"#,
            &["line 2", "field `polygons`", "an odd number"],
        ),
        (r#"{"image": "image.png", "text": "x", "mask": "none.png"}"#, &["none.png`", "sample 2"]),
        (
            r#"{"image": "image.png", "text": "x", "mask": "empty.png"}"#,
            &["empty.png`: sample 2", "the mask is empty"],
        ),
        (
            r#"{"image": "image.png", "text": "x", "mask": "turned.png"}"#,
            &["turned.png`: sample 2", "the mask is 10x20, its image 20x10", "swapped?"],
        ),
        (
            r#"{"image": "image.png", "text": "x", "mask": "my.jsonl"}"#,
            &["my.jsonl`: sample 2", "expected a PNG or .npy mask"],
        ),
        (
            r#"{"image": "none.png", "text": "x", "mask": "mask.png"}"#,
            &["none.png`: sample 2", "the image does not exist"],
        ),
    ] {
        // As Windows writes it: a byte order mark, and carriage returns.
        let folder = table("my.jsonl", &format!("\u{feff}{good}\r\n{bad}\r\n{good}\r\n"));
        let (file, out) = (folder.path().join("my.jsonl"), folder.path().join("out"));
        refused_or_skipped(&file, &out, needles, [1, 2]);
    }
}

#[test]
fn bad_predictions_are_refused_or_counted() {
    let good = r#"{"key": "1", "size": [10, 20], "counts": [0, 200]}"#;
    let folder = table("my.csv", "image,text,mask\nimage.png,x,mask.png\nimage.png,y,mask.png\n");
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [root, predictions, scores] = ["my.csv", "pred.jsonl", "scores.json"].map(at);
    let eval = |lines: &str, flags: &[&str]| {
        fs::write(&predictions, lines).unwrap();
        let words = ["eval", "--root", &root, "--pred", &predictions, "--out", &scores];
        segzero(words.iter().chain(flags))
    };
    for (bad, needles) in [
        (r#"{"key": "2""#, &["pred.jsonl`: line 2", "EOF"][..]),
        (r#"{"key": "2", "counts": "00"}"#, &["line 2", "field `size`"]),
        (r#"{"key": "2", "size": [10, 20], "counts": "zz"}"#, &["line 2", "field `counts`"]),
        (r#"{"key": "2", "size": [10, 20], "counts": [5]}"#, &["line 2", "field `counts`", "sum"]),
    ] {
        let lines = format!("{good}\n{bad}\n");
        assert_refused(&eval(&lines, &[]), needles);
        assert!(!Path::new(&scores).exists() && !Path::new(&at("scores.json.part")).exists());
        let output = eval(&lines, &["--skip-bad"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        fs::remove_file(&scores).unwrap();
    }
    let strangers = eval(&good.replace("\"1\"", "\"stranger\""), &[]);
    assert_refused(&strangers, &["none of the 1 predictions", "`1`", "`stranger`"]);
    assert_refused(&eval("", &[]), &["there is no prediction", "docs/predictions.md"]);
    assert!(!Path::new(&scores).exists());
}

#[test]
fn a_prepared_set_has_no_masks_to_prepare_or_score() {
    let data = Data::new(2);
    assert!(data.prep(&[]).status.success());
    let set = data.at("out");
    let needles = ["prepared training set", "no masks", "--set"];
    assert_refused(&prep(&set, &data.at("again"), &[]), &needles);
    let words = ["eval", "--root", set.to_str().unwrap(), "--pred", "none"];
    assert_refused(&segzero(words), &needles);
    // A set that was prepared into a folder under the root does not stand in the way.
    let inside = data.root().join("prepared");
    assert!(prep(&data.root(), &inside, &[]).status.success());
    assert!(prep(&data.root(), &inside, &[]).status.success());
}
