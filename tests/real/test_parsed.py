"""Configs of LLaMA-Factory, read by its own parser: as they are, and compiled again from what was imported.

Where `ftspec import` says that nothing was lost, both mean the same in every field of its five classes of
arguments; and a config that its parser stops at is never taken in silence.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.errors import FtspecError
from ftspec.plan.make import make_plan
from ftspec.plan.stages import WriteFile
from ftspec.port.bring import Imported, bring
from ftspec.port.fates import FAITHFUL
from ftspec.registry import load as load_backend
from ftspec.spec.load import loads
from ftspec.spec.paths import flatten
from tests.conftest import SPECS
from tests.real.parsed_cases import TEN, cases, least, write_rows
from tests.real.parsed_values import EFFECTIVE, SILENT, Parsed
from tests.real.warm import interpreter

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
SCRIPT = Path(__file__).with_name("parsed_reference.py")
BACKEND = "llamafactory"
SPELT: Mapping[str, tuple[Any, ...]] = {
    "training.optim_args": (
        "momentum=0.0,nesterov=false",
        "lr_decay=0.0,eps=1e-10",
        "alpha=0.99,momentum=0.0,eps=1e-08,centered=false",
    ),
    "training.hub_model_id": ("saves",),  # the folder's name
}
"""Values that a compiled config says, where the original leaves them to transformers."""
SCHEDULES: Mapping[str, tuple[Any, ...]] = {
    "num_cycles": (0.5, 1),
    "power": (1.0,),
    "lr_end": (1e-7,),
    "timescale": (5,),  # the steps of the warm-up
    "decay_type": ("cosine",),
    "warmup_type": ("linear",),
    "min_lr_ratio": (0.0,),
}
"""The same of its schedules (optimization.py)."""


def _scheduled(one: Any, other: Any) -> bool:
    said = one or {}
    rest = {key: value for key, value in (other or {}).items() if key not in said}
    same = all(value in SCHEDULES[key] for key, value in rest.items())
    return same and all(other[key] == value for key, value in said.items())


KIND = "training.lr_scheduler_type"
HEAD = ["embed_tokens", "lm_head"]
OTHERWISE: Mapping[str, Callable[[Any, Any], bool]] = {
    # where things lie; a run of ftspec has a folder and a registry of its own
    **dict.fromkeys(
        ("training.output_dir", "training.overwrite_output_dir", "data.overwrite_cache"),
        lambda one, other: True,
    ),
    **dict.fromkeys(("data.dataset_dir", "data.media_dir"), lambda one, other: other == "."),
    "data.dataset": lambda one, other: len(one) == len(other),
    "data.eval_dataset": lambda one, other: len(one) == len(other),
    "data.max_samples": lambda one, other: other is None,  # in the split of each source
    "data.mask_history": lambda one, other: other is True,  # rows with one answer
    # the same in other words, or in another kernel
    "training.data_seed": lambda one, other: one is None,  # that of the seed
    "training.tf32": lambda one, other: one is None and other is False,
    "training.optim": lambda one, other: {one, other} <= {"adamw_torch", "adamw_torch_fused"},
    "training.warmup_ratio": lambda one, other: other is None,  # it is in warmup_steps
    "training.warmup_steps": lambda one, other: 0 < one < 1 and other == math.ceil(one * TEN),
    "training.lr_scheduler_kwargs": _scheduled,
    "training.metric_for_best_model": lambda one, other: (one, other) == ("loss", "eval_loss"),
    "training.greater_is_better": lambda one, other: other is None,  # nothing is judged
    "training.resume_from_checkpoint": lambda one, other: os.path.normpath(one) == other,
    "model.flash_attn": lambda one, other: (one, other) == ("auto", "sdpa"),
    "model.use_reentrant_gc": lambda one, other: other is False,
    "training.logging_nan_inf_filter": lambda one, other: other is False,
    "training.hub_private_repo": lambda one, other: not one and other is False,
    "finetuning.pissa_convert": lambda one, other: (
        other is True
    ),  # a second result, beside the first
    # rows that are held out are evaluated on, which trains nothing
    "training.eval_strategy": lambda one, other: (one, other) == ("no", "epoch"),
    "training.do_eval": lambda one, other: (one, other) == (False, True),
    # where tokens are new: its loader and adapter.py do both anyway, and descriptions say none
    "model.resize_vocab": lambda one, other: not one and other is True,
    "model.new_special_tokens_config": lambda one, other: other == "new_tokens.json",
    "finetuning.additional_target": lambda one, other: not one and other == HEAD,
    "model.fp8": lambda one, other: other is None,  # of the training's arguments it would be read
    # of one process, by the variables of its launch
    **dict.fromkeys(("training.fsdp", "training.fsdp_plugin_args"), lambda one, other: not other),
}
"""Fields that are rightly another in what is compiled, and when."""


OLDER = ("adamw_hf",)
"""Words that older versions of transformers take."""


@dataclass(frozen=True)
class Case:
    """A config, what the import said of it, and what LLaMA-Factory makes of both."""

    text: str
    imported: Imported
    compiled: str
    """Empty: it was refused."""
    original: Parsed
    again: Parsed

    @property
    def is_kept(self) -> bool:
        """Whether nothing is lost on the way back to LLaMA-Factory."""
        kinds = {fate.kind for fate in self.imported.fates}
        return kinds <= {*FAITHFUL, "kept"} and not self.imported.composed.open

    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Fields that are another, and not rightly."""
        fates = self.imported.fates
        inert = {fate.setting.key.split(".")[0] for fate in fates if fate.kind == "inert"}
        found = {}
        for key in self.original.keys() | self.again.keys():
            one, other = self.original.get(key), self.again.get(key)
            if one == other or key.rpartition(".")[2] in inert:
                continue
            if key == "training.warmup_steps" and self.original[KIND] == "constant":
                continue  # a schedule that takes no notice of it (transformers, optimization.py)
            spelt = one is None and other in SPELT.get(key, ())
            if not (spelt or (key in OTHERWISE and OTHERWISE[key](one, other))):
                found[key] = (one, other)
        return found


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Every case, through the import, the compiler and LLaMA-Factory's parser."""
    folder = tmp_path_factory.mktemp("parsed")
    shutil.copytree(SPECS / "tiny-model", folder / "model")
    (folder / "adapter").mkdir()
    write_rows(folder)
    texts = [yaml.dump([("all", {**least(), **one})]) for one in cases()]
    imports = [_import(folder / "config.yaml", text) for text in texts]
    compiled = [_compiled(one, folder / "config.yaml") for one in imports]
    parsed = _parsed(folder, [*texts, *filter(None, compiled)])
    originals, rest = parsed[: len(texts)], iter(parsed[len(texts) :])
    return [
        Case(text, imported, made, original, next(rest) if made else {})
        for text, imported, made, original in zip(texts, imports, compiled, originals, strict=True)
    ]


