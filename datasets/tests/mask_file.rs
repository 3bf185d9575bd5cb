//! Mask files, and geometries rasterised.
#![allow(clippy::unwrap_used)] // helpers of tests

use proptest::prelude::*;
use segzero_datasets::mask::PolygonFault;
use segzero_datasets::{
    CocoSegmentation, ErrorKind, FillRegime, Geometry, Label, Mask, MaskError, Masks, Shape, Size,
};
use segzero_test_support::fixture;

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |pair: usize| u8::from_str_radix(&hex[pair..pair + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Kind, file, COCO string of the mask.
fn files() -> Vec<(String, Vec<u8>, String)> {
    let json = std::fs::read(fixture(env!("CARGO_MANIFEST_DIR"), "masks/files.json")).unwrap();
    let files: Vec<(String, String, String)> = serde_json::from_slice(&json).unwrap();
    files.into_iter().map(|(kind, hex, string)| (kind, bytes(&hex), string)).collect()
}

/// One mask as PIL and numpy write it in 23 ways (`fixtures/masks/generate.py`).
#[test]
fn png_and_npy_in_all_encodings() {
    let files = files();
    assert_eq!(files.len(), 23);
    for (kind, file, string) in files {
        let mask = Mask::read_file(&file).unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(mask.size(), Size::new(11, 7), "{kind}");
        assert_eq!(mask.to_coco_string(), string, "{kind}");
    }
}

#[test]
fn truncated_files_are_refused() {
    for (kind, file, _) in files() {
        // A PNG's checksum and end marker may be missing without harm, pixels may not.
        let needed = if kind.starts_with("npy") { file.len() } else { file.len() - 20 };
        for length in 0..needed {
            assert!(Mask::read_file(&file[..length]).is_err(), "{kind}, {length} bytes");
        }
    }
}

#[test]
fn files_of_another_kind_are_refused() {
    let message = |bytes: &[u8]| Mask::read_file(bytes).unwrap_err().to_string();
    assert_eq!(message(b"GIF89a"), "expected a PNG or .npy mask, found neither signature");
    let npy = |descr: &str, shape: &str| {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), &[0; 16]].concat()
    };
    assert!(Mask::read_file(&npy("|b1", "(4, 4)")).is_ok());
    assert!(message(&npy("<f4", "(2, 2)")).contains("expected booleans or integers"));
    assert!(message(&npy("|b1", "(2, 2, 2)")).contains("expected a 2-D array"));
    assert!(message(&npy("|b1", "(4, 5)")).contains("expected 20 bytes of data, found 16"));
    assert!(message(&npy("<i8", "(2147483647, 1)")).contains("bytes of data"));
    assert!(message(&npy("|b1", "(4294967296, 4294967296)")).contains("expected an image"));
    assert!(message(&npy("|b1", &"(".repeat(9999))).contains("a header of"));
    assert!(message(&npy("|b1", &"(".repeat(400))).contains("could not parse"));
}

/// A header alone cannot claim memory.
#[test]
fn a_png_that_promises_too_much_is_refused() {
    let mut png = files()[0].1.clone();
    let crc = |chunk: &[u8]| {
        !chunk.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        })
    };
    png[16..24].copy_from_slice(&[0, 0, 255, 0, 0, 0, 255, 0]);
    let sum = crc(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&sum);
    let message = Mask::read_png(&png).unwrap_err().to_string();
    assert!(message.contains("expected a complete PNG, found 65280x65280"), "{message}");
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(
        which in 0usize..23,
        at in any::<prop::sample::Index>(),
        to: u8,
    ) {
        let mut file = files().swap_remove(which).1;
        let at = at.index(file.len());
        file[at] = to;
        let _ = Mask::read_file(&file);
    }

    #[test]
    fn written_png_are_read_back(width in 1u32..40, height in 1u32..20, seed: u64) {
        let size = Size::new(width, height);
        let bit = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0;
        let pixels: Vec<u8> = (0..size.pixels()).map(|i| u8::from(bit(i))).collect();
        let mask = Mask::from_bitmap(size, &pixels).unwrap();
        let mut png = Vec::new();
        mask.write_png(&mut png).unwrap();
        prop_assert_eq!(Mask::read_file(&png).unwrap(), mask);
    }
}

const SIZE: Size = Size::new(10, 8);

fn square(x0: f64, y0: f64, x1: f64, y1: f64) -> Vec<f64> {
    vec![x0, y0, x1, y0, x1, y1, x0, y1]
}

fn coco(square: Vec<f64>) -> Mask {
    Mask::from_polygons(SIZE, &[square]).unwrap()
}

fn rasterize(geometry: &Geometry) -> Masks {
    geometry.rasterize(SIZE, FillRegime::OpencvB).unwrap()
}

