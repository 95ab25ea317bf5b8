"""Which backend can do what: computed from the field maps, never typed.

Each value that a spec may hold is lowered in an otherwise plain spec; what comes back is the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ftspec.backend import Backend
from ftspec.plan.resolve import resolve
from ftspec.registry import load, names
from ftspec.spec.load import Loaded, digest
from ftspec.spec.paths import variants
from ftspec.spec.root import Spec

SAMPLES: Mapping[str, Sequence[Any]] = {
    "model.chat_template": ("template.jinja",),
    "method.tuner.dropout": (0.1,),
    "method.tuner.targets": ("all-linear", ("q_proj", "v_proj")),
    "method.tuner.modules_to_save": (("lm_head",),),
    "method.tuner.adapter": ("./adapter",),
    "train.epochs": (2.0,),
    "train.steps": (100,),
    "train.warmup_steps": (10,),
    "train.weight_decay": (0.1,),
    "train.max_grad_norm": (None, 1.0),
    "train.label_smoothing": (0.1,),
    "train.neftune_alpha": (5.0,),
    "train.save_steps": (100, "epoch"),
    "train.eval_steps": (100, "epoch"),
    "train.resume": ("./checkpoint-10",),
    "hardware.devices": (2,),
    "hardware.nodes": (2,),
    "output.trackers": (("wandb",),),
    "output.hub.repo": ("org/name",),
}
"""Values of open types that stand for all others; closed lists are read from the models."""
OMITTED = frozenset(
    {
        "version", "run.backends", "run.environment", "run.telemetry", "native", "data.train",
        "data.eval", "output.folder", "output.hub.private",
    }
)  # fmt: skip
"""Paths that ftspec answers for alike on every backend."""


@dataclass(frozen=True)
class Cell:
    """What a backend makes of one value."""

    support: str
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """One value of one path, for every backend."""

    path: str
    value: Any
    cells: Mapping[str, Cell]


def matrix() -> tuple[Line, ...]:
    """All lines, in the spec's order; data formats by what is trained on at the end."""
    backends = [load(name) for name in names()]
    lines = [
        Line(path, value, {b.name: cell(b, path, value) for b in backends})
        for path, value in candidates()
    ]
    lines += [
        Line(
            "precision.compute on a CPU",
            value,
            {b.name: cell(b, "precision.compute", value, "cpu") for b in backends},
        )
        for value in ("fp32", "bf16", "fp16")
    ]
    for kind in ("messages", "sharegpt", "alpaca", "prompt-completion", "text"):
        source = {"path": "data.jsonl", "hub": None, "subset": None, "split": "train"}
        sources: tuple[dict[str, Any], ...] = ({**source, "format": kind, "columns": {}},)
        lines.append(
            Line(
                "data.train.format",
                kind,
                {b.name: cell(b, "data.train", sources) for b in backends},
            )
        )
    return tuple(lines)


def candidates() -> Iterator[tuple[str, Any]]:
    """Every path with the values that tell backends apart."""
    for path, types in variants().items():
        if path in OMITTED:
            continue
        closed = [value for kind in types for value in _closed(kind)]
        values = {repr(value): value for value in (*closed, *SAMPLES.get(path, ()))}
        yield from ((path, v) for v in values.values() if v is not None or path in SAMPLES)


def cell(backend: Backend, path: str, value: Any, device: str = "cuda") -> Cell:
    """What the backend makes of a plain spec with this one value."""
    spec = _plain_spec(path, value, device)
    resolved = resolve(Loaded(spec, Path("spec.yaml"), {}, digest(spec)), backend.defaults)
    values = resolved.flat() | {path: value}
    lowered = backend.maps["sft"].lower(values)
    mine = [r for r in lowered.refusals if r.path == path or path.startswith(("data.", "train."))]
    if mine:
        return Cell(mine[0].support, mine[0].reason)
    notes = [note for note in lowered.notes if note.path == path]
    return Cell("lossy", notes[0].reason) if notes else Cell("full")


def _plain_spec(path: str, value: Any, device: str) -> Spec:
    """A spec in which this value can be asked for: LoRA for LoRA's fields, ZeRO-3 for ZeRO's."""
    tuner = "full" if (path, value) == ("method.tuner.type", "full") else "lora"
    hardware: dict[str, Any] = {"device": device}
    if path.startswith("hardware.zero."):
        hardware["zero"] = 3
    return Spec.model_validate(
        {
            # modules that train in full beside an adapter need weights that are known to be float32
            "model": {
                "name": "org/name",
                "dtype": "float32" if path == "method.tuner.modules_to_save" else "auto",
            },
            "data": {
                "train": {"path": "data.jsonl", "format": "messages"},
                "overflow": "error",
            },
            "method": {"tuner": {"type": tuner}},
            "precision": "fp32",
            "train": {"batch_size": 16, "micro_batch_size": 16},
            "hardware": hardware,
        }
    )


def _closed(annotation: Any) -> Iterator[Any]:
    """The values of a closed type: Literal members, both booleans; nothing for open types."""
    if annotation is bool:
        yield from (False, True)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return
    else:
        for inner in get_args(annotation):
            yield from _closed(inner)
