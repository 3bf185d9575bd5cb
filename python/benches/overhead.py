"""What a mask costs above the Rust kernel: masks of one pixel, of which the kernels make nothing, in
batches of 1,000. Prints microseconds a mask, the best of 50 batches.

    python python/benches/overhead.py
"""

import time

import pyarrow as pa

import segzero

N = 1000
RLE = {"size": [1, 1], "counts": "01"}


def best(call):
    times = []
    for _ in range(50):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) / N * 1e6


def main():
    rles = [dict(RLE) for _ in range(N)]
    masks = segzero.masks(rles)
    boxes = [[0.0, 0.0, 1.0, 1.0]] * N
    table = pa.table({name: pa.array(rles) for name in ("mask", "prediction")})
    batch = table.combine_chunks().to_batches()[0]
    pixels = segzero.rle_decode(rles)
    calls = {
        "masks from dictionaries": lambda: segzero.masks(rles),
        "masks from arrays": lambda: segzero.masks(pixels),
        "dictionaries of masks": lambda: segzero.rle_encode(masks),
        "arrays of masks": lambda: segzero.rle_decode(masks),
        "box_and_circles of dictionaries": lambda: segzero.box_and_circles(rles),
        "box_and_circles of masks": lambda: segzero.box_and_circles(masks),
        "mask_iou of dictionaries": lambda: segzero.mask_iou(rles, rles),
        "mask_iou of masks": lambda: segzero.mask_iou(masks, masks),
        "box_iou of lists": lambda: segzero.box_iou(boxes, boxes),
        "iou_partial of Arrow": lambda: segzero.iou_partial(batch),
        "score of Arrow": lambda: segzero.score(batch),
        "read_answers": lambda: segzero.read_answers([""] * N),
    }
    for name, call in calls.items():
        print(f"{name:34}{best(call):8.3f} us")


if __name__ == "__main__":
    main()
