"""What of a turn axolotl hands to a chat template (prompt_strategies/jinja_template_analyzer.py of 0.19.0).

It hands over what `message_property_mappings` names, and else what it sees the template ask of a variable
called `message`. A template that calls a turn `msg` or `messages[i]`, or asks by `message.get(...)`, gets
nothing of it but role and content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.data.carried import READ

ASKED = "message"
"""The variable whose parts it looks for, whatever the column is called."""


def withheld(template: str, entry: Mapping[str, Any]) -> list[str]:
    """Parts of a turn that a template asks for and does not get. Empty for what is no valid Jinja."""
    import jinja2  # noqa: PLC0415 -- few configs have a template of their own
    from jinja2 import nodes  # noqa: PLC0415

    from ftspec.data.sandbox import environment  # noqa: PLC0415

    try:
        tree = environment().parse(template)
    except (jinja2.TemplateError, RecursionError):
        return []
    seen: set[str] = set()
    asked: set[str] = set()
    for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Call)):
        base, name = _asks(node)
        asked.add(name)
        if base == ASKED:
            seen.add(name)
    mapped = entry.get("message_property_mappings")
    seen |= set(mapped) if isinstance(mapped, dict) else set()
    return [name for name in READ if name in asked - seen]


def _asks(node: Any) -> tuple[str, str]:
    """The variable that a node asks, and for what; empty where it is no plain name."""
    from jinja2 import nodes  # noqa: PLC0415

    name = ""
    if isinstance(node, nodes.Getattr):
        name, node = node.attr, node.node
    elif isinstance(node, nodes.Getitem):
        name, node = _text(node.arg), node.node
    elif isinstance(node.node, nodes.Getattr) and node.node.attr == "get" and node.args:
        return "", _text(node.args[0])
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return (node.name if isinstance(node, nodes.Name) else ""), name


def _text(node: Any) -> str:
    value = getattr(node, "value", None)
    return value if isinstance(value, str) else ""


def without(template: str, names: Iterable[str]) -> str:
    """The template, for turns that lose these parts before it sees them."""
    listed = ", ".join(f"'{name}'" for name in names)
    return WITHOUT.replace("NAMES", listed) + template if listed else template


WITHOUT = (
    "{%- set handed = namespace(turns=[]) %}{%- for turn in messages %}{%- set handed.turns = handed.turns + "
    "[dict(turn.items() | rejectattr(0, 'in', [NAMES]))] %}{%- endfor %}{%- set messages = handed.turns %}"
)
