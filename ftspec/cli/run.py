"""ftspec run: compile and train."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import (
    console,
    environment_options,
    find_environment,
    json_option,
    load_spec,
    lossy_option,
    print_json,
    spec_argument,
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
    """
    from ftspec.errors import Problem, RunError
    from ftspec.plan.choose import choose
    from ftspec.report.live import Live
    from ftspec.run.execute import execute

    loaded = load_spec(spec, sets, environment)
    if loaded.spec.hardware.nodes > 1:
        raise RunError(
            Problem(
                "a run on several machines is not started from one of them",
                path="hardware.nodes",
                hint="`ftspec compile`, then start launch.sh on each machine, with PET_NODE_RANK and "
                "PET_MASTER_ADDR set",
            )
        )
    plan, why = choose(loaded, backend, allow_lossy)
    with Live(console(stderr=True), quiet=as_json) as live:
        live.say(f"{plan.backend} ({why}), in {plan.folder}")
        place = find_environment(plan.backend, loaded.spec.run.environment, torch, python, live.say)
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
