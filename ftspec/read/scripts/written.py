"""Keyword arguments out of a script that ftspec writes. Nothing is executed.

What cannot be read for certain is not guessed: it is handed back as foreign, with its line.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection
from typing import Any

from ftspec.read.python import Calls, Unknown, reading
from ftspec.read.scripts.literals import asked_for, dotted, imported, literal, mapping, pairs
from ftspec.read.scripts.said import Said
from ftspec.read.scripts.scopes import bindings
from ftspec.read.text import Segments


def read_calls(source: str, calls: Collection[str]) -> Calls:
    """The literal arguments of the calls of these names, in a script that ftspec writes.

    A name may be dotted (`AutoModel.from_pretrained`) and matches the end of what is called, import
    aliases undone. It may also be an attribute that is assigned (`tokenizer.chat_template`), or a
    mapping whose items are (`os.environ`).

    Read are statements at the top, in `if __name__ == "__main__"` and in a `main()` without
    arguments: what runs exactly once. A call in a loop or a condition is foreign.

    Raises:
        SpecError: the source is not Python.
    """
    return reading(source, lambda tree: _Written(source, tree, calls).read())


class _Written:
    """A script that is read from its first statement to its last."""

    def __init__(self, source: str, tree: ast.Module, calls: Collection[str]) -> None:
        self.tree, self.calls = tree, calls
        self.said = Said(Segments(source))
        self.bound = Counter(bindings(tree))
        self.loads = Counter(
            n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        )
        self.literals: dict[str, Any] = {}
        self.objects: set[str] = set()
        self.aliases: dict[str, str] = {}

    def read(self) -> Calls:
        """What it sets."""
        self._statements(self.tree.body)
        return Calls(self.said.values, tuple(self.said.foreign), self.said.lines)

    def _statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not self._statement(statement):
                self.said.leave(statement)

    def _statement(self, node: ast.stmt) -> bool:
        """Whether the statement was understood."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self.aliases |= imported(node)
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                pass
            case ast.If(test=test, body=body, orelse=[]) if (
                ast.unparse(test) == "__name__ == '__main__'"
            ):
                self._statements(body)
            case ast.FunctionDef(name="main", decorator_list=[], body=body) if self._runs_once(
                node
            ):
                self._statements(body)
            case ast.Expr(value=ast.Call(func=ast.Name(id="main"), args=[], keywords=[])):
                return self.bound["main"] == 1
            case ast.Expr(value=ast.Name(id=name)) if name in self.literals:
                pass  # a notebook shows it
            case ast.Expr(value=value):
                return self._expression(value)
            case ast.Assign(targets=[target], value=value):
                return self._assignment(target, value)
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                return self._assignment(target, value)
            case _:
                return False
        return True

    def _runs_once(self, main: ast.FunctionDef) -> bool:
        return not ast.unparse(main.args) and self.bound["main"] == self.loads["main"] == 1

    def _assignment(self, target: ast.expr, value: ast.expr) -> bool:
        match target:
            case ast.Name(id=name):
                try:
                    found = self._literal(value)
                except Unknown:
                    self.objects.add(name)
                    return self._expression(value)
                if self.bound[name] == 1:
                    self.literals[name] = found
                return self.bound[name] == 1
            case ast.Tuple(elts=elements) if all(isinstance(e, ast.Name) for e in elements):
                self.objects |= {e.id for e in elements if isinstance(e, ast.Name)}
                return self._expression(value)
            case ast.Subscript(value=owner, slice=ast.Constant(value=str() as key)):
                return self.said.assign(self._known(owner), f".{key}", value, self._literal)
            case ast.Attribute():
                return self.said.assign(self._known(target), "", value, self._literal)
        return False

    def _expression(self, node: ast.expr) -> bool:
        """Whether an expression is made of known calls and their results; notes the arguments."""
        match node:
            case ast.Name(id=name):
                return name in self.objects
            case ast.Attribute(value=value):
                return self._expression(value)
            case ast.Subscript(value=value, slice=ast.Constant()):
                return self._expression(value)
            case ast.Call(func=function):
                name = self._known(function)
                if name:
                    self._call(node, self.said.make(name))
                return bool(name)
        return False

    def _call(self, node: ast.Call, name: str) -> None:
        for position, argument in enumerate(node.args):
            self._argument(f"{name}.{position}", argument)
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._argument(f"{name}.{keyword.arg}", keyword.value)
                continue
            try:
                found = self._literal(keyword.value)
            except Unknown:
                found = None
            if not self.said.spread(name, keyword, found):
                self.said.leave(keyword)

    def _argument(self, place: str, node: ast.expr) -> None:
        self.said.lines.setdefault(place, node.lineno)
        try:
            value = self._literal(node)
        except Unknown:
            if not self._expression(node):
                self.said.leave(node, place + " = ")
            return
        if place in self.said.values:
            self.said.leave(node, place + " = ")
        else:
            self.said.values[place] = value

    def _known(self, node: ast.expr) -> str:
        """The name under which this callee or attribute is asked for; "" if it is not."""
        return asked_for(dotted(node, self.aliases), self.calls)

    def _literal(self, node: ast.expr) -> Any:
        return literal(node, self._literal, self.aliases, self._other)

    def _other(self, node: ast.expr) -> Any:
        """What is no literal: a mapping, a name; nothing is worked out in a script that ftspec writes."""
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if (found := pairs(node, not self.bound["dict"])) is None:
            raise Unknown
        return mapping(*found, self._literal)

    def _named(self, name: str) -> Any:
        if name not in self.literals:
            raise Unknown
        value = self.literals[name]
        # A list that is used twice may have been changed between the two.
        if isinstance(value, list | dict) and self.loads[name] > 1:
            raise Unknown
        return value
