"""Values that a script takes from a module beside it: `from config import LEARNING_RATE`."""

from __future__ import annotations

import ast
import contextlib
from typing import Any

from ftspec.errors import SpecError
from ftspec.read.choices import Choices
from ftspec.read.python import Calls, Unknown, parsed
from ftspec.read.records import Record, Settings


class Imported(Choices):
    """Names that are bound by imports. What a module calls and defines stays its own: values come along."""

    def read(self) -> Calls:
        """What it sets."""
        raise NotImplementedError

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom):
            found = self._values_of(node, node.module or "") if node.level < 2 else {}
            for one in node.names:
                for name in found if one.name == "*" else [one.name]:
                    if name in found:
                        self.scope.hold(one.asname or name, found[name])
            return
        for one in node.names:
            if "." in one.name and not one.asname:
                continue
            if found := self._values_of(node, one.name):
                self.scope.hold(one.asname or one.name, Settings(found))

    def _values_of(self, node: ast.stmt, module: str) -> dict[str, Any]:
        again = not module or module in self.within
        source = None if again or self.wanted.module is None else self.wanted.module(module)
        if source is None:
            return {}
        try:
            other = type(self)(source, parsed(source), self.wanted)
        except SpecError:
            return {}
        other.within = (*self.within, module)
        other.read()
        self.words |= other.words
        for _, text in other.taken:
            self._take(node.lineno, f"{module}: {text}")
        return dict(other.named())

    def named(self) -> dict[str, Any]:
        """The values under the names of the module; of a class its settings, where nothing changes them."""
        found: dict[str, Any] = {}
        for name in {*self.module.literals, *self.module.classes} - self.never:
            with contextlib.suppress(Unknown):
                made = self.module.classes.get(name)
                value = self._declared(made) if made else self._named(name)
                found[name] = self._sure(value) if isinstance(value, Record) else value
        return found

    def _sure(self, record: Record) -> Record:
        kept = {
            name: value
            for name, value in record.values.items()
            if self.stored.get(name, 0) <= (name in record.made) and not self.set_by_name
        }
        return Record(kept, call=record.call)
