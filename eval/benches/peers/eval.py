"""`segzero eval` beside Python on the same two JSONL files: CPU seconds, and the same counts.

    cargo build --release -p segzero
    pip install numpy pycocotools orjson hotcoco      # hotcoco is optional
    python eval/benches/peers/eval.py target/release/segzero [PAIRS [alone]]

Round shapes with wavy edges at 640x480, median area 7 % and 360 runs (those of COCO objects above
1 % of their image), and the same shapes a little moved and scaled as predictions. CPU time of the
process or of the child, one thread each. All take turns, and the best of their turns counts, so that
a loaded machine shifts all alike. `wc -l` reads the same bytes and does almost nothing with them.
With `alone` behind PAIRS, only segzero and `wc -l` run: a million pairs are a lot for Python.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from pycocotools import mask as coco

try:
    import orjson
except ImportError:
    orjson = None
try:
    from hotcoco import mask as hot
except ImportError:
    hot = None

WIDTH, HEIGHT = 640, 480
SHAPES = 100
DENSE = 2000  # pairs that the dense way is timed on, then scaled


def shapes():
    """(target, prediction) as compressed RLE, from a fixed seed."""
    random = np.random.default_rng(42)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    order = np.arange(1, 8)

    def encode(center, radius, amplitude, phase):
        angle = np.arctan2(y - center[1], x - center[0])
        edge = 1 + sum(a * np.sin(k * angle + p) for k, a, p in zip(order, amplitude, phase))
        inside = np.hypot(x - center[0], y - center[1]) < radius * edge
        return coco.encode(np.asfortranarray(inside, dtype=np.uint8))

    for _ in range(SHAPES):
        radius = (WIDTH * HEIGHT) ** 0.5 * random.uniform(0.08, 0.22)
        center = random.uniform(0.2, 0.8, 2) * (WIDTH, HEIGHT)
        waves = random.uniform(0, 0.5, 7) / order, random.uniform(0, 2 * np.pi, 7)
        moved = center + random.uniform(-0.08, 0.08, 2) * radius
        yield (
            encode(center, radius, *waves),
            encode(moved, radius * random.uniform(0.92, 1.08), *waves),
        )


def write(folder, pairs):
    """Two JSONL files of `pairs` lines: a table as ground truth, and predictions."""
    some = [[rle["counts"].decode() for rle in pair] for pair in shapes()]
    size = [HEIGHT, WIDTH]
    truth, answers = (os.path.join(folder, name) for name in ("truth.jsonl", "answers.jsonl"))
    with open(truth, "w") as left, open(answers, "w") as right:
        for i in range(pairs):
            # Every target meets the prediction for it; the files just hold the shapes repeatedly.
            target, answer = some[i % len(some)]
            rle = {"size": size, "counts": target}
            row = {"id": str(i), "image": f"{i}.jpg", "text": "the thing", "rle": rle}
            left.write(json.dumps(row) + "\n")
            right.write(json.dumps({"key": str(i), "size": size, "counts": answer}) + "\n")
    return truth, answers


def pairs_of(truth, answers, loads, limit=None):
    with open(answers, "rb") as file:
        found = {row["key"]: row for row in map(loads, file)}
    with open(truth, "rb") as file:
        for i, row in enumerate(map(loads, file)):
            if i == limit:
                return
            answer = found[row["id"]]
            yield row["rle"], {"size": answer["size"], "counts": answer["counts"]}


def merged(api, truth, answers, loads):
    """Counts on runs, as pycocotools offers them: two areas and the area of the intersection."""
    counts = []
    for pair in pairs_of(truth, answers, loads):
        common = int(api.area(api.merge(list(pair), intersect=True)))
        target, answer = map(int, api.area(list(pair)))
        counts.append((common, target + answer - common))
    return counts


def ious(api, truth, answers, loads):
    """IoU on runs as pycocotools computes it; the counts behind it are not told."""
    return [
        float(api.iou([answer], [target], [0])[0][0])
        for target, answer in pairs_of(truth, answers, loads)
    ]


def dense(truth, answers, loads, limit):
    counts = []
    for pair in pairs_of(truth, answers, loads, limit):
        target, answer = map(coco.decode, pair)
        both, either = np.logical_and(target, answer), np.logical_or(target, answer)
        counts.append((int(both.sum()), int(either.sum())))
    return counts


ROUNDS = 3


def timed(run):
    """CPU seconds, and what `run` returned."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def child(args):
    """CPU seconds of a command on one thread, what it prints, and its largest memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one_thread = {**os.environ, "RAYON_NUM_THREADS": "1"}
    out = subprocess.run(args, check=True, stdout=subprocess.PIPE, env=one_thread).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(getattr(after, f) - getattr(before, f) for f in ("ru_utime", "ru_stime"))
    return cpu, out, after.ru_maxrss / 1024


def segzero(command, truth, answers, *flags):
    """CPU seconds, the report, and the largest memory in MB."""
    args = [command, "eval", "--root", truth, "--pred", answers, "--json", *flags]
    cpu, out, memory = child(args)
    return cpu, json.loads(out), memory


def scaled_dense(truth, answers, loads, limit, pairs):
    """Seconds of the dense way for all pairs, from `limit` of them, and the counts of those."""
    # The index of all predictions is built in each run; only the pairs scale.
    index, _ = timed(lambda: sum(1 for _ in pairs_of(truth, answers, loads, 0)))
    seconds, counts = timed(lambda: dense(truth, answers, loads, limit))
    return index + (seconds - index) * pairs / limit, counts


def table(best, pairs, megabytes):
    """Seconds, and what they mean, beside segzero's."""
    print(f"  {'':28}{'CPU s':>9}{'us/pair':>9}{'masks/s':>12}{'MB/s':>8}{'ratio':>9}")
    for name, seconds in best.items():
        per_pair, masks, rate = seconds / pairs * 1e6, 2 * pairs / seconds, megabytes / seconds
        ratio = seconds / best["segzero eval"]
        print(f"  {name:28}{seconds:9.3f}{per_pair:9.2f}{masks:12,.0f}{rate:8.0f}{ratio:9.3g}")


