"""`segzero reward` beside the Python statement of the same rules: replies a second, and equal scores.

    cargo build --release --workspace
    pip install scipy
    python eval/benches/peers/rewards.py target/release/segzero [REPLIES]

The replies are those of the fixture, over and over, from one JSONL file; one thread each, CPU time of
reading, scoring and (segzero) writing. The two take turns, and the best of three counts. Python
scores every tenth reply only, and its time is scaled.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/rewards"
sys.path.insert(0, str(FIXTURE))
import rules  # noqa: E402

TENTH = 10
RECIPES = {"seg-zero": "seg_zero", "vision-reasoner": "vision_reasoner"}


def score(recipe, reply, solution):
    if recipe == "vision-reasoner":
        return sum(rules.vision_reasoner(reply, solution))
    accuracies = rules.bbox_iou, rules.bbox_l1, rules.point_l1
    total = rules.think(reply) + rules.seg_format(reply, "strict")
    for rule in accuracies:
        total += rule(reply, solution, "strict")
    return total


def write(folder, cases, count):
    with open(folder / "set.jsonl", "w") as file:
        for i, case in enumerate(cases):
            file.write(json.dumps({"key": i, "solution": case[0]}) + "\n")
    with open(folder / "replies.jsonl", "w") as file:
        for i in range(count):
            file.write(json.dumps({"key": i % len(cases), "text": cases[i % len(cases)][1]}) + "\n")


def in_python(recipe, folder, cases):
    start, scores = time.process_time(), []
    with open(folder / "replies.jsonl") as file:
        for i, line in enumerate(file):
            if i % TENTH == 0:
                line = json.loads(line)
                scores.append(score(recipe, line["text"], cases[line["key"]][0]))
    return (time.process_time() - start) * TENTH, scores


def in_segzero(program, recipe, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = [f"--{name}={folder / name}.jsonl" for name in ("set", "replies", "out")]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    command = [program, "reward", "--recipe", recipe, *files]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with open(folder / "out.jsonl") as file:
        scores = [json.loads(line)["score"] for i, line in enumerate(file) if i % TENTH == 0]
    return seconds, scores, after.ru_maxrss / 1024


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    fixture = json.loads((FIXTURE / "rewards.json").read_text())
    for recipe, name in RECIPES.items():
        cases = fixture[name]
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write(folder, cases, count)
            turns = []
            for _ in range(3):
                ours, scores, memory = in_segzero(program, recipe, folder)
                theirs, expected = in_python(recipe, folder, cases)
                assert scores == expected, "the scores differ"
                turns.append((ours, theirs))
        ours, theirs = (min(turn[i] for turn in turns) for i in range(2))
        print(
            f"{recipe}: segzero {count / ours:,.0f} replies/s, Python {count / theirs:,.0f}, "
            f"ratio {theirs / ours:.1f}; every tenth of {count} scores compared; {memory:.0f} MB at most"
        )


main()
