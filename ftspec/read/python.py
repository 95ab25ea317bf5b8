"""Keyword arguments out of a training script, by its syntax tree. Nothing is executed.

What cannot be read for certain is not guessed: it is handed back as foreign, with its line.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from ftspec.read.scopes import bindings
from ftspec.read.text import Segments, refuse_huge, wrong

NAMES = frozenset({"torch.bfloat16", "torch.float16", "torch.float32", "torch.float64"})
"""Dotted names that are read as strings of the same text; the same as emit.literal.NAMES."""

HUGE = re.compile(r"0[xob][0-9a-f_]{3000}", re.IGNORECASE)
LARGEST = 10**1000
"""Of what is larger Python itself may not write the digits."""


def stored_of(model: Any) -> str:
    """What `AutoConfig.from_pretrained(model).dtype` is read as: the type that a configuration names."""
    return f"the type that {model} is stored in"


@dataclass(frozen=True)
class Calls:
    """What a script sets, and what in it was not understood."""

    values: dict[str, Any] = field(default_factory=dict)
    """`SFTConfig.learning_rate` -> value. Positional arguments are `load_dataset.0`; the second
    call of a name is `load_dataset#2.split`; `os.environ["A"] = ...` is `os.environ.A`; a plain
    attribute is its own dotted name."""
    foreign: tuple[tuple[int, str], ...] = ()
    """Line and source of each statement or argument that was not understood."""
    lines: dict[str, int] = field(default_factory=dict)
    """Where each value stands."""
    parts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """The simple statements of a loop, a condition and the like, by the line of that."""
    origins: dict[str, str] = field(default_factory=dict)
    """The call behind what an argument is given: `SFTTrainer.model` -> `AutoModel.from_pretrained#2`."""
    taken: tuple[tuple[int, str], ...] = ()
    """Line and text of what was taken for granted, such as a default of the command line."""
    words: frozenset[str] = frozenset()
    """Arguments of the command line that were read."""
    starts: tuple[tuple[int, int], ...] = ()
    """Where trainings start: the line, and how much was foreign before."""
    made: frozenset[str] = frozenset()
    """All calls that are made, with arguments or without."""
    late: frozenset[str] = frozenset()
    """Calls that are made when a training has started."""


class Unknown(Exception):  # noqa: N818 - control flow, never leaves this folder
    """An expression that is no literal."""


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
    return reading(source, lambda tree: Script(source, tree, calls).read())


def reading(source: str, read: Callable[[ast.Module], Calls]) -> Calls:
    """What `read` makes of the syntax tree.

    Raises:
        SpecError: the source is not Python.
    """
    tree = parsed(source)
    try:
        return read(tree)
    except (RecursionError, MemoryError) as error:
        raise wrong("not Python that can be read: nested too deeply") from error


def parsed(source: str) -> ast.Module:
    """The syntax tree of a script.

    Raises:
        SpecError: the source is not Python.
    """
    refuse_huge(source, "a script")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes: none of our business
            tree = ast.parse(source)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        hint = "check this line and the one above"
        raise wrong(f"not Python: {error.msg}", line, column, hint) from error
    except (RecursionError, MemoryError) as error:
        raise wrong("not Python that can be read: nested too deeply") from error
    except ValueError as error:  # NUL, an integer of thousands of digits
        raise wrong(f"not Python: {error}") from error
    for node in ast.walk(tree) if HUGE.search(source) else ():
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value > LARGEST:
            raise wrong("a whole number of thousands of digits", node.lineno, node.col_offset + 1)
    return tree


class Script:
    """A script that is read from its first statement to its last."""

    def __init__(self, source: str, tree: ast.Module, calls: Collection[str]) -> None:
        self.text, self.tree, self.calls = Segments(source), tree, calls
        self.lines: dict[str, int] = {}
        self.values: dict[str, Any] = {}
        self.foreign: list[tuple[int, str]] = []
        self.count: Counter[str] = Counter()
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
        return Calls(self.values, tuple(self.foreign), self.lines)

    def _statements(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not self._statement(statement):
                self._foreign(statement)

    def _statement(self, node: ast.stmt) -> bool:
        """Whether the statement was understood."""
        match node:
            case ast.Import(names=names):
                self.aliases |= {n.asname: n.name for n in names if n.asname}
            case ast.ImportFrom(names=names, module=module):
                self.aliases |= {n.asname or n.name: f"{module}.{n.name}" for n in names}
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
                    literal = self._literal(value)
                except Unknown:
                    self.objects.add(name)
                    return self._expression(value)
                if self.bound[name] == 1:
                    self.literals[name] = literal
                return self.bound[name] == 1
            case ast.Tuple(elts=elements) if all(isinstance(e, ast.Name) for e in elements):
                self.objects |= {e.id for e in elements if isinstance(e, ast.Name)}
                return self._expression(value)
            case ast.Subscript(value=mapping, slice=ast.Constant(value=str() as key)):
                return self._set(self._known(mapping), f".{key}", value)
            case ast.Attribute():
                return self._set(self._known(target), "", value)
        return False

    def _set(self, name: str, key: str, value: ast.expr) -> bool:
        place = name + key
        if not name or place in self.values:
            return False
        try:
            self.values[place] = self._literal(value)
        except Unknown:
            return False
        return True

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
                    self._call(node, name)
                return bool(name)
        return False

    def _call(self, node: ast.Call, name: str) -> None:
        self.count[name] += 1
        if self.count[name] > 1:
            name = f"{name}#{self.count[name]}"
        for position, argument in enumerate(node.args):
            self._argument(f"{name}.{position}", argument)
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._argument(f"{name}.{keyword.arg}", keyword.value)
                continue
            try:
                spread = self._literal(keyword.value)
            except Unknown:
                spread = None
            if isinstance(spread, dict) and not any(
                f"{name}.{key}" in self.values for key in spread
            ):
                self.values |= {f"{name}.{key}": value for key, value in spread.items()}
                self.lines |= {f"{name}.{key}": keyword.value.lineno for key in spread}
            elif not self._spread(name, keyword):
                self._foreign(keyword)

    def _spread(self, _name: str, _keyword: ast.keyword) -> bool:
        """Take the arguments that `**settings` are, where a part of these is no value."""
        return False

    def _argument(self, place: str, node: ast.expr) -> None:
        self.lines.setdefault(place, node.lineno)
        try:
            value = self._literal(node)
        except Unknown:
            if not self._expression(node):
                self._foreign(node, place + " = ")
            return
        if place in self.values:
            self._foreign(node, place + " = ")
        else:
            self.values[place] = value

    def _known(self, node: ast.expr) -> str:
        """The name under which this callee or attribute is asked for; "" if it is not."""
        dotted = self._dotted(node)
        return next((c for c in self.calls if dotted == c or dotted.endswith("." + c)), "")

    def _dotted(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (base := self._dotted(node.value)):
            return f"{base}.{node.attr}"
        return ""

    def _literal(self, node: ast.expr) -> Any:  # noqa: PLR0911 - one per kind of node
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as value):
                return value
            case ast.UnaryOp(
                op=ast.USub() | ast.UAdd() as sign,
                operand=ast.Constant(value=int() | float() as number),
            ) if not isinstance(number, bool):
                return -number if isinstance(sign, ast.USub) else number
            case ast.List(elts=elements):
                return [self._literal(element) for element in elements]
            case ast.Tuple(elts=elements):
                return tuple(self._literal(element) for element in elements)
            case ast.Dict(keys=keys, values=values):
                return self._dict(keys, values)
            case ast.Call(func=ast.Name(id="dict"), args=given, keywords=keywords) if (
                len(given) < 2 and not self.bound["dict"]
            ):
                names = [
                    *(None for _ in given),
                    *(ast.Constant(k.arg) if k.arg else None for k in keywords),
                ]
                return self._dict(names, [*given, *(k.value for k in keywords)])
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute() if (dotted := self._dotted(node)) in NAMES:
                return dotted
            case ast.Attribute(
                value=ast.Call(func=function, args=[model, *_]), attr="dtype" | "torch_dtype"
            ) if self._dotted(function).endswith("AutoConfig.from_pretrained"):
                return stored_of(self._literal(model))
        return self._worked(node)

    def _named(self, name: str) -> Any:
        if name not in self.literals:
            raise Unknown
        value = self.literals[name]
        # A list that is used twice may have been changed between the two.
        if isinstance(value, list | dict) and self.loads[name] > 1:
            raise Unknown
        return value

    def _worked(self, _node: ast.expr) -> Any:
        """What has to be worked out: nothing, in a script that ftspec writes."""
        raise Unknown

    def _dict(self, keys: list[Any], values: list[ast.expr]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(keys, values, strict=True):
            if (
                not isinstance(key, ast.Constant)
                or type(key.value) is not str
                or key.value in found
            ):
                raise Unknown
            found[key.value] = self._literal(value)
        return found

    def _foreign(self, node: ast.stmt | ast.expr | ast.keyword, before: str = "") -> None:
        text = self.text.of(node) or ast.unparse(node)
        self.foreign.append((node.lineno, before + text))
