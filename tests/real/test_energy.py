"""Energy-based fine-tuning in axolotl, really trained; its rewards are those of the spec's formula."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from ftspec.env.install import ensure
from ftspec.plan.make import make_plan
from ftspec.port.bring import bring
from ftspec.registry import load as load_backend
from ftspec.run.execute import execute
from ftspec.run.taken import results
from ftspec.spec.load import load
from tests.conftest import SPECS
from tests.real.conftest import Lab

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
AXOLOTL = load_backend("axolotl")
REFERENCE = Path(__file__).with_name("energy_reference.py")
DRAWN = "generation: {completions: 4, max_length: 8}"
CASES = {
    "lora": (
        f"method.objective={{type: ebft, beta: 0.04, {DRAWN}}}",
        "data.train={path: data/alpaca.jsonl, limit: 8}",
        "method.tuner.dropout=0.1",
    ),
    "full": (
        f"method.objective={{type: ebft, whitening: true, embed_method: concat, scale: none, {DRAWN}}}",
        "method.tuner=full",
        "data.system=Be brief.",
        "data.train={path: data/chat.jsonl, limit: 8}",
        "data.max_length=64",
    ),
}
SHORT = (
    "data.train_on=completions", "data.overflow=truncate", "train.micro_batch_size=4",
    "train.steps=2", "train.warmup_steps=0", "train.batch_size=8", "train.learning_rate=1e-3",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_trains(lab: Lab, name: str) -> None:
    sets = (*CASES[name], *SHORT, f"output.folder=runs/energy-{name}")
    loaded = load(lab.spec, sets)
    plan = make_plan(loaded, "axolotl")
    execute(plan, ensure(AXOLOTL, plan.lock()))
    log = (plan.folder / "run" / "train.log").read_text("utf-8")
    layers = re.findall(r"feature extraction from layers (\[.*?\]) \(of 2 total\)", log)
    assert layers == ["[0, 1, 1]"]
    assert ("shares actor weights" in log) == (name == "lora")
    rewards = re.findall(r"ebft reward \| align (\S+) .* reward (\S+)", log)
    assert len(rewards) == 2, "one round of completions for each step"
    assert len({*rewards}) == 2
    (file,) = results(plan).glob("*model.safetensors")
    weights = load_file(file)
    if name == "lora":
        assert any(value.any() for key, value in weights.items() if "lora_B" in key)
    else:
        before = load_file(lab.specs / "tiny-model" / "model.safetensors")
        assert any((before[key] != weights[key]).any() for key in before if key in weights)
    again = bring([plan.folder]).composed.spec
    assert again.method.objective == loaded.spec.method.objective
    assert again.data.train[0].limit == 8
    assert again.data.max_length == loaded.spec.data.max_length


def test_rewards_are_those_of_the_formula(tmp_path: Path) -> None:
    out = tmp_path / "rewards.json"
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [str(ensure(AXOLOTL).python), str(REFERENCE), str(SPECS / "tiny-model"), str(out)]
    subprocess.run(
        command, env=variables | {"AXOLOTL_DO_NOT_TRACK": "1"}, check=True, capture_output=True
    )
    both = json.loads(out.read_text("utf-8"))
    assert len(both) == 8
    for name, (found, expected) in both.items():
        assert found == pytest.approx(expected, abs=1e-5), name
        assert len({round(reward, 3) for reward in found}) > 2, name
