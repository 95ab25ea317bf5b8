"""What strategies of specs are made of: names, numbers, and sections with some of their fields."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ftspec.spec.scalars import INVISIBLE

AWKWARD = (
    "all", "all-linear", "a,b", "1e-4", "5e-05", "no", "NO", "off", "y", "N", "true", "Null", "~", "null",
    "1_000", "0o14", "014", "0x1f", "1:30", "2024-01-01", ".5", ".inf", ".NaN", "-.inf", "+1", "-", "=",
    "<<", "...", "---", "- x", "x: y", "x:", "#x", "x #y", "{{ x }}", "${x}", "${oc.env:HOME", "[", "{a}",
    "&a", "*a", "!a", "%a", "@a", "`a`", "|", ">", "?", "? a", ":", "'", '"', "\\", "\\n", "a'b", 'a"b',
    " lead", "trail ", "a\nb", "a\tb", "\n", " ", "é", "日本語", "😀", "./x", "../x", "/x", "~/x", "a/b c",
    "C:\\x", "x" * 300,
)  # fmt: skip


@cache
def words() -> st.SearchStrategy[str]:
    """Text that a spec may hold: awkward words on purpose, and any visible characters."""
    visible = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    return st.sampled_from(AWKWARD) | visible.filter(lambda text: not INVISIBLE.search(text))


@cache
def positive(limit: float = 1e6) -> st.SearchStrategy[float]:
    return st.floats(min_value=0, max_value=limit, exclude_min=True, allow_subnormal=False)


@cache
def shares() -> st.SearchStrategy[float]:
    return st.floats(min_value=0, max_value=1, exclude_max=True, allow_subnormal=False)


def optional(fields: dict[str, st.SearchStrategy[Any]], **needed: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries(needed, optional=fields)


@cache
def modules(least: int = 0) -> st.SearchStrategy[Any]:
    names = st.sampled_from(("q_proj", "v_proj", "model.layers.0.mlp", "no", "null", "e1", "y"))
    return st.lists(names, min_size=least, max_size=3)


@cache
def patterns() -> st.SearchStrategy[Any]:
    """Regular expressions, such as they are: any text that one cannot misread."""
    return st.builds(lambda text: {"pattern": re.escape(text)}, words())


@cache
def names_of_weights() -> st.SearchStrategy[Any]:
    """Regular expressions for the names of weights."""
    usual = st.sampled_from(
        (r"model\.layers\.[01]\.", "lm_head", r".*\.mlp\.", r"model.+norm", "a[.]b")
    )
    return st.lists(usual | words().map(re.escape), max_size=3)


@cache
def counts() -> st.SearchStrategy[Any]:
    """Numbers by module, as in `rank_pattern`."""
    return st.dictionaries(words().map(re.escape), st.integers(1, 10**6), max_size=2)


@cache
def jsons() -> st.SearchStrategy[Any]:
    number = st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | number | words()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words(), inner, max_size=3),
        max_leaves=8,
    )
