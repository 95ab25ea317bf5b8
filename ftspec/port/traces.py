"""What the results of a training tell of it: compiled folders, saved adapters, a trainer's state.

A folder that ftspec compiled tells everything. Others tell a little: what they do not, is left open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.backend import File, lift
from ftspec.emit.manifest import NAME, recorded
from ftspec.errors import Problem, SpecError
from ftspec.port.adapters import read_adapter
from ftspec.port.compiled import BETWEEN
from ftspec.port.documents import in_file, read_text
from ftspec.port.fates import Fate
from ftspec.read import json, yaml
from ftspec.registry import load
from ftspec.spec.present import is_file, is_folder

ADAPTER, STATE, CARD = "adapter_config.json", "trainer_state.json", "README.md"
FILES = (ADAPTER, STATE, CARD)
STATES = {
    "train_batch_size": "train.micro_batch_size",
    "max_steps": "train.steps",
    "num_train_epochs": "train.epochs",
    "logging_steps": "train.logging_steps",
}
"""Names of transformers' TrainerState (trainer_callback.py). It has `save_steps` and `eval_steps` too,
which say nothing: they are there whether or not anything was saved or evaluated."""


def is_trace(path: Path) -> bool:
    """Whether a path is what a training left behind."""
    return is_folder(path) or path.name in FILES


def compiled(folder: Path) -> dict[str, Any] | None:
    """Every value of a folder that ftspec compiled, by spec path; None for another one."""
    try:
        content = (folder / NAME).read_bytes()
    except OSError:
        return None
    names = recorded(content)
    if names is None:
        return None
    manifest = json.read(content.decode())
    if "backend" not in manifest or BETWEEN & names.keys():
        return None  # several runs, or a step between two of them
    backend = load(str(manifest["backend"]))
    try:
        files = [File(name, (folder / name).read_bytes()) for name in names]
    except OSError as error:
        raise SpecError(
            Problem(f"a file of its manifest is gone: {error}", file=str(folder))
        ) from error
    return dict(lift(backend, backend.read(files)).spec)


def told(path: Path) -> tuple[dict[str, tuple[Any, str]], tuple[Fate, ...]]:
    """Value and origin by spec path, as far as the files at a path tell; and what no path says.

    Raises:
        SpecError: there is nothing there that tells anything.
    """
    found: dict[str, tuple[Any, str]] = {}
    lost: tuple[Fate, ...] = ()
    for file in _files(path):
        if file.name == ADAPTER:
            values, more = read_adapter(file)
            lost = lost or more
        else:
            values = {STATE: _state, CARD: _card}[file.name](file)
        for spec_path, value in values.items():
            found.setdefault(spec_path, (value, str(file)))
    if not found and not lost:
        hint = f"read are folders with {', '.join(FILES)}, and folders that ftspec compiled"
        raise SpecError(
            Problem("nothing in it tells how it was trained", file=str(path), hint=hint)
        )
    return found, lost


def _files(path: Path) -> Iterator[Path]:
    if not is_folder(path):
        yield path
        return
    checkpoints = sorted(path.glob("checkpoint-*"), key=lambda one: (len(one.name), one.name))
    for folder in (path, path / "model", *checkpoints[-1:]):
        yield from (folder / name for name in FILES if is_file(folder / name))


def _object(path: Path) -> dict[str, Any]:
    value = in_file(path, json.read, read_text(path))
    if not isinstance(value, dict):
        raise SpecError(Problem("not an object", file=str(path)))
    return value


def _state(path: Path) -> dict[str, Any]:
    saved = _object(path)
    return {
        spec_path: saved[name]
        for name, spec_path in STATES.items()
        if isinstance(saved.get(name), int | float) and saved[name] > 0
    }


def _card(path: Path) -> dict[str, Any]:
    """The YAML on top of a model card."""
    parts = read_text(path).split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        head: Mapping[str, Any] = yaml.read(parts[1])
    except SpecError:
        return {}
    model = head.get("base_model")
    return {"model.name": model} if isinstance(model, str) else {}
