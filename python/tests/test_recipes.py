"""The recipes of docs/scale.md, run as users run them: each engine has the wheel's own digits."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tables
from conftest import ROOT

import segzero

RECIPES = ROOT / "python" / "recipes"


@pytest.fixture(scope="module")
def rows(drawn, tmp_path_factory):
    """The drawn rows as a data set of three files; a part of each mask does not count."""
    drawn = with_ignore(drawn)
    folder = tmp_path_factory.mktemp("recipes") / "rows"
    folder.mkdir()
    for part in range(3):
        pq.write_table(drawn.slice(80 * part, 80), folder / f"{part}.parquet")
    return folder


def with_ignore(drawn):
    ignored = []
    for rle in drawn["mask"].to_pylist():
        mask = np.zeros(rle["size"], dtype=bool)
        mask[:, : rle["size"][1] // 2] = True
        ignored.append(segzero.rle_encode(mask))
    return drawn.append_column("ignore", pa.array(ignored, drawn["mask"].type))


def run(recipe, *args, **env):
    """What a recipe printed."""
    done = subprocess.run(
        [sys.executable, RECIPES / recipe, *map(str, args)],
        capture_output=True, text=True, env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-9000:]
    return done.stdout


def needs(module):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed (SEGZERO_ENGINES=1 of scripts/python.sh)")


def expected(drawn, protocol):
    found = segzero.finish(segzero.iou_partial(with_ignore(drawn), protocol), protocol)
    assert found != segzero.finish(segzero.iou_partial(drawn, protocol), protocol)
    return found


def test_ray(cluster, drawn, rows, tmp_path):
    said = run("on_ray.py", "score", rows, "lisa", RAY_ADDRESS=cluster.address)
    assert json.loads(said) == expected(drawn, "lisa")
    said = run("on_ray.py", "prep", rows, tmp_path / "out", "size=56", "circles=1", "border=open",
               RAY_ADDRESS=cluster.address)  # fmt: skip
    left_out = [json.loads(line) for line in said.splitlines()]
    assert [row["skip"] for row in left_out] == ["bad", "bad"] and all(row["error"] for row in left_out)
    made = segzero.prep(drawn, size=56, circles=1, border="open").drop_columns(["skip", "error"])
    made = made.filter(made["solution"].is_valid()).sort_by("id")
    assert tables.read(tmp_path / "out").sort_by("id").to_pylist() == made.to_pylist()


def test_spark(drawn, rows):
    needs("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    said = run("spark.py", rows, "lisa", PYSPARK_PYTHON=sys.executable)
    assert json.loads(said) == expected(drawn, "lisa")


def test_daft(drawn, rows):
    needs("daft")
    said = run("on_daft.py", f"{rows}/*.parquet", "lisa", DAFT_PROGRESS_BAR="0")
    assert json.loads(said) == expected(drawn, "lisa")
