"""Which functions of a script make a call that is looked for, or call one that does."""

from __future__ import annotations

import ast

from ftspec.read.scripts.arguments import PARSES
from ftspec.read.scripts.files import LOADS
from ftspec.read.scripts.literals import asked_for
from ftspec.read.scripts.names import dotted
from ftspec.read.scripts.state import Script


def reaches(script: Script, function: ast.FunctionDef) -> bool:
    """Whether a function makes such a call, or one that it calls does.

    Each answer is kept until the module's functions are others: a script may call thousands that do not.
    """
    kept = script.reach
    if kept.defined != script.module.defined:
        kept.answers.clear()
        kept.defined = script.module.defined
    if function not in kept.answers:
        functions = script.module.functions
        shares = functions.get(function.name, function) is function
        found, seen = _search(script, function, kept.answers if shares else {})
        kept.answers[function] = found
        if not found and shares:
            kept.answers |= dict.fromkeys((functions[name] for name in seen), False)
    return kept.answers[function]


def _search(
    script: Script, function: ast.FunctionDef, answers: dict[ast.FunctionDef, bool]
) -> tuple[bool, set[str]]:
    """The answer, and the names of functions that were looked through to find it."""
    waiting, seen = [function], set[str]()
    while waiting:
        for callee in _callees(script, waiting.pop()):
            if _is_wanted(script, name := dotted(script, callee)):
                return True, seen
            other = script.module.functions.get(name)
            if other is None or name in seen or name == function.name:
                continue
            seen.add(name)
            if answers.get(other):
                return True, seen
            if other not in answers:
                waiting.append(other)
    return False, seen


def _callees(script: Script, function: ast.FunctionDef) -> list[ast.expr]:
    callees = script.reach.callees
    if function not in callees:
        callees[function] = [n.func for n in ast.walk(function) if isinstance(n, ast.Call)]
    return callees[function]


def _is_wanted(script: Script, name: str) -> bool:
    if not name:
        return False
    reads = name.rpartition(".")[2] in PARSES or name.endswith(tuple(LOADS))
    return reads or bool(asked_for(name, script.wanted.followed))
