//! Tables of one's own: CSV and JSONL, good and bad.
#![allow(clippy::unwrap_used)] // clippy exempts test functions only, not their helpers

use std::fs;
use std::path::Path;

use segzero_datasets::{
    CocoSegmentation, Error, FillRegime, Format, Geometry, ImageSource, Mask, ReadOptions, Sample,
    Size, discover,
};

/// Reads a table of these bytes, and the folder it stood in.
fn try_read(name: &str, table: impl AsRef<[u8]>) -> Vec<Result<Sample, Error>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, table).unwrap();
    let found = discover(&path).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].format, Format::Table);
    match found[0].samples(&ReadOptions::default()) {
        Ok(samples) => samples.collect(),
        Err(error) => vec![Err(error)],
    }
}

fn read(name: &str, table: impl AsRef<[u8]>) -> Vec<Sample> {
    try_read(name, table).into_iter().map(|sample| sample.unwrap()).collect()
}

/// The message of the first error.
fn fault(name: &str, table: impl AsRef<[u8]>) -> String {
    let all = try_read(name, table);
    all.into_iter().find_map(Result::err).unwrap().to_string()
}

fn texts(sample: &Sample) -> Vec<&str> {
    sample.queries.iter().map(|query| query.text.as_str()).collect()
}

/// COCO's documentation square: 5x5, area 9.
fn square() -> Mask {
    Mask::from_coco_string(Size::new(5, 5), b"6320004").unwrap()
}

fn target(sample: &Sample) -> Mask {
    sample.geometry.rasterize(Size::new(5, 5), FillRegime::default()).unwrap().target
}

