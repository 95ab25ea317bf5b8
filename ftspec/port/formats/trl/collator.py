"""trl's DataCollatorForCompletionOnlyLM, which it had up to 0.19: what stands behind a piece of text trains.

Without `instruction_template` that is what stands behind the last such piece; with it, all from each such
piece to the next instruction (trl 0.19, trainer/utils.py, torch_call).
"""

from __future__ import annotations

from ftspec.port.fates import Setting
from ftspec.port.formats.unsloth.templates import OPENERS
from ftspec.port.rules import Context, Outcome, Rule, inert, section
from ftspec.port.scripts.names import COLLATOR, WRITTEN

BEHIND = (
    "the tokens behind this piece train there; here prompt and answer are tokenised each by itself, and the "
    "end of a text, which pads there and mostly does not train, trains"
)
ANSWERS = (
    "the tokens behind this piece train there; here all that the chat template writes of an answer"
)
UNCUT = "its rows are texts: say in data.train.template what is the prompt, and what the completion"
NOBODY = "no trainer is given it"
QUESTION = f"data.train: {UNCUT}"


def _pieces(context: Context) -> tuple[str, str]:
    """What opens an answer, and what opens an instruction; empty where nothing is said."""
    said = section(context, COLLATOR)
    opens = said.get("response_template", said.get("0"))
    asks = said.get("instruction_template", said.get("1"))
    return opens if isinstance(opens, str) else "", asks if isinstance(asks, str) else ""


def is_given(context: Context) -> bool:
    """Whether the trainer has such a collator, whose piece is known."""
    return bool(section(context, COLLATOR).get("given")) and bool(_pieces(context)[0].strip())


def behind(context: Context, text: str) -> dict[str, str] | None:
    """A text as a prompt and a completion, cut behind what opens the answer; None if it is unclear."""
    if not is_given(context) or "{%" in text:
        return None
    opens, asks = _pieces(context)
    before, found, after = text.rpartition(opens)
    if (
        not found
        or not after
        or (asks and (asks in after or opens in before or asks not in before))
    ):
        return None
    return {"prompt": before + found, "completion": after}


def trained(context: Context) -> str:
    """Which turns of a conversation train; empty where the collator says nothing of it."""
    said = section(context, WRITTEN)
    if not is_given(context) or "text" in said:
        return ""
    several = "column" in said or not said
    return "completions" if several and not _pieces(context)[1] else "assistant"


def _opens(setting: Setting, context: Context) -> Outcome:
    if not is_given(context):
        return Outcome("inert", why=NOBODY)
    if behind(context, section(context, WRITTEN).get("text", "")):
        return Outcome("approximated", why=BEHIND, of=("data.train",))
    if not trained(context):
        return Outcome("unknown", why=UNCUT)
    if str(setting.value).strip() not in {one.strip() for one in OPENERS}:
        return Outcome("unknown", why="it opens no answer of a chat template that is known")
    return Outcome("approximated", why=ANSWERS, of=("data.train_on",))


def _asks(_setting: Setting, context: Context) -> Outcome:
    if not is_given(context):
        return Outcome("inert", why=NOBODY)
    return Outcome("derived", of=("data.train_on",))


def _masked(setting: Setting, _context: Context) -> Outcome:
    if setting.value:
        return Outcome("unknown", why="words that are masked out are not in a spec")
    return Outcome("inert", why="the next token is learned")


COLLATOR_RULES: dict[str, Rule] = {
    f"{COLLATOR}.response_template": _opens,
    f"{COLLATOR}.0": _opens,
    f"{COLLATOR}.instruction_template": _asks,
    f"{COLLATOR}.1": _asks,
    f"{COLLATOR}.mlm": _masked,
    f"{COLLATOR}.given": inert("the trainer's"),
    f"{COLLATOR}.ignore_index": inert("how what does not train is marked"),
    f"{COLLATOR}.padding_free": inert("what is padded does not train"),
}
