"""How a script loads its rows, and brings them into the columns that trl trains on.

Each (format, shape) is one statement, written from its template and recognised by the same template.
`ROWS` stands for the variable: `train` or `evaluation`. Columns are named by their place in the format.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from ftspec.families.rows.by_turns import MAPPED
from ftspec.families.rows.dataset_statements import (
    AFTER,
    DROPS,
    HOLD_LAST,
    HOLD_OUT,
    HOLDING_OUT,
    LOAD,
    MIX,
    OF_FILE,
    OF_HUB,
    OPTIONS,
    SHARE,
    SHUFFLE,
    SHUFFLING,
    SYSTEMS,
)
from ftspec.families.rows.shapes import (
    ANSWERED,
    COMPOSED,
    IMAGES,
    JUDGED,
    OF_KIND,
    PAIRED,
    RENAMED_TO,
    STATEMENTS,
    TOLD,
    TOLD_ANSWERED,
    TOOLS,
    TURNS,
    WITH_IMAGES,
    WRITTEN,
)
from ftspec.families.scripts.unify import RENAMED, match, match_all
from ftspec.mapping import Refuse
from ftspec.spec.data import SUFFIXES, Written, sliced, unsliced

PREPARED = "data.prepare: ftspec"
VARIABLES = {"train": "train", "eval": "evaluation"}
"""The script's name of a split."""
OF_TEXTS = {
    WRITTEN: "prompt-completion", JUDGED: "unpaired", PAIRED: "preference",
    ANSWERED: "preference", TOLD_ANSWERED: "preference",
    TURNS: "messages", TOLD: "messages", COMPOSED: "text",
}  # fmt: skip
"""Formats of rows that a spec's texts write."""


class Split(NamedTuple):
    """What a script's statements say about one split."""

    sources: tuple[dict[str, Any], ...] = ()
    shape: str = ""
    limit: int | None = None
    """Longer conversations are left out."""
    system: str | None = None
    """Put before conversations that begin with no system prompt."""
    held_out: tuple[float, str] | None = None
    """How many rows are held out of it, and which of those that were drawn."""
    options: dict[str, Any] | None = None
    """Values that the chat template is given."""
    mixed: bool = False
    """All rows are drawn in one order first."""
    seeds: frozenset[Any] = frozenset()
    """What rows are drawn by; None: by chance."""


def template(split: str, printed: Mapping[str, Any]) -> str:
    """The Jinja text that loads a split; its values come from `context` under the variable's name.

    ``printed`` are those values: statements for other rows are left out.
    """
    name, shape = VARIABLES[split], printed["shape"]
    text = LOAD + _holes(STATEMENTS.get((printed["kind"], shape), ""), name) + AFTER
    if printed["system"]:
        text += SYSTEMS.get(shape, "").replace('"@system"', "{{ ROWS.system|py }}")
    if printed["options"]:
        text += OPTIONS.replace('"@options"', "{{ ROWS.options|py }}")
    if printed["cut"]:
        text += MAPPED
    drop = DROPS.get(shape, "").replace('"@limit"', "{{ ROWS.limit|py }}")
    if printed["shuffled"] is not None:
        text += SHUFFLING + (drop if printed["limit"] else "") + HOLDING_OUT
    else:
        text += HOLDING_OUT if printed["held_out"] else ""
        text += drop if printed["limit"] else ""
    return text.replace("ROWS", name)


def _holes(source: str, name: str) -> str:
    """`"@column"` as the Jinja expression that prints the column's name."""
    for text in Written.model_fields:
        head = f"{text} = sandbox.from_string"
        printed = f'{{{{ "{head}"|lines({name}.template.{text}) }}}}'
        source = source.replace(f'{head}("@{text} text")', printed)
    for column in {column for columns in OF_KIND.values() for column in columns}:
        source = source.replace(f'"@{column}"', f"{{{{ {name}.columns[{column!r}]|py }}}}")
    return source


