use segzero_datasets::{Bbox, Mask, Point, Size};
use segzero_prep::image::{Rgb, encode_jpeg};
use segzero_prep::{Circle, Flags, Target};

use super::*;

/// A 8x6 image whose object fills columns 2..5 and rows 1..4.
pub(crate) fn card() -> (Card, Picture) {
    let size = Size::new(8, 6);
    let mut pixels = vec![0u8; 48];
    for y in 1..4 {
        for x in 2..5 {
            pixels[y * 8 + x] = 1;
        }
    }
    let mask = Mask::from_bitmap(size, &pixels).unwrap();
    let target = Target {
        size,
        bbox: Bbox { x0: 2, y0: 1, x1: 4, y1: 3 },
        circles: vec![
            Circle { center: Point::new(3, 2), radius_squared: 4 },
            Circle { center: Point::new(2, 1), radius_squared: 1 },
        ],
        flags: Flags::default(),
    };
    let prediction = Prediction { mask: Some(Mask::full(size)), iou: 9.0 / 48.0 };
    let card = Card {
        key: "7".to_owned(),
        split: "val".to_owned(),
        picture: 0,
        frame: size,
        said: vec![Said { text: "the square".to_owned(), prediction: Some(prediction) }],
        mask: Some(mask),
        ignore: None,
        targets: vec![target],
        facts: vec![("ref", "7".to_owned())],
        flags: vec!["tie"],
    };
    let rgb = Rgb { size, pixels: vec![128; 48 * 3] };
    let jpeg = encode_jpeg(&rgb, 90).unwrap();
    (card, Picture { file_name: "a.jpg".to_owned(), jpeg, original: size })
}

fn page(card: Card, picture: Picture) -> Page {
    Page {
        title: "A & B".to_owned(),
        facts: vec![("samples".to_owned(), "1".to_owned())],
        cards: vec![card],
        pictures: vec![picture],
    }
}

/// The JSON of a page, as a browser finds it: up to the first end tag.
fn data_of(html: &str) -> serde_json::Value {
    let (_, rest) = html.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script").unwrap().0).unwrap()
}

#[test]
fn a_page_holds_everything_that_is_drawn() {
    let (card, picture) = card();
    let html = page(card, picture).to_html().unwrap();
    assert!(html.contains("<title>A &amp; B</title>"));
    let data = data_of(&html);
    let card = &data["cards"][0];
    assert_eq!(card["mask"], "M2 1h3v3h-3z");
    assert_eq!(card["boxes"], serde_json::json!([[2, 1, 3, 3]]));
    assert_eq!(card["circles"], serde_json::json!([[[3.5, 2.5, 1.5], [2.5, 1.5, 0.5]]]));
    assert_eq!(card["said"][0]["text"], "the square");
    assert_eq!(card["said"][0]["path"], "M0 0h8v6h-8z");
    assert_eq!(card["iou"], 0.1875);
    assert_eq!(card["ratio"], 0.5);
    assert_eq!(card["area"], 9);
    assert_eq!(card["flags"], serde_json::json!(["tie"]));
    assert!(data["pictures"][0].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
}

#[test]
fn a_page_asks_nothing_of_the_network() {
    let (card, picture) = card();
    let html = page(card, picture).to_html().unwrap();
    // The namespace of SVG is a name, not an address that is fetched.
    let rest = html.replace("http://www.w3.org/2000/svg", "");
    for address in ["http://", "https://", "src=\"//", "@import", "<link", "fetch("] {
        assert!(!rest.contains(address), "{address}");
    }
    assert!(html.contains("default-src 'none'"));
}

/// Texts come from strangers. None may end the script element, become a tag, or be taken for a
/// placeholder of the frame; all must come back unchanged.
#[test]
fn hostile_texts_stay_texts() {
    let hostile = [
        "</script><script>alert(1)</script>",
        "<!-- <script>",
        "<img src=x onerror=alert(1)>",
        "{{script}} {{data}}",
        "\u{2028}\u{2029}&lt;\"'`\\",
    ];
    let clean = {
        let (card, picture) = card();
        page(card, picture).to_html().unwrap()
    };
    let tags = |html: &str| html.to_lowercase().matches("<script").count();
    for text in hostile {
        let (mut card, picture) = card();
        card.said[0].text = text.to_owned();
        card.key = text.to_owned();
        card.facts.push(("file", text.to_owned()));
        let mut page = page(card, picture);
        page.title = text.to_owned();
        let html = page.to_html().unwrap();
        assert_eq!(tags(&html), tags(&clean), "{text}");
        assert!(!html.contains("<img src=x"), "{text}");
        let data = data_of(&html);
        assert_eq!(data["title"], text);
        assert_eq!(data["cards"][0]["said"][0]["text"], text);
        assert_eq!(data["cards"][0]["key"], text);
    }
}

#[test]
fn the_script_never_writes_markup() {
    let script = [crate::frame::COMMON, include_str!("page.js")].concat();
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(way), "{way}");
    }
}

