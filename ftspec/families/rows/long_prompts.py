"""Prompts that are too long: what a script takes off them, before trl cuts whole rows.

trl 1.15 and 1.16 have no setting for it. Earlier releases had `max_prompt_length`: of DPO to 0.28, which cut
every longer prompt (trainer/dpo_trainer.py, tokenize_row); of CPO and ORPO to 0.27, which cut it where the
row was too long, and then the answers (experimental/cpo/cpo_trainer.py, tokenize_row). The script has a
trainer of its own that does either; tests/real/test_long_prompts.py holds its rows against trl 0.24's.
"""

from __future__ import annotations

import ast
from importlib.resources import files
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.mapping import MISSING, Refuse, Row, unsupported

LONGEST = "data.longest_prompt"
"""Native pseudo-key: the longest prompt, and when a longer one is cut."""
SHORTEN = {"shorten": "always", "shorten_overlong": "overlong"}
"""The script's function, and when it cuts."""
TEXT = files("ftspec.families") / "templates" / "long_prompts.py.j2"
PATHS = ("data.max_prompt_length", "data.prompt_cut")
OF_ANSWERS = "only rows of a prompt and answers that are compared or judged have a prompt to cut"
_STATEMENT = 'LONGEST_PROMPT = "@length"'


def prompt_row(always: str = "") -> Row:
    """The row of a trainer of answers. ``always``: why it cuts prompts always or never."""

    def lower(length: int | None, when: str) -> Any:
        if length is None:
            return MISSING
        if always and when != "always":
            raise Refuse(always, "notimpl", "data.prompt_cut: always")
        return length, when

    return Row(
        PATHS,
        (LONGEST,),
        lower,
        lambda longest: longest or (None, "always"),
        absent=(None,),
    )


def no_prompts(reason: str = OF_ANSWERS, support: Any = "never", hint: str = "") -> tuple[Row, ...]:
    """Refusals where prompts are not cut by themselves."""
    longest, when = PATHS
    hint = hint or "leave it out: data.overflow is about whole rows"
    return (
        unsupported(longest, reason, support, hint=hint),
        unsupported(when, reason, support, ("always",), hint),
    )


def read_longest(tree: ast.Module) -> dict[str, Any]:
    """What a script says; nothing where it cuts no prompts."""
    found = [holes for node in tree.body if (holes := match(_STATEMENT, node)) is not None]
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, when in SHORTEN.items():
        if found and name in functions:
            return {LONGEST: (found[0]["length"], when)}
    return {}
