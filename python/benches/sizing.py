"""Masks per core-hour of one core, and what SA-1B (1.1 billion masks on 11 million images) then costs.

    pip install pillow && python python/benches/sizing.py

Images are JPEGs of smooth noise, masks are blobs whose sides are spread evenly in the logarithm from 1/60
to 2/3 of the image's. `COCO` has 640x480 pixels and 7 masks an image, `SA-1B` 2250x1500 and 100, as the
sets do on average. The best of three runs.
"""

import io
import time

import numpy as np
import pyarrow as pa
from PIL import Image

import segzero

MASKS = 1.1e9
SETS = {"COCO": (640, 480, 7, 6), "SA-1B": (2250, 1500, 100, 1)}


def jpeg(dice, width, height):
    """A photograph's worth of bytes: noise of several scales."""
    pixels = np.zeros((height, width, 3))
    for cells in (4, 16, 64, 256):
        noise = dice.integers(0, 256, (cells * height // width + 1, cells, 3), dtype=np.uint8)
        pixels += np.asarray(Image.fromarray(noise).resize((width, height), Image.BICUBIC)) / 4
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "jpeg", quality=90)
    return file.getvalue()


def blob(dice, width, height):
    """An outline that swings about an ellipse."""
    side = np.exp(dice.uniform(np.log(1 / 60), np.log(2 / 3), 2)) * [width, height] / 2
    x, y = dice.random(2) * [width, height]
    columns, rows = (np.arange(width) - x) / side[0], (np.arange(height) - y) / side[1]
    angle = np.arctan2(rows[:, None], columns[None])
    waves = dice.normal(0, 0.15, 5), dice.random(5) * 6.3
    swing = sum(a * np.sin((n + 2) * angle + b) for n, (a, b) in enumerate(zip(*waves)))
    return rows[:, None] ** 2 + columns[None] ** 2 < (1 + swing) ** 2


def rows(dice, width, height, masks, images):
    found = []
    for image in range(images):
        picture = {"bytes": jpeg(dice, width, height), "path": f"{image}.jpg"}
        for number in range(masks):
            mask = blob(dice, width, height)
            moved = np.roll(mask, dice.integers(-9, 10, 2), (0, 1))
            found.append(
                {
                    "image": picture,
                    "text": "the thing",
                    "mask": segzero.rle_encode(mask),
                    "prediction": segzero.rle_encode(moved),
                    "image_id": image,
                    "ann_id": len(found),
                }
            )
    return pa.Table.from_pylist(found).combine_chunks()


def seconds(call):
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def main():
    dice = np.random.default_rng(1)
    for name, (width, height, masks, images) in SETS.items():
        table = rows(dice, width, height, masks, images)
        read = segzero.masks(table["mask"].to_pylist())
        pairs = table.select(["mask", "prediction"])
        jobs = {
            "prep, a row a mask": lambda: segzero.prep(table),
            "prep, a row an image": lambda: segzero.prep(table, solution="vision-reasoner"),
            "the same, images as JPEG": lambda: segzero.prep(
                table, solution="vision-reasoner", image="jpeg:90"),
            "box_and_circles": lambda: segzero.box_and_circles(read),
            "iou_partial": lambda: segzero.iou_partial(pairs),
        }  # fmt: skip
        print(f"{name}: {width}x{height}, {masks} masks an image, {len(table)} masks")
        for job, call in jobs.items():
            each = seconds(call) / len(table)
            line = f"  {job:28} {each * 1e6:8.1f} us a mask {3.6e-3 / each:7.2f} M masks/core-hour"
            made = call()
            if name == "SA-1B":
                line += f"; the set: {MASKS * each / 3600:6.1f} core-hours"
                if job.startswith(("prep", "the same")):
                    line += f", {made.nbytes / len(table) * MASKS / 1e12:.1f} TB"
            print(line)


if __name__ == "__main__":
    main()
