"""Commands that a Python script starts: `subprocess.run(["llamafactory-cli", ...])`, `os.system("...")`.

They become lines of a shell script, each at its own line, for the reader of commands. What only the script
knows stays a hole, which is a question there. Nothing is executed.
"""

from __future__ import annotations

import ast
import shlex
import warnings
from collections.abc import Iterator, Mapping

from ftspec.read.text import SIZE

STARTERS = frozenset(
    (
        "llamafactory-cli",
        "lmf",
        "torchrun",
        "accelerate",
        "deepspeed",
        "python",
        "python3",
        "trl",
        "axolotl",
    )
)
"""First words of the lists that are commands."""
CALLS = ("system", ".run", "Popen", "call")
"""Ends of the calls that are given a command as one text."""


def commands(source: str) -> str:
    """The script's commands as a shell would have them; empty where it is no Python."""
    if len(source) > SIZE:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes: none of our business
            tree = ast.parse(source)
        lines = [""] * (source.count("\n") + 1)
        for line, command in _found(tree):
            lines[line - 1] = command
        return "\n".join(lines)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # the reader of scripts says what is wrong


def _found(tree: ast.Module) -> Iterator[tuple[int, str]]:
    texts = _texts(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.List):
            words = [_word(one, texts) for one in node.elts]
            if words and words[0] in STARTERS:
                yield node.lineno, " ".join(words)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(CALLS):
            given = node.args[0] if node.args else None
            if isinstance(given, ast.Constant | ast.JoinedStr | ast.Name):
                yield node.lineno, " ".join(_inside(given, texts).split())


def _texts(tree: ast.Module) -> Mapping[str, str]:
    """Names that are set once, to a text or a number."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return {
        name: str(values[0].value)
        for name, values in found.items()
        if len(values) == 1
        and isinstance(values[0], ast.Constant)
        and isinstance(values[0].value, str | int | float)
    }


def _word(node: ast.expr, texts: Mapping[str, str]) -> str:
    """One word of a command, quoted; a hole where it is not known."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "str" and len(node.args) == 1:
        node = node.args[0]
    text = _inside(node, texts)
    return text if _HOLE in text else shlex.quote(text)


_HOLE = "${"


def _inside(node: ast.expr, texts: Mapping[str, str]) -> str:
    """A text with its names put in, and a hole for each that is not known."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name) and node.id in texts:
        return texts[node.id]
    if isinstance(node, ast.JoinedStr):
        return "".join(_inside(part, texts) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _inside(node.value, texts)
    if ast.unparse(node) == "sys.executable":
        return "python"
    plain = "".join(letter if letter.isalnum() else "_" for letter in ast.unparse(node))
    return f"{_HOLE}{plain.strip('_')}}}"
