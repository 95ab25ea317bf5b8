"""Lists of turns as conversations: one vocabulary of roles; what cannot be trained is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ftspec.data.example import ROLES, Example, Message
from ftspec.errors import DataError, Problem

SHAREGPT_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "observation": "tool",
    **{role: role for role in ROLES},
}
LEADING = ("system", "developer")
"""Roles of a message that stands before the first turn."""
OUT_OF_SCOPE = "audio and video are out of scope, and images where the spec has no `model.images`"
KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


def chat(
    turns: Any,
    role_key: str = "role",
    content_key: str = "content",
    *,
    lead: tuple[Message, ...] = (),
    given: int | None = None,
    tools: tuple[Any, ...] = (),
    open_end: bool = False,
) -> Example:
    """A conversation out of a list of turns, after the messages of ``lead``.

    ``given``: how many turns are the prompt; by default all but the last one. ``open_end``: the answer
    is still to be written.
    """
    if not isinstance(turns, list | tuple):
        raise DataError(Problem(f"a list of messages is expected, not {kind_of(turns)}"))
    if not turns:
        raise DataError(Problem("the conversation is empty"))
    messages = lead + tuple(
        _message(turn, number, role_key, content_key) for number, turn in enumerate(turns, 1)
    )
    _check(messages, open_end)
    prompt = len(messages) - 1 if given is None else len(lead) + given
    return Example("chat", messages, prompt, tools, lead=len(lead))


def with_system(example: Example, text: str | None) -> Example:
    """The conversation with a system prompt, if it begins with none."""
    if text is None or example.kind != "chat" or example.messages[0].role in LEADING:
        return example
    messages = (Message("system", text), *example.messages)
    rejected = example.rejected and with_system(example.rejected, text)
    return replace(example, messages=messages, given=example.given + 1, rejected=rejected)


def without_system(example: Example) -> Example:
    """The conversation without a system turn that it begins with."""
    if example.kind != "chat" or example.messages[0].role != "system":
        return example
    rejected = example.rejected and without_system(example.rejected)
    return replace(
        example, messages=example.messages[1:], given=example.given - 1, rejected=rejected
    )


def text_of(value: Any, name: str) -> str:
    """The value, if it is a text that can be written as UTF-8."""
    if not isinstance(value, str):
        hint = ""
        if isinstance(value, list):
            hint = f"{OUT_OF_SCOPE}; join parts of text into one"
        raise DataError(Problem(f"{name} is {kind_of(value)}, a text is expected", hint=hint))
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise DataError(Problem(f"{name} holds {half}, half of a character")) from None
    return value


def kind_of(value: Any) -> str:
    """A value's type in plain words."""
    return KINDS.get(
        type(value), "a number" if isinstance(value, int | float) else type(value).__name__
    )


def _message(turn: Any, number: int, role_key: str, content_key: str) -> Message:
    if not isinstance(turn, dict):
        raise DataError(Problem(f"message {number} is {kind_of(turn)}, not an object"))
    # readers of columnar files fill absent keys with null: null and absent are one thing
    known = {key: value for key, value in turn.items() if value is not None}
    missing = [
        key
        for key in (role_key, content_key)
        if key not in known and not (key == content_key and known.get("tool_calls"))
    ]
    if missing:
        raise DataError(_misses(known, number, missing[0], role_key))
    written = known.pop(role_key)
    role = _role(written, number, role_key)
    silent = content_key not in known
    content = text_of(known.pop(content_key, ""), f"the {content_key} of message {number}")
    return Message(role, content, known, written, silent)


def _misses(turn: dict[str, Any], number: int, key: str, role_key: str) -> Problem:
    hint = ""
    if role_key == "from" and "role" in turn:
        hint = "these are OpenAI messages: `format: messages, columns: {messages: conversations}`"
    if role_key == "role" and "from" in turn:
        hint = "these are sharegpt turns: `format: sharegpt, columns: {conversations: messages}`"
    return Problem(
        f"message {number} has no {key}; it has {', '.join(turn) or 'nothing'}", hint=hint
    )


def _role(value: Any, number: int, role_key: str) -> str:
    roles = SHAREGPT_ROLES if role_key == "from" else {role: role for role in ROLES}
    if isinstance(value, str) and value in roles:
        return roles[value]
    hint = f"roles are {', '.join(roles)}"
    if value == "function_call":
        hint = "write tool calls as `tool_calls` of an assistant turn, in the messages format"
    raise DataError(Problem(f"message {number} has the unknown role {value!r}", hint=hint))


def _check(messages: Sequence[Message], open_end: bool) -> None:
    """Refuse what would train on nothing, or on something else than was meant."""
    for number, message in enumerate(messages, 1):
        needed = message.role in ("user", "assistant") and not message.extra.get("tool_calls")
        if needed and not message.content.strip():
            raise DataError(Problem(f"message {number} ({message.role}) is empty"))
    last = messages[-1].role
    if open_end:
        if last == "assistant":
            text = "the prompt ends with assistant, and an answer would follow an answer"
            raise DataError(Problem(text, hint="drop the last turn, or leave the row out"))
    elif last != "assistant":
        hint = "drop the last turn, or leave the row out"
        raise DataError(
            Problem(f"the conversation ends with {last}, not with assistant", hint=hint)
        )
