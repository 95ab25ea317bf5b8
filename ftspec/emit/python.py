"""Python scripts from Jinja templates that cannot print a raw value.

A template writes every value through one of these filters, or rendering fails:

    {{ value|py }}             a literal
    {{ values|kwargs }}        keyword arguments, one a line
    {{ groups|groups }}        keyword arguments under topic comments, lines filled; the statement
                               around it must end in `# fmt: skip`
    {{ text|assign("NAME") }}  a constant that holds a string
    {{ head|call(a, b=c) }}    a statement that calls; broken up where it is too long for a line
    {{ head|lines(text) }}     a call with one text; a line of the text to a line where it is too long
    {{ text|comment }}         one harmless line, without the `#`
    {{ name|code }}            a dotted name out of `allowed`
    {{ pins|metadata }}        the PEP 723 block
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from ftspec.emit import header, literal, plain

if TYPE_CHECKING:
    import jinja2

_NAME = re.compile(r"[A-Z_]+", re.ASCII)
_HEAD = re.compile(r"([a-z_]+ = )?[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class TemplateError(RuntimeError):
    """A template is wrong. A bug of ours: no spec, however bad, may cause it."""


class Source(str):
    """Source text that a safe filter made. Anything else in a template is refused."""

    __slots__ = ()


NOTHING = Source()


def render(template: Traversable | str, /, *, allowed: Collection[str] = (), **values: Any) -> str:
    """Fill a template (a file, or its text) and check that the result is Python.

    `allowed` are the dotted names that `|code` may write.

    Raises:
        UnsupportedError: a value cannot be written as a literal.
        TemplateError: the template prints a raw or unknown value, or the result is not Python.
    """
    import jinja2  # noqa: PLC0415 - start-up stays fast

    text = template if isinstance(template, str) else template.read_text("utf-8")
    name = "template" if isinstance(template, str) else template.name
    if bad := [word for word in allowed if not _DOTTED.fullmatch(word)]:
        raise TemplateError(f"{name}: not dotted names: {bad}")
    try:
        source = _compiled(text).render(**values, _allowed=frozenset(allowed))
    except jinja2.TemplateError as error:
        raise TemplateError(f"{name}: {error}") from error
    try:
        # Bytes, because an encoding comment counts only there; compile, because the parser alone
        # accepts an argument given twice.
        compile(source.encode(), name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise TemplateError(f"{name}: the result is not Python: {error}") from error
    return source


@cache
def _compiled(text: str) -> jinja2.Template:
    return _environment().from_string(text)


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415

    @jinja2.pass_context
    def code(context: jinja2.runtime.Context, name: Any) -> Source:
        if type(name) is not str or name not in context["_allowed"]:
            raise TemplateError(f"{plain.shown(name)} is not among the names allowed as code")
        return Source(name)

    environment = jinja2.Environment(  # noqa: S701 - Python is written, not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_source,
    )
    environment.filters = {
        "py": _literal,
        "kwargs": _kwargs,
        "groups": _groups,
        "assign": _assign,
        "call": _call,
        "lines": _lines,
        "comment": _comment,
        "code": code,
        "metadata": lambda pins, overrides=(): Source(header.metadata(pins, overrides)),
    }
    return environment


def _only_source(value: Any) -> Source:
    if type(value) is not Source:
        raise TemplateError(f"a raw {type(value).__name__} is printed: {plain.shown(value)}")
    return value


def _literal(value: Any) -> Source:
    return Source(literal.literal(value if type(value) in plain.SCALARS else _defined(value)))


def _defined(value: Any) -> Any:
    import jinja2  # noqa: PLC0415

    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, naming the variable
    return value


def _kwargs(values: Mapping[str, Any], indent: int = 4) -> Source:
    return Source("\n".join(literal.arguments(values, indent)))


def _groups(
    groups: Mapping[str, Mapping[str, Any]], first: Any = NOTHING, indent: int = 4
) -> Source:
    return Source("\n".join(literal.filled(groups, indent, _only_source(first))))


def _assign(text: Any, name: str) -> Source:
    if type(name) is not str or not _NAME.fullmatch(name):
        raise TemplateError(f"{plain.shown(name)} is not the name of a variable")
    return Source(literal.assignment(name, _defined(text)))


def _call(head: str, /, *positional: Any, **named: Any) -> Source:
    if type(head) is not str or not _HEAD.fullmatch(head):
        raise TemplateError(f"{plain.shown(head)} is not the head of a call")
    parts = [
        (value, ()) if type(value) is Source else ("", (_defined(value),)) for value in positional
    ]
    parts += [(f"{name}=", (_defined(value),)) for name, value in named.items()]
    return Source(literal.call(head, parts))


def _lines(head: str, text: Any) -> Source:
    if type(head) is not str or not _HEAD.fullmatch(head):
        raise TemplateError(f"{plain.shown(head)} is not the head of a call")
    return Source(literal.lines(head, _defined(text)))


def _comment(text: str) -> Source:
    if type(text) is not str:
        raise TemplateError(f"a comment is a string, not a {type(text).__name__}")
    return Source(plain.one_line(text))
