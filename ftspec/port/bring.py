"""`ftspec import`: files of another tool in, a spec and the fate of each setting out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.port.compiled import compiled_folder, read_compiled
from ftspec.port.compose import Composed, compose
from ftspec.port.documents import INSIDE, told_together
from ftspec.port.evaluated import evaluated
from ftspec.port.fates import Fate, Kind
from ftspec.port.formats.accelerate import machines
from ftspec.port.launchers import COUNTED
from ftspec.port.recognise import Part, mentioned, named, read_parts, together
from ftspec.port.rules import Context
from ftspec.port.settle import Settled, settle
from ftspec.port.shared import sharing
from ftspec.port.tables import Table, table

DEVICES_ASSUMED = "the global batch counts one device, since no file says how many: --devices N"
GROUP_ASSUMED = (
    "one group of {} devices that share rows or layers is counted, since no file says how many there are: "
    "--devices N"
)


@dataclass(frozen=True)
class Imported:
    """A source, and what it means."""

    parts: tuple[Settled, ...]
    """The training first, then its companions."""
    composed: Composed
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, str]:
        """Files that the spec names and that the source held inside, such as a chat template."""
        return {name: text for part in self.parts for name, text in part.files.items()}

    @property
    def fates(self) -> tuple[Fate, ...]:
        """One for each setting."""
        return tuple(fate for part in self.parts for fate in part.fates)

    @property
    def counts(self) -> dict[Kind, int]:
        """Settings by what became of them."""
        found: dict[Kind, int] = {}
        for fate in self.fates:
            found[fate.kind] = found.get(fate.kind, 0) + 1
        return found

    @property
    def faithful(self) -> bool:
        """Whether nothing was lost, and nothing is left open."""
        return all(fate.faithful for fate in self.fates) and not self.composed.open


def bring(
    paths: Sequence[Path],
    wanted: str | None = None,
    version: str | None = None,
    devices: int | None = None,
) -> Imported:
    """Read files that belong together, or a folder that ftspec compiled.

    ``wanted`` is the format of the file that says the training. ``version`` is `package==version`.

    Raises:
        SpecError: a file cannot be read, or is in no known format; two say the same kind of thing; the
            defaults of that version are not known.
    """
    if wanted is not None:
        named(wanted)  # says at once if there is none: a shell script tells its own
    if wanted is None and (folder := compiled_folder(paths)) is not None:
        compiled = read_compiled(folder)
        return Imported((compiled,), compose([compiled]), tuple(compiled.assumed))
    parts = _parts(paths, wanted)
    found = mentioned(parts)
    prepared = [_prepared(part, devices) for part in parts]
    main, companions = together([*prepared, *found])
    documents = {name: part.document for name, part in companions.items()}
    ordered = ([main] if main else []) + list(companions.values())
    tables = _tables(version, ordered)
    launched = documents.get("accelerate")
    counts = (part.format.devices(part.document.data) for part in ordered)
    needed = next((count for count in counts if count), None)
    group = sharing(documents) * (main.format.group(main.document.data) if main else 1)
    each, nodes = machines(launched) if launched else (needed or group, 1)
    group = group if group <= (devices or each) * nodes else 1  # no run can have come of it
    settled: list[Settled] = []
    for part in ordered:
        beside = main is not None and main is not part
        context = Context(
            part.document,
            tables.get(part.format.name),
            {name: one for name, one in documents.items() if name != part.format.name},
            main.document if main is not None and beside else None,
            devices or each,
            nodes,
            main.format.name if main is not None and beside else "",
            settled[0].spec if beside else {},
            group,
        )
        settled.append(settle(part.format, context))
    beside_it = [part for part in found if part.document.whose != INSIDE]
    notes = [f"{_called(part)} belongs to it, and was read as well" for part in beside_it]
    trains = all(one.trains for one in settled)
    if main is not None and trains and not (devices or launched or needed):
        notes.append(DEVICES_ASSUMED if group == 1 else GROUP_ASSUMED.format(group))
    notes += [line for one in settled for line in one.assumed]
    composed = compose(settled)
    if main is not None:
        notes += evaluated(main.format.name, main.document.data, composed.values)
    return Imported(tuple(settled), composed, tuple(notes))


def _prepared(part: Part, devices: int | None) -> Part:
    document = part.format.prepare(part.document)
    if devices is not None:  # how many there are is answered
        asked = tuple(one for one in document.foreign if not COUNTED.search(one[1]))
        document = replace(document, foreign=asked)
    return part._replace(document=document)


def _called(part: Part) -> str:
    path, whose = part.document.path, part.document.whose
    return f"{path} ({whose})" if whose else str(path)


def _parts(paths: Sequence[Path], wanted: str | None) -> list[Part]:
    if wanted is None or len(paths) == 1:
        return [
            part
            for parts in told_together(lambda path: read_parts(path, wanted), paths)
            for part in parts
        ]
    found: list[Part] = []
    for path in paths:
        try:
            found += read_parts(path)
        except SpecError:
            found += read_parts(path, wanted)
    return found


def _tables(version: str | None, parts: Sequence[Part]) -> dict[str, Table]:
    """The table of each format that has one; `--as` chooses its version."""
    package, number = None, None
    if version is not None:
        package, sign, number = version.partition("==")
        if not sign or not any(part.format.package == package for part in parts):
            known = sorted({part.format.package for part in parts} - {""})
            raise SpecError(
                Problem(
                    f"--as {version} names no framework of these files",
                    hint=f"it is package==version, as in {' or '.join(known) or 'trl'}==...",
                )
            )
    return {
        part.format.name: table(
            part.format.package,
            number if part.format.package == package else part.format.release(part.document.data),
        )
        for part in parts
        if part.format.package
    }


def effective(imported: Imported) -> dict[str, Any]:
    """Every value of the source, by spec path."""
    return dict(imported.composed.values)