def context(
    sources: tuple[dict[str, Any], ...],
    shape: str,
    tokens: str,
    limit: int | None = None,
    system: str | None = None,
    held_out: tuple[float, str] | None = None,
    options: Mapping[str, Any] | None = None,
    mixed: bool = False,
    seed: int | None = None,
    cut: bool = False,
) -> dict[str, Any]:
    """What `template` prints for a split.

    ``held_out``: how many of its rows the other split is made of, and which of those that are drawn.
    ``mixed``: whether all rows are drawn first. ``seed``: what rows are drawn by. ``cut``: whether they
    are cut by turns.

    Raises:
        Refuse: sources of different formats, of files and hub data sets, or of several file types;
            a limit for rows that no chat template renders.
    """
    if shape == "tokens":
        return {**taken(shape, None), "tokens": tokens}
    same("format", sources)
    same("columns", sources)
    if any(source.get("template") != sources[0].get("template") for source in sources):
        raise Refuse("sources of different templates in one split", "notimpl", PREPARED)
    template = sources[0].get("template")
    kind = _kind(template) if template else sources[0]["format"]
    if limit and kind in ("text", "prompt-completion", COMPOSED):
        raise Refuse(
            f"trl cuts a long {kind} row, it cannot leave it out", "notimpl", "data.prepare: ftspec"
        )
    if IMAGES in sources[0]["columns"]:
        if limit or f"{kind}{WITH_IMAGES}" not in OF_KIND:
            raise Refuse(
                "rows with images are not measured by a script",
                "notimpl",
                "data.overflow: error",
            )
        kind = f"{kind}{WITH_IMAGES}"
    if "tools" in sources[0]["columns"]:
        kind = _with_tools(kind, limit)
    names = {column: sources[0]["columns"].get(column, column) for column in OF_KIND[kind]}
    expected = RENAMED_TO.get((kind, shape), {})
    renamed = {names[ours]: theirs for ours, theirs in expected.items() if names[ours] != theirs}
    shared = {
        "tokens": "",
        "kind": kind,
        "shape": shape,
        "columns": names,
        "template": template,
        "renamed": renamed,
        "limit": limit,
        "system": system,
        "taken": False,
        "options": options,
        "held_out": None,
        "shuffled": None,
        "mixed": mixed,
        "seed": seed,
        "cut": cut,
    }
    if held_out is not None:
        size, draw = held_out
        last = draw == "last"
        how = {"shuffle": False} if last else {"seed": seed}
        shared["held_out"] = {"test_size": int(size) if size >= 1 else size, **how}
        shared["shuffled"] = seed if last else None
    files = [source["path"] for source in sources if source["path"]]
    loaders = {_loader(file) for file in files}
    if files and (len(files) < len(sources) or len(loaders) > 1):
        raise Refuse(
            "files of one type, or hub data sets, not a mixture", "notimpl", "data.prepare: ftspec"
        )
    if files and not any(source.get("limit") or source.get("share") for source in sources):
        return shared | {"loader": loaders.pop(), "files": files[0] if len(files) == 1 else files}
    parts = [_part(source) for source in sources]
    return shared | {"files": None, "part": parts[0] if len(parts) == 1 else None, "parts": parts}


def taken(shape: str, limit: int | None) -> dict[str, Any]:
    """What `template` prints for rows that another split's statements have brought into shape."""
    nothing: dict[str, Any] = {
        "tokens": "",
        "kind": "",
        "renamed": {},
        "system": None,
        "held_out": None,
        "shuffled": None,
        "mixed": False,
        "options": None,
        "cut": False,
    }
    return {**nothing, "shape": shape, "limit": limit, "taken": True}


def _kind(template: Mapping[str, Any]) -> str:
    """The kind of rows that a template writes."""
    if template.get("text") is not None:
        return COMPOSED
    told = template.get("system") is not None
    if template.get("chosen") is not None and template.get("user") is not None:
        return TOLD_ANSWERED if told else ANSWERED
    if template.get("chosen") is not None:
        return PAIRED
    if template.get("label") is not None:
        return JUDGED
    if template.get("user") is None:
        return WRITTEN
    return TOLD if told else TURNS


