"""Files of settings that a script loads itself, where they are beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ftspec.errors import SpecError
from ftspec.port.documents import Scalar, parse, read_text
from ftspec.read import pyyaml, yaml
from ftspec.spec.present import is_file, is_there

DIALECTS: Mapping[str, Scalar] = {
    "pyyaml": pyyaml.scalar,
    "omegaconf": yaml.scalar,
    "json": yaml.scalar,
}
SUFFIXES = {"json": (".json",), "pyyaml": (".yaml", ".yml"), "omegaconf": (".yaml", ".yml")}
Files = Callable[[str, str], Any]


def files_beside(script: Path, found: list[Path]) -> Files:
    """Reads a file by its name and its dialect.

    It is looked for from the current folder, beside the script, and below the root of its repository.
    ``found`` gets those that were read. Raises LookupError where there is none that can be read.
    """
    folder = script.parent
    roots = [above for above in folder.absolute().parents if is_there(above / ".git")]

    def read(name: str, dialect: str) -> Any:
        if "\0" in name or not name.endswith(SUFFIXES[dialect]):
            raise LookupError(name)
        places = (Path(name), folder / name, *(root / name for root in roots[:1]))
        here = {one.resolve(): one for one in places if is_file(one)}
        if not here or len({read_text(one) for one in here.values()}) > 1:
            raise LookupError(name)  # or several, which say different things
        path = next(iter(here.values()))
        try:
            data = parse(path, read_text(path), DIALECTS[dialect], last_wins=True).data
        except (SpecError, OSError) as error:
            raise LookupError(name) from error
        if dialect == "omegaconf" and "${" in str(data):
            raise LookupError(name)  # values of other values
        if path not in found:
            found.append(path)
        return data

    return read


def modules_beside(script: Path, found: list[Path]) -> Callable[[str], str | None]:
    """The source of a module by its name, where it lies beside a script."""

    def source(name: str) -> str | None:
        path = script.parent / f"{name.replace('.', '/')}.py"
        if "\0" in name or not is_file(path) or path == script:
            return None
        try:
            text = read_text(path)
        except SpecError:
            return None
        if path not in found:
            found.append(path)
        return text

    return source
