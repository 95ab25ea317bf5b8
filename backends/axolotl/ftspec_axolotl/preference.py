"""Spec paths <-> axolotl's keys of `rl`, for answers that are compared or judged.

axolotl 0.19.0, core/builders/rl.py and core/trainers: around the trainers of trl 1.9, whose losses are those
of 1.16 (trainer/dpo_trainer.py, kto_trainer.py of both). What it has no key for goes through a plugin to
trl's config.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ftspec.families.objectives.dpo import dpo_rows
from ftspec.families.objectives.free import BARS as FREE_BARS
from ftspec.families.objectives.free import LIKELIHOOD, cpo_rows, orpo_rows, simpo_rows
from ftspec.families.objectives.kto import PAIRED, kto_rows
from ftspec.families.objectives.preference import (
    BARRED,
    OBJECTIVE,
    UNPAIRED,
    Bar,
    barred,
    pair_rows,
)
from ftspec.families.rows.answer_rows import CONVERSATIONS
from ftspec.families.rows.by_turns import WORD
from ftspec.families.rows.images import no_images
from ftspec.families.rows.long_prompts import no_prompts
from ftspec.families.rows.packing import EIGHT
from ftspec.families.rows.script_data import SYSTEM
from ftspec.families.rows.template import given_template, lower_options
from ftspec.families.rows.turns import turn_row
from ftspec.families.trainers import DPO, KTO, ORPO, Trainer
from ftspec.families.training.fsdp import STRATEGY
from ftspec.mapping import (
    MISSING,
    FieldMap,
    Refuse,
    Row,
    constant,
    field,
    replaced,
    unsupported,
)
from ftspec_axolotl.answers import (
    ANSWERS,
    ARGUMENTS,
    FREE,
    PLUGIN,
    TRAINER,
    from_entries,
    to_entries,
)
from ftspec_axolotl.data import SKIP
from ftspec_axolotl.train import SCHEDULE
from ftspec_axolotl.tuners import SEEDED

OUT = "run.backends: trl, unsloth or deepspeed"
ALONE: Mapping[str, Bar] = {
    **dict.fromkeys(
        ("hardware.devices", "hardware.nodes"),
        Bar(
            lambda count: count == 1,
            "answers were not seen in several processes there",
            "notimpl",
            OUT,
        ),
    ),
    "data.overflow": Bar(
        lambda word: word != WORD,
        "of a long row it keeps the first tokens, as trl does",
        "notyet",
        "data.overflow: error; or data.overflow: truncate",
    ),
    STRATEGY: Bar(
        lambda word: word is None, "answers were not seen under FSDP there", "notimpl", OUT
    ),
}
"""Values that are refused here alone."""
KEYS = {
    "beta": "rl_beta",
    "label_smoothing": "dpo_label_smoothing",
    "loss_type": "dpo_loss_type",
    "loss_weights": "dpo_loss_weights",
    "precompute_ref_log_probs": "precompute_ref_log_probs",
    "use_weighting": "dpo_use_weighting",
    "padding_free": "dpo_padding_free",
}
"""Arguments of trl's DPOConfig that axolotl has keys for, null unless said; others go through the plugin."""
OF_KTO = {"beta": "rl_beta"}
"""The same of KTOConfig. It has keys for both weights, and takes 0 for 1 there (core/builders/rl.py)."""

OF_CPO = {"beta": "rl_beta", "cpo_alpha": "cpo_alpha", "simpo_gamma": "simpo_gamma"}
"""The same of CPOConfig, to which axolotl says `simpo` alone: the plugin says another loss."""
RL = {
    "dpo": "dpo", "kto": "kto", "simpo": "simpo", "cpo": "simpo", "orpo": "orpo", "ebft": "ebft",
}  # fmt: skip
"""Its words for objectives."""


def dpo(sft: FieldMap) -> FieldMap:
    """The map of `rl: dpo`, from the supervised one."""
    return _learned(sft, DPO, KEYS, pair_rows(), dpo_rows())


def kto(sft: FieldMap) -> FieldMap:
    """The map of `rl: kto`."""
    return _learned(sft, KTO, OF_KTO, pair_rows(UNPAIRED, PAIRED), kto_rows(), _second_model())


def free(sft: FieldMap, trainer: Trainer) -> FieldMap:
    """The map of `rl: simpo`, which says CPO as well, or `rl: orpo`."""
    own = {"cpo": cpo_rows, "simpo": simpo_rows, "orpo": orpo_rows}[trainer.objective]()
    more = (
        constant(f"{ARGUMENTS}disable_dropout", True, "answers are compared", absent=True),
        constant(f"{ARGUMENTS}generate_during_eval", False, "nothing is generated", absent=False),
    )
    known = OF_KTO if trainer is ORPO else OF_CPO
    return _learned(sft, trainer, known, pair_rows(), own, *more)


