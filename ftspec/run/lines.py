"""From the bytes a training prints to lines a person can read: folded, clean, without secrets."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
SHORTEST = 8
"""A shorter value is hardly a secret, and would blank out ordinary words."""
LONGEST = 1 << 20
"""Characters after which a line is cut: one without an end must not fill the memory."""
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Secret value -> the variable that holds it, longest first: one may hold another."""
    found: dict[str, str] = {}
    for name, value in environ.items():
        if SECRET.search(name):
            # Printed line by line, a private key of many lines would never match as a whole.
            found.update(
                {part.strip(): name for part in value.splitlines() if len(part.strip()) >= SHORTEST}
            )
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def redact(text: str, hidden: Mapping[str, str]) -> str:
    """The text with each secret replaced by its variable's name."""
    for value, name in hidden.items():
        text = text.replace(value, f"[{name}]")
    return text


def fold(line: str) -> str:
    """What a terminal would show of a line: a progress bar's last state, without colours."""
    states = [state for state in line.split("\r") if state.strip()]
    return _CONTROLS.sub("", _ESCAPES.sub("", states[-1])).rstrip() if states else ""


class Lines:
    """Cuts a stream of bytes into folded, redacted lines."""

    def __init__(self, hidden: Mapping[str, str]) -> None:
        self._hidden = hidden
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def feed(self, data: bytes, last: bool = False) -> list[str]:
        """The lines that end within ``data``; the unfinished one too if this is the last of it."""
        *whole, self._rest = (self._rest + self._decode(data, last)).split("\n")
        if last or len(self._rest) > LONGEST:
            whole, self._rest = [*whole, self._rest], ""
        elif "\r" in self._rest[:-1]:
            # Earlier states of a bar are overwritten anyway; a last \r may belong to a \r\n.
            self._rest = self._rest[self._rest.rindex("\r", 0, -1) :]
        return [redact(text, self._hidden) for text in map(fold, whole) if text]

    def bar(self) -> str:
        """The present state of a progress bar; nothing while an ordinary line is unfinished."""
        return redact(fold(self._rest), self._hidden) if "\r" in self._rest else ""
