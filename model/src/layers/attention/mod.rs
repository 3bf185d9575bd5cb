//! softmax(q · kᵀ / sqrt(head)) · v, by Burn or, on the CPU, by kernels of our own.

mod cpu;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, TensorData, module::attention};

pub(super) use cpu::exp;
pub(crate) use cpu::{Heads, Shape, Window, attend};

/// Who computes what a network does beside matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Burn's backend, which can differentiate it.
    Burn,
    /// Our own, on the CPU, in f32.
    Cpu,
}

impl Kernel {
    /// Patches that see those of their window: `windows` are runs of (how many, how many patches
    /// each). Query, key and value `[1, patches, heads, head]` to `[patches, heads x head]`.
    pub fn windows(self, qkv: [Tensor<4>; 3], windows: &[(usize, usize)]) -> Tensor<2> {
        let [_, count, heads, head] = qkv[0].dims();
        if self == Self::Cpu {
            let spread = windows.iter().flat_map(|&(n, length)| std::iter::repeat_n(length, n));
            let windows = spread.scan(0, |start, length| {
                *start += length;
                Some(Window::of(*start - length..*start))
            });
            let windows = windows.collect();
            let shape = Shape { heads, group: 1, width: head, windows, causal: false };
            return on_cpu(qkv, &shape, Order::Tokens).reshape([count, heads * head]);
        }
        let mut start = 0;
        let mut parts = Vec::with_capacity(windows.len());
        for &(number, length) in windows {
            let [query, key, value] = qkv.each_ref().map(|x| {
                let part = x.clone().narrow(1, start, number * length);
                part.reshape([number, length, heads, head]).swap_dims(1, 2)
            });
            let options = AttentionModuleOptions::default();
            let seen = attention(query, key, value, None, None, options);
            parts.push(seen.swap_dims(1, 2).reshape([number * length, heads * head]));
            start += number * length;
        }
        Tensor::cat(parts, 0)
    }

    /// Queries that see all keys of their batch: query `[batch, queries, heads, head]`, key and value
    /// `[batch, keys, heads, head]`, to `[batch, queries, heads x head]`.
    pub fn across(self, qkv: [Tensor<4>; 3]) -> Tensor<3> {
        let [batch, queries, heads, head] = qkv[0].dims();
        let keys = qkv[1].dims()[1];
        if self == Self::Cpu {
            let window = |i: usize| Window {
                queries: i * queries..(i + 1) * queries,
                keys: i * keys..(i + 1) * keys,
            };
            let windows = (0..batch).map(window).collect();
            let shape = Shape { heads, group: 1, width: head, windows, causal: false };
            return on_cpu(qkv, &shape, Order::Tokens).reshape([batch, queries, heads * head]);
        }
        let [query, key, value] = qkv.map(|x| x.swap_dims(1, 2));
        let options = AttentionModuleOptions::default();
        let seen = attention(query, key, value, None, None, options);
        seen.swap_dims(1, 2).reshape([batch, queries, heads * head])
    }

    /// Tokens that see themselves and those before them: query `[batch, tokens, heads, head]`, keys and
    /// values `[batch, kv heads, seen, head]`, of which the tokens are the last, to `[batch, tokens,
    /// heads, head]`. Where `hidden`, `[batch, 1, 1, seen]`, is true, nothing is seen.
    pub fn causal(
        self,
        query: Tensor<4>,
        keys: Tensor<4>,
        values: Tensor<4>,
        hidden: Option<Tensor<4, Bool>>,
    ) -> Tensor<4> {
        let [batch, tokens, heads, head] = query.dims();
        let [_, kv_heads, seen, _] = keys.dims();
        let group = heads / kv_heads;
        if self == Self::Cpu && batch == 1 && hidden.is_none() {
            let windows = vec![Window { queries: 0..tokens, keys: 0..seen }];
            let shape = Shape { heads, group, width: head, windows, causal: true };
            return on_cpu([query, keys, values], &shape, Order::Heads)
                .reshape([1, tokens, heads, head]);
        }
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        let [keys, values] = [keys, values].map(|x| {
            let shared = x.unsqueeze_dim::<5>(2).expand([batch, kv_heads, group, seen, head]);
            shared.reshape([batch, heads, seen, head])
        });
        let hidden = hidden.map(|hidden| hidden.expand([batch, heads, tokens, seen]));
        attention(query.swap_dims(1, 2), keys, values, hidden, None, options).swap_dims(1, 2)
    }
}

/// Which of the axes comes first in keys and values.
#[derive(Clone, Copy)]
enum Order {
    Tokens,
    Heads,
}

/// `[queries, heads, head]` of queries `[batch, tokens, heads, head]`, whose batches follow each other;
/// keys and values have several only where tokens come first.
fn on_cpu(qkv: [Tensor<4>; 3], shape: &Shape, order: Order) -> Tensor<3> {
    let device = qkv[0].device();
    let queries = qkv[0].dims()[0] * qkv[0].dims()[1];
    let seen = qkv[1].dims()[2];
    let [query, keys, values] = qkv.map(Tensor::into_data);
    // The CPU's activations are f32, whose loader sees to it.
    let slices = [&query, &keys, &values].map(|data| data.as_slice::<f32>().unwrap_or(&[]));
    let (heads, width) = (shape.heads, shape.width);
    let by_token =
        |data, heads: usize| Heads { data, token_stride: heads * width, head_stride: width };
    let kv = |data| match order {
        Order::Tokens => by_token(data, heads / shape.group),
        Order::Heads => Heads { data, token_stride: width, head_stride: seen * width },
    };
    let [query, keys, values] = slices;
    let mut out = vec![0.0; queries * heads * width];
    attend(by_token(query, heads), kv(keys), kv(values), shape, &mut out);
    Tensor::from_data(TensorData::new(out, [queries, heads, width]), &device)
}
