"""One training example, whatever format its row had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["chat", "prompt-completion", "text", "prompt"]
ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else a template may read: tool_calls, name, reasoning_content."""
    written: str = field(default="", compare=False, repr=False)
    """The role as the row writes it, `human` of a sharegpt turn."""
    silent: bool = field(default=False, compare=False, repr=False)
    """Whether the row has no content for it, not even an empty one."""

    def native(self) -> dict[str, Any]:
        """As a chat template sees it."""
        return {"role": self.role, "content": self.content, **self.extra}


@dataclass(frozen=True)
class Example:
    """What one row trains on.

    ``chat``: messages, ending with an assistant turn. ``prompt-completion``: two plain strings that
    no template touches. ``text``: one plain string, held in ``completion``.
    """

    kind: Kind
    messages: tuple[Message, ...] = ()
    given: int = 0
    """How many leading messages are the prompt of the completion."""
    tools: tuple[Any, ...] = ()
    """Tool schemas that the template may print."""
    prompt: str = ""
    completion: str = ""
    apart: bool = False
    """Whether prompt and completion are tokenised each by itself."""
    rejected: Example | None = None
    """Of a pair: the same prompt with the answer that was not chosen."""
    label: bool | None = None
    """Of an answer that is judged by itself: whether it is good."""
    images: tuple[Any, ...] = ()
    """Its images, in their order: paths of files, or what a Parquet file holds."""
    in_parts: bool = field(default=False, compare=False, repr=False)
    """Whether a content is a list of texts and places of images."""
    lead: int = field(default=0, compare=False, repr=False)
    """How many leading messages stand in columns of their own: a system prompt, a history."""
    columns: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """The row's columns, those included that the format does not know."""
