"""`enable_thinking`, which LLaMA-Factory has a meaning of its own for.

llamafactory 0.9.5, data/template.py, ReasoningTemplate; ftspec/data/thinking.py says when a chat template
means the same by it.
"""

from __future__ import annotations

from typing import Any

from ftspec.data.carried import REMEDY
from ftspec.data.thinking import THINKING
from ftspec.families.rows.template import lower_options
from ftspec.mapping import MISSING, Lossy, Refuse, Row
from ftspec.spec.chat_templates import THINKING as THOUGHTFUL

OTHERWISE = (
    "before answers without a thought it puts an empty one, and trains it or not, in another way than this "
    "chat template: its rows are the same for data.train_on: completions where a template puts one before "
    "the last answer alone"
)


def thinking_row() -> Row:
    """The only value that it can be given, and what its empty thoughts do to rows by themselves."""
    return Row(
        ("model.template_options",),
        (THINKING,),
        _lower,
        _lift,
        uses=(
            "data.prepare",
            "method.objective.type",
            "data.train_on",
            "derived.empty_thoughts",
            "model.chat_template",
        ),
        absent=(True,),
    )


def _lift(on: Any) -> dict[str, Any]:
    if on is None:
        raise Refuse("empty thoughts that do not train, and none deleted, are not in a spec")
    return {} if on else {THINKING: False}  # true is what templates with thoughts do by themselves


def _lower(
    options: dict[str, Any],
    who: str,
    objective: str,
    train_on: str,
    thoughts: str | None,
    template: str,
) -> Any:
    given = lower_options(options, who, objective)
    if who == "ftspec" or objective == "cpt":
        return MISSING
    if template in THOUGHTFUL:
        return options.get(THINKING, True)  # one of its own: the text everywhere is what it means
    if objective != "sft":
        return MISSING
    if given is MISSING:
        return MISSING if _same(True, train_on, thoughts or "none") else Lossy(MISSING, OTHERWISE)
    if set(given) != {THINKING} or not isinstance(given[THINKING], bool):
        raise Refuse(
            "it gives no values to a chat template; it has a switch of its own, enable_thinking",
            "notyet",
            REMEDY,
        )
    on = given[THINKING]
    if thoughts == "none":
        raise Refuse(
            "its enable_thinking puts empty thoughts before answers, and this template does something else "
            "with it",
            "notyet",
            REMEDY,
        )
    return on if thoughts and _same(on, train_on, thoughts) else Lossy(on, OTHERWISE)


def _same(on: bool, train_on: str, thoughts: str) -> bool:
    """Whether both put the same empty thoughts, and train the same of them."""
    if thoughts == "last":
        return train_on == "completions"
    if thoughts == "every":
        return train_on == "all" or (train_on == "assistant" and on)
    return True
