"""axolotl learns from compared answers what TRL learns, by a trainer of its own that makes TRL's tokens."""

from __future__ import annotations

import json

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
BOTH = ("trl", "axolotl")
PAIRS = (
    "data.train=data/preferences.jsonl", "data.train_on=completions", "method.objective=dpo",
    "train.steps=3", "train.learning_rate=1e-3",
)  # fmt: skip
FULL = ("method.tuner={type: full}", "train.learning_rate=1e-5")
TEXTS = [
    {"question": f"What is {n} and {n}?", "good": f" {2 * n}.", "bad": f" {n} again, I think."}
    for n in range(24)
]
THINKING = """\
{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"""
"""An answer begins with no thought, and the prompt alone ends with the beginning of one."""
LONG = ("data.overflow=truncate", "data.max_length=40")
CASES = {
    "lora": (),
    "full": (*FULL, "method.objective.loss=ipo", "data.shuffle=false"),
    "full, measured before": (
        *FULL, "method.objective.precompute_reference=true", "method.objective.sft_weight=0.5",
    ),
    "names of weights": (
        r"method.tuner={type: partial, patterns: ['model\.layers\.1\.mlp\.', 'lm_head']}",
        "method.objective={type: dpo, loss: robust, label_smoothing: 0.1, beta: 0.5}",
    ),
    "options": (
        "method.tuner.modules_to_save=[lm_head]", "method.tuner.rslora=true", "method.tuner.init=gaussian",
        "train.gradient_checkpointing=true", "train.data_seed=7", "train.steps=null", "train.epochs=2",
        "train.batch_size=16", "train.warmup_ratio=0.3",
        "method.objective={type: dpo, loss: discopop, discopop_tau: 0.1, ld_alpha: 0.3}",
    ),
    "another rate for one half": ("method.tuner.plus_ratio=16", "method.objective.loss=sigmoid-norm"),
    "cut at the end": LONG,
    "cut at the end, an epoch": (*LONG, "train.steps=null", "train.epochs=1", "train.batch_size=8"),
    "cut at the start": ("data.overflow=truncate-left", LONG[1]),
    "a system prompt, mixed": (
        "data.train=[data/preferences.jsonl, {path: data/preferences.jsonl, limit: 7}]",
        "data.system=Be brief.", "data.mixed=true",
    ),
    "a named template": ("model.chat_template=qwen3",),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_learns_the_same_from_pairs(lab: Lab, name: str) -> None:
    proof = lab.prove(*PAIRS, *CASES[name], backends=BOTH)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BOTH)
    first, other = (proof.weights(backend) for backend in BOTH)
    assert first.keys() == other.keys()
    losses = [step.loss for step in proof.evidence("axolotl").steps]
    assert len(set(losses)) > 1


WITHOUT_A_REFERENCE = {
    "simpo": (
        "method.objective={type: simpo, gamma: 1.0, sft_weight: 0.5}",
        "method.tuner.plus_ratio=4",
    ),
    "cpo of all weights": (*FULL, "method.objective={type: cpo, loss: hinge}"),
    "orpo": ("method.objective={type: orpo, beta: 0.3}", "train.gradient_checkpointing=true"),
    "orpo of rows": ("method.objective={type: orpo, likelihood: rows}", "data.system=Be brief."),
}


@pytest.mark.parametrize("name", WITHOUT_A_REFERENCE)
def test_it_learns_the_same_without_a_reference(lab: Lab, name: str) -> None:
    proof = lab.prove(*PAIRS, *WITHOUT_A_REFERENCE[name], backends=BOTH)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BOTH)
    assert len({step.loss for step in proof.evidence("axolotl").steps}) > 2


JUDGED = (
    "data.train=data/feedback.jsonl", "data.train_on=completions", "data.shuffle=false", "train.steps=4",
    "train.micro_batch_size=4", "train.batch_size=8", "train.learning_rate=1e-2",
)  # fmt: skip
BOTH_WEIGHTS = "method.objective={type: kto, desirable_weight: 3, undesirable_weight: 0.1}"
OF_ANSWERS = {
    "lora": (BOTH_WEIGHTS,),
    "full": (BOTH_WEIGHTS, "method.tuner={type: full}", "train.learning_rate=1e-4"),
    "no divergence, bad ones for nothing": (
        "method.objective={type: kto, loss: apo-zero-unpaired, undesirable_weight: 0}",
        "data.shuffle=true", "train.learning_rate=1e-3", *LONG,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_ANSWERS)
def test_it_learns_the_same_from_judged_answers(lab: Lab, name: str) -> None:
    proof = lab.prove(*JUDGED, *OF_ANSWERS[name], backends=BOTH)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(BOTH)
    assert len({step.loss for step in proof.evidence("axolotl").steps}) > 2


def test_plain_texts(lab: Lab) -> None:
    """Both ends get the end token; columns of any name."""
    file = lab.specs / "data" / "texts.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in TEXTS), "utf-8")
    columns = "columns: {prompt: question, chosen: good, rejected: bad}"
    sets = (*PAIRS, f"data.train={{path: data/texts.jsonl, format: preference, {columns}}}")
    assert_equal(lab.prove(*sets, backends=BOTH))


def test_pairs_that_texts_write(lab: Lab) -> None:
    texts = {
        "prompt": "{% for t in conversations %}{{ t.value }}\n{% endfor %}",
        "chosen": "{{ chosen.value }}",
        "rejected": "{{ rejected.value }}",
    }
    source = {"path": "data/preferences.jsonl", "template": texts}
    assert_equal(lab.prove(*PAIRS, f"data.train={json.dumps(source)}", backends=BOTH))


def test_prompts_that_end_otherwise_alone(lab: Lab) -> None:
    """trl 1.9 alone would take them for what answers stand behind, and lose the beginning of each answer."""
    (lab.specs / "data" / "thinking.jinja").write_text(THINKING, "utf-8")
    sets = ("model.chat_template=data/thinking.jinja", "data.overflow=truncate")
    proof = lab.prove(*PAIRS, *sets, backends=BOTH)
    assert_equal(proof)
    for row in rows(proof.evidence("axolotl")):
        assert row.labels is not None and row.text is not None
        assert "<think>" not in row.text
        assert 0 < sum(label != MASKED for label in row.labels) < len(row.ids)
