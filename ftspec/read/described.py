"""Objects that a function makes of settings, and mappings of which a part is no value."""

from __future__ import annotations

import ast
from typing import Any

from ftspec.read.origins import Origins
from ftspec.read.python import Unknown
from ftspec.read.records import Makes, Record
from ftspec.read.scopes import Held


class Described(Origins):
    """What calls are given through others: `get_peft_config(model_args)`, `**model_kwargs`."""

    def _makes(self, dotted: str) -> Makes | None:
        name = dotted.rpartition(".")[2]
        ours = name in self.scope.of(name).functions
        return None if ours else self.wanted.makes.get(name)

    def _given(self, makes: Makes, node: ast.Call) -> Record:
        """The settings that a function is given."""
        record = self._literal(node.args[0]) if len(node.args) == 1 and not node.keywords else None
        if not isinstance(record, Record) or record.call.partition("#")[0] != makes.of:
            raise Unknown
        return record

    def _result(self, node: ast.Call, dotted: str) -> Any:
        """None of a function that makes something of settings, where a switch of these is off."""
        if (makes := self._makes(dotted)) is None:
            return super()._result(node, dotted)
        record = self._given(makes, node)
        if any(record.values.get(switch, True) for switch in makes.switches):
            raise Unknown
        return None

    def _described(self, node: ast.Call, dotted: str) -> bool:
        """Note the arguments of the call that such a function makes."""
        if (makes := self._makes(dotted)) is None:
            return False
        try:
            record = self._given(makes, node)
        except Unknown:
            return False
        if not any(record.values.get(switch) for switch in makes.switches):
            return False
        self.count[makes.call] += 1
        call = self._counted_name(makes.call)
        for name, key in makes.fields.items():
            value = record.values.get(name)
            if value is None:
                continue
            if makes.alone and isinstance(value, list) and len(value) == 1 and name in makes.alone:
                value = value[0]
            self.values[f"{call}.{key}"] = value
            self.lines[f"{call}.{key}"] = node.lineno
        return True

    def _counted_name(self, call: str) -> str:
        number = self.count[call]
        return call if number < 2 else f"{call}#{number}"

    def _origin(self, node: ast.expr) -> str:
        if isinstance(node, ast.Call) and (makes := self._makes(self._dotted(node.func))):
            return self._counted_name(makes.call) if self.count[makes.call] else ""
        return super()._origin(node)

    def _put(self, name: str, key: ast.expr, part: Held) -> bool:
        """`settings["lr"] = 1e-4`, of a mapping that is known."""
        word, scope = self._key(key), self.scope.of(name)
        mapping, held = scope.literals.get(name), scope.mappings.get(name)
        if not word or (not isinstance(mapping, dict) and held is None):
            return False
        if isinstance(mapping, dict) and part.found is Unknown:
            held = {one: Held(key, True, value, "") for one, value in mapping.items()}
            mapping[word] = Unknown  # for other names of the same mapping
            self.scope.forget(name)
            scope.objects[name] = ""
            scope.mappings[name] = held
        elif isinstance(mapping, dict):
            mapping[word] = part.found
        if held is not None:
            held[word] = part
        return True

    def _spread(self, name: str, keyword: ast.keyword) -> bool:
        given = keyword.value
        held = self._held(given)
        if isinstance(given, ast.Name) and self.changed[given.id] <= 0:
            held = self.scope.of(given.id).mappings.get(given.id)
        for key, part in (held or {}).items():
            self.lines.setdefault(f"{name}.{key}", part.node.lineno)
            self._said(f"{name}.{key}", part)
        return held is not None

    def _said(self, place: str, part: Held) -> None:
        raise NotImplementedError

    def _decided(self, node: ast.expr) -> ast.expr:
        raise NotImplementedError

    def _evaluate(self, node: ast.expr) -> tuple[bool, Any]:
        raise NotImplementedError

    def _held(self, node: ast.expr) -> dict[str, Held] | None:
        """The parts of a mapping that is written out, of which one at least is no value."""
        match node:
            case ast.Dict(keys=keys, values=values):
                named = [key.value if isinstance(key, ast.Constant) else None for key in keys]
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if not self.bound[
                "dict"
            ]:
                named, values = [one.arg for one in keywords], [one.value for one in keywords]
            case _:
                return None
        if not all(isinstance(name, str) for name in named) or len(set(named)) < len(named):
            return None
        return {str(name): self._part(value) for name, value in zip(named, values, strict=True)}

    def _part(self, node: ast.expr) -> Held:
        node = self._decided(node)
        return self._held_as(node, *self._evaluate(node))

    def _held_as(self, node: ast.expr, understood: bool, found: Any) -> Held:
        """What an expression came to, and which call is behind it."""
        is_value = found is not Unknown and not isinstance(found, Record)
        return Held(node, understood, found, "" if is_value else self._origin(node))
