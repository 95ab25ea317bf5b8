"""What a name of a script stands for: a call that is looked for, or something of its own."""

from __future__ import annotations

import ast

from ftspec.read.scripts import literals
from ftspec.read.scripts.records import Makes
from ftspec.read.scripts.state import Script

DEEPEST = 12
"""Classes upon classes that are looked through."""


def dotted(script: Script, node: ast.expr) -> str:
    """The full name of what is called, import aliases undone; "" of what has none."""
    return literals.dotted(node, script.aliases)


def known(script: Script, node: ast.expr) -> str:
    """The call that is looked for which this is; "" of any other.

    What a script defines itself, or takes from a module of its own, is another.
    """
    root = _root(node)
    if isinstance(root, ast.Name):
        scope = script.scope.of(root.id)
        if root is node and (made := scope.classes.get(root.id)) is not None:
            return _base(script, made)
        if root is node and root.id in scope.callees:
            return scope.callees[root.id]
        if root.id in scope.functions or root.id in scope.classes or root.id in scope.callees:
            return ""
        module = _package(script, root)
        if module and script.wanted.modules and module not in script.wanted.modules:
            return ""
    return _asked_for(script, node) or _alike(script, node)


def is_theirs(script: Script, node: ast.expr) -> bool:
    """Whether a name is a framework's."""
    root = _root(node)
    package = _package(script, root) if isinstance(root, ast.Name) else ""
    return bool(package) and (not script.wanted.modules or package in script.wanted.modules)


def makes(script: Script, name: str) -> Makes | None:
    """What a framework's function makes of settings, by its dotted name."""
    last = name.rpartition(".")[2]
    ours = last in script.scope.of(last).functions
    return None if ours else script.wanted.makes.get(last)


def own_class(script: Script, node: ast.expr | None) -> ast.ClassDef | None:
    """The class of the script that a name stands for."""
    if not isinstance(node, ast.Name):
        return None
    return script.scope.of(node.id).classes.get(node.id)


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _package(script: Script, root: ast.Name) -> str:
    return script.modules.get(root.id, "").partition(".")[0]


def _asked_for(script: Script, node: ast.expr) -> str:
    return literals.asked_for(dotted(script, node), script.wanted.calls)


def _base(script: Script, made: ast.ClassDef, deepest: int = DEEPEST) -> str:
    """The trainer of a framework that a class of the script is a form of; "" of any other."""
    if len(made.bases) != 1 or not deepest:
        return ""
    base = made.bases[0]
    own = own_class(script, base)
    if own is not None and own is not made:
        return _base(script, own, deepest - 1)
    name = _asked_for(script, base) if is_theirs(script, base) else ""
    return name if name.endswith("Trainer") else ""


def _alike(script: Script, node: ast.expr) -> str:
    """The general class's call, of one for a single architecture: `LlamaForCausalLM.from_pretrained`."""
    owner = dotted(script, node).rpartition(".")[0]
    name, method = owner.rpartition(".")[2], getattr(node, "attr", "")
    if f"{name}.{method}" in script.wanted.alike:
        return script.wanted.alike[f"{name}.{method}"]
    if name.startswith("Auto") or not name[:1].isupper():
        return ""
    ends = script.wanted.alike.items()
    return next((call for end, call in ends if f"{name}.{method}".endswith(end)), "")
