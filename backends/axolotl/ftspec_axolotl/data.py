"""Spec paths <-> axolotl's keys for rows: prepared ones, and those that it makes itself.

`skip_prepare_dataset` tells them apart. Its own it would keep under a hash of the config, and find them again
after a file has changed (utils/data/shared.py): a plugin has it make them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftspec.families.rows.images import ALSO, ENDS, LEARNED
from ftspec.families.rows.images import TEXT as SHOWN
from ftspec.families.rows.shapes import IMAGES
from ftspec.families.rows.template import NAMED_FILE, named_in
from ftspec.mapping import MISSING, Refuse, Row, unsupported
from ftspec.spec.chat_templates import NAMED
from ftspec_axolotl.images import SEEN, SHAPE, SYSTEM
from ftspec_axolotl.sources import (
    CHAT,
    PREPARED,
    TEXT,
    from_entry,
    from_place,
    kinds_of,
    to_entry,
    to_place,
)
from ftspec_axolotl.sources import ENDS as OF_TURNS

FRESH = "fresh_rows.FreshRows"
"""The plugin beside the config that has rows made anew in each run."""
KEPT = "last_run_prepared"
"""Where its processes wait for each other, as its own default is."""
SKIP = "skip_prepare_dataset"
READY = (SKIP, SHAPE)
"""What tells who made the rows."""
WHO = "data.prepare"
LONG = {"truncate": "truncate", "drop": "drop", "error": "raise"}
OF_ITS_OWN = ("chat_template", "add_generation_prompt", "tools", "real_last_index", "tokenize")
"""Values that it gives a template itself (ChatTemplatePrompter.build_prompt)."""


def data_rows() -> tuple[Row, ...]:
    """Which rows train, and which of their tokens."""
    return (
        Row(
            (WHO, "data.train"),
            ("datasets", SKIP, "dataset_prepared_path"),
            _lower_sources,
            _lift_sources,
            uses=("derived.train_rows", "data.turn_part", SEEN),
            reads=(SHAPE,),
            absent=(MISSING, False, None),
        ),
        Row(
            ("data.train_on",),
            ("train_on_inputs", LEARNED),
            _lower_train_on,
            _lift_train_on,
            uses=(WHO, "data.train", "model.name", SEEN, ALSO),
            reads=(SKIP, "datasets"),
            absent=(False, MISSING),
        ),
        Row(
            ("data.turn_part", "data.turn_ends", "data.turn_flag"),
            ("eot_tokens",),
            _lower_turns,
            _lift_turns,
            uses=(WHO, "data.train", SEEN),
            reads=(SKIP, "datasets", SHAPE, ENDS),
            absent=(None,),
        ),
        Row(
            ("data.eval_draw",),
            (),
            lambda _draw: (),
            lambda *ready: MISSING if prepared(*ready) else "first",
            reads=READY,
        ),
        *_length_rows(),
        Row(
            ("data.mixed", "data.draw_seed"),
            ("shuffle_merged_datasets",),
            _lower_mixed,
            lambda mixed: (bool(mixed), None),
            uses=(WHO, "data.shuffle", "train.seed"),
            absent=(True,),
        ),
        *_template_rows(),
        *(
            unsupported(
                f"data.{name}",
                "it also evaluates before the first step, and an evaluation draws random numbers; not seen "
                "to train alike yet",
                "notimpl",
                neutral,
                "leave it out",
            )
            for name, neutral in (("eval", ((),)), ("eval_size", (None,)))
        ),
    )


def _length_rows() -> tuple[Row, ...]:
    """How long a row may be, and what becomes of a longer one."""
    return (
        Row(
            ("data.max_length",),
            ("sequence_len",),
            _lower_length,
            _lift_length,
            uses=(WHO, SEEN),
            reads=(*READY, "excess_length_strategy"),
            absent=(512,),
        ),
        Row(
            ("data.overflow",),
            ("excess_length_strategy",),
            _lower_overflow,
            _lift_overflow,
            uses=(WHO, "data.train", SEEN, "data.max_length"),
            reads=READY,
            absent=(None,),
        ),
    )


def _template_rows() -> tuple[Row, ...]:
    """What writes conversations."""
    return (
        Row(
            ("data.system",),
            (SYSTEM,),
            _lower_system,
            lambda text: text,
            uses=(WHO, SEEN),
            absent=(None,),
        ),
        Row(
            ("model.chat_template",),
            ("chat_template", "chat_template_jinja"),
            _lower_template,
            _lift_template,
            uses=(WHO, "data.train"),
            absent=(None, None),
        ),
        Row(
            ("model.template_options",),
            ("chat_template_kwargs",),
            _lower_options,
            lambda options: dict(options or {}),
            uses=(WHO, "data.train"),
            absent=(None,),
        ),
    )


def prepared(skip: Any, shape: Any) -> bool:
    """Whether ftspec made the rows, by the values of `READY`; those with images a plugin makes."""
    return skip is True and shape is MISSING


def _lower_sources(
    who: str, sources: Sequence[dict[str, Any]], folder: str, part: str, seen: Any
) -> tuple[Any, ...]:
    if who == "ftspec":
        # no type: rows that have ids, labels and a mask are taken as they are
        return [{"path": folder}], True, MISSING
    if seen is not None:  # no type here either: the plugin brings them into shape
        return [*map(to_place, sources)], True, MISSING
    return [to_entry(source, part) for source in sources], False, KEPT


def _lift_sources(datasets: Any, skip: Any, _kept: Any, shape: Any) -> tuple[Any, Any]:
    if datasets is MISSING:
        raise Refuse("no rows are named", "never")
    if shape is not MISSING:
        said = dict(zip(("format", "columns", "template"), shape, strict=True))
        return "framework", tuple(from_place(entry) | said for entry in datasets)
    if skip is True:
        if [[*entry] for entry in datasets] != [["path"]]:
            raise Refuse("rows that it takes as they are have a path alone", "notimpl")
        return "ftspec", MISSING
    return "framework", tuple(map(from_entry, datasets))


def _kinds(sources: Sequence[dict[str, Any]]) -> set[str]:
    words = {"messages": CHAT, "sharegpt": CHAT, "text": TEXT}
    return {
        CHAT if IMAGES in source["columns"] else words.get(source["format"], "prompt")
        for source in sources
    }


def _lower_train_on(
    train_on: str,
    who: str,
    sources: Sequence[dict[str, Any]],
    model: str,
    seen: Any,
    learned: bool | None,
) -> Any:
    if who == "ftspec":
        return MISSING, MISSING
    if seen is not None:
        what = SHOWN if train_on == "all" and learned is False else train_on
        return train_on == "all", what
    chats = CHAT in _kinds(sources)
    if chats and train_on == "completions":
        raise Refuse(
            "it trains every turn of a role, and has no key for the last one alone "
            "(prompt_strategies/chat_template.py)",
            "notyet",
            PREPARED,
        )
    if chats and train_on == "all" and "mistral" in model.lower():
        raise Refuse(
            "beside a tokenizer called mistral it leaves out what a first system turn says "
            "(prompt_strategies/chat_template.py, find_turn)",
            "notyet",
            PREPARED,
        )
    return train_on == "all", MISSING


def _lift_train_on(everything: Any, learned: Any, skip: Any, datasets: Any) -> Any:
    if learned is not MISSING:
        return "all" if learned == SHOWN else learned
    if skip is True or datasets is MISSING:
        return MISSING
    kinds = kinds_of(datasets)
    if everything or kinds == {TEXT}:
        return "all"
    return "assistant" if CHAT in kinds else "completions"


def _lower_turns(
    part: str,
    ends: Sequence[str],
    flag: str | None,
    who: str,
    sources: Sequence[dict[str, Any]],
    seen: Any,
) -> Any:
    if seen is not None and who != "ftspec":
        if flag is not None or part not in ("written", "ended"):
            raise Refuse(
                "of a conversation with images all that the template writes of an answer counts, or what it "
                "says with its end",
                "notimpl",
                "data.turn_part: written or ended",
            )
        return MISSING
    if flag is not None and who != "ftspec":
        raise Refuse("its message_field_training is read, and not written yet", "notimpl", PREPARED)
    if who == "ftspec" or CHAT in _kinds(sources):
        return list(ends) if ends and who != "ftspec" else MISSING
    if part != "written":
        raise Refuse("these rows have no turns", "never", "leave data.turn_part out")
    return MISSING


def _lift_turns(
    ends: Any, skip: Any, datasets: Any, shape: Any, shown: Any
) -> tuple[Any, Any, Any]:
    if shape is not MISSING:
        return ("written", (), None) if shown in (None, MISSING) else ("ended", tuple(shown), None)
    if skip is True or datasets is MISSING:
        return MISSING, MISSING, MISSING
    words = {entry.get("train_on_eos") for entry in datasets if entry.get("type") == CHAT}
    parts = [part for part, word in OF_TURNS.items() if {word} == words]
    if words and not parts:
        raise Refuse("other ends of turns than of turns that train are not in a spec", "notimpl")
    if any(entry.get("message_field_training") for entry in datasets):
        raise Refuse("a flag in each turn is read by `ftspec import` only", "notimpl")
    return (parts[0] if parts else "written"), tuple(ends or ()), None


def _lower_overflow(
    overflow: str, who: str, sources: Sequence[dict[str, Any]], seen: Any, length: int | None
) -> Any:
    if who == "ftspec":
        return MISSING
    if seen is not None:  # the plugin stops at one that is too long
        return MISSING if length is None else LONG["error"]
    if TEXT in _kinds(sources) and overflow != "error":
        raise Refuse(
            "a long text becomes several rows there, it is neither cut nor left out "
            "(prompt_strategies/completion.py)",
            "notyet",
            f"data.overflow: error; or {PREPARED}",
        )
    if overflow not in LONG:
        raise Refuse(
            "of a long row it keeps the first tokens (utils/data/utils.py)", "notyet", PREPARED
        )
    return LONG[overflow]


def _lift_overflow(word: str | None, skip: Any, shape: Any) -> Any:
    if prepared(skip, shape):
        return MISSING
    return "truncate" if shape is not MISSING and word is None else _spec_word(word)


def _spec_word(word: str | None) -> str:
    found = {native: ours for ours, native in LONG.items()}.get((word or "drop").lower())
    if found is None:
        raise Refuse(f"excess_length_strategy: {word} is not in a spec", "notimpl")
    return found


def _lower_mixed(mixed: bool, own: int | None, who: str, shuffle: bool, seed: int) -> bool:
    if who == "ftspec" or not mixed:
        return False
    if own not in (None, seed):
        raise Refuse("it has one seed for all that it draws", "notyet", PREPARED)
    if not shuffle:
        raise Refuse(
            "where rows train in their order it mixes no single data set (utils/data/shared.py, "
            "merge_datasets)",
            "notyet",
            PREPARED,
        )
    return True


def _lower_system(system: str | None, who: str, seen: Any) -> Any:
    if seen is not None and who == "framework":
        return MISSING if system is None else system
    if system is not None and who == "framework":
        raise Refuse(
            "its default_system_message takes the place of a sentence in its template chatml, and no other "
            "(loaders/tokenizer.py)",
            "notyet",
            PREPARED,
        )
    return MISSING


def _lower_length(length: int | None, who: str, seen: Any) -> Any:
    if seen is not None and length is None:
        return MISSING
    if length is None and who == "framework":
        raise Refuse(
            "its sequence_len is a number, beyond which rows are cut or left out",
            "notyet",
            PREPARED,
        )
    return length if who == "framework" else MISSING


def _lift_length(length: Any, skip: Any, shape: Any, strategy: Any) -> Any:
    if prepared(skip, shape):
        return MISSING
    return None if shape is not MISSING and strategy is MISSING else length


def _lower_template(template: str, who: str, sources: Sequence[dict[str, Any]]) -> tuple[Any, Any]:
    if who == "ftspec" or CHAT not in _kinds(sources):
        if who == "framework" and template != "tokenizer":
            raise Refuse("no chat template writes these rows", "never", "leave it out")
        return MISSING, MISSING
    if template == "tokenizer":
        return "tokenizer_default", MISSING
    return "jinja", f"{template}{NAMED_FILE}" if template in NAMED else template


def _lift_template(word: Any, file: Any) -> str:
    if word in (None, "tokenizer_default"):
        return "tokenizer"
    if word != "jinja" or not isinstance(file, str):
        raise Refuse(f"its template {word!r} is read by `ftspec import` only", "notimpl")
    return named_in(file) or file


def _lower_options(options: dict[str, Any], who: str, sources: Sequence[dict[str, Any]]) -> Any:
    if not options or who == "ftspec":
        return MISSING
    if CHAT not in _kinds(sources):
        raise Refuse("no chat template writes these rows", "never", "leave it out")
    if taken := [name for name in OF_ITS_OWN if name in options]:
        raise Refuse(f"it gives the template {taken[0]} itself", "never", PREPARED)
    return dict(options)
