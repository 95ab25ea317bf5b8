"""Words of a command line that set one value inside a config: `model.lora_rank=16`, `--training.seed 7`.

torchtune's, Oumi's and LLaMA-Factory's, all by OmegaConf (torchtune/config/_utils.py of 0.6.1,
oumi/cli/cli_utils.py of 0.9, llamafactory/hparams/parser.py of 0.9.5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ftspec.errors import SpecError
from ftspec.port.documents import Document, Scalar, dotted
from ftspec.read import yaml
from ftspec.read.placed import Place, Placed, Trail
from ftspec.read.text import DEPTH

DOTTED = ("torchtune", "oumi")
"""Formats whose commands do so."""
COMPONENT = "_component_"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def merged(
    document: Document, given: Mapping[str, Any], scalar: Scalar, path: Path, line: int
) -> Document:
    """A config with the values of a command over its own. What fits nowhere in it becomes a question."""
    data = deepcopy(document.data)
    said: dict[Trail, Place] = {}
    lost = []
    for key, word in given.items():
        trail = _trail(key, data)
        value = _value(word, scalar)
        if 0 < len(trail) <= DEPTH and _set(data, trail, value):
            said |= dict.fromkeys(_leaves(trail, value), Place(line, 1))
        else:
            lost.append((line, f"{path.name}: {key}: there is no such place in the config"))
    placed = Placed(data, {**document.placed.places, **said}, document.placed.earlier)
    owners = {**document.owners, **dict.fromkeys(map(dotted, said), str(path))}
    foreign = (*document.foreign, *lost)
    return Document(document.path, placed, foreign, owners, nested=document.nested)


def _trail(key: str, data: Mapping[str, Any]) -> Trail:
    steps = [name if name else int(number) for name, number in _STEP.findall(key)]
    section = data.get(key)
    if isinstance(section, dict) and COMPONENT in section:
        return key, COMPONENT  # torchtune lets a section stand for its class
    return tuple(steps)


def _value(word: Any, scalar: Scalar) -> Any:
    if not isinstance(word, str):
        return word
    if word == "None":
        return None
    try:
        return yaml.read_placed(f"value: {word}", scalar, False).data["value"]
    except SpecError:
        return word


def _set(node: Any, trail: Trail, value: Any) -> bool:
    """Put a value in its place; whether there is one."""
    *above, last = trail
    for step in above:
        if isinstance(node, dict):
            node = node.setdefault(step, {})
        elif isinstance(node, list) and str(step).isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            return False
    if isinstance(node, dict):
        node[last] = value
        return True
    if isinstance(node, list) and str(last).isdigit() and int(last) < len(node):
        node[int(last)] = value
        return True
    return False


def _leaves(trail: Trail, value: Any) -> list[Trail]:
    if isinstance(value, dict) and value:
        return [leaf for key in value for leaf in _leaves((*trail, key), value[key])]
    return [trail]
