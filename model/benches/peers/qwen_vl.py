"""Times transformers on the weights that `cargo bench --bench qwen_vl` has written.

    pip install torch transformers && python qwen_vl.py target/tmp/qwen2.5-vl-3b-4-layers float32

The same work as the bench: a prompt of 512 tokens, tokens one by one after it, alone and eight at a
time, and the vision tower on 840x840 pixels. Least of some runs, two threads.
"""

import sys
import time

import torch
from transformers import DynamicCache, Qwen2_5_VLForConditionalGeneration

PROMPT, REPLY = 512, 16


def least(run, times):
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start)
    return min(spent)


@torch.no_grad()
def main(folder, dtype):
    torch.set_num_threads(2)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation="sdpa"
    ).eval()
    text, head = model.model.language_model, model.lm_head
    ids = torch.tensor([[i * 7919 % 150_000 for i in range(PROMPT)]])

    def read(count=1):
        state = text(input_ids=ids.repeat(count, 1), use_cache=True, past_key_values=DynamicCache())
        head(state.last_hidden_state[:, -1])
        return state.past_key_values

    spent = least(read, 3)
    print(f"{dtype}/prefill {PROMPT} tokens: {spent * 1e3:.0f} ms, {PROMPT / spent:.1f} tokens/s")
    for count in (1, 8):
        cache = read(count)

        def write():
            state = text(input_ids=ids[:, :1].repeat(count, 1), use_cache=True, past_key_values=cache)
            head(state.last_hidden_state[:, -1])

        spent = least(write, REPLY)
        print(f"{dtype}/decode, {count} sequences: {spent * 1e3:.1f} ms a step, "
              f"{count / spent:.2f} tokens/s", flush=True)
    pixels = torch.randn(3600, 1176, dtype=getattr(torch, dtype))
    grid = torch.tensor([[1, 60, 60]])
    spent = least(lambda: model.model.visual(pixels, grid_thw=grid), 3)
    print(f"{dtype}/vision tower 840x840: {spent:.2f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
