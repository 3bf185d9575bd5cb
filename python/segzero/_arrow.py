"""Whole batches over Arrow, for engines that move them."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping, Union

from . import _segzero
from ._segzero import Batch

#: A protocol's name (``segzero protocols`` lists them), or its rules as that command prints them.
ProtocolLike = Union[str, Mapping[str, Any]]


def _rules(protocol: ProtocolLike) -> str:
    return protocol if isinstance(protocol, str) else json.dumps(protocol)


def _like(given: Any, batches: list[Batch]) -> Any:
    """The result as the caller's library has it: pyarrow's for pyarrow's, ours for all others."""
    if type(given).__module__.split(".")[0] == "pyarrow":
        import pyarrow

        results = [pyarrow.record_batch(batch) for batch in batches]
        one = isinstance(given, pyarrow.RecordBatch)
        return results[0] if one else pyarrow.Table.from_batches(results)
    if len(batches) == 1:
        return batches[0]
    import pyarrow

    return pyarrow.Table.from_batches([pyarrow.record_batch(batch) for batch in batches])


def prep(
    batch: Any, *, dataset: str = "batch", split: str = "train", **options: Any
) -> Any:
    """Training examples, as ``segzero prep`` makes them, of rows that hold an image and a mask.

    Columns: ``image`` (a struct of ``bytes`` and ``path``, or the bytes, or the path), ``text``,
    ``mask`` (COCO run lengths as a struct or a string, nested lists of booleans, or the bytes of a
    PNG), ``ann_id`` (or ``key`` or ``id``), and, where they are there, ``image_id``, ``img_height``
    and ``img_width``. ``options`` are the command's flags: ``points``, ``circles``, ``solution``,
    ``size``, ``image``, ``columns``, ``min_area``, ... (``count`` and ``leaks`` need the whole set).

    The result has the columns of a training set and two more: ``skip``, which is null where a row
    is an example and else says why it is none, and ``error``, what was wrong where that is ``bad``.
    Rows of one image that stand together share its pixels. With ``solution="vision-reasoner"`` all
    rows of an image must be in one batch.
    """
    by_image = options.get("solution") == "vision-reasoner"
    whole = batch.combine_chunks() if by_image and hasattr(batch, "combine_chunks") else batch
    return _like(batch, _segzero.prep(whole, dataset, split, json.dumps(options)))


def score(batch: Any, protocol: ProtocolLike = "default") -> Any:
    """The score of each row, by the rules of a protocol.

    Columns: ``mask``, the target, and ``prediction``, a mask or null, both in any form that
    :func:`prep` reads; where they are there, ``ignore`` (pixels that do not count), ``no_target``
    (whether the model said that there is nothing), ``img_height`` and ``img_width``. The result has
    ``status``, ``intersection``, ``union``, ``iou``, ``said_nothing``, ``target_area``,
    ``prediction_area``, ``box_iou`` and ``error``, row for row. A target is a mask already: what a
    protocol has to say of polygons (LISA's of parts that overlap) is up to who draws them.
    """
    return _like(batch, _segzero.score(batch, _rules(protocol)))


def iou_partial(batch: Any, protocol: ProtocolLike = "default") -> Any:
    """Sums over the rows of a batch, scored as :func:`score` does: a small batch of whole numbers.

    Sums of pieces join into those of the whole by :func:`merge`, in any order and however the rows
    were cut, to the last bit. Where a protocol takes its mean over samples or images, there is a row
    for each of those.
    """
    return _like(batch, [_segzero.iou_partial(batch, _rules(protocol))])


def merge(partials: Iterable[Any]) -> Any:
    """The sums of several :func:`iou_partial` as those of all their rows."""
    partials = list(partials)
    merged = _segzero.merge(partials)
    return _like(partials[0], [merged]) if partials else merged


def finish(partials: Any, protocol: ProtocolLike = "default") -> dict[str, Any]:
    """The numbers: ``n``, ``giou``, ``ciou``, ``precision``, ... as ``segzero eval`` has them, but for
    the median, which sums do not tell. ``failed`` rows had no readable target."""
    return json.loads(_segzero.finish(partials, _rules(protocol)))


def prep_schema(**options: Any) -> Batch:
    """A batch without rows, of the columns that :func:`prep` gives."""
    return _segzero.prep_schema(json.dumps(options))


def scores_schema() -> Batch:
    """A batch without rows, of the columns that :func:`score` gives."""
    return _segzero.scores_schema()


def partial_schema() -> Batch:
    """A batch without rows, of the columns that :func:`iou_partial` gives."""
    return _segzero.partial_schema()