/// The first fenced block of this language in the recipe for one's own masks.
fn recipe(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/own-masks.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_tables_of_the_recipe_are_read() {
    let samples = read("my.csv", recipe("csv"));
    assert_eq!(
        samples.iter().map(|s| s.key.as_str()).collect::<Vec<_>>(),
        ["cup-1", "knife-1", "dog-1"]
    );
    assert_eq!(texts(&samples[0]), ["the red cup on the left", "the mug next to the sink"]);
    assert_eq!(&*samples[2].split, "val");
    let samples = read("my.jsonl", recipe("jsonl"));
    assert_eq!(samples.len(), 3);
    assert_eq!(target(&samples[1]), square());
}

#[test]
fn csv_in_every_form_of_mask() {
    let table = concat!(
        "id,image,text,split,category,mask,rle,polygons,width,height\n",
        "a,photos/1.jpg,the dog,train,dog,masks/1.png,,,,\n",
        "b,/data/2.jpg,the cat,val,,,6320004,,5,5\n",
        "c,3.jpg,the bird,val,,,\"{\"\"size\"\": [5, 5], \"\"counts\"\": \"\"6320004\"\"}\",,,\n",
        "d,4.jpg,the fish,val,,,\"{\"\"size\"\":[5,5],\"\"counts\"\":[6,3,2,3,2,3,6]}\",,,\n",
        "e,5.jpg,the worm,val,,,,\"[[1, 1, 4, 1, 4, 4, 1, 4]]\",,\n",
        "f,6.jpg,nothing,val,,,,[],,\n",
    );
    let samples = read("mine.csv", table);
    assert_eq!(samples.iter().map(|s| s.key.as_str()).collect::<String>(), "abcdef");
    let [a, b, c, d, e, f] = &samples[..] else { panic!("{}", samples.len()) };
    assert_eq!((&*a.dataset, &*a.split, texts(a)), ("mine", "train", vec!["the dog"]));
    assert_eq!((a.categories[0].as_str(), a.image.file_name.as_str()), ("dog", "1.jpg"));
    assert!(matches!(&a.image.source, ImageSource::File(path) if path.ends_with("photos/1.jpg")));
    let ImageSource::File(absolute) = &b.image.source else { panic!() };
    assert_eq!(absolute, Path::new("/data/2.jpg"));
    assert!(matches!(&a.geometry, Geometry::File(path) if path.ends_with("masks/1.png")));
    assert_eq!((a.image.size, b.image.size), (None, Some(Size::new(5, 5))));
    for sample in [b, c, d, e] {
        assert_eq!(target(sample), square(), "{}", sample.key);
    }
    assert!(target(f).is_empty());
    assert_eq!(b.query_key(&b.queries[0]), "b", "a single text needs no number");
}

#[test]
fn jsonl_in_every_form_of_mask() {
    let table = concat!(
        r#"{"image": "1.jpg", "text": "the dog", "mask": "1.npy", "note": {"mine": true}}"#,
        "\n\n",
        r#"{"image": "1.jpg", "texts": ["a", "b"], "rle": "6320004", "width": 5, "height": 5}"#,
        "\n",
        r#"{"id": 7, "image": "1.jpg", "text": "c", "rle": {"size": [5, 5], "counts": "6320004"}}"#,
        "\n",
        r#"{"id": "x", "image": "1.jpg", "text": "d", "polygons": [[1, 1, 4, 1, 4, 4.0, 1, 4]]}"#,
    );
    let samples = read("mine.jsonl", table);
    let keys: Vec<_> = samples.iter().map(|s| s.key.as_str()).collect();
    assert_eq!(keys, ["1", "2", "7", "x"], "rows without an id are numbered");
    assert!(samples.iter().all(|sample| &*sample.split == "train"));
    assert!(matches!(&samples[0].geometry, Geometry::File(path) if path.ends_with("1.npy")));
    assert_eq!(texts(&samples[1]), ["a", "b"]);
    assert_eq!(samples[1].query_key(&samples[1].queries[1]), "2:1");
    for sample in &samples[1..] {
        assert_eq!(target(sample), square(), "{}", sample.key);
    }
    assert!(matches!(&samples[3].geometry, Geometry::Coco(parts)
        if matches!(parts[..], [CocoSegmentation::Polygons(_)])));
}

#[test]
fn rows_of_one_id_are_one_sample() {
    let table = concat!(
        "id,image,text,polygons\n",
        "1,a.jpg,first,[]\n1,,second,\n1,a.jpg,third,[]\n2,b.jpg,other,[]\n",
    );
    let samples = read("t.csv", table);
    assert_eq!(samples.len(), 2);
    assert_eq!(texts(&samples[0]), ["first", "second", "third"]);
    assert_eq!(texts(&samples[1]), ["other"]);

    let table = "id,split,image,text,polygons\n1,val,a.jpg,first,[]\n1,,,second,\n";
    let samples = read("t.csv", table);
    assert_eq!((&*samples[0].split, texts(&samples[0])), ("val", vec!["first", "second"]));

    let table = "id,image,text,polygons\n1,a.jpg,first,[]\n1,,second,\n1,,third,\n2,b.jpg,x,[]\n"
        .to_owned()
        + "1,a.jpg,late,[]\n";
    let message = fault("t.csv", &table);
    assert!(message.contains("line 6: field `id`: expected rows of one id to follow"), "{message}");
    assert_eq!(try_read("t.csv", &table).iter().filter(|s| s.is_ok()).count(), 2);

    let table = "id,image,text,polygons\n1,a.jpg,first,[]\n1,b.jpg,second,\n";
    let message = fault("t.csv", table);
    assert!(message.contains("line 3: field `image`: expected the image of line 2"), "{message}");
}

#[test]
fn the_same_id_in_two_splits_is_two_samples() {
    let table = "id,split,image,text,polygons\n1,train,a.jpg,x,[]\n1,val,a.jpg,x,[]\n";
    let samples = read("t.csv", table);
    assert_eq!(samples.iter().map(|s| &*s.split).collect::<Vec<_>>(), ["train", "val"]);
}

#[test]
fn byte_order_mark_line_ends_separators_and_quotes() {
    let plain = "image,text,polygons\na.jpg,\"two\nlines, \"\"quoted\"\"\",[]\nb.jpg,x,[]\n";
    let expected: Vec<_> = read("t.csv", plain).iter().map(|s| texts(s)[0].to_owned()).collect();
    assert_eq!(expected, ["two\nlines, \"quoted\"", "x"]);
    let variants = [
        format!("\u{feff}{plain}"),
        plain.replace("]\n", "]\r\n").replace("ons\n", "ons\r\n"),
        plain
            .replace("text,", "text;")
            .replace("image,", "image;")
            .replace("g,", "g;")
            .replace(",[]", ";[]"),
        plain
            .replace("text,", "text\t")
            .replace("image,", "image\t")
            .replace("g,", "g\t")
            .replace(",[]", "\t[]"),
    ];
    for table in variants {
        let found: Vec<_> = read("t.csv", &table).iter().map(|s| texts(s)[0].to_owned()).collect();
        assert_eq!(found, expected, "{table:?}");
    }
    let line = r#"{"image": "a.jpg", "text": "é", "polygons": []}"#;
    assert_eq!(texts(&read("t.jsonl", format!("\u{feff}{line}\r\n\r\n"))[0]), ["é"]);
}

#[test]
fn columns_that_are_meant_are_suggested() {
    let cases = [
        ("img,text,mask", "line 1: field `image`: expected a column `image`, found `img`"),
        ("image,Text,mask", "field `text`: expected a column `text`, found `Text` (did you mean"),
        ("image,caption,mask", "found `caption` (did you mean `text`?)"),
        ("image,text,mask_path", "found `mask_path` (did you mean `mask`?)"),
        ("image,text,polygon", "found `polygon` (did you mean `polygons`?)"),
        ("image,text,mask,spilt", "field `split`: expected a column `split`, found `spilt`"),
        ("image,text,rle,width,hieght", "expected a column `height`, found `hieght`"),
        ("image,text", "field `mask`: one of `mask`, `rle`, `polygons` (there are: image, text)"),
        ("a,b", "field `image`: the column (there are: a, b) is missing"),
    ];
    for (header, expected) in cases {
        let message = fault("t.csv", format!("{header}\n"));
        assert!(message.contains(expected), "{header}\n  {message}\n  {expected}");
    }
    let ours = "image,text,mask,weight,notes,img_id\na.jpg,x,m.png,1,y,z\n";
    assert_eq!(read("t.csv", ours).len(), 1, "other columns are the user's own");

    let message = fault("t.jsonl", r#"{"image": "a.jpg", "caption": "x", "mask": "m.png"}"#);
    assert!(message.contains("line 1: field `text`: expected a column `text`, found `caption`"));
    let message = fault("t.jsonl", r#"{"id": 1, "img": "a.jpg", "text": "x", "mask": "m.png"}"#);
    assert!(message.contains("did you mean `image`?"), "{message}");
}

#[test]
fn faults_name_line_and_field() {
    let cases = [
        (r#""image": "a", "text": """#, "field `text`: its value is missing"),
        (r#""image": "a", "text": 3"#, "field `text`: expected a string, found 3"),
        (r#""image": "a", "texts": "x""#, "field `texts`: expected a list of strings"),
        (r#""image": "a", "texts": ["x", ""]"#, "field `texts`: expected texts that are not empty"),
        (r#""image": "", "text": "x", "polygons": []"#, "field `image`: its value is missing"),
        (r#""image": "a", "text": "x""#, "field `mask`: a value in `mask`, `rle` or `polygons`"),
        (
            r#""image": "a", "text": "x", "mask": "m.png", "polygons": []"#,
            "field `polygons`: expected one of `mask`, `rle`, `polygons`, found both `mask` and",
        ),
        (
            r#""image": "a", "text": "x", "rle": "6320004""#,
            "field `rle`: `width` and `height`, which a bare RLE string needs, is missing",
        ),
        (
            r#""image": "a", "text": "x", "rle": "6320004", "width": 5"#,
            "field `height`: its value is missing",
        ),
        (
            r#""image": "a", "text": "x", "rle": "6320004", "width": 5, "height": 4"#,
            "field `rle`: runs sum to 25 pixels, the size says 20",
        ),
        (
            r#""image": "a", "text": "x", "width": 6, "height": 5,
               "rle": {"size": [5, 5], "counts": "6320004"}"#,
            "field `rle`: the mask is 5x5, its image 6x5",
        ),
        (
            r#""image": "a", "text": "x", "rle": {"size": [5], "counts": ""}"#,
            "field `rle`: expected {\"size\": [height, width], \"counts\": ...}, found an object",
        ),
        (
            r#""image": "a", "text": "x", "polygons": [1, 2, 3, 4, 5, 6]"#,
            "field `polygons`: expected a list of polygons [[x0, y0, x1, y1, ...], ...], found",
        ),
        (
            r#""image": "a", "text": "x", "polygons": [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]]"#,
            "field `polygons`: polygon 1: an odd number of coordinates",
        ),
        (
            r#""image": "a", "text": "x", "polygons": [[1, 2, 3, 4]]"#,
            "field `polygons`: polygon 0: fewer than three vertices",
        ),
        (
            r#""image": "a", "text": "x", "width": -3, "height": 5"#,
            "field `width`: expected a number",
        ),
    ];
    for (fields, expected) in cases {
        let fields = fields.replace('\n', " ");
        let message = fault("t.jsonl", format!("\n{{{fields}}}\n"));
        let place = "t.jsonl`: line 2: ";
        assert!(message.contains(&format!("{place}{expected}")), "{fields}\n  {message}");
    }
    assert!(fault("t.jsonl", "{").contains("line 1: EOF while parsing an object"));
    assert!(fault("t.jsonl", "[1]").contains("line 1: expected an object"));
}

#[test]
fn a_bad_line_does_not_end_the_reading() {
    let table = b"image,text,polygons\na.jpg,x,[]\nb.jpg,x\nc.jpg,caf\xe9,[]\nd.jpg,x,[]\n";
    let all = try_read("t.csv", table);
    let message = |i: usize| all[i].as_ref().unwrap_err().to_string();
    assert_eq!(all.len(), 4);
    assert!(message(0).contains("line 3: expected 3 fields, as the header has, found 2"));
    assert!(message(1).contains("line 4: field `text`: expected UTF-8"), "{}", message(1));
    let keys: Vec<_> = all[2..].iter().map(|s| s.as_ref().unwrap().key.as_str()).collect();
    assert_eq!(keys, ["1", "4"], "bad rows are counted");
}

#[test]
fn tables_are_found_in_their_folder_by_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("mine.csv", "\"image\",\"text\",\"mask\"\n");
    write("lines.jsonl", r#"{"image": "a", "texts": ["b"], "rle": "x"}"#);
    write("scores.csv", "method,gIoU\n");
    write("predictions.jsonl", r#"{"key": "1", "rle": "x"}"#);
    write("notes.txt", "image,text,mask\n");
    let names: Vec<_> = discover(folder.path()).unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["lines", "mine"]);
}

#[test]
fn splits_and_an_image_folder_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, "image,text,polygons,split\na.jpg,x,[],testA\nb.jpg,x,[],train\n").unwrap();
    let mut source = discover(&path).unwrap().remove(0);
    source.images = Some("/photos".into());
    let options = ReadOptions { split: Some("test".into()), ..ReadOptions::default() };
    let samples: Vec<_> = source.samples(&options).unwrap().map(|s| s.unwrap()).collect();
    assert_eq!(samples.len(), 1, "by REFER's rule");
    assert!(matches!(&samples[0].image.source, ImageSource::File(path)
        if path == Path::new("/photos/a.jpg")));
}
