"""What a source really does: every value, with where it comes from. Specs are read as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ftspec.errors import DataError, SpecError
from ftspec.plan.resolve import resolve, written_paths
from ftspec.port import traces
from ftspec.port.bring import Imported, bring
from ftspec.port.documents import parse, read_text
from ftspec.port.fates import Fate, Setting
from ftspec.port.formats import formats
from ftspec.port.recognise import in_card
from ftspec.port.settle import Settled
from ftspec.read import json, yaml
from ftspec.spec.load import load, loads
from ftspec.spec.paths import flatten, leaf_paths
from ftspec.spec.present import is_folder

ELSEWHERE = ("version", "native", "run.", "derived.")
"""Paths that say nothing about the training."""
UNTOLD = ("data.overflow", "data.split_rows", "output.folder")
"""What a compiled folder does not tell: what happens to long rows before a run, and where it was to work."""
OPEN = ("train.data_seed", "data.train", "data.train_on")
"""Paths that a spec may leave open, and that another way of saying the same names."""
BATCH = "train.batch_size"
"""Of all devices: an engine's file and a launcher's say a factor of it."""
ENGINES = ("hardware.zero.", "hardware.fsdp.")
DEVICE = "hardware.device"
RUN = 4
"""How many folders above a saved file may be the one that its training was started in."""


class Effect(NamedTuple):
    """One value that holds."""

    path: str
    value: Any
    origin: str
    """`file:line (key)`, the default of which version, or what it follows from."""


@dataclass(frozen=True)
class Meaning:
    """A source, or a spec, as values."""

    name: str
    effects: tuple[Effect, ...]
    lost: tuple[Fate, ...] = ()
    """Settings that no spec path says: nobody can compare them."""
    imported: Imported | None = None
    partial: bool = False
    """Whether it tells only a part: nothing is known of paths that it has not, or has as null."""
    compiled: bool = False
    """Whether it is a folder that ftspec compiled: nothing is known of the few paths that it has not."""
    launch: bool = False
    """Whether it is an engine's file or a launcher's alone: the rest is the trainer's, whatever that says."""
    left_open: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Questions about arguments whose values only the shell knows, and their paths."""
    starts: tuple[Path, ...] = ()
    """Where its relative names of files may start."""

    @property
    def nearly(self) -> tuple[Fate, ...]:
        """Settings that its values say only nearly."""
        found = self.imported.fates if self.imported else ()
        return tuple(fate for fate in found if fate.kind == "approximated")

    @property
    def values(self) -> dict[str, Any]:
        """By path."""
        return {effect.path: effect.value for effect in self.effects}


def meaning(
    paths: Sequence[Path],
    wanted: str | None = None,
    version: str | None = None,
    devices: int | None = None,
) -> Meaning:
    """What files mean: a spec, or a config of another tool with the files that belong to it.

    Raises:
        SpecError: they cannot be read, or are in no format that is known.
    """
    if wanted is None and len(paths) == 1 and traces.is_trace(paths[0]) and not in_card(paths[0]):
        return _of_results(paths[0])
    if wanted is None and len(paths) == 1 and _is_spec(paths[0]):
        return _of_spec(paths[0])
    imported = bring(paths, wanted, version, devices)
    if not any(part.format.whole for part in imported.parts):
        return _of_launch(str(paths[0]), imported)
    # what no setting and no row speaks of is as a spec has it
    values = {**flatten(imported.composed.spec), **imported.composed.values}
    left_open = {one: paths for part in imported.parts for one, paths in part.left_open.items()}
    opened, senseless = _opened(imported), imported.composed.invalid.union(*left_open.values())
    effects = tuple(
        Effect(path, *(opened.get(path) or (values[path], _origin(path, imported.parts))))
        for path in leaf_paths()
        if path in values and not path.startswith(ELSEWHERE) and path not in senseless
    )
    lost = tuple(fate for fate in imported.fates if fate.kind in ("unknown", "kept"))
    name, start = str(paths[0]), Path.cwd()
    return Meaning(name, effects, lost, imported, left_open=left_open, starts=(start,))


def _of_launch(name: str, imported: Imported) -> Meaning:
    """What an engine's file or a launcher's says: the rest is the trainer's, whose config is not here."""
    values, senseless = imported.composed.values, {BATCH, *imported.composed.invalid}
    effects = tuple(
        Effect(path, values[path], _origin(path, imported.parts))
        for path in leaf_paths()
        if path in values and path not in senseless and _is_told(path, imported.parts)
    )
    lost = tuple(
        fate
        for fate in imported.fates
        if fate.kind in ("unknown", "kept") or (fate.kind == "derived" and BATCH in fate.to)
    )
    return Meaning(name, effects, lost, imported, partial=True, launch=True, starts=(Path.cwd(),))


