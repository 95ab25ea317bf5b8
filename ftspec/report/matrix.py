"""Which backend can do what: computed from the field maps, never typed.

Each value that a spec may hold is lowered in an otherwise plain spec; what comes back is the cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ftspec.backend import OBJECTIVE, Backend, lacks
from ftspec.mapping import Flat
from ftspec.plan.resolve import resolve
from ftspec.registry import load, names
from ftspec.report.matrix_cells import Asked
from ftspec.report.matrix_samples import (
    BESIDE,
    IMAGES,
    LEARNED,
    NEEDED,
    NEEDS,
    NEW,
    OBJECTIVES,
    OMITTED,
    PREPARED,
    ROUNDED,
    SAMPLES,
    SHARED,
    SHOWN,
    TUNERS,
    WHOLE,
)
from ftspec.spec.data import FORMATS
from ftspec.spec.load import Loaded
from ftspec.spec.model import UNPACKED
from ftspec.spec.paths import leaves, tags
from ftspec.spec.precision import Precision
from ftspec.spec.root import Spec


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
    objective: str = "sft"


@cache
def matrix() -> tuple[Line, ...]:
    """All lines, in the spec's order; data formats by what is trained on; then other objectives.

    Of another objective, only what is not as it is for `sft` in a backend that has it.
    """
    first, *others = tags()[OBJECTIVE]
    lines = _lines(first)
    known = {(line.path, repr(line.value)): line.cells for line in lines}
    for objective in others:
        lines += [
            line
            for line in _lines(objective)
            if _apart(line, known.get((line.path, repr(line.value))))
        ]
    return tuple(lines)


def _apart(line: Line, plain: Mapping[str, Cell] | None) -> bool:
    """Whether a backend that has the objective takes the value otherwise than for `sft`."""
    having = [name for name in line.cells if line.objective in load(name).maps]
    return plain is None or any(plain[name] != line.cells[name] for name in having)


def _lines(objective: str) -> list[Line]:
    backends = [load(name) for name in names()]
    asked = {b.name: Asked(b.maps[objective]) for b in backends if objective in b.maps}

    def line(name: str, path: str, value: Any, device: str = "cuda") -> Line:
        values = plain_values(path, value, device, objective)
        cells = {
            b.name: cell(
                b, {**values, **_beside(needed.get(b.name), path)}, path, asked.get(b.name)
            )
            for b in backends
        }
        return Line(name, value, cells, objective)

    needed = {name: _needed(fields, objective) for name, fields in asked.items()}

    lines = [line(path, path, value) for path, value in candidates(objective)]
    lines += [
        line("precision.compute on a CPU", "precision.compute", value, "cpu")
        for value in get_args(Precision.model_fields["compute"].annotation)
    ]
    for kind in FORMATS[objective]:
        source = {
            "path": "data.jsonl",
            "hub": None,
            "subset": None,
            "files": (),
            "revision": None,
            "split": "train",
            "limit": None,
            "share": None,
        }
        sources: tuple[dict[str, Any], ...] = ({**source, "format": kind, "columns": {}},)
        lines.append(replace(line("data.train.format", "data.train", sources), value=kind))
    return lines


def _needed(asked: Asked, objective: str) -> Flat:
    """What a backend must be given to take a plain spec at all: nothing, `PREPARED` or `ROUNDED`."""
    plain = plain_values("data.shuffle", True, "cuda", objective)
    tried: tuple[Flat, ...] = ({}, PREPARED, ROUNDED)
    return next((one for one in tried if not asked.tell({**plain, **one}).refusals()), {})


def _beside(needed: Flat | None, path: str) -> Flat:
    """The same beside one path: rows with images nobody prepares."""
    without = (path, "data.prepare") if path.startswith(IMAGES) else (path,)
    return {given: value for given, value in (needed or {}).items() if given not in without}


def candidates(objective: str) -> Iterator[tuple[str, Any]]:
    """Every path that a spec with this objective has, with the values that tell backends apart."""
    types: dict[str, list[Any]] = {}
    for leaf in leaves():
        if dict(leaf.tags).get(OBJECTIVE, objective) == objective and leaf.path not in OMITTED:
            types.setdefault(leaf.path, []).append(leaf.annotation)
    for path, kinds in types.items():
        closed = [value for kind in kinds for value in _closed(kind)]
        values = {repr(value): value for value in (*closed, *SAMPLES.get(path, ()))}
        yield from ((path, v) for v in values.values() if v is not None or path in SAMPLES)


def plain_values(path: str, value: Any, device: str, objective: str) -> dict[str, Any]:
    """A plain spec with this one value, everything decided."""
    spec = _plain_spec(path, value, device, objective)
    values = resolve(Loaded(spec, Path("spec.yaml"), {}, digest="")).flat()
    seen = {"derived.train_rows": "data/train", "derived.image_tokens": 256}
    return {**values, **seen, path: value}


def cell(backend: Backend, values: Flat, path: str, asked: Asked | None) -> Cell:
    """What the backend makes of one path's value, among the values of a plain spec."""
    if asked is None:
        return Cell("notyet", lacks(backend, values[OBJECTIVE]))
    left = {p: v for p, (v, _) in backend.defaults.items() if p != path}
    told = asked.tell({**values, **{p: v for p, v in left.items() if values.get(p, p) is None}})
    mine = [r for r in told.refusals() if _about(r.path, path)]
    mine.sort(
        key=lambda refusal: refusal.path != path
    )  # what is about the value itself comes first
    if mine:
        return Cell(mine[0].support, mine[0].reason)
    notes = [note for note in told.notes() if note.path == path]
    return Cell("lossy", notes[0].reason) if notes else Cell("full")


