"""What the calls of a script set, under the keys that trl's command line has for the same.

What has none there keeps the name of its call (`LoraConfig.r`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ftspec.port.scripts.names import (
    ADAPTERS,
    ASSUMED,
    CHAT_FORMAT,
    COLLATOR,
    CONFIGS,
    FAST,
    GIVEN,
    GIVEN_ROWS,
    HELPERS,
    LAST,
    LATER,
    LOADED,
    LOADERS,
    MODEL,
    MODEL_KEYS,
    PACKED,
    PARTED,
    PLAIN,
    PREPARED,
    PROCESSOR,
    RECOMPUTED,
    RESIZED,
    SAMPLING,
    SCORED,
    SEEING,
    SEES,
    SHOWING,
    TOKENS,
    TRAINERS,
    UNTIL,
    UNUSED,
    UNUSED_BITS,
    WHOLE,
)
from ftspec.read.placed import Earlier, Place, Placed, Trail
from ftspec.read.python import Calls
from ftspec.read.scripts.origins import DIVIDED


def _by_unsloth(calls: Calls, data: dict[str, Any], places: dict[Trail, Place]) -> None:
    """Its trainer is trl's, and reads a rate of embeddings beside."""
    if "UnslothTrainer" in calls.made:
        data["unsloth_trainer"] = True
        places[("unsloth_trainer",)] = Place(_first(calls, "UnslothTrainer"), 1)


def settings(calls: Calls) -> Placed:
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
    _by_unsloth(calls, data, places)
    if trainer is None and PLAIN in calls.made:
        trainer = ""
        data |= {"trainer": "sft", "plain_trainer": True}
        places[("plain_trainer",)] = Place(_first(calls, PLAIN), 1)
    if trainer:
        data["trainer"] = TRAINERS[trainer]
        given = (calls.values.get(f"{trainer}Trainer.{name}") for name in ("model", "0"))
        if any(isinstance(model, str) for model in given) and not names & {*LOADERS}:
            data["loaded_by"] = "trainer"
            places[("loaded_by",)] = Place(_first(calls, f"{trainer}Trainer"), 1)
    calls = _scored(calls) if trainer == "Reward" else calls
    used = _is_used(calls, names)
    idle = {} if used else {"LoraConfig": UNUSED}
    idle |= {} if _is_quantised(calls) else {"BitsAndBytesConfig": UNUSED_BITS}
    earlier = _arguments(calls, idle, data, places)
    _loaded_by_name(data, places)
    if trainer is not None:
        _given(f"{trainer}{PLAIN}", calls, data, places)
    if trainer and not any(name.startswith(FAST) for name in names):
        _until(trainer, calls, data, places)
    _bare(names, used, data)
    _sees(calls, names, data, places)
    if _recomputes(calls):
        data.setdefault("gradient_checkpointing", True)
    if PREPARED in calls.made:
        data[PREPARED] = True
        places[(PREPARED,)] = Place(_first(calls, PREPARED), 1)
    if RESIZED in calls.lines:
        trail = ("resize_token_embeddings", "0")
        data.setdefault(trail[0], {}).setdefault(trail[1], WHOLE)
        places.setdefault(trail, Place(calls.lines[RESIZED], 1))
    return Placed(data, places, earlier)


def _arguments(
    calls: Calls, idle: dict[str, str], data: dict[str, Any], places: dict[Trail, Place]
) -> tuple[Earlier, ...]:
    """Note what each call is given; back come values of a config that a trainer's own replace."""
    earlier: list[Earlier] = []
    for place, value in sorted(calls.values.items(), key=_is_trainers):
        call, _, name = place.rpartition(".")
        first = call.partition("#")[0]
        trail = (idle[first], name) if first in idle else _trail(call, name, value)
        node: Any = data
        for part in trail[:-1]:
            node = node.setdefault(part, {})
        twice = len(trail) == 1 and trail[0] in data
        if twice and _holds(call, name, value) and data[trail[0]] != value:
            earlier.append(Earlier(trail, data.pop(trail[0]), places[trail]))
        if trail and trail[-1] not in node:
            node[trail[-1]] = list(value) if isinstance(value, tuple) else value
            places[trail] = Place(calls.lines.get(place, 0), 1)
            below = value if isinstance(value, dict) else {}
            places |= {(*trail, str(key)): places[trail] for key in below}
    return tuple(earlier)


