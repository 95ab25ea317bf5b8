"""The plans of a spec with stages, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftspec.plan.pipeline import Link
from ftspec.report.plan import plan_as_json, print_plan


def links_as_json(links: Sequence[Link]) -> list[dict[str, Any]]:
    """Each link's plan as data, with its name."""
    return [
        {"name": link.name, **plan_as_json(link.plan), "chosen_because": link.why} for link in links
    ]


def print_links(links: Sequence[Link], console: Any) -> None:
    """Each link's plan on a console, under its name."""
    for number, link in enumerate(links, start=1):
        console.rule(f"stage {number} of {len(links)}: {link.name}", align="left")
        print_plan(link.plan, link.why, console)
        console.print()
