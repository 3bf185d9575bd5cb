"""Scores over Daft, on this machine or, by `daft.set_runner_ray(ADDRESS)`, on a Ray cluster.

    python python/recipes/on_daft.py ROWS.parquet [PROTOCOL]

ROWS has `mask` and `prediction`, as `segzero.score` takes them. Prints the numbers as JSON.
"""

import json
import sys

import daft
import pyarrow as pa

import segzero

SUMS = pa.schema(segzero.partial_schema())


def main(path, protocol="default"):
    rows = daft.read_parquet(path)
    # Images would be carried for nothing; all other columns may say how a row is scored.
    names = [name for name in rows.column_names if name not in ("image", "text")]

    # A function over a batch gives as many rows as it takes: sums stand in the first ones, others are null.
    @daft.func.batch(return_dtype=daft.DataType.from_arrow_type(pa.struct(SUMS)))
    def partial(*columns):
        table = pa.table([column.to_arrow() for column in columns], names)
        [batch] = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        sums = segzero.iou_partial(batch, protocol).to_struct_array().slice(0, len(batch))
        nulls = pa.nulls(len(batch) - len(sums), sums.type)
        return daft.Series.from_arrow(pa.concat_arrays([sums, nulls]))

    sums = rows.select(partial(*(rows[name] for name in names)).alias("sums"))
    found = sums.where(sums["sums"].not_null()).to_arrow()["sums"].combine_chunks()
    partials = pa.Table.from_arrays(found.flatten(), names=SUMS.names).cast(SUMS)
    print(json.dumps(segzero.finish(partials, protocol)))


if __name__ == "__main__":
    main(*sys.argv[1:])
