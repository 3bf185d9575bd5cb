//! Prefix codes as DEFLATE wants them (RFC 1951, section 3.2.2).

/// A code word, ready for a writer that fills bytes from their lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The bits, first bit lowest.
    pub bits: u16,
    /// Their number; 0 for a symbol that does not occur.
    pub length: u8,
}

/// Huffman's code for the given counts, with no word longer than `limit` bits. Symbols that do not
/// occur get no word.
pub(super) fn code<const N: usize>(counts: &[u32; N], limit: u8) -> [Word; N] {
    // A word of `limit` bits suits a symbol of this share, so that a rarer one counts as much.
    // Where words are still too long, as for extremely skewed counts, rare symbols come up further.
    // It ends, because equal counts make a balanced tree.
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let mut least = (total >> limit) as u32;
    loop {
        let raised = counts.map(|count| if count > 0 { count.max(least) } else { 0 });
        let lengths = lengths(&raised);
        if lengths.iter().all(|&length| length <= limit) {
            return words(&lengths);
        }
        least = least.saturating_mul(2).max(2);
    }
}

/// Depth of each symbol in Huffman's tree.
fn lengths<const N: usize>(counts: &[u32; N]) -> [u8; N] {
    // A count and its symbol in one number, which sorts several times as fast as a pair.
    let leaf = |(symbol, &count): (usize, &u32)| u64::from(count) << 32 | symbol as u64;
    let symbol = |leaf: u64| leaf as u32 as usize;
    let mut leaves: Vec<u64> =
        counts.iter().enumerate().filter(|(_, n)| **n > 0).map(leaf).collect();
    let mut lengths = [0; N];
    if let [only] = leaves[..] {
        lengths[symbol(only)] = 1;
    }
    leaves.sort_unstable();
    // Both the leaves and the nodes (in the order in which they are made) are sorted by weight, so
    // the lightest two are always at the heads of these two queues. Nodes are numbered after
    // leaves.
    let mut weights = Vec::with_capacity(2 * leaves.len());
    weights.extend(leaves.iter().map(|leaf| leaf >> 32));
    let mut parents = vec![0; (2 * leaves.len()).saturating_sub(1)];
    let (mut leaf, mut node) = (0, leaves.len());
    for next in leaves.len()..parents.len() {
        let mut weight = 0;
        for _ in 0..2 {
            let lightest =
                if node >= next || (leaf < leaves.len() && weights[leaf] <= weights[node]) {
                    &mut leaf
                } else {
                    &mut node
                };
            weight += weights[*lightest];
            parents[*lightest] = next;
            *lightest += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0u8; parents.len()];
    for index in (0..parents.len().saturating_sub(1)).rev() {
        depths[index] = depths[parents[index]] + 1;
        if let Some(&leaf) = leaves.get(index) {
            lengths[symbol(leaf)] = depths[index];
        }
    }
    lengths
}

/// The canonical code of these lengths.
pub(super) fn words<const N: usize>(lengths: &[u8; N]) -> [Word; N] {
    let mut next = [0u32; 17];
    for &length in lengths.iter().filter(|&&length| length > 0) {
        next[usize::from(length) + 1] += 1;
    }
    for length in 1..next.len() {
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    lengths.map(|length| {
        if length == 0 {
            return Word::default();
        }
        let code = &mut next[usize::from(length)];
        let bits = (*code as u16).reverse_bits() >> (16 - length);
        *code += 1;
        Word { bits, length }
    })
}
