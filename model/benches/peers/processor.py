"""Times transformers' two image processors of Qwen2-VL on the pictures of ../processor.rs.

    pip install transformers torch torchvision pillow numpy
    python processor.py [THREADS]

Prints the best of some runs, in milliseconds: `pil` is the one whose patches ours equal, `torchvision`
the default of transformers 5.
"""

import sys
import time
import warnings

import numpy as np
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

LIMITS = {"min_pixels": 3136, "max_pixels": 12845056}


def picture(width, height):
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(1).integers(0, 32, (height, width, 3))
    values = (x // 5 + y // 6)[..., None] + noise
    return Image.fromarray((values % 256).astype(np.uint8))


def best(processor, image, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        processor(image, return_tensors="pt")
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    pil, torchvision = Qwen2VLImageProcessorPil(**LIMITS), Qwen2VLImageProcessor(**LIMITS)
    for size in [(840, 840), (640, 480), (4000, 3000)]:
        image, runs = picture(*size), 20 if size[0] < 1000 else 5
        print(f"{size[0]}x{size[1]}: pil {best(pil, image, runs):.1f} ms,"
              f" torchvision {best(torchvision, image, runs):.1f} ms")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
