"""Rows of objectives that compare answers: what their trainers share, in scripts and elsewhere.

trl 1.15 and 1.16, trainer/dpo_trainer.py. Their trainers switch dropout off, take no token weights and
pack nothing; and they measure from the base model by switching an adapter off, which is only the model
as it was where the adapter begins as nothing and nothing beside it trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ftspec.families.objectives.supervised import SHAPE
from ftspec.families.rows.by_turns import PAIRS_CUT, WORD
from ftspec.families.rows.datasets import context
from ftspec.families.rows.images import ANSWERS, LEARNED, with_images
from ftspec.families.rows.long_prompts import prompt_row
from ftspec.families.rows.packing import EIGHT
from ftspec.families.rows.script_data import LIMIT, SYSTEM, left_off
from ftspec.families.rows.template import given_template
from ftspec.families.scripts.sft_script import CONFIG
from ftspec.families.trainers import Trainer, trainer_rows
from ftspec.mapping import MISSING, FieldMap, Lossy, Refuse, Row, Support, ours
from ftspec.spec.images import PARTS

PREFERENCE = "preference"
"""The shape of the script's rows: prompt, chosen and rejected."""
UNPAIRED = "unpaired"
"""The shape of rows of one answer: prompt, completion and label."""
UNSEEN = ("preference", "preference-implicit", "unpaired")
"""Formats of which it is not seen before the rows are read whether they are conversations."""
REFERENCE = "model.reference"
"""Native pseudo-key: another model that answers are measured from, which the script loads."""
OBJECTIVE = "method.objective."
NEUTRAL = ("default", "gaussian", "orthogonal")
"""Initialisations under which a new adapter changes nothing, and leaves the base as it is."""
TUNERS = ("full", "partial", "lora")
"""Tuners that were seen to train from preferences."""


@dataclass(frozen=True)
class Bar:
    """Values of a path that an objective does not take, whatever the backend."""

    allowed: Callable[[Any], bool]
    reason: str
    support: Support = "notyet"
    hint: str = ""


def _nothing(value: Any) -> bool:
    return not value


_DROPOUT = Bar(
    _nothing,
    "trainers of preferences switch dropout off, because the reference must not be noisy",
    hint="leave it out",
)
UNSEEN_INIT = Bar(
    lambda kind: kind == "default",
    "other beginnings of adapters were not seen with it",
    "notimpl",
    "method.tuner.init: default",
)
BARRED: Mapping[str, Bar] = {
    "method.tuner.type": Bar(
        lambda kind: kind in TUNERS,
        "of all tuners only full and partial tuning and LoRA were seen to train from preferences",
        "notimpl",
        "method.tuner.type: lora",
    ),
    "method.tuner.dropout": _DROPOUT,
    "method.tuner.bias": Bar(
        lambda bias: bias == "none",
        "biases that train stay as they are where the adapter is switched off for the reference",
        hint="method.tuner.bias: none",
    ),
    "method.tuner.init.type": Bar(
        lambda kind: kind in NEUTRAL,
        "it takes what it puts into the adapter out of the base, which is then no reference, or was not "
        "seen to begin as nothing",
        hint="method.tuner.init: default",
    ),
    "model.quantization.type": Bar(
        lambda kind: kind is None,
        "over a quantised base it was not seen to train",
        "notimpl",
        "leave model.quantization out",
    ),
    "train.label_smoothing": Bar(
        _nothing,
        "this smooths over tokens, and no trainer of preferences reads it",
        "never",
        "method.objective.label_smoothing is about pairs",
    ),
    "train.neftune_alpha": Bar(
        _nothing, "the noise would fall on the reference as well, which is the same model", "never"
    ),
    "data.packing": Bar(
        lambda packing: packing is None,
        "answers that are compared cannot share a row with others",
        "never",
        "data.packing: null",
    ),
    "data.group_by_length": Bar(
        _nothing,
        "transformers measures rows by their `input_ids`, and these have a prompt and answers instead "
        "(trainer_pt_utils.py, LengthGroupedSampler)",
        hint="leave it out",
    ),
    "data.prepare": Bar(
        lambda who: who == "framework",
        "trainers of preferences tokenise rows themselves; no rows are handed over to them yet",
        "notimpl",
        "data.prepare: framework",
    ),
    "hardware.tensor_parallel": Bar(
        lambda share: share == 1,
        "pairs were never seen beside layers that are cut over devices",
        "notimpl",
    ),
    "hardware.sequence_parallel": Bar(
        lambda share: share == 1, "pairs were never seen to be split over devices", "notimpl"
    ),
}
MEASURED: Mapping[str, Bar] = {
    path: bar for path, bar in BARRED.items() if path != "model.quantization.type"
}
"""The same for those that measure from a reference, which train over a quantised base as well."""


def barred(rows: Iterable[Row], bars: Mapping[str, Bar] = BARRED) -> Iterator[Row]:
    """The rows, with a refusal of values that the objective does not take."""
    for row in rows:
        found = [(at, bars[path]) for at, path in enumerate(row.paths) if path in bars]
        yield replace(row, lower=_checked(row.lower, found)) if found else row


def _checked(lower: Callable[..., Any], bars: list[tuple[int, Bar]]) -> Callable[..., Any]:
    def checked(*values: Any) -> Any:
        for at, bar in bars:
            if not bar.allowed(values[at]):
                raise Refuse(bar.reason, bar.support, bar.hint)
        return lower(*values)

    return checked