def _with_tools(kind: str, limit: int | None) -> str:
    """The kind of rows whose tools are named."""
    if f"{kind}{TOOLS}" not in OF_KIND:
        raise Refuse(f"tools of {kind} rows are not taken over", "notimpl", "data.prepare: ftspec")
    if limit:
        raise Refuse("rows are measured without their tools", "notimpl", "data.prepare: ftspec")
    return f"{kind}{TOOLS}"


def _part(source: dict[str, Any]) -> dict[str, Any]:
    """What `load_dataset` is given for one source alone."""
    split = sliced("train" if source["path"] else source["split"], source.get("limit"))
    if source["path"]:
        name = [_loader(source["path"])]
        where = {"data_files": source["path"], "split": split}
        return {"name": name, "where": where, "share": _share(source)}
    name = [source[key] for key in ("hub", "subset") if source[key]]
    chosen: dict[str, Any] = {"data_files": list(source["files"])} if source.get("files") else {}
    chosen |= {"revision": source["revision"]} if source.get("revision") else {}
    return {"name": name, "where": {**chosen, "split": split}, "share": _share(source)}


def _share(source: dict[str, Any]) -> float | None:
    """A share, or above 1 a count, which is a whole number in a script."""
    share: float | None = source.get("share")
    return int(share) if share is not None and share > 1 else share


def _loader(file: str) -> str:
    return SUFFIXES[file[file.rindex(".") :].lower()]


def same(key: str, sources: tuple[dict[str, Any], ...]) -> None:
    """Refuse sources that differ in ``key``: one statement brings all rows into shape."""
    if any(source[key] != sources[0][key] for source in sources):
        raise Refuse(f"sources of different {key} in one split", "notimpl", "data.prepare: ftspec")


def read_split(tree: ast.Module, split: str) -> Split | None:
    """What a script's statements for a split say; None if they are not understood."""
    name = VARIABLES[split]
    body = [node for node in tree.body if _target(node) not in (*_BOTH, "held_out")]
    held_out = _held_out(tree) if len(body) < len(tree.body) else None
    targets = [_target(node) for node in body]
    if name not in targets or (held_out and split == "eval"):
        return Split()
    start = targets.index(name)
    rest = list(takewhile(lambda node: _target(node) == name or _helps(node), body[start + 1 :]))
    first = body[start]
    if match(f'{name} = load_from_disk("@folder")', first):
        return Split(shape="tokens")
    limit = _last(rest, DROPS, name).get("limit")
    seeds = set()
    if held_out and held_out[2] == "last":
        seeds.add(_last(rest, {"": SHUFFLE}, name).get("seed"))
    elif held_out:
        seeds.add(held_out[1])
    parts = _parts(first.value) if isinstance(first, ast.Assign) else []
    if (one := _first(rest, SHARE, name)) and len(parts) == 1:
        parts = [{**parts[0], "share": one["share"], "seed": one["seed"]}]
    seeds |= {part["seed"] for part in parts if part["share"] is not None}
    parts = [{key: part[key] for key in part if key != "seed"} for part in parts]
    mix = _first(rest, MIX, name)
    seeds |= {*mix.values()}
    if rest and match(MAPPED.replace("ROWS", name), rest[-1]) is not None:
        rest.pop()
    options = _last(rest, {"": OPTIONS}, name).get("options")
    system = _last(rest, SYSTEMS, name).get("system")
    for (kind, shape), source in STATEMENTS.items():
        holes = match_all(source.replace("ROWS", name), rest)
        if holes is not None and _renamed_right(holes, RENAMED_TO.get((kind, shape), {})):
            columns = {ours: theirs for ours, theirs in holes.items() if ours in OF_KIND[kind]}
            columns = {
                o: theirs
                for o, theirs in columns.items()
                if o != theirs or o in (TOOLS[1:], IMAGES)
            }
            bare = kind.removesuffix(TOOLS).removesuffix(WITH_IMAGES)
            format = OF_TEXTS.get(bare, bare)
            texts = {name: holes.get(f"{name} text") for name in Written.model_fields}
            template = texts if bare in OF_TEXTS else None
            said = {"format": format, "columns": columns, "template": template}
            sources = tuple({**part, **said} for part in parts)
            held = (held_out[0], held_out[2]) if held_out else None
            every = frozenset(seeds)
            return Split(sources, shape, limit, system, held, options, bool(mix), every)
    return None