def main():
    command = sys.argv[1]
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    alone = sys.argv[3:] == ["alone"]
    limit = min(DENSE, pairs)
    fast = orjson.loads if orjson else json.loads
    peers = {"pycocotools, json": (coco, json.loads)}
    if orjson:
        peers["pycocotools, orjson"] = (coco, orjson.loads)
        if hot:
            peers["hotcoco, orjson"] = (hot, orjson.loads)
    best, counts, memory = {}, None, None

    def note(name, seconds):
        best[name] = min(seconds, best.get(name, float("inf")))

    with tempfile.TemporaryDirectory() as folder:
        truth, answers = write(folder, pairs)
        megabytes = (os.path.getsize(truth) + os.path.getsize(answers)) / 1e6
        print(f"{pairs} pairs, two files of {megabytes:.1f} MB together; best of {ROUNDS}")
        for _ in range(ROUNDS):
            # Three short runs for one long one of the others.
            for _ in range(3):
                seconds, report, peak = segzero(command, truth, answers, "--resamples", "0")
                # Of later runs the system reports at least the memory of this process.
                memory = memory or peak
                note("segzero eval", seconds)
                note("wc -l", child(["wc", "-l", truth, answers])[0])
            note("segzero eval, intervals", segzero(command, truth, answers)[0])
            if alone:
                continue
            seconds, some = scaled_dense(truth, answers, fast, limit, pairs)
            note(f"decode + numpy (of {limit})", seconds)
            for name, (api, loads) in peers.items():
                seconds, found = timed(lambda: merged(api, truth, answers, loads))
                note(f"{name}: merge", seconds)
                assert counts in (None, found), f"{name} counts differently"
                counts = found
                seconds, found = timed(lambda: ious(api, truth, answers, loads))
                note(f"{name}: iou", seconds)
                assert all(abs(iou - a / b) < 1e-12 for iou, (a, b) in zip(found, counts))
            parse, _ = timed(lambda: sum(1 for _ in pairs_of(truth, answers, fast)))
            note("JSON and index alone", parse)
    table(best, pairs, megabytes)
    print(f"  memory of segzero: {memory:.0f} MB")
    summary = report["summary"]
    if alone:
        print(f"gIoU {summary['giou']:.10f}")
        return
    assert counts[:limit] == some
    common, either = (sum(column) for column in zip(*counts))
    assert (summary["intersection"], summary["union"]) == (common, either)
    mean = statistics.fmean(a / b for a, b in counts)
    assert abs(summary["giou"] - mean) < 1e-12
    print(f"gIoU {summary['giou']:.10f}, cIoU {common}/{either}: all agree")


main()
