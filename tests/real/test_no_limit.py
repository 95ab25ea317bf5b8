"""`data.max_length: null`: a row far beyond every framework's own limit trains to its last token."""

from __future__ import annotations

import json

import pytest

from ftspec.verify.inputs import rows
from tests.real.conftest import Lab
from tests.real.test_options import THREE, assert_equal, refusal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
OWN = 2048
"""The largest limit that a framework takes by itself: LLaMA-Factory's, and Unsloth's."""
ENDLESS = (
    *THREE,
    "data.max_length=null",
    "data.overflow=truncate",
    "data.train=../long.jsonl",
    "train.warmup_steps=0",
    "train.batch_size=2",
    "train.micro_batch_size=2",
)


def test_a_long_row_is_whole_everywhere(lab: Lab) -> None:
    talk = [
        [{"role": "user", "content": "Count."}, {"role": "assistant", "content": text}]
        for text in ("one two three. " * 700, "one.", "one two.", "one two three.")
    ]
    lines = [json.dumps({"messages": turns}) for turns in talk]
    (lab.base / "long.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    assert "cutoff_len" in refusal(lab, "llamafactory", *ENDLESS)
    assert "max_seq_length" in refusal(lab, "unsloth", *ENDLESS)
    proof = lab.prove(*ENDLESS, backends=("trl", "deepspeed"))
    assert_equal(proof)
    assert max(len(row.ids) for row in rows(proof.evidence("trl"))) > OWN

    def runs(folder):  # type: ignore[no-untyped-def]
        prepared = (*ENDLESS, "data.prepare=ftspec")
        return {
            "trl": lab.compiled("trl", folder / "trl", *ENDLESS),
            **{
                f"{name}, prepared": lab.compiled(name, folder / name, *prepared)
                for name in ("llamafactory", "axolotl")
            },
        }

    assert_equal(lab.compare("endless", runs))
