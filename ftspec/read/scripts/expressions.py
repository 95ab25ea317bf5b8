"""Calls that a script makes: those that are looked for, with their arguments, and those that are followed."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import partial
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts import subclasses
from ftspec.read.scripts.choices import decided
from ftspec.read.scripts.made import made
from ftspec.read.scripts.names import dotted, known
from ftspec.read.scripts.options import Parser, fired
from ftspec.read.scripts.origins import MOVES, followed, origin
from ftspec.read.scripts.records import Record
from ftspec.read.scripts.scopes import Held
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import key, value

STARTERS = ("fire.Fire", "Fire", "typer.run")
"""Calls that run a function with what the command line says."""
FIRES = STARTERS[:2]
RUNNERS = ("sys.exit", "exit", "asyncio.run")
"""Calls that run what they are given."""
DEVICES = ("cuda", "cpu", "mps", "device", "auto")


def evaluate(script: Script, node: ast.expr) -> tuple[bool, Any]:
    """Whether an expression was understood, and its value; `Unknown` if that is none."""
    try:
        return True, value(script, node)
    except Unknown:
        pass
    if isinstance(node, ast.Call) and (function := followed(script, node.func)) is not None:
        return script.follow(script, function, node)
    return express(script, node), Unknown


def express(script: Script, node: ast.expr) -> bool:  # noqa: PLR0911 - one per kind of node
    """Whether an expression is made of known calls and their results; notes the arguments."""
    match node:
        case ast.Call(func=ast.Attribute(value=trainer, attr="train")) if _is_trainer(
            script, trainer
        ):
            return _train(script, node, trainer)
        case ast.Call(func=ast.Name(id="unsloth_train")):  # its `trainer.train()`
            script.said.start(node.lineno)
            return True
        case ast.Call(func=function):
            if name := known(script, function):
                _call(script, node, name)
                return True
            return _other_call(script, node, dotted(script, function))
        case ast.Name(id=name):
            return name in script.scope.of(name).objects
        case ast.Tuple(elts=parts):
            return every(evaluate(script, one)[0] for one in parts)
        case ast.Attribute(value=owner) | ast.Subscript(value=owner, slice=ast.Constant()):
            return express(script, owner)
        case ast.Subscript(value=owner, slice=ast.Name() | ast.Attribute() as part):
            return express(script, owner) and key(script, part) != ""
    return False


def held(script: Script, node: ast.expr) -> dict[str, Held] | None:
    """The parts of a mapping that is written out, of which one at least is no value."""
    match node:
        case ast.Dict(keys=keys, values=values):
            named = [one.value if isinstance(one, ast.Constant) else None for one in keys]
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if (
            not script.doubts.bound["dict"]
        ):
            named, values = [one.arg for one in keywords], [one.value for one in keywords]
        case _:
            return None
    if not all(isinstance(name, str) for name in named) or len(set(named)) < len(named):
        return None
    return {str(name): _part(script, one) for name, one in zip(named, values, strict=True)}


def held_as(script: Script, node: ast.expr, understood: bool, found: Any) -> Held:
    """What an expression came to, and which call is behind it."""
    is_none = found is Unknown or isinstance(found, Record)
    return Held(node, understood, found, origin(script, node) if is_none else "")


def is_value(found: Any) -> bool:
    """Whether it can be the value of an argument."""
    return found is not Unknown and not isinstance(found, Record | Parser)


def every(read: Iterable[bool]) -> bool:
    """Whether all were understood; each is read, whatever became of those before."""
    return all(list(read))


def _part(script: Script, node: ast.expr) -> Held:
    node = decided(script, node)
    return held_as(script, node, *evaluate(script, node))


def _is_trainer(script: Script, node: ast.expr) -> bool:
    made_by = origin(script, node).partition("#")[0]
    return made_by.endswith("Trainer") or ast.unparse(node).endswith("trainer")


def _train(script: Script, node: ast.Call, trainer: ast.expr) -> bool:
    understood = isinstance(trainer, ast.Name) or express(script, trainer)
    for number, one in enumerate(node.args):
        _argument(script, f"trainer.train.{number}", one)
    for keyword in node.keywords:
        _argument(script, f"trainer.train.{keyword.arg}", keyword.value)
    script.said.start(node.lineno)
    return understood


def _call(script: Script, node: ast.Call, call: str) -> None:
    """A call that is looked for."""
    name = script.said.make(call)
    for position, argument in enumerate(node.args):
        _argument(script, f"{name}.{position}", argument)
    for keyword in node.keywords:
        if keyword.arg is not None:
            _argument(script, f"{name}.{keyword.arg}", keyword.value)
            continue
        try:
            found = value(script, keyword.value)
        except Unknown:
            found = None
        if not script.said.spread(name, keyword, found) and not _spread(script, name, keyword):
            script.said.leave(keyword)
    _changes(script, node.func)
    script.said.made(call)


def _changes(script: Script, function: ast.expr) -> None:
    """What a class of the script's own changes of the framework's."""
    classes = script.scope.of(function.id).classes if isinstance(function, ast.Name) else {}
    one = classes.get(function.id) if isinstance(function, ast.Name) else None
    while one is not None:
        script.said.foreign += subclasses.changes(one)
        base = one.bases[0] if one.bases else None
        other = classes.get(base.id) if isinstance(base, ast.Name) else None
        one = None if other is one else other


def _spread(script: Script, name: str, keyword: ast.keyword) -> bool:
    """Take the arguments that `**settings` are, where a part of these is no value."""
    given = keyword.value
    parts = held(script, given)
    if isinstance(given, ast.Name) and not script.doubts.is_changed(given.id):
        parts = script.scope.of(given.id).mappings.get(given.id)
    for word, part in (parts or {}).items():
        script.said.lines.setdefault(f"{name}.{word}", part.node.lineno)
        _say(script, f"{name}.{word}", part)
    return parts is not None


def _argument(script: Script, place: str, node: ast.expr) -> None:
    script.said.lines.setdefault(place, node.lineno)
    _say(script, place, _part(script, node))


def _say(script: Script, place: str, part: Held) -> None:
    node, understood, found, behind = part
    said = script.said
    if is_value(found):
        if place in said.values:
            said.leave(node, place + " = ")
        said.values.setdefault(place, found)
        return
    if not understood or (not behind and found is Unknown and _is_valued(script, place)):
        said.leave(node, place + " = ")
    if behind:
        said.origins[place] = behind


def _is_valued(script: Script, place: str) -> bool:
    """Whether an argument says something by its value, so that no name of something unknown will do."""
    call, _, name = place.rpartition(".")
    return call.partition("#")[0] in script.wanted.valued and name not in script.wanted.objects


def _other_call(script: Script, node: ast.Call, name: str) -> bool:
    """A call that nobody looks for: it may make one that is."""
    if made(script, node, partial(value, script)):
        return True
    if (function := followed(script, node.func)) is not None:
        return script.follow(script, function, node)[0]
    if name in STARTERS and len(node.args) == 1 and (main := followed(script, node.args[0])):
        return _start(script, main, node, name)
    if name in RUNNERS:
        return every(express(script, one) for one in node.args)
    if isinstance(node.func, ast.Attribute):
        moves = node.func.attr in MOVES and all(_is_device(script, one) for one in node.args)
        return express(script, node.func.value) and moves and not node.keywords
    return False


def _start(script: Script, main: ast.FunctionDef, node: ast.Call, name: str) -> bool:
    """A function that is run with what the command line says."""
    names = {one.arg for one in (*main.args.args, *main.args.kwonlyargs)}
    arguments = script.wanted.arguments
    given = names & arguments.keys() if name in FIRES else set()
    script.said.words |= given
    keywords = [fired(one, arguments[one]) for one in sorted(given)]
    if not given:
        script.said.take(node.lineno, f"{main.name}: run with its own defaults")
    call = ast.copy_location(ast.Call(node.args[0], [], keywords), node)
    return script.follow(script, main, call)[0]


def _is_device(script: Script, node: ast.expr) -> bool:
    try:
        return str(value(script, node)).startswith(DEVICES)
    except Unknown:
        return ast.unparse(node).rpartition(".")[2].startswith(DEVICES)
