"""LLaMA-Factory's chat templates, and what plain texts get of them: data/template.py of 0.9.5."""

from __future__ import annotations

from typing import Any

from ftspec.data.named import Named, templates
from ftspec.port.fates import Setting
from ftspec.port.formats.hf_arguments import plain
from ftspec.port.formats.llamafactory import aged, once
from ftspec.port.formats.llamafactory.commands import MEASURED, measures
from ftspec.port.rules import Context, Outcome
from ftspec.spec.chat_templates import NAMED, THINKING

PLAIN = plain()
NAMELESS = (
    "it has no template of that name, and stops (data/template.py, 0.9.5): the one that comes with the "
    "tokenizer stands in its place"
)
NO_SYSTEM = (
    "rows without a system prompt get none there, since it takes the template's own out; a spec leaves "
    "that one"
)
BASE_END = "<|end_of_text|>"
"""What ends plain texts under `template: llama3`, which ends turns with another token."""


def template(setting: Setting, context: Context) -> Outcome:
    """The template."""
    if setting.value == "empty" and context.get("tokenized_path"):
        return Outcome("exact", {"template": setting.value})
    if measures(context):
        return Outcome("inert", why=MEASURED)
    known = templates().get(str(setting.value))
    if known is None and setting.value is not None:
        return Outcome("unknown", why=NAMELESS)
    if context.get("stage") == "pt":
        return _end(setting.value, known)
    if known is None or setting.value in NAMED:
        return PLAIN(setting, context) if known is None else _aged(setting, context)
    why = f"its own template becomes the one that comes with the tokenizer: {known.unfit}"
    return Outcome("approximated", why=why)


def _aged(setting: Setting, context: Context) -> Outcome:
    """A template, which was another in older releases."""
    last = aged.until(context)[0]
    why, all_of_them = once.otherwise(setting.value, last)
    if why and all_of_them:
        return Outcome("approximated", {"template": setting.value}, why=why)
    return PLAIN(setting, context)._replace(why=why, loud=bool(why))


def _end(name: Any, known: Named | None) -> Outcome:
    """Plain texts get nothing of a template but its end of a text (data/processor/pretrain.py)."""
    end = BASE_END if name == "llama3" else known.end if known else ""
    if not end:
        return Outcome("inert", why="plain texts are written without it")
    why = "of a template plain texts get its end of a text alone"
    return Outcome("derived", spec={"model.special_tokens.eos": end}, why=why)


def thinking(setting: Setting, context: Context) -> Outcome:
    """Whether answers without a thought get an empty one that trains."""
    if context.get("stage") == "pt":
        return Outcome("inert", why="plain texts have no thoughts")
    if context.get("template") in (*NAMED, "empty") and context.get("template") not in THINKING:
        return Outcome("inert", why="its template has no thoughts")
    if setting.value is not None and context.get("template") in THINKING:
        return PLAIN(setting, context)
    if setting.value is True:
        return Outcome("inert", why="what a template with thoughts does anyway")
    if setting.value is None:
        return Outcome("unknown", why="empty thoughts that do not train, and none deleted")
    return Outcome(
        "approximated",
        {setting.key: setting.value},
        why="it deletes the thoughts of answers as well, which a chat template leaves",
    )


def system(setting: Setting, context: Context) -> Outcome:
    """What stands in for a missing system prompt."""
    if context.get("stage") == "pt":
        return Outcome("inert", why="plain texts have no system prompt")
    if setting.value == "":  # data/template.py: `is not None` takes the template's own out
        known = templates().get(str(context.get("template")))
        if known is not None and not known.default_system:
            return Outcome("inert", why="its template has no system prompt of its own")
        return Outcome("unknown", why=NO_SYSTEM)
    return PLAIN(setting, context)
