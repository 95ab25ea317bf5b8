"""Tokens: new ones by its keys, other special ones in the tokenizer's files of a model's copy.

llamafactory 0.9.5: hparams/model_args.py reads a file of new tokens with descriptions, and
model/model_utils/embedding.py begins their rows with the mean of a description's, or of all rows where a
description has no token. Its keys name no bos_token, eos_token or pad_token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ftspec.families.weights.tokens import NEW, added, named, new_row, special_rows
from ftspec.mapping import MISSING, Flat, Lossy, Refuse, Row

FILE = "new_tokens.json"
NAMED_FILE = "special_tokens.json"
"""Which special tokens the copy of the model has, and which model it is of: to read back."""
TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json")
KEYS = ("init_special_tokens", "new_special_tokens_config")
INITS = {"mean": "desc_init", "noise": "noise_init"}
MULTIPLE = 64
"""Rows that it adds come up to a multiple of this (`pad_to_multiple_of`)."""
BMP = 0xFFFF


def token_rows() -> tuple[Row, ...]:
    """Rows that all backends share, as far as it has the same."""
    row = new_row()

    def lower(*values: Any) -> Any:
        if values[0]:
            _check(*values[:4])
        return row.lower(*values)

    return (
        *(_local(each) for each in special_rows()),
        replace(row, lower=lower),
        Row(
            (),
            ("resize_vocab",),
            bool,
            lambda _resized: (),
            uses=row.paths[:1],
            absent=(False,),
        ),
    )


def _local(row: Row) -> Row:
    def lower(token: str | None, objective: str, local: bool, who: str) -> Any:
        if token is not None and not local and row.paths[0].endswith(".pad"):
            return Lossy(
                MISSING,
                "of a hub model it fills rows with the tokenizer's own token, from which nothing is "
                "learned either, and saves the tokenizer with that",
            )
        if token is not None and not local:
            return Lossy(
                MISSING,
                f"only if the hub model's tokenizer names {token!a} too: it has no key for special tokens "
                "(a model whose folder is named gets other files of its tokenizer)",
            )
        if token is not None and who != "ftspec" and row.paths[0].endswith((".bos", ".unk")):
            raise Refuse(
                "a tokenizer that is made with another one may put it around plain text",
                "notimpl",
                "data.prepare: ftspec",
            )
        return row.lower(token, objective)

    return replace(row, lower=lower, uses=(*row.uses, "derived.local_model", "data.prepare"))


def _check(tokens: tuple[str, ...], special: bool, init: str, multiple: int) -> None:
    if not special:
        raise Refuse(
            "new tokens that are not special it looks for in normalised text, and begins with noise alone",
            "notyet",
            "model.new_tokens.special: true",
        )
    if init not in INITS:
        raise Refuse(
            "its new rows begin with the mean of others, or with noise around it",
            "notyet",
            "model.new_tokens.init: mean",
        )
    if multiple != MULTIPLE:
        raise Refuse(
            "it adds rows up to a multiple of 64", "notyet", "model.new_tokens.multiple: 64"
        )
    if any(ord(character) > BMP for token in tokens for character in token):
        reason = "its file of new tokens is not written with characters beyond the first 65,536"
        raise Refuse(reason, "notimpl", "run.backends: trl")


def model_files(native: Flat) -> Mapping[str, Mapping[str, Any]]:
    """What files of a model's copy say otherwise; none where the model is loaded itself."""
    tokens = named(native)
    return dict.fromkeys(TOKENIZER, tokens) if tokens else {}


def token_keys(native: Flat) -> dict[str, Any]:
    """Its own keys for the new tokens of native values."""
    new = added(native)
    return dict(zip(KEYS, (INITS[new["init"]], FILE), strict=True)) if new else {}


def token_files(native: Flat, model: str) -> Iterator[tuple[str, Any]]:
    """Names and contents of the files that the config and the reader need beside it."""
    if new := added(native):
        yield FILE, dict.fromkeys(new["tokens"], "")
    if tokens := named(native):
        yield NAMED_FILE, {"model": model, **tokens}


def read_new(config: dict[str, Any], descriptions: Mapping[str, str]) -> dict[str, Any]:
    """The native values of its keys, which are taken out of ``config``."""
    init = config.pop(KEYS[0], MISSING)
    config.pop(KEYS[1], None)
    if not descriptions:
        return {}
    (ours,) = (ours for ours, theirs in INITS.items() if theirs == init)
    fields = {"tokens": [*descriptions], "special": True, "init": ours, "multiple": MULTIPLE}
    return {f"{NEW}{name}": value for name, value in fields.items()}
