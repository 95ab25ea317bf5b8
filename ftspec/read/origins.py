"""Where the objects of a script come from: the call that made each, through names, functions and methods."""

from __future__ import annotations

import ast

from ftspec.read import subclasses
from ftspec.read.loaded import LOADS, Loaded
from ftspec.read.python import Unknown
from ftspec.read.values import PARSES, Wanted

DIVIDED = "|"
"""In an origin, rows that were divided: `load_dataset[train]|[test]`."""
DEEPEST = 12
"""Functions within functions that are followed."""
MOST = 500
"""Calls of functions that are followed."""
MOVES = frozenset(("to", "cuda", "train", "eval"))
"""Methods that give back what they are called on, or leave it as it is."""


class Origins(Loaded):
    """What an object is, and which functions are worth to be followed."""

    def __init__(self, source: str, tree: ast.Module, wanted: Wanted) -> None:
        super().__init__(source, tree, wanted)
        self.returned = ""
        self.each_returned: list[str] = []
        self.depth = 0
        self.followed = 0
        self.modules: dict[str, str] = {}

    def _known(self, node: ast.expr) -> str:
        """As in any script; what a script defines itself, or takes from a module of its own, is another."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name):
            scope = self.scope.of(root.id)
            if root is node and (made := scope.classes.get(root.id)) is not None:
                return self._base(made)
            if root is node and root.id in scope.callees:
                return scope.callees[root.id]
            if root.id in scope.functions or root.id in scope.classes or root.id in scope.callees:
                return ""
            module = self.modules.get(root.id, "").partition(".")[0]
            if module and self.wanted.modules and module not in self.wanted.modules:
                return ""
        return super()._known(node) or self._alike(self._dotted(node).rpartition(".")[0], node)

    def _base(self, made: ast.ClassDef, deepest: int = DEEPEST) -> str:
        """The trainer of a framework that a class of the script is a form of; "" of any other."""
        if len(made.bases) != 1 or not deepest:
            return ""
        base = made.bases[0]
        own = self.scope.of(base.id).classes.get(base.id) if isinstance(base, ast.Name) else None
        if own is not None and own is not made:
            return self._base(own, deepest - 1)
        name = self._taken_from(base)
        return name if name.endswith("Trainer") else ""

    def _is_theirs(self, node: ast.expr) -> bool:
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        first = (
            self.modules.get(root.id, "").partition(".")[0] if isinstance(root, ast.Name) else ""
        )
        return bool(first) and (not self.wanted.modules or first in self.wanted.modules)

    def _taken_from(self, node: ast.expr) -> str:
        """The call that is looked for, of a name that the script has from elsewhere."""
        return super()._known(node) if self._is_theirs(node) else ""

    def _call(self, node: ast.Call, name: str) -> None:
        super()._call(node, name)
        made = self.scope.of(node.func.id).classes if isinstance(node.func, ast.Name) else {}
        one = made.get(node.func.id) if isinstance(node.func, ast.Name) else None
        while one is not None:
            self.foreign += subclasses.changes(one)
            base = one.bases[0] if one.bases else None
            other = made.get(base.id) if isinstance(base, ast.Name) else None
            one = None if other is one else other

    def _alike(self, owner: str, node: ast.expr) -> str:
        """The general class's call, of one for a single architecture: `LlamaForCausalLM.from_pretrained`."""
        name, method = owner.rpartition(".")[2], getattr(node, "attr", "")
        if f"{name}.{method}" in self.wanted.alike:
            return self.wanted.alike[f"{name}.{method}"]
        if name.startswith("Auto") or not name[:1].isupper():
            return ""
        ends = self.wanted.alike.items()
        return next((call for end, call in ends if f"{name}.{method}".endswith(end)), "")

    def _origin(self, node: ast.expr) -> str:  # noqa: PLR0911 - one per kind of node
        """The call behind what an expression comes to, once it has been read."""
        match node:
            case ast.Name(id=name):
                return self.scope.of(name).objects.get(name, "")
            case ast.Subscript(value=value, slice=part):
                found, key = self._origin(value), self._key(part)
                return f"{found}[{key}]" if key and self._is_parted(found) else self._rows(found)
            case ast.Attribute(value=value):
                return self._rows(self._origin(value))
            case ast.Call(func=function):
                if name := self._known(function):
                    if name in self.wanted.through and node.args:
                        return self._origin(node.args[0])
                    return name if self.count[name] < 2 else f"{name}#{self.count[name]}"
                if self._function(function) is not None:
                    return self.returned
                if not isinstance(function, ast.Attribute):
                    return ""
                found = self._origin(function.value)
                if found and function.attr in self.wanted.divides:
                    return f"{found}{DIVIDED}"
                return found if function.attr in MOVES else self._rows(found)
        return ""

    def _key(self, node: ast.expr) -> str:
        """What a mapping is asked for, where that is a text."""
        try:
            found = self._literal(node)
        except Unknown:
            return ""
        return found if isinstance(found, str) else ""

    def _is_parted(self, origin: str) -> bool:
        return origin.startswith(tuple(self.wanted.parted))

    def _rows(self, origin: str) -> str:
        """Rows stay rows, whatever a method makes of them; of other things it makes something else."""
        return origin if self._is_parted(origin) else ""

    def _function(self, node: ast.expr) -> ast.FunctionDef | None:
        """The function of the script that is called, if it is worth to be followed."""
        too_much = self.depth > DEEPEST or self.followed > MOST
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            held = self.scope.of(node.value.id).mappings.get(node.value.id, {})
            part = held.get(self._key(node.slice))
            node = part.node if part is not None and self.changed[node.value.id] <= 0 else node
        if not isinstance(node, ast.Name) or node.id in self.never or too_much:
            return None
        scope = self.scope.of(node.id)
        function = scope.functions.get(node.id)
        return function if function is not None and self._matters(function) else None

    def _matters(self, function: ast.FunctionDef) -> bool:
        """Whether a function makes one of the calls that are looked for, or one that it calls does."""
        waiting, seen = [function], {function.name}
        while waiting:
            for node in ast.walk(waiting.pop()):
                dotted = self._dotted(node.func) if isinstance(node, ast.Call) else ""
                wanted = (dotted == c or dotted.endswith("." + c) for c in self.wanted.followed)
                read = dotted.rpartition(".")[2] in PARSES or dotted.endswith(tuple(LOADS))
                if dotted and (read or any(wanted)):
                    return True
                other = self.module.functions.get(dotted)
                if other is not None and dotted not in seen:
                    seen.add(dotted)
                    waiting.append(other)
        return False
