"""A plan, for people and as JSON: values with their origins, native settings, stages."""

from __future__ import annotations

import os
import shlex
from typing import Any

from ftspec.plan.environ import matching
from ftspec.plan.stages import Launch, Plan
from ftspec.plan.wording import sentence


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """The plan as data."""
    launch = _launch(plan)
    return {
        "backend": plan.backend,
        "folder": str(plan.folder),
        "values": {
            path: {"value": value.value, "origin": value.origin, "why": value.why}
            for path, value in plan.resolved.values.items()
        },
        "native": dict(plan.native),
        "passed_through": dict(plan.resolved.spec.native.get(plan.backend, {})),
        "nearly": [note._asdict() for note in plan.notes],
        "stages": [
            {"stage": type(stage).__name__, "does": sentence(stage)} for stage in plan.stages
        ],
        "environment": {"set": dict(launch.environ), "cleared": list(launch.cleared)},
    }


def print_plan(plan: Plan, why: str, console: Any) -> None:
    """The plan on a console."""
    from rich.table import Table  # noqa: PLC0415 - start-up in a blink

    console.print(f"[bold]{plan.backend}[/bold] ({why}), in {plan.folder}\n", soft_wrap=True)
    table = Table("value", "", "origin", box=None, pad_edge=False, title_justify="left")
    for path, value in plan.resolved.values.items():
        if value.origin != "default" and value.value is not None:
            origin = f"{value.origin}: {value.why}" if value.why else value.origin
            table.add_row(path, _short(value.value), origin)
    console.print(table)
    defaults = [
        f"{path} {_short(value.value)}"
        for path, value in plan.resolved.values.items()
        if value.origin == "default" and value.value not in (None, (), {})
    ]
    console.print("\n[bold]defaults[/bold]: " + ", ".join(defaults), markup=True)
    for note in plan.notes:
        console.print(f"[yellow]nearly[/yellow] {note.path}: {note.reason}")
    for key, passed in plan.resolved.spec.native.get(plan.backend, {}).items():
        console.print(f"[yellow]passed through[/yellow] {key} = {_short(passed)}", markup=True)
    console.print("\n[bold]stages[/bold]")
    for number, stage in enumerate(plan.stages, start=1):
        console.print(f"{number:3}. {sentence(stage)}", markup=False)
    launch = _launch(plan)
    if launch.environ:
        console.print(
            "\n[bold]environment[/bold]: "
            + shlex.join(f"{k}={v}" for k, v in launch.environ.items())
        )
    if present := matching(os.environ, launch.cleared):
        names = ", ".join(present)
        console.print(f"cleared, because they would override a setting: {names}", markup=False)


def _launch(plan: Plan) -> Launch:
    (launch,) = (stage for stage in plan.stages if isinstance(stage, Launch))
    return launch


def _short(value: Any) -> str:
    from rich.markup import escape  # noqa: PLC0415

    if isinstance(value, tuple) and value and isinstance(value[0], dict) and "by" in value[0]:
        return escape(", ".join(f"{v['weight']:g} x {v['by']}" for v in value))
    if isinstance(value, tuple) and value and isinstance(value[0], dict):
        return escape(", ".join(f"{v['path'] or v['hub']} ({v['format']})" for v in value))
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return escape(text if len(text) <= 70 else f"{text[:67]}...")
