"""ftspec schema: write the JSON Schema of a spec."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import PATH, json_option, print_json


@click.command(epilog="Example: ftspec schema -o schemas/ftspec.v1.json")
@click.option("-o", "--output", type=PATH, help="File to write instead of stdout.")
@json_option
def command(output: Path | None, as_json: bool) -> None:
    """Print the JSON Schema (2020-12) that editors complete and check specs with."""
    from ftspec.emit.disk import write_atomic
    from ftspec.spec.schema import schema_text

    if output is None:
        click.echo(schema_text(), nl=False)
        return
    write_atomic(output, schema_text().encode())
    if as_json:
        print_json({"schema": str(output)})
    else:
        click.echo(f"wrote {output}")
