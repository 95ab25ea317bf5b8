"""Objects that a framework's function makes of settings: `get_peft_config(model_args)`."""

from __future__ import annotations

import ast

from ftspec.read.python import Unknown
from ftspec.read.scripts.literals import Read
from ftspec.read.scripts.names import dotted, makes
from ftspec.read.scripts.records import Makes, Record
from ftspec.read.scripts.state import Script


def left_off(what: Makes, node: ast.Call, read: Read) -> None:
    """None, as such a function gives back where a switch of its settings is off.

    Raises:
        Unknown: it is on, or nobody knows.
    """
    record = _given(what, node, read)
    if any(record.values.get(switch, True) for switch in what.switches):
        raise Unknown


def made(script: Script, node: ast.Call, read: Read) -> bool:
    """Note the arguments of the call that such a function makes; False where it makes none."""
    found = makes(script, dotted(script, node.func))
    if found is None:
        return False
    try:
        record = _given(found, node, read)
    except Unknown:
        return False
    if not any(record.values.get(switch) for switch in found.switches):
        return False
    said, call = script.said, script.said.make(found.call)
    for name, key in found.fields.items():
        value = record.values.get(name)
        if value is None:
            continue
        if found.alone and isinstance(value, list) and len(value) == 1 and name in found.alone:
            value = value[0]
        said.values[f"{call}.{key}"] = value
        said.lines[f"{call}.{key}"] = node.lineno
    return True


def _given(what: Makes, node: ast.Call, read: Read) -> Record:
    """The settings that a function is given."""
    record = read(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    if not isinstance(record, Record) or record.call.partition("#")[0] != what.of:
        raise Unknown
    return record
