"""`ftspec diff`: whether two sources mean the same, and what a difference does, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ftspec.port.documents import read_text
from ftspec.port.effective import Meaning
from ftspec.port.verdicts import same
from ftspec.spec.present import is_there

Weight = Literal["training", "rounding", "around"]
"""training: other weights come out. rounding: the same mathematics in other steps. around: memory,
speed, what is saved and shown."""
Values = Mapping[str, Any]
Words = Callable[[Any, Any, Values, Values], str]
SHARES = {"full_shard": 3, "shard_grad_op": 2}
"""Strategies of FSDP, and the stages of ZeRO that keep as much of a model on each device."""


class Difference(NamedTuple):
    """One path with two values."""

    path: str
    one: Any
    other: Any
    weight: Weight
    words: str


IN_ROWS = ("data.turn_part", "data.turn_ends", "data.turn_flag")
"""What prepared tokens have in themselves, and no file beside them says."""
TEMPLATE = "model.chat_template"
LONGEST = 1024
"""Characters of what may be the name of a file."""
BATCH, PACKED = "train.batch_size", "data.packing"
LONG = {"drop": "left out", "error": "an error", "split": "split into several"}
"""What becomes of a row that is too long, where it is not cut."""
UNORDERED = (
    "method.tuner.targets", "method.tuner.exclude", "method.tuner.modules_to_save", "method.tuner.layers",
    "method.tuner.parameters", "method.tuner.feedforward", "output.trackers",
)  # fmt: skip
"""Names that mean the same in any order."""
CHOOSING = ("data.eval", "train.eval_steps", "train.save_steps")
"""What decides on the end of a run, where a score does."""
AROUND = (
    "output.", "train.logging_steps", "train.save_", "train.eval_steps", "data.eval",
    "train.gradient_checkpointing", "hardware.", "model.trust_remote_code",
)  # fmt: skip
HELD_OUT = ("data.eval_size", "data.eval_draw")
"""Rows that are held out are no rows to train on."""
PIECES = "train.micro_batch_size"
ROUNDING = (PIECES, "model.attention", "precision.tf32", "model.quantization.storage")


def _ratio(one: float, other: float, more: str, less: str) -> str:
    if not one or not other:
        return ""
    ratio = other / one
    if not ratio:  # too small for a float
        return ""
    times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
    return f"{times} the {more if ratio > 1 else less}"


def _scale(_one: Any, _other: Any, left: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    """alpha / rank, which multiplies the update."""
    scales = [
        side["method.tuner.alpha"]
        / (side["method.tuner.rank"] ** (0.5 if side.get("method.tuner.rslora") else 1))
        for side in (left, right)
        if side.get("method.tuner.alpha") and side.get("method.tuner.rank")
    ]
    if len(scales) < 2:
        return ""
    one, other = scales
    if abs(one - other) < 1e-12:
        return f"the adapter's scale stays {one:g}"
    word = {2.0: "doubled", 0.5: "halved"}.get(other / one, f"times {other / one:.3g}")
    return f"adapter scale {one:g} against {other:g}: {word}"


def _rate(one: Any, other: Any, *_: Mapping[str, Any]) -> str:
    return _ratio(one, other, "step size", "step size")


def _batch(one: Any, other: Any, *_: Mapping[str, Any]) -> str:
    if one is None or other is None:
        return ""
    return f"{_ratio(one, other, 'rows', 'rows')} per step, so the steps of an epoch change too"


def _whole(one: Values, other: Values) -> bool:
    """Whether it is all the same into which pieces a batch is cut.

    It is not where the mean of each piece counts as much as another's, nor in KTO, which compares an answer
    with the others of its piece.
    """
    means = [side.get("method.objective.average") == "batches" for side in (one, other)]
    kinds = [side.get("method.objective.type") == "kto" for side in (one, other)]
    return not any(means) and not any(kinds)


def _pieces(_one: Any, _other: Any, left: Values, right: Values) -> str:
    if _whole(left, right):
        return "the same batch in other pieces: sums round otherwise"
    return "the loss is a mean over pieces of the batch, which are others here"


def _length(one: Any, other: Any, left: Values, right: Values) -> str:
    """What becomes of rows that one side takes whole; of packed rows, how large a pack is, too."""
    shorter = min(size for size in (one, other) if size is not None)
    strict = left if one == shorter else right
    done = LONG.get(str(strict.get("data.overflow")), "cut")
    longer = "" if one is None or other is None else f" and {max(one, other)}"
    rows = f"between {shorter}{longer}" if longer else f"beyond {shorter}"
    packs = "; packs of another size" if left.get(PACKED) or right.get(PACKED) else ""
    return f"rows {rows} tokens are {done} in one, whole in the other{packs}"


def _devices(_one: Any, _other: Any, left: Values, right: Values) -> str:
    """Of a launch alone, whose batch is the trainer's on each device."""
    one, other = processes(left), processes(right)
    if (BATCH in left and BATCH in right) or one is None or other is None or one == other:
        return ""
    rows = _ratio(one, other, "rows", "rows")
    return f"of a trainer with a batch for each device, {rows} per step"


