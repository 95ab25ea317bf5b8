"""Partial tuning in a script: which of the model's own weights train, as statements and back.

Keys are `partial.<field>`. A statement is written from its source below and recognised by it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Row, field, only

TUNER = "method.tuner.type"
KEY = "partial."
_LAYERS = "model.get_decoder().layers"
CHOICES: Mapping[str, str] = {
    "last_layers": f'{_LAYERS}[-"@last_layers":]',
    "first_layers": f'{_LAYERS}[:"@first_layers"]',
    "expanded_layers": (
        'layers[len(layers) // "@expanded_layers" - 1 :: len(layers) // "@expanded_layers"]'
    ),
    "": _LAYERS,
}
"""Which layers: get_decoder() is the language model, whatever its architecture calls it."""
_WHOLE = "for layer in LAYERS:\n    layer.requires_grad_(True)\n"
_PARTS = (
    'for layer in LAYERS:\n    for name in "@modules":\n'
    "        layer.get_submodule(name).requires_grad_(True)\n"
)
_NAMED = (
    "for name, parameter in model.get_decoder().named_parameters():\n"
    "    if CONDITION:\n        parameter.requires_grad_(True)\n"
)
SINGLE: Mapping[str, str] = {
    "frozen": "model.requires_grad_(False)\n",
    "embeddings": "model.get_input_embeddings().requires_grad_(True)\n",
    "head": "model.get_output_embeddings().requires_grad_(True)\n",
    "norms": _NAMED.replace("CONDITION", '"norm" in name'),
    "biases": _NAMED.replace("CONDITION", 'name.endswith("bias")'),
    "patterns": (
        "for name, parameter in model.named_parameters():\n"
        '    if any(re.match(pattern, name) for pattern in "@patterns"):\n'
        "        parameter.requires_grad_(True)\n"
    ),
    "upcast": (
        "for parameter in model.parameters():\n    if parameter.requires_grad:\n"
        "        parameter.data = parameter.data.float()\n"
    ),
}
"""Statements that stand once, in their order; `patterns` alone has a value."""
LISTS = ("modules", "patterns")


def partial_rows() -> tuple[Row, ...]:
    """The fields of the partial tuner, as the statements that follow the loading of the model."""

    def number(name: str) -> Row:
        return Row(
            (f"method.tuner.{name}",),
            (f"{KEY}{name}",),
            lambda count: MISSING if count is None else count,
            lambda count: count,
            absent=(None,),
        )

    def switch(name: str) -> Row:
        return field(f"method.tuner.{name}", f"{KEY}{name}", absent=False)

    return only(
        TUNER,
        "partial",
        number("last_layers"),
        number("first_layers"),
        number("expanded_layers"),
        *(
            Row(
                (f"method.tuner.{name}",),
                (f"{KEY}{name}",),
                lambda names: list(names) or MISSING,
                tuple,
                absent=((),),
            )
            for name in LISTS
        ),
        *map(switch, ("embeddings", "head", "norms", "biases")),
        Row(
            (),
            (f"{KEY}upcast",),
            # as LLaMA-Factory does (its model/adapter.py): what trains is float32, the rest as stored
            lambda dtype: dtype == "auto",
            lambda _upcast: (),
            uses=("model.dtype",),
            absent=(False,),
        ),
    )


def template() -> str:
    """The Jinja text of the statements; its values are those of `context`, as `partial`."""
    layers = "".join(
        f"{{% if partial.layers == {name!r} and partial.{modules} %}}\n"
        + _holes(source.replace("LAYERS", choice))
        + "{% endif %}\n"
        for name, choice in CHOICES.items()
        for modules, source in (("modules", _PARTS), ("whole", _WHOLE))
    )
    counted = f"{{% if partial.layers == 'expanded_layers' %}}\nlayers = {_LAYERS}\n{{% endif %}}\n"
    before, *after = (
        f"{{% if partial.{name} %}}\n{_holes(source)}{{% endif %}}\n"
        for name, source in SINGLE.items()
    )
    return before + counted + layers + "".join(after)


def _holes(source: str) -> str:
    for name in (*CHOICES, *LISTS):
        source = source.replace(f'"@{name}"', f"{{{{ partial.{name}|py }}}}")
    return source


def context(native: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `template` prints; None for another tuner."""
    if native["tuner"] != "partial":
        return None
    given = {name: native.get(f"{KEY}{name}") for name in (*CHOICES, "modules", *SINGLE)}
    layers = next((name for name in CHOICES if given[name] is not None), "")
    whole = bool(layers) and not given["modules"]
    return {**given, "frozen": True, "layers": layers, "whole": whole}


def read_partial(tree: ast.Module) -> dict[str, Any]:
    """The native values of these statements; nothing where no weights are chosen after all are frozen.

    Scripts over a quantised base freeze all as well, for a moment.
    """
    native: dict[str, Any] = {}
    for node in tree.body:
        for name, source in SINGLE.items():
            if (found := match(source, node)) is not None:
                native[f"{KEY}{name}"] = found.get(name, True)
        for name, choice in CHOICES.items():
            for source in (_WHOLE, _PARTS):
                found = match(source.replace("LAYERS", choice), node)
                if found is not None:
                    native |= {f"{KEY}{key}": value for key, value in found.items()}
                    native[f"{KEY}layers"] = name
    if not native.pop(f"{KEY}frozen", False) or not {*native} - {f"{KEY}upcast"}:
        return {}
    native.pop(f"{KEY}layers", None)
    return {**native, "tuner": "partial"}
