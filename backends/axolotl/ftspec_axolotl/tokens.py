"""Tokens: axolotl's keys name and add them; a plugin gives new ones their embeddings before axolotl would.

axolotl 0.19.0, loaders/tokenizer.py: special tokens first, then `tokens`, then further special ones.
loaders/model.py: it grows embeddings that are too small, without a seed, right behind the plugin's hook.
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import replace
from typing import Any

from ftspec.emit.python import render
from ftspec.families.weights.tokens import (
    NAMED,
    NEW,
    added,
    grow,
    named,
    new_row,
    read_tokens,
    special_rows,
)
from ftspec.mapping import Flat, Refuse, Row

PLUGIN = "new_tokens.NewTokens"
FILE = f"{PLUGIN.partition('.')[0]}.py"
FURTHER = "additional_special_tokens"
HEAD = '''\
"""Gives new tokens their embeddings, and draws them by the seed: axolotl would draw others each time."""

from axolotl.integrations.base import BasePlugin
from axolotl.loaders import load_tokenizer
from transformers import set_seed

NEW_TOKENS = {{ new_tokens.tokens|py }}


class NewTokens(BasePlugin):
    def post_model_build(self, cfg, model):
        tokenizer = load_tokenizer(cfg)
'''


def token_rows() -> tuple[Row, ...]:
    """Rows that all backends share, but for a special token that is new."""
    return (*(_there_already(row) for row in special_rows()), new_row())


def _there_already(row: Row) -> Row:
    def lower(token: str | None, objective: str, new: tuple[str, ...] | None) -> Any:
        if token is not None and token in (new or ()):
            raise Refuse(
                "it adds special tokens before all others, which would give new ones other ids",
                "notimpl",
                "run.backends: trl or deepspeed",
            )
        return row.lower(token, objective)

    return replace(row, lower=lower, uses=(*row.uses, "model.new_tokens.tokens"))


def token_keys(native: Flat) -> dict[str, Any]:
    """axolotl's keys for both."""
    special: dict[str, Any] = dict(named(native))
    new = added(native)
    if new and new["special"]:
        special[FURTHER] = new["tokens"]
    keys: dict[str, Any] = {"special_tokens": special} if special else {}
    return keys | ({"tokens": new["tokens"]} if new and not new["special"] else {})


def read_keys(config: dict[str, Any], plugin: str) -> dict[str, Any]:
    """The native values of its keys, which are taken out of ``config``, and of the plugin's file."""
    special = dict(config.pop("special_tokens", None) or {})
    tokens, further = config.pop("tokens", None), special.pop(FURTHER, None)
    native = {f"{NAMED}{name}": token for name, token in special.items()}
    if not plugin:
        return native
    return native | read_tokens(ast.parse(plugin)) | {
        f"{NEW}tokens": tokens or further,
        f"{NEW}special": tokens is None,
    }  # fmt: skip


def plugin(native: Flat) -> str:
    """The plugin's file."""
    return render(
        HEAD + textwrap.indent(grow(), " " * 8),
        new_tokens=added(native),
        seed=native["seed"],
        configuration=None,
    )
