"""The predictors of `segzero_ray` that need no Ray."""

import re

import numpy as np
import pyarrow as pa
import pytest
import tables

import segzero
import segzero_ray

REPLY = (
    "<think>It is there.</think>"
    '<answer>{"bbox": [84, 168, 419, 503], "points_1": [150, 250], "points_2": [200, 300]}</answer>'
)


def test_the_command_predicts_a_batch(command, synthetic, tmp_path):
    [refs] = synthetic.rglob("refs(umd).p")
    rows = tables.of_refer(refs.parent, "train")[:3]
    [first] = synthetic.rglob(rows[0]["image"])
    table = tables.with_images(rows, first.parent)
    (tmp_path / "reply.txt").write_text(REPLY)
    arguments = ["--reply", str(tmp_path / "reply.txt")]
    found = segzero_ray.Command(arguments, str(command.program))(table)
    # Without a segmenter the mask is the box, filled, in the image's own frame.
    boxes = segzero.masks(found["prediction"].to_pylist()).boxes()
    for box, row in zip(boxes.tolist(), rows):
        width, height = row["img_width"] / 840, row["img_height"] / 840
        expected = [84 * width, 168 * height, 419 * width, 503 * height]
        assert box == pytest.approx(expected, abs=2)


def test_an_endpoint_that_is_not_there_is_an_error_of_the_row():
    table = pa.table({"image": pa.array([b"\x89PNG"]), "text": ["a dog"]})
    found = segzero_ray.Endpoint("http://127.0.0.1:1/v1", "any", retries=0)(table).to_pylist()
    assert found[0]["reply"] is None and "Error" in found[0]["error"]


def test_rows_that_the_command_cannot_use_say_why(command, tmp_path):
    good = {"image": tables.png(np.zeros((30, 40, 3), np.uint8)), "text": "a dog"}
    rows = [good, {**good, "image": b"no image"}, {**good, "text": None}, {**good, "image": None}]
    rows += [{**good, "image": b"\x89PNG\r\n\x1a\n"}, {**good, "text": " "}, good]
    (tmp_path / "reply.txt").write_text(REPLY)
    predict = segzero_ray.Command(["--reply", str(tmp_path / "reply.txt")], str(command.program))
    found = predict(pa.Table.from_pylist(rows)).to_pylist()
    assert [row["prediction"] is None for row in found] == [False, True, True, True, True, True, False]
    assert [row["error"] is None for row in found] == [True, False, False, False, False, False, True]
    assert "bad-image" in found[1]["error"] and "text is missing" in found[2]["error"]
    alone = predict(pa.Table.from_pylist(rows).slice(2, 2)).to_pylist()
    assert all(row["prediction"] is None and row["error"] for row in alone)


def test_a_command_that_fails_says_why(command):
    predict = segzero_ray.Command(["--reply", "not-there.txt"], str(command.program))
    with pytest.raises(RuntimeError, match="not-there.txt"):
        predict(pa.table({"image": [tables.png(np.zeros((4, 4, 3), np.uint8))], "text": ["a dog"]}))


def test_an_image_may_be_a_path(tmp_path):
    """Of a file that is not there, the row says so."""
    table = pa.table({"image": [str(tmp_path / "no.png")], "text": ["a dog"]})
    for predict in [segzero_ray.Command([], "not-run"), segzero_ray.Endpoint("http://127.0.0.1:1", "any")]:
        [row] = predict(table).to_pylist()
        assert "no.png" in row["error"]


def test_a_busy_endpoint_is_asked_again(endpoint):
    image = tables.png(np.zeros((4, 4, 3), np.uint8))
    texts = [*(f"object {number}" for number in range(7, 12)), None]
    table = pa.table({"image": [image] * 6, "text": texts})
    rows = segzero_ray.Endpoint(endpoint, "any", retries=1)(table).to_pylist()
    assert [row["reply"] for row in rows] == ["I see object 7", "I see object 8"] + [None] * 4
    assert rows[0]["error"] is rows[1]["error"] is None
    whys = ["500.*too hot", "no text: null", "no text: .*part", "text is missing"]
    assert all(re.search(why, row["error"]) for why, row in zip(whys, rows[2:], strict=True))
    empty = segzero_ray.Endpoint(endpoint, "any")(table.slice(0, 0))
    assert len(empty) == 0 and empty.column_names == ["reply", "error"]
