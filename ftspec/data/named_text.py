"""The Jinja text of a template that a spec names, with the assistant's turns marked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ftspec.data.named import HOLE, Named, Piece, Special, templates

THINKING = "enable_thinking"


@cache
def named_template(name: str, last: bool = False) -> str:
    """The text of a name.

    ``last``: as where the last answer alone trains. Of a template with thoughts, earlier answers then lose
    theirs, and only the last one gets an empty one.
    """
    named = templates()[name]
    body, opening = _opened(named)
    lines = [
        "{%- set system = messages[0].content if messages[0].role == 'system' else '' %}",
        *_default(named),
        *_printed(named.prefix, ""),
        *([] if named.system_in_user else _if("system", _printed(named.system, "system"))),
        *_first(named),
        "{%- for message in messages %}",
        *_indented(_turns(name, named, body, opening, last)),
        "{%- endfor %}",
    ]
    prompt = _printed(opening, "")
    if named.thought_words:
        prompt += _if(_off(), _printed((_empty(named),), ""))
    lines += _if("add_generation_prompt", prompt) if prompt else []
    return "\n".join(lines) + "\n"


def text(value: str) -> str:
    """A Jinja literal."""
    for sign, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n")):
        value = value.replace(sign, escaped)
    return f"'{value}'"


def _opened(named: Named) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """A user turn, and the opening of an answer: apart where the question ends as an answer does."""
    last, closing = named.user[-1], named.assistant[-1]
    if len(named.assistant) == 1 and isinstance(last, str) and isinstance(closing, str):
        end = closing.partition(HOLE)[2]
        question, hole, rest = last.rpartition(HOLE)
        if end and hole and rest.startswith(end):
            return (*named.user[:-1], question + hole + end), (rest.removeprefix(end),)
    return named.user, ()


def _default(named: Named) -> list[str]:
    if not named.default_system:
        return []
    return [f"{{%- set system = system or {text(named.default_system)} %}}"]


def _first(named: Named) -> list[str]:
    """What the first question begins with."""
    if not named.system_in_user:
        return []
    said = _expression(named.system, "system")
    return [f"{{%- set system = {said} if system else '' %}}"]


def _turns(
    name: str, named: Named, body: tuple[Piece, ...], opening: tuple[Piece, ...], last: bool
) -> list[str]:
    first = "(system if loop.index0 == (messages[0].role == 'system') | int else '') + "
    question = f"({first}message.content)" if named.system_in_user else "message.content"
    before, inside = _thoughts(named, last) if named.thought_words else ([], [])
    answer = "thought.content" if named.thought_words else "message.content"
    marked = [*inside, *_printed(named.assistant, answer)]
    return [
        "{%- if message.role == 'user' %}",
        *_indented(_printed(body, question)),
        "{%- elif message.role == 'assistant' %}",
        *_indented([*_printed(opening, ""), *before]),
        *_indented(["{%- generation %}", *_indented(marked), "{%- endgeneration %}"]),
        "{%- elif message.role != 'system' or not loop.first %}",
        *_indented([f"{{{{- raise_exception({text(_refusal(name))} + message.role) }}}}"]),
        "{%- endif %}",
    ]


def _refusal(name: str) -> str:
    return f"the template {name} has no such turn of the role "


def _thoughts(named: Named, last: bool) -> tuple[list[str], list[str]]:
    """What is made of the thoughts of an answer: before the part that trains, and in it."""
    opened, closed = named.thought_words
    off, empty = _off(), _printed((_empty(named),), "")
    removed = f"{off} or not loop.last" if last else off
    gone = [
        "{%- set thought.content = '' %}",
        "{%- set thought.open = '' %}",
        f"{{%- for piece in message.content.split({text(opened)}) %}}",
        *_indented(
            [
                f"{{%- set piece = piece if loop.first else thought.open + {text(opened)} + piece %}}",
                f"{{%- if not loop.first and {text(closed)} in piece %}}",
                f"    {{%- set piece = piece.split({text(closed)}, 1)[1] %}}",
                "    {%- set thought.content = thought.content + piece %}",
                "    {%- set thought.open = '' %}",
                "{%- elif loop.first %}",
                "    {%- set thought.content = piece %}",
                "{%- else %}",
                "    {%- set thought.open = piece %}",
                "{%- endif %}",
            ]
        ),
        "{%- endfor %}",
        "{%- set thought.content = (thought.content + thought.open).lstrip('\\n') %}",
    ]
    has = [f"{text(word.strip())} in thought.content" for word in named.thought_words]
    missing = f"not ({' or '.join(has)})" + (" and loop.last" if last else "")
    before = [
        "{%- set thought = namespace(content=message.content, open='') %}",
        *_if(removed, gone),
        *_if(f"{off} and {missing}", empty),
    ]
    return before, _if(f"not ({off}) and {missing}", empty)


def _off() -> str:
    return f"{THINKING} is defined and {THINKING} is false"


def _empty(named: Named) -> str:
    """An empty thought."""
    return "".join(named.thought_words)


def _printed(pieces: Sequence[Piece], content: str) -> list[str]:
    said = _expression(pieces, content)
    return [f"{{{{- {said} }}}}"] if said else []


def _expression(pieces: Sequence[Piece], content: str) -> str:
    """Pieces as one sum, with ``content`` in the place of the hole."""
    found: list[str] = []
    for piece in pieces:
        if isinstance(piece, Special):
            found.append(f"{piece.role} | default('')")  # a tokenizer may have none
            continue
        before, hole, after = piece.partition(HOLE)
        found += [text(before)] if before else []
        found += [content] if hole else []
        found += [text(after)] if after else []
    return " + ".join(found)


def _if(condition: str, lines: Sequence[str]) -> list[str]:
    return [f"{{%- if {condition} %}}", *_indented(lines), "{%- endif %}"]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