def test_what_is_compiled_again_means_the_same(swept: list[Case]) -> None:
    kept = [one for one in swept if one.is_kept and one.compiled and "stopped" not in one.original]
    for case in kept:
        assert "stopped" not in case.again, (case.text, case.again)
        assert not case.differences(), case.text
    assert len(swept) >= 450
    assert len(kept) >= 300
    assert sum(len(case.original) for case in kept) >= 100_000


def test_what_its_parser_stops_at_is_not_taken_in_silence(swept: list[Case]) -> None:
    stopped = [
        one
        for one in swept
        if "stopped" in one.original and not any(word in one.text for word in OLDER)
    ]
    silent = [
        (one.text, one.original["stopped"]) for one in stopped if one.is_kept and one.compiled
    ]
    assert not silent
    assert len(stopped) >= 40


def test_every_value_that_holds_is_the_parsers(swept: list[Case]) -> None:
    """What `explain` prints and `diff` compares, but for what is told to be lost."""
    compared, wrong = 0, []
    for case in swept:
        if "stopped" in case.original or not case.is_kept:
            continue
        values = {**flatten(case.imported.composed.spec), **case.imported.composed.values}
        for path, field in EFFECTIVE.items():
            if path in values and (real := field(case.original)) is not SILENT:
                compared += 1
                if values[path] != real:
                    wrong.append((case.text, path, values[path], real))
    assert not wrong
    assert compared >= 12_000


def test_it_is_asked_only_where_its_parser_stops(swept: list[Case]) -> None:
    asked = [one for one in swept if any("stops at" in text for text in one.imported.composed.open)]
    assert not [one.text for one in asked if "stopped" not in one.original]
    assert len(asked) >= 20


def _import(path: Path, text: str) -> Imported:
    path.write_text(text, "utf-8")
    return bring([path])


def _compiled(imported: Imported, path: Path) -> str:
    try:
        device = imported.composed.spec.hardware.device
        there = f"hardware.device={'cuda' if device == 'auto' else device}"
        loaded = loads(imported.composed.text, str(path), [there])
        plan = make_plan(loaded, BACKEND, path.parent, allow_lossy=True)
    except FtspecError:
        return ""
    files = {stage.file.path: stage.file for stage in plan.stages if isinstance(stage, WriteFile)}
    for name in files.keys() & {"new_tokens.json"}:  # its parser looks into it
        (path.parent / name).write_bytes(files[name].content)
    return files["train.yaml"].content.decode()


def _parsed(folder: Path, texts: list[str]) -> list[Parsed]:
    place = ensure(load_backend(BACKEND))
    given, out = folder / "configs.json", folder / "parsed.json"
    given.write_text(json.dumps([(text, str(folder)) for text in texts]))
    environ = variables(place, {**os.environ, "HF_HUB_OFFLINE": "1"})
    command = [interpreter(place, environ), SCRIPT, given, out]
    done = subprocess.run(
        [*map(str, command)], check=False, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[Parsed] = json.loads(out.read_text())
    return found
