"""Settings that a script declares as a class of its own, and makes objects of."""

from __future__ import annotations

import ast
from typing import Any

from ftspec.read.python import Unknown
from ftspec.read.scripts import records
from ftspec.read.scripts.defaults import defined
from ftspec.read.scripts.doubts import Doubts
from ftspec.read.scripts.literals import Read
from ftspec.read.scripts.records import Record
from ftspec.read.scripts.state import Script


def declared(script: Script, made: ast.ClassDef, read: Read, alone: bool = False) -> Record:
    """The settings of a class, with their defaults; ``alone``: whatever its bases are.

    Raises:
        Unknown: it has a base that nobody knows.
    """
    values: dict[str, Any] = {}
    own, lost = set(records.made_by(made)), set[str]()
    for base in made.bases:
        name = ast.unparse(base)
        other = script.module.classes.get(name) if isinstance(base, ast.Name) else None
        if other is not None and other is not made:
            above = declared(script, other, read)
            values |= above.values
            own |= above.made
            lost |= above.lost
        elif name.rpartition(".")[2] not in records.PLAIN and not alone:
            raise Unknown
    for name, default, _ in records.fields_of(made):
        values.pop(name, None)
        try:
            if default is not None:
                with defined(script, default):
                    values[name] = read(default)
        except Unknown:
            continue
    lost |= {name for name, *_ in records.fields_of(made)}
    return Record(values, frozenset(own), lost=frozenset(lost - values.keys()))


def instance(made: ast.ClassDef, given: dict[str, Any], record: Record) -> Record:
    """The settings of an object, made with such arguments; ``record``: those of its class.

    Raises:
        Unknown: an argument is no setting.
    """
    if given.keys() - record.values.keys() - {name for name, *_ in records.fields_of(made)}:
        raise Unknown
    return Record({**record.values, **given}, record.made, lost=record.lost - given.keys())


def as_mapping(record: Any, doubts: Doubts) -> dict[str, Any]:
    """`vars(args)`, `asdict(settings)`: all settings, where each is known.

    Raises:
        Unknown: one is not.
    """
    if not isinstance(record, Record) or record.call or record.lost or doubts.by_name:
        raise Unknown
    if any(doubts.is_set(name, record) for name in record.values):
        raise Unknown
    return dict(record.values)
