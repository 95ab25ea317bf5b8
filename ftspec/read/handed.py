"""What a call hands to a function of a script; whether a `try` is about a missing package alone."""

from __future__ import annotations

import ast


def handed(function: ast.FunctionDef, call: ast.Call | None) -> dict[str, ast.expr | None] | None:
    """Each parameter's argument, or its default; None where it has neither.

    Nothing at all where that is not certain: positional-only parameters, `*args` and `**kwargs`, on either
    side; or where the call does not fit.
    """
    given = function.args
    if given.vararg or given.kwarg or given.posonlyargs:
        return None
    placed = [one.arg for one in given.args]
    names = [*placed, *(one.arg for one in given.kwonlyargs)]
    defaults: dict[str, ast.expr | None] = dict.fromkeys(names)
    if given.defaults:
        defaults |= dict(zip(placed[-len(given.defaults) :], given.defaults, strict=True))
    defaults |= dict(zip(names[len(placed) :], given.kw_defaults, strict=True))
    if call is None:
        return defaults
    spread = any(isinstance(one, ast.Starred) for one in call.args)
    if spread or any(one.arg is None for one in call.keywords) or len(call.args) > len(placed):
        return None
    said = dict(zip(placed, call.args, strict=False))
    said |= {one.arg: one.value for one in call.keywords if one.arg}
    return {**defaults, **said} if said.keys() <= defaults.keys() else None


def only_imports(body: list[ast.stmt]) -> bool:
    """Whether it does nothing but import, and note so, so that it fails where a package is missing alone."""
    noted = (isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant) for one in body)
    found = [isinstance(one, ast.Import | ast.ImportFrom) for one in body]
    return any(found) and all(
        is_import or note for is_import, note in zip(found, noted, strict=True)
    )


def for_missing(handler: ast.ExceptHandler) -> bool:
    """Whether it runs where a package is missing: what a script imports is taken to be there."""
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(one and ast.unparse(one) in ("ImportError", "ModuleNotFoundError") for one in named)
