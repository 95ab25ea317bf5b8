"""ftspec plan: what a run would do."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import (
    console,
    json_option,
    load_specs,
    lossy_option,
    print_json,
    spec_argument,
)


@click.command(epilog="Example: ftspec plan specs/quickstart.yaml --backend trl")
@spec_argument
@click.option(
    "--backend", help="Backend to plan for. Default: the first of the spec's list that can."
)
@lossy_option
@json_option
def command(
    spec: Path, sets: tuple[str, ...], backend: str | None, allow_lossy: bool, as_json: bool
) -> None:
    """Show the stages that `run` would walk, every derived number, and where each value came from.

    Of a spec with `stages`, all that of each of them, and of the merges between them.
    """
    from ftspec.plan.choose import choose
    from ftspec.report.plan import plan_as_json, print_plan
    from ftspec.spec.pipeline import Pipeline

    loaded = load_specs(spec, sets)
    if isinstance(loaded, Pipeline):
        from ftspec.plan.pipeline import make_pipeline
        from ftspec.report.pipeline import links_as_json, print_links

        links = make_pipeline(loaded, backend, None, allow_lossy)
        if as_json:
            print_json({"digest": loaded.digest, "stages": links_as_json(links)})
        else:
            print_links(links, console())
        return
    plan, why = choose(loaded, backend, allow_lossy)
    if as_json:
        print_json({**plan_as_json(plan), "chosen_because": why})
    else:
        print_plan(plan, why, console())
