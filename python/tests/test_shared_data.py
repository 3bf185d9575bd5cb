"""The wheel against the command on real photographs and annotations: the same rows, byte for byte."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
import tables

import segzero

NAMES = ["id", "problem", "solution", "image", "img_height", "img_width"]


def prepared(command, folder, *args):
    """The rows of `segzero prep`, by their ids."""
    command("prep", *args, "--leaks", "allow", "--skip-bad", "--quiet", "--size", 168, "--out", folder)
    return tables.read(folder).select(NAMES).sort_by("id")


def made(rows, **names):
    """The rows of `segzero.prep`, by their ids."""
    found = segzero.prep(rows, size="168", **names)
    found = found.filter(pa.compute.is_null(found["skip"]))
    return found.select(NAMES).sort_by("id")


@pytest.mark.parametrize("name, by", [("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "umd")])
def test_refer(command, shared_data, tmp_path, name, by):
    root = shared_data / "refer"
    images = root / "images/mscoco/images/train2014"
    for split in ["train", "val", "test"] if by == "umd" else ["train", "val", "testA", "testB"]:
        rows = tables.of_refer(root / name, split, by)
        expected = prepared(command, tmp_path / split, "--root", root, "--dataset", name,
                            "--split-by", by, "--split", split)  # fmt: skip
        table = tables.with_images(rows, images)
        assert len(expected) > 20 and made(table, dataset=name, split=split).equals(expected)


def test_coco(command, shared_data, tmp_path):
    root = shared_data / "coco-permissive"
    expected = prepared(command, tmp_path / "out", "--root", root)
    table = tables.with_images(tables.of_coco(root / "instances.json"), root / "images")
    assert len(expected) > 1000 and made(table, dataset="coco-permissive").equals(expected)


def painted(shapes, size):
    """Targets of a ReasonSeg file: the largest shape first, those behind it paint over it."""
    drawn = []
    for shape in shapes:
        if shape["label"].lower() != "flag":
            mask = segzero.rasterize([[shape["points"]]], size, fill="opencv-b")
            drawn.append((mask.areas()[0], len(drawn), shape["label"], segzero.rle_decode(mask)[0]))
    target = np.zeros(size, dtype=bool)
    for _, _, label, pixels in sorted(drawn, key=lambda one: one[:2], reverse=True):
        target[pixels] = "ignore" not in label.lower()
    return target


def test_reasonseg(command, shared_data, tmp_path):
    root = shared_data / "reasonseg"
    for split in ["train", "val", "test"]:
        rows = []
        for file in sorted((root / "ReasonSeg" / split).glob("*.json")):
            try:
                said = json.loads(file.read_text("utf-8"))
            except UnicodeDecodeError:
                said = json.loads(file.read_text("cp1252"))
            image = file.with_suffix(".jpg").read_bytes()
            mask = painted(said["shapes"], size_of(image))
            if mask.any():
                rows.append({"image": {"bytes": image, "path": f"{file.stem}.jpg"}, "text": said["text"][0],
                             "mask": segzero.rle_encode(mask), "ann_id": file.stem})  # fmt: skip
        expected = prepared(command, tmp_path / split, "--root", root, "--split", split)
        table = pa.Table.from_pylist(rows)
        assert len(expected) >= 5 and made(table, dataset="reasonseg", split=split).equals(expected)


def size_of(jpeg):
    """Height and width, of the frame header."""
    at = 2
    while jpeg[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return int.from_bytes(jpeg[at + 5 : at + 7]), int.from_bytes(jpeg[at + 7 : at + 9])


def test_hugging_face(command, shared_data, tmp_path):
    folder = shared_data / "hf" / "refcocog_test"
    expected = prepared(command, tmp_path / "out", "--root", folder)
    assert made(tables.read(folder), dataset="refcocog_test", split="test").equals(expected)


def test_videos(command, shared_data, tmp_path):
    """SA-V's run lengths, as a table of ours, with an image that says nothing."""
    masks = []
    for file in sorted((shared_data / "sa-v").glob("*.json")):
        masks += [rle for frame in json.loads(file.read_text())["masklet"] for rle in frame]
    masks = [rle for rle, area in zip(masks, segzero.masks(masks).areas()) if area]
    height, width = masks[0]["size"]
    image = tables.png(np.zeros((height, width, 3), dtype=np.uint8))
    (tmp_path / "black.png").write_bytes(image)
    rows, lines = [], []
    for number, rle in enumerate(masks):
        row = {"text": "it", "ann_id": f"{number}"}
        rows.append({**row, "image": {"bytes": image, "path": "black.png"}, "mask": rle})
        lines.append(json.dumps({"id": f"{number}", "image": "black.png", "text": "it", "rle": rle}))
    (tmp_path / "sav.jsonl").write_text("\n".join(lines))
    expected = prepared(command, tmp_path / "out", "--root", tmp_path / "sav.jsonl")
    names = ["id", "solution"]
    found = made(pa.Table.from_pylist(rows), dataset="sav")
    assert len(expected) > 900 and found.select(names).equals(expected.select(names))


