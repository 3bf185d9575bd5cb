"""Times Python on the masks that the circles bench has written: CPU microseconds per mask.

Run: python peers/circles.py circles-SET.json ...      (the bench prints where the files are)
Needs numpy, scipy, opencv-python-headless, pycocotools. The least of several times of each mask,
averaged over the masks.
"""
import json
import pathlib
import sys
import time

import cv2
import numpy as np
from pycocotools import mask as coco

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests/fixtures/circles"))
import reference  # noqa: E402

cv2.setNumThreads(1)


def circle(mask):
    """Largest inscribed circle of a mask with a border of background."""
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    y, x = np.unravel_index(np.argmax(distance), distance.shape)
    return x, y, distance[y, x]


def best_python(rle):
    """String to box and two points, `inscribed`: crop to the box, cut the disc, measure again."""
    left, top, width, height = (int(v) for v in coco.toBbox(rle))
    box = coco.decode(rle)[top : top + height, left : left + width]
    mask = cv2.copyMakeBorder(box, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    x, y, r = circle(mask)
    reach = int(r) + 1
    rows = slice(max(0, y - reach), y + reach + 1)
    columns = slice(max(0, x - reach), x + reach + 1)
    dy = np.arange(mask.shape[0])[rows, None] - y
    dx = np.arange(mask.shape[1])[None, columns] - x
    mask[rows, columns][dy * dy + dx * dx < round(float(r) ** 2)] = 0
    return (left + x - 1, top + y - 1), circle(mask)


def seg_zero(rle):
    """String to box and two points by the authors' rule, on scipy's transform of the whole image."""
    return reference.seg_zero(coco.decode(rle))


def least(work, argument, repeats):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work(argument)
        times.append(time.process_time() - start)
    return min(times) * 1e6


for path in sys.argv[1:]:
    masks = json.loads(pathlib.Path(path).read_text())
    print(f"\n{pathlib.Path(path).stem}: {len(masks)} masks")
    for name, work, repeats, most in [
        ("memcpy of the mask's bytes, numpy", None, 7, 1000),
        ("best Python, inscribed", best_python, 5, 1000),
        ("scipy, seg-zero", seg_zero, 2, 60),
    ]:
        times = []
        for rle in masks[:: max(1, len(masks) // most)]:
            if work is None:
                pixels = np.ones(rle["size"], np.uint8)
                copy = np.zeros_like(pixels)
                times.append(least(lambda p: np.copyto(copy, p), pixels, repeats))
            else:
                times.append(least(work, rle, repeats))
        print(f"{name:42} {np.mean(times):10.1f} us")