def _learned(
    sft: FieldMap,
    trainer: Trainer,
    keys: Mapping[str, str],
    shared: Iterable[Row],
    own: Iterable[Row],
    *more: Row,
) -> FieldMap:
    given = [row for row in shared if row.paths[0] in ("data.system", "data.overflow")]
    scripts = [_under_its_keys(row, trainer, keys) for row in replaced(given, *own)]
    rows = replaced((*scripts, *more), *learned_rows(trainer), _reference())
    written = {key for row in rows for key in row.keys}
    kept = (row for row in sft.rows if not of_sft(row) and not written.intersection(row.keys))
    bars = {**FREE_BARS, **ALONE} if trainer.pairs else {**BARRED, **ALONE}
    # first those that lift a tag, such as the schedule's
    others = replaced(kept, *rows)[: -len(rows)]
    return FieldMap(sft.backend, barred((*rows, *others), bars))


def of_sft(row: Row) -> bool:
    """Whether a row speaks of demonstrations alone."""
    objective = bool(row.paths) and row.paths[0].startswith(OBJECTIVE)
    return objective or row.paths[:1] in (("data.turn_part",), ("data.train_on",))


def _under_its_keys(row: Row, trainer: Trainer, known: Mapping[str, str]) -> Row:
    names = [key.removeprefix(trainer.prefix) for key in row.keys]
    keys = [
        _PSEUDO[key]
        if key in _PSEUDO
        else known.get(name, ARGUMENTS + name)
        if name != key
        else key
        for name, key in zip(names, row.keys, strict=True)
    ]
    assumed = dict(zip(names, row.absent, strict=True))

    def lift(*values: Any) -> Any:
        pairs = zip(names, values, strict=False)
        own = [assumed[name] if value is None and name in known else value for name, value in pairs]
        return row.lift(*own, *values[len(names) :])  # what it reads of others as well

    absent = tuple(None if name in known else value for name, value in assumed.items())
    return replace(row, keys=tuple(keys), lift=lift, absent=absent)


_PSEUDO = {SYSTEM: f"{ANSWERS}system", LIKELIHOOD: f"{ANSWERS}likelihood"}


def _second_model() -> Row:
    """What trl loads the reference with: axolotl hands its trainer of KTO none (core/builders/rl.py)."""
    return Row(
        (),
        (f"{ARGUMENTS}model_init_kwargs",),
        lambda tuner, revision, attention: (
            MISSING
            if tuner == "lora"
            else {"revision": revision, "dtype": "float32", "attn_implementation": attention}
        ),
        lambda _said: (),
        uses=("method.tuner.type", "model.revision", "model.attention"),
        absent=(None,),
    )


def _reference() -> Row:
    return unsupported(
        f"{OBJECTIVE}reference",
        "it has no key for another model than the one that trains (train.py, setup_reference_model)",
        hint=OUT,
    )


def learned_rows(trainer: Trainer) -> Iterator[Row]:
    """What all of them write around the rows of their own losses."""
    yield Row(
        ("method.objective.type",),
        ("rl",),
        lambda name: RL[name],
        lambda name, loss: _lift_objective(name, loss, trainer.objective),
        reads=(f"{ARGUMENTS}loss_type",),
        absent=(None,),
    )
    yield constant("trainer_cls", TRAINER, "its own trainer would tokenise rows", absent=None)
    yield constant("remove_unused_columns", False, "the trainer chooses columns", absent=None)
    if trainer is DPO:
        yield constant("dpo_use_liger_kernel", False, "other kernels round otherwise", absent=None)
    for name, value, reason in (
        ()
        if trainer.pairs
        else (
            ("pad_to_multiple_of", EIGHT, "as in all backends"),
            ("router_aux_loss_coef", 0.0, "mixtures are not compiled for it yet"),
        )
    ):
        yield constant(ARGUMENTS + name, value, reason)
    # the collator of this key looks for columns that trl no longer has (utils/collators/dpo.py)
    yield constant("pad_to_multiple_of", None, "the plugin says it", absent=None)
    yield Row(
        (),
        ("plugins",),
        lambda kind: [PLUGIN, *([SEEDED] if kind == "lora" else [])],
        lambda _plugins: (),
        uses=("method.tuner.type",),
        absent=(None,),
    )
    yield from no_images(
        "images beside answers that are compared, judged or drawn go through trainers of its own, and were "
        "not seen to train alike there"
    )
    yield from _data_rows()
    yield Row(
        ("train.schedule.type", "train.warmup_steps", "train.warmup_ratio"),
        ("lr_scheduler", "warmup_steps", f"{ARGUMENTS}warmup_steps"),
        _lower_warmup,
        lambda name, steps, told: SCHEDULE.lift(name, (steps or 0) if told is None else told),
        uses=("train.schedule.min_ratio",),
        absent=("cosine", None, None),
    )
    yield Row(
        ("train.epochs", "train.steps"),
        ("num_epochs", "max_steps", f"{ARGUMENTS}max_steps"),
        # it would count the steps of all epochs together, and before trl leaves out what is too long
        lambda epochs, steps: (
            (MISSING, steps, MISSING) if steps else (float(epochs or 1), MISSING, -1)
        ),
        lambda epochs, steps, _told: (None, steps) if steps else (float(epochs), None),
        absent=(1.0, None, None),
    )
    yield field("train.data_seed", f"{ARGUMENTS}data_seed", absent=None)


