//! Which samples are shown.

use std::collections::BinaryHeap;

use segzero_datasets::Sample;

/// A sample with its rank in the draw, which alone decides.
struct Drawn {
    rank: u64,
    position: u64,
    sample: Sample,
}

/// Chooses `count` of the samples at random, the same ones for the same seed, and gives them in
/// their own order. Reads the samples once and keeps no more than `count` of them.
pub fn choose(samples: impl Iterator<Item = Sample>, count: usize, seed: u64) -> Vec<Sample> {
    let mut heap: BinaryHeap<Drawn> = BinaryHeap::new();
    for (position, sample) in (0..).zip(samples) {
        heap.push(Drawn { rank: mix(seed ^ mix(position)), position, sample });
        if heap.len() > count {
            heap.pop();
        }
    }
    let mut drawn = heap.into_vec();
    drawn.sort_unstable_by_key(|drawn| drawn.position);
    drawn.into_iter().map(|drawn| drawn.sample).collect()
}

/// A 64-bit finaliser (splitmix64's): nearby numbers get unrelated ranks.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Ord for Drawn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.rank, self.position).cmp(&(other.rank, other.position))
    }
}

impl PartialOrd for Drawn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Drawn {}
