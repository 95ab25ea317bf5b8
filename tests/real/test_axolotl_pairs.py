"""Pairs and judged answers: what the texts of an import write, held against axolotl's own functions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.written import written
from ftspec.env.install import ensure
from ftspec.port.formats.axolotl.pairs import paired
from ftspec.registry import load
from ftspec.spec.data import Written
from tests.conftest import SPECS

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).parent / "axolotl_pairs_reference.py"
TURNS = [{"role": "user", "content": "Is it {blue}?"}, {"role": "assistant", "content": "Maybe."}]
ASKED = [*TURNS, {"role": "user", "content": "So?"}]
ANSWERED = [*ASKED, TURNS[1]]
SAID = {name: f" {name} <b>\n" for name in ("prompt", "input", "question", "instruction")}
PLAIN = [
    {**SAID, "chosen": "Yes, {it} is.", "rejected": "No\n", "system": system}
    for system in ("Be brief.", "", None)
] + [{**SAID, "chosen": "Yes", "rejected": "No"}]
TALKED = [{**row, "chosen": TURNS, "rejected": TURNS[::-1]} for row in PLAIN]
JUDGED = [
    {**SAID, "system": row.get("system"), "completion": "Yes, {it} is.\n", "label": True}
    for row in PLAIN
]
WHOLE = [{"completion": ANSWERED, "label": False}]
OWN = {
    "field_prompt": "question", "field_system": "told", "prompt_format": "<<{system}>>{{{prompt}}}\n",
    "chosen_format": "{chosen} {{% x", "field_rejected": "other",
}  # fmt: skip
LISTS = [{"messages": ASKED, "chosen": TURNS, "rejected": [TURNS[1]]}]
TEXTS = [{"messages": "Is it?", "chosen": "Yes, it is.", "rejected": TURNS[1]}]


def _case(objective: str, kind: Any, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"objective": objective, "entry": {"type": kind, "path": "x", **more}, "rows": rows}


CASES: dict[str, dict[str, Any]] = {
    **{
        f"{marks}.{name}": _case("dpo", f"{marks}.{name}", PLAIN)
        for marks in ("chatml", "llama3")
        for name in ("icr", "intel", "prompt_pairs", "default")
    },
    **{
        f"{marks}.{name}": _case("dpo", f"{marks}.{name}", TALKED)
        for marks in ("chatml", "llama3")
        for name in ("ultra", "argilla_chat")
    },
    "chatml": _case("dpo", "chatml", [{"input": "So?", "chosen_response": "a", "rejected_response": "b"}]),
    "own": _case("dpo", OWN, [{**row, "told": "Hm.", "other": "o"} for row in PLAIN]),
    "own-untold": _case("dpo", OWN, [{**row, "other": "o"} for row in PLAIN]),
    "own-plain": _case("dpo", {"field_chosen": "chosen", "chosen_format": None}, PLAIN),
    "turns": _case("dpo", "chat_template.default", [*LISTS, *TEXTS]),
    "turns-named": _case(
        "dpo", "chat_template",
        [{"asked": [{"from": "user", "value": "So?"}], "good": {"from": "assistant", "value": "Yes, it is."},
          "bad": "No, it is not."}],
        field_messages="asked", field_chosen="good", field_rejected="bad",
        message_property_mappings={"role": "from", "content": "value"},
    ),
    "whole": _case("dpo", "chat_template.argilla_chat", [{"chosen": ANSWERED, "rejected": ANSWERED}]),
    **{
        f"kto-{marks}.{name}": _case("kto", f"{marks}.{name}", JUDGED)
        for marks in ("chatml", "llama3")
        for name in ("argilla", "intel", "prompt_pairs", "ultra")
    },
    **{f"kto-{marks}.chat": _case("kto", f"{marks}.argilla_chat", WHOLE) for marks in ("chatml", "llama3")},
    "kto-own": _case(
        "kto", {"field_label": "good", "prompt_format": "Q: {prompt}", "completion_format": "{completion}."},
        [{**row, "good": False} for row in JUDGED],
    ),
}  # fmt: skip


def test_the_texts_of_pairs_are_axolotls_own(tmp_path: Path) -> None:
    environment = ensure(load("axolotl"), "aligned")
    (tmp_path / "cases.json").write_text(json.dumps(CASES))
    command = [
        environment.python,
        SCRIPT,
        SPECS / "tiny-model",
        tmp_path / "cases.json",
        tmp_path / "out.json",
    ]
    subprocess.run(
        [*map(str, command)],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"},
    )
    theirs = json.loads((tmp_path / "out.json").read_text())
    assert theirs.keys() == CASES.keys()
    for name, case in CASES.items():
        found = paired(case["entry"], case["objective"], "chatml")
        assert found is not None and found.template is not None, name
        template = Written.model_validate(found.template)
        for row, expected in zip(case["rows"], theirs[name], strict=True):
            example = written(template, row)
            ours: dict[str, Any] = {"prompt": example.prompt}
            if example.rejected is None:
                ours |= {"completion": example.completion, "label": example.label}
            else:
                ours |= {"chosen": example.completion, "rejected": example.rejected.completion}
            assert ours == expected, name
