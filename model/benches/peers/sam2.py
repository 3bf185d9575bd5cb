"""Times transformers and ONNX Runtime on SAM 2, beside `cargo bench --bench sam2`.

    pip install torch transformers onnx onnxscript onnxruntime
    python sam2.py [--family large] [--runtime onnx] [--keep DIR]

The same work as the bench: the image encoder on one image of 1024 x 1024, and the decoder for one
and for eight objects, each of a box and two points; float32, two threads, least of some runs.
Weights follow from the names of the published parameters, as do those that the bench writes. GFLOP
are of matrix products and convolutions as torch counts them, two to a multiplication and addition.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/fixtures/sam2"))
from network import network, pixels  # noqa: E402

FAMILIES = {"tiny": "hiera-tiny", "base-plus": "base-plus", "large": "large"}
LEVELS = ["embedding", "high_0", "high_1"]


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        levels = self.model.vision_encoder(images, return_dict=True).fpn_hidden_states
        decoder, none = self.model.mask_decoder, self.model.no_memory_embedding
        embedding = levels[2] + none.reshape(1, -1, 1, 1)
        return embedding, decoder.conv_s0(levels[0]), decoder.conv_s1(levels[1])


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("position", model.get_image_wide_positional_embeddings())

    def forward(self, embedding, high_0, high_1, points, labels):
        prompts = self.model.prompt_encoder
        sparse = prompts._embed_points(points, labels, pad=True)
        dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand_as(embedding)
        masks, ious, _, scores = self.model.mask_decoder(
            image_embeddings=embedding, image_positional_embeddings=self.position,
            sparse_prompt_embeddings=sparse, dense_prompt_embeddings=dense,
            multimask_output=True, high_resolution_features=[high_0, high_1],
        )
        return masks, ious, scores


def prompts(objects):
    """A box and two points for each: [1, objects, 4, 2] and their labels."""
    corners = torch.tensor([[200.0, 150.0], [700.0, 800.0], [400.0, 390.0], [510.0, 600.0]])
    points = torch.stack([corners + 17 * i for i in range(objects)])[None]
    return points, torch.tensor([2, 3, 1, 1]).expand(1, objects, 4).contiguous()


def least(run, seconds):
    """The least time of three runs or more, and what the first gave."""
    result, spent, start = None, [], time.perf_counter()
    while len(spent) < 3 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        found = run()
        spent.append(time.perf_counter() - begin)
        result = result or found
    return min(spent), result


def report(what, seconds, flop):
    rate = flop / seconds / 1e9
    print(f"{what}: {seconds * 1e3:.1f} ms, {flop / 1e9:.0f} GFLOP, {rate:.0f} GFLOP/s", flush=True)


def count(module, given):
    with FlopCounterMode(display=False) as counter:
        module(*given)
    return counter.get_total_flops()


def session(module, given, names, path):
    """A function that runs `module` in ONNX Runtime."""
    import onnxruntime

    if not Path(path).exists():
        torch.onnx.export(module, given, path, dynamo=True, opset_version=20, input_names=names,
                          verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    running = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {i.name: v.numpy() for i, v in zip(running.get_inputs(), given)}
    return lambda: [torch.from_numpy(v) for v in running.run(None, inputs)]


def time_one(what, module, given, names, options):
    flop, expected = count(module, given), module(*given)
    run = lambda: module(*given)  # noqa: E731
    if options.runtime == "onnx":
        path = Path(options.keep) / f"{what.replace('/', '-')}.onnx"
        run = session(module, given, names, str(path))
    seconds, found = least(run, 10)
    apart = [float((f - e).abs().max() / e.abs().max()) for f, e in zip(found, expected)]
    assert max(apart) < 1e-4, apart
    report(f"{options.runtime} {what}", seconds, flop)
    return expected


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=FAMILIES, default="large")
    parser.add_argument("--runtime", choices=["torch", "onnx"], default="torch")
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--keep", type=Path, help="where exported networks stay, to be used again")
    options = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as temporary:
        options.keep = options.keep or temporary
        name = FAMILIES[options.family]
        model = network(name, options.attention, torch.float32)
        images = (pixels(name, 1),)
        what = f"{options.family}/encoder"
        levels = time_one(what, Encoder(model).eval(), images, ["images"], options)
        for objects in (1, 8):
            given = (*levels, *prompts(objects))
            what = f"{options.family}/decoder, {objects} objects"
            time_one(what, Decoder(model).eval(), given, [*LEVELS, "points", "labels"], options)


if __name__ == "__main__":
    main()
