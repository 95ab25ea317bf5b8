"""Values in a script that a person wrote, as far as they are certain: names, classes, arguments."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ftspec.read import records, worked
from ftspec.read.python import NAMES, Script, Unknown
from ftspec.read.records import Fields, Makes, Option, Parser, Record
from ftspec.read.scopes import Scope, changed, set_variables, shared

ENVIRONMENT = ("os.environ.get", "os.getenv", "environ.get", "getenv")
PARSERS = ("HfArgumentParser", "TrlParser", "H4ArgumentParser")
"""transformers' parser of dataclasses, and those that read a file of settings as well."""
PARSES = (
    "parse_args", "parse_known_args", "parse_args_into_dataclasses", "parse_args_and_config", "parse",
)  # fmt: skip

ENUMS: Mapping[str, bool] = {
    "TaskType": False, "IntervalStrategy": True, "SchedulerType": True, "SaveStrategy": True,
    "OptimizerNames": True, "HubStrategy": True,
}  # fmt: skip
"""Enumerations whose members stand for their names, in small letters or as they are."""


AS_MAPPING = ("vars", "asdict")
PARSES_SO = ("fail_with_unknown_args", "look_for_args_file")
"""How it parses: files of arguments that lie beside a script are nobody's."""
UNSAID = "{}: what its command line says is not known: give the command, in quotes"
DEFAULTS = "read as run without arguments: what the command line may say has its default"


class Wanted(NamedTuple):
    """What is looked for in a script."""

    calls: Collection[str]
    """As `read_calls` takes them."""
    followed: Collection[str]
    """Functions are read where they are called, if they make one of these calls."""
    known: Mapping[str, Any]
    """What calls come to that ask what a machine can do."""
    arguments: Mapping[str, Any]
    """What the command line says."""
    through: Collection[str] = ()
    """Calls that give back what they are given, changed."""
    parted: Collection[str] = ()
    """Calls whose result has parts by name, which an origin tells: `load_dataset[train]`."""
    divides: Collection[str] = ()
    """Methods that make parts of what they are called on."""
    valued: Collection[str] = ()
    """Calls whose arguments are values,"""
    objects: Collection[str] = ()
    """but for these."""
    modules: Collection[str] = ()
    """Packages from which the names of calls are taken; from others the same name is another. Empty: any."""
    alike: Mapping[str, str] = {}
    """Calls that are the same for any class whose name ends so: `ForCausalLM.from_pretrained`."""
    environ: Mapping[str, str | None] = {}
    """Variables that are set when it starts; None where the value is not known."""
    attributes: Mapping[str, tuple[str, ...]] = {}
    """By the call that makes an object, attributes that say the same as its arguments of that name."""
    classes: Mapping[str, Mapping[str, Option]] = {}
    """The fields of classes of arguments that frameworks have."""
    makes: Mapping[str, Makes] = {}
    """Functions of frameworks that make something of such settings."""
    files: Callable[[str, str], Any] | None = None
    """Reads a file of settings, by its name and its dialect; raises LookupError where there is none."""
    module: Callable[[str], str | None] | None = None
    """The source of a module beside the script, by its name; None where there is none."""
    words: Sequence[str | None] | None = None
    """The words of the command line; None in the place of one that is not known."""


