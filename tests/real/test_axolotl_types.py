"""Every type of rows of the installed axolotl: read as axolotl reads it, or refused with its own reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ftspec.data.carried import READ
from ftspec.env.install import ensure
from ftspec.families.rows.instructions import named
from ftspec.port.formats.axolotl.data import TEMPLATES
from ftspec.port.formats.axolotl.entries import CHATS
from ftspec.port.formats.axolotl.handed import withheld
from ftspec.port.formats.axolotl.types import PAIRS, WHY, why_no_pairs, why_not
from ftspec.registry import load
from tests.real.axolotl_cases import CASES

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).parent / "axolotl_types_reference.py"
PLAIN = ("completion.load", "pretrain.load", "user_defined.load")
"""Types that are read without a template's name: plain texts, and formats of a config's own."""
HELPER = "base.load"
"""It finds the functions of preferences, and is no type."""
OTHERS = {
    "loops": "{% for turn in messages %}{{ turn.role + turn.thinking }}{% endfor %}",
    "counts": "{% for i in range(3) %}{{ messages[i].tool_calls }}{% endfor %}",
    "asks": "{% for message in messages %}{{ message.get('reasoning') or message['thinking'] }}{% endfor %}",
    "assigns": "{% set message = messages[0] %}{{ message.reasoning_content }}",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("types")
    texts = {file.name: file.read_text("utf-8") for file in Path(str(TEMPLATES)).glob("*.jinja")}
    (folder / "templates.json").write_text(json.dumps(texts | OTHERS))
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "AXOLOTL_DO_NOT_TRACK": "1"}
    command = [str(ensure(load("axolotl")).python), str(SCRIPT), "templates.json", "out.json"]
    ran = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return {**found, "templates": texts | OTHERS}


def test_every_type_is_read_or_refused_by_name(installed: dict[str, Any]) -> None:
    supervised = [name for name in installed["types"][""] if name != HELPER]
    read = {name for name in supervised if named(name) or name in (*PLAIN, *CHATS)}
    refused = {name for name in supervised if why_not(name)}
    assert not read & refused
    assert sorted(read | refused) == sorted(supervised)
    assert (len(read), len(refused)) == (26, 11)
    cases = {kind if isinstance(kind, str) else kind.get("type") for kind, _ in CASES.values()}
    cases |= {f"{case}.load" for case in cases if isinstance(case, str)}
    cases |= {
        "alpaca_w_system.load_chat",
        *PLAIN,
        *CHATS,
    }  # `load` calls the first; the rest are others
    assert read <= cases


def test_every_type_of_pairs_is_refused_by_name(installed: dict[str, Any]) -> None:
    counts = {}
    for objective, known in PAIRS.items():
        package = {"reward": "bradley_terry"}.get(objective, objective)
        found = set(installed["types"][package])
        if package == "bradley_terry":  # what is no `load` is not found (bradley_terry/__init__.py)
            found = {f"{package}.{name.removesuffix('.load')}" for name in found if "load" in name}
        assert found == set(known)
        counts[objective] = len(found)
        assert all(why_no_pairs(name, objective) == known[name] for name in found)
    assert counts == {"dpo": 17, "kto": 11, "orpo": 2, "reward": 1}


def test_no_reason_outlives_its_type(installed: dict[str, Any]) -> None:
    names = {one for kinds in installed["types"].values() for one in kinds}
    packages = set(installed["types"])
    known = names | packages | {one.partition(".")[0] for one in names}
    assert set(WHY) - known == {"sharegpt"}


def test_what_a_template_is_handed(installed: dict[str, Any]) -> None:
    assert len(installed["seen"]) == len(installed["templates"]) >= 34
    withholds = 0
    for name, text in installed["templates"].items():
        kept = withheld(text, {})
        assert not set(kept) & set(installed["seen"][name]), name
        asked = [one for one in READ if re.search(rf"(\.|[\[(]['\"]){one}\b", text)]
        assert all(one in kept or one in installed["seen"][name] for one in asked), name
        withholds += bool(kept)
    assert withholds == 6