def _about(refused: str, path: str) -> bool:
    """Whether a refusal is about the path: about it, about what it belongs to, or its section's first."""
    whole = WHOLE.get(refused)
    return refused == path or path.startswith(SHARED) or bool(whole and path.startswith(whole))


def _plain_spec(path: str, value: Any, device: str, objective: str) -> Spec:
    """A spec in which this value can be asked for: of the variants that have it, ZeRO-3 for ZeRO's."""
    new = path.startswith(NEW)
    whole = path == "method.tuner.modules_to_save" or "modules_to_save" in NEEDS.get(path, ())
    saved = new or whole or objective == "reward"
    document: dict[str, Any] = {
        # modules that train in full beside an adapter need weights that are known to be float32
        "model": {
            "name": "org/name",
            "dtype": "float32" if saved else "auto",
        },
        "data": {
            "train": {"path": "data.jsonl", "format": FORMATS[objective][0]},
            "overflow": "error",
            "prepare": "ftspec" if objective == "cpt" else "framework",
        },
        "method": {
            "tuner": {"type": "lora", **NEEDS.get(path, {})},
            "objective": {
                "type": objective,
                **OBJECTIVES.get(objective, {}),
                **LEARNED.get(path, {}),
            },
        },
        "precision": "fp32",
        "train": {"batch_size": 16, "micro_batch_size": 16, "steps": 100, "learning_rate": 1e-4},
        "hardware": {"device": device},
    }
    if new:
        document["model"]["new_tokens"] = {"tokens": ["<tool>"], path.removeprefix(NEW): value}
        document["method"]["tuner"]["modules_to_save"] = ["embed_tokens", "lm_head"]
        document["data"]["prepare"] = "ftspec"
    if path.startswith(IMAGES):
        document["model"] |= {
            "images": {path.removeprefix(IMAGES): value},
            "chat_template": "qwen2_vl",
        }
        document["data"]["train"] |= SHOWN.get(objective, {})
    _spread(document, path, value)
    if (path, value) == ("precision.compute", "bf16-pure"):
        document["method"]["tuner"] = {"type": "full"}
    if path.startswith("precision.loss_scale."):
        scale = {path.removeprefix("precision.loss_scale."): value}
        document["precision"] = {"compute": "fp16-weights", "loss_scale": scale}
    if path == "precision.fp8_recipe":
        document["precision"] = {"compute": "fp8", "fp8_recipe": value}
    if path.startswith("train.qat."):
        document["train"]["qat"] = {"weights": "int4", path.removeprefix("train.qat."): value}
        document["method"]["tuner"] = {"type": "full"}
    _hold(document, path, value)
    for tag, word in _variant(path, value, objective):
        for needed, given in {tag: word, **BESIDE.get((tag, word), {})}.items():
            _put(document, needed, given)
        for leaf in leaves():
            if (tag, word) in leaf.tags and leaf.path in NEEDED:
                _put(document, leaf.path, NEEDED[leaf.path])
    tuner = document["method"]["tuner"]
    tuner |= TUNERS.get(tuner["type"], {})
    return Spec.model_validate(document)


def _spread(document: dict[str, Any], path: str, value: Any) -> None:
    """Several devices, where the value is about them: layers are cut where all weights train."""
    if path.startswith("hardware.zero."):
        document["hardware"]["zero"] = 3
    if path.startswith("hardware.fsdp."):
        document["hardware"]["fsdp"] = {}
    if path == "hardware.tensor_parallel" and value > 1:
        document["hardware"] |= {"devices": value, "zero": 2, "tensor_parallel": value}
        document["train"]["micro_batch_size"] = 1
        document["method"]["tuner"] = {"type": "full"}


def _hold(document: dict[str, Any], path: str, value: Any) -> None:
    """Weights in few bits, where the value is about them."""
    bits = path.startswith("model.quantization.")
    if bits or (path, value) == ("method.tuner.init.type", "loftq"):
        # in 4 bits, in the type that GPUs calculate in
        held = {
            "type": "nf4",
            **({path.removeprefix("model.quantization."): value} if bits else {}),
        }
        document |= {"precision": "bf16"}
        document["model"] |= {"dtype": "bfloat16", "quantization": held}
    if path.startswith("model.stored."):
        # what can be made whole comes so: that is how it trains, if at all
        kind = value if path.endswith(".type") else "mxfp4"
        document |= {"precision": "bf16"}
        document["model"] |= {
            "dtype": "bfloat16",
            "stored": {"type": kind, "dequantize": kind in UNPACKED},
        }
        document["method"]["tuner"] |= {"targets": ["q_proj", "v_proj"]}


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *sections, name = path.split(".")
    for section in sections:
        document = document.setdefault(section, {})
    document[name] = value


def _variant(path: str, value: Any, objective: str) -> tuple[tuple[str, str], ...]:
    """The tags of the variant to ask in: the value's own, else LoRA's and any default's, else the first."""
    if path in tags():
        return ((path, str(value)),)
    found = [leaf.tags for leaf in leaves() if leaf.path == path]
    usual = (("method.tuner.type", "lora"), (OBJECTIVE, objective))
    return next((have for have in found if {*usual} & {*have}), found[0])


def _closed(annotation: Any) -> Iterator[Any]:
    """The values of a closed type: Literal members, both booleans; nothing for open types."""
    if annotation is bool:
        yield from (False, True)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (dict, tuple) or (
        isinstance(annotation, type) and issubclass(annotation, BaseModel)
    ):
        return
    else:
        for inner in get_args(annotation):
            yield from _closed(inner)