#[test]
fn coco_annotations_are_united_and_overlap_is_counted_within_one() {
    let (a, b, c) = (square(0., 0., 4., 4.), square(2., 2., 6., 6.), square(3., 0., 9., 3.));
    let first = CocoSegmentation::Polygons(vec![a.clone(), b.clone()]);
    let second = CocoSegmentation::Polygons(vec![c.clone()]);
    let masks = rasterize(&Geometry::Coco(vec![first, second]));
    let both = coco(square(2., 2., 4., 4.));
    assert_eq!(masks.overlap, Some(both), "the second annotation overlaps the first, uncounted");
    let union = coco(a).union(&coco(b)).unwrap().union(&coco(c.clone())).unwrap();
    assert_eq!((masks.target, masks.ignore, masks.parts), (union, None, 3));

    let rle = CocoSegmentation::Rle(coco(c.clone()));
    let masks = rasterize(&Geometry::Coco(vec![rle]));
    assert_eq!(masks, Masks { target: coco(c), overlap: None, ignore: None, parts: 1 });
}

#[test]
fn no_annotation_is_an_empty_target() {
    let empty = Masks { target: Mask::empty(SIZE), overlap: None, ignore: None, parts: 0 };
    assert_eq!(rasterize(&Geometry::Coco(vec![])), empty);
}

#[test]
fn size_must_be_the_image_s() {
    let other = Mask::full(Size::new(8, 10));
    let geometries =
        [Geometry::Mask(other.clone()), Geometry::Coco(vec![CocoSegmentation::Rle(other)])];
    for geometry in geometries {
        let error = geometry.rasterize(SIZE, FillRegime::OpencvB).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Mask(MaskError::SizeMismatch { .. })), "{error}");
        assert!(error.to_string().contains("the mask is 8x10, its image 10x8"), "{error}");
        assert!(error.hint().unwrap().contains("[height, width]"));
    }
}

#[test]
fn mask_files_are_read_and_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("7.png");
    let error = Geometry::File(path.clone()).rasterize(SIZE, FillRegime::OpencvB).unwrap_err();
    assert_eq!(error.path, path);
    let mask = coco(square(1., 1., 4., 7.));
    mask.write_png(std::fs::File::create(&path).unwrap()).unwrap();
    let masks = rasterize(&Geometry::File(path));
    assert_eq!(masks, Masks { target: mask, overlap: None, ignore: None, parts: 1 });
}

#[test]
fn a_solution_has_no_mask() {
    let geometry = Geometry::Solution("{}".into());
    let error = geometry.rasterize(SIZE, FillRegime::OpencvB).unwrap_err();
    assert!(error.to_string().contains("boxes and points only"), "{error}");
}

fn shape(label: Label, x0: f64, y0: f64, x1: f64, y1: f64) -> Shape {
    Shape { label, points: vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1]] }
}

/// The pixels a rectangle covers in OpenCV, both ends included.
fn block(x0: u32, y0: u32, x1: u32, y1: u32) -> Mask {
    let inside = |x, y| (x0..=x1).contains(&x) && (y0..=y1).contains(&y);
    let pixels: Vec<u8> = (0..SIZE.height)
        .flat_map(|y| (0..SIZE.width).map(move |x| u8::from(inside(x, y))))
        .collect();
    Mask::from_bitmap(SIZE, &pixels).unwrap()
}

#[test]
fn smaller_reasonseg_shapes_lie_on_top() {
    let big = shape(Label::Target, 0., 0., 9., 7.);
    let hole = shape(Label::Ignore, 2., 2., 6., 6.);
    let island = shape(Label::Target, 3., 3., 4., 4.);
    let target = block(0, 0, 9, 7).difference(&block(2, 2, 6, 6)).unwrap();
    let target = target.union(&block(3, 3, 4, 4)).unwrap();
    let ignore = block(2, 2, 6, 6).difference(&block(3, 3, 4, 4)).unwrap();
    for shapes in [[&big, &hole, &island], [&island, &hole, &big], [&hole, &big, &island]] {
        let masks = rasterize(&Geometry::ReasonSeg(shapes.map(Clone::clone).into()));
        let expected =
            Masks { target: target.clone(), overlap: None, ignore: Some(ignore.clone()), parts: 2 };
        assert_eq!(masks, expected);
    }
}

#[test]
fn of_equal_reasonseg_shapes_the_first_lies_on_top() {
    let (a, b) = (shape(Label::Target, 1., 1., 4., 4.), shape(Label::Ignore, 2., 1., 5., 4.));
    let masks = rasterize(&Geometry::ReasonSeg(vec![a, b]));
    assert_eq!(masks.target, block(1, 1, 4, 4));
    assert_eq!(masks.ignore, Some(block(5, 1, 5, 4)));
}

#[test]
fn reasonseg_vertices_are_truncated_towards_zero() {
    let masks = rasterize(&Geometry::ReasonSeg(vec![shape(Label::Target, -0.9, 1.9, 3.99, 4.0)]));
    assert_eq!(masks.target, block(0, 1, 3, 4));
}

#[test]
fn a_bad_reasonseg_shape_is_named() {
    let shapes =
        vec![shape(Label::Target, 0., 0., 2., 2.), shape(Label::Target, 0., f64::NAN, 2., 2.)];
    let error = Geometry::ReasonSeg(shapes).rasterize(SIZE, FillRegime::OpencvB).unwrap_err();
    let fault = MaskError::Polygon { polygon: 1, reason: PolygonFault::NotFinite };
    assert!(matches!(&error.kind, ErrorKind::Mask(kind) if *kind == fault), "{error}");
}
