"""Energy-based fine-tuning: what a spec may say of it, what axolotl is told, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ftspec.backend import lift
from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.registry import load as load_backend
from ftspec.registry import names
from ftspec.spec.energy import EBFT, StridedEBFT
from ftspec.spec.load import loads

SPEC = """\
model: org/model
data: {train: {hub: org/chats, format: messages}}
method: {objective: {type: ebft, generation: {completions: 4}}, tuner: lora}
train: {steps: 5, batch_size: 8, micro_batch_size: 4, learning_rate: 1.0e-6}
model: {name: org/model, dtype: float32}
precision: fp32
hardware: {device: cpu}
""".replace("model: org/model\n", "", 1)


def planned(*sets: str, backend: str = "axolotl") -> Plan:
    return make_plan(loads(SPEC, sets=sets), backend, Path("/project/axolotl"))


def reason(*sets: str, backend: str = "axolotl") -> str:
    with pytest.raises((SpecError, UnsupportedError)) as raised:
        planned(*sets, backend=backend)
    return str(raised.value)


def test_axolotl_is_told_all_of_it_and_says_it_again() -> None:
    sets = (
        "method.objective.embed_method=completion-mean", "method.objective.feature_layers=[0.5, 1]",
        "method.objective.generation.min_p=0.1", "method.objective.clip_high=0.3",
        "method.objective.loss=dr-grpo", "model.template_options={enable_thinking: false}",
        "data.max_length=128", "data.system=Be brief.", "method.tuner.dropout=0.1",
    )  # fmt: skip
    plan = planned(*sets)
    assert plan.native["rl"] == "ebft"
    assert plan.native["ebft"]["embed_method"] == "completion_mean"
    assert plan.native["trl"]["num_generations"] == 4
    assert plan.native["trl"]["loss_type"] == "dr_grpo"
    assert plan.native["trl"]["chat_template_kwargs"] == {"enable_thinking": False}
    assert plan.native["trainer.max_seq_length"] == 128
    assert plan.native["trainer.router_aux_loss_coef"] == 0.0  # trl would take 0.001
    assert plan.native["trainer.use_bias_correction_kl"] is False
    backend = load_backend("axolotl")
    back = lift(backend, backend.read(plan.files())).spec
    values = plan.resolved.flat()
    paths = [path for path in values if path.startswith(("method.objective.", "data.max_length"))]
    assert len(paths) > 15
    assert {path: back[path] for path in paths} == {
        path: tuple(values[path]) if isinstance(values[path], list) else values[path]
        for path in paths
    }


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("method.objective.generation.engine=vllm", "not in its lock"),
        ("data.overflow=drop", "no row is left out"),
        ("data.max_length=null", "so many tokens"),
        ("data.packing=documents", "cannot share a row"),
        ("data.prepare=ftspec", "tokenise rows themselves"),
        ("data.eval_size=2", "not drawn to evaluate"),
        ("data.group_by_length=true", "sampler of its own"),
        ("data.train={hub: org/p, format: messages, columns: {tools: tools}}", "without the tools"),
        ("method.tuner={type: ia3}", "of all tuners"),
        ("hardware.devices=2", "several processes"),
        ("data.train={hub: org/p, format: prompt}", "prompts alone"),
        ("data.train={hub: org/p, format: preference}", "pairs of a chosen"),
        ("data.train={hub: org/p, format: prompt-completion}", "learns from conversations"),
        ("data.train_on=all", "the last answer is learned"),
        ("method.objective.generation.completions=3", "whole groups of 3"),
    ],
)
def test_what_is_refused(said: str, why: str) -> None:
    sets = (said, "train.batch_size=16") if "devices" in said else (said,)
    assert why in reason(*sets)


@pytest.mark.parametrize("backend", names())
def test_no_other_backend_takes_it_and_none_takes_strides(backend: str) -> None:
    if backend != "axolotl":
        assert "no trainer of its own learns so" in reason(backend=backend)
    rows = "data.train={hub: org/texts, format: text}"
    said = reason("method.objective={type: ebft-strided}", rows, backend=backend)
    assert ("cuda:0" if backend == "axolotl" else "no trainer of its own") in said


def test_what_a_spec_may_not_say() -> None:
    for bad in (
        {"feature_layers": []},
        {"feature_layers": [1.5]},
        {"loss": "cispo"},
        {"scale": True},
    ):
        with pytest.raises(ValidationError):
            EBFT.model_validate({"type": "ebft", **bad})
    with pytest.raises(ValidationError):
        StridedEBFT.model_validate({"type": "ebft-strided", "embed_method": "concat"})
