"""axolotl's own reading of many small configs, against the specs that they are imported as.

Its validators, its builder's training arguments and its loaders' configurations are what counts. Each config
whose every setting is told as faithful has to train with the same values by its port to TRL, and, where the
spec compiles for axolotl again, by that. What axolotl stops at may not become a spec without a word.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.env.install import ensure
from ftspec.errors import FtspecError
from ftspec.plan.make import lower, make_plan
from ftspec.plan.resolve import resolve
from ftspec.plan.write import write_plan
from ftspec.port.bring import Imported, bring
from ftspec.port.tables import table
from ftspec.registry import load as load_backend
from ftspec.spec.load import Loaded, load
from ftspec_axolotl.emit import CONFIG
from tests.conftest import SPECS
from tests.real.axolotl_facts import ours, theirs
from tests.real.axolotl_settings import BASES, cases, paired
from tests.real.warm import interpreter

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
REFERENCE = Path(__file__).parent / "axolotl_arguments.py"
JUDGED = {"completion": "Yes.", "label": True}
SLIPS = {"warmup_ration": 0.5, "adam_eps": 1e-3, "optimiser": "sgd", "lora_rank": 64}
"""Keys that no release of axolotl has."""
AS_A_GPU_HAS_IT = "tf32: auto, which a note tells: a spec says yes or no"


@dataclass
class Case:
    """One config: what axolotl makes of it, and what is made of its spec."""

    name: str
    config: dict[str, Any]
    imported: Imported
    real: dict[str, Any] = field(default_factory=dict)
    native: dict[str, Any] | None = None
    values: dict[str, Any] = field(default_factory=dict)
    again: dict[str, Any] | None = None
    """What axolotl makes of the config that the spec compiles to."""

    @property
    def quiet(self) -> bool:
        """Whether the import has nothing to say."""
        if "rl" not in self.config:
            return self.imported.faithful
        lost = [one for one in self.imported.fates if not one.faithful]  # its rows are not read yet
        unread = all(one.setting.key.startswith("datasets") for one in lost)
        return unread and all(one.startswith("data.train") for one in self.imported.composed.open)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Every config, imported, ported and compiled again; axolotl reads all of them in one process."""
    folder = tmp_path_factory.mktemp("axolotl-settings")
    shutil.copytree(SPECS / "tiny-model", folder / "tiny-model")
    rows = [{"instruction": f"Count {n}.", "input": "", "output": f"{n}"} for n in range(40)]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for file_name, more in (("pairs", {"chosen": "Yes.", "rejected": "No."}), ("judged", JUDGED)):
        text = "".join(f"{json.dumps({'prompt': f'{n}?', **more})}\n" for n in range(40))
        (folder / f"{file_name}.jsonl").write_text(text)
    found: dict[str, Case] = {}
    compiled: dict[str, str] = {}
    for number, (name, config) in enumerate((*cases(), *paired())):
        file = folder / f"c{number}.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
        case = found[file.name] = Case(name, config, bring([file], "axolotl"))
        if case.quiet and (loaded := spec_of(case, file)) is not None:
            ported(case, loaded, folder)
            if back(loaded, folder / f"back{number}"):
                compiled[file.name] = f"back{number}/{CONFIG}"
    for name, value in SLIPS.items():
        (folder / f"slip-{name}.yaml").write_text(yaml.safe_dump({**BASES["lora"], name: value}))
    slips = [f"slip-{name}.yaml" for name in SLIPS]
    (folder / "plain.yaml").write_text(yaml.safe_dump(BASES["lora"]))
    real = read_by_axolotl(folder, [*found, *compiled.values(), *slips, "plain.yaml"])
    for file_name, case in found.items():
        case.real = real[file_name]
        case.again = real[compiled[file_name]] if file_name in compiled else None
    (folder / "slips.json").write_text(
        json.dumps({key: real[key] for key in (*slips, "plain.yaml")})
    )
    swept_in.append(folder)
    return [*found.values()]


swept_in: list[Path] = []


def spec_of(case: Case, file: Path) -> Loaded | None:
    """The spec that a config is imported as, on a GPU."""
    spec = file.with_suffix(".spec.yaml")
    spec.write_text(case.imported.composed.text, "utf-8")
    for name, text in case.imported.files.items():
        (file.parent / name).write_text(text, "utf-8")
    sets: tuple[str, ...] = ("hardware.device=cuda",)
    if word := case.config.get("rl"):
        rows = "judged" if word == "kto" else "pairs"
        sets = (*sets, f"data.train={{path: {rows}.jsonl}}", "data.overflow=truncate")
    loaded = load(spec, sets)
    try:
        resolve(loaded)
    except FtspecError:  # the steps of a run that nobody counts, a model without a number
        return None
    return loaded


