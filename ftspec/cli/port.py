"""ftspec port: the config of one tool as the files of another."""

from __future__ import annotations

from pathlib import Path

import click

from ftspec.cli.shared import (
    PATH,
    json_option,
    lossy_option,
    of_this_machine,
    print_json,
    set_option,
    source_options,
    tell,
)


@click.command(epilog="Example: ftspec port qwen3_lora_sft.yaml --to trl -o build")
@source_options
@click.option("--to", "backend", required=True, metavar="BACKEND", help="Framework to write for.")
@click.option("-o", "--output", type=PATH, required=True, help="Folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace files that were changed by hand.")
@set_option
@lossy_option
@json_option
def command(
    files: tuple[Path, ...],
    wanted: str | None,
    version: str | None,
    devices: int | None,
    backend: str,
    output: Path,
    overwrite: bool,
    sets: tuple[str, ...],
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Write FILES, a config of another tool, as the native files of BACKEND.

    Paths in it start at the current folder. What would be lost or only nearly the same stops it,
    unless --allow-lossy accepts that; what the source leaves open stops it until --set says it; what a
    shell alone knows is decided in an imported spec. --set changes the spec that stands between the two.
    """
    from ftspec.port.carry import carry
    from ftspec.report.port import as_json as to_json
    from ftspec.report.port import lines
    from ftspec.spec.secrets import masked

    carried = carry(files, backend, output, wanted, version, devices, allow_lossy, sets, overwrite)
    written = [str(path) for path in carried.written]
    here = of_this_machine([carried.plan])
    if as_json:
        told = to_json(carried.imported)
        print_json({"written": written, **told, "notes": [*told["notes"], *here]})
        return
    click.echo(masked("\n".join(lines(carried.imported))), err=True)
    click.echo(f"{backend}: {output}")
    for path in written:
        click.echo(f"  {path}")
    tell(here)
