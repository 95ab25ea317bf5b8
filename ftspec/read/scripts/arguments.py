"""Settings that a script gets from its command line, by the parser that it makes of it."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts import options, records
from ftspec.read.scripts.declared import declared
from ftspec.read.scripts.literals import Read
from ftspec.read.scripts.names import dotted, is_theirs, own_class
from ftspec.read.scripts.options import Fields, Option, Parser
from ftspec.read.scripts.records import Record
from ftspec.read.scripts.state import Script

PARSERS = ("HfArgumentParser", "TrlParser", "H4ArgumentParser")
"""transformers' parser of dataclasses, and those that read a file of settings as well."""
PARSES = (
    "parse_args", "parse_known_args", "parse_args_into_dataclasses", "parse_args_and_config", "parse",
)  # fmt: skip
PARSES_SO = ("fail_with_unknown_args", "look_for_args_file")
"""How it parses: files of arguments that lie beside a script are nobody's."""
UNSAID = "{}: what its command line says is not known: give the command, in quotes"
DEFAULTS = "read as run without arguments: what the command line may say has its default"


def argv(script: Script) -> list[str]:
    """The name of the script, and the words of its command line.

    Raises:
        Unknown: one of these is not known.
    """
    said = script.wanted.words
    known = [word for word in said or () if word is not None]
    if said is None or len(known) < len(said):
        raise Unknown
    script.said.words |= {"", *known}
    return ["script.py", *known]


def of_classes(script: Script, node: ast.expr, read: Read) -> Parser:
    """The parser of dataclasses that the script declares, or has from a framework."""
    many = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    return Parser(classes=tuple(_fields(script, one, read) for one in many))


def of_class(script: Script, node: ast.expr, line: int, read: Read) -> Record:
    """`tyro.cli(Settings)`: what the command line says of one class."""
    if not script.wanted.arguments:
        script.said.take(line, DEFAULTS)
    return _filled(script, _fields(script, node, read), line)


def parsed(script: Script, call: ast.Call, base: ast.expr, method: str, read: Read) -> Any:
    """`parser.parse_args()`: what the command line says.

    Raises:
        Unknown: it is no parser, or it is told how to parse.
    """
    if call.args or any(one.arg not in PARSES_SO for one in call.keywords):
        raise Unknown
    parser = read(base)
    if not isinstance(parser, Parser):
        raise Unknown
    if not script.wanted.arguments and not any(one.call for one in parser.classes):
        script.said.take(call.lineno, DEFAULTS)
    if parser.classes:
        found = tuple(_filled(script, one, call.lineno) for one in parser.classes)
        return found[0] if method == "parse" and len(found) == 1 else found
    record = _filled(script, Fields(parser.options), call.lineno)
    return (record, []) if method == "parse_known_args" else record


def _filled(script: Script, fields: Fields, line: int) -> Record:
    """The settings of one class. What is said for a framework's is an argument of its call."""
    arguments, said = script.wanted.arguments, script.said
    values, read = options.parsed(fields.options, arguments)
    said.words |= read
    if not fields.call:
        return Record(values, lost=frozenset(fields.options.keys() - values.keys()))
    call = said.make(fields.call)
    if not arguments:
        said.foreign.append((line, UNSAID.format(fields.call)))
    for name in sorted((read | fields.set) & script.wanted.classes[fields.call].keys()):
        said.lines[f"{call}.{name}"] = line
        if name in values:
            said.values[f"{call}.{name}"] = values[name]
        else:
            said.foreign.append((line, f"{call}.{name} = {arguments.get(name)}"))
    return Record(values, call=call)


def _fields(script: Script, node: ast.expr, read: Read) -> Fields:
    made = own_class(script, node)
    if made is None:
        return _framework(script, node)
    above = Fields({})
    for base in made.bases:
        if own_class(script, base) is None and ast.unparse(base) not in records.PLAIN:
            above = _framework(script, base)
    values = declared(script, made, read, bool(above.call)).values
    fields = {
        name: Option(values.get(name), options.declared(kind), name in values)
        for name, _, kind in records.fields_of(made)
    }
    known = frozenset(name for name in fields.keys() & above.options.keys() if name in values)
    typed = {name: replace(above.options[name], default=values[name], known=True) for name in known}
    return Fields({**above.options, **fields, **typed}, above.call, known)


def _framework(script: Script, node: ast.expr) -> Fields:
    """A class of arguments that a framework has."""
    name = dotted(script, node).rpartition(".")[2]
    if name not in script.wanted.classes or not is_theirs(script, node):
        raise Unknown
    return Fields(script.wanted.classes[name], name)
