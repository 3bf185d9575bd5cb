//! A small RefCOCOg on disk, made for a test: images, `instances.json`, and `refs(umd).p`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Width and height of every image.
pub const SIZE: [u32; 2] = [64, 48];

/// One object: a rectangle of inclusive pixels in an image, what is said of it, and its split.
#[derive(Clone, Debug)]
pub struct Object {
    pub ann: i64,
    pub image: i64,
    pub rect: [u32; 4],
    pub split: &'static str,
    pub sentences: Vec<&'static str>,
}

/// Nine objects in five images; the refs of image 1 are not neighbours in the file.
pub fn objects() -> Vec<Object> {
    let object = |ann, image, rect, split, sentences: &[&'static str]| Object {
        ann,
        image,
        rect,
        split,
        sentences: sentences.to_vec(),
    };
    vec![
        object(11, 1, [0, 0, 20, 9], "train", &["The \"Big\" dog's bowl.", "bowl"]),
        object(12, 2, [5, 5, 9, 40], "train", &["A thin pole"]),
        object(13, 1, [30, 12, 60, 44], "train", &["Das Café?!", "the café on the right", "x"]),
        object(14, 3, [1, 2, 1, 2], "train", &["a dot"]),
        object(15, 3, [10, 10, 25, 24], "train", &["square thing", "the square"]),
        object(16, 4, [0, 0, 63, 47], "val", &["everything"]),
        object(17, 5, [3, 3, 50, 20], "train", &["wide board"]),
        object(18, 5, [7, 30, 12, 40], "train", &["small board", "board below"]),
        object(19, 2, [20, 4, 44, 44], "train", &["white door"]),
    ]
}

/// Writes the layout under `root` as data set `name`; images are written once for all sets.
pub fn write(root: &Path, name: &str, objects: &[Object]) {
    let images = root.join("images/mscoco/images/train2014");
    fs::create_dir_all(&images).unwrap();
    fs::create_dir_all(root.join(name)).unwrap();
    let mut ids: Vec<i64> = objects.iter().map(|object| object.image).collect();
    ids.sort_unstable();
    ids.dedup();
    for &id in &ids {
        write_image(&images.join(file_name(id)), id as u32, SIZE);
    }
    let instances = json!({
        "info": {}, "licenses": [],
        "images": ids.iter().map(|&id| json!({
            "id": id, "file_name": file_name(id), "width": SIZE[0], "height": SIZE[1],
        })).collect::<Vec<_>>(),
        "annotations": objects.iter().map(annotation).collect::<Vec<_>>(),
        "categories": [{"id": 1, "name": "thing", "supercategory": "thing"}],
    });
    fs::write(root.join(name).join("instances.json"), instances.to_string()).unwrap();
    let mut sent_id = 0;
    let refs = objects.iter().enumerate().map(|(i, object)| {
        let sentences = object.sentences.iter().map(|raw| {
            sent_id += 1;
            let sent = raw.to_lowercase();
            json!({"raw": raw, "sent": sent, "sent_id": sent_id - 1, "tokens": [sent]})
        });
        json!({
            "ref_id": i, "ann_id": object.ann, "image_id": object.image, "split": object.split,
            "file_name": format!("COCO_train2014_{:012}_{i}.jpg", object.image), "category_id": 1,
            "sentences": sentences.collect::<Vec<_>>(), "sent_ids": [],
        })
    });
    let mut pickle = vec![0x80, 2];
    push(&Value::Array(refs.collect()), &mut pickle);
    pickle.push(b'.');
    fs::write(root.join(name).join("refs(umd).p"), pickle).unwrap();
}

/// The name COCO gives an image.
pub fn file_name(image: i64) -> String {
    format!("COCO_train2014_{image:012}.jpg")
}

/// A picture that differs from image to image.
pub fn write_image(path: &Path, seed: u32, [width, height]: [u32; 2]) {
    let pixel = |x: u32, y: u32| image::Rgb([x * 3, y * 5, seed * 40].map(|v| (v % 256) as u8));
    image::RgbImage::from_fn(width, height, pixel)
        .save_with_format(path, image::ImageFormat::Jpeg)
        .unwrap();
}

fn annotation(object: &Object) -> Value {
    let [x0, y0, x1, y1] = object.rect;
    // COCO's polygons run along pixel edges.
    let (x1, y1) = (x1 + 1, y1 + 1);
    json!({
        "id": object.ann, "image_id": object.image, "category_id": 1, "iscrowd": 0,
        "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0),
        "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
    })
}

/// A JSON value as pickle protocol 2 writes it.
fn push(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            into.extend(b"](");
            items.iter().for_each(|item| push(item, into));
            into.push(b'e');
        }
        Value::Object(fields) => {
            into.extend(b"}(");
            for (key, item) in fields {
                push(&Value::from(key.as_str()), into);
                push(item, into);
            }
            into.push(b'u');
        }
        Value::String(text) => {
            into.push(b'X');
            into.extend((text.len() as u32).to_le_bytes());
            into.extend(text.as_bytes());
        }
        Value::Number(number) => {
            into.push(b'J');
            into.extend((number.as_i64().unwrap() as i32).to_le_bytes());
        }
        other => panic!("the fixture has no {other}"),
    }
}

/// Seg-Zero's answer for a rectangle, from the definitions alone: exact squared distances by trying
/// every background pixel, outside the image included.
pub fn solution(rect: [u32; 4], [to_w, to_h]: [u32; 2]) -> String {
    let [x0, y0, x1, y1] = rect.map(i64::from);
    let background = |removed: Option<(i64, i64, i64)>, x: i64, y: i64| {
        let inside = (x0..=x1).contains(&x) && (y0..=y1).contains(&y);
        let cut = removed.is_some_and(|(cx, cy, d)| (x - cx).pow(2) + (y - cy).pow(2) < d);
        !inside || cut
    };
    let [w, h] = SIZE.map(i64::from);
    let best = |removed| {
        let mut best = (0, 0, 0);
        for y in y0..=y1 {
            for x in x0..=x1 {
                let distance = (-1..=h)
                    .flat_map(|v| (-1..=w).map(move |u| (u, v)))
                    .filter(|&(u, v)| background(removed, u, v))
                    .map(|(u, v)| (u - x).pow(2) + (v - y).pow(2))
                    .min()
                    .unwrap();
                if distance > best.2 {
                    best = (x, y, distance);
                }
            }
        }
        best
    };
    let first = best(None);
    let second = match best(Some(first)) {
        (_, _, 0) => first,
        second => second,
    };
    let scale =
        |v: i64, to: u32, from: i64| (v as f64 * (f64::from(to) / from as f64) + 0.5) as i64;
    let point = |x, y| format!("({},{})", scale(x, to_w, w), scale(y, to_h, h));
    let (a, b) = (point(x0, y0), point(x1, y1));
    let (p, q) = (point(first.0, first.1), point(second.0, second.1));
    format!("<box>{a},{b}</box><points>{p},{q}</points>")
}
