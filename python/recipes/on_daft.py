"""Scores over Daft, on this machine or, by `daft.set_runner_ray(ADDRESS)`, on a Ray cluster.

    python python/recipes/on_daft.py ROWS.parquet [PROTOCOL]

ROWS has `mask` and `prediction`, as `segzero.score` takes them. Prints the numbers as JSON.
"""

import json
import sys

import daft
import pyarrow as pa
import pyarrow.compute

import segzero


def main(path, protocol="default"):
    kind = daft.DataType.from_arrow_type(pa.struct(pa.schema(segzero.scores_schema())))

    @daft.func.batch(return_dtype=kind)
    def score(mask, prediction):
        table = pa.table({"mask": mask.to_arrow(), "prediction": prediction.to_arrow()})
        scores = segzero.score(table.combine_chunks(), protocol).combine_chunks()
        return daft.Series.from_arrow(scores.to_struct_array())

    rows = daft.read_parquet(path)
    scores = rows.select(score(rows["mask"], rows["prediction"]).alias("score"))
    table = scores.to_arrow()["score"].combine_chunks().flatten()
    names = pa.schema(segzero.scores_schema()).names
    table = pa.table(dict(zip(names, table)))
    union, both = pa.compute.sum(table["union"]), pa.compute.sum(table["intersection"])
    print(json.dumps({"n": len(table), "ciou": both.as_py() / union.as_py()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
