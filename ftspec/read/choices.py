"""Branches of a script that are certain, and what is tried."""

from __future__ import annotations

import ast
from typing import Any

from ftspec.read.described import Described
from ftspec.read.handed import for_missing, only_imports
from ftspec.read.python import Unknown
from ftspec.read.scopes import bound_in, leaves
from ftspec.read.values import Wanted


class Choices(Described):
    """Which statements run."""

    def __init__(self, source: str, tree: ast.Module, wanted: Wanted) -> None:
        super().__init__(source, tree, wanted)
        self.parts: dict[int, tuple[str, ...]] = {}
        self.followed_stores: set[ast.expr] = set()
        self.unsure: set[ast.expr] = set()
        self.within: tuple[str, ...] = ()
        """The modules that it is imported by way of; none of the script that runs."""

    def _opaque(self, name: str, origin: str = "") -> None:
        """A name is bound to something that is no value."""
        self.scope.forget(name)
        self.scope.of(name).objects[name] = origin

    def _choice(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> bool:
        if ast.unparse(test) == "__name__ == '__main__'":
            self._statements(orelse if self.within else body)
            return True
        try:
            taken, other = (body, orelse) if self._asked(test, [*body, *orelse]) else (orelse, body)
        except Unknown:
            self.unsure.add(test)
            return not any(True for one in (*body, *orelse) for _ in leaves(one))
        for node in (inside for one in other for inside in ast.walk(one)):
            if isinstance(node, ast.Attribute | ast.Subscript):
                self._counted(node)  # it is never set there
        self._statements(taken)
        return True

    def _asked(self, test: ast.expr, within: list[ast.stmt]) -> Any:
        """The answer of a test; what its own branches set is not set before it."""
        stores = [
            node
            for one in within
            for node in ast.walk(one)
            if isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and node not in self.followed_stores
        ]
        if test in self.unsure:  # a branch may have been taken when it was asked before
            return self._literal(test)
        self._discount(stores, 1)
        try:
            return self._literal(test)
        finally:
            self._discount(stores, -1)

    def _discount(self, stores: list[ast.Attribute | ast.Subscript], by: int) -> None:
        for node in stores:
            if isinstance(node, ast.Attribute):
                self.stored[node.attr] -= by
            elif isinstance(node.value, ast.Name):
                self.changed[node.value.id] -= by

    def _counted(self, node: ast.Attribute | ast.Subscript) -> None:
        """What an assignment does is known: it makes the attribute, or the mapping, unsure no more."""
        if not isinstance(node.ctx, ast.Store) or node in self.followed_stores:
            return
        self.followed_stores.add(node)
        self._discount([node], 1)

    def _decided(self, node: ast.expr) -> ast.expr:
        """The part of `a if test else b` that is taken, where that is certain."""
        while isinstance(node, ast.IfExp):
            try:
                node = node.body if self._literal(node.test) else node.orelse
            except Unknown:
                break
        return node

    def _attempt(
        self, node: ast.Try, body: list[ast.stmt], handlers: list[ast.ExceptHandler]
    ) -> bool:
        """What is tried is taken to succeed, where nothing else happens if it does not."""
        self._statements(body)
        handlers = [one for one in handlers if not (only_imports(body) and for_missing(one))]
        otherwise = [leaf for one in handlers for inside in one.body for leaf in leaves(inside)]
        bound = set(bound_in([inside for one in handlers for inside in one.body]))
        for name in bound:
            self._opaque(name)
        if otherwise:
            text = self.text.of(handlers[0]) or "except:"
            self.foreign.append((handlers[0].lineno, text))
            self.parts[handlers[0].lineno] = tuple(self.text.of(leaf) for leaf in otherwise)
        return True
