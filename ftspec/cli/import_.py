"""ftspec import: a spec from the files of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import PATH, json_option, print_json, source_options, tell
from ftspec.spec.present import is_there


@click.command("import", epilog="Example: ftspec import qwen3_lora_sft.yaml -o qwen3.yaml")
@source_options
@click.option("--strict", is_flag=True, help="Fail if anything is lost, nearly right or left open.")
@click.option("-o", "--output", type=PATH, help="Spec to write.")
@click.option("--overwrite", is_flag=True, help="Replace the spec if it is there.")
@click.option("--all", "everything", is_flag=True, help="Tell what became of every setting.")
@json_option
def command(
    files: tuple[Path, ...],
    wanted: str | None,
    version: str | None,
    devices: int | None,
    strict: bool,
    output: Path | None,
    overwrite: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Read FILES, a config of another tool and the files that belong to it, into a spec.

    The spec goes to stdout, or to -o; what became of each setting is told on stderr. A default of the
    source that ftspec does not share is written into the spec. Nothing is executed.
    """
    from ftspec.emit.disk import write_atomic
    from ftspec.errors import OutputError, Problem, UnsupportedError
    from ftspec.port.bring import bring
    from ftspec.port.elsewhere import elsewhere
    from ftspec.report.port import as_json as to_json
    from ftspec.report.port import lines
    from ftspec.spec.secrets import masked

    imported = bring(files, wanted, version, devices)
    if output is not None and is_there(output) and not overwrite:
        raise OutputError(Problem(f"{output} is there already", hint="--overwrite replaces it"))
    strayed = [] if output is None else elsewhere(imported, output.parent)
    lossy = strict and not imported.faithful
    if as_json and not lossy:  # which is an object of its own
        told = to_json(imported)
        print_json({**told, "notes": [*told["notes"], *strayed]})
    elif output is None and not as_json:
        click.echo(imported.composed.text, nl=False)
    if not as_json:
        click.echo(masked("\n".join(lines(imported, everything))), err=True)
        tell(strayed)
    if lossy:
        raise UnsupportedError(
            [
                Problem(
                    f"{fate.setting.key}: {fate.why or fate.kind}",
                    file=fate.setting.source,
                    line=fate.setting.line,
                )
                for fate in imported.fates
                if not fate.faithful
            ]
            + [Problem(question, file=str(files[0])) for question in imported.composed.open]
        )
    if output is not None:
        for name, text in imported.files.items():
            write_atomic(output.parent / name, text.encode())
        write_atomic(output, imported.composed.text.encode())
