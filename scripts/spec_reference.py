"""Write the tables of fields in docs/spec.md from the models; the prose around them is by hand.

A table stands between `<!-- fields: MODEL -->` and `<!-- end -->`. `make schemas` runs this; a test
holds the page equal to what this writes, and sees that each model has its table.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ftspec.spec.base import Node
from ftspec.spec.docs import description
from ftspec.spec.root import Spec
from ftspec.spec.stages import Stage, Taken
from ftspec.spec.vocabulary import fields, nodes, tag
from ftspec.spec.writing import Writing

PAGE = Path(__file__).parent.parent / "docs" / "spec.md"
MARKED = re.compile(r"(?P<begin><!-- fields: (?P<model>\w+) -->\n).*?(?P<end><!-- end -->)", re.S)
WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
}
SIGNS: Mapping[type, tuple[str, str]] = {
    Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<"),
}  # fmt: skip


def models() -> dict[str, type[Node]]:
    """Every model of a spec by its name, in the spec's order."""
    found: dict[str, type[Node]] = {Spec.__name__: Spec}
    found |= {model.__name__: model for _, _, model in fields()}
    for _, name, owner in fields():  # a variant without fields of its own
        found |= {model.__name__: model for model in nodes(owner.model_fields[name].annotation)}
    return found | {model.__name__: model for model in (Stage, Taken, Writing)}


def kind(annotation: Any) -> str:
    """A type as a person says it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Node):
        word = tag(annotation)
        said = f"`{word}`" if word else "section"
    elif origin is Annotated:
        said = kind(inner[0]) + limits(inner[1:])
    elif origin is Literal:
        said = ", ".join(f"`{value}`" for value in inner)
    elif origin in (Union, types.UnionType):
        said = " or ".join(kind(part) for part in inner if part is not type(None))
    elif origin is tuple:
        said = f"list of {'sources' if nodes(annotation) else kind(inner[0])}"
    else:
        said = "names and values" if origin is dict else WORDS[annotation]
    return said


def limits(metadata: Any) -> str:
    """`≥ 1`, `> 0, < 1`."""
    found = []
    for item in metadata:
        if isinstance(item, FieldInfo):
            return limits(item.metadata)
        if type(item) in SIGNS:
            name, sign = SIGNS[type(item)]
            limit = getattr(item, name)
            power = 2**32
            found.append(f"{sign} {'2³²' if limit == power else f'{limit:g}'}")
    return f" {', '.join(found)}" if found else ""


def default(info: FieldInfo) -> str:
    """A default as it would be written."""
    if info.is_required():
        return "**required**"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        word = tag(type(value))  # type: ignore[arg-type]
        return f"`{word}`" if word else "see below"
    if value is None:
        return "null"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != {} else "`{}`"
    )


def table(model: type[Node]) -> str:
    """The fields of a model as a Markdown table."""
    rows = ["| field | value | default | meaning |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        text = description(model, name) or "Names this variant."
        meaning = " ".join(text.split()).replace("|", "\\|")
        value = f"{kind(info.annotation)}{limits(info.metadata)}"
        rows.append(f"| `{name}` | {value} | {default(info)} | {meaning} |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """The page with its tables renewed."""
    known = models()
    return MARKED.sub(lambda m: m["begin"] + table(known[m["model"]]) + m["end"], text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
