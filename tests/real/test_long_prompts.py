"""Prompts that are too long are cut as trl 0.24 cut them, which had a setting for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftspec.env.install import ensure
from ftspec.registry import load
from ftspec.verify.inputs import rows
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SCRIPT = Path(__file__).parent / "long_prompts_reference.py"
SCRIPTS = ("trl", "deepspeed", "unsloth")
LENGTH, PROMPT = 40, 16
WORDS = "red green blue white black brown grey pink"
SIZES = [
    (3, 2, 4),
    (3, 2, 30),
    (20, 3, 5),
    (20, 40, 2),
    (60, 4, 6),
    (12, 24, 25),
    (9, 8, 90),
    (34, 3, 2),
]
"""Words of a prompt and of its two answers."""
TRAINED = (
    "data.train={path: data/long-prompts.jsonl, format: preference}",
    *("data.train_on=completions", "data.shuffle=false", f"data.max_length={LENGTH}"),
    f"data.max_prompt_length={PROMPT}",
    *("train.micro_batch_size=1", "train.batch_size=4", f"train.steps={len(SIZES) // 4}"),
)
CASES = {
    "DPO": (("method.objective=dpo", "data.overflow=truncate"), {"truncation_mode": "keep_start"}),
    "DPO, the end is kept": (
        ("method.objective=dpo", "data.overflow=truncate-left"),
        {"truncation_mode": "keep_end"},
    ),
    "CPO": (
        ("method.objective=cpo", "data.overflow=truncate", "data.prompt_cut=overlong"),
        {"truncation_mode": "keep_end"},
    ),
}


def text(count: int, first: int) -> str:
    words = WORDS.split()
    return " ".join(words[(first + at) % len(words)] for at in range(count))


def pairs() -> list[dict[str, str]]:
    return [
        {"prompt": f"Say {text(asked, 0)}:\n", "chosen": text(good, 1), "rejected": text(bad, 2)}
        for asked, good, bad in SIZES
    ]


@pytest.mark.parametrize("case", CASES)
def test_the_rows_are_those_of_an_older_trl(lab: Lab, tmp_path: Path, case: str) -> None:
    sets, arguments = CASES[case]
    data = lab.specs / "data" / "long-prompts.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in pairs()))
    real = reference(lab, tmp_path, data, {"trainer": case[:3], **arguments})
    proof = lab.prove(*TRAINED, *sets, backends=SCRIPTS)
    assert_equal(proof)
    taken = rows(proof.evidence("trl"))
    ours = [{"ids": [*row.ids], "labels": [*(row.labels or ())]} for row in taken]
    assert len(real) == 2 * len(SIZES)
    lengths = [len(row["ids"]) for row in real]
    assert max(lengths) == LENGTH > min(lengths)
    assert [without_first(row) for row in ours] == [without_first(row) for row in real]


def without_first(row: dict[str, list[int]]) -> tuple[list[int], list[int]]:
    """Nothing predicts the first token, so its label counts nowhere."""
    return row["ids"], row["labels"][1:]


def reference(lab: Lab, folder: Path, data: Path, said: dict[str, Any]) -> list[dict[str, Any]]:
    config = {**said, "max_length": LENGTH, "max_prompt_length": PROMPT}
    (folder / "config.json").write_text(json.dumps(config))
    python = ensure(load("trl"), "ppo").python
    command = [python, SCRIPT, lab.specs / "tiny-model", data, "config.json", "out.json"]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    ran = subprocess.run(
        [*map(str, command)], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads((folder / "out.json").read_text())
    return found
