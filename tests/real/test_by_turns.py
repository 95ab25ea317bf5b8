"""Rows longer than the limit, cut turn by turn: LLaMA-Factory's own way, and the same in scripts."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.by_turns import kept, share
from ftspec.env.install import ensure
from ftspec.registry import load
from ftspec.verify.inputs import rows
from ftspec.verify.verify import Run
from tests.real.conftest import BACKENDS, Lab
from tests.real.test_options import assert_equal

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
LENGTH = 48
WORDS = "red green blue white black brown grey pink"
SIZES: list[tuple[int, ...]] = [
    (3, 5),
    (60, 4),
    (4, 60),
    (60, 50),
    (3, 4, 60, 5),
    (10, 50, 4, 60, 3, 3),
    (3, 4, 5, 6, 70, 90),
    (40, 3, 60, 60),
]
"""Words of the turns of each conversation."""
TRAINED = (
    "data.train={path: data/by-turns.jsonl, format: messages}",
    *("data.overflow=truncate-turns", "data.shuffle=false", f"data.max_length={LENGTH}"),
    *("train.micro_batch_size=1", "train.batch_size=4", f"train.steps={len(SIZES) // 4}"),
)
REFERENCE = """
import json, sys
from llamafactory.data.processor.processor_utils import infer_seqlen

cases = json.load(sys.stdin)
json.dump([infer_seqlen(*case) for case in cases], sys.stdout)
"""


PAIRS = [
    (3, 2, 4),
    (3, 2, 60),
    (60, 3, 5),
    (60, 40, 2),
    (60, 50, 60),
    (12, 24, 25),
    (9, 80, 90),
    (30, 3, 2),
]
"""Words of a prompt and of its two answers."""


def text(count: int, first: int) -> str:
    words = WORDS.split()
    return " ".join(words[(first + at) % len(words)] for at in range(count))


def conversations() -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "assistant" if at % 2 else "user", "content": text(size, at)}
                for at, size in enumerate(sizes)
            ]
        }
        for sizes in SIZES
    ]


def write(lab: Lab) -> None:
    lines = "".join(f"{json.dumps(row)}\n" for row in conversations())
    (lab.specs / "data" / "by-turns.jsonl").write_text(lines, "utf-8")


@pytest.mark.parametrize("learned", ["assistant", "completions", "all"])
def test_long_rows_are_cut_alike(lab: Lab, learned: str) -> None:
    write(lab)
    proof = lab.prove(*TRAINED, f"data.train_on={learned}", backends=BACKENDS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*BACKENDS}
    taken = rows(proof.evidence("trl"))
    lengths = [len(row.ids) for row in taken]
    assert max(lengths) == LENGTH > min(lengths)
    prepared = lab.prove(
        *TRAINED,
        f"data.train_on={learned}",
        "data.prepare=ftspec",
        backends=("trl", "llamafactory"),
    )
    assert_equal(prepared)
    told = rows(prepared.evidence("trl"))
    # nothing predicts a row's first token, whether it has a label or not
    ours, real = ([(row.ids, (row.labels or ())[1:]) for row in each] for each in (told, taken))
    assert ours == real


def test_cut_rows_are_packed_whole(lab: Lab) -> None:
    write(lab)
    sets = (*TRAINED, "data.packing=documents")

    def runs(folder: Path) -> dict[str, Run]:
        return {
            "trl": lab.compiled("trl", folder / "trl", *sets),
            "prepared": lab.compiled("trl", folder / "prepared", *sets, "data.prepare=ftspec"),
        }

    proof = lab.compare("cut-and-packed", runs)
    assert_equal(proof)
    taken = rows(proof.evidence("trl"))
    assert taken and max(len(row.ids) for row in taken) <= LENGTH


@pytest.mark.parametrize("objective", ["dpo", "orpo"])
def test_pairs_are_cut_alike(lab: Lab, objective: str) -> None:
    lines = [
        {
            "conversations": [{"from": "human", "value": text(asked, 0)}],
            "chosen": {"from": "gpt", "value": text(good, 1)},
            "rejected": {"from": "gpt", "value": text(bad, 2)},
        }
        for asked, good, bad in PAIRS
    ]
    data = lab.specs / "data" / "pairs-by-turns.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in lines), "utf-8")
    sets = (*TRAINED[1:], f"method.objective={objective}", "data.train_on=completions")
    train = "data.train={path: data/pairs-by-turns.jsonl, format: sharegpt-ranking}"
    proof = lab.prove(train, *sets, backends=BACKENDS)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {*BACKENDS}
    lengths = [len(row.ids) for row in rows(proof.evidence("llamafactory"))]
    assert max(lengths) == LENGTH > min(lengths)


def test_the_shares_are_those_of_its_own_function(tmp_path: Path) -> None:
    drawn = random.Random(7)  # noqa: S311 - lengths, no secrets
    cases = [
        (drawn.randrange(200), drawn.randrange(1, 200), drawn.randrange(1, 300))
        for _ in range(9000)
    ]
    cases += [
        (asked, told, room) for asked in range(12) for told in range(1, 12) for room in range(1, 30)
    ]
    place = ensure(load("llamafactory"))
    found = subprocess.run(
        [place.python, "-c", REFERENCE],
        input=json.dumps(cases), capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(found.stdout.splitlines()[-1]) == [list(share(*case)) for case in cases]
    assert kept([False] * 5 + [True] * 5, 4, last_first=False) == [0, 1, 5, 6]
