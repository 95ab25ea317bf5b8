"""Tokenizers, by the library that the frameworks' tokenizers wrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.data.tokenizer_files import read_json, tokenizer_folder
from ftspec.errors import DataError, Problem

if TYPE_CHECKING:
    import tokenizers

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class Vocabulary:
    """What a spec changes of a tokenizer."""

    special: Mapping[str, str] = field(default_factory=dict)
    """Named special tokens, `eos_token` and so on, in the place of the tokenizer's own."""
    new: tuple[str, ...] = ()
    """Tokens that it gets, in order, as far as it lacks them."""
    skipped: bool = True
    """Whether a new one is left out of text that is decoded without special tokens."""
    before: Vocabulary | None = None
    """What was changed before that."""

    def named(self) -> dict[str, str]:
        """All named special tokens."""
        return {**(self.before.named() if self.before else {}), **self.special}


AS_IT_IS = Vocabulary()


@dataclass(frozen=True)
class Tokens:
    """A tokenizer and what its folder says about it."""

    tokenizer: tokenizers.Tokenizer
    special: Mapping[str, str]
    """Named special tokens: `bos_token`, `eos_token`, `pad_token`, as far as there are any."""
    folder: Path

    def ids(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids. ``special``: with what the tokenizer puts around plain text, such as BOS."""
        return list(self.tokenizer.encode(text, add_special_tokens=special).ids)

    def named_id(self, name: str) -> int | None:
        """The id of a named special token, `eos_token`; None if there is none."""
        token = self.special.get(name)
        return None if token is None else self.tokenizer.token_to_id(token)


def load_tokenizer(
    name: str | Path, revision: str = "main", vocabulary: Vocabulary = AS_IT_IS
) -> Tokens:
    """The tokenizer in a folder, or of a hub model, with what ``vocabulary`` changes of it."""
    import tokenizers  # noqa: PLC0415 -- slow to import, and most commands tokenise nothing

    folder = tokenizer_folder(name, revision)
    file = folder / "tokenizer.json"
    if not file.is_file():
        hint = (
            "save a fast tokenizer there: AutoTokenizer.from_pretrained(...).save_pretrained(...); "
            "or set `data.prepare: framework`"
        )
        raise DataError(Problem("the model has no tokenizer.json", file=str(folder), hint=hint))
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more precise
        reason = str(error).partition("\n")[0]
        raise DataError(
            Problem(f"the tokenizer cannot be read: {reason}", file=str(file))
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    config, special = _config(folder), named_tokens(folder)
    try:
        _add_tokens(tokenizer, config, special)
    except (AttributeError, TypeError, ValueError):
        message = "the added tokens of the tokenizer are not in transformers' form"
        raise DataError(Problem(message, file=str(folder / "tokenizer_config.json"))) from None
    _change(tokenizer, vocabulary, folder)
    return Tokens(tokenizer, {**special, **vocabulary.named()}, folder)


def _change(tokenizer: tokenizers.Tokenizer, vocabulary: Vocabulary, folder: Path) -> None:
    """As a script does it: new tokens first, then those that are named, which must be there."""
    import tokenizers  # noqa: PLC0415

    if vocabulary.before:
        _change(tokenizer, vocabulary.before, folder)
    tokenizer.add_tokens(
        [
            tokenizers.AddedToken(text, special=vocabulary.skipped, normalized=False)
            for text in vocabulary.new
        ]
    )
    for name, text in vocabulary.special.items():
        if tokenizer.token_to_id(text) is None:
            word = name.removesuffix("_token")
            message = f"the tokenizer has no token {text!r}, which is to be its {name}"
            hint = "name one that it has, or let it get this one: model.new_tokens"
            raise DataError(
                Problem(message, f"model.special_tokens.{word}", file=str(folder), hint=hint)
            )
        tokenizer.add_tokens([tokenizers.AddedToken(text, special=True, normalized=False)])


def named_tokens(folder: Path) -> dict[str, str]:
    """The special tokens that a tokenizer's files name, `eos_token` and so on; nothing else is read."""
    config = _config(folder)
    return {key: text for key in NAMED if (text := _token_text(config.get(key)))}


def _config(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json; an older tokenizer's special_tokens_map.json goes before it."""
    config: dict[str, Any] = {}
    if (folder / "tokenizer_config.json").is_file():
        config = read_json(folder / "tokenizer_config.json")
    legacy = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in config and legacy.is_file():
        config = {**config, **read_json(legacy)}
    return config


def _token_text(value: Any) -> str:
    """A token's text, whether it is written plainly or with its options."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _add_tokens(
    tokenizer: tokenizers.Tokenizer, config: dict[str, Any], special: Mapping[str, str]
) -> None:
    """Tokens that the configuration names and tokenizer.json lacks, as transformers adds them."""
    import tokenizers  # noqa: PLC0415

    present = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    decoder = config.get("added_tokens_decoder") or {}
    added = []
    for _, options in sorted(decoder.items(), key=lambda item: int(item[0])):
        token = tokenizers.AddedToken(**options)
        if repr(token) != repr(present.get(token.content)):
            added.append(token)
    names = {*present, *(token.content for token in added)}
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or ()
    texts = [
        *special.values(),
        *map(_token_text, extra.values() if isinstance(extra, dict) else extra),
    ]
    for text in dict.fromkeys(text for text in texts if text and text not in names):
        added.append(tokenizers.AddedToken(text, special=True, normalized=False))
    if added:
        tokenizer.add_tokens(added)
