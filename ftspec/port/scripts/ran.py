"""What of a script can change the training: not what stands behind it, never runs, or only shows something.

Such statements become empty lines, so that all others keep their numbers. Nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from ftspec.read.python import parsed
from ftspec.read.scripts.scopes import bound_in

TRAINERS = re.compile(r"trainer$|.*_trainer$")
STARTS = "unsloth_train"
"""Unsloth's function around `trainer.train()`."""
BUILTINS = frozenset((
    "bool", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "max", "min", "print",
    "range", "repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "type", "zip",
))  # fmt: skip
CLASSES = frozenset(("TextStreamer", "TextIteratorStreamer"))
METHODS = frozenset((
    "apply_chat_template", "batch_decode", "count", "decode", "describe", "encode", "endswith",
    "fast_generate", "find", "findall", "finditer", "format", "fullmatch", "generate", "get",
    "get_added_vocab", "get_device_name", "get_device_properties", "head", "index", "info",
    "is_available", "isdigit", "item", "items", "join", "keys", "lower", "lstrip", "match",
    "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved", "numel",
    "nunique", "pprint", "removeprefix", "removesuffix", "replace", "rsplit", "rstrip", "search",
    "split", "startswith", "strip", "tail", "title", "tolist", "upper", "value_counts", "values",
))  # fmt: skip
"""Methods that change neither what they are called on nor what they are given."""
MOVES = frozenset(("to", "cuda", "cpu"))
"""What changes a model, and makes a copy of a batch."""
GROWS = frozenset(("append", "extend", "add", "update"))
"""What a function may do to names of its own."""


def ran(source: str) -> str:
    """The script up to its training, without what only shows something; its lines keep their numbers.

    Raises:
        SpecError: the source is not Python.
    """
    tree = parsed(source)
    gone = [node for body in _bodies(tree) for node in _behind(body)]
    left = [node for node in tree.body if node not in gone]
    dead = [node for node in left if _is_dead(node)]
    gone += dead + _shows([node for node in left if node not in dead])
    lines = source.splitlines()
    for node in gone:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        if not _alone(node, first, lines):
            continue
        lines[first - 1 : node.end_lineno] = [""] * ((node.end_lineno or first) - first + 1)
    return "\n".join(lines)


def _alone(node: ast.stmt, first: int, lines: list[str]) -> bool:
    """Whether nothing else stands on the lines of a statement."""
    end = node.end_lineno or first
    behind = lines[end - 1].encode()[node.end_col_offset :].decode().strip()
    before = lines[node.lineno - 1].encode()[: node.col_offset].decode().strip(" \t@")
    return not before and (not behind or behind.startswith("#"))


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Lists of statements that run one after the other, once."""
    waiting: list[list[ast.stmt]] = [tree.body]
    while waiting:
        body = waiting.pop()
        yield body
        for node in body:
            match node:
                case (
                    ast.FunctionDef(body=inner)
                    | ast.With(body=inner)
                    | ast.If(body=inner, orelse=[])
                ):
                    waiting.append(inner)


def _behind(body: list[ast.stmt]) -> list[ast.stmt]:
    """What stands behind the statement that trains; a `return` stays, and so does what it returns."""
    for place, node in enumerate(body):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) and _trains(node):
            return [one for one in body[place + 1 :] if not isinstance(one, ast.Return)]
    return []


def _trains(node: ast.AST) -> bool:
    for one in ast.walk(node):
        match one:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="train")) if (
                TRAINERS.match(name)
            ):
                return True
            case ast.Call(func=ast.Name(id=name)) if name == STARTS:
                return True
    return False


def _is_dead(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test) in ("False", "0")


def _shows(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements that change nothing but names which no other statement reads."""
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    pure = {name for name, node in functions.items() if _is_pure_function(node)}
    pure = {name for name in pure if _calls(functions[name]) <= pure | BUILTINS | METHODS | GROWS}
    found = [node for node in body if _is_pure(node, pure)]
    while True:
        others = [node for node in body if node not in found]
        read = {name for node in others for name in _read(node)} | _bound(others)
        kept = [node for node in found if not read & _bound([node])]
        if len(kept) == len(found):
            return kept
        found = kept


def _is_pure(node: ast.stmt, pure: Iterable[str]) -> bool:
    match node:
        case ast.Expr(value=value) | ast.Assign(targets=[ast.Name()], value=value):
            calls = (one for one in ast.walk(value) if isinstance(one, ast.Call))
            unseen = any(isinstance(one, ast.Await | ast.Yield) for one in ast.walk(value))
            return not unseen and all(_is_pure_call(one, pure) for one in calls)
        case ast.For(target=ast.Name() | ast.Tuple(), iter=rows, body=body, orelse=[]):
            return _is_pure(ast.Expr(rows), pure) and all(_is_pure(one, pure) for one in body)
        case ast.If(test=test, body=body, orelse=other):
            return _is_pure(ast.Expr(test), pure) and all(
                _is_pure(one, pure) for one in body + other
            )
        case ast.Global() | ast.Delete(targets=[ast.Name()]):
            return True
    return False


def _is_pure_call(call: ast.Call, pure: Iterable[str]) -> bool:
    if any(one.arg == "inplace" for one in call.keywords):
        return False
    match call.func:
        case ast.Name(id=name):
            return name in BUILTINS or name in CLASSES or name in pure or name == "tokenizer"
        case ast.Attribute(value=ast.Call(), attr=name) if name in MOVES:
            return True
        case ast.Attribute(attr=name):
            return name in METHODS
    return False


def _is_pure_function(node: ast.FunctionDef) -> bool:
    """Whether a function changes nothing but names of its own."""
    own = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}
    made = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _stores(one)} - own
    for one in ast.walk(node):
        match one:
            case ast.Global() | ast.Nonlocal() | ast.Yield() | ast.Await():
                return False
            case (ast.Attribute() | ast.Subscript()) as target if _stores(target):
                return False
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=grows)) if (
                grows in GROWS and name not in made
            ):
                return False
    return not node.decorator_list


def _calls(node: ast.AST) -> set[str]:
    """What a function calls; a space for what has no name."""
    return {
        one.func.id
        if isinstance(one.func, ast.Name)
        else one.func.attr
        if isinstance(one.func, ast.Attribute)
        else " "
        for one in ast.walk(node)
        if isinstance(one, ast.Call)
    }


def _stores(node: ast.Name | ast.Attribute | ast.Subscript) -> bool:
    return isinstance(node.ctx, ast.Store | ast.Del)


def _bound(body: Iterable[ast.stmt]) -> set[str]:
    """Names that statements bind; one that is deleted was bound before, and is read no more."""
    return set(bound_in([node for node in body if not isinstance(node, ast.Delete)]))


def _read(node: ast.stmt) -> set[str]:
    """Names that a statement takes from the script: those of a function's own aside."""
    used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not _stores(one)}
    if not isinstance(node, ast.FunctionDef):
        return used
    own = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _stores(one)}
    own |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    shared = {
        name
        for one in ast.walk(node)
        if isinstance(one, ast.Global | ast.Nonlocal)
        for name in one.names
    }
    given = (*node.args.defaults, *node.args.kw_defaults, *node.decorator_list)
    outside = {
        one.id for part in given if part for one in ast.walk(part) if isinstance(one, ast.Name)
    }
    return (used - own) | shared | outside
