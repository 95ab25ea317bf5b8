"""ftspec validate: whether a spec is right, and who can run it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ftspec.cli.shared import (
    describe,
    json_option,
    load_spec,
    lossy_option,
    print_json,
    spec_argument,
)


@click.command(epilog="Example: ftspec validate specs/quickstart.yaml")
@spec_argument
@lossy_option
@json_option
def command(spec: Path, sets: tuple[str, ...], allow_lossy: bool, as_json: bool) -> None:
    """Check SPEC: YAML, names, types, values, data rows; and say which backends can run it.

    Exits with 0 if at least one backend of the spec's list can.
    """
    from ftspec.errors import UnsupportedError
    from ftspec.plan.data_stages import check_split
    from ftspec.plan.make import make_plan
    from ftspec.plan.stages import CheckData
    from ftspec.registry import names

    loaded = load_spec(spec, sets)
    results: dict[str, Any] = {}
    checked: set[str] = set()
    for name in names():
        try:
            plan = make_plan(loaded, name, allow_lossy=allow_lossy)
        except UnsupportedError as error:
            results[name] = {"ok": False, **error.as_json()}
            if not as_json:
                click.echo(f"{click.style('no ', fg='yellow')} {name}")
                for problem in error.problems:
                    click.echo(f"     {describe(problem, error.code)}".replace("\n", "\n     "))
            continue
        for stage in plan.stages:
            if isinstance(stage, CheckData) and stage.split not in checked:
                checked.add(stage.split)
                check_split(plan.resolved, stage.split, stage.lengths)
        results[name] = {"ok": True}
        if not as_json:
            click.echo(f"{click.style('yes', fg='green')} {name}")
    able = any(results[name]["ok"] for name in loaded.spec.run.backends if name in results)
    if as_json:
        print_json({"spec": str(spec), "digest": loaded.digest, "backends": results, "ok": able})
    sys.exit(0 if able else UnsupportedError.exit_code)