def _is_told(path: str, parts: Sequence[Settled]) -> bool:
    """Whether a setting says it, or it is where the model lies, which no trainer's config says."""
    assumed = path.startswith(ENGINES) and any(path in part.spec for part in parts)
    return assumed or bool(set_by(path, parts))


def _opened(imported: Imported) -> dict[str, tuple[Any, str]]:
    """What paths become that the source leaves open, as far as their files are here."""
    spec = imported.composed.spec
    made = str(spec.model.chat_template).removeprefix("./") in imported.files  # nowhere yet
    sets = ["model.chat_template=tokenizer"] if made else []
    try:
        found = resolve(loads(imported.composed.text, "spec", sets))
    except (SpecError, DataError):
        left_out = spec.train.data_seed is None
        return {"train.data_seed": (spec.train.seed, "train.seed")} if left_out else {}
    told = {path: found.values[path] for path in OPEN if path in found.values}
    opened = {
        path: (value.value, value.why) for path, value in told.items() if value.origin == "derived"
    }
    if (rows := told.get("data.train")) is not None and rows.origin == "machine":
        origin = f"{_origin('data.train', imported.parts)}; {rows.why}"
        opened["data.train"] = (rows.value, origin)
    return opened


def _of_results(path: Path) -> Meaning:
    """What a training left behind."""
    whole = traces.compiled(path) if is_folder(path) else None
    lost: tuple[Fate, ...] = ()
    if whole is not None:
        told = {name: (value, str(path)) for name, value in whole.items() if name not in UNTOLD}
        starts: tuple[Path, ...] = (path,)
    else:
        told, lost = traces.told(path)
        starts = (Path.cwd(), path, *list(path.resolve().parents)[:RUN])
    effects = tuple(
        Effect(name, *told[name])
        for name in leaf_paths()
        if name in told and not name.startswith(ELSEWHERE)
    )
    whole_run = whole is not None
    return Meaning(
        str(path), effects, lost, partial=not whole_run, compiled=whole_run, starts=starts
    )


def _is_spec(path: Path) -> bool:
    if path.suffix not in (".yaml", ".yml", ".json"):
        return False
    text = read_text(path)  # of an engine, which may have comments
    text = json.uncommented(text) if path.suffix == ".json" else text
    data = parse(path, text, yaml.scalar, last_wins=True).data
    others = (form.recognise(data) for form in formats() if form.recognise is not None)
    return {"model", "data"} <= set(data) and not any(others)


def _of_spec(path: Path) -> Meaning:
    """A spec as it is resolved; where its files are not here, as far as it can be without them."""
    loaded = load(path)
    written = written_paths(loaded.spec)
    try:
        found = {name: (one.value, one.why) for name, one in resolve(loaded).values.items()}
        found[DEVICE] = (loaded.spec.hardware.device, "")  # not what this machine makes of `auto`
    except (SpecError, DataError):
        found = {name: (value, "") for name, value in flatten(loaded.spec).items()}
    effects = []
    for name, (value, why) in found.items():
        if name.startswith(ELSEWHERE):
            continue
        set_at = replace(loaded.problem(name, ""), column=0).place()
        effects.append(
            Effect(name, value, set_at if name in written else why or "ftspec's default")
        )
    return Meaning(str(path), tuple(effects), starts=(path.parent,))


def set_by(path: str, parts: Sequence[Settled]) -> Sequence[Setting]:
    """The settings that a value comes from; of the last file, where several say it."""
    return next((found for part in reversed(parts) if (found := part.origins.get(path))), ())


def assumed_by(path: str, parts: Sequence[Settled]) -> str:
    """Whose default a value is that no setting gives."""
    for part in reversed(parts):
        if path in part.spec:
            table = part.context.table
            rows = part.fields.by_path.get(path, ())
            keys = {key for row in rows for key in row.keys}
            if table is None or not keys or keys & part.decided:
                return f"what {part.format.title} does"
            return f"default of {table.title}"
    return "ftspec's default"


def _origin(path: str, parts: Sequence[Settled]) -> str:
    found = set_by(path, parts)
    return ", ".join(f"{one.place} ({one.key})" for one in found) or assumed_by(path, parts)
