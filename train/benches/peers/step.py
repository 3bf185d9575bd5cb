"""Times torch and transformers on the step of `cargo bench --bench step`, which writes the weights.

    pip install torch transformers && python step.py target/tmp/step THREADS

Two ways: `rows` reads every reply behind its own copy of prompt and image, as trainers do; `shared`
computes each prompt once and lets its replies see it through a mask, as the bench does. Least of five,
and beside it the time of all processors, which a busy machine does not change.
"""

import sys
import time

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

PROMPTS, EACH, REPLY, PATCHES = 4, 8, 64, 256
IMAGE, START, END = 2040, 2042, 2043


def prompt(number):
    before = [(i + number) * 7919 % 2000 for i in range(16)]
    after = [(i + number) * 6007 % 2000 for i in range(16)]
    return before + [START] + [IMAGE] * (PATCHES // 4) + [END] + after


def inputs():
    prompts = torch.tensor([prompt(n) for n in range(PROMPTS)])
    replies = torch.tensor([[(i + n) * 4999 % 2000 for i in range(REPLY)]
                            for n in range(PROMPTS * EACH)])
    pixels = torch.rand(PROMPTS * PATCHES, 1176, generator=torch.manual_seed(0)) * 4 - 2
    return prompts, replies, pixels


def judged(model, hidden, replies):
    """The loss of replies `[n, 64]` from the hidden states before their tokens."""
    logs = torch.log_softmax(model.lm_head(hidden), -1)
    found = logs.gather(-1, replies[..., None])[..., 0]
    entropies = -(logs.exp() * logs).sum(-1).detach()
    sign = torch.tensor([1.0, -1.0]).repeat(len(replies) // 2)
    return (found * sign[:, None]).mean(), entropies


def rows(model, prompts, replies, pixels):
    ids = torch.cat([prompts.repeat_interleave(EACH, 0), replies], 1)
    pixels = pixels.view(PROMPTS, -1).repeat_interleave(EACH, 0).view(-1, 1176)
    state = model.model(
        input_ids=ids, pixel_values=pixels, mm_token_type_ids=(ids == IMAGE).int(),
        image_grid_thw=torch.tensor([[1, 16, 16]] * len(ids)), attention_mask=torch.ones_like(ids),
        use_cache=False,
    ).last_hidden_state
    return judged(model, state[:, prompts.shape[1] - 1:-1], replies)


def shared(model, prompts, replies, pixels):
    length = prompts.shape[1]
    grids = torch.tensor([[1, 16, 16]] * PROMPTS)
    ids = torch.cat([prompts, replies.view(PROMPTS, -1)], 1)
    places, _ = model.model.get_rope_index(
        prompts, mm_token_type_ids=(prompts == IMAGE).int(), image_grid_thw=grids,
        attention_mask=torch.ones_like(prompts))
    after = places[:, :, -1:] + 1 + torch.arange(REPLY).repeat(EACH)
    places = torch.cat([places, after], 2)
    whole = ids.shape[1]
    seen = torch.ones(whole, whole).tril().bool()
    for reply in range(EACH):
        begin = length + reply * REPLY
        seen[begin:begin + REPLY, length:begin] = False
    embeds = model.get_input_embeddings()(ids)
    images = model.model.visual(pixels, grid_thw=grids).pooler_output
    embeds = embeds.masked_scatter((ids == IMAGE)[..., None], images)
    state = model.model.language_model(
        inputs_embeds=embeds, position_ids=places, use_cache=False,
        attention_mask=seen.expand(PROMPTS, 1, whole, whole)).last_hidden_state
    first = state[:, length - 1:length].repeat_interleave(EACH, 0)
    rest = state[:, length:].reshape(PROMPTS * EACH, REPLY, -1)[:, :-1]
    return judged(model, torch.cat([first, rest], 1), replies)


def main(folder, threads):
    torch.set_num_threads(int(threads))
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa")
    given = inputs()
    losses = []
    for way in (shared, rows):
        spent = []
        for _ in range(5):
            model.zero_grad()
            start, work = time.perf_counter(), time.process_time()
            loss, _ = way(model, *given)
            middle = time.perf_counter()
            loss.backward()
            spent.append((time.perf_counter() - start, middle - start, time.process_time() - work))
        losses.append(loss.item())
        whole, forward, _ = min(spent)
        work = min(work for *_, work in spent)
        print(f"{threads} threads, {way.__name__}: {whole * 1e3:.0f} ms, "
              f"of which forward {forward * 1e3:.0f}; {work * 1e3:.0f} of the processors", flush=True)
    assert abs(losses[0] - losses[1]) < 1e-4, losses  # both ways are the same step


if __name__ == "__main__":
    main(*sys.argv[1:])
