"""ftspec explain: what a config really does."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import json_option, print_json, source_options


@click.command(epilog="Example: ftspec explain qwen3_lora_sft.yaml")
@source_options
@json_option
def command(
    files: tuple[Path, ...],
    wanted: str | None,
    version: str | None,
    devices: int | None,
    as_json: bool,
) -> None:
    """Print every value that holds in FILES, a config of another tool or a spec, with its origin.

    An origin is the line that sets it, the default of that version of the framework, or what it
    follows from.
    """
    from ftspec.port.effective import meaning
    from ftspec.report.port import effects_as_json, explained
    from ftspec.spec.secrets import masked

    found = meaning(files, wanted, version, devices)
    if as_json:
        print_json(effects_as_json(found))
    else:
        click.echo(masked("\n".join(explained(found))))
