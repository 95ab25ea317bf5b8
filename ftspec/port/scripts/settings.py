"""What the calls of a script set, under the keys that trl's command line has for the same.

What has none there keeps the name of its call (`LoraConfig.r`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ftspec.port.scripts.names import (
    ADAPTERS,
    CONFIGS,
    FAST,
    GIVEN,
    HELPERS,
    LATER,
    LOADERS,
    MODEL,
    MODEL_KEYS,
    RESIZED,
    SAMPLING,
    TOKENS,
    TRAINERS,
    UNUSED,
    WHOLE,
)
from ftspec.read.placed import Place, Trail
from ftspec.read.python import Calls


def settings(calls: Calls) -> tuple[dict[str, Any], dict[Trail, Place]]:
    """What the calls set, under the keys that trl's command line has where it has one."""
    data: dict[str, Any] = {}
    places: dict[Trail, Place] = {}
    names = {place.rpartition(".")[0] for place in (*calls.values, *calls.lines)}
    trainer = next((one for one in TRAINERS if {f"{one}Trainer", f"{one}Config"} & names), None)
    # a config without arguments leaves no trace: it is the trainer's own
    config = next((name for name in CONFIGS if name in names), trainer and _config(trainer))
    if config:
        data["config_class"] = config
        places[("config_class",)] = Place(_first(calls, config), 1)
    if trainer:
        data["trainer"] = TRAINERS[trainer]
        given = (calls.values.get(f"{trainer}Trainer.{name}") for name in ("model", "0"))
        if any(isinstance(model, str) for model in given) and not names & {*LOADERS}:
            data["loaded_by"] = "trainer"
            places[("loaded_by",)] = Place(_first(calls, f"{trainer}Trainer"), 1)
    used = _is_used(calls, names)
    for place, value in calls.values.items():
        call, _, name = place.rpartition(".")
        trail = _trail(call, name, value)
        if trail[:1] == ("LoraConfig",) and not used:
            trail = (UNUSED, name)
        node: Any = data
        for part in trail[:-1]:
            node = node.setdefault(part, {})
        if trail and trail[-1] not in node:
            node[trail[-1]] = list(value) if isinstance(value, tuple) else value
            places[trail] = Place(calls.lines.get(place, 0), 1)
    for call in (*HELPERS, "LoraConfig"):
        if call in names and (used or call != "LoraConfig"):
            data.setdefault(call, {})
    if RESIZED in calls.lines:
        trail = ("resize_token_embeddings", "0")
        data.setdefault(trail[0], {}).setdefault(trail[1], WHOLE)
        places.setdefault(trail, Place(calls.lines[RESIZED], 1))
    for call in ("from_pretrained", "get_peft_model"):
        if any(f"{name}.{call}" in names for name in FAST):
            data.setdefault(call, {})
    return data, places


def _config(trainer: str) -> str:
    return "SFTConfig" if trainer == "Unsloth" else f"{trainer}Config"


def again(calls: Calls, trains: int | None) -> Iterator[tuple[int, str]]:
    """What is made a second time and differs: a spec has one model, one adapter and one training."""
    for place, line in calls.lines.items():
        call, _, name = place.rpartition(".")
        first, number, _ = call.partition("#")
        once = (*CONFIGS, *LOADERS, *ADAPTERS, *(f"{one}Trainer" for one in TRAINERS))
        if not number or first not in once or (trains is not None and line > trains):
            continue
        if place not in calls.values or calls.values[place] != calls.values.get(f"{first}.{name}"):
            yield line, f"{first} once more, with another {name}: which one trains?"


def _is_used(calls: Calls, names: set[str]) -> bool:
    """Whether an adapter reaches a trainer, or the model by peft's own function."""
    given = (f"{one}Trainer.peft_config" for one in TRAINERS)
    handed = any(
        place in calls.lines and calls.values.get(place, "") is not None for place in given
    )
    return handed or "get_peft_model" in names


def _trail(call: str, name: str, value: Any) -> tuple[str, ...]:
    """Where a call's argument stands among the settings; nowhere if it sets nothing."""
    fast, first = call.startswith(FAST), call.partition("#")[0]
    if call in LOADERS:
        key = MODEL.get(name, name)
        plain = key in MODEL_KEYS and not (fast and key == "dtype")
        return () if name in LATER else (key,) if plain else ("from_pretrained", name)
    if call in ADAPTERS:
        return ("get_peft_model" if fast else call, name)
    if call in (*CONFIGS, "BitsAndBytesConfig"):
        return ("output_dir" if name == "0" else name,)
    if call.removesuffix("Trainer") in TRAINERS:
        if name in ("model", "0") and isinstance(value, str):
            return ("model_name_or_path",)
        return () if name in GIVEN and not value else (name,)
    kept = ("load_dataset", *HELPERS, *TOKENS, "tokenizer", SAMPLING)
    call = "vllm_sampling_params" if call == SAMPLING else call.rpartition(".")[2]
    return (call, name) if first in kept else ()


def _first(calls: Calls, name: str) -> int:
    return min(
        (line for place, line in calls.lines.items() if place.startswith(f"{name}.")), default=0
    )
