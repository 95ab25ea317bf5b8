"""Rows that a template of the spec writes: scripts write what ftspec writes, and all of them train alike."""

from __future__ import annotations

import json

import pytest

from ftspec.verify.inputs import MASKED, rows
from tests.real.conftest import Lab
from tests.real.test_options import THREE, assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SCRIPTS = ("trl", "unsloth", "deepspeed")
WRITTEN = (
    *THREE,
    "data.train={path: data/alpaca.jsonl, template: {prompt: \"Q: {{ instruction }}"
    "{% if input is defined and input %} ({{ input }}){% endif %}\\nA:\", completion: ' {{ output }}'}}",
    "data.max_length=96",
    "data.overflow=drop",
    "train.warmup_steps=0",
    "train.micro_batch_size=4",
)  # fmt: skip


def test_scripts_write_the_rows_that_ftspec_writes(lab: Lab) -> None:
    assert "writes no rows by texts of a spec" in refusal(lab, "llamafactory", *WRITTEN)
    proof = lab.prove(*WRITTEN, backends=SCRIPTS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == set(SCRIPTS)
    row = rows(proof.evidence("trl"))[0]
    assert row.text is not None and row.text.startswith("Q: ") and row.text.count("\nA: ") == 1
    labels = row.labels or ()
    assert MASKED in labels and row.ids[labels.index(next(x for x in labels if x != MASKED)) :]

    def runs(folder):  # type: ignore[no-untyped-def]
        prepared = (*WRITTEN, "data.prepare=ftspec")
        return {
            "trl": lab.compiled("trl", folder / "trl", *WRITTEN),
            **{
                f"{name}, prepared": lab.compiled(name, folder / name, *prepared)
                for name in ("llamafactory", "axolotl")
            },
        }

    assert_equal(lab.compare("written", runs))


TALKING = (
    *THREE,
    "data.train={path: data/alpaca.jsonl, template: {system: 'Be "
    "{% if input is defined and input %}exact{% else %}brief{% endif %}.', user: '{{ instruction }}"
    "{% if input is defined and input %} ({{ input }}){% endif %}', assistant: '{{ output }}'}}",
    "data.max_length=96",
    "data.overflow=drop",
    "train.warmup_steps=0",
    "train.micro_batch_size=4",
)  # fmt: skip


def test_turns_that_a_template_writes_train_alike(lab: Lab) -> None:
    assert "writes no rows by texts of a spec" in refusal(lab, "llamafactory", *TALKING)
    proof = lab.prove(*TALKING, backends=SCRIPTS)
    assert_equal(proof)
    texts = [row.text or "" for row in rows(proof.evidence("trl"))]
    assert all("system\nBe " in text for text in texts)
    assert {"Be exact." in text for text in texts} == {True, False}

    def runs(folder):  # type: ignore[no-untyped-def]
        prepared = (*TALKING, "data.prepare=ftspec")
        return {
            "trl": lab.compiled("trl", folder / "trl", *TALKING),
            **{
                f"{name}, prepared": lab.compiled(name, folder / name, *prepared)
                for name in ("llamafactory", "axolotl")
            },
        }

    assert_equal(lab.compare("turns-written", runs))


ANSWERING = (
    "data.train={path: single.jsonl, template: {system: 'Be brief.', "
    "user: '{{ conversations[0].value }}', chosen: '{{ chosen.value }}', rejected: '{{ rejected.value }}'}}",
    "data.train_on=completions", "train.steps=3", "train.learning_rate=1e-3",
)  # fmt: skip
"""The same rows as those of the format sharegpt-ranking."""


@pytest.mark.parametrize("objective", ["dpo", "simpo"])
def test_answers_that_a_template_writes_as_turns_train_alike(lab: Lab, objective: str) -> None:
    given = (lab.specs / "data" / "preferences.jsonl").read_text("utf-8").splitlines(True)
    single = [line for line in given if len(json.loads(line)["conversations"]) == 1]
    (lab.specs / "single.jsonl").write_text("".join(single * 3))
    sets = (*ANSWERING, f"method.objective={objective}")
    assert "writes no rows by texts of a spec" in refusal(lab, "llamafactory", *sets)
    proof = lab.prove(*sets, backends=(*SCRIPTS, "axolotl"))
    assert_equal(proof)
    texts = [row.text or "" for row in rows(proof.evidence("trl"))]
    assert all(text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n") for text in texts)

    def runs(folder):  # type: ignore[no-untyped-def]
        ranked = ("data.train=single.jsonl", "data.system=Be brief.", *sets[1:])
        return {
            "written": lab.compiled("trl", folder / "written", *sets),
            "ranked": lab.compiled("trl", folder / "ranked", *ranked),
        }

    assert_equal(lab.compare(f"answers-written-{objective}", runs, "written"))
