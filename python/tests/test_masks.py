"""Masks, boxes and overlaps against pycocotools: equal, not close."""

import threading

import numpy as np
import pytest
from pycocotools import mask as coco

import segzero


def shapes(count, seed=0):
    """Noise, blobs, lines, nothing and everything, of many sizes."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        height, width = random.integers(1, 90, 2)
        rows, columns = np.mgrid[:height, :width]
        kind = i % 5
        if kind == 0:
            mask = random.random((height, width)) < random.random()
        elif kind == 1:
            y, x, r = random.random(3) * [height, width, 40]
            mask = (rows - y) ** 2 + (columns - x) ** 2 < r * r
        elif kind == 2:
            mask = (rows + columns) % 7 == 0
        else:
            mask = np.full((height, width), kind == 3)
        found.append(mask)
    return found


def reference(mask):
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_run_lengths_are_cocos():
    for mask in shapes(200):
        rle, expected = segzero.rle_encode(mask), reference(mask)
        assert rle["size"] == expected["size"]
        assert rle["counts"].encode() == expected["counts"]
        for given in (rle, expected):
            decoded = segzero.rle_decode(given)
            assert decoded.dtype == bool and np.array_equal(decoded, mask)
        assert segzero.masks(rle).areas()[0] == coco.area(expected)


def test_all_forms_of_masks_are_one():
    stack = np.stack([mask for mask in np.random.default_rng(1).random((4, 20, 30)) < 0.3])
    expected = segzero.masks(stack)
    runs = [coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in stack]
    uncompressed = []
    for mask in stack:
        flat = mask.T.reshape(-1)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
        uncompressed.append(
            {"size": list(mask.shape), "counts": np.diff([0, *edges, flat.size]).tolist()}
        )
    forms = [list(stack), stack * 3.5, np.asfortranarray(stack), runs, segzero.rle_encode(stack)]
    for form in [*forms, uncompressed]:
        assert segzero.masks(form) == expected
    assert len(segzero.masks([])) == 0


def test_polygons_are_filled_as_coco_fills_them():
    dice = np.random.default_rng(4)
    for _ in range(60):
        height, width = dice.integers(4, 70, 2).tolist()
        polygons = [
            (dice.random((dice.integers(3, 9), 2)) * [width + 8, height + 8] - 4).round(2)
            for _ in range(dice.integers(1, 4))
        ]
        flat = [polygon.reshape(-1).tolist() for polygon in polygons]
        [found] = segzero.rasterize([polygons], (height, width)).rle()
        expected = coco.merge(coco.frPyObjects(flat, height, width))
        assert found["counts"].encode() == expected["counts"]
        assert segzero.rasterize([flat], (height, width)) == segzero.masks(found)
    with pytest.raises(ValueError, match="object 1: .*polygon 0"):
        segzero.rasterize([[[0, 0, 3, 0, 3, 3]], [[0, 0, 3]]], (5, 5))
    with pytest.raises(ValueError, match="n x 2, not 4 x 3"):
        segzero.rasterize([[np.zeros((4, 3))]], (5, 5))
    with pytest.raises(ValueError, match="unknown variant `cv2`.*opencv-b"):
        segzero.rasterize([], (5, 5), fill="cv2")


def test_boxes_are_of_extremal_pixels():
    for mask in shapes(100):
        [box] = segzero.masks(mask).boxes().tolist()
        ys, xs = np.nonzero(mask)
        expected = [xs.min(), ys.min(), xs.max(), ys.max()] if len(xs) else [-1] * 4
        assert box == expected


def test_overlap_is_pycocotools():
    random = np.random.default_rng(2)
    masks = random.random((30, 40, 50)) < random.random((30, 1, 1)) ** 2
    masks[0] = False
    a, b = [reference(m) for m in masks[:15]], [reference(m) for m in masks[15:]]
    expected = coco.iou(a, b, [0] * len(b))
    assert np.array_equal(segzero.mask_iou_matrix(a, b), expected)
    assert np.array_equal(segzero.mask_iou(a, b), np.diag(expected))
    counts = segzero.mask_counts(masks[:15], masks[15:])
    assert np.array_equal(counts[:, 0], (masks[:15] & masks[15:]).sum((1, 2)))
    assert np.array_equal(counts[:, 1:], [[m.sum(), n.sum()] for m, n in zip(masks, masks[15:])])


def test_box_overlap_is_pycocotools():
    random = np.random.default_rng(3)
    # Whole numbers: COCO's boxes hold widths, whose sums would round.
    corners = np.sort(random.integers(0, 60, (40, 2, 2)), axis=1)
    boxes = corners.reshape(40, 4).astype(float)
    xywh = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    proper = (xywh[:, 2:] > 0).all(1)
    boxes, xywh = boxes[proper], xywh[proper]
    expected = coco.iou(xywh, xywh, [0] * len(xywh))
    assert np.array_equal(segzero.box_iou_matrix(boxes, boxes), expected)
    assert np.array_equal(segzero.box_iou(boxes, boxes[::-1]), np.diag(expected[:, ::-1]))


def farthest(mask, border):
    """Squared distance of every foreground pixel to the nearest background pixel."""
    padded = np.pad(mask, 1, constant_values=border == "open")
    ys, xs = np.nonzero(~padded)
    distances = np.zeros(mask.shape, np.int64)
    for y, x in zip(*np.nonzero(mask)):
        distances[y, x] = ((ys - y - 1) ** 2 + (xs - x - 1) ** 2).min()
    return distances


@pytest.mark.parametrize("border", ["background", "open"])
def test_circles_are_the_largest(border):
    seen = 0
    for mask in shapes(60, seed=4):
        if not mask.any() or mask.all():
            continue
        target = segzero.box_and_circles(mask, border=border)
        distances = farthest(mask, border)
        (x, y), (x2, y2) = target.centers[0]
        first, second = target.radii_squared[0].tolist()
        assert first == distances.max() == distances[y, x]
        # The second circle is the largest of what the first leaves.
        rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
        rest = mask & ((rows - y) ** 2 + (columns - x) ** 2 >= first)
        if rest.any():
            left = farthest(rest, border)
            assert second == left.max() == left[y2, x2]
        else:
            assert target.degenerate[0]
        seen += 1
    assert seen > 20


def test_an_empty_mask_has_no_target():
    targets = segzero.box_and_circles(np.zeros((2, 4, 5)))
    assert not targets.found.any() and (targets.boxes == -1).all()
    assert targets.centers.shape == (2, 2, 2) and not targets.radii_squared.any()


@pytest.mark.parametrize(
    "mask, what",
    [
        ({"size": [5, 5]}, "mask 1: `counts` is missing"),
        ({"size": [5, 5], "counts": "66"}, "mask 1: "),
        ({"size": [5, 5], "counts": [1, 2]}, "mask 1: "),
        ({"size": [5], "counts": "6320004"}, "mask 1: "),
        ({"size": [5, 5], "counts": 3.5}, "`counts` must be"),
    ],
)
def test_a_bad_mask_is_named(mask, what):
    good = {"size": [5, 5], "counts": "6320004"}
    with pytest.raises(ValueError, match=what):
        segzero.masks([good, mask])


def test_what_does_not_belong_together_is_said():
    with pytest.raises(ValueError, match="1 masks, but 2"):
        segzero.mask_iou(np.ones((1, 2, 2)), np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match="pair 0"):
        segzero.mask_iou(np.ones((2, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="unknown variant `middle`.*inscribed"):
        segzero.box_and_circles(np.ones((2, 2)), points="middle")


def test_python_goes_on_meanwhile():
    masks = segzero.masks(np.random.default_rng(5).random((150, 80, 80)) < 0.5)
    started, done, turns = threading.Event(), threading.Event(), 0

    def work():
        started.set()
        segzero.mask_iou_matrix(masks, masks)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while not done.is_set():
        turns += 1
    thread.join()
    # With the lock held there is at most one turn of the interpreter, some thousand iterations.
    assert turns > 20_000
