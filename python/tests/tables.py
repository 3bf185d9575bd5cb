"""Data sets as tables of the evaluation schema: image, text, mask, ids, size."""

import json
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools import mask as coco


def of_refer(folder, split):
    """The objects of a REFER folder, with the first sentence of each, masks as run lengths."""
    refs = pickle.loads((folder / "refs(umd).p").read_bytes())
    instances = json.loads((folder / "instances.json").read_text())
    images = {image["id"]: image for image in instances["images"]}
    annotations = {one["id"]: one for one in instances["annotations"]}
    rows = []
    for ref in refs:
        image, annotation = images[ref["image_id"]], annotations[ref["ann_id"]]
        if ref["split"] != split or annotation["iscrowd"]:
            continue
        size = image["height"], image["width"]
        parts = annotation["segmentation"]
        if isinstance(parts, list):
            rle = coco.merge(coco.frPyObjects(parts, *size))
        else:
            rle = coco.frPyObjects(parts, *size) if isinstance(parts["counts"], list) else parts
        counts = rle["counts"]
        rows.append(
            {
                "image": image["file_name"],
                "text": ref["sentences"][0]["raw"],
                "mask": {
                    "size": list(size),
                    "counts": counts.decode() if isinstance(counts, bytes) else counts,
                },
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
        row["image"] = {"bytes": (folder / name).read_bytes(), "path": name}
    return pa.Table.from_pylist(rows)


def read(folder):
    """All Parquet files of a folder as one table, in the order of their names."""
    files = sorted(folder.rglob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])
