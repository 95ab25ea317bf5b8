"""Every key that LLaMA-Factory's and trl's classes have, one by one: each has a fate, few are not known."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.port.bring import bring
from ftspec.port.tables import table

pytestmark = pytest.mark.sweep
LEAST = {
    "llamafactory": {
        "model_name_or_path": "org/model",
        "stage": "sft",
        "do_train": True,
        "dataset": "alpaca_en_demo",
        "output_dir": "o",
    },
    "trl": {"model_name_or_path": "org/model", "dataset_name": "org/rows", "output_dir": "o"},
}
CLASSES = {"llamafactory": None, "trl": ("SFTConfig", "ModelConfig", "ScriptArguments")}


def other(kind: str, default: Any) -> Any:
    """A value that is not the default."""
    word = kind.lower()
    if "literal" in word:
        return next((one for one in re.findall(r"'([^']+)'", kind) if one != default), "x")
    if "bool" in word:
        return not default
    if "int" in word and "float" not in word:
        return (default or 0) + 3 if isinstance(default, int | float) else 3
    if "float" in word:
        return 0.25
    return ["x"] if "list" in word else {"x": 1} if "dict" in word else "x"


@pytest.mark.parametrize(("name", "least", "most"), [("llamafactory", 350, 60), ("trl", 140, 15)])
def test_each_has_a_fate(name: str, least: int, most: int, tmp_path: Path) -> None:
    chosen = CLASSES[name]
    keys = {
        key: entry
        for call, entries in table(name).calls.items()
        if chosen is None or call in chosen
        for key, entry in entries.items()
    }
    seen: Counter[str] = Counter()
    for key, (kind, default) in keys.items():
        path = tmp_path / "config.yaml"
        path.write_text(yaml.dump([("all", {**LEAST[name], key: other(kind, default)})]))
        imported = bring([path], wanted=name)
        found = [one for one in imported.fates if re.match(rf"{key}\b", one.setting.key)]
        assert found, key
        assert all(
            one.why or one.kind in ("exact", "renamed", "derived", "unknown") for one in found
        ), key
        seen[found[0].kind] += 1
    assert seen.total() >= least
    assert seen["kept"] <= most, seen
