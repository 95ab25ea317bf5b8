"""What the frameworks' own data paths carry over from a row; only ftspec's preparation carries all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ftspec.data.example import Example
from ftspec.data.images import by_places
from ftspec.data.thinking import thinks
from ftspec.errors import DataError, Problem

Accept = Callable[[str, Example], None]
"""Looks at a row (format, example) and raises DataError if it would not be trained on as it is."""
REMEDY = "data.prepare: ftspec"
READ = ("tool_calls", "reasoning_content", "reasoning", "thinking")
"""What templates read of a turn beside its role and content."""


def _remedy(example: Example) -> str:
    """What to do instead; of pairs, nobody prepares any but the frameworks."""
    return "" if example.rejected or example.label is not None else REMEDY


def anything(_format: str, _example: Example) -> None:
    """ftspec prepares the rows itself: all of a row reaches the model."""


def by_frameworks(format: str, example: Example, tools: bool | None = False) -> None:
    """The columns that emitted scripts and configs name, and the roles that they translate.

    ``tools``: whether a column of tools is among them; None where it cannot be.

    Raises:
        DataError: the row has tools, a system prompt or a history in a column of its own, or turns
            that would reach the chat template under a name it does not know.
    """
    if example.tools and not tools:
        named = "" if tools is None or example.rejected else "name them: `columns: {tools: tools}`"
        hint = " or ".join(filter(None, (named, _remedy(example))))
        raise DataError(Problem("the row's tools would be ignored", hint=hint))
    if format.startswith("sharegpt"):
        _only_content(example, "of a sharegpt turn only role and content are taken over")
    if example.lead:
        message = "the row's system prompt or history, in columns of their own, would be ignored"
        raise DataError(Problem(message, hint=_remedy(example)))
    if any(message.written == "observation" for message in example.messages):
        message = (
            "the row's turns from `observation` would keep that name, not become those of a tool"
        )
        raise DataError(Problem(message, hint=_remedy(example)))


def _only_content(example: Example, why: str) -> None:
    """Refuse turns that say more to a template than their content does."""
    for message in example.messages:
        if more := [name for name in READ if message.extra.get(name)]:
            text = f"the row's {more[0]} would be ignored: {why}"
            raise DataError(Problem(text, hint=_remedy(example)))


def by_alternating(format: str, example: Example, thinking: Any = None) -> None:
    """The same, for a framework that leaves out conversations which do not alternate.

    LLaMA-Factory warns and drops them (data/converter.py), which also moves all later rows. Of a turn it
    reads role and content. ``thinking`` is `enable_thinking` of the chat template; false takes thoughts
    out of answers, where a template leaves them.

    Raises:
        DataError: turns are not user and assistant in alternation after at most one system prompt; a
            sharegpt turn is not from `human`, `gpt` or `system`; a turn calls a tool, or has its thought
            in a place of its own; a thought would be taken out.
    """
    by_frameworks(format, example, tools=None)
    if example.rejected:
        by_alternating(format, example.rejected, thinking)
    if example.kind != "chat":
        return
    foreign = {message.written for message in example.messages} - {"human", "gpt", "system"}
    if format in ("sharegpt", "sharegpt-ranking", "sharegpt-unpaired") and foreign:
        names = ", ".join(sorted(foreign))
        raise DataError(
            Problem(
                f"LLaMA-Factory would leave the row out: it has turns from {names}",
                hint=" or ".join(filter(None, ("write human and gpt", _remedy(example)))),
            )
        )
    _only_content(example, "LLaMA-Factory reads role and content")
    by_places(example)
    answers = [message.content for message in example.messages if message.role == "assistant"]
    if thinking is False and any(map(thinks, answers)):
        message = (
            "with enable_thinking: false LLaMA-Factory takes the row's thought out of its answer"
        )
        raise DataError(Problem(message, hint=_remedy(example)))
    roles = [message.role for message in example.messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns[::2] != ["user"] * len(turns[::2]) or turns[1::2] != ["assistant"] * len(turns[1::2]):
        raise DataError(
            Problem(
                f"LLaMA-Factory would leave the row out: its turns are {', '.join(roles)}",
                hint=" or ".join(
                    filter(None, ("user and assistant in alternation", _remedy(example)))
                ),
            )
        )


def by_parsing(format: str, example: Example, tools: bool | None = False) -> None:
    """The same, for a framework that reads of conversations what no config names.

    axolotl puts a column `system` before a conversation that begins with no such turn, as null where another
    row alone has one, and parses JSON in the texts of calls and of tools (prompt_strategies/chat_template.py,
    get_conversation_thread).

    Raises:
        DataError: the row has such a column, or such texts, which a template would print otherwise; a turn
            has no content, which ftspec and other frameworks hand on as an empty one or null.
    """
    by_frameworks(format, example, tools)
    if example.kind != "chat":
        return
    if "system" in example.columns:
        message = "axolotl would put the file's column `system` before conversations, an empty one as well"
        raise DataError(Problem(message, hint=_remedy(example)))
    if any(message.silent for message in example.messages):
        message = "a template would find no content at all in the row's turn that only calls a tool"
        hint = 'give it one, `"content": ""`'
        raise DataError(Problem(message, hint=" or ".join(filter(None, (hint, _remedy(example))))))
    calls = [call for message in example.messages for call in message.extra.get("tool_calls") or ()]
    texts = [
        *(_within(call, "function", "arguments") for call in calls),
        *(_within(tool, "function", "parameters") for tool in example.tools),
    ]
    if any(isinstance(text, str) for text in texts):
        message = (
            "axolotl would parse what the row has as JSON in a text: a call's arguments or a tool"
        )
        raise DataError(Problem(message, hint=_remedy(example)))


def _within(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
