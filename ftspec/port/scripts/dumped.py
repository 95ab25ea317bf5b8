"""Settings that a Python script hands to LLaMA-Factory: a mapping it dumps or runs, or a YAML it writes.

`json.dump(args, open("train.json", "w"))` with `args = dict(stage="sft", ...)`, `run_exp({...})`, and texts
such as f\"\"\"stage: sft ...\"\"\". Nothing is executed: what is no literal becomes a question.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ftspec.errors import SpecError
from ftspec.port.documents import Document
from ftspec.read import yaml
from ftspec.read.placed import Place, Placed, Trail
from ftspec.read.text import SIZE

WRITERS = ("json.dump", "json.dumps", "yaml.dump", "yaml.safe_dump", "run_exp", "OmegaConf.create")
"""Calls that take the settings as their first argument."""
KEYS = ({"model_name_or_path", "finetuning_type"}, {"model_name_or_path", "stage"})
"""Keys that LLaMA-Factory's settings alone have together."""
_TEXT = re.compile(r"(?m)^[ \t]*(stage|finetuning_type)[ \t]*:")
_ENDS = (".json", ".yaml", ".yml")


class Handed(NamedTuple):
    """Settings in a script."""

    line: int
    name: str
    """The file that they are written to; empty where that is not said in one place."""
    document: Document

    @property
    def trains(self) -> bool:
        """Whether a training is asked for; else it is for chatting or merging."""
        return bool(self.document.data.get("do_train"))


def handed(path: Path, source: str) -> list[Handed]:
    """All of them, in the order in which they stand there; none where it is no Python."""
    if len(source) > SIZE:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes: none of our business
            tree = ast.parse(source)
        return list(_found(path, tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # the reader of scripts says what is wrong


def _found(path: Path, tree: ast.Module) -> Iterator[Handed]:
    bound = _bound(tree)
    joined = (one.values for one in ast.walk(tree) if isinstance(one, ast.JoinedStr))
    inside = {id(part) for values in joined for part in values}
    for node in sorted(ast.walk(tree), key=lambda one: getattr(one, "lineno", 0)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(WRITERS):
            given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "args")]
            mapping, name = _mapping(given[0], bound, node.lineno) if given else ({}, "")
            document = _document(path, mapping, bound, _changes(tree, name, bound, node.lineno))
            if _is_its(document.data.keys() | mapping.keys()):
                yield Handed(node.lineno, _file(node), document)
        elif isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inside:
            written = _written(path, node, bound)
            if written is not None:
                yield Handed(node.lineno, "", written)


def _is_its(keys: Collection[str]) -> bool:
    return any(known <= set(keys) for known in KEYS)


Bound = Mapping[str, list[tuple[int, ast.expr]]]
"""What each name is set to, and where."""


def _bound(tree: ast.Module) -> Bound:
    found: dict[str, list[tuple[int, ast.expr]]] = {}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) and node.value else targets
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append((node.lineno, node.value))  # type: ignore[attr-defined]
    return found


def _mapping(node: ast.expr, bound: Bound, line: int) -> tuple[dict[str, ast.expr], str]:
    """The entries of a display or of `dict(...)`, or of a name's last one before a line; and that name."""
    if isinstance(node, ast.Name):
        before = [value for at, value in sorted(bound.get(node.id, []), key=_at) if at < line]
        return (_mapping(before[-1], {}, line)[0] if before else {}), node.id
    pairs: list[tuple[str | None, ast.expr]] = []
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict":
        pairs = [(None, one) for one in node.args] + [(one.arg, one.value) for one in node.keywords]
    if isinstance(node, ast.Dict):
        names = [
            ast.literal_eval(key) if isinstance(key, ast.Constant) else None for key in node.keys
        ]
        pairs = list(zip(names, node.values, strict=True))
    return {
        f"**{ast.unparse(value)}" if key is None else str(key): value for key, value in pairs
    }, ""


def _at(one: tuple[int, ast.expr]) -> int:
    return one[0]


def _document(
    path: Path, mapping: Mapping[str, ast.expr], bound: Bound, changes: list[tuple[int, str]]
) -> Document:
    data: dict[str, Any] = {}
    places: dict[Trail, Place] = {}
    asked = list(changes)
    for key, node in mapping.items():
        try:
            value = _value(node, bound)
        except ValueError:
            asked.append((node.lineno, f"{key}: {ast.unparse(node)}"[:120]))
            continue
        given = value if key.startswith("**") and isinstance(value, dict) else {key: value}
        data |= given
        places |= {(name,): Place(node.lineno, 1) for name in given}
    return Document(path, Placed(data, places), tuple(sorted(asked)))


def _changes(tree: ast.Module, name: str, bound: Bound, line: int) -> list[tuple[int, str]]:
    """Statements between the mapping and its use that may change it."""
    begun = max((at for at, _ in bound.get(name, []) if at < line), default=line)
    return [
        (node.lineno, ast.unparse(node).splitlines()[0][:120])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Delete)
        and begun < node.lineno < line
        and re.match(
            rf"(del )?{re.escape(name)}(\[|\.(update|pop|setdefault)\(| \|=)", ast.unparse(node)
        )
    ]


def _value(node: ast.expr, bound: Bound) -> Any:
    """A literal, a name that is set once to one, or a text made of such.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(node, ast.Name):
        values = bound.get(node.id, [])
        if len(values) != 1:
            raise ValueError(node.id)
        return _value(values[0][1], {})
    if isinstance(node, ast.JoinedStr):
        return "".join(str(_value(part, bound)) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        if node.format_spec is not None:
            raise ValueError(ast.unparse(node))
        return _value(node.value, bound)
    return ast.literal_eval(node)


def _file(call: ast.Call) -> str:
    """The file that is opened for a dump, where it is opened in the same line."""
    texts = [one.value for one in ast.walk(call) if isinstance(one, ast.Constant)]
    return next((text for text in texts if isinstance(text, str) and text.endswith(_ENDS)), "")


def _written(path: Path, node: ast.Constant | ast.JoinedStr, bound: Bound) -> Document | None:
    """A text that is such a config, line by line: those that hold what is not known are asked about."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = ""
    holes: dict[str, str] = {}
    for part in parts:
        try:
            text += str(_value(part, bound))
        except ValueError:
            hole = f"\0{len(holes)}\0"
            holes[hole] = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
            text += hole
    if not _TEXT.search(text) or "model_name_or_path:" not in text:
        return None
    lines, asked = [], []
    for number, line in enumerate(text.split("\n"), node.lineno):
        whole = re.sub("\0\\d+\0", lambda found: "{" + holes[found[0]] + "}", line)
        lines.append("" if whole != line else line)
        asked += [(number, whole.strip()[:120])] if whole != line else []
    try:
        placed = yaml.read_placed("\n".join(lines))
    except SpecError:
        return None
    if not _is_its(placed.data.keys() | {"model_name_or_path"}):
        return None
    start = node.lineno - 1
    places = {trail: one._replace(line=one.line + start) for trail, one in placed.places.items()}
    return Document(path, placed._replace(places=places), tuple(asked))
