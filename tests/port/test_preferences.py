"""Configs of KTO, ORPO, SimPO and CPO: which objective they are of, and what they say of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate

FACTORY = "model_name_or_path: org/model\ndo_train: true\noutput_dir: saves/one\n"
TRL = "model_name_or_path: org/model\ndataset_name: org/pairs\nmax_length: 512\noutput_dir: o\n"
OBJECTIVE = "method.objective."
KTO = FACTORY + "stage: kto\ndataset: kto_en_demo\n"
PAIRS = FACTORY + "stage: dpo\ndataset: dpo_en_demo\n"


@pytest.mark.parametrize(
    ("text", "type", "told"),
    [
        (KTO + "pref_beta: 0.2\n", "kto", {"beta": 0.2}),
        (KTO + "kto_rejected_weight: 2.0\n", "kto", {"undesirable_weight": 2.0, "beta": 0.1}),
        (PAIRS, "dpo", {"loss": "sigmoid"}),
        (PAIRS + "pref_loss: orpo\n", "orpo", {"likelihood": "answers", "beta": 0.1}),
        (PAIRS + "pref_loss: simpo\nsimpo_gamma: 1.2\n", "simpo", {"gamma": 1.2, "beta": 0.1}),
        (PAIRS + "dpo_loss: simpo\n", "simpo", {"gamma": 0.5}),
        (TRL + "desirable_weight: 1.5\n", "kto", {"desirable_weight": 1.5}),
        (TRL + "loss_type: simpo\ncpo_alpha: 0.0\n", "simpo", {"gamma": 0.5, "sft_weight": 0.0}),
        (TRL + "loss_type: simpo\n", "simpo", {"sft_weight": 1.0}),  # CPOConfig's own default
        (TRL + "cpo_alpha: 0.5\nloss_type: hinge\n", "cpo", {"loss": "hinge", "sft_weight": 0.5}),
        # SimPO's recipes name the margin as a share of beta
        (
            TRL + "beta: 2.5\ngamma_beta_ratio: 0.5\n",
            "simpo",
            {"gamma": 1.25, "beta": 2.5, "sft_weight": 0.0},
        ),
    ],
)
def test_the_objective_and_its_fields(
    read: Bring, text: str, type: str, told: dict[str, Any]
) -> None:
    values = read(text).composed.values
    assert values[f"{OBJECTIVE}type"] == type
    assert {name: values[OBJECTIVE + name] for name in told} == told


def test_llamafactorys_pairs_of_prompts_and_answers(read: Bring) -> None:
    """By itself it shuffles, and pairs within 1,000 rows; another block is not passed on in silence."""
    assert read(KTO).composed.values["data.shuffle"] is True
    ordered = KTO + "disable_shuffling: true\nper_device_train_batch_size: 4\n"
    values = read(ordered + "preprocessing_batch_size: 4\n").composed.values
    assert values["data.shuffle"] is False
    kind, *_ = fate(read(ordered), "disable_shuffling")
    assert kind not in ("exact", "renamed", "derived")


def test_the_demonstrations_of_its_data_folder(read: Bring) -> None:
    (source,) = read(KTO).composed.values["data.train"]
    assert (source["path"], source["format"]) == ("data/kto_en_demo.json", "messages-unpaired")
    (source,) = read(PAIRS).composed.values["data.train"]
    assert (source["path"], source["format"]) == ("data/dpo_en_demo.json", "sharegpt-ranking")


RL = "base_model: m\ndatasets: [{path: org/rows, type: chatml.intel}]\noutput_dir: o\n"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("rl: dpo\nrl_beta: 0.2\n", "beta", 0.2),
        ("rl: dpo\ndpo_beta: 0.3\n", "beta", 0.3),
        ("rl: dpo\ndpo_beta: 0.3\nrl_beta: 0.2\n", "beta", 0.2),
        ("rl: kto\nrl_beta: 0.2\ntrl: {beta: 0.4}\n", "beta", 0.4),
        ("rl: orpo\norpo_alpha: 0.3\n", "beta", 0.3),
        ("rl: orpo\nrl_beta: 0.2\norpo_alpha: 0.3\n", "beta", 0.2),
        ("rl: dpo\n", "loss", "sigmoid"),
        ("rl: dpo\ndpo_loss_type: [hinge]\n", "loss", "hinge"),
        ("rl: ipo\ndpo_loss_type: [hinge]\n", "loss", "ipo"),
        ("rl: kto\nkto_desirable_weight: 0.5\n", "desirable_weight", 0.5),
        ("rl: kto\nkto_undesirable_weight: 0\n", "undesirable_weight", 1.0),
        ("rl: simpo\nsimpo_gamma: 0.4\n", "gamma", 0.4),
        ("rl: simpo\nsimpo_gamma: 0.4\n", "sft_weight", 1.0),
        ("rl: simpo\nsimpo_gamma: 0.4\ncpo_alpha: 0.1\n", "sft_weight", 0.1),
        ("rl: dpo\nprecompute_ref_log_probs: true\n", "precompute_reference", True),
    ],
)
def test_what_axolotl_hands_to_trl(read: Bring, text: str, path: str, value: Any) -> None:
    imported = read(RL + text, wanted="axolotl")
    assert imported.composed.values[f"method.objective.{path}"] == value


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [
        ("rl: dpo\nrpo_alpha: 1.0\n", "rpo_alpha", "unknown"),
        ("rl: dpo\nmax_prompt_len: 64\n", "max_prompt_len", "inert"),
        ("rl: dpo\nkto_desirable_weight: 0.5\n", "kto_desirable_weight", "inert"),
        ("rl: dpo\ndpo_use_weighting: true\n", "dpo_use_weighting", "unknown"),
        ("rl: ipo\ndpo_label_smoothing: 0.1\n", "dpo_label_smoothing", "inert"),
        ("rl: dpo\ndpo_label_smoothing: 0.1\n", "dpo_label_smoothing", "approximated"),
        (
            "rl: dpo\ndpo_loss_type: [robust]\ndpo_label_smoothing: 0.1\n",
            "dpo_label_smoothing",
            "renamed",
        ),
    ],
)
def test_what_it_reads_nowhere(read: Bring, text: str, key: str, kind: str) -> None:
    assert fate(read(RL + text, wanted="axolotl"), key)[0] == kind


def test_a_margin_that_is_missing_is_asked_for(read: Bring) -> None:
    imported = read(RL + "rl: simpo\n", wanted="axolotl")
    assert any("simpo_gamma is missing" in question for question in imported.composed.open)
