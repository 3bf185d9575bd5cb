"""What models wrote, as boxes and points."""

from __future__ import annotations

from typing import Optional, Sequence, TypedDict

from . import _segzero


class Object(TypedDict):
    """One thing that was pointed out, in pixels of the image that the model saw."""

    #: Left, top, right, bottom.
    bbox: Optional[list[float]]
    #: x and y of points inside.
    points: list[list[float]]


class Answer(TypedDict):
    """A reply that was read."""

    #: What was pointed out, in the order of the reply; nothing where there is a failure.
    objects: list[Object]
    #: What stands between ``<think>`` and ``</think>``.
    thinking: Optional[str]
    #: What had to be repaired, each kind once: ``not-json``, ``cut-off``, ...
    repairs: list[str]
    #: Why there is no answer: ``empty``, ``no-answer``, ``no-box``, ...
    failure: Optional[str]


def read_answers(
    replies: Sequence[str], parser: str = "robust", size: tuple[float, float] = (840, 840)
) -> list[Answer]:
    """Reads replies to questions about images that the model saw as ``size`` (width, height).

    ``parser``: ``seg-zero`` and ``vision-reasoner`` are the authors' readers with their quirks;
    ``robust`` gets the answer out of whatever models really write. A failure is data, not an
    exception.
    """
    return _segzero.read_answers(list(replies), parser, list(size))


def read_answer(
    reply: str, parser: str = "robust", size: tuple[float, float] = (840, 840)
) -> Answer:
    """As :func:`read_answers`, for one reply.

    >>> import segzero
    >>> answer = segzero.read_answer('<answer>{"bbox": [1, 2, 30, 40], "points_1": [9, 9]}</answer>')
    >>> answer["objects"]
    [{'bbox': [1.0, 2.0, 30.0, 40.0], 'points': [[9.0, 9.0]]}]
    """
    return read_answers([reply], parser, size)[0]