def processes(side: Values) -> int | None:
    """Devices of all machines; None where nothing says it."""
    devices, nodes = side.get("hardware.devices"), side.get("hardware.nodes") or 1
    return devices * nodes if isinstance(devices, int) and isinstance(nodes, int) else None


def _sources(one: Any, other: Any, *_: Values) -> str:
    """Of rows whose format one side finds out by looking, which they are is not certain."""
    sides = [
        [{**source, "format": ""} for source in side or () if isinstance(source, dict)]
        for side in (one, other)
    ]
    formats = {source.get("format") for side in (one, other) for source in side or ()}
    if "auto" in formats and same(*sides):
        (format,) = formats - {"auto"} if len(formats) == 2 else ("that",)
        return f"the same rows, where `auto` finds {format} in them"
    return "other rows"


def _engines(strategy: Any, other: Any, left: Values, right: Values) -> str:
    """One side by FSDP, the other by ZeRO or not at all."""
    if strategy is not None and other is not None:
        return ""
    stage = (right if strategy else left).get("hardware.zero.stage")
    if stage == SHARES.get(strategy or other):
        return f"ZeRO {stage} shards the same way in another engine"
    return f"the other side has ZeRO {stage}" if stage else "the other side is whole on each device"


def _between(path: str, one: Values, other: Values) -> bool:
    """Of two engines one line tells that they are two, not each field that only one of them has."""
    fields, told = ("hardware.fsdp.", "hardware.zero."), "hardware.fsdp.sharding_strategy"
    two = (one.get(told) is None) != (other.get(told) is None)
    return two and path.startswith(fields) and path != told


def _say(words: str) -> Words:
    return lambda *_: words


WORDS: Mapping[str, Words] = {
    "method.objective.type": _say("another thing is learned"),
    "method.tuner.type": _say("other weights train"),
    "method.tuner.alpha": _scale,
    "method.tuner.rank": _scale,
    "method.tuner.rslora": _scale,
    "method.tuner.targets": _say("adapters on other modules"),
    "method.tuner.dropout": _say("other noise on the adapter's input"),
    "train.learning_rate": _rate,
    "train.batch_size": _batch,
    "data.max_length": _length,
    "data.train_on": _say("other tokens count in the loss"),
    "data.turn_part": _say("other tokens of a trained turn count in the loss"),
    "data.turn_ends": _say("other tokens end a turn"),
    "data.turn_flag": _say("other turns count in the loss"),
    "data.train": _sources,
    "data.eval_size": _say("rows that are held out do not train"),
    "data.eval_draw": _say("other rows are held out, and do not train"),
    "data.prepare": _say("who makes tokens of rows: the same ones, where nothing else differs"),
    "data.packing": _say("rows share a sequence in another way"),
    "data.overflow": _say("long rows are treated otherwise"),
    "data.shuffle": _say("another order of rows"),
    "train.seed": _say("another beginning of new weights, another order of rows"),
    "train.data_seed": _say("another order of rows"),
    "train.schedule.type": _say("the learning rate goes another way"),
    "train.warmup_steps": _say("another warm-up"),
    "train.warmup_ratio": _say("another warm-up"),
    "train.epochs": _say("more or fewer passes over the data"),
    "train.steps": _say("more or fewer steps"),
    "train.weight_decay": _say("weights shrink otherwise"),
    "train.max_grad_norm": _say("large gradients are cut otherwise"),
    "precision.compute": _say("arithmetic in other number formats: another curve, close by"),
    "model.dtype": _say("weights are held in another type: another curve, close by"),
    "model.name": _say("another model"),
    "model.chat_template": _say("other tokens around each turn"),
    PIECES: _pieces,
    "model.attention": _say("the same mathematics in another kernel"),
    "train.gradient_checkpointing": _say("memory and time, not results"),
    "hardware.fsdp.sharding_strategy": _engines,
    "hardware.devices": _devices,
    "hardware.nodes": _devices,
    "method.tuner.dora": _say(
        "the length of each weight's columns is learned apart from their direction"
    ),
    "method.tuner.init.type": _say("adapters begin with other values"),
    "method.tuner.modules_to_save": _say("other modules train in full"),
    "method.tuner.rank_pattern": _say("other ranks of some modules"),
    "method.tuner.alpha_pattern": _say("other scales of some modules"),
    "method.tuner.bias": _say("other biases train"),
    "method.objective.average": _say("tokens count otherwise where rows are unequal"),
    "model.special_tokens.eos": _say("an answer ends with another token"),
    "train.optimizer.type": _say("another optimizer"),
    "train.resume": _say("the same only where this very training wrote that checkpoint"),
    "train.keep": _say("the weights of another step are kept"),
    "train.early_stopping": _say("it stops at another step"),
}


