"""What the fields of the models mean: the texts below them, read where a schema or a page needs them.

pydantic can read them itself (`use_attribute_docstrings`), but it would at every start: a third of the
time in which the models are made, for texts that no command but `schema` shows.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

from ftspec.spec.base import Node


def description(model: type[Node], name: str) -> str:
    """The text below a field, without its indentation; empty if it has none."""
    owners = [owner for owner in model.__mro__ if issubclass(owner, Node) and owner is not Node]
    return next((texts[name] for texts in map(_texts, owners) if name in texts), "")


@cache
def _texts(model: type[Node]) -> dict[str, str]:
    texts: dict[str, str] = {}
    name = ""
    for statement in _classes(model.__module__)[model.__name__].body:
        if name and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            texts[name] = inspect.cleandoc(str(statement.value.value))
        target = statement.target if isinstance(statement, ast.AnnAssign) else None
        name = target.id if isinstance(target, ast.Name) else ""
    return texts


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