def _is_trainers(said: tuple[str, Any]) -> bool:
    """Whether it is an argument of a trainer, which come behind those of its config."""
    return said[0].rpartition(".")[0].removesuffix("Trainer") in TRAINERS


def _holds(call: str, name: str, value: Any) -> bool:
    """Whether a trainer's own argument takes the place of its config's: trl up to 0.12, in all trainers.

    One that is what its signature assumes does not (dpo_trainer.py, `if beta != 0.1`).
    """
    own = LAST.get(call, {})
    return name in own and value is not None and value != ASSUMED.get(name)


def _until(trainer: str, calls: Calls, data: dict[str, Any], places: dict[Trail, Place]) -> None:
    """Note the last release of trl that has all that the script uses."""
    found: list[tuple[int, str, int]] = []
    for kind in (PLAIN, "Config"):
        own = {**LAST.get(kind, {}), **LAST.get(f"{trainer}{kind}", {})}
        for name, release in own.items():
            place = f"{trainer}{kind}.{name}"
            if place in calls.lines:
                found.append((release, f"`{name}` of {trainer}{kind}", calls.lines[place]))
    if COLLATOR in calls.made:
        found.append((19, COLLATOR, _first(calls, COLLATOR)))
    if found:
        release, by, line = min(found)
        data[UNTIL] = {"release": release, "by": by}
        places |= {(UNTIL, key): Place(line, 1) for key in data[UNTIL]}


def _loaded_by_name(data: dict[str, Any], places: dict[Trail, Place]) -> None:
    """What a trainer hands to `from_pretrained` for a model that it is given by name."""
    said = data.get(INIT)
    if not isinstance(said, dict) or data.get("loaded_by") != "trainer":
        return
    for name in [name for name in said if MODEL.get(name, name) in (*MODEL_KEYS, *LATER)]:
        value, key = said.pop(name), MODEL.get(name, name)
        if key in MODEL_KEYS:
            data[key] = value
            places[(key,)] = places.get((INIT,), Place(0, 1))
    if not said:
        del data[INIT]


def _scored(calls: Calls) -> Calls:
    """The model of a trainer of rewards, whose head scores, under the name of any other."""

    def named(place: str) -> str:
        return place.replace(SCORED, LOADERS[0], 1) if place.startswith(SCORED) else place

    return replace(
        calls,
        values={named(place): value for place, value in calls.values.items()},
        lines={named(place): line for place, line in calls.lines.items()},
    )


def _bare(names: set[str], used: bool, data: dict[str, Any]) -> None:
    """Note calls that say something by being made, without arguments that are read."""
    if f"{PROCESSOR}.from_pretrained" in names:
        data.setdefault(PROCESSOR, {})
    for call in (*HELPERS, "LoraConfig"):
        if call in names and (used or call != "LoraConfig"):
            data.setdefault(call, {})
    if CHAT_FORMAT in data:
        data[CHAT_FORMAT].setdefault("format", "chatml")
    for call in ("from_pretrained", "get_peft_model"):
        if any(f"{name}.{call}" in names for name in FAST):
            data.setdefault(call, {})


def _sees(calls: Calls, names: set[str], data: dict[str, Any], places: dict[Trail, Place]) -> None:
    """Note the class of a model that reads images."""
    for one in (SEEING, FAST[-1]):
        if f"{one}.from_pretrained" in names:
            data.setdefault(SEES, one)
            places.setdefault((SEES,), Place(_first(calls, f"{one}.from_pretrained"), 1))


def _recomputes(calls: Calls) -> bool:
    """Whether the model is told to recompute its activations, beside what the config says."""
    asked = calls.values.get(f"{PREPARED}.use_gradient_checkpointing", True)
    prepared = PREPARED in calls.made and _is_quantised(calls) and asked is True
    return RECOMPUTED in calls.made or prepared


def _config(trainer: str) -> str:
    return "SFTConfig" if trainer == "Unsloth" else f"{trainer}Config"


INIT = "model_init_kwargs"
ONCE = (*CONFIGS, *LOADERS, *ADAPTERS, *(f"{one}Trainer" for one in TRAINERS))
"""Calls of which a spec has one."""
TOLD = ("model", "0", "args", "1", "peft_config")
"""What a trainer is given that says which of several calls trains."""


