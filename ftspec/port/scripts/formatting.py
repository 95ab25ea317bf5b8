"""What a script makes of its rows: which train, and what a function writes of them.

Scripts hand such a function to `dataset.map`, or to a trainer as `formatting_func`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ftspec.data.images import COLUMN as IMAGES
from ftspec.data.images import MARK
from ftspec.families.rows.instructions import jinja
from ftspec.port.scripts.drawn import Step, drawn, joined, statements, trained, with_numbers
from ftspec.port.scripts.followed import Script, result, text_of
from ftspec.port.scripts.made import (
    Alone,
    Column,
    Each,
    End,
    Picture,
    Rendered,
    Text,
    Tokens,
    Turns,
    Unfollowed,
)
from ftspec.port.scripts.pairs import paired

ROLES = ("system", "user", "assistant")
SPOKEN = "messages"
"""The column in which trl looks for turns."""
MAPPED = frozenset(
    ("batched", "num_proc", "remove_columns", "desc", "load_from_cache_file", "batch_size")
)
"""Arguments of `map` that do not change what a row becomes."""


class Formatting(NamedTuple):
    """What a function writes of each row."""

    kind: Literal["text", "turns", "conversation", "pair"]
    """One text; a conversation of texts; one that a column holds; columns beside each other."""
    said: Mapping[str, Any]
    """The template of the rows, as a spec has it; of a conversation, its `column`."""
    into: str
    """The column that is written."""
    rendered: bool
    """Whether the chat template has made a text of it."""
    ended: bool
    """Whether a text ends with the tokenizer's eos_token."""
    tools: str = ""
    """The column of the tools that the chat template is given."""
    options: tuple[tuple[str, Any], ...] = ()
    """Further values that it is given."""
    images: str = ""
    """The column of the images that its turns have."""
    embedded: bool = False
    """Whether they stand in the turns themselves, and no column beside them."""
    tokens: bool = False
    """Whether the tokenizer has made tokens of it; `said` has their `length` then."""


@dataclass
class Rows:
    """What becomes of the rows that train."""

    lines: set[int] = field(default_factory=set)
    """Where statements stand that were understood whole, `formatting_func=f` among them."""
    written: dict[int, Formatting] = field(default_factory=dict)
    """What functions write, by line."""
    joined: tuple[int, int] | None = None
    """How many data sets they are, one after the other, and the line that says so."""
    drawn: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """Which rows train, as `drawn.drawn` says it, and the line that says so."""


