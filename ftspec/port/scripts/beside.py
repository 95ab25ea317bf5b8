"""Models that a trainer is given beside the one that trains: a reference, a teacher, one that rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ftspec.port.scripts.names import LATER, TRAINERS
from ftspec.read.placed import Place, Trail
from ftspec.read.python import Calls

REFERENCES = ("ref_model", "ref_policy")
SECOND = ("DPO", "KTO")
"""Trainers whose second argument is the reference."""
NAMED: Mapping[str, str] = {
    "teacher_model": "teacher_model_name_or_path",
    "reward_model": "reward_model_path",
}
"""Arguments of trainers, by the keys that trl's own scripts have for the names of these models."""
POLICIES = ("model", "policy", "0")
NAMES = ("0", "pretrained_model_name_or_path", "model_name")
IDLE = (
    *LATER,
    "trust_remote_code",
    "num_labels",
    "local_files_only",
    "use_safetensors",
    "return_dict",
)
"""Arguments of from_pretrained that say neither which model it is nor how its weights are held."""
OTHER = "a reference that is not the model as it begins is not in a spec: {}"
VALUE = "value_model"
VALUED = "a value model that begins as another than the one that rewards is not in a spec: {}"
HELD = "a teacher that is loaded otherwise than the model is not in a spec: {}"
UNNAMED = "which model it is, is not known"


class Beside(NamedTuple):
    """What is known of them."""

    data: dict[str, Any]
    places: dict[Trail, Place]
    foreign: tuple[tuple[int, str], ...]


def beside(calls: Calls) -> Beside:
    """The models beside, and a question for each that a spec cannot say."""
    data: dict[str, Any] = {}
    places: dict[Trail, Place] = {}
    foreign: list[tuple[int, str]] = []
    for short in TRAINERS:
        trainer = f"{short}Trainer"
        policy = _first(calls, trainer, POLICIES)
        for name in (*REFERENCES, *(["1"] if short in SECOND else [])):
            given = f"{trainer}.{name}"
            other = _said(calls, given)
            if policy and other and (unlike := _unlike(policy, other)):
                foreign.append((calls.lines[given], f"{trainer}.ref_model: {OTHER.format(unlike)}"))
        for name, key in NAMED.items():
            given = f"{trainer}.{name}"
            if given not in calls.lines:
                continue
            said, value = _said(calls, given), _said(calls, f"{trainer}.{VALUE}")
            which = _name(said)
            if which is None:
                foreign.append((calls.lines[given], f"{trainer}.{name}: {UNNAMED}"))
                continue
            data[key] = which
            places[(key,)] = Place(calls.lines[given], 1)
            if name == "reward_model" and value and (unlike := _unlike(said, value)):
                told = f"{trainer}.{VALUE}: {VALUED.format(unlike)}"
                foreign.append((calls.lines[f"{trainer}.{VALUE}"], told))
            is_object = given in calls.origins  # a name is loaded as the trainer says
            if name == "teacher_model" and policy and is_object and (unlike := _ways(policy, said)):
                foreign.append((calls.lines[given], f"{trainer}.{name}: {HELD.format(unlike)}"))
    return Beside(data, places, tuple(foreign))


def _first(calls: Calls, trainer: str, names: tuple[str, ...]) -> Mapping[str, Any] | None:
    found = (_said(calls, f"{trainer}.{name}") for name in names)
    return next((one for one in found if one), None)


def _said(calls: Calls, place: str) -> dict[str, Any]:
    """The arguments of the call that loaded a model, or its bare name; empty where that is not known."""
    if isinstance(name := calls.values.get(place), str):
        return {"0": name}
    origin = calls.origins.get(place, "")
    if not origin.endswith("from_pretrained") and ".from_pretrained#" not in origin:
        return {}
    start = f"{origin}."
    return {
        line.removeprefix(start): calls.values.get(line, calls.origins.get(line, UNNAMED))
        for line in calls.lines
        if line.startswith(start) and line.rpartition(".")[0] == origin
    }


def _name(said: Mapping[str, Any]) -> str | None:
    found = next((said[name] for name in NAMES if name in said), None)
    return found if isinstance(found, str) and found != UNNAMED else None


def _unlike(policy: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """In what two models differ; empty where that changes nothing."""
    names = [_name(policy), _name(other)]
    if names[0] != names[1] or names[0] is None:
        return " and ".join(name or "one whose name is not known" for name in names)
    return _ways(policy, other)


def _ways(policy: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Arguments by which two models are loaded unlike."""
    ways = [
        {k: v for k, v in said.items() if k not in (*NAMES, *IDLE) and v is not None}
        for said in (policy, other)
    ]
    return ", ".join(sorted(k for k in {**ways[0], **ways[1]} if ways[0].get(k) != ways[1].get(k)))
