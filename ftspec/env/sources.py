"""Where packages come from: what pip is configured to use, told to uv.

uv does not read pip's configuration. Whoever set an index, a folder of wheels or a certificate for
pip means it for every installer, so it is translated here into uv's environment variables, and a
variable that the person set for uv itself wins. Addresses may carry passwords: they go to uv in its
environment, never in an argument list, and every message passes `redact`.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FROM_ENVIRONMENT = "environment"
_OPTIONS = ("index-url", "extra-index-url", "find-links", "no-index", "cert", "trusted-host")
SYSTEM_FILES = (
    Path("/etc/pip.conf"),
    *([Path("/Library/Application Support/pip/pip.conf")] if sys.platform == "darwin" else []),
)
_SECRETS = (
    # Up to the last @: a password may hold one, or a slash, though it should not.
    (re.compile(r"(?<=//)\S+(?=@)"), "***"),
    (re.compile(r"(?i)\b(token|key|password|passwd|secret|auth|sig|signature)=[^&\s]+"), r"\1=***"),
    (re.compile(r"\b(pypi-|gh[a-z]_|glpat-|hf_|npm_)[A-Za-z0-9_-]{8,}"), r"\1***"),
)


@dataclass(frozen=True)
class Option:
    """One option of pip's that matters here, and the file (or variable) it was found in."""

    name: str
    values: tuple[str, ...]
    origin: str

    def __str__(self) -> str:
        return redact(f"{self.name} = {' '.join(self.values)} ({self.origin})")


def redact(text: str) -> str:
    """The text without passwords and tokens."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def read_sources(environ: Mapping[str, str] | None = None) -> dict[str, Option]:
    """Pip's options by name, as pip itself would see them: the later place wins."""
    environ = os.environ if environ is None else environ
    sections: dict[str, dict[str, Option]] = {"global": {}, "install": {}}
    for path in _files(environ):
        # pip reads without interpolation: a % in a password is a %
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue  # pip itself complains about its broken files; that is no reason to stop here
        for section, found in sections.items():
            if parser.has_section(section):
                for key, value in parser.items(section):
                    found[_key(key)] = Option(_key(key), _split(_key(key), value), str(path))
    merged = {**sections["global"], **sections["install"]}
    for variable, value in environ.items():
        if variable.startswith("PIP_") and value:
            key = _key(variable.removeprefix("PIP_"))
            origin = f"{variable}, {_FROM_ENVIRONMENT}"
            merged[key] = Option(key, _split(key, value), origin)
    return {name: merged[name] for name in _OPTIONS if name in merged and merged[name].values}


def uv_environ(
    sources: Mapping[str, Option], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment variables that make uv use the same sources; none that the person already set."""
    environ = os.environ if environ is None else environ
    values = {name: option.values for name, option in sources.items()}
    # pip looks in all its indexes and takes the best version; uv would stop at the first index that
    # knows the name. The lock's hashes decide what is accepted either way.
    wanted: dict[str, str] = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    own_index = any(environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
    own_extra = any(environ.get(name) for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL"))
    if "index-url" in values and not own_index:
        wanted["UV_DEFAULT_INDEX"] = values["index-url"][0]
    if "extra-index-url" in values and not own_extra:
        wanted["UV_INDEX"] = " ".join(values["extra-index-url"])
    if "find-links" in values:
        wanted["UV_FIND_LINKS"] = ",".join(values["find-links"])
    if values.get("no-index", ("",))[0].lower() in {"1", "true", "yes", "on"}:
        wanted["UV_NO_INDEX"] = "1"
    if "cert" in values:
        wanted["SSL_CERT_FILE"] = values["cert"][0]
    if "trusted-host" in values:
        wanted["UV_INSECURE_HOST"] = " ".join(values["trusted-host"])
    return {name: value for name, value in wanted.items() if not environ.get(name)}


def _key(name: str) -> str:
    return name.lower().replace("_", "-")


def _split(key: str, value: str) -> tuple[str, ...]:
    if key in {"cert", "no-index"}:
        return (str(Path(value).expanduser()) if key == "cert" else value,) if value else ()
    return tuple(
        str(Path(item).expanduser()) if item[:1] == "~" else item for item in value.split()
    )


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Pip's configuration files that exist, the weakest first."""
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return  # pip's way of saying: no configuration files at all
    home = Path(environ.get("HOME") or Path.home())
    places = [
        Path(folder) / "pip" / "pip.conf"
        for folder in reversed((environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"))
        if folder
    ]
    places.extend(SYSTEM_FILES)
    if not chosen or not Path(chosen).exists():
        places.append(home / ".pip" / "pip.conf")
        if sys.platform == "darwin":
            places.append(home / "Library" / "Application Support" / "pip" / "pip.conf")
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        places.append(config / "pip" / "pip.conf")
    if environ.get("VIRTUAL_ENV"):
        places.append(Path(environ["VIRTUAL_ENV"]) / "pip.conf")
    places.append(Path(sys.prefix) / "pip.conf")
    if chosen:
        places.append(Path(chosen))
    yield from (path for path in dict.fromkeys(places) if path.is_file())
