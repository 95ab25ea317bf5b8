"""Classes of a script that are a framework's own, but for methods that only save and tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator

TELLS = frozenset(
    ("log", "log_metrics", "save_metrics", "save_state", "save_model", "_save", "_save_checkpoint",
     "_rotate_checkpoints", "push_to_hub", "_push_from_checkpoint", "create_model_card", "metrics_format")
)  # fmt: skip
"""Methods of a trainer that say or keep what has been trained."""
HELD = frozenset(("model", "model_wrapped", "optimizer", "lr_scheduler", "accelerator", "args"))
"""What a trainer trains with: a method of these may change it."""
KEPT = ("save", "state_dict", "get_", "unwrap", "wait_", "is_", "print", "to_", "log")
"""Starts of their methods that change nothing."""
CHANGED = "{}.{}: a method of the script's own, which may change what is trained"


def changes(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    """What in a class may change what its base does: the line, and a sentence."""
    if node.decorator_list or node.keywords:
        yield node.lineno, CHANGED.format(node.name, "class")
    for one in node.body:
        match one:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[ast.Name(id="_tag_names" | "_name")]):
                continue
            case ast.FunctionDef(name="__init__") if _hands_on(one):
                continue
            case ast.FunctionDef(name=name) if name in TELLS and _only_tells(one):
                continue
        name = getattr(one, "name", "") or ast.unparse(one).splitlines()[0]
        yield one.lineno, CHANGED.format(node.name, name)


def _hands_on(function: ast.FunctionDef) -> bool:
    """Whether an `__init__` does nothing but hand all that it is given to its base."""
    body = [one for one in function.body if not isinstance(one, ast.Pass)]
    body = [one for one in body if not _is_text(one)]
    given = function.args
    if not given.vararg and not given.kwarg:
        return not body
    stars = [f"*{given.vararg.arg}"] if given.vararg else []
    doubled = [f"**{given.kwarg.arg}"] if given.kwarg else []
    if given.kwonlyargs or len(given.args) > 1 or function.decorator_list:
        return False
    wanted = f"super().__init__({', '.join([*stars, *doubled])})"
    return [ast.unparse(one) for one in body] == [wanted]


def _only_tells(function: ast.FunctionDef) -> bool:
    """Whether a method sets nothing of its object, and calls nothing that changes what trains."""
    for node in ast.walk(function):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                return False
            case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()) if "." in ast.unparse(base):
                return False
            case ast.Call(func=ast.Name(id="setattr" | "delattr" | "exec" | "eval")):
                return False
            case ast.Call(func=ast.Attribute(value=owner, attr=method)):
                held = HELD & set(ast.unparse(owner).split("."))
                if held and not method.startswith(KEPT):
                    return False
                if ast.unparse(owner) == "self" and method not in TELLS | {"is_world_process_zero"}:
                    return False
    return True


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
