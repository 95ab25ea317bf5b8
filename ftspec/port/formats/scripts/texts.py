"""Which rows of a script train, and what a function writes of them."""

from __future__ import annotations

import re
from typing import Any

from ftspec.data.images import COLUMN as IMAGES
from ftspec.port.fates import Setting
from ftspec.port.formats.trl.collator import behind, is_given
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.unsloth.templates import parted
from ftspec.port.rules import Context, Outcome, Rule, derived, section
from ftspec.port.scripts.names import COLLATED, DRAWN, PACKED, SHARED, UNTIL, WRITTEN

ALL_OF_IT = "all of the text is learned, as in continued pre-training"
ENDED = "the end of the text, which every text has here"
NO_END = f"{ALL_OF_IT}; nothing ends it there, and an end of text does here"
MAYBE_NO_END = f"{ALL_OF_IT}; up to trl 0.16 nothing ends it there, and an end of text does here"
APART = "prompt and answer are tokenised each by itself here, and as one text there"
UNENDED = "nothing ends the answer there, and an end of text does here"
TWICE = (
    "trl puts the token that begins a text before it once more, and an end of text behind one whose "
    "template writes another last token; here it is what the template writes"
)
CUT = (
    "answers are found by pieces of the text there, and a spec cannot: say in "
    "data.train.template what is the prompt, and what the completion"
)
BY_CHANCE = "it says no seed and draws others in each run: as many rows are held out"
SHARE = "it says no seed and draws others in each run: the same share of rows trains"
ORDER = "it says no seed and draws another order in each run"
TURNS = ("messages", "conversations", "conversation")
"""Columns of turns, whatever a script calls them."""
MADE = re.compile(
    r"\.map\(|formatting_func = |\.from_(dict|list|pandas|generator)\(|to_sharegpt\(|apply_chat_template\("
)
"""What may write the column of texts."""
UNSEEN = (
    "data.train: transformers' Trainer is given tokens, and what makes them is not understood: of which "
    "rows, how many, and which are learned"
)
ONE_SET = "the first rows of several data sets together are not in a spec"


def shape(context: Context) -> dict[str, Any]:
    """Format, columns and template of the rows, as far as a script tells them."""
    said = section(context, WRITTEN)
    shared = any(name in context.document.data for name in SHARED) or _mapped(context)
    if "column" in said:
        format, own = ("sharegpt", "conversations") if shared else ("messages", "messages")
        names = {own: str(said["column"])} | ({"tools": said["tools"]} if "tools" in said else {})
        columns = {
            ours: theirs for ours, theirs in names.items() if ours != theirs or ours == "tools"
        }
        return {"format": format, "columns": columns}
    if isinstance(renamed := said.get("columns"), dict):
        other = {ours: theirs for ours, theirs in renamed.items() if ours != theirs}
        return {"format": said["format"], "columns": other}
    template = {
        name: text
        for name, text in said.items()
        if isinstance(text, str) and name not in ("tools", IMAGES)
    }
    if template:
        images = {"columns": {IMAGES: said[IMAGES]}} if IMAGES in said else {}
        return {"template": _parted(context) or template, **images}
    if (field := _text_column(context)) is not None:
        return {"format": "text", "columns": {} if field == "text" else {"text": field}}
    return {"format": "sharegpt"} if shared else {}


def prompts(context: Context) -> dict[str, Any]:
    """Format and columns of rows whose completions are drawn."""
    found = shape(context)
    return found if found.get("format") == "prompt" else {"format": "prompt"}


def is_text(context: Context) -> bool:
    """Whether each row is one text, all of which trains."""
    return not is_parted(context) and (
        "text" in section(context, WRITTEN) or _text_column(context) is not None
    )


def _text_column(context: Context) -> str | None:
    """The column of texts that a script names and no function of it writes."""
    field, told = context.get("dataset_text_field"), context.document.foreign
    if not isinstance(field, str) or not field or field in TURNS:
        return None
    written = WRITTEN in context.document.data or any(MADE.search(text) for _, text in told)
    return None if written else field


def beside(context: Context) -> set[str]:
    """The columns that a function writes beside each other."""
    said = section(context, WRITTEN)
    return set(said.get("columns", said))


def bare(context: Context) -> str:
    """Why a column of texts trains with no end of text behind it; empty where one is put there."""
    return "" if _text_column(context) is None else _unended(context)


def _unended(context: Context) -> str:
    """trl ends texts from 0.17 on (sft_trainer.py, add_eos), and where it packed them; Unsloth does not."""
    if not _of_trl(context):
        return NO_END
    packed = section(context, PACKED[0]).get(PACKED[1])
    until = 0 if packed else section(context, UNTIL).get("release", 0)
    return "" if until not in range(1, 20) else NO_END if until < 17 else MAYBE_NO_END


def is_parted(context: Context) -> bool:
    """Whether each row is one text, of which what stands behind a certain piece trains."""
    return _parted(context) is not None


