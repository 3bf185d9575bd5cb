"""Whole batches: the command's own results, however the rows are cut."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
import tables

import segzero


def pieces(table, seed, most=40):
    """The rows cut at random, as tables of several chunks and as record batches, shuffled."""
    dice = random.Random(seed)
    found, start = [], 0
    while start < len(table):
        length = dice.randint(1, most)
        piece = table.slice(start, length)
        found.append(piece if dice.random() < 0.5 else piece.combine_chunks().to_batches()[0])
        start += length
    dice.shuffle(found)
    return found


def as_table(rows):
    return rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])


@pytest.fixture(scope="session")
def rows(synthetic):
    """The synthetic set's training objects."""
    [refs] = synthetic.rglob("refs(umd).p")
    found = tables.of_refer(refs.parent, "train")
    folders = {path.parent for path in synthetic.rglob("*.jpg")}
    [images] = [folder for folder in folders if (folder / found[0]["image"]).exists()]
    # Neighbours share an image, as they do in sets that were made image by image.
    found.sort(key=lambda row: row["image_id"])
    return tables.with_images(found[:160], images)


def equal_sets(expected, made):
    """Equal but for the two columns that say what was left out."""
    made = made.select(expected.column_names)
    for name in expected.column_names:
        column = made[name].cast(expected[name].type)
        assert column.to_pylist() == expected[name].to_pylist(), name


OPTIONS = [
    {"size": "168x168"},
    {"size": "112", "points": "seg-zero", "rounding": "half-even", "columns": "exact"},
    {"size": "keep", "image": "jpeg:90", "border": "open", "box": "exclusive", "min_area": 400},
    {"size": "112", "solution": "vision-reasoner", "image": "png:fast"},
]


def flags(options):
    flat = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items()]
    return [part for pair in flat for part in pair]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
def test_prep_is_the_commands(command, rows, tmp_path, options):
    """Against `segzero prep` over the same rows as Parquet."""
    (tmp_path / "set").mkdir()
    tables.pq.write_table(nested(rows), tmp_path / "set" / "train-00000-of-00001.parquet")
    command("prep", "--root", tmp_path / "set", "--leaks", "allow", "--quiet",
            "--out", tmp_path / "out", *flags(options))  # fmt: skip
    expected = tables.read(tmp_path / "out")
    made = segzero.prep(rows, dataset="set", **options)
    assert made.schema.equals(pa.schema(segzero.prep_schema(**options)))
    good = made.filter(pa.compute.is_null(made["skip"]))
    assert len(good) == len(expected) > 30
    equal_sets(expected, good)
    skipped = made["skip"].drop_null().to_pylist()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    counted = {name: skipped.count(name) for name in set(skipped)}
    assert counted == {k: v for k, v in manifest["counts"]["skipped"].items() if v}


def nested(rows):
    """The same rows with masks as Hugging Face's evaluation sets have them."""
    masks = [mask.tolist() for mask in segzero.rle_decode(rows["mask"].to_pylist())]
    at = rows.column_names.index("mask")
    bits = pa.array(masks, pa.list_(pa.list_(pa.bool_())))
    return rows.drop_columns(["key", "sentence"]).set_column(at, "mask", bits)


def test_prep_does_not_depend_on_the_cut(rows):
    options = {"size": "84", "columns": "extended"}
    whole = segzero.prep(rows, **options)
    parts = [as_table(segzero.prep(piece, **options)) for piece in pieces(rows, seed=1)]
    order = [("id", "ascending")]
    assert pa.concat_tables(parts).sort_by(order).equals(whole.sort_by(order))


def test_prep_reads_all_forms_of_rows(rows):
    rows = rows.slice(0, 12)
    expected = segzero.prep(rows, size="84").drop_columns(["image"])
    assert segzero.prep(rows, size=84).drop_columns(["image"]).equals(expected)
    at = rows.column_names.index("mask")
    rles = rows["mask"].to_pylist()
    strings = pa.array([rle["counts"] for rle in rles], pa.large_string())
    images = pa.array([image["bytes"] for image in rows["image"].to_pylist()], pa.large_binary())
    forms = [
        nested(rows),
        rows.set_column(at, "mask", strings),
        rows.set_column(at, "mask", strings.cast(pa.large_binary())),
        rows.set_column(0, "image", images),
        rows.rename_columns({"ann_id": "id", "key": "ref"}),
        rows.drop_columns(["img_height", "img_width", "image_id"]),
    ]
    for form in forms:
        assert segzero.prep(form, size="84").drop_columns(["image"]).equals(expected)


