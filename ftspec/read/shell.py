"""The argv and environment out of a launch script. Nothing is executed, nothing is expanded."""

from __future__ import annotations

import re
import shlex

from ftspec.read.text import refuse_huge, wrong

_FOLDER = re.compile(r"""(CDPATH=(""|'')? )?cd (-- )?"?\$\(dirname (-- )?"\$0"\)"?""")
_OPTIONS = re.compile(r"set( -[a-z]+)+", re.ASCII)
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII | re.DOTALL)


def read(script: str) -> tuple[list[str], dict[str, str]]:
    """The command of a script such as `emit.shell.launch_script` writes, and its variables.

    Comments, `set` options and the change into the script's folder are understood; so are `export`,
    and variables in front of the command.

    Raises:
        SpecError: a line that is anything else, no command, or two.
    """
    refuse_huge(script, "a launch script")
    environ: dict[str, str] = {}
    argv: list[str] = []
    for number, line in joined_lines(script):
        words = _words(line, number)
        if not words or _OPTIONS.fullmatch(line.strip()):
            continue
        if argv:
            raise wrong(f"a second command: {line.strip()!a}", number)
        if words[0] == "export":
            if rest := _take_assignments(words[1:], environ):
                raise wrong(f"{rest[0]!a} is exported without a value", number)
            continue
        argv = _take_assignments(words, environ)
        if argv and argv[0] == "exec":
            argv = _take_assignments(argv[1:], environ)
    if not argv:
        raise wrong(
            "no command in the script", hint="a launch script ends in the command that trains"
        )
    return argv, environ


def joined_lines(script: str) -> list[tuple[int, str]]:
    """Lines with their numbers, continued ones joined."""
    lines: list[tuple[int, str]] = []
    continued = False
    for number, line in enumerate(script.split("\n"), 1):
        if continued:
            first, begun = lines[-1]
            lines[-1] = (first, begun + line)
        else:
            lines.append((number, line))
        comment = lines[-1][1].lstrip().startswith("#")
        continued = not comment and line.endswith("\\")
        if continued:
            lines[-1] = (lines[-1][0], lines[-1][1][:-1])
    return lines


def _words(line: str, number: int) -> list[str]:
    if line.lstrip().startswith("#") or _FOLDER.fullmatch(line.strip()):
        return []
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise wrong(f"not a shell command: {str(error).lower()}", number) from error
    if found := _expansion(line):
        raise wrong(
            f"{found!a} would be expanded by the shell", number, hint="write the value itself"
        )
    return words


def _expansion(line: str) -> str:
    """The first character that a shell would act on; `$` and a backtick also in double quotes."""
    quote = ""
    escaped = False
    for character in line:
        if escaped:
            escaped = False
        elif quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\":
            escaped = True
        elif character in "$`" or (not quote and character in "|&;<>()*?[]{}~!#"):
            return character
        elif character in "\"'":
            quote = "" if character == quote else (quote or character)
    return ""


def _take_assignments(words: list[str], environ: dict[str, str]) -> list[str]:
    for position, word in enumerate(words):
        found = _ASSIGNMENT.fullmatch(word)
        if found is None:
            return words[position:]
        environ[found[1]] = found[2]
    return []
