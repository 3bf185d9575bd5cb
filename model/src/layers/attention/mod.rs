//! softmax(q · kᵀ / sqrt(head)) · v, by Burn or, on the CPU, by kernels of our own.

mod cpu;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, TensorData, module::attention};

pub(super) use cpu::exp;
use cpu::{Heads, Shape};

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
                Some((*start - length, length))
            });
            let windows = windows.collect();
            let shape = Shape { heads, group: 1, width: head, windows, causal: None };
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
            let windows = vec![(0, tokens)];
            let shape = Shape { heads, group, width: head, windows, causal: Some(seen) };
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

/// `[queries, heads, head]` of queries `[.., tokens, heads, head]`.
fn on_cpu(qkv: [Tensor<4>; 3], shape: &Shape, order: Order) -> Tensor<3> {
    let device = qkv[0].device();
    let queries = qkv[0].dims()[1];
    let tokens = match order {
        Order::Tokens => qkv[1].dims()[1],
        Order::Heads => qkv[1].dims()[2],
    };
    let [query, keys, values] = qkv.map(Tensor::into_data);
    // The CPU's activations are f32, whose loader sees to it.
    let slices = [&query, &keys, &values].map(|data| data.as_slice::<f32>().unwrap_or(&[]));
    let (heads, width) = (shape.heads, shape.width);
    let by_token =
        |data, heads: usize| Heads { data, token_stride: heads * width, head_stride: width };
    let kv = |data| match order {
        Order::Tokens => by_token(data, heads / shape.group),
        Order::Heads => Heads { data, token_stride: width, head_stride: tokens * width },
    };
    let [query, keys, values] = slices;
    let out = cpu::attend(by_token(query, heads), kv(keys), kv(values), shape);
    let out = TensorData::new(out, [heads, queries, width]);
    Tensor::<3>::from_data(out, &device).swap_dims(0, 1)
}
