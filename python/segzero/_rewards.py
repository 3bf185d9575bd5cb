"""What reinforcement learning is told of a reply."""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence, Union

import numpy as np
from numpy.typing import NDArray

from ._segzero import Recipe

#: A published recipe's name, a recipe as docs/reward.md has it, or names of rewards that count once.
RecipeLike = Union[str, Mapping[str, Any], Sequence[str], Recipe]


def recipe(
    recipe: RecipeLike = "seg-zero",
    *,
    weights: Mapping[str, float] | None = None,
    frame: float | None = None,
) -> Recipe:
    """Rewards and how they are added up, to be used for many calls of :func:`reward`.

    ``recipe``: ``seg-zero``, ``seg-zero-soft``, ``vision-reasoner``, a dictionary, or a list of
    names such as ``["think", "bbox_iou"]``. ``weights`` that differ or come new, and the longer side
    of the images in pixels (``frame``), are as the command's flags of those names.
    """
    if not isinstance(recipe, (str, Mapping, Recipe)):
        recipe = {"rewards": [{"reward": name} for name in recipe]}
    if isinstance(recipe, Mapping):
        recipe = json.dumps(recipe)
    if isinstance(recipe, str):
        recipe = Recipe(recipe)
    if weights or frame is not None:
        recipe = recipe.changed(list((weights or {}).items()), frame)
    return recipe


def reward(
    replies: Sequence[str],
    solutions: Sequence[str],
    recipe_: RecipeLike = "seg-zero",
    *,
    weights: Mapping[str, float] | None = None,
    frame: float | None = None,
) -> dict[str, NDArray[np.float64]]:
    """What each reply earned: an array a reward, by name, and ``score``, their weighted sum.

    ``solutions`` are those of a training set that ``segzero prep`` made, one for each reply. A reply
    that cannot be read earns nothing; a solution that cannot is a ``ValueError``.

    >>> import segzero
    >>> truth = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>"
    >>> reply = '<think>The dog.</think><answer>{"bbox": [0, 457, 374, 672]}</answer>'
    >>> earned = segzero.reward([reply], [truth])
    >>> {name: float(values[0]) for name, values in earned.items() if values[0]}
    {'think': 1.0, 'bbox_iou': 1.0, 'bbox_l1': 1.0, 'score': 3.0}
    """
    chosen = recipe(recipe_, weights=weights, frame=frame)
    columns = chosen.score(list(replies), list(solutions)).T
    return dict(zip([*chosen.names, "score"], columns))
