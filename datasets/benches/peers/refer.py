"""CPython on the files that `cargo bench --bench refer` leaves under target/tmp/refer-42k.

Usage: refer.py target/tmp/refer-42k/refcocog
Prints the best of five of pickle.load, and of what the REFER API does on construction: pickle.load,
json.load and its dictionaries.
"""
import json
import pickle
import sys
import time


def best(work, n):
    times = []
    for _ in range(n):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def refer(folder):
    with open(f"{folder}/refs(umd).p", "rb") as f:
        refs = pickle.load(f)
    with open(f"{folder}/instances.json") as f:
        data = json.load(f)
    annotations = {a["id"]: a for a in data["annotations"]}
    images = {i["id"]: i for i in data["images"]}
    return sum(1 for r in refs if r["ann_id"] in annotations and r["image_id"] in images)


def main():
    folder = sys.argv[1]
    for file in ["refs(umd).p", "refs(protocol2).p"]:
        with open(f"{folder}/{file}", "rb") as f:
            data = f.read()
        print(f"pickle.loads {file}: {best(lambda: pickle.loads(data), 5) * 1e3:.0f} ms")
    print(f"REFER construction: {best(lambda: refer(folder), 2) * 1e3:.0f} ms")


main()
