"""Two raylets on this machine: the results of one process, whatever the cut and whoever dies."""

import functools
import os
import signal
import threading
import time

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
import tables
from cluster import processes
from conftest import ROOT

import segzero

ray = pytest.importorskip("ray", reason="Ray is not installed (SEGZERO_RAY=1 of scripts/python.sh)")
import segzero_ray  # noqa: E402


def gathered(rows):
    parts = [ray.get(part) for part in rows.to_arrow_refs()]
    return pa.concat_tables([part for part in parts if len(part)]).sort_by("id")


def test_prep_of_any_cut(cluster, drawn):
    expected = segzero.prep(drawn, size="56").sort_by("id")
    for blocks, batch in [(1, 240), (5, 7), (16, 64)]:
        rows = ray.data.from_arrow(drawn).repartition(blocks)
        made = gathered(segzero_ray.prep_dataset(rows, size="56", batch_size=batch))
        assert made.select(expected.column_names).to_pylist() == expected.to_pylist()
    skipped = expected["skip"].drop_null().to_pylist()
    assert skipped == ["bad", "bad"]


def test_scores_of_any_cut(cluster, drawn):
    for protocol in ["default", "lisa"]:
        expected = segzero.finish(segzero.iou_partial(drawn, protocol), protocol)
        assert expected["failed"] == 1 and expected["n"] == 239
        for blocks, batch in [(1, 1024), (6, 11)]:
            rows = ray.data.from_arrow(drawn).repartition(blocks)
            assert segzero_ray.score_dataset(rows, protocol, batch_size=batch) == expected


def test_predictions_of_an_endpoint(cluster, drawn, endpoint):
    rows = ray.data.from_arrow(drawn.slice(0, 20).drop_columns(["prediction"])).repartition(4)
    ask = functools.partial(segzero_ray.Endpoint, endpoint, "any", retries=0)
    asked = segzero_ray.predict_dataset(rows, ask, batch_size=3)
    replies = {row["ann_id"]: row for row in asked.take_all()}
    assert len(replies) == 20 and replies[4]["reply"] == "I see object 4"
    assert replies[9]["reply"] is None and "500" in replies[9]["error"]


def test_a_process_that_dies_costs_a_retry(cluster, drawn, tmp_path):
    mark = tmp_path / "died"

    def once(batch):
        if batch["ann_id"][0].as_py() == 120 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch

    rows = ray.data.from_arrow(drawn).repartition(4)
    rows = rows.map_batches(once, batch_format="pyarrow", batch_size=None)
    found = segzero_ray.score_dataset(rows)
    assert mark.exists() and found == segzero.finish(segzero.iou_partial(drawn))


def test_predictions_of_the_command(cluster, command, tmp_path):
    """The small models of the demo, on an actor: what the command gives in one piece."""
    command("synth", "--out", tmp_path / "set", "--count", 12, "--objects", 1,
            "--sentences", "plain", "--longest-side", 252)  # fmt: skip
    [refs] = (tmp_path / "set").rglob("refs(umd).p")
    rows = tables.of_refer(refs.parent, "train")
    [first] = (tmp_path / "set").rglob(rows[0]["image"])
    table = tables.with_images(rows, first.parent)
    models = {"--reasoner": ROOT / "demo/reasoner", "--segmenter": ROOT / "demo/segmenter"}
    arguments = ["--side", "84", *(str(part) for pair in models.items() for part in pair)]
    predictor = functools.partial(segzero_ray.Command, arguments, str(command.program))
    expected = table
    for name, column in zip(["prediction", "error"], predictor()(table).columns):
        expected = expected.append_column(name, column)
    rows = ray.data.from_arrow(table).repartition(2)
    found = segzero_ray.predict_dataset(rows, predictor, batch_size=3).materialize()
    assert sorted(found.take_all(), key=lambda row: row["ann_id"]) == expected.to_pylist()
    scores = segzero_ray.score_dataset(found)
    assert scores == segzero.finish(segzero.iou_partial(expected)) and scores["giou"] > 0.2


def test_vision_reasoners_format(cluster, drawn):
    """All rows of an image in one, wherever they stand."""
    images = [row % 60 for row in range(len(drawn))]
    at = drawn.column_names.index("image_id")
    table = drawn.set_column(at, "image_id", pa.array(images)).filter(pa.compute.less(pa.array(images), 40))
    options = {"size": "56", "solution": "vision-reasoner"}
    found = gathered(segzero_ray.prep_dataset(ray.data.from_arrow(table).repartition(7), **options))
    expected = segzero.prep(table.sort_by("image_id"), **options).sort_by("id")
    names = ["id", "problem", "solution", "skip"]
    assert found.select(names).to_pylist() == expected.select(names).to_pylist()


def test_a_node_that_dies_costs_a_retry(cluster, drawn, tmp_path):
    """Rows of files; the node dies in the middle of a task of its own."""
    for part in range(12):
        pq.write_table(drawn.slice(20 * part, 20), tmp_path / f"{part:02}.parquet")
    mark, own = tmp_path / "began", ray.get_runtime_context().get_node_id()

    def slowly(batch):
        if ray.get_runtime_context().get_node_id() != own:
            mark.touch()
            time.sleep(2)
        return batch

    ray.data.DataContext.get_current().use_datasource_v2 = False
    rows = ray.data.read_parquet(str(tmp_path), override_num_blocks=12, file_extensions=["parquet"])
    rows = rows.map_batches(slowly, batch_format="pyarrow", batch_size=None)
    found = {}
    run = threading.Thread(target=lambda: found.update(segzero_ray.score_dataset(rows)))
    run.start()
    while not mark.exists() and run.is_alive():
        time.sleep(0.05)
    assert mark.exists(), "the other node was given nothing"
    [process] = processes("raylet", cluster.worker)
    os.kill(process, signal.SIGKILL)
    run.join()
    assert found == segzero.finish(segzero.iou_partial(drawn))
