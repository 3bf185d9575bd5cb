"""Seg-Zero's rewards for EasyR1 and veRL, computed by the wheel: the trainer of one machine and theirs
reward a reply alike, to the last bit.

EasyR1: `worker.reward.reward_function: python/training/reward.py:easyr1`, `reward_type: batch`.
veRL:   `reward.custom_reward_function.path: python/training/reward.py`, `name: verl`.
`reward_function_kwargs` (`reward_kwargs`) `recipe`, `weights` and `frame` are those of `segzero.recipe`.
"""

import functools
import json

import segzero


@functools.lru_cache
def _recipe(text, frame):
    recipe, weights = json.loads(text)
    return segzero.recipe(recipe, weights=weights, frame=frame)


def _earned(replies, solutions, recipe, weights, frame):
    chosen = _recipe(json.dumps([recipe, weights]), frame)
    columns = segzero.reward(replies, solutions, chosen)
    names = list(columns)
    return [dict(zip(names, map(float, row))) for row in zip(*columns.values())]


def easyr1(reward_inputs, recipe="seg-zero", weights=None, frame=None):
    """Scores of a batch: `overall`, and every reward by its name."""
    replies = [one["response"] for one in reward_inputs]
    solutions = [one["ground_truth"] for one in reward_inputs]
    earned = _earned(replies, solutions, recipe, weights, frame)
    return [{"overall": one.pop("score"), **one} for one in earned]


def verl(data_source, solution_str, ground_truth, extra_info=None, recipe="seg-zero",
         weights=None, frame=None):  # fmt: skip
    """The score of one reply: `score`, and every reward by its name."""
    return _earned([solution_str], [ground_truth], recipe, weights, frame)[0]
