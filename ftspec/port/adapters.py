"""A saved adapter's own file: what peft wrote beside the weights, as spec values.

peft 0.18 (config.py, save_pretrained) writes every option, defaults included, and older releases the options
that they had. What is not its default and no spec path says is lost, and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.families.tuners.adapters import CALLS, KIND, OPTIONS
from ftspec.mapping import FieldMap, Lifted
from ftspec.port.documents import in_file, read_text
from ftspec.port.fates import Fate, Setting
from ftspec.port.held import unheld
from ftspec.port.verdicts import same
from ftspec.read import json
from ftspec.registry import load
from ftspec.spec.peft_options import call, defaults, table

HEADS = ("classifier", "score")
"""Modules that peft saves for that task by itself (peft_model.py, PeftModelForSequenceClassification)."""
TUNERS: Mapping[str, str] = {name: tuner for tuner, name in CALLS.items()}
"""Tuner by the class of its configuration."""
SCORES = "SEQ_CLS"
"""The task of a reward model."""
UNSORTED = ("target_modules", "exclude_modules", "modules_to_save", "feedforward_modules")
"""Names that peft keeps as a set: they are saved in any order."""
ABOUT = frozenset(
    (
        "peft_type", "base_model_name_or_path", "revision", "inference_mode", "auto_mapping", "peft_version",
        "runtime_config", "token_dim", "num_transformer_submodules", "num_attention_heads",
        "num_layers", "tokenizer_name_or_path", "tokenizer_kwargs", "megatron_core", "layers_pattern",
        "fan_in_fan_out", "qalora_group_size",
    )
)  # fmt: skip
"""What the model is and how the file is to be read, or what says nothing without an option beside it."""
OTHER = "no field of a spec says it"


def read_adapter(path: Path) -> tuple[dict[str, Any], tuple[Fate, ...]]:
    """Values by spec path, and the options that no path says.

    Raises:
        SpecError: it is not JSON, or no object.
    """
    placed = in_file(path, json.read_placed, read_text(path))
    saved, found, lost = placed.data, dict[str, Any](), list[tuple[str, str]]()
    for name, spec_path in (("base_model_name_or_path", "name"), ("revision", "revision")):
        if isinstance(saved.get(name), str) and saved[name]:
            found[f"model.{spec_path}"] = saved[name]
        elif saved.get(name) not in (None, ""):
            lost.append((name, "a name stands there"))
    kind = saved.get("peft_type")
    if kind is not None and (not isinstance(kind, str) or kind not in table()):
        lost.append(("peft_type", f"peft 0.18 has no such adapter: {', '.join(sorted(table()))}"))
    elif kind is not None:
        lifted = _lifted(path, kind, saved)
        wrong = unheld(lifted.spec)
        found |= {name: value for name, value in lifted.spec.items() if name not in wrong}
        lost += [*_lost(kind, saved, lifted), *_refused(kind, saved, wrong)]
    lines = {trail[0]: place.line for trail, place in placed.places.items() if len(trail) == 1}
    return found, tuple(
        Fate("unknown", Setting(key, saved[key], str(path), lines.get(key, 0)), (), why)
        for key, why in lost
    )


def _lifted(path: Path, kind: str, saved: Mapping[str, Any]) -> Lifted:
    """What the rows of a script's adapter make of it."""
    scores = saved.get("task_type") == SCORES
    fields = load("trl").maps["reward" if scores else "sft"]
    name = call(kind)
    prefix = f"{name}."
    given = {key: _sorted(key, value) for key, value in saved.items() if key not in ABOUT}
    if scores and isinstance(heads := given.get("modules_to_save"), list):
        given["modules_to_save"] = [head for head in heads if head not in HEADS]
    tuner = TUNERS.get(name, "peft")
    if tuner == "peft":
        known = defaults(kind)
        own = {key: value for key, value in given.items() if known.get(key) != value}
        own.pop("task_type", None)
        native = {"tuner": tuner, KIND: kind, OPTIONS: own}
    else:
        native = {"tuner": tuner, **{f"{prefix}{key}": value for key, value in given.items()}}
    rows = [
        row
        for row in fields.rows
        if row.keys and all(key == "tuner" or key.startswith((prefix, "peft.")) for key in row.keys)
    ]
    try:
        lifted = FieldMap(fields.backend, rows).lift(native)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise SpecError(
            Problem(
                f"an option of {kind} has a value of another kind than peft writes",
                file=str(path),
                hint="save the adapter anew, or name the config of its training",
            )
        ) from error
    kept = {path: value for path, value in lifted.spec.items() if value is not None}
    objective = {"method.objective.type": "reward"} if scores else {}
    return Lifted({**kept, **objective}, lifted.unknown, lifted.refusals, lifted.inert)


def _sorted(key: str, value: Any) -> Any:
    if key in UNSORTED and isinstance(value, list):
        return sorted(value, key=str)
    return value


def _refused(
    kind: str, saved: Mapping[str, Any], wrong: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Options whose values are of another kind than a spec has."""
    fields = load("trl").maps["sft"]
    for path, why in wrong.items():
        keys = [key for row in fields.by_path.get(path, ()) for key in row.keys]
        own = {key.removeprefix(f"{call(kind)}.") for key in keys} & saved.keys()
        yield from ((key, why) for key in sorted(own or {"peft_type"}))


def _lost(kind: str, saved: Mapping[str, Any], lifted: Lifted) -> Iterator[tuple[str, str]]:
    """Options that are not as peft has them where nobody says anything, and that no path tells."""
    prefix = f"{call(kind)}."
    known = defaults(kind)
    for refusal in lifted.refusals:
        if (key := refusal.path.removeprefix(prefix)) in saved:
            yield key, refusal.reason
    for name in (*lifted.unknown, *lifted.inert):
        key = name.removeprefix(prefix)
        if key == "task_type" and saved.get(key) in ("CAUSAL_LM", SCORES):
            continue
        if key in saved and not _is_off(key, saved[key], known):
            yield key, OTHER if key in known else f"peft 0.18 has no such option of {kind}"


def _is_off(key: str, value: Any, known: Mapping[str, Any]) -> bool:
    """Whether an option says what holds without it; one that peft 0.18 has not, whether it says nothing."""
    if key in known:
        return same(known[key], value)
    return value is None or value is False or value in ([], {}, "")
