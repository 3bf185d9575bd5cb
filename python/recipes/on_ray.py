"""Preparation and scores over Ray.

    python python/recipes/on_ray.py prep ROWS.parquet OUT [option=value ...]
    python python/recipes/on_ray.py score ROWS.parquet [PROTOCOL]

`RAY_ADDRESS` names the cluster (`ray start --head` on one machine, `ray start --address=HEAD:6379` on
the others); without it Ray starts on this machine. Paths may be on any file system that Ray reads.
"""

import json
import sys

import ray

import segzero_ray


def main(what, path, *rest):
    # Ray 2.60's newer reader loses the job where a node dies while it lists files, and puts small files
    # into one task.
    ray.data.DataContext.get_current().use_datasource_v2 = False
    rows = ray.data.read_parquet(path)
    if what == "score":
        print(json.dumps(segzero_ray.score_dataset(rows, *rest)))
        return
    out, *options = rest
    options = dict(option.split("=", 1) for option in options)
    made = segzero_ray.prep_dataset(rows, **options)
    made = made.materialize()
    left_out = made.filter(lambda row: row["skip"] is not None)
    made.filter(lambda row: row["skip"] is None).drop_columns(["skip", "error"]).write_parquet(out)
    for row in left_out.take_all():
        print(json.dumps({name: row[name] for name in ("id", "skip", "error")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