def test_rows_that_cannot_be_used_are_data(rows):
    good = rows.slice(0, 6).to_pylist()
    wrong = [dict(row) for row in good]
    wrong[1]["mask"] = {"size": [3, 3], "counts": "zz"}
    wrong[2] |= {"image": {"bytes": b"no image", "path": "x.jpg"}, "image_id": -1}
    wrong[3]["mask"] = None
    wrong[4]["mask"] = {"size": wrong[4]["mask"]["size"], "counts": ""}
    wrong[5]["text"] = None
    made = segzero.prep(pa.Table.from_pylist(wrong, rows.schema), size="84").to_pylist()
    assert len(made) == 6 and made[0]["skip"] is None and made[0]["error"] is None
    errors = sorted(row["error"] for row in made if row["skip"] == "bad")
    assert len(errors) == 5
    assert any("row 1: field `mask`" in e or "field `mask`" in e for e in errors)
    assert all(row["solution"] is None and row["problem"] is None for row in made[1:])


def test_what_needs_the_whole_set_is_refused(rows):
    with pytest.raises(ValueError, match="prepared whole"):
        segzero.prep(rows, count=9000)
    with pytest.raises(ValueError, match="no option `size-of-it`"):
        segzero.prep(rows, size_of_it=3)
    with pytest.raises(ValueError, match="option `circles`: invalid type: string"):
        segzero.prep(rows, circles="2")
    with pytest.raises(ValueError, match="`mask`: the column .there are: image"):
        segzero.prep(rows.drop_columns(["mask"]))
    with pytest.raises(ValueError, match="`__arrow_c_array__` or"):
        segzero.prep([1, 2])


@pytest.fixture(scope="session")
def predicted(rows):
    """The same rows with predictions: right, moved, empty, missing, of another size, unreadable."""
    dice = np.random.default_rng(7)
    predictions = []
    for i, mask in enumerate(segzero.rle_decode(rows["mask"].to_pylist())):
        moved = np.roll(mask, dice.integers(-9, 10, 2), (0, 1))
        kinds = [mask, moved, moved, moved, mask & False, None, moved[:-1], "unreadable"]
        mask = kinds[i % len(kinds)]
        if isinstance(mask, str):
            predictions.append({"size": list(moved.shape), "counts": "zz"})
        else:
            predictions.append(None if mask is None else segzero.rle_encode(mask))
    return rows.append_column("prediction", pa.array(predictions, rows["mask"].type))


