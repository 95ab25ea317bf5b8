"""A script while it is followed, as data: what its names stand for, and what it has said so far."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ftspec.read.scripts.doubts import Doubts
from ftspec.read.scripts.said import Said
from ftspec.read.scripts.scopes import Scope
from ftspec.read.scripts.wanted import Wanted
from ftspec.read.text import Segments

Follow = Callable[["Script", ast.FunctionDef, ast.Call], tuple[bool, Any]]
"""Reads a function where it is called: whether it was understood, and what it gives back."""


@dataclass
class Reach:
    """Answers that are kept: which functions make a call that is looked for."""

    answers: dict[ast.FunctionDef, bool] = field(default_factory=dict)
    defined: int = 0
    """For which functions of the module they hold."""
    callees: dict[ast.FunctionDef, list[ast.expr]] = field(default_factory=dict)
    """What each function calls."""


@dataclass
class Script:
    """All that is known of a script at one statement. Who reads it further is handed this."""

    wanted: Wanted
    doubts: Doubts
    said: Said
    follow: Follow
    """How a function is read, which takes all that stands above expressions."""
    scope: Scope
    """The names of the function that is read, or of the module,"""
    module: Scope
    """and those of the module."""
    within: tuple[str, ...] = ()
    """The modules that it is imported by way of; none of the script that runs."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Names that imports give to what has another."""
    modules: dict[str, str] = field(default_factory=dict)
    """Where a name was imported from."""
    depth: int = 0
    """How many functions the statement is in,"""
    followed: int = 0
    """and how many calls of functions have been read."""
    returned: str = ""
    """The call behind what the last function gave back,"""
    each_returned: list[str] = field(default_factory=list)
    """or behind each, if these were several."""
    unsure: set[ast.expr] = field(default_factory=set)
    """Tests of which the answer was not certain: any branch may have run."""
    homes: dict[ast.FunctionDef, Scope] = field(default_factory=dict)
    """The names that each function was defined among, which it sees where it is called."""
    defaults: dict[ast.expr, Scope] = field(default_factory=dict)
    """The names that each default of a function or a class was defined among."""
    reach: Reach = field(default_factory=Reach)

    @classmethod
    def of(
        cls, source: str, tree: ast.Module, wanted: Wanted, follow: Follow, *within: str
    ) -> Script:
        """A script at its first statement."""
        scope = Scope()
        return cls(wanted, Doubts.of(tree), Said(Segments(source)), follow, scope, scope, within)

    def alias(self, names: dict[str, str]) -> None:
        """Names stand for what they were imported from."""
        self.aliases |= names
        self.reach.answers.clear()
