"""pycocotools (and OpenCV for PNG) on the masks of `../masks.rs`: microseconds of CPU time a mask.

    pip install pycocotools opencv-python-headless numpy
    python masks.py PATH/TO/shared/data
"""

import json
import sys
import time

import cv2
import numpy as np
from pycocotools import mask as coco

cv2.setNumThreads(1)
with open(f"{sys.argv[1]}/coco-eval/instances_val2014_100.json") as file:
    content = json.load(file)
sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
cases = []
for annotation in content["annotations"]:
    polygons, (h, w) = annotation["segmentation"], sizes[annotation["image_id"]]
    if not isinstance(polygons, list):
        continue
    mask = coco.merge(coco.frPyObjects(polygons, h, w))
    if coco.area(mask) * 100 < h * w:
        continue
    moved = [[c * 0.97 + 8.0 for c in polygon] for polygon in polygons]
    prediction = coco.merge(coco.frPyObjects(moved, h, w))
    bitmap = np.ascontiguousarray(coco.decode(mask))
    png = cv2.imencode(".png", bitmap * 255)[1]
    cases.append((h, w, polygons, mask, prediction, bitmap, np.asfortranarray(bitmap), png))

buffer = np.zeros(max(case[5].size for case in cases), np.uint8)


def counts(target, prediction):
    both = coco.area(coco.merge([target, prediction], intersect=True))
    return both, coco.area(target) + coco.area(prediction) - both


def dense(target, prediction):
    a, b = coco.decode(target), coco.decode(prediction)
    return np.logical_and(a, b).sum(), np.logical_or(a, b).sum()


def boundary(bitmap):
    (h, w), kernel = bitmap.shape, np.ones((3, 3), np.uint8)
    framed = cv2.copyMakeBorder(bitmap, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(framed, kernel, iterations=max(1, round(0.02 * np.hypot(h, w))))
    return bitmap - eroded[1:-1, 1:-1]


work = {
    "copy of the bytes": lambda c: np.copyto(buffer[: c[5].size], c[5].reshape(-1)),
    "frPyObjects + merge": lambda c: coco.merge(coco.frPyObjects(c[2], c[0], c[1])),
    "toBbox": lambda c: coco.toBbox(c[3]),
    "merge + area: intersection and union": lambda c: counts(c[3], c[4]),
    "decode + numpy: intersection and union": lambda c: dense(c[3], c[4]),
    "iou": lambda c: coco.iou([c[3]], [c[4]], [0]),
    "merge: union": lambda c: coco.merge([c[3], c[4]]),
    "cv2.erode: boundary": lambda c: boundary(c[5]),
    "encode": lambda c: coco.encode(c[6]),
    "decode": lambda c: coco.decode(c[3]),
    "cv2.imdecode": lambda c: cv2.imdecode(c[7], cv2.IMREAD_UNCHANGED),
    "cv2.imencode": lambda c: cv2.imencode(".png", c[5]),
}
print(f"{len(cases)} masks, us of CPU time each (best of 5)")
for name, run in work.items():
    times = []
    for _ in range(5):
        start = time.process_time()
        for case in cases:
            run(case)
        times.append((time.process_time() - start) / len(cases) * 1e6)
    print(f"{name:40} {min(times):9.1f}")
