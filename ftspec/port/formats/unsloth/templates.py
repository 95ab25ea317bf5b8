"""Unsloth's named chat templates, and where an answer begins to it: chat_templates.py of 2026.10.9.

A name is only near to the template that comes with a model of that family; beside a model of another one it
is another text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ftspec.data.named_text import named_template
from ftspec.port.fates import Setting
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    derived,
    group,
    inert,
    section,
    unknown,
    unless,
)
from ftspec.port.scripts.names import WRITTEN

SAME: Mapping[str, str] = {
    "phi-3": "phi", "phi-35": "phi", "phi-3.5": "phi", "phi-4": "phi4", "qwen3-instruct": "chatml",
    "yi-chat": "chatml",
}  # fmt: skip
"""Names whose text is one of those that ftspec has."""
CHATML = "chatml"
FAMILIES: Mapping[str, str] = {
    "llama-3": "llama-?3", "llama3": "llama-?3", "llama-3.1": "llama-?3", "llama-31": "llama-?3",
    "llama-3.2": "llama-?3", "llama-32": "llama-?3", "llama-3.3": "llama-?3", "llama-33": "llama-?3",
    "llama": "llama-?2", "mistral": "mi[sx]tral", "zephyr": "zephyr", "starling": "starling",
    "qwen-2.5": "qwen-?2.?5", "qwen-25": "qwen-?2.?5", "qwen25": "qwen-?2.?5", "qwen2.5": "qwen-?2.?5",
    "qwen-2.5-coder": "qwen-?2.?5", "qwen-25-coder": "qwen-?2.?5", "qwen25-coder": "qwen-?2.?5",
    "qwen2.5-coder": "qwen-?2.?5", "qwen-3": "qwen-?3", "qwen3": "qwen-?3", "qwen3-thinking": "qwen-?3",
    "gemma-3": "gemma-?3", "gemma3": "gemma-?3", "gemma-3n": "gemma-?3n", "gemma3n": "gemma-?3n",
    "gemma-4": "gemma-?4", "gemma4": "gemma-?4", "gemma-4-thinking": "gemma-?4",
    "gemma4-thinking": "gemma-?4", "gpt-oss": "gpt-?oss", "gptoss": "gpt-?oss", "lfm-2": "lfm-?2",
    "lfm-2.5": "lfm-?2",
}  # fmt: skip
"""For which models a name stands: a part of their names."""
NEAR = "the named template becomes the one that comes with the tokenizer"
OTHER = (
    "Unsloth's own text, and not the template that comes with this model: write it to a file that ends in "
    ".jinja, and name that in model.chat_template"
)
MAPPED = "turns end with the tokenizer's eos_token, which Unsloth calls <|im_end|>"
RENAMED = "Unsloth gives tokens of the vocabulary other names for it, which is not in a spec"
PLAIN_ROLES = {"role": "role", "content": "content", "user": "user", "assistant": "assistant"}
SHAREGPT = {"role": "from", "content": "value", "user": "human", "assistant": "gpt"}
OPENERS = frozenset(
    (
        "<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<start_of_turn>model\n", "<|turn>model\n", "<|assistant|>", "<|assistant|>\n",
        "<|im_start|>assistant<|im_sep|>", "<|start_of_role|>assistant<|end_of_role|>", "[/INST]",
        "<\uff5cAssistant\uff5c>", "<|Assistant|>",
    )
)  # fmt: skip
"""With what known chat templates open an answer."""
INSIDE = (
    "answers train behind this text there; a spec trains all that the template writes of an answer, or what "
    "it says (data.turn_part)"
)
BROKEN = re.compile(
    r"<\|im_start\|>assistant\n?|<(start_of_turn>|\|turn>)model\n?|<\|assistant\|>\n?"
)
"""Openers of templates that end an answer's line behind its end-of-turn token."""
UNBROKEN = re.compile(r"llama-?3|mi[sx]tral|phi-?4|deepseek", re.IGNORECASE)
"""Models whose templates do not, where the opener is not said."""
LINE = (
    "Unsloth ends an answer behind the tokenizer's eos_token from 2026.9.9 on; the end of the line that the "
    "template writes behind it trained before, and does here: data.turn_part: ended leaves it out"
)
PART, CALL = "train_on_responses_only", "get_chat_template"
UNNAMED = (
    "model.chat_template: get_chat_template names none, and Unsloth takes chatml, whose turns end with the "
    "tokenizer's eos_token"
)


def _model(context: Context) -> str:
    return str(context.get("model_name_or_path") or "").lower()


def _named(setting: Setting, context: Context) -> Outcome:
    if isinstance(setting.value, list):
        return _own_text(setting, context)
    name = str(setting.value)
    if name == CHATML and "gemma" in _model(context):
        return Outcome("unknown", why=RENAMED)
    if name == CHATML and section(context, CALL).get("map_eos_token", True):
        return _file(ended_chatml(), context, MAPPED)
    if name == CHATML or name in SAME:
        return Outcome("renamed", spec={"model.chat_template": SAME.get(name, name)})
    if (family := FAMILIES.get(name)) and re.search(family, _model(context)):
        return Outcome("approximated", why=NEAR)
    return Outcome("unknown", why=OTHER)


