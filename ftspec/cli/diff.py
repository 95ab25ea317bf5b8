"""ftspec diff: whether two configs mean the same."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ftspec.cli.shared import PATH, json_option, print_json


@click.command(epilog="Example: ftspec diff llama_factory.yaml trl_recipe.yaml")
@click.argument("one", type=PATH)
@click.argument("other", type=PATH)
@click.option("--devices", type=click.IntRange(min=1), help="Devices that both run on.")
@json_option
def command(one: Path, other: Path, devices: int | None, as_json: bool) -> None:
    """Say whether ONE and OTHER mean the same training: specs or configs of any tool.

    Compared is what holds, defaults included, not what is written. Exits with 1 where they differ in
    what is trained, where a setting that no spec can say stands in one of them alone, where one leaves
    something open, or where nothing that both tell can be compared.
    """
    from ftspec.port.compare import compare
    from ftspec.port.documents import told_together
    from ftspec.port.effective import meaning
    from ftspec.port.unsaid import unsaid
    from ftspec.report.port import differences_as_json, same, told
    from ftspec.spec.secrets import masked

    left, right = told_together(lambda path: meaning([path], devices=devices), (one, other))
    found, rest = compare(left, right), unsaid(left, right)
    if as_json:
        print_json(differences_as_json(left, right, found, rest))
    else:
        click.echo(masked("\n".join(told(left, right, found, rest))))
    sys.exit(0 if same(left, right, found, rest) else 1)