def _parted(context: Context) -> dict[str, str] | None:
    text = section(context, WRITTEN).get("text")
    if not isinstance(text, str):
        return None
    return parted(context, text) or behind(context, text)


def asked(context: Context) -> list[str]:
    """What is left open of such rows."""
    cut = "train_on_responses_only" in context.document.data or is_given(context)
    found = [CUT] if is_text(context) and cut else []
    known = "length" in section(context, WRITTEN) or COLLATED in context.document.data
    unseen = context.get("plain_trainer") and not known
    return [*found, UNSEEN] if unseen else found


def _mapped(context: Context) -> bool:
    """Whether a chat template is told that turns are `from` and `value`."""
    mapping = section(context, "get_chat_template").get("mapping")
    return isinstance(mapping, dict) and mapping.get("role") == "from"


def limited(context: Context, sources: list[dict[str, Any]]) -> None:
    """Note how many rows of the only data set are taken, or which share of them."""
    said = section(context, DRAWN)
    if len(sources) != 1 or not said.keys() & {"select", "train_size", "drawn"}:
        return
    if "select" in said:
        first = sources[0]["limit"]
        sources[0]["limit"] = said["select"] if first is None else min(first, said["select"])
    sources[0]["share"] = said.get("train_size", said.get("drawn"))


def draws(context: Context) -> dict[str, Any]:
    """What a spec says of rows that are drawn."""
    said = section(context, DRAWN)
    mixed = "shuffle" in said and "drawn" not in said
    spec: dict[str, Any] = {"data.mixed": True} if mixed else {}
    if "test_size" in said:
        spec["data.eval_size"] = said["test_size"]
    seed = said.get("shuffle", said.get("seed"))
    return spec | ({} if seed is None else {"data.draw_seed": seed})


def _of_trl(context: Context) -> bool:
    return "from_pretrained" not in context.document.data


def _text(_setting: Setting, context: Context) -> Outcome:
    if is_parted(context):
        ends = section(context, WRITTEN).get("ended")
        return Outcome(
            "approximated", why=APART if ends else f"{APART}; {UNENDED}", of=("data.train",)
        )
    why = NO_END if context.get("plain_trainer") else _unended(context)
    if not why or section(context, WRITTEN).get("ended"):
        return Outcome("derived", why=ALL_OF_IT, of=("data.train", "method.objective.type"))
    return Outcome("approximated", why=why, of=("data.train", "method.objective.type"))


def _rendered(_setting: Setting, context: Context) -> Outcome:
    if _of_trl(context):
        return Outcome("approximated", why=TWICE, of=("data.train",))
    return Outcome("derived", why="what the chat template writes", of=("data.train",))


def _option(setting: Setting, context: Context) -> Outcome:
    said = section(context, WRITTEN)["options"]
    return Outcome("derived", spec={"model.template_options": dict(said)})


def _select(setting: Setting, context: Context) -> Outcome:
    loads = [key for key in context.document.data if key.partition("#")[0] == "load_dataset"]
    if len(loads) > 1:
        return Outcome("unknown", why=ONE_SET)
    share = setting.key.endswith("train_size")
    return Outcome("derived", why=SHARE if share else "", of=("data.train",))


def _shuffled(setting: Setting, context: Context) -> Outcome:
    loads = [key for key in context.document.data if key.partition("#")[0] == "load_dataset"]
    if "drawn" in section(context, DRAWN) and len(loads) > 1:
        return Outcome("unknown", why=ONE_SET)
    why = "" if setting.value is not None else ORDER
    return Outcome("derived", why=why, of=("data.mixed", "data.draw_seed"))


def _held(_setting: Setting, context: Context) -> Outcome:
    chance = "seed" not in section(context, DRAWN)
    return Outcome("derived", why=BY_CHANCE if chance else "", of=("data.eval_size",))


def _cut(setting: Setting, _context: Context) -> Outcome:
    """How many tokens of a row the script's own function keeps."""
    return Outcome("derived", {f"{CONFIG}max_length": setting.value}, why="as it makes the tokens")


TEXT_RULES: dict[str, Rule] = {
    f"{DRAWN}.select": _select,
    f"{DRAWN}.train_size": _select,
    f"{DRAWN}.drawn": _select,
    f"{DRAWN}.joined": derived("data.train"),
    f"{DRAWN}.shuffle": _shuffled,
    f"{DRAWN}.test_size": _held,
    f"{DRAWN}.seed": derived("data.draw_seed"),
    f"{WRITTEN}.text": _text,
    f"{WRITTEN}.length": _cut,
    f"{WRITTEN}.ended": derived("data.train", why=ENDED),
    f"{WRITTEN}.rendered": _rendered,
    f"{WRITTEN}.options.": _option,
    f"{WRITTEN}.": derived("data.train", why="as a function of the script writes them"),
}