def ended_chatml() -> str:
    """The template chatml, whose turns end with the tokenizer's own end of text."""
    return named_template(CHATML).replace("'<|im_end|>\\n'", "eos_token + '\\n'")


def _own_text(setting: Setting, context: Context) -> Outcome:
    """A template of the script's own, with the text that ends a turn."""
    match setting.value:
        case [str() as text, "eos_token"]:
            return _file(text, context, "")
    return Outcome("unknown", why=RENAMED)


def _file(text: str, context: Context, why: str) -> Outcome:
    name = f"{context.document.path.stem}.chat_template.jinja"
    return Outcome(
        "derived",
        spec={"model.chat_template": f"./{name}"},
        why="; ".join(filter(None, (why, f"written to {name}"))),
        files={name: text},
    )


def unnamed(context: Context) -> list[str]:
    """What is left open where a chat template is asked for, and none is named."""
    said = section(context, CALL)
    return (
        [UNNAMED]
        if CALL in context.document.data and not said.keys() & {"chat_template", "1"}
        else []
    )


def _mapping(setting: Setting, context: Context) -> Outcome:
    said = section(context, CALL).get("mapping")
    if said == PLAIN_ROLES:
        return Outcome("inert", why="the names that turns have anyway")
    if said == SHAREGPT:
        return Outcome("derived", of=("data.train",))
    return Outcome("unknown", why="other names of turns than ShareGPT's are not in a spec")


def _eos(setting: Setting, context: Context) -> Outcome:
    said = section(context, CALL)
    name = said.get("chat_template", said.get("1", CHATML))
    if name == CHATML:
        return Outcome("derived", of=("model.chat_template",))
    if setting.value and name in ("gemma", "gemma2", "gemma_chatml", "gemma2_chatml"):
        return Outcome("unknown", why=RENAMED)
    return Outcome("inert", why="this template keeps the end of text that there is")


def answers(context: Context) -> str:
    """Which turns train, where the script asks for answers alone."""
    return "completions" if section(context, PART).get("last_response_only") else "assistant"


def parted(context: Context, text: str) -> dict[str, str] | None:
    """A plain text as a prompt and a completion, cut behind what opens the answer; None if it is unclear."""
    said = section(context, PART)
    opens, asks = said.get("response_part"), said.get("instruction_part")
    if not isinstance(opens, str) or not isinstance(asks, str) or not opens.strip():
        return None
    before, found, after = text.partition(opens)
    if not found or opens in after or asks in after or not after or "{%" in text:
        return None
    return {"prompt": before + found, "completion": after}


def _ends_a_line(opener: Any, context: Context) -> bool:
    """Whether the template of conversations writes something behind the token that ends an answer."""
    if "text" in section(context, WRITTEN):
        return False
    if opener is None:
        return not UNBROKEN.search(_model(context))
    return isinstance(opener, str) and BROKEN.fullmatch(opener.strip(" ")) is not None


def _opens(setting: Setting, context: Context) -> Outcome:
    if _ends_a_line(setting.value, context):
        return Outcome("approximated", why=LINE)
    if setting.value is None or setting.value in OPENERS or setting.value.strip() in OPENERS:
        return Outcome("derived", of=("data.train_on",))
    if "text" in section(context, WRITTEN):
        return Outcome("derived", of=("data.train",))
    return Outcome("unknown", why=INSIDE)


def _answers(_setting: Setting, context: Context) -> Outcome:
    """The call itself, with nothing that says how an answer begins."""
    if _ends_a_line(None, context):
        return Outcome("approximated", why=LINE)
    return Outcome("derived", of=("data.train_on",))


def _assigned(setting: Setting, context: Context) -> Outcome:
    """`tokenizer.chat_template = "..."`."""
    if not isinstance(setting.value, str) or CALL in context.document.data:
        return Outcome("unknown", why="a second chat template, or none at all, is not in a spec")
    return _file(setting.value, context, "")


TEMPLATE_RULES: dict[str, Rule] = {
    "tokenizer.chat_template": _assigned,
    CALL: derived("model.chat_template"),
    f"{CALL}.chat_template": _named,
    f"{CALL}.1": _named,
    f"{CALL}.mapping": _mapping,
    f"{CALL}.mapping.": _mapping,
    f"{CALL}.map_eos_token": _eos,
    f"{CALL}.system_message": unless((None,), "the template's own", unknown(OTHER)),
    f"{CALL}.patch_saving": inert("how the tokenizer is saved"),
    PART: _answers,
    **group(
        "it does not change what is trained",
        *(f"{PART}.{name}" for name in ("tokenizer", "return_function", "num_proc")),
    ),
    f"{PART}.response_part": _opens,
    f"{PART}.instruction_part": derived("data.train_on"),
    f"{PART}.last_response_only": derived("data.train_on"),
    f"{PART}.force_match": unless((True,), "as it is anyway", unknown(INSIDE)),
    f"{PART}.mask_out_tokens": unless((None, []), "nothing is left out", unknown(INSIDE)),
}
