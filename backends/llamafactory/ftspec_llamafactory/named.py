"""The slots of LLaMA-Factory's own templates that a spec names, with a tokenizer's tokens in them.

Their special tokens stand in the vocabulary, or the spec is refused; so they are the same ids where it
turns the first stop word into the end of text.
"""

from __future__ import annotations

from ftspec.data.named import Piece, templates
from ftspec.data.tokenizer import Tokens
from ftspec_llamafactory.slots import Slots


def named_slots(name: str, tokens: Tokens) -> Slots:
    """The slots of a named template, with this tokenizer's tokens."""
    named = templates()[name]

    def filled(pieces: tuple[Piece, ...]) -> str:
        return "".join(
            one if isinstance(one, str) else tokens.special.get(one.role, "") for one in pieces
        )

    return Slots(
        filled(named.prefix),
        filled(named.system),
        filled(named.user),
        filled(named.assistant),
        named.default_system,
        named.thought_words,
        named.system_in_user,
    )
