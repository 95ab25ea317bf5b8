"""YAML that every reader takes for the same: PyYAML (1.1), ruamel and editors (1.2), OmegaConf.

LLaMA-Factory reads its config with OmegaConf, where `${` starts an interpolation. There is no
escape for it: OmegaConf keeps a backslash before `${` in the value (measured with 2.4.0,
to_container without resolve, as llamafactory.hparams.parser reads). A whole `${a}` happens to come
through, a broken one stops the run before it starts, and whatever resolves later would read the
environment. So `${` is refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ftspec.emit.plain import check, one_line, refuse, shown

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.representer import SafeRepresenter

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*(\.[A-Za-z0-9_/-]+)*", re.ASCII)
# What some version of YAML, or some reader of it, takes for a boolean, null or number.
_TAKEN = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf", "infinity"}
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def dump(sections: Sequence[tuple[str, Mapping[str, Any]]], head: str = "") -> str:
    """Sections under `### title` comments, as LLaMA-Factory's own examples have them.

    Sections without keys are left out. `head` is a comment on top.

    Raises:
        UnsupportedError: a value is not plain or not finite, or holds what OmegaConf interprets.
    """
    keys = [key for _, mapping in sections for key in mapping]
    if doubled := {key for key in keys if keys.count(key) > 1}:
        raise refuse(f"{', '.join(sorted(doubled))} is set twice")
    parts = [f"# {one_line(head)}\n"] if head else []
    for title, mapping in sections:
        if mapping:
            parts.append(f"### {one_line(title)}\n{_section(mapping)}")
    return "\n".join(parts)


def _section(mapping: Mapping[str, Any]) -> str:
    for key, value in mapping.items():
        if not _KEY.fullmatch(key):
            raise refuse(
                f"{shown(key)} is not the name of a setting", "use the framework's own spelling"
            )
        check(value, key)
        _refuse_interpolation(value, key)
    stream = io.StringIO()
    _yaml().dump(dict(mapping), stream)
    return stream.getvalue()


def _refuse_interpolation(value: Any, where: str) -> None:
    if isinstance(value, str):
        if "${" in value:
            raise refuse(
                f"{where} holds `${{`, which OmegaConf, LLaMA-Factory's loader, interprets",
                "rephrase it: there is no escape that leaves the text as it is",
            )
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_interpolation(item, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_interpolation(key, where)
            _refuse_interpolation(item, where)


def is_plain_word(text: str) -> bool:
    """Whether a string needs no quotes: no reader takes it for anything else."""
    return _WORD.fullmatch(text) is not None and text.lower() not in _TAKEN


def _string(representer: SafeRepresenter, text: str) -> ScalarNode:
    style = None if is_plain_word(text) else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _float(representer: SafeRepresenter, number: float) -> ScalarNode:
    # YAML 1.1 wants a point and a signed exponent: `1e-05` is a string there, `1.0e-05` a number.
    mantissa, mark, exponent = repr(number).partition("e")
    if mark and "." not in mantissa:
        mantissa += ".0"
    return representer.represent_scalar("tag:yaml.org,2002:float", mantissa + mark + exponent)


def _null(representer: SafeRepresenter, _: None) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


@cache
def _yaml() -> YAML:
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up stays fast
    from ruamel.yaml.representer import SafeRepresenter  # noqa: PLC0415

    class Representer(SafeRepresenter):
        """Quotes whatever could be read as something else."""

        def ignore_aliases(self, data: Any) -> bool:
            """Write a value that occurs twice twice: no anchors."""
            return True

    Representer.add_representer(str, _string)
    Representer.add_representer(float, _float)
    Representer.add_representer(type(None), _null)
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = False
    yaml.width = 2**31  # never fold: a folded string is hard to read and to search
    return yaml
