"""Long rows that a script cuts turn by turn, as LLaMA-Factory does (`ftspec.data.by_turns`).

trl has no setting for it. The script makes tokens and labels itself, which trl then takes as they are
(trainer/sft_trainer.py, `_prepare_dataset`).
"""

from __future__ import annotations

import ast
from importlib.resources import files
from typing import Any

from ftspec.families.rows.shapes import TOOLS
from ftspec.families.scripts.unify import match
from ftspec.mapping import Refuse

WORD = "truncate-turns"
"""The word of a spec's `data.overflow`."""
CUT = "data.cut_by_turns"
"""Native pseudo-key: the longest row, and which tokens train, where the script cuts rows itself."""
PAIRS_CUT = "data.cut_pairs_by_turns"
"""Native pseudo-key: true where a script cuts the prompt and the answers of a pair so."""
TEXT = files("ftspec.families") / "templates" / "by_turns.py.j2"
SHARE = files("ftspec.families") / "templates" / "share.py.j2"
MAPPED = "ROWS = ROWS.map(by_turns, remove_columns=ROWS.column_names)\n"
"""The statement that cuts the rows of a split; nothing else is done to them after that."""
_OF_PAIRS = "shorten_by_turns"
_CONSTANTS = 'LONGEST_ROW, LEARNED = "@limit", "@learned"'
ELSE = "data.prepare: ftspec, or data.overflow: truncate"


def refuse_uncut(shape: str, sources: tuple[dict[str, Any], ...], marks: bool | None) -> None:
    """Raise Refuse for rows whose turns a script does not find."""
    if shape == "text":
        raise Refuse("plain text has no turns", "never", "leave data.overflow out")
    plain = any(source["format"] == "prompt-completion" for source in sources)
    if shape not in ("messages", "prompt-completion") or plain:
        raise Refuse("of these rows no turns are cut in a script yet", "notimpl", ELSE)
    if any(TOOLS[1:] in source["columns"] for source in sources):
        raise Refuse("turns are cut without a column of tools", "notimpl", ELSE)
    one = all(source["format"] == "alpaca" or source.get("template") for source in sources)
    if marks is False and not (one and shape == "prompt-completion"):
        raise Refuse(
            "turns are found by what the chat template marks, and it marks no assistant's turns",
            "notyet",
            f"{ELSE}; or {{% generation %}} around them in a model.chat_template",
        )


def text() -> str:
    """The functions of a script that cut a row."""
    return sharing(TEXT.read_text("utf-8"))


def sharing(template: str) -> str:
    """A template with the function that shares a row between a prompt and its answer."""
    return template.replace("{# share a row #}\n", SHARE.read_text("utf-8"))


def read_cut(tree: ast.Module) -> dict[str, Any]:
    """What a script says; nothing where it cuts no rows by turns."""
    for node in tree.body:
        if (holes := match(_CONSTANTS, node)) is not None:
            return {CUT: (holes["limit"], holes["learned"])}
        if isinstance(node, ast.FunctionDef) and node.name == _OF_PAIRS:
            return {PAIRS_CUT: True}
    return {}
