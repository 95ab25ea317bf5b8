"""ftspec matrix: which backend can do what."""

from __future__ import annotations

import click

from ftspec.cli.shared import console, json_option, print_json


@click.command(epilog="Example: ftspec matrix --markdown > docs/matrix.md")
@click.option("--markdown", is_flag=True, help="Print the page of the documentation.")
@json_option
def command(markdown: bool, as_json: bool) -> None:
    """Show, for each value a spec may hold, what each backend makes of it: full, lossy, or no."""
    from ftspec.report.matrix import matrix
    from ftspec.report.matrix_page import as_json as to_json
    from ftspec.report.matrix_page import page, print_matrix

    lines = matrix()
    if as_json:
        print_json(to_json(lines))
    elif markdown:
        click.echo(page(lines), nl=False)
    else:
        print_matrix(lines, console())