def trained_by(sft: FieldMap, trainer: Trainer, bars: Mapping[str, Bar], *own: Row) -> FieldMap:
    """The map of a script backend for another trainer, from its supervised one.

    ``own`` are the trainer's rows, ``bars`` the values that it does not take.
    """
    return FieldMap(sft.backend, barred(trainer_rows(sft, trainer, *own), bars))


def trained(trainer: Trainer) -> Row:
    """The objective, which a script shows by its trainer; ``trainer`` has no other one."""

    def lift(folder: Any) -> str:
        if folder is MISSING:
            raise Refuse(f"the script has no {trainer.config}", "never")
        return trainer.objective

    return Row(
        ("method.objective.type",),
        (),
        lambda _objective: (),
        lift,
        reads=(f"{trainer.prefix}output_dir",),
    )


def source_rows(lower: Callable[..., Any]) -> tuple[Row, ...]:
    """The rows to learn from, and those to evaluate on, of which there may be none."""
    return tuple(
        Row(
            (f"data.{split}",),
            (f"data.{split}",),
            lower,
            lambda v: v,
            absent=() if split == "train" else ((),),
        )
        for split in ("train", "eval")
    )


def pair_rows(shape: str = PREFERENCE, always: str = "") -> tuple[Row, ...]:
    """What the script loads: pairs, or single answers, in the columns of that ``shape``.

    ``always``: why prompts are not cut of long rows alone.
    """

    def lower_sources(sources: tuple[dict[str, Any], ...]) -> Any:
        if sources:
            context(sources, shape, "")  # refuses what one statement cannot load
        return sources

    return (
        *source_rows(lower_sources),
        Row(
            ("data.prepare",),
            ("data.prepare",),
            lambda who: who,
            lambda who: who,
        ),
        Row(
            ("data.train_on",),
            (SHAPE, LEARNED),
            lambda _what, sources: (shape, ANSWERS if with_images(sources) else MISSING),
            lambda _shape, _learned: "completions",
            uses=("data.train",),
            absent=(MISSING, MISSING),
        ),
        Row(
            ("data.system",),
            (SYSTEM,),
            _lower_system,
            lambda text: text,
            uses=("data.train",),
            absent=(None,),
        ),
        Row(
            ("data.max_length",),
            (f"{CONFIG}max_length",),
            lambda length: length,
            lambda length: length,
            absent=(1024,),
        ),
        Row(
            ("data.overflow",),
            (LIMIT, PAIRS_CUT),
            partial(_lower_overflow, shape),
            lambda _limit, cut: "truncate" if cut is MISSING else WORD,
            uses=("data.max_prompt_length",),
            absent=(None, MISSING),
        ),
        prompt_row(always),
        Row(
            ("data.packing",),
            (f"{CONFIG}pad_to_multiple_of",),
            lambda _packing: EIGHT,
            lambda _pad: None,
            absent=(None,),
        ),
        given_template(),
    )


def _lower_system(system: str | None, sources: tuple[dict[str, Any], ...]) -> Any:
    if system is None:
        return MISSING
    formats = {source["format"] for source in sources}
    if formats & {*UNSEEN}:
        raise Refuse(
            "whether these prompts are conversations is not seen before the rows are read",
            "notimpl",
            "leave data.system out, and put it into the rows",
        )
    return system


def refuse_dropping(overflow: str) -> None:
    """Raise Refuse where long rows would be left out."""
    if overflow in ("drop", "split"):
        raise Refuse(
            "trl cuts the longer answers; no rows are left out for them yet",
            "notimpl",
            "data.overflow: error; or data.overflow: truncate",
        )


def cut_pairs(overflow: str, prompt: int | None) -> Any:
    """The native value by which a script cuts pairs turn by turn; none for another word."""
    if overflow != WORD:
        return MISSING
    if prompt is not None:
        raise Refuse(
            "a prompt has its share of a row, and no limit of its own beside that",
            "notimpl",
            "leave data.max_prompt_length out",
        )
    return True


def _lower_overflow(shape: str, overflow: str, prompt: int | None) -> Any:
    refuse_dropping(overflow)
    if overflow == WORD and shape != PREFERENCE:
        return Lossy(
            (MISSING, MISSING),
            "a longer row loses its end, and not its share of prompt and answer: an answer is judged beside "
            "another row's, and trl gives both one prompt; data.overflow: error stops at such a row",
        )
    if left_off(overflow):
        raise Refuse(
            "its trainer keeps the first tokens of a row", "notyet", "data.overflow: error"
        )
    return MISSING, cut_pairs(overflow, prompt)


def reference_rows() -> tuple[Row, ...]:
    """The model that answers are measured from. Of a stage, its place is known when rows are asked."""
    return *ours(f"{OBJECTIVE}reference_stage"), Row(
        (f"{OBJECTIVE}reference",),
        (REFERENCE,),
        _lower_reference,
        lambda name: name,
        uses=("method.tuner.type", "model.dtype", "derived.stored_dtype", "model.images.train"),
        absent=(None,),
    )


def _lower_reference(
    name: str | None, tuner: str, dtype: str, stored: str | None, parts: tuple[str, ...] | None
) -> Any:
    lifted = tuner == "partial" or (tuner == "full" and parts not in (None, PARTS))
    if lifted and (stored if dtype == "auto" else dtype) != "float32":
        raise Refuse(
            "weights that train are lifted to float32, and the reference would keep the stored ones",
            "notimpl",
            "model.dtype: float32",
        )
    return MISSING if name is None else name
