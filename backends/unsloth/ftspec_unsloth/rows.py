"""What Unsloth makes of rows: on the CPU what trl makes of them, on a GPU something of its own."""

from __future__ import annotations

from ftspec.data.carried import REMEDY
from ftspec.data.template import Template
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Rule, Unknown
from ftspec.families.rows.script_rows import script_rows
from ftspec.families.trainers import argument
from ftspec.mapping import Flat


def rows(native: Flat, tokens: Tokens, template: Template | None) -> Rule | Unknown:
    """The rule of a script with these native values."""
    if not argument(native, "use_cpu"):
        return Unknown("on a GPU Unsloth prepares rows with code of its own, not trl's", REMEDY)
    return script_rows(native, tokens, template)
