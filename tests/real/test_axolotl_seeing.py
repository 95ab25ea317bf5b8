"""Specs of models that read images: axolotl trains what TRL and LLaMA-Factory train."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.plan.make import make_plan
from ftspec.plan.write import write_plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec_axolotl.emit import CONFIG
from ftspec_axolotl.images import FILE
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

SPEC = """\
version: 1
model: {name: ./seeing, chat_template: qwen2_vl, images: {train: [language], max_pixels: 9000}}
data: {train: {path: pictures/rows.jsonl, columns: {images: images}}, max_length: 500, overflow: error}
method: {objective: {type: sft, average: batches}, tuner: {type: lora, rank: 8, targets: all-linear}}
precision: fp32
train: {steps: 4, batch_size: 4, micro_batch_size: 2, warmup_steps: 2, learning_rate: 1.0e-3,
  gradient_checkpointing: false}
hardware: {device: cpu}
"""
ALL = ("trl", "llamafactory", "axolotl")
PAIR = ("trl", "axolotl")
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "answers": (ALL, ()),
    "all, tokens of images too": (
        ALL,
        ("data.train_on=all", "method.tuner.targets=[q_proj, v_proj]", "train.seed=7"),
    ),
    "all weights but the tower": (
        ALL,
        (
            "method.tuner={type: full}",
            "model.images={train: [language, projector], max_pixels: 9000}",
        ),
    ),
    "what answers say, in a square": (
        PAIR,
        (
            *(
                "method.tuner={type: full}",
                "model.images={train: [language, vision], square: 84, min_pixels: 9000}",
            ),
            *("data.turn_part=ended", "data.turn_ends=['<|im_end|>']"),
            "train.gradient_checkpointing=true",
        ),
    ),
    "four bits, turns by other names": (
        PAIR,
        (
            "data.train={path: pictures/gpt.jsonl, format: sharegpt, limit: 12, "
            "columns: {conversations: talk, images: shots}}",
            *("data.train_on=all", "data.system=Look well.", "data.mixed=true"),
            *("model.images={train: [language, projector, vision], learned: false}",),
            *("model.quantization=nf4", "model.chat_template=tokenizer"),
            "method.tuner.targets={pattern: '.*(q_proj|v_proj|qkv|fc1)'}",
        ),
    ),
    "the projector, rows that a template writes": (
        PAIR,
        (
            "data.train={path: pictures/asked.jsonl, columns: {images: shots}, "
            "template: {user: 'Q: {{ asked }}', assistant: '{{ said }}'}}",
            *("method.tuner={type: full}", "model.images={train: [projector], max_width: 60}"),
            "data.train_on=completions",
        ),
    ),
}


def spec(lab: Lab) -> Path:
    file = lab.base / "seeing.yaml"
    file.write_text(SPEC)
    return file


@pytest.mark.parametrize("case", CASES)
def test_it_trains_the_same(lab: Lab, pictures: Path, case: str) -> None:
    backends, sets = CASES[case]
    proof = lab.prove(*sets, backends=backends, spec=spec(lab), lossy=len(backends) > 2)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(backends)
    seen = [batch.images for batch in proof.evidence("axolotl").batches]
    assert all(seen) and len({*seen}) > 2
    assert seen == [batch.images for batch in proof.evidence("trl").batches]
    saved = [(proof.model(name) / "chat_template.jinja").read_text() for name in PAIR]
    assert saved[0] == saved[1]


def test_without_the_plugin_it_stops(lab: Lab, pictures: Path, tmp_path: Path) -> None:
    """axolotl goes on where it cannot import a plugin, and would train on rows as it reads them."""
    plan = make_plan(load(spec(lab)), "axolotl", tmp_path / "build")
    write_plan(plan)
    (tmp_path / "build" / FILE).unlink()
    place = ensure(load_backend("axolotl"), "vision")
    ran = subprocess.run(
        [str(place.python), "-m", "axolotl.cli.train", CONFIG],
        cwd=tmp_path / "build",
        env=variables(place, {"CUDA_VISIBLE_DEVICES": "", "DO_NOT_TRACK": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0 and "image_rows.Trainer" in ran.stderr + ran.stdout
