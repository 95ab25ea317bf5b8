"""What a training left: whether the weights are there and whole, and their hashes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, RunError

LARGEST_HEADER = 100 << 20
"""The format's own limit (https://github.com/huggingface/safetensors, README, "Format")."""


def weights(folder: Path) -> list[Path]:
    """The weight files of a result: an adapter's, or a model's in one or more shards."""
    adapter = folder / "adapter_model.safetensors"
    return [adapter] if adapter.is_file() else sorted(folder.glob("model*.safetensors"))


def problems(folder: Path) -> list[Problem]:
    """What is wrong with a result; empty if it is whole."""
    found = weights(folder)
    if not found:
        hint = "the log says what the training did last"
        return [
            Problem(f"the training ended, but {folder} holds no weights (*.safetensors)", hint=hint)
        ]
    wrong = [Problem(f"{path}: {what}", file=str(path)) for path in found if (what := damage(path))]
    index = folder / "model.safetensors.index.json"
    if index.is_file() and found[0].name != "adapter_model.safetensors":
        try:
            named = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            return [*wrong, Problem(f"{index} is not a shard index", file=str(index))]
        missing = sorted(named - {path.name for path in found})
        wrong += [
            Problem(f"{folder} lacks the shard {name}", file=str(folder / name)) for name in missing
        ]
    return wrong


def damage(path: Path) -> str:
    """What is wrong with a safetensors file: its header says how long the file must be."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= LARGEST_HEADER:
            return "is not a safetensors file"
        try:
            header = json.loads(file.read(size))
            ends = [
                entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
            ]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "is not a safetensors file, or was cut off"
    if not ends:
        return "holds no tensors"
    expected, there = 8 + size + max(ends), path.stat().st_size
    return "" if there == expected else f"was cut off: {there} of {expected} bytes"


def hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file of a result; checkpoints, in folders of their own, are not."""
    listed = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            listed[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    return listed


def collect(folder: Path, file: str = "") -> dict[str, dict[str, Any]]:
    """The hashes of a whole result: weights, or that ``file``.

    Raises:
        RunError: there is none, or it is damaged; every reason at once.
    """
    try:
        wrong = [] if file else problems(folder)
        if file and not (folder / file).is_file():
            wrong = [Problem(f"the run ended, but {folder} holds no {file}")]
        if wrong:
            raise RunError(wrong)
        return hashes(folder)
    except OSError as error:
        raise RunError(f"the results in {folder} cannot be read: {error.strerror}") from error
