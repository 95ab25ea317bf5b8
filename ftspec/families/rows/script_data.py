"""Rows of the data in a script around trl's trainers: what it loads, and which tokens count."""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.supervised import SHAPE
from ftspec.families.rows.by_turns import CUT, WORD, refuse_uncut
from ftspec.families.rows.datasets import context
from ftspec.families.rows.draws import draw_rows
from ftspec.families.rows.images import ALSO, ENDS, LEARNED, TEXT, with_images
from ftspec.families.rows.long_prompts import no_prompts
from ftspec.families.rows.order import STRATEGY, order_row
from ftspec.families.rows.prepared import prepared_rows
from ftspec.families.rows.shapes import IMAGES, WRITTEN
from ftspec.families.trainers import SFT
from ftspec.mapping import MISSING, Refuse, Row

CONFIG = SFT.prefix
KEEP_START, KEEP_END = "keep_start", "keep_end"
"""trl's words for which tokens of a long row are kept. The second is deprecated; 1.16 has it."""
LIMIT = "data.drop_beyond"
"""Native pseudo-key: conversations of more tokens are left out."""
SYSTEM = "data.system"
"""Native pseudo-key: the system prompt of conversations that begin with none."""

_WHO_AND_WHAT = ("data.prepare", "data.train_on")


def data_rows() -> tuple[Row, ...]:
    """What the script loads, and which of its tokens count."""
    return (
        *(
            Row(
                (f"data.{split}",),
                (f"data.{split}",),
                _lower_sources,
                lambda v: v,
                uses=_WHO_AND_WHAT,
            )
            for split in ("train", "eval")
        ),
        *draw_rows(),
        Row(
            ("data.prepare",),
            ("data.prepare", f"{CONFIG}dataset_kwargs"),
            lambda who: (who, {"skip_prepare_dataset": True} if who == "ftspec" else MISSING),
            lambda who, _kwargs: who,
        ),
        Row(
            ("data.train_on",),
            (f"{CONFIG}completion_only_loss", f"{CONFIG}assistant_only_loss", SHAPE, LEARNED),
            _lower_train_on,
            _lift_train_on,
            uses=("data.train", "data.prepare", "derived.marks_turns", ALSO, "data.overflow"),
            reads=(CUT,),
            absent=(None, False, MISSING, MISSING),
        ),
        _turns(),
        Row(
            ("data.system",),
            (SYSTEM,),
            lower_system,
            lambda text: text,
            uses=("data.prepare", "data.train"),
            absent=(None,),
        ),
        Row(
            ("data.max_length",),
            (f"{CONFIG}max_length",),
            # rows that ftspec prepared are cut already, and None is what says "do not cut"
            lambda length, who: None if who == "ftspec" else length,
            lambda length, who: MISSING if who == "ftspec" else length,
            uses=("data.prepare",),
            reads=("data.prepare",),
            absent=(1024,),
        ),
        Row(
            ("data.overflow",),
            (LIMIT, f"{CONFIG}truncation_mode", CUT),
            _lower_overflow,
            _lift_overflow,
            uses=(
                *("data.max_length", "data.prepare", "data.train", "data.train_on"),
                "derived.marks_turns",
            ),
            reads=(SHAPE, f"{CONFIG}max_length"),
            absent=(None, KEEP_START, MISSING),
        ),
        *no_prompts(),
        *prepared_rows(),
        order_row(f"{CONFIG}{STRATEGY}"),
    )


def _turns() -> Row:
    """Prepared rows hold any labels; those with images a script masks itself."""
    whole = (
        "trl trains all that the template writes of an answer, or what the template marks "
        "(trl/trainer/sft_trainer.py)"
    )

    def lower(
        part: str,
        _ends: tuple[str, ...],
        flag: str | None,
        who: str,
        sources: tuple[dict[str, Any], ...],
    ) -> tuple[()]:
        shown = with_images(sources) and part == "ended"
        if who != "ftspec" and (flag is not None or not (part == "written" or shown)):
            raise Refuse(whole, "notyet", "data.prepare: ftspec")
        return ()

    def lift(ends: Any) -> tuple[str, tuple[str, ...], None]:
        return ("written", (), None) if ends in (None, MISSING) else ("ended", tuple(ends), None)

    return Row(
        ("data.turn_part", "data.turn_ends", "data.turn_flag"),
        (),
        lower,
        lift,
        uses=("data.prepare", "data.train"),
        reads=(ENDS,),
        reason=whole,
    )


def _lower_sources(sources: tuple[dict[str, Any], ...], who: str, train_on: str) -> Any:
    if who == "ftspec":
        return MISSING  # the script reads the prepared folder
    if sources:
        context(sources, shape_of(sources, train_on), "")  # refuses what one statement cannot load
    return sources


