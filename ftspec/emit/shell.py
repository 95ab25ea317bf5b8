"""Commands: for the eye, and as a script that starts the run without ftspec."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from ftspec.emit.plain import hidden, one_line, refuse, shown

WIDTH = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def portable(argv: Sequence[str]) -> list[str]:
    """The same command with the program taken from PATH: an activated environment, not ours.

    `{python}` becomes `python`, `{bin}/torchrun` becomes `torchrun`. Only the program is looked at:
    an argument may hold such text and mean it.
    """
    program = "python" if argv[0] == "{python}" else argv[0].removeprefix("{bin}/")
    return [program, *argv[1:]]


def command(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
    """A command line to show and to paste. Never to run: processes are started from the list."""
    _check(argv, environ or {})
    return " ".join([*_assignments(environ or {}), *map(shlex.quote, argv)])


def launch_script(argv: Sequence[str], environ: Mapping[str, str], comment: str) -> str:
    """A POSIX shell script that runs the command in the script's own folder.

    Raises:
        UnsupportedError: an argument holds what no terminal shows: a newline, NUL, a bidi mark.
    """
    argv = portable(argv)
    _check(argv, environ)
    lines = [
        "#!/bin/sh",
        f"# {one_line(comment)}",
        "set -eu",
        'CDPATH="" cd -- "$(dirname -- "$0")"',
    ]
    lines += [f"export {assignment}" for assignment in _assignments(environ)]
    lines += _wrapped(["exec", *map(shlex.quote, argv)])
    return "\n".join(lines) + "\n"


def _check(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    if not argv or not argv[0] or argv[0].startswith("-") or "=" in argv[0]:
        raise refuse(f"{shown(argv[0] if argv else '')} is not a program")
    for name in environ:
        if not _NAME.fullmatch(name):
            raise refuse(f"{shown(name)} is not the name of an environment variable")
    for text in (*argv, *environ.values()):
        if character := hidden(text):
            raise refuse(
                f"{shown(text)} holds {shown(character)}, which a command line must not hide",
                "take the character out of the name or path",
            )


def _assignments(environ: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(value)}" for name, value in environ.items()]


def _wrapped(words: Sequence[str]) -> list[str]:
    """The words on as many lines as they need."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 <= WIDTH:
            lines[-1] += " " + word
        else:
            lines.append("  " + word)
    return [line + " \\" for line in lines[:-1]] + lines[-1:]
