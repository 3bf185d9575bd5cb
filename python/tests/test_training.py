"""The folder for EasyR1 and veRL: their calls, in their shapes, on a set that the command made."""

import importlib.util

import pytest
import tables
from conftest import ROOT

import segzero

REPLY = (
    "<think>The dog.</think>\n"
    '<answer>{"bbox": [0, 457, 374, 672], "points_1": [50, 592], "points_2": [340, 601]}</answer>'
)
SOLUTION = "<box>(0,457),(374,672)</box><points>(50,592),(144,601)</points>"


def load(name):
    """As both trainers load a file by its path."""
    spec = importlib.util.spec_from_file_location(f"training_{name}", ROOT / "python/training" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_easyr1_is_given_a_batch():
    """`BatchFunctionRewardManager.compute_reward` of EasyR1 0.3.3."""
    inputs = [
        {"response": REPLY, "response_length": 60, "ground_truth": SOLUTION},
        {"response": "", "response_length": 0, "ground_truth": SOLUTION},
    ]
    scores = load("reward").easyr1(inputs, recipe="seg-zero", weights={"think": 0.5})
    assert [score["overall"] for score in scores] == [4.5, 0.0]
    assert set(scores[0]) == {"overall", *segzero.recipe().names}
    assert all(type(value) is float for score in scores for value in score.values())


def test_verl_is_given_one():
    """`NaiveRewardManager.__call__` of veRL 0.9.1: keywords, and a dictionary with `score`."""
    score = load("reward").verl(
        data_source="segzero", solution_str=REPLY, ground_truth=SOLUTION, extra_info={"num_turns": None}
    )
    assert score["score"] == 5.0 and score["point_l1"] == 1.0


class Characters:
    """A tokenizer of single characters."""

    def decode(self, ids, skip_special_tokens):
        return "".join(map(chr, ids.tolist()))


def test_verls_own_manager_takes_it():
    """veRL's package itself: what it has of the replies to two questions is the wheel's score."""
    verl = pytest.importorskip("verl", reason="veRL is not installed (pip install verl tensordict)")
    import numpy as np
    import torch
    from verl.workers.reward_manager.naive import NaiveRewardManager

    replies = [REPLY, "I see nothing."]
    ids = torch.zeros(2, len(REPLY), dtype=torch.long)
    for row, reply in zip(ids, replies):
        row[: len(reply)] = torch.tensor([ord(letter) for letter in reply])
    asked = torch.ones(2, 1, dtype=torch.long)
    truth = {"ground_truth": SOLUTION, "style": "rule"}
    rows = verl.DataProto.from_dict(
        tensors={
            "prompts": asked,
            "responses": ids,
            "attention_mask": torch.cat([asked, (ids > 0).long()], 1),
        },
        non_tensors={
            "reward_model": np.array([truth, truth]),
            "data_source": np.array(["segzero", "segzero"]),
            "extra_info": np.array([{"id": "a"}, {"id": "b"}]),
        },
    )
    manager = NaiveRewardManager(Characters(), num_examine=0, compute_score=load("reward").verl)
    found = manager(rows, return_dict=True)
    scores = found["reward_tensor"].sum(1).tolist()
    assert scores == segzero.reward(replies, [SOLUTION] * 2)["score"].tolist() == [5.0, 0.0]
    assert found["reward_tensor"][0].argmax() == len(REPLY) - 1
    assert found["reward_extra_info"]["point_l1"] == [1.0, 0.0]


@pytest.mark.parametrize("trainer", ["easyr1", "verl"])
def test_a_prepared_set_is_converted(command, synthetic, tmp_path, trainer):
    command("prep", "--root", synthetic, "--count", 12, "--size", 56, "--quiet",
            "--out", tmp_path / "set")  # fmt: skip
    load("convert").main(tmp_path / "set", trainer, tmp_path / "out")
    made = tables.read(tmp_path / "out").to_pylist()
    for row, source in zip(made, tables.read(tmp_path / "set").to_pylist(), strict=True):
        prompt = "<image>" + segzero.prompt(source["problem"])
        assert row["images"] == [source["image"]]
        if trainer == "easyr1":
            assert (row["problem"], row["solution"]) == (prompt, source["solution"])
        else:
            assert row["prompt"] == [{"role": "user", "content": prompt}]
            assert row["reward_model"]["ground_truth"] == source["solution"]
