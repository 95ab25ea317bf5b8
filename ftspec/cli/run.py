"""ftspec run: compile and train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftspec.cli.shared import (
    console,
    environment_options,
    find_environment,
    json_option,
    load_specs,
    lossy_option,
    print_json,
    spec_argument,
)
from ftspec.errors import Problem

if TYPE_CHECKING:
    from ftspec.plan.pipeline import Link
    from ftspec.run.pipeline import Done
    from ftspec.spec.pipeline import Pipeline

SEVERAL = Problem(
    "a run on several machines is not started from one of them",
    path="hardware.nodes",
    hint="`ftspec compile`, then start launch.sh on each machine, with PET_NODE_RANK and "
    "PET_MASTER_ADDR set",
)


@click.command(epilog="Example: ftspec run specs/quickstart.yaml --backend trl")
@spec_argument
@click.option("--backend", help="Backend to run. Default: the first of the spec's list that can.")
@click.option(
    "--overwrite", is_flag=True, help="Replace the results of another spec in the folder."
)
@environment_options
@lossy_option
@json_option
def command(
    spec: Path,
    sets: tuple[str, ...],
    backend: str | None,
    overwrite: bool,
    environment: str | None,
    torch: str,
    python: Path | None,
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Compile SPEC and train it, in the backend's own environment, with progress.

    Works in the spec's output folder, one subfolder per backend. Ctrl-C stops every process of the
    run and leaves a folder that the same command starts anew.

    Of a spec with `stages`, runs each that is not complete, in order: after a failure or Ctrl-C the same
    command goes on at that stage. --overwrite replaces what is of another spec or was changed.
    """
    from ftspec.errors import RunError
    from ftspec.plan.choose import choose
    from ftspec.plan.places import require_folders
    from ftspec.report.live import Live
    from ftspec.run.execute import execute
    from ftspec.spec.pipeline import Pipeline

    loaded = load_specs(spec, sets, environment)
    if isinstance(loaded, Pipeline):
        _stages(loaded, backend, overwrite, torch, python, allow_lossy, as_json)
        return
    if loaded.spec.hardware.nodes > 1:
        raise RunError(SEVERAL)
    plan, why = choose(loaded, backend, allow_lossy)
    require_folders(plan)
    with Live(console(stderr=True), quiet=as_json) as live:
        live.say(f"{plan.backend} ({why}), in {plan.folder}")
        place = find_environment(plan.backend, plan.lock(), torch, python, live.say)
        result = execute(plan, place, live.event, overwrite)
    if as_json:
        last = result.progress
        print_json(
            {
                "backend": plan.backend,
                "folder": str(result.folder),
                "results": str(result.results),
                "files": {name: dict(facts) for name, facts in result.files.items()},
                "log": str(result.log),
                "seconds": round(result.seconds, 3),
                "loss": last.loss if last else None,
            }
        )
    else:
        click.echo(f"done in {result.seconds:.0f} s: {result.results}")


def _stages(
    pipeline: Pipeline,
    backend: str | None,
    overwrite: bool,
    torch: str,
    python: Path | None,
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Every stage that is not complete."""
    from ftspec.errors import RunError
    from ftspec.plan.pipeline import make_pipeline
    from ftspec.report.live import Live
    from ftspec.run.pipeline import run_links
    from ftspec.run.taken import results

    if any(step.loaded.spec.hardware.nodes > 1 for step in pipeline.steps):
        raise RunError(SEVERAL)
    links = make_pipeline(pipeline, backend, None, allow_lossy)
    backends = dict.fromkeys(link.plan.backend for link in links)
    if python is not None and len(backends) > 1:
        raise click.UsageError(f"--python does not fit: the stages run on {', '.join(backends)}")
    with Live(console(stderr=True), quiet=as_json) as live:
        # before anything is spent: what the last stage needs is installed as well
        places: dict[Any, Any] = {}
        for link in links:
            key = link.plan.backend, link.plan.lock()
            if key not in places:
                places[key] = find_environment(*key, torch, python, live.say)

        def place(link: Link) -> Any:
            live.say(f"{link.name}: {link.plan.backend} ({link.why}), in {link.plan.folder}")
            return places[link.plan.backend, link.plan.lock()]

        def tell(done: Done) -> None:
            if done.result is None:
                live.say(f"{done.link.name}: done before, {results(done.link.plan)}")

        every = run_links(links, place, live.event, overwrite, tell)
    if as_json:
        print_json({"stages": [_facts(done) for done in every]})
        return
    seconds = sum(done.result.seconds for done in every if done.result)
    click.echo(f"done in {seconds:.0f} s: {results(every[-1].link.plan)}")


def _facts(done: Done) -> dict[str, Any]:
    from ftspec.run.taken import noted, results

    plan, result = done.link.plan, done.result
    return {
        "name": done.link.name,
        "backend": plan.backend,
        "folder": str(plan.folder),
        "results": str(results(plan)),
        "files": noted(plan)["files"],
        "ran": result is not None,
        "seconds": round(result.seconds, 3) if result else 0.0,
        "loss": result.progress.loss if result and result.progress else None,
    }
