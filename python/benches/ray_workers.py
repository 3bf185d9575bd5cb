"""What a second worker adds on Ray: seconds of the same preparation and scores on one raylet and on two.

    pip install "ray[data]" pillow && python python/benches/ray_workers.py

First two processes without Ray, which is the most that can be had. Then each raylet is held to a core of its own, as if it were a machine of one core; the driver and Ray's other
processes are with the head. Two cores must be idle. `TMPDIR=/dev/shm` keeps disks out of it.
"""

import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from cluster import Cluster  # noqa: I001 (before Ray)

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import sizing

import segzero
import segzero_ray

FILES = 24


def by_path(table, folder):
    """The rows with the paths of their images in place of the bytes."""
    folder.mkdir()
    paths = []
    for image in table["image"].to_pylist():
        paths.append(str(folder / image["path"]))
        Path(paths[-1]).write_bytes(image["bytes"])
    return table.set_column(table.column_names.index("image"), "image", pa.array(paths))


def written(folder, table, rows_a_file):
    """The rows again and again, as files of a data set."""
    folder.mkdir()
    for number in range(FILES):
        at = number * rows_a_file % len(table)
        rows = pa.concat_tables([table.slice(at)] + [table] * (rows_a_file // len(table) + 1))
        pq.write_table(rows.slice(0, rows_a_file), folder / f"{number:02}.parquet")
    return str(folder)


def seconds(call):
    """Of a run behind one that starts Ray's processes; and what it gave."""
    call()
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def measured(jobs):
    return {name: seconds(call) for name, call in jobs.items()}


def work(core, job, table):
    """Seconds of a job on one core."""
    os.sched_setaffinity(0, {core})
    start = time.perf_counter()
    if job == "prep":
        segzero.prep(table, image="jpeg:90")
    else:
        for _ in range(500):
            segzero.iou_partial(table)
    return time.perf_counter() - start


def without_ray(table):
    """How much more two processes do than one."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for job in ("prep", "iou_partial"):
            alone = min(pool.apply(work, (0, job, table)) for _ in range(3))
            both = max(pool.starmap(work, [(0, job, table), (1, job, table)], chunksize=1))
            print(f"{job} without Ray: x{2 * alone / both:.2f}")


def main():
    table = sizing.rows(np.random.default_rng(1), 640, 480, masks=7, images=120)
    without_ray(table)
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory() as folder, Cluster(2_000_000_000, pinned=True) as cluster:
        pairs = written(Path(folder) / "pairs", table.select(["mask", "prediction"]), 160_000)
        masks = written(Path(folder) / "masks", by_path(table, Path(folder) / "images"), 840)
        logging.getLogger("ray.data").setLevel("ERROR")
        ray.init(cluster.address, logging_level="error", log_to_driver=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # The newer reader joins small files until few tasks are left.
        context.use_datasource_v2 = False

        def read(folder):
            return ray.data.read_parquet(folder, override_num_blocks=FILES)

        def prep():
            made = segzero_ray.prep_dataset(read(masks), image="jpeg:90")
            out = Path(folder) / "out"
            shutil.rmtree(out, ignore_errors=True)
            made.write_parquet(str(out))
            return sum(pq.ParquetFile(file).metadata.num_rows for file in out.iterdir())

        def score():
            return segzero_ray.score_dataset(read(pairs))

        jobs = {"prep": prep, "score": score}
        alone = measured(jobs)
        cluster.add("worker")
        both = measured(jobs)
        for job in jobs:
            (one, found), (two, found_too) = alone[job], both[job]
            assert found == found_too
            print(f"{job}: {FILES} files, {one:.2f} s on one worker, {two:.2f} s on two: x{one / two:.2f}")


if __name__ == "__main__":
    main()
