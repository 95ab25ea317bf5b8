"""The nearest spec that a backend takes: what it refuses is left out, with what belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftspec.backend import Backend, Job
from ftspec.errors import FtspecError
from ftspec.mapping import Lowered
from ftspec.plan import make
from ftspec.plan.resolve import resolve
from ftspec.plan.values import Resolved
from ftspec.spec.data import FORMATS
from ftspec.spec.load import Loaded, digest
from ftspec.spec.root import Spec

FOLDER = Path("/project/build")


PLAIN = {"data.prepare": "ftspec", "model.dtype": "float32", "precision.compute": "fp32"}
"""What a backend is asked for in the place of a value that it refused; the second time, the default."""
TOGETHER = (
    *("model.images", "model.quantization", "model.rope", "model.experts", "model.new_tokens"),
    *("method.objective", "train.qat", "hardware.zero", "hardware.fsdp", "output.hub"),
)
"""Sections of which nothing is left where a part is refused: what is in them belongs together."""
NEEDED = ("type", "rewards", "teacher", "judge", "reward_model")
"""What an objective cannot be without."""
WITH = {
    "data.eval_size": ("eval_draw", "draw_seed"),
    "data.eval": ("draw_seed",),
    "data.turn_part": ("turn_ends", "turn_flag"),
}
"""What of a section goes as well."""


def plainer(spec: Spec, result: Lowered) -> Spec | None:
    """The spec without the values that were refused; None where they cannot be left out."""
    document = spec.model_dump(exclude_unset=True)
    objective = spec.method.objective.type
    for path in dict.fromkeys(refusal.path for refusal in result.refusals):
        whole = next((one for one in TOGETHER if path.startswith(f"{one}.")), path)
        *sections, name = whole.removesuffix(".type").split(".")
        place = document
        for section in sections:
            below = place.get(section) or {}
            place[section] = below
            place = below
        refused = place.pop(name, None)
        if path in PLAIN and refused != PLAIN[path]:
            place[name] = PLAIN[path]
        for other in WITH.get(path, ()):
            place.pop(other, None)
        if whole == "method.objective":
            place[name] = {key: refused[key] for key in NEEDED if key in refused}
    data = document["data"]
    if "train" not in data:
        data |= {"train": [{"path": "all.jsonl", "format": FORMATS[objective][0]}], "eval": []}
    if not document["model"].get("images"):
        for source in (*data["train"], *data.get("eval", ())):
            source["columns"] = {
                name: column
                for name, column in source.get("columns", {}).items()
                if name != "images"
            }
    try:
        return Spec.model_validate(document)
    except ValueError:
        return None


def lowered(spec: Spec, backend: Backend) -> tuple[Resolved, Lowered, dict[str, Any]]:
    """A spec lowered for a backend, without a look at any file."""
    loaded = Loaded(spec, Path("/project/spec.yaml"), {}, digest(spec))
    resolved = resolve(loaded, backend.defaults)
    result, values = make.lower(resolved, backend, FOLDER)
    return resolved, result, values


def expressible(spec: Spec, backend: Backend) -> tuple[Resolved, Lowered, dict[str, Any]] | None:
    """The spec, or the nearest one that the backend takes, lowered.

    None where there is none: what was refused cannot be left out, or something else needs it.
    """
    tried = [spec]
    lowering = lowered(spec, backend)
    while lowering[1].refusals:
        assert all(refusal.reason for refusal in lowering[1].refusals)
        nearest = plainer(tried[-1], lowering[1])
        if nearest is None or nearest in tried:
            return None
        tried.append(nearest)
        try:
            lowering = lowered(nearest, backend)
        except FtspecError:
            return None
    return lowering


def job(resolved: Resolved, values: dict[str, Any], backend: Backend) -> Job:
    """What emit needs besides native values."""
    return Job(resolved.name, digest(resolved.spec), values, dict.fromkeys(backend.pinned, "1.0"))