PROTOCOLS = ["default", "lisa", "seg-zero", "lavt", "cris", "rela", "gsva", "psalm", "x-sam"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scores_are_the_commands(command, predicted, tmp_path, protocol):
    """Against `segzero eval` over the same rows as a table and a JSONL file."""
    lines = predicted.drop_columns(["image"]).to_pylist()
    with open(tmp_path / "set.jsonl", "w") as truth, open(tmp_path / "pred.jsonl", "w") as said:
        for line in lines:
            name = f"{line['ann_id']}"
            row = {"id": name, "image": "x.jpg", "text": line["text"], "rle": line["mask"]}
            print(json.dumps({**row, "width": line["img_width"], "height": line["img_height"]}),
                  file=truth)  # fmt: skip
            if line["prediction"]:
                print(json.dumps({"key": name, **line["prediction"]}), file=said)
    command("eval", "--root", tmp_path / "set.jsonl", "--pred", tmp_path / "pred.jsonl",
            "--protocol", protocol, "--skip-bad", "--out", tmp_path / "scores.json")  # fmt: skip
    expected = json.loads((tmp_path / "scores.json").read_text())
    scores = segzero.score(predicted, protocol).to_pylist()
    for row, score in zip(expected["rows"], scores, strict=True):
        for name in ["status", "intersection", "union", "iou", "target_area"]:
            assert score[name] == row[name], name
        assert score["prediction_area"] == row.get("prediction_area")
        assert score["box_iou"] == row.get("box_iou")
        assert (score["error"] is None) == (row["status"] not in ("size-mismatch", "unreadable"))
    summary = segzero.finish(segzero.iou_partial(predicted, protocol), protocol)
    del expected["summary"]["median_iou"], summary["median_iou"]
    assert {name: summary[name] for name in expected["summary"]} == expected["summary"]
    assert summary["protocol"]["name"] == protocol and summary["failed"] == 0


@pytest.mark.parametrize("mean", ["unit", "sample", "image"])
def test_sums_do_not_depend_on_the_cut(command, predicted, mean):
    lisa = json.loads(command("protocols", "--json", "lisa"))
    lisa = lisa[0] if isinstance(lisa, list) else lisa
    protocol = {**lisa, "name": f"lisa by {mean}", "mean": mean}
    whole = segzero.iou_partial(predicted, protocol)
    for seed in range(5):
        parts = [segzero.iou_partial(piece, protocol) for piece in pieces(predicted, seed)]
        while len(parts) > 1:
            parts = [segzero.merge(parts[i : i + 3]) for i in range(0, len(parts), 3)]
        merged = parts[0] if isinstance(parts[0], pa.Table) else as_table(parts[0])
        assert merged.equals(as_table(whole))
        assert segzero.finish(merged, protocol) == segzero.finish(whole, protocol)
    # Any engine's own sum over the columns is the same.
    pieced = pa.concat_tables(
        [as_table(segzero.iou_partial(piece, "default")) for piece in pieces(predicted, 9)]
    )
    total = as_table(segzero.iou_partial(predicted, "default"))
    for name in ["iou", "n", "union", "found"]:
        assert pa.compute.sum(pieced[name]).as_py() == total[name][0].as_py()
    assert segzero.finish(pieced) == segzero.finish(total)


def test_targets_that_cannot_be_read_are_counted(predicted):
    rows = predicted.slice(0, 10).to_pylist()
    rows[3]["mask"] = None
    rows[4]["mask"] = {"size": [2, 2], "counts": "zz"}
    table = pa.Table.from_pylist(rows, predicted.schema)
    scores = segzero.score(table).to_pylist()
    assert [row["iou"] is None for row in scores] == [i in (3, 4) for i in range(10)]
    assert "row 3: field `mask`: the value (null) is missing" in scores[3]["error"]
    summary = segzero.finish(segzero.iou_partial(table))
    assert (summary["failed"], summary["n"]) == (2, 8)


def test_partials_of_other_rules_are_refused(predicted):
    lisa = segzero.iou_partial(predicted, "lisa")
    with pytest.raises(ValueError, match="expected partials of `default`, found lisa"):
        segzero.finish(lisa)
    with pytest.raises(ValueError, match="expected partials of `lisa`, found cris"):
        segzero.merge([lisa, segzero.iou_partial(predicted, "cris")])
    with pytest.raises(ValueError, match="no protocol `lizard`; there are default, lisa"):
        segzero.score(predicted, "lizard")
    with pytest.raises(ValueError, match="field `iou`|field `protocol`|field `group`"):
        segzero.finish(predicted)


def test_no_rows_are_no_fault():
    schema = pa.schema([("mask", pa.string()), ("prediction", pa.string())])
    empty = schema.empty_table()
    partial = segzero.iou_partial(empty)
    assert segzero.finish(partial)["n"] == 0 and len(segzero.score(empty)) == 0
    assert partial.schema.equals(pa.schema(segzero.partial_schema()))


def test_memory_is_handed_over(predicted):
    """Nothing of a batch that came by the interface is copied; nothing outlives its owner."""
    for _ in range(20):
        batch = predicted.combine_chunks().to_batches()[0]
        scores = segzero.score(batch)
        del batch
        assert scores["iou"].null_count == 0
    before = pa.total_allocated_bytes()
    for _ in range(50):
        segzero.prep(predicted.slice(0, 2), size="28")
    assert pa.total_allocated_bytes() - before < 1 << 20
