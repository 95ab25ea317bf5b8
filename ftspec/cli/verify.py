"""ftspec verify: prove that several backends train the same thing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ftspec.cli.shared import (
    PATH,
    backend_names,
    console,
    environment_options,
    json_option,
    left_out,
    lossy_option,
    print_json,
    spec_argument,
    stage_option,
    telling_configs_apart,
)


def _enough(_context: click.Context, _option: click.Parameter, seeds: int) -> int:
    if 1 < seeds < 8:
        raise click.BadParameter("of fewer than 8 seeds a test can find nothing: 8 or more, or 1")
    return seeds


@click.command(epilog="Example: ftspec verify specs/quickstart.yaml --steps 6")
@spec_argument
@click.option(
    "--steps", type=click.IntRange(min=2), help="Train so many steps. Default: as the spec says."
)
@click.option(
    "--backends", help="Backends to compare, with commas. Default: all that can express the spec."
)
@click.option(
    "--reference",
    default="trl",
    show_default=True,
    help="Backend that the others are held against.",
)
@click.option(
    "-o",
    "--output",
    type=PATH,
    help="Folder of the proof. Default: verify/ in the output folder.",
)
@stage_option
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Runs side by side. Default: what memory allows."
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 16),
    callback=_enough,
    default=8,
    show_default=True,
    help="Where backends draw other completions: compare distributions over so many seeds, 8 to 16. "
    "1: only the spec's own.",
)
@environment_options
@lossy_option
@json_option
def command(
    spec: Path,
    sets: tuple[str, ...],
    steps: int | None,
    backends: str | None,
    reference: str,
    output: Path | None,
    stage: str | None,
    jobs: int | None,
    seeds: int,
    environment: str | None,
    torch: str,
    python: Path | None,
    allow_lossy: bool,
    as_json: bool,
) -> None:
    """Compile SPEC to several backends, train each, and compare them from data order to final weights.

    Prints the proof, and writes it as JSON and as one HTML page. Exits with 0 if all are equal, with
    1 if one differs, is incomplete or failed.
    """
    from ftspec.emit.disk import write_atomic
    from ftspec.report.console import print_certificate
    from ftspec.report.html import page
    from ftspec.report.live import Live
    from ftspec.run.progress import Tracker
    from ftspec.verify.certificate import to_json
    from ftspec.verify.prove import CERTIFICATE, PAGE, effective, prove

    if python is not None:
        raise click.UsageError("a proof needs one environment per backend: --python does not fit")
    names = backend_names(backends or "all")
    sets = (*sets, *((f"run.environment={environment}",) if environment else ()))
    with telling_configs_apart(spec):
        loaded, folder = effective(spec, sets, steps, output, stage)
    with Live(console(stderr=True), quiet=as_json) as live:
        trackers: dict[str, Tracker] = {}

        def on_line(name: str, line: str) -> None:
            train = loaded.spec.train
            tracker = trackers.setdefault(name, Tracker(train.steps, train.logging_steps))
            progress = tracker.read(line)
            if progress is not None:
                live.progress(name, progress)

        proof = prove(
            loaded,
            names,
            folder,
            reference=reference,
            torch=torch,
            allow_lossy=allow_lossy,
            jobs=jobs,
            seeds=seeds,
            say=live.say,
            on_line=on_line,
        )
    certificate = proof.certificate
    write_atomic(folder / PAGE, page(certificate).encode())
    if as_json:
        import json

        print_json(
            {
                "verdict": certificate.verdict,
                "certificate": json.loads(to_json(certificate)),
                "refused": {name: error.as_json() for name, error in proof.refused.items()},
                "files": [str(folder / CERTIFICATE), str(folder / PAGE)],
            }
        )
    else:
        print_certificate(certificate, console())
        for name, error in proof.refused.items():
            brief = backends is None and name not in loaded.spec.run.backends
            what = "not compared, it cannot express this spec"
            click.echo("\n".join(left_out(name, what, error, brief, spec)))
        click.echo(f"\n{folder / CERTIFICATE}\n{folder / PAGE}")
    sys.exit(certificate.exit_code)
