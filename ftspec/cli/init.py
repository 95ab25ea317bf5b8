"""ftspec init: write a commented starter spec."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import PATH, json_option, print_json
from ftspec.emit.disk import write_atomic
from ftspec.errors import OutputError, Problem
from ftspec.spec.present import is_folder, is_there


@click.command(epilog="Example: ftspec init chat.ftspec.yaml")
@click.argument("file", type=PATH, default=Path("ftspec.yaml"))
@click.option(
    "--method",
    type=click.Choice(["lora", "full"]),
    default="lora",
    show_default=True,
    help="LoRA on one device, or full tuning on eight.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@json_option
def command(file: Path, method: str, force: bool, as_json: bool) -> None:
    """Write a commented starter spec to FILE, and the JSON Schema beside it for the editor."""
    from ftspec.spec.schema import schema_text
    from ftspec.spec.starter import SCHEMA_FILE, starter

    if is_folder(file):
        raise OutputError(
            Problem(f"{file} is a folder", hint=f"name a file: {file / 'ftspec.yaml'}")
        )
    if is_there(file) and not force:
        raise OutputError(Problem(f"{file} is there already", hint="--force overwrites it"))
    schema = file.parent / SCHEMA_FILE
    write_atomic(file, starter(method, file=file.name).encode())
    write_atomic(schema, schema_text().encode())
    if as_json:
        print_json({"spec": str(file), "schema": str(schema)})
    else:
        click.echo(f"wrote {file} and {schema}\nnext: edit it, then `ftspec plan {file}`")
