"""What the whole of a syntax tree tells beforehand: which names and attributes nobody can be sure of."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeGuard

from ftspec.read.scripts.records import Record
from ftspec.read.scripts.scopes import bindings
from ftspec.read.scripts.variables import Variables

CHANGES = frozenset(
    ("append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault", "sort",
     "reverse", "__setitem__")
)  # fmt: skip
"""Methods that change a list or a mapping."""
Stores = Iterable[ast.Attribute | ast.Subscript]


@dataclass
class Doubts:
    """What may change at any time. An assignment that is followed is in doubt no more."""

    never: set[str]
    """Names that are bound from elsewhere."""
    changed: Counter[str]
    """How often the list or mapping of a name may be changed."""
    stored: dict[str, int]
    """How often an attribute of a name is assigned."""
    by_name: bool
    """Whether attributes are set by names that are worked out."""
    variables: Variables
    """Variables of the environment that the script sets."""
    bound: Counter[str]
    """How often each name is bound."""
    followed: set[ast.expr] = field(default_factory=set)
    """Targets of assignments whose effect is known."""

    @classmethod
    def of(cls, tree: ast.Module) -> Doubts:
        """Those about a script, before it is followed."""
        by_name = any(isinstance(n, ast.Name) and n.id == "setattr" for n in ast.walk(tree))
        variables, bound = Variables.of(tree), Counter(bindings(tree))
        return cls(shared(tree), _changed(tree), _stored(tree), by_name, variables, bound)

    def is_changed(self, name: str) -> bool:
        """Whether the list or mapping of a name may be another by now."""
        return self.changed[name] > 0

    def is_set(self, attribute: str, record: Record | None = None) -> bool:
        """Whether an attribute may be another by now; of settings, but for what their own `__init__` does."""
        own = record is not None and attribute in record.made
        return self.stored.get(attribute, 0) > own or self.by_name

    def discount(self, stores: Stores, by: int) -> None:
        """Count assignments out; back in where ``by`` is -1."""
        for node in stores:
            if isinstance(node, ast.Attribute):
                self.stored[node.attr] -= by
            elif isinstance(node.value, ast.Name):
                self.changed[node.value.id] -= by

    def settle(self, node: ast.AST) -> None:
        """What an assignment does is known: it makes the attribute, or the mapping, unsure no more."""
        if self.is_open(node):
            self.followed.add(node)
            self.discount([node], 1)

    def is_open(self, node: ast.AST) -> TypeGuard[ast.Attribute | ast.Subscript]:
        """Whether a node is the target of an assignment that has not been followed."""
        return (
            isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and node not in self.followed
        )


def shared(tree: ast.AST) -> set[str]:
    """Names that are bound from elsewhere: `global`, `nonlocal`, `:=`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                found |= set(names)
            case ast.NamedExpr(target=ast.Name(id=name)):
                found.add(name)
    return found


def _changed(tree: ast.AST) -> Counter[str]:
    """How often the list or mapping of a name may be changed: `rows.append(x)`, `config["a"] = 1`."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=base, attr=method)) if method in CHANGES:
                found[_base(base)] += 1
            case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()):
                found[_base(base)] += 1
            case ast.AugAssign(target=target):
                found[_base(target)] += 1
    return found


def _stored(tree: ast.AST) -> dict[str, int]:
    """How often an attribute of each name is assigned."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            found[node.attr] = found.get(node.attr, 0) + 1
    return found


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
