//! Keys and values of the tokens so far, in memory that is set aside once.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::super::config::TextConfig;

/// Keys and values of all layers, for the sequences of a batch. All sequences end at the same place;
/// shorter ones begin later.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<LayerCache>,
    /// Places before each sequence that it does not use.
    unused: Vec<usize>,
    used: usize,
    shape: [usize; 4],
    dtype: DType,
    device: Device,
}

/// Keys and values of one layer, `[batch, heads, capacity, head]`.
#[derive(Clone, Debug)]
pub struct LayerCache {
    keys: Option<Tensor<4>>,
    values: Option<Tensor<4>>,
    grows: bool,
}

/// Where in the cache the tokens of a step go, and what they may see.
#[derive(Clone, Debug)]
pub struct Span {
    /// The place of the first of the tokens.
    pub start: usize,
    /// Places that a sequence does not use, `[batch, 1, 1, start + tokens]`, where there are any.
    pub hidden: Option<Tensor<4, Bool>>,
}

impl Cache {
    /// Room for `capacity` tokens of each of `batch` sequences.
    pub fn new(
        config: &TextConfig,
        batch: usize,
        capacity: usize,
        dtype: DType,
        device: &Device,
    ) -> Self {
        let shape = [batch, config.num_key_value_heads, capacity, config.head_dim()];
        let layer = || LayerCache::new(shape, dtype, device);
        let layers = (0..config.num_hidden_layers).map(|_| layer()).collect();
        Self { layers, unused: vec![0; batch], used: 0, shape, dtype, device: device.clone() }
    }

    /// Tokens kept so far, with the unused places before shorter sequences.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing is kept yet.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes set aside.
    pub fn bytes(&self) -> usize {
        let elements: usize = self.shape.iter().product();
        2 * self.layers.len() * elements * self.dtype.size()
    }

    /// Joins sequences, each computed on its own, to a batch with room for `capacity` tokens.
    /// `sequences` names the cache of each, so that one prompt can begin several.
    pub fn join(caches: &[Self], sequences: &[usize], capacity: usize) -> Self {
        let first = &caches[0];
        let used = sequences.iter().map(|&i| caches[i].used).max().unwrap_or(0);
        let mut shape = first.shape;
        (shape[0], shape[2]) = (sequences.len(), capacity.max(used));
        let mut layers = Vec::with_capacity(first.layers.len());
        for layer in 0..first.layers.len() {
            let mut joined = LayerCache::new(shape, first.dtype, &first.device);
            for (row, &source) in sequences.iter().enumerate() {
                let length = caches[source].used;
                caches[source].layers[layer].place(&mut joined, row, length, used - length);
            }
            layers.push(joined);
        }
        let unused = sequences.iter().map(|&i| used - caches[i].used).collect();
        Self { layers, unused, used, shape, dtype: first.dtype, device: first.device.clone() }
    }

    /// Where the next `tokens` go; they count as kept from here on.
    pub(super) fn begin(&mut self, tokens: usize) -> Span {
        let start = self.used;
        self.used += tokens;
        let hidden = self.unused.iter().any(|&n| n > 0).then(|| {
            let row = |&unused: &usize| (0..self.used).map(move |place| place < unused);
            let mask: Vec<bool> = self.unused.iter().flat_map(row).collect();
            let data = TensorData::new(mask, [self.unused.len(), 1, 1, self.used]);
            Tensor::from_data(data, &self.device)
        });
        Span { start, hidden }
    }

    pub(super) fn layers(&mut self) -> impl Iterator<Item = &mut LayerCache> {
        self.layers.iter_mut()
    }
}

impl LayerCache {
    /// That grows with the tokens, and that gradients go through. Where more sequences follow than there
    /// were, as many of them in turn share each of those as their beginning.
    pub(super) fn growing() -> Self {
        Self { keys: None, values: None, grows: true }
    }

    fn new(shape: [usize; 4], dtype: DType, device: &Device) -> Self {
        let zeros = || Some(Tensor::zeros(shape, (device, dtype)));
        Self { keys: zeros(), values: zeros(), grows: false }
    }

    /// Writes keys and values `[batch, heads, tokens, head]` at `start`, and gives those of all tokens
    /// up to them.
    pub(super) fn extend(
        &mut self,
        start: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> [Tensor<4>; 2] {
        if self.grows {
            return [append(&mut self.keys, keys), append(&mut self.values, values)];
        }
        [write(&mut self.keys, start, keys), write(&mut self.values, start, values)]
    }

    /// Copies the first `length` tokens of the one sequence here to a row of another cache.
    fn place(&self, into: &mut Self, row: usize, length: usize, start: usize) {
        for (source, target) in [(&self.keys, &mut into.keys), (&self.values, &mut into.values)] {
            let (Some(source), Some(whole)) = (source, target.take()) else { continue };
            let [_, heads, _, head] = source.dims();
            let tokens = source.clone().slice([0..1, 0..heads, 0..length, 0..head]);
            let at = [row..row + 1, 0..heads, start..start + length, 0..head];
            *target = Some(whole.slice_assign(at, tokens));
        }
    }
}

/// In place: the tensor is taken out, so that nothing else holds it.
fn write(place: &mut Option<Tensor<4>>, start: usize, new: Tensor<4>) -> Tensor<4> {
    let [batch, heads, tokens, head] = new.dims();
    let end = start + tokens;
    let whole = match place.take() {
        Some(whole) => whole.slice_assign([0..batch, 0..heads, start..end, 0..head], new),
        None => new,
    };
    let seen = whole.clone().slice([0..batch, 0..heads, 0..end, 0..head]);
    *place = Some(whole);
    seen
}

/// Behind what is there.
fn append(place: &mut Option<Tensor<4>>, new: Tensor<4>) -> Tensor<4> {
    let [batch, heads, _, head] = new.dims();
    let whole = match place.take() {
        Some(before) => {
            let [beginnings, _, tokens, _] = before.dims();
            let each = batch / beginnings;
            let before = before.unsqueeze_dim::<5>(1);
            let before = before.expand([beginnings, each, heads, tokens, head]);
            Tensor::cat(vec![before.reshape([batch, heads, tokens, head]), new], 2)
        }
        None => new,
    };
    *place = Some(whole.clone());
    whole
}
