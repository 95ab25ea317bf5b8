"""As much of datasets and of a tokenizer as the statements of a script use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Rows:
    """As much of `datasets.Dataset` as the statements use."""

    def __init__(self, rows: list[dict[str, Any]], loaded: tuple[Any, ...] = ()) -> None:
        self.rows, self.loaded = rows, loaded

    @property
    def column_names(self) -> list[str]:
        return list(self.rows[0])

    def map(self, function: Callable[[Any], Any], remove_columns: list[str]) -> Rows:
        assert {*remove_columns} <= {*self.column_names}
        kept = [{k: v for k, v in row.items() if k not in remove_columns} for row in self.rows]
        rows = [row | function(whole) for row, whole in zip(kept, self.rows, strict=True)]
        return Rows(rows, self.loaded)

    def filter(self, function: Callable[[Any], bool]) -> Rows:
        return Rows([row for row in self.rows if function(row)], self.loaded)

    def select_columns(self, names: list[str]) -> Rows:
        return Rows([{name: row[name] for name in names} for row in self.rows], self.loaded)

    def rename_columns(self, names: dict[str, str]) -> Rows:
        renamed = [{names.get(k, k): v for k, v in row.items()} for row in self.rows]
        return Rows(renamed, self.loaded)


def letters(text: str) -> list[int]:
    """One token per letter."""
    return [ord(letter) for letter in text]


class Tokenizer:
    """The same, as transformers offers it."""

    eos_token = "<end>"

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": letters(text)}

    def apply_chat_template(self, messages: list[dict[str, str]]) -> dict[str, list[int]]:
        return {"input_ids": [0] * sum(len(message["content"]) for message in messages)}
