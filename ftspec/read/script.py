"""Scripts that people wrote, followed from their first statement to their last. Nothing is executed.

Values are worked out as far as they are certain; what is not stays foreign, with its line.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable
from typing import Any

from ftspec.read.handed import handed
from ftspec.read.imported import Imported
from ftspec.read.origins import MOVES
from ftspec.read.python import Calls, Unknown, reading
from ftspec.read.records import Parser, Record, fired
from ftspec.read.scopes import Held, Scope, bound_in, done_by, inner, leaves
from ftspec.read.values import Wanted
from ftspec.read.worked import Folder

STARTERS = ("fire.Fire", "Fire", "typer.run")
"""Calls that run a function with what the command line says."""
FIRES = STARTERS[:2]
RUNNERS = ("sys.exit", "exit", "asyncio.run")
"""Calls that run what they are given."""
DEVICES = ("cuda", "cpu", "mps", "device", "auto")


class _Returned(Exception):  # noqa: N818 - control flow, never leaves this module
    """A function ends, with this."""

    def __init__(self, node: ast.expr | None) -> None:
        self.node = node


def read_script(source: str, wanted: Wanted) -> Calls:
    """The arguments of calls, worked out, and what was not understood.

    Raises:
        SpecError: the source is not Python.
    """
    return reading(source, lambda tree: _Followed(source, tree, wanted).read())


class _Followed(Imported):
    def __init__(self, source: str, tree: ast.Module, wanted: Wanted) -> None:
        super().__init__(source, tree, wanted)
        self.origins: dict[str, str] = {}
        self.starts: list[tuple[int, int]] = []
        self.late: set[str] = set()

    def read(self) -> Calls:
        with contextlib.suppress(_Returned):
            self._statements(self.tree.body)
        folders = {place: str(one) for place, one in self.values.items() if isinstance(one, Folder)}
        return Calls(
            self.values | folders, tuple(self.foreign), self.lines, self.parts, self.origins,
            tuple(self.taken), frozenset(self.words), tuple(self.starts), frozenset(self.count),
            frozenset(self.late),
        )  # fmt: skip

    # statements

    def _statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not self._statement(statement):
                binds = isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign)
                for name in () if binds else bound_in([statement]):
                    self._opaque(name)
                self._foreign(statement)

    def _foreign(self, node: ast.stmt | ast.expr | ast.keyword, before: str = "") -> None:
        super()._foreign(node, before)
        if isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match):
            texts = tuple(self.text.of(leaf) for leaf in leaves(node))
            self.parts[node.lineno] = texts
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if function := self.scope.of(
                name
            ).functions.get(name):
                self.parts[node.lineno] = tuple(self.text.of(one) for one in done_by(function))

    def _statement(self, node: ast.stmt) -> bool:  # noqa: PLR0911, PLR0912 - one per kind of node
        match node:
            case ast.FunctionDef(name=name):
                self.scope.forget(name)
                self.scope.of(name).functions[name] = node
            case ast.ClassDef(name=name):
                self.scope.forget(name)
                self.scope.of(name).classes[name] = node
            case ast.If(test=test, body=body, orelse=orelse):
                return self._choice(test, body, orelse)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
                return self._attempt(node, [*body, *orelse, *finalbody], handlers)
            case ast.With(items=items, body=body):
                for name in bound_in([ast.With(items, [])]):
                    self._opaque(name)
                for item in items:
                    self._open(item)
                self._statements(body)
            case ast.Return(value=value):
                raise _Returned(value)
            case ast.Raise(exc=ast.Call(func=ast.Name(id="SystemExit"), args=[ast.Call() as call])):
                return self._expression(call)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                self._opaque(name)
            case ast.Assign(targets=targets, value=value):
                return self._bind_all(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self._bind_all([target], value)
            case ast.AugAssign(target=ast.Name() as target, op=operation, value=value):
                return self._bind_all(
                    [target], ast.BinOp(ast.Name(target.id, ast.Load()), operation, value)
                )
            case ast.Expr(value=ast.Name(id=name)):
                return name in self.scope.of(name).literals or self._expression(node.value)
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=base, attr="add_argument")) as call
            ):
                return self._adds(base, call)
            case ast.Expr(value=ast.Call(func=ast.Name(id="setattr"), args=[owner, key, value])):
                return isinstance(key, ast.Constant) and self._set_later(
                    owner, str(key.value), self._evaluate(value)[1]
                )
            case ast.Expr(value=ast.Call() as call):
                return self._expression(call)
            case ast.AnnAssign(target=ast.Name(id=name)):
                self.scope.forget(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                local = isinstance(node, ast.ImportFrom) and node.level > 0
                for one in names:
                    name = one.asname or one.name.partition(".")[0]
                    self.scope.forget(name)
                    self.modules[name] = "<own>" if local else start + one.name
                self._import(node)
                return super()._statement(node)
            case _:
                for name in bound_in([node]):
                    self.scope.forget(name)
                return super()._statement(node)
        return True

    # what names are bound to

    def _bind_all(self, targets: list[ast.expr], value: ast.expr) -> bool:
        value = self._decided(value)
        stands = self._known(value) if isinstance(value, ast.Name | ast.Attribute) else ""
        if stands.endswith("Trainer") and len(targets) == 1 and isinstance(targets[0], ast.Name):
            self._opaque(targets[0].id)
            self.scope.of(targets[0].id).callees[targets[0].id] = stands
            return True
        understood, found = self._evaluate(value)
        if found is Unknown and isinstance(targets[0], ast.Name) and (held := self._held(value)):
            name = targets[0].id
            self._opaque(name)
            self.scope.of(name).mappings[name] = held
            return len(targets) == 1
        return _every(self._bind(target, value, understood, found) for target in targets)

    def _evaluate(self, node: ast.expr) -> tuple[bool, Any]:
        """Whether an expression was understood, and its value; `Unknown` if that is none."""
        try:
            return True, self._literal(node)
        except Unknown:
            pass
        if isinstance(node, ast.Call) and (function := self._function(node.func)) is not None:
            return self._inlined(function, node)
        return self._expression(node), Unknown

    def _bind(  # noqa: PLR0911 - one per kind of target
        self, target: ast.expr, value: ast.expr, understood: bool, found: Any
    ) -> bool:
        match target:
            case ast.Name(id=name):
                origin = self._origin(value) if found is Unknown else ""
                self.scope.forget(name)
                if found is Unknown:
                    self.scope.of(name).objects[name] = origin
                elif name not in self.never:
                    self.scope.of(name).hold(name, found)
                return understood
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return self._unpack(parts, value, understood, found)
            case ast.Subscript(value=ast.Name(id=name), slice=key) if self._put(
                name, key, self._held_as(value, understood, found)
            ):
                self._counted(target)
                return True
            case ast.Subscript(value=mapping, slice=ast.Constant(value=str() as key)):
                return self._set(self._known(mapping), f".{key}", value)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if isinstance(
                record := self.scope.of(name).literals.get(name), Record
            ):
                return self._set_anew(record, target, understood, found)
            case ast.Attribute(value=owner, attr=attribute):
                if name := self._known(target):
                    return self._set(name, "", value)
                return self._set_later(owner, attribute, found)
        return False

    def _unpack(self, parts: list[ast.expr], value: ast.expr, understood: bool, found: Any) -> bool:
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(parts):
            pairs = zip(parts, value.elts, strict=True)
            if found is Unknown:
                return _every(self._bind_all([part], one) for part, one in pairs)
        if isinstance(found, list | tuple) and len(found) == len(parts):
            values = zip(parts, found, strict=True)
            return _every(self._bind(part, value, understood, one) for part, one in values)
        made = isinstance(value, ast.Call) and self._function(value.func) is not None
        each = self.each_returned if made else []
        origins = each if len(each) == len(parts) else [self._origin(value)] * len(parts)
        for part, origin in zip(parts, origins, strict=True):
            for name in bound_in([ast.Expr(part)]):
                self._opaque(name, origin)
        return understood

    def _set_anew(
        self, record: Record, target: ast.Attribute, understood: bool, found: Any
    ) -> bool:
        """`args.lr = 1e-4`, of settings that are known."""
        record.values.pop(target.attr, None)
        record.values.update({} if found is Unknown else {target.attr: found})
        self._counted(target)
        if not record.call:
            return understood
        place = f"{record.call}.{target.attr}"
        self.values.pop(place, None)
        self.lines[place] = target.lineno
        if not _is_value(found):
            return False
        self.values[place] = found
        return True

    def _set_later(self, owner: ast.expr, attribute: str, found: Any) -> bool:
        """`args.max_steps = 5`, of a config that was made before."""
        if not isinstance(owner, ast.Name) or not _is_value(found):
            return False
        made = self.scope.of(owner.id).objects.get(owner.id, "")
        said = attribute in self.wanted.attributes.get(made, ())
        if not said and not made.rpartition(".")[2][:1].isupper():
            return False
        self.values[f"{made}.{attribute}"] = found
        self.lines[f"{made}.{attribute}"] = owner.lineno
        return True

    # functions

    def _inlined(self, function: ast.FunctionDef, call: ast.Call | None) -> tuple[bool, Any]:
        """Read a function where it is called."""
        generates = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(function))
        config = self._hydra(function) if function.decorator_list else None
        if generates or (function.decorator_list and config is None):
            return False, Unknown
        scope = inner(function, self.module)
        if config is not None:
            scope.hold(*config)
        elif not self._arguments(function, call, scope):
            return False, Unknown
        before, self.scope = self.scope, scope
        self.depth, self.followed = self.depth + 1, self.followed + 1
        ended: ast.expr | None = None
        try:
            self._statements(function.body)
        except _Returned as returned:
            ended = returned.node
        understood, found = self._evaluate(ended) if ended else (True, None)
        many = ended.elts if isinstance(ended, ast.Tuple) else []
        self.returned = self._origin(ended) if ended and found is Unknown else ""
        self.each_returned = [self._origin(one) for one in many]
        self.scope, self.depth = before, self.depth - 1
        return understood, found

    def _arguments(self, function: ast.FunctionDef, call: ast.Call | None, scope: Scope) -> bool:
        given = handed(function, call)
        for name, node in (given or {}).items():
            if node is None:
                scope.objects[name] = ""
                continue
            understood, found = self._evaluate(node)
            if found is Unknown:
                scope.objects[name] = self._origin(node)
            else:
                scope.hold(name, found)
            if not understood:
                self._foreign(node, f"{function.name}.{name} = ")
        return given is not None

    # expressions

    def _call(self, node: ast.Call, name: str) -> None:
        super()._call(node, name)
        if self.starts:
            number = self.count[name]
            self.late.add(name if number < 2 else f"{name}#{number}")

    def _expression(self, node: ast.expr) -> bool:  # noqa: PLR0911 - one per kind of node
        match node:
            case ast.Call(func=ast.Attribute(value=trainer, attr="train")) if self._origin(
                trainer
            ).partition("#")[0].endswith("Trainer") or ast.unparse(trainer).endswith("trainer"):
                understood = isinstance(trainer, ast.Name) or self._expression(trainer)
                for number, one in enumerate(node.args):
                    self._argument(f"trainer.train.{number}", one)
                for keyword in node.keywords:
                    self._argument(f"trainer.train.{keyword.arg}", keyword.value)
                self.starts.append((node.lineno, len(self.foreign)))
                return understood
            case ast.Call(func=ast.Name(id="unsloth_train")):  # its `trainer.train()`
                self.starts.append((node.lineno, len(self.foreign)))
                return True
            case ast.Name(id=name):
                return name in self.scope.of(name).objects
            case ast.Tuple(elts=parts):
                return _every(self._evaluate(one)[0] for one in parts)
            case ast.Subscript(value=value, slice=ast.Name() | ast.Attribute() as part):
                return self._expression(value) and self._key(part) != ""
            case ast.Call(func=function) if not self._known(function):
                return self._other_call(node, self._dotted(function))
        return super()._expression(node)

    def _is_valued(self, place: str) -> bool:
        """Whether an argument says something by its value, so that no name of something unknown will do."""
        call, _, name = place.rpartition(".")
        return call.partition("#")[0] in self.wanted.valued and name not in self.wanted.objects

    def _other_call(self, node: ast.Call, dotted: str) -> bool:
        if self._described(node, dotted):
            return True
        if (function := self._function(node.func)) is not None:
            return self._inlined(function, node)[0]
        if dotted in STARTERS and len(node.args) == 1 and (made := self._function(node.args[0])):
            return self._started(made, node, dotted)
        if dotted in RUNNERS:
            return _every(self._expression(one) for one in node.args)
        if isinstance(node.func, ast.Attribute):
            moves = node.func.attr in MOVES and all(self._is_device(one) for one in node.args)
            return self._expression(node.func.value) and moves and not node.keywords
        return False

    def _started(self, made: ast.FunctionDef, node: ast.Call, dotted: str) -> bool:
        """A function that is run with what the command line says."""
        names = {one.arg for one in (*made.args.args, *made.args.kwonlyargs)}
        given = names & self.wanted.arguments.keys() if dotted in FIRES else set()
        self.words |= given
        call = ast.Call(
            node.args[0], [], [fired(name, self.wanted.arguments[name]) for name in sorted(given)]
        )
        if not given:
            self._take(node.lineno, f"{made.name}: run with its own defaults")
        return self._inlined(made, ast.copy_location(call, node))[0]

    def _is_device(self, node: ast.expr) -> bool:
        try:
            return str(self._literal(node)).startswith(DEVICES)
        except Unknown:
            return ast.unparse(node).rpartition(".")[2].startswith(DEVICES)

    def _argument(self, place: str, node: ast.expr) -> None:
        self.lines.setdefault(place, node.lineno)
        self._said(place, self._part(node))

    def _said(self, place: str, part: Held) -> None:
        node, understood, found, origin = part
        if _is_value(found):
            if place in self.values:
                self._foreign(node, place + " = ")
            self.values.setdefault(place, found)
            return
        if not understood or (not origin and found is Unknown and self._is_valued(place)):
            self._foreign(node, place + " = ")
        if origin:
            self.origins[place] = origin


def _is_value(found: Any) -> bool:
    return found is not Unknown and not isinstance(found, Record | Parser)


def _every(read: Iterable[bool]) -> bool:
    """Whether all were understood; each is read, whatever became of those before."""
    return all(list(read))
