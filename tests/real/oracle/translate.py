"""A config as ftspec takes it: imported, and compiled for trl again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ftspec.emit.disk import write_files
from ftspec.errors import FtspecError
from ftspec.plan.make import make_plan
from ftspec.port.bring import Imported, bring
from ftspec.port.fates import Fate
from ftspec.spec.load import loads

LOST = ("unknown", "approximated")


@dataclass
class Translated:
    """What became of a config."""

    trainer: str
    text: str
    how: str = ""
    """faithful, lossy, open, refused (no backend can), unreadable."""
    why: str = ""
    folder: Path | None = None
    fates: tuple[Fate, ...] = ()
    spec: str = ""
    asked: tuple[str, ...] = field(default_factory=tuple)


def _imported(trainer: str, text: str, folder: Path, engine: str) -> Imported:
    """A command line begins with `trl`, a script with an import; all else is YAML."""
    if text.startswith("trl "):
        return bring([Path(text)], devices=1)
    if text.startswith("from "):
        (folder / "original.py").write_text(text)
        return bring([folder / "original.py"], "trl_script", devices=1)
    (folder / "config.yaml").write_text(f"{text}trainer: {trainer}\n")
    files = [folder / "config.yaml"]
    if engine:
        (folder / "ds.json").write_text(engine)
        files.append(folder / "ds.json")
    return bring(files, "trl", devices=1)


def translate(
    trainer: str, text: str, folder: Path, engine: str = "", device: str = "cuda"
) -> Translated:
    """Import the text of a config of that trainer and compile it into the folder.

    ``engine`` is the text of DeepSpeed's settings that the config names as `ds.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = Translated(trainer, text)
    try:
        imported = _imported(trainer, text, folder, engine)
    except FtspecError as error:
        found.how, found.why = "unreadable", str(error.problems[0])
        return found
    found.fates, found.spec = imported.fates, imported.composed.text
    lost = [fate for fate in imported.fates if fate.kind in LOST]
    if lost:
        found.how = "lossy"
        found.why = "; ".join(f"{one.setting.key}: {one.kind}: {one.why}" for one in lost)
        return found
    found.asked = tuple(one for one in imported.composed.open if not one.startswith("data.train"))
    if found.asked:
        found.how, found.why = "open", "; ".join(found.asked)
        return found
    try:
        for name, content in imported.files.items():
            (folder / name).write_text(content)
        loaded = loads(
            imported.composed.text, str(folder / "spec.yaml"), [f"hardware.device={device}"]
        )
        plan = make_plan(loaded, "deepspeed" if engine else "trl", folder / "compiled")
        write_files(plan.folder, plan.files())
    except FtspecError as error:
        found.how, found.why = "refused", "; ".join(str(one) for one in error.problems)
        return found
    found.how, found.folder = "faithful", folder / "compiled"
    return found
