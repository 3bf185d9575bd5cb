"""Reasoning segmentation for Python: what the command ``segzero`` computes, by the same code.

Masks, boxes and inscribed circles, IoU, the rewards that Seg-Zero and VisionReasoner were trained
with, and the readers of their replies take NumPy arrays and plain lists. ``prep``, ``score``,
``iou_partial``, ``merge`` and ``finish`` take and give whole Arrow batches, without copies, so that
any engine that moves Arrow (Ray, Spark, Daft, polars, pyarrow) can run them on many machines.

All of it releases Python's lock while it computes, runs on the calling thread alone, and gives the
same bits wherever it runs.
"""

from ._arrow import (
    finish,
    iou_partial,
    merge,
    partial_schema,
    prep,
    prep_schema,
    score,
    scores_schema,
)
from ._masks import (
    Targets,
    box_and_circles,
    box_iou,
    box_iou_matrix,
    mask_counts,
    mask_iou,
    mask_iou_matrix,
    masks,
    rasterize,
    rle_decode,
    rle_encode,
)
from ._rewards import recipe, reward
from ._segzero import Batch, Masks, Recipe, __version__, prompt, reward_names
from ._answers import read_answer, read_answers

__all__ = [
    "Batch",
    "Masks",
    "Recipe",
    "Targets",
    "__version__",
    "box_and_circles",
    "box_iou",
    "box_iou_matrix",
    "finish",
    "iou_partial",
    "mask_counts",
    "mask_iou",
    "mask_iou_matrix",
    "masks",
    "merge",
    "partial_schema",
    "prep",
    "prep_schema",
    "prompt",
    "rasterize",
    "read_answer",
    "read_answers",
    "recipe",
    "reward",
    "reward_names",
    "rle_decode",
    "rle_encode",
    "score",
    "scores_schema",
]
