"""Variables of the environment that a script sets itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

DOTENV = "load_dotenv"
"""Takes variables from a file, and leaves those that are set (https://saurabh-kumar.com/python-dotenv/)."""

UNFILED = re.compile(r"(TOKEN|KEY|SECRET|RANK|WORLD_SIZE)$")
"""What such a file may hold all the same: words of access train nothing, and a launcher sets the rest."""


@dataclass
class Variables:
    """Those that may be others than when the script starts; None stands for any."""

    given: set[str | None] = field(default_factory=set)
    """Set, whatever they were."""
    taken: set[str | None] = field(default_factory=set)
    """Taken away, so that it is all the same for those that were not set;"""
    added: bool = False
    """and whether any of those may be set."""

    @classmethod
    def of(cls, tree: ast.AST) -> Variables:
        """Those that a script sets."""
        made = cls()
        for node in ast.walk(tree):
            made.given |= set(_given(node))
            made.taken |= set(_taken(node))
            made.added |= isinstance(node, ast.Call) and _is(node.func, DOTENV)
        return made

    def join(self, others: Variables) -> None:
        """Another file of the same program sets those, too."""
        self.given |= others.given
        self.taken |= others.taken
        self.added |= others.added

    def may_be_other(self, name: str, is_set: bool) -> bool:
        """Whether a variable may have another value by now; ``is_set``: it has one when the script starts."""
        if {name, None} & self.given:
            return True
        if is_set:
            return bool({name, None} & self.taken)
        return self.added and not UNFILED.search(name)


def _given(node: ast.AST) -> Iterator[str | None]:
    match node:
        case ast.Subscript(value=base, slice=key, ctx=ast.Store()) if _is(base, "environ"):
            yield _text(key)
        case ast.Call(
            func=ast.Attribute(value=base, attr="setdefault" | "__setitem__"), args=args
        ) if _is(base, "environ"):
            yield _text(args[0]) if args else None
        case ast.Call(
            func=ast.Attribute(value=base, attr="update"), args=args, keywords=keywords
        ) if _is(base, "environ"):
            yield from (name for one in args for name in _keys(one))
            yield from (one.arg for one in keywords)
        case ast.AugAssign(target=base, value=given) if _is(base, "environ"):
            yield from _keys(given)
        case ast.Assign(targets=[base]) if _is(base, "environ"):
            yield None
        case ast.Call(func=function, keywords=keywords) if _is(function, DOTENV):
            if any(one.arg in (None, "override") for one in keywords):
                yield None


def _taken(node: ast.AST) -> Iterator[str | None]:
    match node:
        case ast.Subscript(value=base, slice=key, ctx=ast.Del()) if _is(base, "environ"):
            yield _text(key)
        case ast.Call(func=ast.Attribute(value=base, attr="pop"), args=[key, *_]) if _is(
            base, "environ"
        ):
            yield _text(key)
        case ast.Call(func=ast.Attribute(value=base, attr="clear" | "popitem")) if _is(
            base, "environ"
        ):
            yield None


def _keys(node: ast.expr) -> Iterator[str | None]:
    """The keys of a mapping that is written out; None of one that is not, and of one that is spread in it."""
    match node:
        case ast.Dict(keys=keys):
            yield from map(_text, keys)
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            yield from (one.arg for one in keywords)
        case _:
            yield None


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is(node: ast.expr, name: str) -> bool:
    """Whether it is called so, wherever it was taken from."""
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return last == name
