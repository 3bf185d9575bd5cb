"""Preparation and scores over Ray.

    python python/recipes/on_ray.py prep ROWS.parquet OUT [option=value ...]
    python python/recipes/on_ray.py score ROWS.parquet [PROTOCOL]

`RAY_ADDRESS` names the cluster (`ray start --head` on one machine, `ray start --address=HEAD:6379` on
the others); without it Ray starts on this machine. Paths may be on any file system that Ray reads. Rows
that are no examples are listed in `OUT.left-out`, and printed.
"""

import hashlib
import json
import sys

import pyarrow.compute as pc
import ray
from pyarrow import fs

import segzero_ray


def files(path):
    """The file system of a path, and the path on it."""
    return fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)


def examples(left_out):
    """Keeps examples; writes what is none into a folder, by the task that finds it."""

    def keep(rows):
        skipped = rows.filter(pc.is_valid(rows["skip"])).select(["id", "skip", "error"])
        if len(skipped):
            lines = "".join(json.dumps(row) + "\n" for row in skipped.to_pylist()).encode()
            system, folder = files(left_out)
            # A task that is tried again writes the same file.
            name = hashlib.sha256(lines).hexdigest()[:16]
            with system.open_output_stream(f"{folder}/{name}.jsonl") as file:
                file.write(lines)
        return rows.filter(pc.is_null(rows["skip"])).drop_columns(["skip", "error"])

    return keep


def value(text):
    """A number or a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main(what, path, *rest):
    # Ray 2.60's newer reader loses the job where a node dies while it lists files, and puts small files
    # into one task.
    ray.data.DataContext.get_current().use_datasource_v2 = False
    rows = ray.data.read_parquet(path)
    if what == "score":
        print(json.dumps(segzero_ray.score_dataset(rows, *rest)))
        return
    out, *options = rest
    options = {name: value(text) for name, text in (option.split("=", 1) for option in options)}
    left_out = f"{out}.left-out"
    system, folder = files(left_out)
    system.create_dir(folder)
    made = segzero_ray.prep_dataset(rows, **options)
    made.map_batches(examples(left_out), batch_format="pyarrow", batch_size=None).write_parquet(out)
    for file in system.get_file_info(fs.FileSelector(folder)):
        with system.open_input_stream(file.path) as lines:
            print(lines.read().decode(), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
