"""Reward models: a new head that scores whole answers, alike in both backends that train one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load
from ftspec.verify.inputs import MASKED, rows
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from ftspec_axolotl.data import FRESH
from ftspec_axolotl.emit import CONFIG
from tests.real.conftest import Lab, keep_pair
from tests.real.test_options import assert_equal, refusal
from tests.real.test_ported_pairs import OWN

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
BACKENDS = ("trl", "deepspeed")
SETS = (
    "method.objective={type: reward, center: 0.01}",
    "data.train=data/preferences.jsonl",
    "train.steps=4",
    "train.learning_rate=1e-3",
)


def test_reward_models_train_alike(lab: Lab) -> None:
    assert "a head of another form" in refusal(lab, "llamafactory", *SETS)
    assert "were not seen to train" in refusal(lab, "unsloth", *SETS)
    proof = lab.prove(*SETS, backends=BACKENDS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*BACKENDS}
    taken = rows(proof.evidence("trl"))
    assert len(taken) == 2 * 4 * 4  # a chosen and a rejected answer of each pair
    assert all(row.labels and set(row.labels) == {MASKED} for row in taken)
    # the head trained, and was saved with the adapter, for peft to find it
    saved = proof.weights("trl")
    (head,) = (name for name in saved if name.endswith("score.weight"))
    assert saved[head].shape[0] == 1
    assert np.isfinite(saved[head]).all()
    config = json.loads((proof.model("trl") / "adapter_config.json").read_text())
    assert "score" in config["modules_to_save"]
    assert config["task_type"] == "SEQ_CLS"
    losses = [step.loss for step in proof.certificate.runs["trl"].steps]
    assert losses[-1] != losses[0]


TURNS = """\
{system: "{{ '' }}", user: "{{ conversations[0]['value'] }}",
 chosen: "{{ chosen['value'] }}", rejected: "{{ rejected['value'] }}"}"""


def test_longer_answers_are_cut_and_scored_there(lab: Lab) -> None:
    """Pairs that a spec's texts write as turns, an empty one among them."""
    turns = TURNS.replace("\n", "")
    sets = (
        *SETS[:1], f"data.train={{path: data/preferences.jsonl, template: {turns}}}", *SETS[2:],
        "data.max_length=40",
    )  # fmt: skip
    proof = lab.prove(*sets, "data.overflow=truncate", backends=BACKENDS)
    assert_equal(proof)
    taken = rows(proof.evidence("trl"))
    assert len(taken) == 2 * 4 * 4
    assert {len(row.ids) for row in taken} >= {40} and max(len(row.ids) for row in taken) == 40
    assert all("<|im_start|>system\n<|im_end|>\n" in (row.text or "") for row in taken)


AXOLOTL = {
    "base_model": "scoring",
    "model_type": "AutoModelForSequenceClassification",
    "num_labels": 1,
    "reward_model": True,
    "center_rewards_coefficient": 0.01,
    "chat_template": "chatml",
    "datasets": [{"path": "pairs.jsonl", "ds_type": "json", "type": "bradley_terry.chat_template"}],
    "dataset_prepared_path": "prepared",
    "dataset_num_proc": 1,
    "dataloader_num_workers": 0,
    "shuffle_merged_datasets": False,
    "remove_unused_columns": False,
    "plugins": [FRESH],
    "output_dir": "model",
    "sequence_len": 40,
    "sample_packing": False,
    "pad_to_multiple_of": 8,
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "max_steps": 4,
    "seed": 42,
    "learning_rate": 1.0e-3,
    "optimizer": "adamw_torch",
    "lr_scheduler": "constant",
    "weight_decay": 0.0,
    "logging_steps": 1,
    "bf16": False,
    "tf32": False,
    "save_strategy": "no",
}
SCORING = """\
import sys
from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed
set_seed(1)
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=1, dtype="float32")
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model.config.pad_token_id = tokenizer.pad_token_id
model.save_pretrained("scoring")
tokenizer.save_pretrained("scoring")
"""
"""A model that scores already: what a new head begins with is drawn by each framework."""


def test_a_reward_model_of_axolotl_trains_the_same_in_trl(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (lab.specs / "data" / "preferences.jsonl").read_text("utf-8").splitlines()
    pairs = [
        {
            "system": "" if number % 2 else "Be brief.",
            "input": row["conversations"][0]["value"],
            "chosen": row["chosen"]["value"],
            "rejected": row["rejected"]["value"],
        }
        for number, row in enumerate(map(json.loads, given))
    ]

    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("axolotl", folder / "axolotl", *OWN)
        (original.folder / CONFIG).write_text(yaml.dump([("all", AXOLOTL)]))
        lines = (json.dumps(pair) + "\n" for pair in pairs)
        (original.folder / "pairs.jsonl").write_text("".join(lines))
        command = [str(ensure(load("trl")).python), "-c", SCORING, str(lab.specs / "tiny-model")]
        subprocess.run(command, cwd=original.folder, check=True, capture_output=True)
        monkeypatch.chdir(original.folder)
        carried = carry([Path(CONFIG)], "trl", folder / "trl", allow_lossy=True)
        assert not [
            f for f in carried.imported.fates if not f.faithful and f.setting.key != "plugins"
        ]
        return {"axolotl": original, "trl": as_run(carried.plan, ensure(load("trl")))}

    proof = lab.compare("axolotl-reward", runs, "axolotl")
    certificate = proof.certificate
    assert certificate.verdict == "equal", {
        name: (run.error or run.first_failure()) for name, run in certificate.runs.items()
    }
    taken = rows(proof.evidence("trl"))
    assert max(len(row.ids) for row in taken) == 40
    assert any("<|im_start|>system\n<|im_end|>\n" in (row.text or "") for row in taken)
    keep_pair("axolotl, a reward model", "axolotl", "trl", certificate)
