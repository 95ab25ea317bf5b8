"""The environment a training is started with. The tables and their reasons: ftspec.plan.environ."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ftspec.plan.environ import clean, matching, reason

__all__ = ["clean", "matching", "reason", "compose"]


def compose(
    caller: Mapping[str, str],
    setting: Mapping[str, str],
    cleared: Collection[str],
) -> dict[str, str]:
    """The caller's environment without ``cleared`` (names or patterns), with ``setting``."""
    gone = set(matching(caller, cleared))
    return {name: value for name, value in caller.items() if name not in gone} | dict(setting)
