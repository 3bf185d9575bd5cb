"""Data sets as tables of the evaluation schema: image, text, mask, ids, size."""

import json
import pickle
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools import mask as coco

import segzero


def run_lengths(segmentation, size):
    """A mask of COCO's JSON as its compressed run lengths, by pycocotools."""
    if isinstance(segmentation, list):
        rle = coco.merge(coco.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        rle = coco.frPyObjects(segmentation, *size)
    else:
        rle = segmentation
    counts = rle["counts"]
    return {"size": list(size), "counts": counts.decode() if isinstance(counts, bytes) else counts}


def of_coco(path, crowds=False):
    """The objects of an `instances.json`, named by their category; with crowds or without."""
    instances = json.loads(path.read_text())
    images = {image["id"]: image for image in instances["images"]}
    names = {category["id"]: category["name"] for category in instances["categories"]}
    rows = []
    for one in instances["annotations"]:
        image = images[one["image_id"]]
        size = image["height"], image["width"]
        if crowds or not one["iscrowd"]:
            rows.append(
                {
                    "image": image["file_name"],
                    "text": names[one["category_id"]],
                    "mask": run_lengths(one["segmentation"], size),
                    "image_id": one["image_id"],
                    "ann_id": one["id"],
                    "img_height": image["height"],
                    "img_width": image["width"],
                }
            )
    return rows


def of_refer(folder, split, by="umd"):
    """The objects of a REFER folder, with the first sentence of each, masks as run lengths."""
    # Texts of some files are bytes of Python 2.
    refs = pickle.loads((folder / f"refs({by}).p").read_bytes(), encoding="utf-8")
    instances = json.loads((folder / "instances.json").read_text())
    images = {image["id"]: image for image in instances["images"]}
    annotations = {one["id"]: one for one in instances["annotations"]}
    rows = []
    for ref in refs:
        image, annotation = images[ref["image_id"]], annotations[ref["ann_id"]]
        if ref["split"] != split or annotation["iscrowd"]:
            continue
        size = image["height"], image["width"]
        rows.append(
            {
                "image": image["file_name"],
                "text": ref["sentences"][0]["raw"],
                "mask": run_lengths(annotation["segmentation"], size),
                "image_id": ref["image_id"],
                "ann_id": ref["ann_id"],
                "img_height": image["height"],
                "img_width": image["width"],
                "key": f"{ref['ref_id']}",
                "sentence": ref["sentences"][0]["sent_id"],
            }
        )
    return rows


def with_images(rows, folder):
    """The rows as a table, with the bytes of the images in ``folder``."""
    for row in rows:
        name = row["image"]
        content = (folder / name).read_bytes()
        if content.startswith(b"../"):  # A link, as file systems without links keep it.
            content = (folder / content.decode()).read_bytes()
        row["image"] = {"bytes": content, "path": name}
    return pa.Table.from_pylist(rows)


def read(folder):
    """All Parquet files of a folder as one table, in the order of their names."""
    files = sorted(folder.rglob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


def drawn():
    """Rows of drawn images, masks and predictions, one of each kind of failure among them."""
    dice = np.random.default_rng(11)
    rows = []
    for i in range(240):
        height, width = dice.integers(20, 60, 2)
        ys, xs = np.mgrid[:height, :width]
        y, x, r = dice.random(3) * [height, width, 25]
        mask = (ys - y) ** 2 + (xs - x) ** 2 < r * r + 4
        pixels = dice.integers(0, 255, (height, width, 3), dtype=np.uint8)
        moved = np.roll(mask, dice.integers(-5, 6, 2), (0, 1))
        rows.append(
            {
                "image": {"bytes": png(pixels), "path": f"{i}.png"},
                "text": f"object {i}",
                "mask": segzero.rle_encode(mask),
                "prediction": None if i % 17 == 3 else segzero.rle_encode(moved),
                "image_id": i,
                "ann_id": i,
            }
        )
    rows[5]["mask"] = {"size": [4, 4], "counts": "zz"}
    rows[6]["image"] = {"bytes": b"no image", "path": "6.png"}
    return pa.Table.from_pylist(rows)


def png(pixels):
    """A PNG of RGB pixels."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind, body):
        check = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + check

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    parts = [chunk(b"IHDR", size + b"\x08\x02\0\0\0"), chunk(b"IDAT", zlib.compress(lines))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")
