"""What uv's failures mean to a person: one table from its words to a cause and a remedy."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable

from ftspec.env.sources import redact
from ftspec.errors import EnvironmentError_, Problem

NOISE = ("+ ", "- ", "~ ", "Activate with", "Using ", "Creating virtual", "Resolved ")
"""Lines of uv's that say nothing to a person who waits for an environment."""
DISK_FULL = "the disk is full"
_SPACE = (
    "free some space (`ftspec env remove`, `uv cache prune`), or set FTSPEC_CACHE to a folder on "
    "another disk; then run the same command again"
)
# The first row that fits is the cause: the more telling ones come first.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (r"No space left on device|os error 28\b|Disk quota exceeded", DISK_FULL, _SPACE),
    (
        r"Hash mismatch|hash mismatch",
        "a downloaded file is not the one the lock names: its hash differs",
        "run `uv cache clean` and try again; if it happens again, the package index serves another "
        "file under that name: use another index",
    ),
    (
        r"\b(401|403|407) [A-Z]|Missing credentials|authentication",
        "the package index refuses access",
        "check the user and the password in pip's configuration or in UV_DEFAULT_INDEX",
    ),
    (
        r"invalid peer certificate|UnknownIssuer|certificate verify",
        "the package index's certificate is not trusted",
        "name your certificate file in SSL_CERT_FILE, or as `cert` in pip's configuration",
    ),
    (
        r"dns error|[Cc]onnection (refused|reset|closed)|error sending request|client error|"
        r"Network is unreachable|timed out|tcp connect|error decoding response body|"
        r"[Nn]etwork connectivity is disabled|network was disabled",
        "the package index cannot be reached",
        "check the network, HTTPS_PROXY and pip's index-url (`ftspec env doctor` shows it), then "
        "run the same command again: what was downloaded is kept",
    ),
    (
        r"matching Python (ABI|version|implementation)|does not satisfy Python|requires Python|"
        r"No interpreter found",
        "this Python has no builds of these packages",
        "install ftspec with Python 3.11 to 3.14",
    ),
    (
        r"matching platform tag|no wheels with a matching|has no usable wheels",
        "a package has no build for this machine",
        "use an interpreter of your own with `--python`, or another machine",
    ),
    (
        r"not found in the|there (is|are) no versions? of|[Nn]o solution found",
        "the package sources do not have what the lock names",
        "check pip's index-url and extra-index-url (`ftspec env doctor` shows them)",
    ),
    (
        r"Failed to build|build backend",
        "a package could not be built",
        "read its output below; a C++ compiler or Python's headers may be missing",
    ),
    (
        r"killed by signal",
        "uv was killed",
        "if memory is short, close other programs; then run the same command again",
    ),
    (
        r"Permission denied|os error 13\b|Read-only file system",
        "the cache folder cannot be written",
        "set FTSPEC_CACHE (and UV_CACHE_DIR) to a folder of your own",
    ),
)


def failure(doing: str, said: Iterable[str], status: int | None = None) -> EnvironmentError_:
    """The error for a uv that failed while `doing` something, from the last lines that it said."""
    lines = [redact(line.rstrip()) for line in said if line.strip()]
    text = "\n".join(lines)
    if status is not None and status < 0:
        text += f"killed by signal {-status}"
    unknown = ("", f"uv failed with status {status}", "see what it said, and `ftspec env doctor`")
    _, cause, remedy = next((row for row in _CAUSES if re.search(row[0], text)), unknown)
    telling = [line for line in lines if not line.startswith(NOISE)]
    quoted = "".join(f"\n  uv: {line}" for line in telling[-8:])
    return EnvironmentError_(Problem(f"{doing}: {cause}{quoted}", hint=remedy))


def disk_failure(doing: str, error: OSError) -> EnvironmentError_:
    """The error for a file of our own that could not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return EnvironmentError_(f"{doing}: {DISK_FULL}", _SPACE)
    return EnvironmentError_(
        f"{doing}: {redact(str(error))}", "set FTSPEC_CACHE to a folder that you can write"
    )
