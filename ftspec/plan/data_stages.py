"""The data stages of a plan, carried out with the data floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.data.carried import Accept, by_alternating, by_frameworks, by_parsing
from ftspec.data.formats import TOOLED
from ftspec.data.hold_out import Draw, HoldOut
from ftspec.data.images import IMAGE_TOKENS
from ftspec.data.kept import Keep
from ftspec.data.thinking import THINKING
from ftspec.data.tokenise import ENDLESS
from ftspec.data.tokenizer import AS_IT_IS, Vocabulary
from ftspec.plan.places import ask_for_files
from ftspec.plan.values import Resolved
from ftspec.spec.data import Source

if TYPE_CHECKING:
    from ftspec.data.prepare import Report

FOLDERS = {"train": "train", "eval": "validation"}
"""Folders of prepared splits, named as LLaMA-Factory looks for them in a tokenised folder."""


def check_split(
    resolved: Resolved, split: str, lengths: bool, alternating: bool = False, parsing: bool = False
) -> Report:
    """Read a split's local files: shapes, what the framework would leave out, lengths if asked."""
    from ftspec.data.prepare import check  # noqa: PLC0415 - a plan alone reads no data

    ask_for_files(resolved.loaded, split)
    sources = split_sources(resolved, split)
    tools = any("tools" in source.columns and source.format in TOOLED for source in sources)
    accept: Accept = partial(by_parsing if parsing else by_frameworks, tools=tools)
    if alternating:
        accept = partial(
            by_alternating, thinking=resolved.spec.model.template_options.get(THINKING)
        )
    draw = draw_of(resolved, split)
    with resolved.loaded.placing():
        report = check(sources, lengths=lengths, accept=accept, draw=draw, **_arguments(resolved))
        if (part := draw.part) is not None and all(source.hub is None for source in sources):
            part.cut(range(report.rows))  # stops here, not in the framework
    return report


def prepare_split(
    resolved: Resolved, split: str, target: Path, columns: Sequence[str] = ()
) -> Report:
    """Render, tokenise and label a split, and write it to `target` as a Hugging Face dataset."""
    from ftspec.data.prepare import prepare  # noqa: PLC0415 - a plan alone reads no data

    ask_for_files(resolved.loaded, split)
    sources = split_sources(resolved, split)
    draw = draw_of(resolved, split)
    with resolved.loaded.placing():
        report = prepare(sources, target=target, columns=columns, draw=draw, **_arguments(resolved))
    _index(target.parent)
    return report


def copy_prepared(source: Path, target: Path) -> None:
    """Write a prepared split to `target` as well: the same rows for another backend."""
    from ftspec.data.arrow import copy_split  # noqa: PLC0415

    copy_split(source, target)
    _index(target.parent)


def reads(resolved: Resolved, split: str) -> str:
    """All that decides what reading a split gives: where it is equal, once is enough."""
    draw = draw_of(resolved, split)
    return repr((split, draw, split_sources(resolved, split), sorted(_arguments(resolved).items())))


def _index(folder: Path) -> None:
    from ftspec.data.arrow import write_index  # noqa: PLC0415

    write_index(folder, [name for name in FOLDERS.values() if (folder / name).is_dir()])


def draw_of(resolved: Resolved, split: str) -> Draw:
    """Which of the rows of its sources a split has, and in which order."""
    values = resolved.flat()
    own, size = values["data.draw_seed"], values["data.eval_size"]
    seed = values["train.seed"] if own is None else own
    if split == "eval" and size is None:
        return Draw(seed)
    last = values["data.eval_draw"] == "last"
    part = None if size is None else HoldOut(size, seed, split == "eval", last)
    return Draw(seed, values["data.mixed"], part)


def split_sources(resolved: Resolved, split: str) -> tuple[Source, ...]:
    """Where the rows of a split come from."""
    held_out = resolved.values["data.eval_size"].value is not None
    path = "data.train" if held_out else f"data.{split}"
    return tuple(Source(**source) for source in resolved.values[path].value)


def vocabulary_of(resolved: Resolved) -> Vocabulary:
    """What the spec changes of the tokenizer that is read, and the stages before it."""
    found = AS_IT_IS
    for model in (*resolved.earlier, resolved.spec.model):
        words = {
            f"{word}_token": token for word, token in model.special_tokens if token is not None
        }
        new = model.new_tokens
        own = Vocabulary(words, new.tokens, new.special) if new else Vocabulary(words)
        if own != AS_IT_IS:
            found = own if found == AS_IT_IS else replace(own, before=found)
    return found


def _arguments(resolved: Resolved) -> dict[str, Any]:
    spec = resolved.spec
    tokenizer, revision = resolved.read_from
    return {
        "base": resolved.folder,
        "tokenizer": tokenizer,
        "revision": revision,
        "template": spec.model.chat_template,
        "options": spec.model.template_options,
        "vocabulary": vocabulary_of(resolved),
        "max_length": ENDLESS if spec.data.max_length is None else spec.data.max_length,
        "overflow": spec.data.overflow,
        "system": spec.data.system,
        "packing": spec.data.packing,
        "train_on": resolved.values["data.train_on"].value,
        "turn_part": resolved.values["data.turn_part"].value,
        "turn_ends": spec.data.turn_ends,
        "turn_flag": spec.data.turn_flag,
        "image_tokens": resolved.flat().get(IMAGE_TOKENS) or 0,
        "keep": Keep(
            spec.data.split_rows,
            spec.data.min_length,
            spec.data.distinct,
            spec.data.drop_system,
        ),
    }
