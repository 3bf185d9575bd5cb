"""Rewards and readers of replies, against the command and an independent statement of the rules."""

import json

import pytest
from conftest import ROOT

import segzero

REPLY = (
    "<think>The dog.</think>\n"
    '<answer>{"bbox": [0, 457, 374, 672], "points_1": [50, 592], "points_2": [340, 601]}</answer>'
)
SOLUTION = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>"


def test_rewards_are_the_commands(command):
    several = '[{"bbox_2d": [10, 100, 200, 210], "point_2d": [30, 110]}]'
    replies = [REPLY, "", "<think>x</think><answer>{}</answer>", REPLY.replace("374", "370.5")]
    cases = [(SOLUTION, "seg-zero"), (SOLUTION, "seg-zero-soft"), (several, "vision-reasoner")]
    for solution, recipe in cases:
        for reply in [*replies, f"<think>a</think><answer>{several}</answer>"]:
            earned = segzero.reward([reply], [solution], recipe)
            line = command(
                "reward", "--json", "--recipe", recipe, f"--explain={reply}", "--solution", solution
            )
            expected = json.loads(line)
            assert {name: values[0] for name, values in earned.items()} == {
                **expected["rewards"],
                "score": expected["score"],
            }


def test_a_recipe_may_be_ones_own():
    earned = segzero.reward([REPLY], [SOLUTION], ["think", "bbox_iou_soft"])
    assert list(earned) == ["think", "bbox_iou_soft", "score"]
    weighted = segzero.recipe("seg-zero", weights={"think": 0.5, "non_repeat": 2}, frame=1680)
    assert weighted.full_marks == 6.5
    assert segzero.reward([REPLY], [SOLUTION], weighted)["score"] == [6.5]
    every = segzero.recipe(segzero.reward_names())
    assert set(every.names) == set(segzero.reward_names()) and len(every.names) == 11
    assert json.loads(weighted.json())["frame"] == 1680


def test_what_is_no_solution_is_said():
    with pytest.raises(ValueError, match="solution 1: expected `<box>"):
        segzero.reward([REPLY] * 2, [SOLUTION, "nothing"])
    with pytest.raises(ValueError, match="solution 0: `objects_accuracy` needs 1 points"):
        segzero.reward([REPLY], [SOLUTION], "vision-reasoner")
    with pytest.raises(ValueError, match="there are 1 replies, but 0 solutions"):
        segzero.reward([REPLY], [])
    with pytest.raises(ValueError, match="seg-zero-soft"):
        segzero.recipe("seg-one")


def test_answers():
    answer = segzero.read_answer(REPLY, "seg-zero")
    assert answer == {
        "objects": [{"bbox": [0, 457, 374, 672], "points": [[50, 592], [340, 601]]}],
        "thinking": "The dog.",
        "repairs": [],
        "failure": None,
    }
    broken = REPLY.replace('"bbox"', "'bbox'")
    strict, robust = segzero.read_answer(broken, "seg-zero"), segzero.read_answer(broken)
    assert strict["failure"] == "not-json" and not strict["objects"]
    assert robust["objects"] == answer["objects"] and robust["repairs"] == ["not-json"]
    assert segzero.read_answer("")["failure"] == "empty"
    both = segzero.read_answers([REPLY, ""], "vision-reasoner", (1000, 500))
    assert [one["failure"] for one in both] == ["no-box", "no-answer"]


def test_prompts():
    text = segzero.prompt("The Dog, lying down...")
    assert text.startswith("Please find 'the dog, lying down' with bbox and points.Compare")
    assert "bboxs" in segzero.prompt("it", "vision-reasoner")


def test_rewards_by_an_independent_statement():
    """The crate's fixture, made by a statement of the rules in Python."""
    fixture = json.loads((ROOT / "eval/tests/fixtures/rewards/rewards.json").read_text())
    cases = [("seg-zero", "seg_zero", 2), ("seg-zero-soft", "seg_zero", 3)]
    for recipe, name, column in [*cases, ("vision-reasoner", "vision_reasoner", 2)]:
        rows = fixture[name]
        assert len(rows) > 60
        earned = segzero.reward([row[1] for row in rows], [row[0] for row in rows], recipe)
        parts = [earned[reward] for reward in segzero.recipe(recipe).names]
        assert [list(part) for part in zip(*parts)] == [row[column][: len(parts)] for row in rows]
