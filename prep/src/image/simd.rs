//! The inner loops that need the processor's wide instructions, chosen at run time. Each has a
//! portable form, which is compared with the other in the tests.

/// Defines a function that runs `$portable`, compiled once more for AVX2 and BMI2 and run so where
/// the processor has them. `$portable` must be `#[inline(always)]`.
macro_rules! for_best_processor {
    ($(#[$doc:meta])* $visible:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?)
        = $portable:path;) => {
        $(#[$doc])*
        $visible fn $name($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
                fn wide($($arg: $type),*) {
                    $portable($($arg),*)
                }
                if $crate::image::simd::is_wide() {
                    // SAFETY: the processor has what `wide` is compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            $portable($($arg),*)
        }
    };
}
pub(super) use for_best_processor;

/// Whether the processor has AVX2 and the bit instructions that came with it.
#[cfg(target_arch = "x86_64")]
pub(super) fn is_wide() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
}

/// Sets bit `i % 64` of word `i / 64` where byte `i` of `data` equals the one before it. There is
/// one word more than `data` needs, so that a search may look ahead.
pub(super) fn equal_to_previous(data: &[u8], out: &mut Vec<u64>) {
    out.clear();
    out.resize(data.len() / 64 + 2, 0);
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if is_wide() {
        // SAFETY: the processor has AVX2.
        done = unsafe { x86::equal_to_previous(data, out) };
    }
    for at in (1..data.len().min(64)).chain(done.max(64)..data.len()) {
        out[at / 64] |= u64::from(data[at] == data[at - 1]) << (at % 64);
    }
}

/// Interpolates between two RGB pixels for each tap: `(first * a + second * b) >> 4`. A tap is the
/// byte offset of the first pixel and the two weights, at most 2048 in all; where the second is 0
/// there may be no second pixel. `out` has 3 values per tap and one to spare.
pub(super) fn interpolate_rgb(row: &[u8], taps: &[(usize, [i16; 2])], out: &mut [i16]) {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if is_wide() {
        // SAFETY: the processor has AVX2, hence SSE4.1.
        done = unsafe { x86::interpolate_rgb(row, taps, out) };
    }
    for (&(first, [a, b]), out) in taps.iter().zip(out.chunks_exact_mut(3)).skip(done) {
        let second = if b == 0 { first } else { first + 3 };
        for (channel, out) in out.iter_mut().enumerate() {
            let [p, q] = [row[first + channel], row[second + channel]].map(i32::from);
            *out = ((p * i32::from(a) + q * i32::from(b)) >> 4) as i16;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// All whole words but the first; returns the first byte that is not done.
    #[target_feature(enable = "avx2")]
    pub fn equal_to_previous(data: &[u8], out: &mut [u64]) -> usize {
        let mut done = 0;
        for at in (64..data.len()).step_by(64) {
            let (Some(here), Some(before)) =
                (data[at..].first_chunk(), data[at - 1..].first_chunk())
            else {
                break;
            };
            out[at / 64] = equal(here, before);
            done = at + 64;
        }
        done
    }

    #[target_feature(enable = "avx2")]
    fn equal(a: &[u8; 64], b: &[u8; 64]) -> u64 {
        let half = |at: usize| {
            // SAFETY: `at` is 0 or 32, so the 32 bytes lie within both arrays; no alignment needed.
            let (a, b) = unsafe {
                let (a, b) = (a.as_ptr().add(at), b.as_ptr().add(at));
                (_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()))
            };
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)) as u32
        };
        u64::from(half(0)) | u64::from(half(32)) << 32
    }

    /// As many taps as have 8 bytes in the row; returns their number.
    #[target_feature(enable = "avx2")]
    pub fn interpolate_rgb(row: &[u8], taps: &[(usize, [i16; 2])], out: &mut [i16]) -> usize {
        // Bytes r0 g0 b0 r1 g1 b1 become the 16-bit pairs r0 r1, g0 g1, b0 b1.
        let pairs = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
        for (index, &(first, [a, b])) in taps.iter().enumerate() {
            let source = row.get(first..).and_then(|rest| rest.first_chunk::<8>());
            let target = out.get_mut(index * 3..).and_then(|rest| rest.first_chunk_mut::<4>());
            let (Some(source), Some(target)) = (source, target) else { return index };
            let weights = _mm_set1_epi32(i32::from(b) << 16 | i32::from(a));
            let samples = _mm_shuffle_epi8(_mm_cvtsi64_si128(i64::from_le_bytes(*source)), pairs);
            let sums = _mm_srai_epi32::<4>(_mm_madd_epi16(samples, weights));
            // SAFETY: `target` is 8 bytes long; no alignment needed.
            unsafe { _mm_storel_epi64(target.as_mut_ptr().cast(), _mm_packs_epi32(sums, sums)) };
        }
        taps.len()
    }
}
