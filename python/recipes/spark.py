"""Scores over Spark: `mapInArrow` sends batches to the wheel, and the sums come back to be joined.

    spark-submit python/recipes/spark.py ROWS.parquet [PROTOCOL]

ROWS has `mask` and `prediction`, as `segzero.score` takes them. The wheel must be on every node
(`--archives`, or the image of the executors), and `PYSPARK_PYTHON` name the Python that has it. Prints
the numbers as JSON.
"""

import json
import sys

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

import segzero


def main(path, protocol="default"):
    spark = SparkSession.builder.appName("segzero").getOrCreate()

    def partials(batches):
        for batch in batches:
            yield segzero.iou_partial(batch, protocol)

    schema = from_arrow_schema(pa.schema(segzero.partial_schema()))
    # Images would be carried for nothing; all other columns may say how a row is scored.
    rows = spark.read.parquet(path).drop("image", "text").mapInArrow(partials, schema)
    # `toArrow` brings the partials, some hundred bytes each; the sums are whole numbers in any order.
    print(json.dumps(segzero.finish(rows.toArrow(), protocol)))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
