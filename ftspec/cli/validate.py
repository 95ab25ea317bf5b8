"""ftspec validate: whether a spec is right, and who can run it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftspec.cli.shared import (
    describe,
    json_option,
    load_specs,
    lossy_option,
    print_json,
    spec_argument,
)

if TYPE_CHECKING:
    from ftspec.spec.load import Loaded
    from ftspec.spec.pipeline import Pipeline


@click.command(epilog="Example: ftspec validate specs/quickstart.yaml")
@spec_argument
@lossy_option
@json_option
def command(spec: Path, sets: tuple[str, ...], allow_lossy: bool, as_json: bool) -> None:
    """Check SPEC: YAML, names, types, values, data rows; and say which backends can run it.

    Exits with 0 if at least one backend of the spec's list can; of a spec with `stages`, one for each.
    """
    from ftspec.errors import UnsupportedError
    from ftspec.spec.pipeline import Pipeline

    loaded = load_specs(spec, sets)
    if isinstance(loaded, Pipeline):
        told = _stages(loaded, allow_lossy, as_json)
        able = len(told) == len(loaded.steps) and all(stage["ok"] for stage in told.values())
        facts: dict[str, Any] = {"stages": told}
    else:
        facts, able = _backends(loaded, allow_lossy, as_json)
    if as_json:
        print_json({"spec": str(spec), "digest": loaded.digest, **facts, "ok": able})
    sys.exit(0 if able else UnsupportedError.exit_code)


def _stages(pipeline: Pipeline, allow_lossy: bool, as_json: bool) -> dict[str, Any]:
    """Of each stage, which backends can run it; what comes after one that none can run is not known."""
    from ftspec.plan.choose import choose
    from ftspec.plan.pipeline import Chain, of_stage

    chain, told = Chain(pipeline, allow_lossy=allow_lossy), dict[str, Any]()
    for step in pipeline.steps:
        loaded = chain.begin(step)
        if not as_json:
            click.echo(f"stage {step.name}")
        with of_stage(step.name):
            facts, able = _backends(loaded, allow_lossy, as_json)
            told[step.name] = {**facts, "ok": able}
            if not able:
                return told
            chain.end(step, *choose(loaded, None, allow_lossy))
    return told


def _backends(loaded: Loaded, allow_lossy: bool, as_json: bool) -> tuple[dict[str, Any], bool]:
    """What each backend can do with a spec, and whether one of its list can run it."""
    from ftspec.errors import Problem, UnsupportedError
    from ftspec.plan.make import make_plan
    from ftspec.registry import load, names

    for name in loaded.spec.run.backends:
        load(name)  # a name that no backend has is a mistake in the spec
    results: dict[str, Any] = {}
    checked: set[Any] = set()
    for name in names():
        try:
            plan = make_plan(loaded, name, allow_lossy=allow_lossy)
        except UnsupportedError as error:
            results[name] = {"ok": False, **error.as_json()}
        else:
            results[name] = _checked(plan, checked)
    for name, result in results.items():
        if not as_json:
            word = (
                click.style("yes", fg="green") if result["ok"] else click.style("no ", fg="yellow")
            )
            click.echo(f"{word} {name}")
            for problem in result.get("problems", ()):
                told = describe(Problem(**problem), result["code"])
                click.echo(f"     {told}".replace("\n", "\n     "))
    able = any(results[name]["ok"] for name in loaded.spec.run.backends if name in results)
    return {"backends": results}, able


def _checked(plan: Any, done: set[Any]) -> dict[str, Any]:
    """Check the rows that a plan's run would read; what only one framework leaves out is its own no.

    Raises:
        DataError: the rows are no good for anybody.
    """
    from dataclasses import replace

    from ftspec.errors import DataError
    from ftspec.plan.data_stages import check_split
    from ftspec.plan.stages import CheckData

    for stage in plan.stages:
        if not isinstance(stage, CheckData) or stage.later:
            continue
        plain = replace(stage, alternating=False, parsing=False)
        if plain not in done:
            check_split(plan.resolved, stage.split, stage.lengths)
            done.add(plain)
        if stage != plain:
            own = {"alternating": stage.alternating, "parsing": stage.parsing}
            try:
                check_split(plan.resolved, stage.split, lengths=False, **own)
            except DataError as error:
                return {"ok": False, **error.as_json()}
    return {"ok": True}
