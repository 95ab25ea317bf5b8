"""The keys that other releases of axolotl have and 0.19.0 has not, with the first and the last that has them.

`python scripts/axolotl_keys.py axolotl-*.tar.gz` reads source distributions (`pip download --no-deps
--no-binary axolotl axolotl==0.9.2`) as syntax trees and writes ftspec/port/tables/axolotl.keys.json. Its
schema ignores keys that it does not know, so one that no release has was never more than a slip; one that a
release has may have meant something when a config was written. What is read anywhere (`cfg.name`) counts.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.version import Version

TABLES = Path(__file__).parent.parent / "ftspec" / "port" / "tables"
CURRENT = TABLES / "axolotl-0.19.0.json"
TARGET = TABLES / "axolotl.keys.json"
WHOLE, ENTRY = "", "datasets"
"""A config, and an entry of its data sets."""
SCHEMAS = ("/utils/schemas/", "/utils/config/models/", "/integrations/")
CONFIGS = ("cfg", "self.cfg", "axolotl_cfg")
METHODS = {*dir(dict), "to_dict", "to_json", "to_yaml"}
Classes = Mapping[str, ast.ClassDef]


def trees(archive: Path) -> Iterator[tuple[str, ast.Module]]:
    """The modules of a source distribution."""
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            file = opened.extractfile(member) if member.name.endswith(".py") else None
            if file is not None and "/src/axolotl/" in member.name:
                yield member.name, ast.parse(file.read())


def fields(name: str, classes: Classes) -> set[str]:
    """What a model takes by name or alias, with what it inherits."""
    node = classes.get(name)
    if node is None:
        return set()
    found = {key for base in node.bases for key in fields(ast.unparse(base), classes)}
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            found.add(line.target.id)
            found |= {
                keyword.value.value
                for keyword in getattr(line.value, "keywords", ())
                if keyword.arg in ("alias", "validation_alias")
                if isinstance(keyword.value, ast.Constant)
            }
    return found


def reads(tree: ast.Module, validates: bool) -> Iterator[str]:
    """Keys that code asks a config for: `cfg.name`, and `data.get("name")` where it is validated."""
    asking = {f"{name}.get" for name in (*CONFIGS, *(("data",) if validates else ()))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in CONFIGS:
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in asking and node.args:
            asked = node.args[0]
            if isinstance(asked, ast.Constant) and isinstance(asked.value, str):
                yield asked.value


def keys(archive: Path) -> dict[str, set[str]]:
    """All keys of one release, by where they stand."""
    classes: dict[str, ast.ClassDef] = {}
    asked: set[str] = set()
    for name, tree in trees(archive):
        schema = any(part in name for part in SCHEMAS)
        asked |= set(reads(tree, schema))
        if schema:
            classes |= {
                node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
            }
    whole = [one for one in classes if one.startswith("AxolotlConfig") or one.endswith("Args")]
    entry = [one for one in classes if one.endswith("Dataset")]
    plain = {key for key in asked if key.islower() and key[0] != "_" and key not in METHODS}
    return {
        WHOLE: {key for one in (*whole, "AxolotlInputConfig") for key in fields(one, classes)}
        | plain,
        ENTRY: {key for one in entry for key in fields(one, classes)},
    }


def version(archive: Path) -> str:
    """The release that a source distribution holds."""
    found = re.fullmatch(r"axolotl-(.+)\.tar\.gz", archive.name)
    if found is None:
        raise SystemExit(f"{archive.name} is no source distribution of axolotl")
    return found[1]


def main() -> None:
    """Write the table."""
    releases = {version(Path(name)): keys(Path(name)) for name in sys.argv[1:]}
    told = sorted((name for name, found in releases.items() if found[WHOLE]), key=Version)
    calls = json.loads(CURRENT.read_text())["calls"]
    now = {WHOLE: set(calls[""]), ENTRY: {key for call in calls if call for key in calls[call]}}
    table = {}
    for place, current in now.items():
        other = sorted(set().union(*(releases[name][place] for name in told)) - current)
        having = {key: [name for name in told if key in releases[name][place]] for key in other}
        table[place] = {key: [found[0], found[-1]] for key, found in having.items()}
    lines = [
        f" {json.dumps(place)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(span)}" for key, span in entries.items())
        + "\n }"
        for place, entries in table.items()
    ]
    head = json.dumps([told[0], told[-1]])
    TARGET.write_text(f'{{"releases": {head}, "keys": {{\n' + ",\n".join(lines) + "\n}}\n")
    print({place: len(entries) for place, entries in table.items()})


if __name__ == "__main__":
    main()