def test_detections(command, shared_data, tmp_path):
    """COCO's published detections, each against the object of its image and category that it fits best."""
    folder = shared_data / "coco-eval"
    truth = tables.of_coco(folder / "instances_val2014_100.json", crowds=True)
    categories = json.loads((folder / "instances_val2014_100.json").read_text())["categories"]
    names = {category["id"]: category["name"] for category in categories}
    found = json.loads((folder / "instances_val2014_fakesegm100_results.json").read_text())
    rows, predictions = [], []
    for one in truth:
        own = [f["segmentation"] for f in found
               if (f["image_id"], names[f["category_id"]]) == (one["image_id"], one["text"])]  # fmt: skip
        ious = segzero.mask_iou_matrix(own, one["mask"])[:, 0] if own else []
        best = own[int(np.argmax(ious))] if len(ious) else None
        rows.append({**one, "prediction": best})
        if best:
            predictions.append(json.dumps({"key": f"{one['ann_id']}", **best}))
    (tmp_path / "found.jsonl").write_text("\n".join(predictions))
    for protocol in ["default", "gsva", "cris"]:
        command("eval", "--root", folder, "--pred", tmp_path / "found.jsonl", "--protocol", protocol,
                "--out", tmp_path / "scores.json")  # fmt: skip
        expected = json.loads((tmp_path / "scores.json").read_text())["summary"]
        summary = segzero.finish(segzero.iou_partial(pa.Table.from_pylist(rows), protocol), protocol)
        same = [name for name in expected if name != "median_iou"]
        assert {name: summary[name] for name in same} == {name: expected[name] for name in same}
        assert summary["n"] > 800


def test_rewards(command, shared_data, tmp_path):
    """Replies that a model wrote, and Seg-Zero's training set."""
    texts = [file.read_text() for file in sorted((shared_data / "texts").glob("*.txt"))]
    training = shared_data / "hf" / "refCOCOg_train_840"
    table = tables.read(training)
    keys, solutions = (table[name].to_pylist() for name in ("id", "solution"))
    pairs = [(key, solution, text) for key, solution in zip(keys, solutions) for text in texts]
    lines = [json.dumps({"key": f"{key}", "text": text}) for key, _, text in pairs]
    (tmp_path / "replies.jsonl").write_text("\n".join(lines))
    command("reward", "--set", training, "--replies", tmp_path / "replies.jsonl", "--quiet",
            "--out", tmp_path / "scores.jsonl")  # fmt: skip
    expected = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    earned = segzero.reward([text for *_, text in pairs], [solution for _, solution, _ in pairs])
    assert earned["score"].tolist() == [line["score"] for line in expected]
    for name in segzero.recipe().names:
        assert earned[name].tolist() == [line["rewards"][name] for line in expected]