def chosen(calls: Calls) -> Calls:
    """The calls, those first that a trainer is given, as far as that is seen."""
    used: dict[str, str] = {}
    for one in ("", *TRAINERS):
        for name in TOLD:
            origin = calls.origins.get(f"{one}Trainer.{name}", "")
            used.setdefault(origin.partition("#")[0], origin)
    names = {
        f"{first}#{other.partition('#')[2]}": first for first, other in used.items() if "#" in other
    }
    names |= {first: other for other, first in list(names.items())}

    def placed(place: str) -> str:
        call, _, name = place.rpartition(".")
        return f"{names.get(call, call)}.{name}"

    sure = frozenset(used)
    return replace(
        calls,
        values={placed(place): value for place, value in calls.values.items()},
        lines={placed(place): line for place, line in calls.lines.items()},
        late=calls.late
        | {place.rpartition(".")[0] for place in map(placed, calls.lines) if _second(place, sure)},
    )


def _second(place: str, sure: frozenset[str]) -> bool:
    """Whether it belongs to a call that is known not to be the one that trains."""
    first, number, _ = place.rpartition(".")[0].partition("#")
    return bool(number) and first in sure


def again(calls: Calls) -> Iterator[tuple[int, str]]:
    """What is made a second time and differs: a spec has one model, one adapter and one training."""
    for place, line in calls.lines.items():
        call, _, name = place.rpartition(".")
        first, number, _ = call.partition("#")
        if not number or first not in ONCE or call in calls.late:
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


def _given(trainer: str, calls: Calls, data: dict[str, Any], places: dict[Trail, Place]) -> None:
    """Note which rows a trainer is given, and whether it has a collator that says what trains."""
    for name in GIVEN_ROWS:
        if found := _given_rows(calls, f"{trainer}.{name}"):
            data[name] = found
            places |= {(name, key): Place(calls.lines[f"{trainer}.{name}"], 1) for key in found}
    place = f"{trainer}.data_collator"
    if (made := calls.origins.get(place, "")) in (COLLATOR, *SHOWING):
        data.setdefault(made, {})["given"] = True
        places[(made, "given")] = Place(calls.lines[place], 1)


def _given_rows(calls: Calls, place: str) -> dict[str, Any]:
    """The call that has loaded rows, the split of it, and which part of that after it was divided."""
    origin = calls.origins.get(place, "")
    before, divided, after = origin.partition(DIVIDED)
    call, _, split = before.partition("[")
    if call.partition("#")[0] not in PARTED:
        return {}
    part = {"part": after.strip("[]")} if divided else {}
    return {"of": call, **({"split": split.strip("]")} if split else {}), **part}


def _is_quantised(calls: Calls) -> bool:
    """Whether a BitsAndBytesConfig reaches a model, as far as it can be seen."""
    given = {place for place in calls.lines if place.endswith(".quantization_config")}
    held = any(calls.values.get(place, "") is not None for place in given)
    return held or any("quantization_config" in told or "**" in told for _, told in calls.foreign)


HANDED = ("1", "model", "processor", "tokenizer")
"""What a collator is given beside settings."""


def _trail(call: str, name: str, value: Any) -> tuple[str, ...]:  # noqa: PLR0911 - one per kind
    """Where a call's argument stands among the settings; nowhere if it sets nothing."""
    fast, first = call.startswith(FAST), call.partition("#")[0]
    if call == "trainer.train" and name in ("resume_from_checkpoint", "0"):
        return ("resume_from_checkpoint",) if value else ()
    if call in LOADERS:
        key = MODEL.get(name, name)
        plain = key in MODEL_KEYS and not (fast and key == "dtype")
        section = "from_pretrained" if fast else LOADED
        return () if name in LATER else (key,) if plain else (section, name)
    if call in (*CONFIGS, "BitsAndBytesConfig"):
        return ("output_dir" if name == "0" else name,)
    if call.removesuffix("Trainer") in TRAINERS:
        if name in ("model", "0") and isinstance(value, str):
            return ("model_name_or_path",)
        given = (call, name) if (call, name) == PACKED else (name,)
        return () if name in GIVEN and not value else given
    if call in (f"{PROCESSOR}.from_pretrained", *SHOWING):
        return () if name in (*MODEL, *LATER, *HANDED) else (call.partition(".")[0], name)
    kept = ("load_dataset", COLLATOR, *HELPERS, *TOKENS, "tokenizer", SAMPLING)
    tells = call in ADAPTERS or first in kept
    call = "vllm_sampling_params" if call == SAMPLING else call.rpartition(".")[2]
    return (call, name) if tells else ()


def _first(calls: Calls, name: str) -> int:
    return min(
        (line for place, line in calls.lines.items() if place.startswith(f"{name}.")), default=0
    )