@dataclass
class _Made:
    """What functions have written so far."""

    columns: dict[str, Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    """Which of it a later function reads."""

    def of(self, column: Column) -> Any:
        """What stands in a column."""
        if column.name not in self.columns:
            return column
        self.taken.add(column.name)
        value = self.columns[column.name]
        return value.of if isinstance(value, Each) else value


def rows_of(source: str) -> Rows:
    """What is done to the rows that train, and what the same functions do to others.

    ``source`` is Python that parses.
    """
    tree = with_numbers(ast.parse(source))
    script, names = Script.of(tree), trained(tree)
    found, made = Rows(joined=joined(tree, names)), _Made()
    others: list[tuple[int, tuple[Formatting | None, ...]]] = []
    for steps in statements(tree):
        if steps[0].rows and names and steps[0].rows not in names:
            others.append((steps[0].line, tuple(_mapped(step, script, _Made()) for step in steps)))
            continue
        understood = [_taken(step, script, found, made) for step in steps]
        if all(understood):
            found.lines.add(steps[0].line)
    if found.joined and not any(steps[0].line == found.joined[1] for steps in statements(tree)):
        found.lines.add(found.joined[1])
    for line, function in _given(tree):
        for many in (False, True):  # many at once, as trl called it up to 0.12
            if (written := _written(function, many, script, made)) is not None:
                found.written[line] = written
                found.lines.add(line)
    last = max(found.written, default=0)
    found.written = {
        line: one
        for line, one in found.written.items()
        if line == last or one.into not in made.taken
    }
    known = found.written.values()
    found.lines |= {line for line, every in others if all(one in known for one in every)}
    return found


def _taken(step: Step, script: Script, found: Rows, made: _Made) -> bool:
    """Whether a step was understood; notes what it does."""
    if step.method == "map":
        if (written := _mapped(step, script, made)) is not None:
            found.written[step.line] = written
        return written is not None
    said = drawn(step, {key: value for key, (value, _) in found.drawn.items()})
    found.drawn |= {key: (value, step.line) for key, value in (said or {}).items()}
    return said is not None


def _mapped(step: Step, script: Script, made: _Made) -> Formatting | None:
    named = {one.arg: one.value for one in step.call.keywords}
    given: frozenset[str] = frozenset()
    match named.pop("fn_kwargs", None):
        case ast.Dict(keys=keys, values=values) if all(isinstance(one, ast.Name) for one in values):
            given = frozenset(str(one.value) for one in keys if isinstance(one, ast.Constant))
        case ast.expr():
            return None
    match step, named.get("batched", ast.Constant(value=False)):
        case Step(method="map", call=ast.Call(args=[function])), ast.Constant(value=bool() as many):
            return _written(function, many, script, made, given) if named.keys() <= MAPPED else None
    return None


def _given(tree: ast.Module) -> Iterator[tuple[int, ast.expr]]:
    """The function that a trainer is given."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="formatting_func", value=ast.Name() | ast.Lambda() as function):
                yield function.lineno, function


def _written(
    function: ast.expr,
    many: bool,
    script: Script,
    made: _Made,
    given: frozenset[str] = frozenset(),
) -> Formatting | None:
    """What a function writes; ``made`` holds what earlier ones wrote, and then what this one does."""
    try:
        found = result(function, script, many, given)
        values = {into or "text": value for into, value in found.items()}
        written = _pair(values, made)
        shown = values.pop(IMAGES, None) if len(values) > 1 else None
        if written is None and len(values) == 1:
            ((into, value),) = values.items()
            turns = isinstance(value, Turns) and "" in found
            written = _formatting("" if turns else into, value, made)
            if isinstance(value, Turns):
                images, embedded = _shown(value, shown)
                written = written._replace(images=images, embedded=embedded)
            elif shown is not None:
                return None
    except (Unfollowed, ValueError):
        return None
    made.columns |= values if written else {}
    return written


def _shown(turns: Turns, written: Any) -> tuple[str, bool]:
    """The column of the images in these turns, and whether they stand in them; empty if they have none.

    ``written``: the column `images`.

    Raises:
        Unfollowed: they are in several columns, or more than those of a column.
    """
    places = [piece.name for _, text in turns.turns for piece in text if isinstance(piece, Picture)]
    if not places:
        if written is not None:
            raise Unfollowed
        return "", False
    if any(places):
        if written is not None or len(places) > 1:
            raise Unfollowed
        return places[0], True
    if isinstance(written, Alone) and len(places) == 1:
        return written.of.name, False
    if isinstance(written, Column):
        return written.name, False
    if written is None:
        return IMAGES, False
    raise Unfollowed


def _pair(values: Mapping[str, Any], made: _Made) -> Formatting | None:
    said = paired(values, lambda text: _template(text, made))
    if said is None or any(name in made.columns for name in said.get("columns", {}).values()):
        return None
    return Formatting("pair", said, "", rendered=False, ended=False)


def _formatting(into: str, value: Any, made: _Made) -> Formatting:
    """The result of a function, as a template of rows. ``made``: what earlier ones wrote, by column.

    Raises:
        ValueError: a column has a name that no template can say.
    """
    value = value.of if isinstance(value, Each) else value
    if isinstance(value, Tokens):
        of = made.of(value.of) if isinstance(value.of, Column) else value.of
        whole = _formatting(into, of, made)
        return whole._replace(said={**whole.said, "length": value.length}, tokens=True)
    rendered = value if isinstance(value, Rendered) else None
    value = rendered.of if rendered else value
    tools, options = (rendered.tools, rendered.options) if rendered else ("", ())
    if isinstance(value, Column):
        value = made.of(value)
    if isinstance(value, Turns):
        if rendered and any(
            isinstance(piece, Picture) for _, text in value.turns for piece in text
        ):
            raise Unfollowed  # a text alone has no images
        roles = tuple(role for role, _ in value.turns)
        if roles in (ROLES, ROLES[1:]):
            said = {role: _template(text, made) for role, text in value.turns}
            return Formatting(
                "turns", said, into, rendered is not None, ended=False, tools=tools, options=options
            )
        raise Unfollowed
    if isinstance(value, Column) and rendered:
        said = {"column": value.name}
        return Formatting(
            "conversation", said, into, rendered=True, ended=False, tools=tools, options=options
        )
    text = text_of(value)
    ended = text[-1:] == (End(),)
    said = {"text": _template(text[:-1] if ended else text, made)}
    return Formatting("text", said, into, rendered is not None, ended)


def _template(text: Text, made: _Made) -> str:
    columns = [piece.name for piece in text if isinstance(piece, Column)]
    if End() in text or made.columns.keys() & set(columns):
        raise Unfollowed
    form = "".join(
        f"{{{piece.name}}}"
        if isinstance(piece, Column)
        else MARK
        if isinstance(piece, Picture)
        else _braced(str(piece))
        for piece in text
    )
    return jinja(form, {name: name for name in columns})


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
