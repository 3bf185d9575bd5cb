//! OpenCV's polygon filling against vectors made with its released versions (`protocols.md` §6.3).

use segzero_datasets::{FillRegime, Mask, MaskError, Size, mask::PolygonFault};
use segzero_test_support::fixture;

const REGIMES: [FillRegime; 3] = [FillRegime::OpencvA, FillRegime::OpencvB, FillRegime::OpencvC];

/// Height, width, polygon, the strings of regimes A, B and C.
type Vector<'a> = (u32, u32, &'a [[i32; 2]], [&'a str; 3]);

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    (8, 8, &[[1, 1], [4, 1], [4, 4], [1, 4]], ["94400000g0"; 3]),
    (10, 12, &[[1, 1], [9, 3], [4, 8]], [";282N2O1NO1O1O2N1Ob0"; 3]),
    (12, 12, &[[1, 1], [10, 10], [10, 1], [1, 10]], ["=:3N2N2N2N10O2N2N2N2:"; 3]),
    (10, 10, &[[1, 1], [8, 1], [8, 8], [5, 8], [5, 4], [3, 4], [3, 8], [1, 8]], [";820000L44L000009"; 3]),
    (6, 6, &[[1, 1], [4, 3]], ["7160O0102"; 3]),
    (7, 7, &[[3, 3]], ["h01h0"; 3]),
    (10, 12, &[[3, 7], [8, 8], [7, 6]], ["U119000O2O02Nf0", "U119000O2O01Og0", "U119000O2O02Nf0"]),
    (12, 13, &[[8, 0], [8, 5], [9, 2]], ["P368LT1", "P367MU1", "P368LT1"]),
    (9, 10, &[[5, 3], [6, 7], [1, 4]], ["=181O0O2O03Nd0", "=181O0O2O02Oe0", "=181O0O2O03Nd0"]),
    (8, 13, &[[9, 7], [11, 3], [2, 2]], ["b0171O001O100O001ON2N7", "b0171O001O100O001OO1N7", "b0171O001O100O001ON2N7"]),
    (13, 13, &[[13, 9], [3, 2], [-2, -4]], ["=1<1000000O01000000O1000F", "=1<100000000O01000000O10F", "=1<10000000O0100000O1000F"]),
    (8, 9, &[[3, -1], [-5, 10], [13, 7]], ["4422Oa00@1O1O00", "3521Oa00@1O1O1O", "4422Oa00@1O1O1O"]),
    (9, 11, &[[7, 10], [-5, 2], [2, -2]], ["0631O0101O2M2Nl0", "0631O11O1N2N2Nl0", "0631O02O1O1N2Nl0"]),
];

#[test]
fn conformance_vectors() {
    for (height, width, polygon, strings) in VECTORS {
        for (regime, string) in REGIMES.into_iter().zip(strings) {
            let mask = Mask::fill_polygon(Size::new(*width, *height), polygon, regime).unwrap();
            assert_eq!(mask.to_coco_string(), *string, "{polygon:?} {regime:?}");
        }
    }
}

/// 300 random polygons a regime, half of them leaving the image (`fixtures/masks/generate.py`).
#[test]
fn random_polygons_equal_opencv() {
    for (regime, name) in REGIMES.into_iter().zip(["fill_a", "fill_b", "fill_c"]) {
        let path = fixture(env!("CARGO_MANIFEST_DIR"), &format!("masks/{name}.json"));
        type Case = (u32, u32, Vec<[i32; 2]>, String);
        let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(cases.len(), 300);
        for (height, width, polygon, string) in cases {
            let mask = Mask::fill_polygon(Size::new(width, height), &polygon, regime).unwrap();
            assert_eq!(mask.to_coco_string(), string, "{polygon:?} {regime:?}");
        }
    }
}

#[test]
fn bad_vertices_are_refused() {
    let size = Size::new(9, 9);
    let fault = |reason| Err(MaskError::Polygon { polygon: 0, reason });
    for regime in REGIMES {
        assert_eq!(Mask::fill_polygon(size, &[], regime), fault(PolygonFault::Empty));
        let far = [[0, 0], [i32::MIN, 4], [3, 3]];
        assert_eq!(Mask::fill_polygon(size, &far, regime), fault(PolygonFault::NotFinite));
    }
}

#[test]
fn polygons_beside_the_image_leave_it_empty() {
    for regime in REGIMES {
        let beside = [[20, 1], [30, 1], [25, 5]];
        assert!(Mask::fill_polygon(Size::new(9, 9), &beside, regime).unwrap().is_empty());
        assert!(Mask::fill_polygon(Size::new(0, 0), &beside, regime).unwrap().is_empty());
    }
}
