//! The wide and the portable forms of the inner loops, and the parts that no image reaches.

use super::{area, deflate, huffman, png, simd};

/// Bytes with runs, of full range.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    };
    let mut out = Vec::new();
    while out.len() < length {
        let repeat = if next() < 40 { next() as usize } else { 1 };
        out.extend(std::iter::repeat_n(next() as u8, repeat));
    }
    out.truncate(length);
    out
}

#[test]
fn equal_to_previous_is_what_it_says() {
    let mut marks = Vec::new();
    for length in [0, 1, 2, 63, 64, 65, 127, 128, 129, 1000] {
        let data = bytes(length);
        simd::equal_to_previous(&data, &mut marks);
        for at in 0..marks.len() * 64 {
            let expected = at > 0 && at < length && data[at] == data[at - 1];
            assert_eq!(marks[at / 64] >> (at % 64) & 1 == 1, expected, "{at} of {length}");
        }
    }
}

#[test]
fn interpolation_between_pixels_is_the_formula() {
    let row = bytes(30 * 3);
    let mut taps: Vec<_> = (0..200)
        .map(|i| (i * 29 / 200 * 3, [2048 - (i * 37 % 2049) as i16, (i * 37 % 2049) as i16]))
        .collect();
    taps.push((29 * 3, [2048, 0]));
    let mut out = vec![0; taps.len() * 3 + 1];
    simd::interpolate_rgb(&row, &taps, &mut out);
    for (index, &(first, [a, b])) in taps.iter().enumerate() {
        for channel in 0..3 {
            let second = if b == 0 { 0 } else { i32::from(row[first + 3 + channel]) };
            let sum = i32::from(row[first + channel]) * i32::from(a) + second * i32::from(b);
            assert_eq!(i32::from(out[index * 3 + channel]), sum >> 4, "tap {index}");
        }
    }
}

#[test]
fn wide_and_portable_forms_agree() {
    let (row, above) = (bytes(1003), bytes(2003)[1000..].to_vec());
    let mut outs = [vec![0; 1000], vec![0; 1000]];
    png::paeth_row(&row[3..], &row, &above[3..], &above, &mut outs[0]);
    png::paeth_row_portable(&row[3..], &row, &above[3..], &above, &mut outs[1]);
    assert_eq!(outs[0], outs[1]);

    let values = |row: &[u8]| row.iter().map(|&v| i16::from(v) * 128).collect::<Vec<i16>>();
    let (upper, lower) = (values(&row), values(&above));
    for weights in [[2048, 0], [0, 2048], [1024, 1024], [700, 1348]] {
        area::interpolate_rows(&upper, &lower, weights, &mut outs[0]);
        area::interpolate_rows_portable(&upper, &lower, weights, &mut outs[1]);
        assert_eq!(outs[0], outs[1], "{weights:?}");
    }
}

#[test]
fn paeth_in_eight_bits_is_the_definition() {
    for left in 0..=255u8 {
        for (above, corner) in bytes(600).into_iter().zip(bytes(1200).into_iter().skip(600)) {
            let estimate = i32::from(left) + i32::from(above) - i32::from(corner);
            let nearest = [left, above, corner]
                .into_iter()
                .min_by_key(|&value| (estimate - i32::from(value)).abs()) // the first of equals
                .unwrap();
            assert_eq!(png::paeth(left, above, corner), nearest, "{left} {above} {corner}");
        }
    }
}

#[test]
fn code_words_are_no_longer_than_the_limit_and_fill_the_tree() {
    let mut skewed = [0u32; 40];
    let (mut a, mut b) = (1, 1);
    for count in &mut skewed {
        *count = a;
        (a, b) = (b, a + b);
    }
    for limit in [6, 7, 14] {
        let code = huffman::code(&skewed, limit);
        assert!(code.iter().all(|word| (1..=limit).contains(&word.length)));
        let filled: u32 = code.iter().map(|word| 1 << (limit - word.length)).sum();
        assert_eq!(filled, 1 << limit, "Kraft's sum is 1");
    }
    let alone = huffman::code(&[0, 0, 9], 14);
    assert_eq!(alone.map(|word| word.length), [0, 0, 1]);
}

#[test]
fn every_way_of_searching_inflates_to_the_input() {
    for search in [deflate::Search::CLOSE, deflate::Search::CURSORY] {
        for length in [0, 1, 2, 3, 4, 5, 300, 65_535, 65_536, 200_000] {
            let data = bytes(length);
            let mut deflater = deflate::Deflater::new(b"kept".to_vec(), search);
            data.chunks(search.block_bytes).for_each(|block| deflater.write(block));
            let out = deflater.finish();
            let mut back = vec![0; length];
            let mut inflater = libdeflater::Decompressor::new();
            assert_eq!(inflater.deflate_decompress(&out[4..], &mut back), Ok(length));
            assert!(back == data, "{length} bytes");
        }
    }
}
