"""Two raylets on this machine: the results of one process, whatever the cut and whoever dies."""

import functools
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import segzero

ray = pytest.importorskip("ray", reason="Ray is not installed (SEGZERO_RAY=1 of scripts/python.sh)")
import segzero_ray  # noqa: E402


def start(*args):
    program = Path(sys.executable).parent / "ray"
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    subprocess.run(
        [program, "start", "--object-store-memory=200000000", "--num-cpus=1", *args],
        check=True, capture_output=True, env=quiet,
    )  # fmt: skip


def processes(program, part):
    """Running processes whose program ends so, with this part in their arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if line[0].endswith(program) and any(part in argument for argument in line):
            found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def cluster():
    """A head and a worker of one CPU each; the worker's name. They end with the tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    worker = f"segzero-worker-{port}"
    # Every process of the cluster names this folder. Its path is short, as sockets lie below it.
    folder = tempfile.mkdtemp(prefix="segzero-")
    start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
    try:
        start(f"--address=127.0.0.1:{port}", f"--node-name={worker}")
        ray.init(f"127.0.0.1:{port}", logging_level="error", log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield worker
    finally:
        ray.shutdown()
        for process in processes("", folder):
            os.kill(process, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def table():
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


def gathered(rows):
    parts = [ray.get(part) for part in rows.to_arrow_refs()]
    return pa.concat_tables([part for part in parts if len(part)]).sort_by("id")


def test_prep_of_any_cut(cluster, table):
    expected = segzero.prep(table, size="56").sort_by("id")
    for blocks, batch in [(1, 240), (5, 7), (16, 64)]:
        rows = ray.data.from_arrow(table).repartition(blocks)
        made = gathered(segzero_ray.prep_dataset(rows, size="56", batch_size=batch))
        assert made.select(expected.column_names).to_pylist() == expected.to_pylist()
    skipped = expected["skip"].drop_null().to_pylist()
    assert skipped == ["bad", "bad"]


def test_scores_of_any_cut(cluster, table):
    for protocol in ["default", "lisa"]:
        expected = segzero.finish(segzero.iou_partial(table, protocol), protocol)
        assert expected["failed"] == 1 and expected["n"] == 239
        for blocks, batch in [(1, 1024), (6, 11)]:
            rows = ray.data.from_arrow(table).repartition(blocks)
            assert segzero_ray.score_dataset(rows, protocol, batch_size=batch) == expected


class Server(http.server.BaseHTTPRequestHandler):
    """A model that answers every question with its first words, but for one."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        image, text = body["messages"][0]["content"]
        assert image["image_url"]["url"].startswith("data:image/")
        question = text["text"].split("'")[1]
        choice = {"message": {"content": f"I see {question}"}}
        reply = json.dumps({"choices": [choice]}).encode()
        self.send_response(500 if question == "object 9" else 200)
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


def test_predictions_of_an_endpoint(cluster, table):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    rows = ray.data.from_arrow(table.slice(0, 20).drop_columns(["prediction"])).repartition(4)
    asked = segzero_ray.predict_dataset(
        rows, functools.partial(segzero_ray.Endpoint, url, "any"), batch_size=3
    )
    replies = {row["ann_id"]: row for row in asked.take_all()}
    server.shutdown()
    assert len(replies) == 20 and replies[4]["reply"] == "I see object 4"
    assert replies[9]["reply"] is None and "500" in replies[9]["error"]


def test_a_node_that_dies_costs_a_retry(cluster, table):
    def slowly(batch):
        time.sleep(0.3)
        return batch

    expected = segzero.finish(segzero.iou_partial(table))
    rows = ray.data.from_arrow(table).repartition(24)
    rows = rows.map_batches(slowly, batch_format="pyarrow", batch_size=None)
    found = {}
    run = threading.Thread(
        target=lambda: found.update(segzero_ray.score_dataset(rows, batch_size=5))
    )
    run.start()
    time.sleep(3)
    [process] = processes("raylet", cluster)
    assert run.is_alive(), "the run was over before the node could die"
    os.kill(process, signal.SIGKILL)
    run.join()
    assert found == expected
