"""ftspec compile: write native files."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import (
    backend_names,
    describe,
    json_option,
    load_spec,
    lossy_option,
    print_json,
    spec_argument,
)


@click.command(epilog="Example: ftspec compile specs/quickstart.yaml --backend all -o build")
@spec_argument
@click.option(
    "--backend",
    default="all",
    show_default=True,
    help="A backend's name, several with commas, or all.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write."
)
@click.option("--overwrite", is_flag=True, help="Replace files that were changed by hand.")
@lossy_option
@json_option
def command(
    spec: Path,
    sets: tuple[str, ...],
    backend: str,
    output: Path,
    overwrite: bool,
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Write the native files of SPEC: they are yours, and run without ftspec.

    One backend is written to the folder itself, several to a subfolder each. With `all`, a backend
    that cannot express the spec is named and left out; if none can, that is an error.
    """
    from ftspec.errors import UnsupportedError
    from ftspec.plan.make import make_plan
    from ftspec.plan.write import write_plans

    loaded = load_spec(spec, sets)
    chosen = backend_names(backend)
    plans, refused = [], {}
    for name in chosen:
        try:
            plans.append(
                make_plan(loaded, name, output if len(chosen) == 1 else output / name, allow_lossy)
            )
        except UnsupportedError as error:
            if backend != "all":
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
        print_json({"written": written, "refused": {n: e.as_json() for n, e in refused.items()}})
        return
    for plan in plans:
        click.echo(f"{plan.backend}: {plan.folder}")
        for path in written[plan.backend]:
            click.echo(f"  {path}")
        for note in plan.notes:
            click.echo(f"  nearly: {note.path}: {note.reason}")
    for name, refusal in refused.items():
        click.echo(f"{name}: left out", err=True)
        for problem in refusal.problems:
            click.echo(f"  {describe(problem, refusal.code)}".replace("\n", "\n  "), err=True)