def _helps(node: ast.stmt) -> bool:
    """Whether it assigns a variable that the statements of a split need beside its own."""
    made = ast.unparse(node.value) if isinstance(node, ast.Assign) else ""
    of_texts = made.startswith(("sandbox.from_string(", "ImmutableSandboxedEnvironment("))
    return _target(node) == "roles" or of_texts


_BOTH = ("train, evaluation", "(train, evaluation)")
"""Both names as one target, as releases of Python write it."""


def _held_out(tree: ast.Module) -> tuple[float, Any, str] | None:
    """How many rows a statement holds out, the seed where it says it, and which rows of those drawn."""
    for node in tree.body:
        if (holes := match(HOLD_OUT, node)) is not None:
            return holes["size"], holes["seed"], "first"
        if (holes := match(HOLD_LAST, node)) is not None:
            return holes["size"], None, "last"
    return None


def _last(statements: list[ast.stmt], known: Mapping[str, str], name: str) -> dict[str, Any]:
    """What fills the holes of the last statement, which is taken away; nothing if it is not ``known``."""
    for source in known.values() if statements else ():
        if (holes := match(source.replace("ROWS", name), statements[-1])) is not None:
            statements.pop()
            return holes
    return {}


def _first(statements: list[ast.stmt], known: str, name: str) -> dict[str, Any]:
    """The same of the first statement."""
    holes = match(known.replace("ROWS", name), statements[0]) if statements else None
    if holes is not None:
        statements.pop(0)
    return holes or {}


def _target(node: ast.stmt) -> str:
    """The name that a statement assigns to; empty for any other statement."""
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""


def _renamed_right(holes: dict[str, Any], expected: Mapping[str, str]) -> bool:
    """Whether selected columns end up under the names that trl expects: it tells formats apart."""
    renames = holes.get(RENAMED, {})
    return all(renames.get(holes[ours], holes[ours]) == theirs for ours, theirs in expected.items())


def _parts(value: ast.expr) -> list[dict[str, Any]]:
    empty: dict[str, Any] = {"path": None, "hub": None, "subset": None, "split": "train"}
    empty |= {"files": (), "revision": None, "limit": None, "share": None, "seed": None}
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "concatenate_datasets":
        (items,) = value.args
        return [part for item in getattr(items, "elts", ()) for part in _parts(item)]
    statement = ast.Expr(value)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "drawn" and value.args:
        inner, value.args[0] = value.args[0], ast.Constant(None)
        drawn = match('drawn("@rows", "@share", seed="@seed")', ast.Expr(value)) or {}
        value.args[0] = inner
        return [
            {**part, "share": drawn.get("share"), "seed": drawn.get("seed")}
            for part in _parts(inner)
        ]
    if (holes := match(OF_FILE, statement)) and holes["loader"] in SUFFIXES.values():
        files = holes["files"] if isinstance(holes["files"], list) else [holes["files"]]
        limit = unsliced(holes["split"])[1]
        return [{**empty, "path": file, "limit": limit} for file in files]
    for form in OF_HUB:
        if (holes := match(form, statement)) is not None:
            split, limit = unsliced(holes["split"])
            named = {**holes, "files": tuple(holes.get("files", ()))}
            return [{**empty, **named, "split": split, "limit": limit}]
    return []
