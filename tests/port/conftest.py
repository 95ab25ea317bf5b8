"""Sources as texts, read as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.port.bring import Imported, bring

Bring = Callable[..., Imported]


@pytest.fixture
def read(tmp_path: Path) -> Bring:
    """Import texts as the files of one source: `read("key: value", other={"name.json": "{}"})`."""

    def call(
        text: str, name: str = "config.yaml", other: dict[str, str] | None = None, **how: Any
    ) -> Imported:
        paths = []
        for file, content in {name: text, **(other or {})}.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            paths.append(path)
        return bring(paths, **how)

    return call


def fate(imported: Imported, key: str) -> tuple[str, str]:
    """What became of one setting, and why."""
    (found,) = [fate for fate in imported.fates if fate.setting.key == key]
    return found.kind, found.why
