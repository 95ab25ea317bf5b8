"""The data stages of a plan, carried out with the data floor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.plan.values import Resolved
from ftspec.spec.data import Source

if TYPE_CHECKING:
    from ftspec.data.prepare import Report


def check_split(resolved: Resolved, split: str, lengths: bool) -> Report:
    """Read a split's local files: shapes, rows with nothing to train on, and lengths if asked."""
    from ftspec.data.prepare import check  # noqa: PLC0415 - a plan alone reads no data

    return check(_sources(resolved, split), lengths=lengths, **_arguments(resolved))


def prepare_split(resolved: Resolved, split: str, target: Path) -> Report:
    """Render, tokenise and label a split, and write it to `target` as a Hugging Face dataset."""
    from ftspec.data.prepare import prepare  # noqa: PLC0415 - a plan alone reads no data

    return prepare(_sources(resolved, split), target=target, **_arguments(resolved))


def _sources(resolved: Resolved, split: str) -> tuple[Source, ...]:
    return tuple(Source(**source) for source in resolved.values[f"data.{split}"].value)


def _arguments(resolved: Resolved) -> dict[str, Any]:
    spec = resolved.spec
    return {
        "base": resolved.folder,
        "tokenizer": spec.model.name,
        "revision": spec.model.revision,
        "template": spec.model.chat_template,
        "max_length": spec.data.max_length,
        "overflow": spec.data.overflow,
        "train_on": spec.data.train_on,
    }
