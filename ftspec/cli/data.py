"""ftspec data: the rows of a spec, as they will be trained on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftspec.cli.shared import (
    backend_names,
    console,
    describe,
    json_option,
    load_stage,
    print_json,
    spec_argument,
    stage_option,
)

if TYPE_CHECKING:
    from ftspec.data.findings import Findings
    from ftspec.data.preview import Looked
    from ftspec.data.statistics import Survey
    from ftspec.plan.readers import Readers


@dataclass(frozen=True)
class Chosen:
    """Rows to show, by their numbers from 0 on."""

    spans: tuple[range, ...] = ()
    by_name: bool = False
    """Whether they were named, and not just counted: then each has to be there."""

    def __contains__(self, number: int) -> bool:
        return any(number in span for span in self.spans)

    @property
    def last(self) -> int:
        """The last of them; -1 if there is none."""
        return max((span[-1] for span in self.spans if span), default=-1)


class Rows(click.ParamType):  # type: ignore[type-arg]
    """`3`: the first three rows. `0,5,17`: these. `17,`: this one. `5-8`: from one to another."""

    name = "rows"

    def convert(self, value: Any, param: Any, ctx: Any) -> Chosen:
        """The rows that a word on the command line means."""
        if isinstance(value, Chosen):
            return value
        try:
            if value.isdecimal():
                return Chosen((range(int(value)),))
            parts = [part.partition("-") for part in value.split(",") if part]
            found = tuple(range(int(low), int(high or low) + 1) for low, _, high in parts)
        except ValueError:
            found = ()
        if not all(found) or not found:
            self.fail(
                f"{value!r} is neither a count (3) nor row numbers (0,5,17 or 5-8)", param, ctx
            )
        return Chosen(found, by_name=True)


@click.group(epilog="Example: ftspec data preview specs/quickstart.yaml")
def command() -> None:
    """Look at the rows of a spec as they will be trained on."""


@command.command(
    "preview", epilog="Example: ftspec data preview specs/quickstart.yaml --backend all --rows 2"
)
@spec_argument
@click.option(
    "--backend",
    help="A backend's name, several with commas, or all. Default: those of run.backends.",
)
@click.option(
    "--rows",
    type=Rows(),
    default="3",
    show_default=True,
    help="A count of first rows, or row numbers from 0 on: 0,5,17 or 5-8 or 17,",
)
@click.option("--split", type=click.Choice(["train", "eval"]), default="train", show_default=True)
@click.option("--stats-only", is_flag=True, help="Count, and show no rows.")
@click.option("--no-stats", is_flag=True, help="Show rows, and read no further than the last.")
@click.option("--full", is_flag=True, help="Show all tokens of long rows.")
@stage_option
@json_option
def preview(
    spec: Path,
    sets: tuple[str, ...],
    backend: str | None,
    rows: Chosen,
    split: str,
    stats_only: bool,
    no_stats: bool,
    full: bool,
    stage: str | None,
    as_json: bool,
) -> None:
    """Show what each backend will see of the rows of SPEC: text, tokens, which are trained on; count
    lengths, cuts, repeats and steps over all rows; and warn before the run, not after it.

    No framework is needed, and nothing is written. Exits with 3 if no backend can train on the rows.
    """
    if stats_only and no_stats:
        raise click.UsageError("--stats-only and --no-stats leave nothing to show")
    from ftspec.data.statistics import survey
    from ftspec.errors import DataError, Problem
    from ftspec.plan.readers import readers
    from ftspec.report.preview import Preview
    from ftspec.report.preview import as_json as preview_as_json
    from ftspec.report.preview_numbers import print_numbers, print_readers
    from ftspec.report.preview_rows import print_rows
    from ftspec.spec.home import at_home
    from ftspec.spec.present import is_file

    loaded = load_stage(spec, sets, stage)
    asked = readers(loaded, backend_names(backend or ",".join(loaded.spec.run.backends)))
    if not asked.sources(split):
        hint = "give data.eval or data.eval_size, or leave --split out"
        raise DataError(loaded.problem("data", "there are no rows to evaluate on", hint))
    written = loaded.handed is not None and loaded.handed.written and split == "train"
    if written and not is_file(asked.folder / at_home(str(asked.sources(split)[0].path))):
        hint = "`ftspec run` has them written when it gets there"
        raise DataError(
            Problem(
                "no teacher has written these rows yet", path="write", file=str(spec), hint=hint
            )
        )
    counted = None if no_stats else survey([group.rule for group in asked.groups], asked.tokens)
    chosen = Chosen() if stats_only else rows
    shown, found, complete = _read(asked, split, chosen, counted)
    result = Preview(asked, split, shown, counted, found, complete)
    if as_json:
        print_json(preview_as_json(result))
    else:
        out = console()
        print_readers(asked, out)
        print_rows(shown, asked.groups, out, full)
        print_numbers(result, out)
        for problem in result.problems:
            click.echo(describe(problem, DataError.code), err=True)
    if not complete:
        raise KeyboardInterrupt
    sys.exit(DataError.exit_code if result.problems else 0)


def _read(
    asked: Readers, split: str, chosen: Chosen, counted: Survey | None
) -> tuple[list[Looked], Findings, bool]:
    """The chosen rows, what is wrong with others, and whether all were read: an interrupt ends it.

    Without anything to count, reading ends with the last chosen row.
    """
    from ftspec.data.findings import Findings
    from ftspec.data.preview import expected_rows, look

    found, shown, last = Findings(), [], -1
    sources = asked.sources(split)
    rules = [group.rule for group in asked.groups]
    total = expected_rows(sources, asked.folder)
    try:
        views = look(sources, asked.folder, asked.tokens, rules, found, asked.draw(split))
        with asked.resolved.loaded.placing():
            for looked in _told(views, total):
                last = looked.number
                if last in chosen:
                    shown.append(looked)
                if counted is not None:
                    counted.add(looked)
                elif last >= chosen.last:
                    break
    except KeyboardInterrupt:
        return shown, found, False
    if chosen.by_name and chosen.last > last and not found.count:
        message = f"there are {last + 1:,} rows, with numbers from 0 to {last:,}"
        raise click.BadParameter(message, param_hint="--rows")
    return shown, found, True


def _told(rows: Iterable[Looked], total: int | None) -> Iterator[Looked]:
    """The same rows, with a progress bar on stderr where that is a terminal."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield from rows
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        yield from bar.track(rows, total=total, description="rows")