def compare(left: Meaning, right: Meaning) -> tuple[Difference, ...]:
    """Where they differ, in the spec's order, what matters first."""
    weights = ("training", "rounding", "around")
    found = sorted(_differences(left, right), key=lambda one: weights.index(one.weight))
    return tuple(found)


def _differences(left: Meaning, right: Meaning) -> Iterator[Difference]:
    one, other = left.values, right.values
    left_open = {
        path for side in (left, right) for paths in side.left_open.values() for path in paths
    }
    for path in dict.fromkeys((*one, *other)):
        if path in left_open:
            continue
        first, second = one.get(path), other.get(path)
        if same(first, second) or _idle(path, one, other) or _one_place(first, second, left, right):
            continue
        if path in UNORDERED and _unordered(first) == _unordered(second):
            continue
        if prepared(left, right) and (path in IN_ROWS or _texts(path, first, second)):
            continue
        if path == TEMPLATE and _written(first, left) == _written(second, right) is not None:
            continue
        if (left.compiled and path not in one) or (right.compiled and path not in other):
            continue
        launches = left.launch and right.launch
        if (left.partial or right.partial) and not launches and _untold(path, first, second):
            continue
        if _between(path, one, other):
            continue
        words = WORDS.get(path, _say(""))(first, second, one, other)
        if launches and not _both(first, second) and not path.startswith("hardware."):
            words = "the other leaves it to the trainer"
        if not words and path.startswith(CHOOSING) and (_scored(one) or _scored(other)):
            words = "a score on held out rows decides which weights are kept, or when to stop"
        yield Difference(path, first, second, _weighed(path, one, other, words), words)


def _weighed(path: str, one: Values, other: Values, words: str) -> Weight:
    if path == PIECES:
        return "rounding" if _whole(one, other) else "training"
    if path in HELD_OUT or (WORDS.get(path) is _devices and words):
        return "training"
    if path.startswith(CHOOSING) and (_scored(one) or _scored(other)):
        return "training"
    return _weight(path)


def _scored(side: Values) -> bool:
    """Whether a score on held out rows decides which weights are kept, or when to stop."""
    return side.get("train.keep") == "best" or side.get("train.early_stopping") is not None


def _unordered(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, list | tuple) else value


def _one_place(first: Any, second: Any, left: Meaning, right: Meaning) -> bool:
    """Whether both name the same files, each from where its own names start."""
    if not isinstance(first, str | list | tuple) or not isinstance(second, str | list | tuple):
        return False
    ones = [_resolved(first, start) for start in left.starts]
    others = [_resolved(second, start) for start in right.starts]
    return any(same(one, other) for one in ones for other in others)


def _resolved(value: Any, start: Path) -> Any:
    """The value with names of files that are there in full."""
    if isinstance(value, list | tuple):
        return [_resolved(one, start) for one in value]
    if isinstance(value, dict) and value.get("template"):  # which says what format it makes
        written = {key: text for key, text in value["template"].items() if text is not None}
        value = {**value, "template": written, "format": "auto"}
    if isinstance(value, dict) and "path" in value:
        return {**value, "path": _resolved(value["path"], start)}
    if not isinstance(value, str) or "\0" in value or len(value) > LONGEST:
        return value
    return str((start / value).resolve()) if is_there(start / value) else value


def prepared(*sides: Meaning) -> bool:
    """Whether one has tokens in the place of rows: no file says which rows, or why a token trains."""
    return any(side.compiled and "data.train" not in side.values for side in sides)


def _texts(path: str, first: Any, second: Any) -> bool:
    """Prepared texts and prepared answers are told apart by nothing but their tokens."""
    return path == "method.objective.type" and sorted((str(first), str(second))) == ["cpt", "sft"]


def _written(template: Any, side: Meaning) -> str | None:
    """What stands in the file of a chat template; one that an import makes has a name after its source."""
    if not isinstance(template, str) or "\0" in template or len(template) > LONGEST:
        return None
    if side.imported is not None and (own := side.imported.files.get(template.removeprefix("./"))):
        return own
    found = [start / template for start in side.starts if (start / template).is_file()]
    return read_text(found[0]) if found else None


def _both(first: Any, second: Any) -> bool:
    return first is not None and second is not None


def _untold(path: str, first: Any, second: Any) -> bool:
    """What results do not tell: a saved adapter names each module that `all-linear` stands for.

    A trainer's state has whole passes, rounded up (trainer.py, num_train_epochs).
    """
    if not _both(first, second) or "all-linear" in (first, second):
        return True
    return path == "train.epochs" and math.ceil(first) == math.ceil(second)


def _idle(path: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """A field that only one method has: that the methods differ is told already."""
    section, _, name = path.rpartition(".")
    tag = f"{section}.type"
    apart = one.get(tag) != other.get(tag) and tag in {*one, *other}
    return name != "type" and apart and not _both(one.get(path), other.get(path))


def _weight(path: str) -> Weight:
    if path.startswith(AROUND):
        return "around"
    return "rounding" if path.startswith(ROUNDING) else "training"
