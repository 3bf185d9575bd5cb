"""A training set of `segzero prep` as EasyR1 or veRL reads it.

    python convert.py refcocog_9k_840 easyr1 refcocog_easyr1 [seg-zero]

The last word is the style of the prompts, as `segzero.prompt` has it.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import segzero


def easyr1(table, style):
    """Columns `problem` (the whole prompt, image first), `solution` and `images`."""
    prompts = ["<image>" + segzero.prompt(text, style) for text in table["problem"].to_pylist()]
    return pa.table(
        {
            "id": table["id"],
            "problem": pa.array(prompts),
            "solution": table["solution"],
            "images": pa.array([[image] for image in table["image"].to_pylist()]),
        }
    )


def verl(table, style):
    """Columns `data_source`, `prompt`, `images`, `reward_model` and `extra_info`."""
    rows = []
    for row in easyr1(table, style).to_pylist():
        rows.append(
            {
                "data_source": "segzero",
                "prompt": [{"role": "user", "content": row["problem"]}],
                "images": row["images"],
                "reward_model": {"style": "rule", "ground_truth": row["solution"]},
                "extra_info": {"id": row["id"]},
            }
        )
    return pa.Table.from_pylist(rows)


def main(source, trainer, out, style="seg-zero"):
    convert = {"easyr1": easyr1, "verl": verl}[trainer]
    Path(out).mkdir(parents=True, exist_ok=True)
    for file in sorted(Path(source).rglob("*.parquet")):
        pq.write_table(convert(pq.ParquetFile(file).read(), style), Path(out) / file.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
