"""The Jinja environment of chat templates: what transformers offers them, and no way out of it.

Imports Jinja2; import it inside the function that renders.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

Span = tuple[int, int]


class Sandbox(ImmutableSandboxedEnvironment):
    """An immutable sandbox that raises on unsafe attributes instead of printing nothing."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Raise: an unsafe attribute is never a slip of the pen."""
        raise jinja2.exceptions.SecurityError(
            f"access to attribute {attribute!r} of a {type(obj).__name__} object"
        )


class Generation(Extension):
    """`{% generation %}`: prints its body, and notes where in the whole text it stands."""

    tags = {"generation"}  # noqa: RUF012 -- Jinja declares it so

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        environment.extend(spans_into=self.spans_into)
        self._spans: list[Span] | None = None
        self._blocks: list[str] = []

    def parse(self, parser: Any) -> jinja2.nodes.Node:
        """A call block around the body."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_noted"), [], [], body).set_lineno(line)

    def _noted(self, caller: Any) -> str:
        printed: str = caller()
        if self._spans is not None:
            # what was printed so far; inside a macro or a `set` block that is less than it looks,
            # and transformers, which the spans must agree with, counts the same way
            start = sum(map(len, self._blocks))
            self._spans.append((start, start + len(printed)))
        return printed

    @contextmanager
    def spans_into(self, spans: list[Span], blocks: list[str]) -> Iterator[None]:
        """While one text is rendered into ``blocks``, note spans into ``spans``."""
        self._spans, self._blocks = spans, blocks
        try:
            yield
        finally:
            self._spans, self._blocks = None, []


@cache
def environment() -> Sandbox:
    """The one environment; templates are compiled in it and share nothing else."""
    made = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = _now
    return made


@cache
def writing() -> Sandbox:
    """The environment of texts that rows are written by: plain Jinja, to the last character."""
    return Sandbox(keep_trailing_newline=True, undefined=jinja2.StrictUndefined)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _now(form: str) -> str:
    return datetime.now().strftime(form)  # the local date, as transformers prints it