def _lift_objective(name: str | None, loss: Any, expected: str) -> str:
    found = "cpo" if name == "simpo" and loss != "simpo" else name
    if found != expected:
        raise Refuse(f"rl: {name} is another objective", "never")
    return expected


def _data_rows() -> Iterator[Row]:
    yield Row(
        ("data.prepare", "data.train"),
        ("datasets", SKIP, *(f"{ANSWERS}{name}" for name in ("format", "columns", "template"))),
        _lower_sources,
        _lift_sources,
        uses=("method.objective.type",),
        absent=(MISSING, False, None, None, None),
    )
    yield Row(("data.train_on",), (), lambda _what: (), lambda: "completions")
    yield turn_row(TURNS)
    yield Row(("data.eval_draw",), (), lambda _draw: (), lambda: "first")
    yield Row(
        ("data.max_length",), ("sequence_len",), _lower_length, lambda length: length, absent=(512,)
    )
    yield from no_prompts("prompts are not cut for it yet", "notimpl", OUT)
    yield Row(
        ("data.mixed", "data.draw_seed"),
        ("shuffle_merged_datasets",),
        _lower_mixed,
        lambda mixed: (bool(mixed), None),
        uses=("train.seed",),
        absent=(True,),
    )
    yield Row(
        ("data.shuffle",),
        ("curriculum_sampling", f"{ARGUMENTS}train_sampling_strategy"),
        # its trainers of `rl` never hear of the first
        lambda shuffle: (False, "random" if shuffle else "sequential"),
        lambda _curriculum, strategy: strategy == "random",
        absent=(None, "random"),
    )
    given = given_template()
    yield replace(
        given,
        keys=("chat_template", "chat_template_jinja"),
        lower=lambda template: _jinja(given.lower(template)),
        lift=lambda word, file: given.lift(file if word == "jinja" else None),
        absent=(None, None),
    )
    yield Row(
        ("model.template_options",),
        (),
        lower_options,
        dict,
        uses=("data.prepare", "method.objective.type"),
    )


TURNS = "of an answer all tokens are compared"


def _jinja(file: Any) -> tuple[Any, Any]:
    return ("tokenizer_default", MISSING) if file is MISSING else ("jinja", file)


def _lower_sources(_who: str, sources: Sequence[dict[str, Any]], objective: str) -> tuple[Any, ...]:
    formats = {source["format"] for source in sources}
    if RL[objective] in FREE and not formats <= {*CONVERSATIONS}:
        raise Refuse(
            "these may be plain texts, at whose ends and cuts its trl (1.9) puts other tokens than 1.16",
            "notimpl",
            f"rows like {CONVERSATIONS[0]}; or {OUT}",
        )
    entries, format, columns, texts = to_entries(sources, RL[objective])
    return entries, True, format, columns or MISSING, texts or MISSING


def _lift_sources(datasets: Any, _skip: Any, format: str | None, *rows: Any) -> Any:
    if datasets is MISSING or format is None:
        raise Refuse("rows of its own types are read by `ftspec import` only", "notimpl")
    return "framework", from_entries(datasets, format, *rows)


def _lower_warmup(*values: Any) -> tuple[Any, ...]:
    name, warmup = SCHEDULE.lower(*values)
    if 0 < warmup <= 1:  # it makes two of one step, and rounds a share down
        return name, MISSING, warmup
    return name, int(warmup), MISSING


def _lower_length(length: int | None) -> int:
    if length is None:
        raise Refuse("its sequence_len is a number, at which answers are cut", hint=OUT)
    return length


def _lower_mixed(mixed: bool, own: int | None, seed: int) -> bool:
    if mixed and own not in (None, seed):
        raise Refuse("it has one seed for all that it draws", hint=OUT)
    return mixed