def ported(case: Case, loaded: Loaded, folder: Path) -> None:
    """Native values of the port to TRL."""
    backend = load_backend("trl")
    lowered, case.values = lower(resolve(loaded, backend.defaults), backend, folder / "port")
    if not lowered.refusals:
        case.native = dict(lowered.native)


def back(loaded: Loaded, folder: Path) -> bool:
    """Whether axolotl can train the spec again; then its files are written."""
    try:
        write_plan(make_plan(loaded, "axolotl", folder, allow_lossy=True))
    except FtspecError:
        return False
    return True


def read_by_axolotl(folder: Path, names: list[str]) -> dict[str, Any]:
    """What axolotl makes of configs, all in one process."""
    variables = {
        **os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "DO_NOT_TRACK": "1",
        "AXOLOTL_DO_NOT_TRACK": "1",
    }  # fmt: skip
    (folder / "names.txt").write_text("\n".join(names))
    python = interpreter(ensure(load_backend("axolotl")), variables)
    command = [str(python), str(REFERENCE), "real.json", "names.txt"]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "real.json").read_text())
    return found


def rightly(case: Case, name: str, one: Any, other: Any) -> str:
    """Why two values may part; empty where they may not."""
    said = case.config
    shared = name == "warm-up" and not said.get("warmup_steps")
    reasons = {
        AS_A_GPU_HAS_IT: name == "tf32" and "tf32" not in said,
        "a share of the steps is rounded down there": shared and 0 <= other - one <= 1,
        "where nothing is said it is 100 steps at most": shared
        and said.get("warmup_ratio") is None
        and one == 100 <= other,
        "the rows that ftspec prepares are not longer": name == "length"
        and case.values.get("data.prepare") == "ftspec",
        "once an epoch, by steps or by a word": name == "saves" and {one, other} == {1000, "epoch"},
        "a constant rate without a warm-up": name == "schedule"
        and (one, other) == ("constant_with_warmup", "constant"),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def test_the_ports_train_by_axolotls_values(swept: list[Case]) -> None:
    parted, compared, fields = [], 0, 0
    calls, kinds = table("trl").calls, dict.fromkeys(("dpo", "ipo"), "DPOConfig")
    kinds |= {"kto": "KTOConfig", "orpo": "ORPOConfig"}
    for case in swept:
        if case.native is None or "refused" in case.real:
            continue
        assumed = calls[kinds.get(case.config.get("rl", ""), "SFTConfig")]
        one = theirs(case.real)
        other = ours(case.native, case.values, assumed, case.real["total"])
        assert one.keys() == other.keys(), case.name
        compared, fields = compared + 1, fields + len(one)
        parted += [
            f"{case.name}: {key}: axolotl {one[key]!r}, here {other[key]!r}"
            for key in one
            if one[key] != other[key] and not rightly(case, key, one[key], other[key])
        ]
    assert not parted, "\n".join(parted)
    assert compared >= 360
    assert fields >= 24_000


def test_a_spec_compiled_for_axolotl_is_read_by_it_as_the_config_was(swept: list[Case]) -> None:
    parted, compared = [], 0
    for case in swept:
        if case.again is None or "refused" in case.real:
            continue
        assert "refused" not in case.again, f"{case.name}: {case.again['refused']}"
        compared += 1
        one, other = theirs(case.real), theirs(case.again)
        parted += [
            f"{case.name}: {key}: axolotl {one[key]!r}, again {other.get(key)!r}"
            for key in one
            if one[key] != other.get(key) and not rightly(case, key, one[key], other.get(key))
        ]
    assert not parted, "\n".join(parted)
    assert compared >= 80


def test_what_axolotl_stops_at_is_told(swept: list[Case]) -> None:
    stopped = [case for case in swept if "refused" in case.real]
    silent = [
        f"{case.name}: {case.real['refused'][:300]}"
        for case in stopped
        if case.quiet
        and not any("axolotl 0.19.0 stops at it" in note for note in case.imported.notes)
    ]
    assert not silent, "\n".join(silent)
    assert len(stopped) >= 80
    assert len(swept) >= 680


def test_what_it_takes_is_not_told_as_what_it_stops_at(swept: list[Case]) -> None:
    wrong = [
        f"{case.name}: {question}"
        for case in swept
        if "refused" not in case.real
        for question in case.imported.composed.open
        if question.startswith("axolotl stops at")
    ]
    assert not [one for one in wrong if "GaLore" not in one], "\n".join(wrong)  # it stops later


def test_a_slip_changes_nothing_there(swept: list[Case]) -> None:
    assert swept
    real = json.loads((swept_in[0] / "slips.json").read_text())
    plain = real.pop("plain.yaml")
    assert len(real) == len(SLIPS)
    for name, found in real.items():
        assert found["arguments"] == plain["arguments"], name
        assert found["lora"] == plain["lora"], name
