"""The predictors of `segzero_ray` that need no Ray."""

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
    found = segzero_ray.Endpoint("http://127.0.0.1:1/v1", "any")(table).to_pylist()
    assert found[0]["reply"] is None and "Error" in found[0]["error"]
