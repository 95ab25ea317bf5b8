"""Folders that ftspec compiled, read back: by their backend's own reader, so that nothing is lost.

A changed file is not read in this way: the reader looks for what its backend writes, and would pass over what
somebody has added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftspec.backend import OBJECTIVE, Backend, File, lift
from ftspec.emit.manifest import NAME, recorded, sha256
from ftspec.errors import Problem, SpecError
from ftspec.mapping import FieldMap
from ftspec.plan import answers, merge
from ftspec.plan.places import rebase, rebase_values
from ftspec.port.documents import Document
from ftspec.port.fates import Fate, Setting
from ftspec.port.format import Format
from ftspec.port.rules import Context, unknown
from ftspec.port.settle import Settled
from ftspec.read import json, yaml
from ftspec.read.placed import Placed
from ftspec.registry import load
from ftspec.spec.present import is_folder

LEFT = (
    "whether a longer row is cut, or stops the run before it begins, is in no file: data.overflow"
)
REWARDS = "method.objective.rewards"
OPEN = {"path": "TODO.jsonl"}
BETWEEN = {merge.SCRIPT, answers.SCRIPT}
"""Scripts of the steps between stages: a merge, and a teacher's answers."""
HANDED = "its rows were prepared by ftspec: which they were made of is not in the files"


def compiled_folder(paths: Sequence[Path]) -> Path | None:
    """The folder of which these are: itself, or files that its manifest names; None for any other.

    Raises:
        SpecError: it is one that ftspec compiled, and one of its files was changed since, or it has
            several runs.
    """
    folders = {path if is_folder(path) else path.parent for path in paths}
    if len(folders) != 1:
        return None
    (folder,) = folders
    known = _recorded(folder)
    if known is None or any(not is_folder(path) and path.name not in known for path in paths):
        return None
    _refuse_no_run(folder, known)
    changed = [name for name, digest in known.items() if _digest(folder / name) != digest]
    if not changed:
        return folder
    if all(is_folder(path) for path in paths):
        hint = "name the files to be read: they are read like those that people write"
        raise SpecError(
            Problem(f"{changed[0]} was changed since ftspec wrote it", file=str(folder), hint=hint)
        )
    return None


def _refuse_no_run(folder: Path, known: Mapping[str, str]) -> None:
    """Several runs, and a step between two of them, are not the folder of one training."""
    if "backend" not in (manifest := _manifest(folder)):
        each = ", ".join(str(folder / one["folder"]) for one in manifest.get("stages") or ())
        hint = f"name one: {each}" if each else "name the files to be read"
        raise SpecError(Problem("its files are not of one run", file=str(folder), hint=hint))
    if BETWEEN & known.keys():
        hint = "name the folder of a stage that trains"
        raise SpecError(Problem("it trains nothing", file=str(folder), hint=hint))


def read_compiled(folder: Path) -> Settled:
    """All that a compiled folder says, with paths as seen from the current folder."""
    known = _recorded(folder) or {}
    backend = load(str(_manifest(folder)["backend"]))
    native = dict(backend.read([File(name, (folder / name).read_bytes()) for name in known]))
    lifted = lift(backend, native)
    fields = backend.maps.get(str(lifted.spec.get(OBJECTIVE)), next(iter(backend.maps.values())))
    values = dict(lifted.spec)
    prepared = values.get("data.prepare") == "ftspec"
    if prepared:
        held = values.get("train.eval_steps") is not None
        values |= {"data.train": (), "data.eval": (OPEN,) if held else ()}
    values |= moved(values, backend.name, folder)
    context = Context(Document(folder, Placed(dict(native), {})), None)
    settled = Settled(_format(backend), context, fields, values)
    settled.fates = list(_fates(fields, native, lifted.unknown, folder))
    settled.native = dict(lifted.unknown)
    settled.assumed = [LEFT] if "data.overflow" not in values else []
    settled.questions = [HANDED] if prepared else []
    return settled


def moved(values: Mapping[str, Any], backend: str, folder: Path) -> dict[str, Any]:
    """The values whose names of files and folders start at the current folder, not at a compiled one."""
    neutral = {"data.train": (), "data.eval": (), "model.chat_template": "tokenizer"}
    here = rebase_values({**neutral, **values}, folder, Path.cwd())
    found = {path: value for path, value in here.items() if path in values}
    if rewards := found.get(REWARDS):  # a file of one's own was copied there
        found[REWARDS] = tuple(
            {**one, "file": rebase(one["file"], folder, Path.cwd())} if one["file"] else one
            for one in rewards
        )
    if output := values.get("output.folder"):  # a run has a folder in it for each backend
        place = rebase(output, folder, Path.cwd())
        found["output.folder"] = place.removesuffix(f"/{backend}/model")
    return found


def _recorded(folder: Path) -> dict[str, str] | None:
    try:
        return recorded((folder / NAME).read_bytes())
    except OSError:
        return None


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.read((folder / NAME).read_text("utf-8"))
    return found


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes())
    except OSError:
        return ""


def _format(backend: Backend) -> Format:
    return Format(
        name="compiled",
        title=f"ftspec's folder for {backend.title}",
        backend=backend.name,
        signs=frozenset(),
        scalar=yaml.scalar,
        rules={},
        otherwise=unknown("not what ftspec writes"),
    )


def _fates(
    fields: FieldMap, native: Mapping[str, Any], unclaimed: Mapping[str, Any], folder: Path
) -> Iterator[Fate]:
    """One for each native value: all are exact but what the spec's `native` section passed through."""
    for key, value in native.items():
        setting = Setting(key, value, str(folder), 0)
        if key in unclaimed:
            yield Fate("kept", setting, (), "the spec's `native` section passed it through")
            continue
        paths = [path for row in fields.rows if key in row.keys for path in row.paths]
        yield Fate("exact", setting, tuple(dict.fromkeys(paths)))
