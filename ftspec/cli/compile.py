"""ftspec compile: write native files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftspec.cli.shared import (
    PATH,
    backend_names,
    json_option,
    left_out,
    load_specs,
    lossy_option,
    of_this_machine,
    print_json,
    spec_argument,
    tell,
)

if TYPE_CHECKING:
    from ftspec.spec.pipeline import Pipeline


@click.command(epilog="Example: ftspec compile specs/quickstart.yaml --backend all -o build")
@spec_argument
@click.option(
    "--backend",
    help="A backend's name, several with commas, or all. Default: all; of a spec with stages, each "
    "stage's own choice.",
)
@click.option("-o", "--output", type=PATH, required=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace files that were changed by hand.")
@lossy_option
@json_option
def command(
    spec: Path,
    sets: tuple[str, ...],
    backend: str | None,
    output: Path,
    overwrite: bool,
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Write the native files of SPEC: they are yours, and run without ftspec.

    One backend is written to the folder itself, several to a subfolder each. With `all`, a backend
    that cannot express the spec is named and left out; if none can, that is an error.

    Of a spec with `stages`, each is written to a folder of its own, and run.sh starts them in order.
    """
    from ftspec.errors import UnsupportedError
    from ftspec.plan.make import make_plan
    from ftspec.plan.write import write_plans
    from ftspec.spec.pipeline import Pipeline

    loaded = load_specs(spec, sets)
    if isinstance(loaded, Pipeline):
        _stages(loaded, backend, output, overwrite, allow_lossy, as_json)
        return
    chosen = backend_names(backend or "all")
    plans, refused = [], {}
    for name in chosen:
        try:
            plans.append(
                make_plan(loaded, name, output if len(chosen) == 1 else output / name, allow_lossy)
            )
        except UnsupportedError as error:
            if backend not in (None, "all"):
                raise
            refused[name] = error
    if not plans:
        raise UnsupportedError(
            [problem for error in refused.values() for problem in error.problems]
        )
    written = {
        name: [str(path) for path in paths] for name, paths in write_plans(plans, overwrite).items()
    }
    if as_json:
        notes = of_this_machine(plans)
        refusals = {name: error.as_json() for name, error in refused.items()}
        print_json({"written": written, "refused": refusals, "notes": notes})
        return
    for plan in plans:
        click.echo(f"{plan.backend}: {plan.folder}")
        for path in written[plan.backend]:
            click.echo(f"  {path}")
        for note in plan.notes:
            click.echo(f"  nearly: {note.path}: {note.reason}")
    tell(of_this_machine(plans))
    for name, refusal in refused.items():
        brief = backend is None and name not in loaded.spec.run.backends
        click.echo("\n".join(left_out(name, "left out", refusal, brief, spec)), err=True)


def _stages(
    pipeline: Pipeline,
    backend: str | None,
    output: Path,
    overwrite: bool,
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Each stage by the backend that would run it."""
    from ftspec.plan.pipeline import make_pipeline
    from ftspec.plan.pipeline_files import write_pipeline

    if backend == "all" or "," in (backend or ""):
        raise click.UsageError("a stage is written for one backend: --backend names one, or none")
    links = make_pipeline(pipeline, backend, output, allow_lossy)
    written = {
        name: [str(path) for path in paths]
        for name, paths in write_pipeline(pipeline, links, output, overwrite).items()
    }
    if as_json:
        print_json({"written": written, "notes": of_this_machine(link.plan for link in links)})
        return
    for link in links:
        click.echo(f"{link.name}: {link.plan.backend}, {link.plan.folder}")
        for path in written[link.name]:
            click.echo(f"  {path}")
        for note in link.plan.notes:
            click.echo(f"  nearly: {note.path}: {note.reason}")
    click.echo("\n".join(written[""]))
    tell(of_this_machine(link.plan for link in links))