def _lower_overflow(
    overflow: str,
    limit: int,
    who: str,
    sources: tuple[dict[str, Any], ...],
    train_on: str,
    marks_turns: bool | None,
) -> Any:
    if overflow == WORD and who != "ftspec":
        refuse_uncut(shape_of(sources, train_on), sources, marks_turns)
        return MISSING, KEEP_START, (limit, train_on)
    if overflow == "split" and who != "ftspec":
        raise Refuse(
            "trl cuts a long row, or packs its parts among others", "notyet", "data.prepare: ftspec"
        )
    if overflow != "drop" or who == "ftspec":
        # trl keeps the first max_length tokens; `error` was seen to before the run
        return MISSING, KEEP_END if left_off(overflow) and who != "ftspec" else KEEP_START, MISSING
    context(sources, shape_of(sources, train_on), "", limit)  # refuses what it cannot measure
    return limit, KEEP_START, MISSING


def _lift_overflow(limit: Any, mode: Any, cut: Any, shape: Any, length: Any) -> Any:
    """What a script does to long rows: at one with images that is too long it stops."""
    if cut is not MISSING:
        return WORD
    return "error" if shape == IMAGES and length is not None else lift_overflow(limit, mode)


def left_off(overflow: str) -> bool:
    """Whether long rows lose their beginning."""
    return overflow == "truncate-left"


def lift_overflow(limit: int | None, mode: str) -> str:
    """What becomes of long rows; trl cuts what the script does not leave out."""
    return "drop" if limit is not None else "truncate-left" if mode == KEEP_END else "truncate"


def shape_of(sources: tuple[dict[str, Any], ...], train_on: str) -> str:
    """Which columns the trainer gets: `messages`, `prompt-completion`, `written` or `text`."""
    formats = {source["format"] for source in sources}
    plain = [bool((source.get("template") or {}).get("prompt")) for source in sources]
    if with_images(sources):
        return IMAGES
    if all(plain) and plain:
        return WRITTEN
    if any(plain):
        raise Refuse("rows that are written by a template cannot be mixed with others", "notimpl")
    if formats == {"text"}:
        return "text"
    if "text" in formats:
        raise Refuse("plain text and conversations cannot be trained in one run", "never")
    if formats == {"prompt-completion"}:
        return "prompt-completion"
    if "prompt-completion" in formats:
        raise Refuse("prompt-completion data cannot be mixed with conversations", "notimpl")
    return "prompt-completion" if train_on == "completions" else "messages"


def lower_system(system: str | None, who: str, sources: tuple[dict[str, Any], ...]) -> Any:
    """The prompt where the framework's own path puts it in; prepared rows hold it."""
    if system is None or not sources:
        return MISSING
    formats = {source["format"] for source in sources}
    if formats == {"text"}:
        raise Refuse("plain text has no turns, and no system prompt", "never")
    if who == "ftspec":
        return MISSING
    if "prompt-completion" in formats:
        raise Refuse(
            "whether prompts are conversations is not seen before the rows are read",
            "notimpl",
            "data.prepare: ftspec",
        )
    return system


def _lower_train_on(
    train_on: str,
    sources: tuple[dict[str, Any], ...],
    who: str,
    marks_turns: bool | None,
    shown: bool | None,
    overflow: str,
) -> tuple[Any, ...]:
    if who == "ftspec":
        return False, False, "tokens", MISSING  # the labels say it
    shape = shape_of(sources, train_on)
    if shape == IMAGES:
        return False, False, shape, TEXT if train_on == "all" and shown is False else train_on
    if shape == "messages" and train_on == "assistant" and marks_turns is False:
        raise Refuse(
            "the chat template does not mark the assistant's turns; trl would stop, or write the rows "
            "with a template of its own where it knows this one",
            "notyet",
            "data.prepare: ftspec, or {% generation %} around the assistant's turns in a "
            "model.chat_template",
        )
    if overflow == WORD:
        return False, False, shape, MISSING  # the script makes the labels
    if shape in ("prompt-completion", WRITTEN):
        return train_on != "all", False, shape, MISSING
    return False, shape == "messages" and train_on == "assistant", shape, MISSING


def _lift_train_on(completion: Any, assistant: Any, shape: Any, learned: Any, cut: Any) -> Any:
    if shape == "tokens":
        return MISSING
    if cut is not MISSING:
        return cut[1]
    if learned is not MISSING:
        return "all" if learned == TEXT else learned
    if assistant:
        return "assistant"
    # trl's own default: only the completion where there is one
    return "completions" if completion or (completion is None and shape != "messages") else "all"
