"""A function of a script, followed from line to line: what it makes of a row. Nothing is executed.

It is followed as long as it joins columns and texts; one that asks, counts or cuts is not understood.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from ftspec.data.images import MARK
from ftspec.port.scripts.made import (
    PIECES,
    Alone,
    Batch,
    Column,
    Each,
    End,
    Picture,
    Position,
    Rendered,
    Row,
    Text,
    Tokens,
    Turns,
    Unfollowed,
)


@dataclass
class Script:
    """The functions and the texts of a script that are bound once."""

    functions: dict[str, ast.FunctionDef | ast.Lambda] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module) -> Script:
        """The names of a script."""
        script, stored = (
            cls(),
            [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _bound(n)],
        )
        defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        names = [node.name for node in defined]
        script.functions = {
            node.name: node
            for node in defined
            if names.count(node.name) == 1 and node.name not in stored
        }
        same = _said_again(tree)
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as made) if (
                    stored.count(name) == 1 and name not in names
                ):
                    script.functions[name] = made
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if stored.count(
                    name
                ) == max(1, same[name]):
                    try:
                        script.texts[name] = text_of(_value(value, {}, script))
                    except Unfollowed:
                        continue
        return script


def _said_again(tree: ast.Module) -> Counter[str]:
    """How often each name is bound to a constant, where it is the same each time, as in notebooks."""
    said: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() as value):
                said.setdefault(name, []).append(ast.dump(value))
    return Counter({name: len(all_) for name, all_ in said.items() if len(set(all_)) == 1})


def _bound(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def result(
    function: ast.expr, script: Script, many: bool, given: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """What a function writes, by column; under "" the value, if it only returns one.

    ``given``: its arguments beside the row, such as a tokenizer.

    Raises:
        Unfollowed: it does more than to join columns and texts.
    """
    match function:
        case ast.Lambda(
            args=ast.arguments(args=[ast.arg(arg=row)]),
            body=ast.Call(
                func=ast.Name() as called, args=[ast.Name(id=handed), *others], keywords=[]
            ),
        ) if row == handed and (inner := _arguments(called, others, script)) is not None:
            return result(called, script, many, inner)
        case ast.Lambda(args=ast.arguments(args=[argument]), body=body):
            return _returned(body, {argument.arg: Row(many)}, script)
        case ast.Name(id=name) if isinstance(made := script.functions.get(name), ast.Lambda):
            return result(made, script, many, given)
        case ast.Name(id=name) if isinstance(made := script.functions.get(name), ast.FunctionDef):
            names = _own(made)
            if names and set(names[1:]) <= given and not made.decorator_list:
                return _run(made.body, {names[0]: Row(many)}, script)
    raise Unfollowed


def _own(function: ast.FunctionDef) -> list[str]:
    """The names of its arguments; none where one of them has a default, or is of another kind."""
    said = function.args
    further = (*said.posonlyargs, *said.kwonlyargs, *said.defaults, said.vararg, said.kwarg)
    return [] if any(further) else [one.arg for one in said.args]


def _arguments(called: ast.Name, others: list[ast.expr], script: Script) -> frozenset[str] | None:
    """What `lambda row: f(row, tokenizer)` hands to the function; None if it hands anything but names."""
    made = script.functions.get(called.id)
    if not isinstance(made, ast.FunctionDef) or not all(isinstance(o, ast.Name) for o in others):
        return None
    names = _own(made)
    return frozenset(names[1:]) if len(names) == len(others) + 1 else None


def text_of(value: Any) -> Text:
    """A value as a text.

    Raises:
        Unfollowed: it is none.
    """
    if isinstance(value, Column | End):
        return (value,)
    if not isinstance(value, tuple) or len(value) > PIECES:
        raise Unfollowed
    if all(isinstance(one, str | Column | End) for one in value):
        return value
    raise Unfollowed


def _run(body: list[ast.stmt], names: dict[str, Any], script: Script) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for node in body:
        match node:
            case ast.Return(value=ast.Name(id=name)) if isinstance(names.get(name), Row):
                return written
            case ast.Return(value=ast.expr() as value):
                return _returned(value, names, script)
            case ast.Assign(
                targets=[
                    ast.Subscript(value=ast.Name(id=row), slice=ast.Constant(value=str() as key))
                ],
                value=value,
            ) if isinstance(names.get(row), Row):
                written[key] = _value(value, names, script)
            case _:
                _step(node, names, script, looped=False)
    raise Unfollowed


def _returned(node: ast.expr, names: Mapping[str, Any], script: Script) -> dict[str, Any]:
    match node:
        case ast.Dict(keys=keys, values=values) if keys:
            texts = [key.value if isinstance(key, ast.Constant) else None for key in keys]
            if all(isinstance(text, str) for text in texts):
                pairs = zip(texts, values, strict=True)
                return {str(text): _column(_value(value, names, script)) for text, value in pairs}
    return {"": _value(node, names, script)}


def _column(value: Any) -> Any:
    """One column of many rows, as one value of each."""
    one = isinstance(value, Batch) and len(value.columns) == 1
    return Each(value.columns[0]) if one else value


def _step(node: ast.stmt, names: dict[str, Any], script: Script, looped: bool) -> None:
    """One statement, and what it does to the names."""
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value="labels"))],
            value=value,
        ) if isinstance(made := names.get(name), Tokens) and not made.padded:
            if ast.unparse(value) not in (f"{name}['input_ids'].copy()", f"{name}['input_ids']"):
                raise Unfollowed  # labels of its own
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=[])) if not looped:
            names[name] = Each()
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            names[name] = _value(value, names, script)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="append"),
                args=[value],
                keywords=[],
            )
        ) if names.get(name) == Each() and looped:
            names[name] = Each(_value(value, names, script))
        case ast.For(target=target, iter=rows, body=body, orelse=[]) if not looped:
            _bind(target, _value(rows, names, script), names)
            for inner in body:
                _step(inner, names, script, looped=True)
        case _:
            raise Unfollowed


def _bind(target: ast.expr, rows: Any, names: dict[str, Any]) -> None:
    """The names of one row in a loop over many."""
    if isinstance(rows, Position) and isinstance(target, ast.Name):
        names[target.id] = rows
        return
    if isinstance(rows, Each) and isinstance(target, ast.Name):
        names[target.id] = rows.of
        return
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    if not isinstance(rows, Batch) or len(targets) != len(rows.columns):
        raise Unfollowed
    for one, column in zip(targets, rows.columns, strict=True):
        if not isinstance(one, ast.Name):
            raise Unfollowed
        names[one.id] = column


def _value(node: ast.expr, names: Mapping[str, Any], script: Script) -> Any:  # noqa: PLR0911 - one per kind
    match node:
        case ast.Constant(value=str() as text):
            return (text,)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Name(id=name) if name in script.texts:
            return script.texts[name]
        case ast.Attribute(attr="eos_token"):
            return (End(),)
        case ast.JoinedStr(values=parts):
            return tuple(piece for part in parts for piece in text_of(_value(part, names, script)))
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return text_of(_value(value, names, script))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(_value(left, names, script)) + text_of(_value(right, names, script))
        case ast.Subscript(value=value, slice=key):
            return _item(_value(value, names, script), key, names)
        case ast.List(elts=[ast.Subscript() | ast.Name() | ast.Call() as one]) if isinstance(
            column := _value(one, names, script), Column
        ):
            return Alone(column)
        case ast.List(elts=elements) if elements:
            return Turns(tuple(_turn(one, names, script) for one in elements))
        case ast.ListComp(elt=made, generators=[ast.comprehension(ifs=[], is_async=0) as loop]):
            inner = dict(names)
            _bind(loop.target, _value(loop.iter, names, script), inner)
            return Each(_value(made, inner, script))
        case ast.Call():
            return _called(node, names, script)
    raise Unfollowed


def _item(of: Any, key: ast.expr, names: Mapping[str, Any]) -> Any:
    match of, key:
        case Row(many=many), ast.Constant(value=str() as name):
            return Batch((Column(name),)) if many else Column(name)
        case Batch(columns=(column,)), ast.Name(id=name) if isinstance(names.get(name), Position):
            return column
    raise Unfollowed


def _turn(node: ast.expr, names: Mapping[str, Any], script: Script) -> tuple[str, Text]:
    match node:
        case ast.Dict(
            keys=[ast.Constant(value="role"), ast.Constant(value="content")],
            values=[ast.Constant(value=str() as role), said],
        ):
            if isinstance(said, ast.List):
                parts = (_part(one, names, script) for one in said.elts)
                return role, tuple(piece for part in parts for piece in part)
            return role, text_of(_value(said, names, script))
    raise Unfollowed


def _part(node: ast.expr, names: Mapping[str, Any], script: Script) -> Text:
    """A part of a content: `{"type": "text", "text": ...}`, or the place of an image."""
    keys = node.keys if isinstance(node, ast.Dict) else []
    given = {
        key.value: value
        for key, value in zip(keys, getattr(node, "values", ()), strict=True)
        if isinstance(key, ast.Constant)
    }
    kind = ast.unparse(given["type"]) if len(given) == len(keys) and "type" in given else ""
    if kind == "'text'" and given.keys() == {"type", "text"}:
        text = text_of(_value(given["text"], names, script))
        if not any(isinstance(piece, str) and MARK in piece for piece in text):
            return text
    if kind == "'image'" and given.keys() == {"type"}:
        return (Picture(""),)
    if kind == "'image'" and given.keys() == {"type", "image"}:
        column = _value(given["image"], names, script)
        if isinstance(column, Column):
            return (Picture(column.name),)
    raise Unfollowed


def _called(node: ast.Call, names: Mapping[str, Any], script: Script) -> Any:  # noqa: PLR0911 - one per kind
    given = {one.arg: one.value for one in node.keywords}
    match node:
        case ast.Call(func=ast.Name(id="zip"), args=rows, keywords=[]):
            found = [_value(one, names, script) for one in rows]
            if all(isinstance(one, Batch) for one in found):
                return Batch(tuple(column for one in found for column in one.columns))
        case ast.Call(
            func=ast.Name(id="range"),
            args=[ast.Call(func=ast.Name(id="len"), args=[rows], keywords=[])],
            keywords=[],
        ) if isinstance(_value(rows, names, script), Batch):
            return Position()
        case ast.Call(func=ast.Name(id="tokenizer"), args=[said]):
            return _tokens(_value(said, names, script), given)
        case ast.Call(func=ast.Attribute(value=form, attr="format"), args=args):
            values = [text_of(_value(one, names, script)) for one in args]
            fields = {str(key): text_of(_value(one, names, script)) for key, one in given.items()}
            return _formatted(text_of(_value(form, names, script)), values, fields)
        case ast.Call(
            func=ast.Attribute(value=text, attr="removeprefix"), args=[ast.Constant(value=str())]
        ) if isinstance(made := _value(text, names, script), Rendered):
            return made  # the token that begins a text, which is put there again
        case ast.Call(
            func=ast.Attribute(value=image, attr="convert"), args=[ast.Constant(value="RGB")]
        ) if isinstance(column := _value(image, names, script), Column):
            return column  # as every image is converted
        case ast.Call(func=ast.Attribute(attr="apply_chat_template"), args=[said]) if _plain(given):
            of = _value(said, names, script)
            tools = _value(given["tools"], names, script) if "tools" in given else Column("")
            if isinstance(of, Turns | Column) and isinstance(tools, Column):
                return Rendered(of, tools.name, _options(given))
    raise Unfollowed


def _tokens(of: Any, given: Mapping[str | None, ast.expr]) -> Tokens:
    """What `tokenizer(text, truncation=True, max_length=512)` comes to."""
    said = {key: one.value for key, one in given.items() if isinstance(one, ast.Constant)}
    known = {"truncation", "max_length", "padding", "return_tensors", "add_special_tokens"}
    odd = said.get("return_tensors") is not None or said.get("add_special_tokens", True) is not True
    if len(said) < len(given) or not given.keys() <= known or odd:
        raise Unfollowed
    length = said.get("max_length") if said.get("truncation") in (True, "longest_first") else None
    if said.get("truncation", False) is not False and not isinstance(length, int):
        raise Unfollowed
    of = of.of if isinstance(of, Each) else _column(of)
    of = of.of if isinstance(of, Each) else of
    return Tokens(of, length if isinstance(length, int) else None, bool(said.get("padding")))


OPTIONS = ("enable_thinking", "reasoning_effort")
"""Values that well-known chat templates read."""


def _plain(given: Mapping[str | None, ast.expr]) -> bool:
    """Whether a chat template is asked for the text of a conversation, and for nothing behind it."""
    said = {key: one.value for key, one in given.items() if isinstance(one, ast.Constant)}
    known = {"tokenize", "add_generation_prompt", "tools", *OPTIONS}
    return (
        given.keys() <= known
        and given.keys() - {"tools"} <= said.keys()
        and said.get("tokenize") is False
        and said.get("add_generation_prompt", False) is False
    )


def _options(given: Mapping[str | None, ast.expr]) -> tuple[tuple[str, Any], ...]:
    said = ((name, given[name]) for name in OPTIONS if name in given)
    return tuple((name, one.value) for name, one in said if isinstance(one, ast.Constant))


def _formatted(form: Text, values: list[Text], fields: Mapping[str, Text]) -> Text:
    """`"...".format(...)`, of fields without a manner of their own."""
    made: list[str | Column | End | Picture] = []
    count = 0
    for piece in form:
        if not isinstance(piece, str):
            raise Unfollowed
        try:
            parsed = list(Formatter().parse(piece))
        except ValueError as error:  # a brace that nothing closes: the script itself would stop
            raise Unfollowed from error
        for plain, name, manner, conversion in parsed:
            made.append(plain)
            if name is None:
                continue
            position = count if name == "" else int(name) if name.isdecimal() else len(values)
            count += name == ""
            filled = values[position] if position < len(values) else fields.get(name)
            if filled is None or manner or conversion:
                raise Unfollowed
            made += filled
    return tuple(made)