#[test]
fn pictures_go_beside_the_page_on_request() {
    let (card, picture) = card();
    let page = page(card, picture);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my page.html");
    page.write(&file, Images::Beside).unwrap();
    let data = data_of(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(data["pictures"][0], "my%20page_images/000000.jpg");
    let jpeg = std::fs::read(folder.path().join("my page_images/000000.jpg")).unwrap();
    assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
    assert!(!folder.path().join("my page.html.part").exists());
}

#[test]
fn a_ring_keeps_its_hole() {
    let rows = [0u8, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0];
    let mask = Mask::from_bitmap(Size::new(5, 5), &rows).unwrap();
    assert_eq!(svg_path(&mask), "M1 1h3v3h-3zM2 3h1v-1h-1z");
}

#[test]
fn a_draw_is_repeatable_and_in_order() {
    let scenes = segzero_datasets::synth::compose(8, 42);
    let folder = tempfile::tempdir().unwrap();
    segzero_datasets::synth::write(folder.path(), &scenes, Default::default()).unwrap();
    let source = segzero_datasets::discover(folder.path()).unwrap().remove(0);
    let samples = || source.samples(&Default::default()).unwrap().map(Result::unwrap);
    let keys = |count, seed| -> Vec<i64> {
        choose(samples(), count, seed).iter().filter_map(|s| s.ref_id).collect()
    };
    let drawn = keys(6, 1);
    assert_eq!(drawn.len(), 6);
    assert!(drawn.is_sorted());
    assert_eq!(drawn, keys(6, 1));
    assert_ne!(drawn, keys(6, 2));
    assert_eq!(keys(10_000, 1).len(), samples().count());

    // From files to cards: masks are the generator's, an image of several samples is kept once.
    let mut predictions = segzero_eval::Predictions::default();
    let truth: std::collections::HashMap<i64, Mask> = scenes
        .iter()
        .flat_map(|scene| &scene.annotations)
        .map(|annotation| (annotation.id, annotation.mask.clone()))
        .collect();
    for sample in samples() {
        let mask = truth[&sample.ann_ids[0]].clone();
        predictions.insert(&sample.key, segzero_datasets::Geometry::Mask(mask));
    }
    let mut builder = Builder::new(BuilderOptions::default(), Some(&predictions));
    for sample in samples() {
        builder.add(&sample).unwrap();
    }
    let (cards, pictures) = builder.finish();
    assert_eq!(cards.len(), truth.len().min(samples().count()));
    assert_eq!(pictures.len(), 8);
    for card in &cards {
        assert_eq!(card.iou(), Some(1.0));
        let target = &card.targets[0];
        assert_eq!(Some(target.bbox), card.mask.as_ref().and_then(Mask::bbox));
        assert_eq!(target.circles.len(), 2);
        assert_eq!(card.frame, pictures[card.picture].original);
    }
}
