"""What assignments bind: names, parts of mappings, attributes of settings and of configs."""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts.choices import decided
from ftspec.read.scripts.expressions import evaluate, every, held, held_as, is_value
from ftspec.read.scripts.names import known
from ftspec.read.scripts.origins import followed, origin
from ftspec.read.scripts.records import Record
from ftspec.read.scripts.scopes import Held, bound_in
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.values import key, value


def bind_all(script: Script, targets: list[ast.expr], given: ast.expr) -> bool:
    """`a = b = 1`: whether it was understood."""
    given = decided(script, given)
    stands = known(script, given) if isinstance(given, ast.Name | ast.Attribute) else ""
    first = targets[0]
    if stands.endswith("Trainer") and len(targets) == 1 and isinstance(first, ast.Name):
        script.scope.opaque(first.id)
        script.scope.of(first.id).callees[first.id] = stands
        return True
    understood, found = evaluate(script, given)
    if found is Unknown and isinstance(first, ast.Name) and (parts := held(script, given)):
        script.scope.opaque(first.id)
        script.scope.of(first.id).mappings[first.id] = parts
        return len(targets) == 1
    return every(_bind(script, target, given, understood, found) for target in targets)


def set_later(script: Script, owner: ast.expr, attribute: str, found: Any) -> bool:
    """`args.max_steps = 5`, of a config that was made before."""
    if not isinstance(owner, ast.Name) or not is_value(found):
        return False
    made = script.scope.of(owner.id).objects.get(owner.id, "")
    said = attribute in script.wanted.attributes.get(made, ())
    if not said and not made.rpartition(".")[2][:1].isupper():
        return False
    script.said.values[f"{made}.{attribute}"] = found
    script.said.lines[f"{made}.{attribute}"] = owner.lineno
    return True


def _bind(  # noqa: PLR0911 - one per kind of target
    script: Script, target: ast.expr, given: ast.expr, understood: bool, found: Any
) -> bool:
    match target:
        case ast.Name(id=name):
            _name(script, name, given, found)
            return understood
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return _unpack(script, parts, given, understood, found)
        case ast.Subscript(value=ast.Name(id=name), slice=part) if _put(
            script, name, part, held_as(script, given, understood, found)
        ):
            script.doubts.settle(target)
            return True
        case ast.Subscript(value=mapping, slice=ast.Constant(value=str() as word)):
            read = partial(value, script)
            return script.said.assign(known(script, mapping), f".{word}", given, read)
        case ast.Attribute(value=ast.Name(id=name)) if isinstance(
            record := script.scope.of(name).literals.get(name), Record
        ):
            return _set_anew(script, record, target, understood, found)
        case ast.Attribute(value=owner, attr=attribute):
            if place := known(script, target):
                return script.said.assign(place, "", given, partial(value, script))
            return set_later(script, owner, attribute, found)
    return False


def _name(script: Script, name: str, given: ast.expr, found: Any) -> None:
    if found is Unknown:
        script.scope.opaque(name, origin(script, given))
        return
    script.scope.forget(name)
    if name not in script.doubts.never:
        script.scope.of(name).hold(name, found)


def _unpack(
    script: Script, parts: list[ast.expr], given: ast.expr, understood: bool, found: Any
) -> bool:
    if isinstance(given, ast.Tuple | ast.List) and len(given.elts) == len(parts):
        pairs = zip(parts, given.elts, strict=True)
        if found is Unknown:
            return every(bind_all(script, [part], one) for part, one in pairs)
    if isinstance(found, list | tuple) and len(found) == len(parts):
        values = zip(parts, found, strict=True)
        return every(_bind(script, part, given, understood, one) for part, one in values)
    made = isinstance(given, ast.Call) and followed(script, given.func) is not None
    each = script.each_returned if made else []
    origins = each if len(each) == len(parts) else [origin(script, given)] * len(parts)
    for part, behind in zip(parts, origins, strict=True):
        for name in bound_in([ast.Expr(part)]):
            script.scope.opaque(name, behind)
    return understood


def _put(script: Script, name: str, node: ast.expr, part: Held) -> bool:
    """`settings["lr"] = 1e-4`, of a mapping that is known."""
    word, scope = key(script, node), script.scope.of(name)
    mapping, parts = scope.literals.get(name), scope.mappings.get(name)
    if not word or (not isinstance(mapping, dict) and parts is None):
        return False
    if isinstance(mapping, dict) and part.found is Unknown:
        parts = {one: Held(node, True, found, "") for one, found in mapping.items()}
        mapping[word] = Unknown  # for other names of the same mapping
        script.scope.forget(name)
        scope.objects[name] = ""
        scope.mappings[name] = parts
    elif isinstance(mapping, dict):
        mapping[word] = part.found
    if parts is not None:
        parts[word] = part
    return True


def _set_anew(
    script: Script, record: Record, target: ast.Attribute, understood: bool, found: Any
) -> bool:
    """`args.lr = 1e-4`, of settings that are known."""
    record.values.pop(target.attr, None)
    record.values.update({} if found is Unknown else {target.attr: found})
    script.doubts.settle(target)
    if not record.call:
        return understood
    place = f"{record.call}.{target.attr}"
    script.said.values.pop(place, None)
    script.said.lines[place] = target.lineno
    if not is_value(found):
        return False
    script.said.values[place] = found
    return True
