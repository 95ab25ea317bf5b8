"""Python as text: its syntax tree, and what is found in it. Nothing is executed."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ftspec.read.text import refuse_huge, wrong

NAMES = frozenset({"torch.bfloat16", "torch.float16", "torch.float32", "torch.float64"})
"""Dotted names that are read as strings of the same text; the same as emit.literal.NAMES."""

HUGE = re.compile(r"0[xob][0-9a-f_]{3000}", re.IGNORECASE)
LARGEST = 10**1000
"""Of what is larger Python itself may not write the digits."""


def stored_of(model: Any) -> str:
    """What `AutoConfig.from_pretrained(model).dtype` is read as: the type that a configuration names."""
    return f"the type that {model} is stored in"


@dataclass(frozen=True)
class Calls:
    """What a script sets, and what in it was not understood."""

    values: dict[str, Any] = field(default_factory=dict)
    """`SFTConfig.learning_rate` -> value. Positional arguments are `load_dataset.0`; the second
    call of a name is `load_dataset#2.split`; `os.environ["A"] = ...` is `os.environ.A`; a plain
    attribute is its own dotted name."""
    foreign: tuple[tuple[int, str], ...] = ()
    """Line and source of each statement or argument that was not understood."""
    lines: dict[str, int] = field(default_factory=dict)
    """Where each value stands."""
    parts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """The simple statements of a loop, a condition and the like, by the line of that."""
    origins: dict[str, str] = field(default_factory=dict)
    """The call behind what an argument is given: `SFTTrainer.model` -> `AutoModel.from_pretrained#2`."""
    taken: tuple[tuple[int, str], ...] = ()
    """Line and text of what was taken for granted, such as a default of the command line."""
    words: frozenset[str] = frozenset()
    """Arguments of the command line that were read."""
    starts: tuple[tuple[int, int], ...] = ()
    """Where trainings start: the line, and how much was foreign before."""
    made: frozenset[str] = frozenset()
    """All calls that are made, with arguments or without."""
    late: frozenset[str] = frozenset()
    """Calls that are made when a training has started."""


class Unknown(Exception):  # noqa: N818 - control flow, never leaves this folder
    """An expression that is no literal."""


def reading(source: str, read: Callable[[ast.Module], Calls]) -> Calls:
    """What `read` makes of the syntax tree.

    Raises:
        SpecError: the source is not Python.
    """
    tree = parsed(source)
    try:
        return read(tree)
    except (RecursionError, MemoryError) as error:
        raise wrong("not Python that can be read: nested too deeply") from error


def parsed(source: str) -> ast.Module:
    """The syntax tree of a script.

    Raises:
        SpecError: the source is not Python.
    """
    refuse_huge(source, "a script")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes: none of our business
            tree = ast.parse(source)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        hint = "check this line and the one above"
        raise wrong(f"not Python: {error.msg}", line, column, hint) from error
    except (RecursionError, MemoryError) as error:
        raise wrong("not Python that can be read: nested too deeply") from error
    except ValueError as error:  # NUL, an integer of thousands of digits
        raise wrong(f"not Python: {error}") from error
    for node in ast.walk(tree) if HUGE.search(source) else ():
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value > LARGEST:
            raise wrong("a whole number of thousands of digits", node.lineno, node.col_offset + 1)
    return tree