class Values(Script):
    """What expressions come to."""

    def __init__(self, source: str, tree: ast.Module, wanted: Wanted) -> None:
        super().__init__(source, tree, wanted.calls)
        self.wanted = wanted
        self.scope = self.module = Scope()
        self.never, self.changed = shared(tree), changed(tree)
        self.stored = records.stored(tree)
        self.set_by_name = any(
            isinstance(n, ast.Name) and n.id == "setattr" for n in ast.walk(tree)
        )
        self.variables = set_variables(tree)
        self.taken: dict[tuple[int, str], None] = {}
        self.words: set[str] = set()

    def _named(self, name: str) -> Any:
        scope = self.scope.of(name)
        if name not in scope.literals or name in self.never:
            raise Unknown
        value = scope.literals[name]
        if isinstance(value, list | dict) and self.changed[name] > 0:
            raise Unknown
        if isinstance(value, dict) and Unknown in value.values():
            raise Unknown  # something that is no value was put there
        return value

    def _dict(self, keys: list[Any], values: list[ast.expr]) -> dict[str, Any]:
        """Other mappings may be spread in it: `{**common, "lr": 1}`."""
        found: dict[str, Any] = {}
        for key, value in zip(keys, values, strict=True):
            made = self._literal(value) if key is None else super()._dict([key], [value])
            if not isinstance(made, dict):
                raise Unknown
            found |= made
        return found

    def _literal(self, node: ast.expr) -> Any:
        found = super()._literal(node)
        if not worked.is_small(found):
            raise Unknown
        return found

    def _worked(self, node: ast.expr) -> Any:
        match node:
            case ast.Attribute(value=value, attr=name):
                return self._attribute(node, value, name)
            case ast.Call(func=function):
                return self._result(node, self._dotted(function))
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=variable):
                return self._variable(node, self._literal(variable), [])
            case ast.Compare(
                left=ast.Name(id=name), ops=[test], comparators=[ast.Constant(value=None)]
            ):
                return self._is_none(name, test)
        return worked.worked(node, self._literal)

    def _is_none(self, name: str, test: ast.cmpop) -> bool:
        """Whether there is something under a name: what a known call has made is something."""
        made = bool(self.scope.of(name).objects.get(name))
        found = None if made else self._named(name)
        return worked.QUESTIONS[type(test)](self if made else found, None)

    def _attribute(self, node: ast.Attribute, value: ast.expr, name: str) -> Any:
        owner, _, member = self._dotted(node).rpartition(".")
        if owner == "sys" and member == "argv":
            return self._argv()
        kind = ENUMS.get(owner.rpartition(".")[2])
        if kind is not None:
            return member.lower() if kind else member
        record = self._record(value)
        if (
            name not in record.values
            or self.stored.get(name, 0) > (name in record.made)
            or self.set_by_name
        ):
            raise Unknown
        return record.values[name]

    def _argv(self) -> list[str]:
        """The name of the script, and the words of its command line."""
        said = self.wanted.words
        known = [word for word in said or () if word is not None]
        if said is None or len(known) < len(said):
            raise Unknown
        self.words |= {"", *known}
        return ["script.py", *known]

    def _record(self, node: ast.expr) -> Record:
        if isinstance(node, ast.Name) and (made := self.scope.of(node.id).classes.get(node.id)):
            return self._declared(made)
        found = self._literal(node)
        if not isinstance(found, Record):
            raise Unknown
        return found

    def _declared(self, made: ast.ClassDef, alone: bool = False) -> Record:
        """The settings of a class, with their defaults; ``alone``: whatever its bases are."""
        values: dict[str, Any] = {}
        own, lost = set(records.made_by(made)), set[str]()
        for base in made.bases:
            name = ast.unparse(base)
            if (
                isinstance(base, ast.Name)
                and (other := self.module.classes.get(name))
                and other is not made
            ):
                above = self._declared(other)
                values |= above.values
                own |= above.made
                lost |= above.lost
            elif name.rpartition(".")[2] not in records.PLAIN and not alone:
                raise Unknown
        for name, default, _ in records.fields_of(made):
            values.pop(name, None)
            try:
                if default is not None:
                    values[name] = self._literal(default)
            except Unknown:
                continue
        lost |= {name for name, *_ in records.fields_of(made)}
        return Record(values, frozenset(own), lost=frozenset(lost - values.keys()))

    def _result(self, node: ast.Call, dotted: str) -> Any:  # noqa: PLR0911 - one per kind of call
        """What a call comes to."""
        for name, value in self.wanted.known.items():
            if dotted == name or dotted.endswith("." + name):
                return value
        last = dotted.rpartition(".")[2]
        match node:
            case ast.Call(args=[variable, *default]) if dotted in ENVIRONMENT:
                return self._variable(node, self._literal(variable), default[:1])
            case ast.Call(args=[ast.Name(id="torch"), word]) if dotted == "getattr":
                return self._of_torch(self._literal(word))
            case ast.Call(args=[classes, *_]) if last in PARSERS:
                return self._of_classes(classes)
            case ast.Call(args=[one]) if dotted == "tyro.cli" and not node.keywords:
                if not self.wanted.arguments:
                    self._take(node.lineno, DEFAULTS)
                return self._filled(self._fields(one), node)
            case ast.Call(args=[one]) if last in AS_MAPPING and not node.keywords:
                return self._as_mapping(self._literal(one))
            case ast.Call(func=ast.Attribute(value=parser, attr="add_argument_group")):
                return self._literal(parser)
            case ast.Call(func=ast.Attribute(value=parser, attr=method)) if method in PARSES:
                return self._parsed(node, parser, method)
            case ast.Call(func=ast.Name(id=name)) if made := self.scope.of(name).classes.get(name):
                return self._instance(made, node)
        return Parser() if dotted == "argparse.ArgumentParser" else self._computed(node, dotted)

    def _as_mapping(self, record: Any) -> dict[str, Any]:
        """`vars(args)`, `asdict(settings)`: all settings, where each is known."""
        if not isinstance(record, Record) or record.call or record.lost or self.set_by_name:
            raise Unknown
        if any(self.stored.get(name, 0) > (name in record.made) for name in record.values):
            raise Unknown
        return dict(record.values)

    def _of_torch(self, name: Any) -> Any:
        dotted = f"torch.{name}"
        if dotted not in NAMES:
            raise Unknown
        return dotted

    def _variable(self, node: ast.expr, name: Any, defaults: list[ast.expr]) -> Any:
        if not isinstance(name, str) or name in self.variables:
            raise Unknown
        if name in self.wanted.environ:
            if (said := self.wanted.environ[name]) is None:
                raise Unknown
            return said
        if not defaults and isinstance(node, ast.Subscript):
            raise Unknown
        default = self._literal(defaults[0]) if defaults else None
        self._take(node.lineno, f"the variable {name} is taken to be not set: {default!r}")
        return default

    def _computed(self, node: ast.Call, dotted: str) -> Any:
        if dotted in worked.FUNCTIONS and self.bound[dotted]:
            raise Unknown
        return worked.called(dotted, node, self._literal)

    def _instance(self, made: ast.ClassDef, node: ast.Call) -> Record:
        record = self._declared(made)
        if node.args:
            raise Unknown
        names = [ast.Constant(one.arg) if one.arg else None for one in node.keywords]
        given = self._dict(names, [one.value for one in node.keywords])
        if given.keys() - record.values.keys() - {name for name, *_ in records.fields_of(made)}:
            raise Unknown
        return Record({**record.values, **given}, record.made, lost=record.lost - given.keys())

    def _adds(self, base: ast.expr, call: ast.Call) -> bool:
        try:
            parser = self._literal(base)
        except Unknown:
            return False
        if isinstance(parser, Parser):
            parser.add(call, self._literal, Unknown)
        return isinstance(parser, Parser)

    def _parsed(self, node: ast.Call, base: ast.expr, method: str) -> Any:
        if node.args or any(one.arg not in PARSES_SO for one in node.keywords):
            raise Unknown
        parser = self._literal(base)
        if not isinstance(parser, Parser):
            raise Unknown
        if not self.wanted.arguments and not any(one.call for one in parser.classes):
            self._take(node.lineno, DEFAULTS)
        if parser.classes:
            found = tuple(self._filled(one, node) for one in parser.classes)
            return found[0] if method == "parse" and len(found) == 1 else found
        record = self._filled(Fields(parser.options), node)
        return (record, []) if method == "parse_known_args" else record

    def _filled(self, fields: Fields, node: ast.Call) -> Record:
        """The settings of one class. What is said for a framework's is an argument of its call."""
        values, read = records.parsed(fields.options, self.wanted.arguments)
        self.words |= read
        if not fields.call:
            return Record(values, lost=frozenset(fields.options.keys() - values.keys()))
        self.count[fields.call] += 1
        number = self.count[fields.call]
        call = fields.call if number < 2 else f"{fields.call}#{number}"
        if not self.wanted.arguments:
            self.foreign.append((node.lineno, UNSAID.format(fields.call)))
        for name in sorted((read | fields.set) & self.wanted.classes[fields.call].keys()):
            self.lines[f"{call}.{name}"] = node.lineno
            if name in values:
                self.values[f"{call}.{name}"] = values[name]
            else:
                said = f"{call}.{name} = {self.wanted.arguments.get(name)}"
                self.foreign.append((node.lineno, said))
        return Record(values, call=call)

    def _of_classes(self, node: ast.expr) -> Parser:
        """The parser of dataclasses that the script declares, or has from a framework."""
        many = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
        return Parser(classes=tuple(self._fields(one) for one in many))

    def _fields(self, node: ast.expr) -> Fields:
        made = self.scope.of(node.id).classes.get(node.id) if isinstance(node, ast.Name) else None
        if made is None:
            name = self._framework(node)
            return Fields(self.wanted.classes[name], name)
        above = Fields({})
        for base in made.bases:
            own = isinstance(base, ast.Name) and base.id in self.scope.of(base.id).classes
            if not own and ast.unparse(base) not in records.PLAIN:
                name = self._framework(base)
                above = Fields(self.wanted.classes[name], name)
        values = self._declared(made, bool(above.call)).values
        fields = {
            name: Option(values.get(name), records.declared(kind), name in values)
            for name, _, kind in records.fields_of(made)
        }
        known = frozenset(name for name in fields.keys() & above.options.keys() if name in values)
        typed = {
            name: replace(above.options[name], default=values[name], known=True) for name in known
        }
        return Fields({**above.options, **fields, **typed}, above.call, known)

    def _framework(self, node: ast.expr) -> str:
        """A class of arguments that a framework has."""
        name = self._dotted(node).rpartition(".")[2]
        if name not in self.wanted.classes or not self._is_theirs(node):
            raise Unknown
        return name

    def _is_theirs(self, _node: ast.expr) -> bool:
        """Whether a name is a framework's."""
        return True

    def _take(self, line: int, text: str) -> None:
        self.taken[(line, text)] = None
