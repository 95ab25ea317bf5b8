"""Numbers of a preview for people: one column for each way to read the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftspec.data.statistics import Statistics, Survey, histogram
from ftspec.plan.readers import Readers
from ftspec.report.preview import Preview, share, warnings
from ftspec.report.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

BAR = 40
"""Characters of the longest bar."""


def print_readers(readers: Readers, console: Console) -> None:
    """Who reads the rows how, who cannot, and of whom it is not known."""
    from rich.text import Text  # noqa: PLC0415 - start-up stays fast

    for group in readers.groups:
        reads, long = group.rule.describe()
        console.print(Text.assemble((", ".join(group.backends), "cyan"), f": {reads}; {long}"))
    for name, unknown in readers.unknown.items():
        told = Text.assemble((name, "cyan"), (": not known: ", "yellow"), visible(unknown.reason))
        console.print(told.append(f" ({unknown.hint})" if unknown.hint else ""))
    for name, problems in readers.refused.items():
        first = visible(problems[0].message)
        console.print(Text.assemble((name, "cyan"), (": cannot run this spec: ", "yellow"), first))


def print_numbers(preview: Preview, console: Console) -> None:
    """The table, the lengths, the warnings."""
    from rich.text import Text  # noqa: PLC0415

    survey, readers = preview.survey, preview.readers
    if survey is not None:
        console.print()
        if not preview.complete:
            told = f"interrupted: these numbers are of the first {survey.rows:,} rows"
            console.print(Text(told, style="bold red"))
        console.print(_table(preview, survey, console))
        drawn: list[tuple[list[str], list[tuple[int, int, int]]]] = []
        for group, statistics in zip(readers.groups, survey.statistics, strict=True):
            bars = histogram(statistics.lengths)
            if bars and bars not in [other for _, other in drawn]:
                drawn.append((list(group.backends), bars))
        for names, bars in drawn:
            whose = f", {', '.join(names)}" if len(drawn) > 1 else ""
            console.print()
            console.print(Text(f"tokens of a row, before any cut{whose}", style="bold"))
            console.print(Text(_bars(bars, console)))
    for text in warnings(preview):
        console.print(Text.assemble(("warning", "bold yellow"), f": {visible(text)}"))


def _table(preview: Preview, survey: Survey, console: Console) -> object:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    readers = preview.readers
    style = box.SIMPLE_HEAD if _fancy(console) else box.ASCII
    table = Table(box=style, pad_edge=False, title_justify="left")
    table.add_column(f"{preview.split} rows: {survey.rows + preview.found.count:,}")
    columns: list[tuple[list[str], dict[str, str]]] = []
    for group, statistics in zip(readers.groups, survey.statistics, strict=True):
        column = _column(statistics, readers)
        for names, other in columns:
            if other == column:
                names.extend(group.backends)
                break
        else:
            columns.append((list(group.backends), column))
    for names, _ in columns:
        table.add_column(Text("\n".join(names)), justify="right")
    for name in columns[0][1] if columns else ():
        table.add_row(name, *(column.get(name, "-") for _, column in columns))
    return table


def _column(statistics: Statistics, readers: Readers) -> dict[str, str]:
    left_out = sum(named.count for named in statistics.left_out.values())
    spots = statistics.percentiles()
    once, steps = readers.steps(statistics.batched)
    passes = f"{steps / once:.3g}"
    return {
        "trained on": f"{statistics.kept:,}",
        **_answers(statistics),
        "stop the run": f"{statistics.refused.count:,}",
        "left out": f"{left_out:,}",
        "nothing to train on": f"{statistics.untrained.count:,}",
        "cut": f"{statistics.cut.count:,}",
        "tokens lost by cuts": f"{statistics.lost:,}",
        "length: half of the rows up to": f"{spots.get(50, 0):,}",
        "90 % up to": f"{spots.get(90, 0):,}",
        "99 % up to": f"{spots.get(99, 0):,}",
        "longest": f"{statistics.longest:,}",
        "tokens per epoch": f"{statistics.tokens:,}",
        "of them trained": f"{statistics.counted:,}",
        "share of trained tokens": share(statistics.counted, statistics.tokens),
        **_packed(statistics),
        "optimizer steps per epoch": f"{once:,}",
        "steps of the run": f"{steps:,}",
        "epochs of the run": passes,
        "trained tokens per step": f"{statistics.counted / once:,.0f}",
    }


def _answers(statistics: Statistics) -> dict[str, str]:
    """What is counted of pairs, and of answers with a label."""
    found = {}
    if statistics.pairs:
        found["chosen answer is the longer one"] = share(statistics.longer, statistics.pairs)
    if statistics.judged:
        good, bad = statistics.judged[True], statistics.judged[False]
        found["good and bad answers"] = f"{good:,} and {bad:,}"
    return found


def _packed(statistics: Statistics) -> dict[str, str]:
    """How many rows of batches they make, and how full these are."""
    if statistics.packed is None:
        return {}
    room = statistics.packed.packs.size * statistics.batched
    return {
        "packed into rows": f"{statistics.batched:,}",
        "of their room filled": share(statistics.tokens, room),
    }


def _bars(bars: list[tuple[int, int, int]], console: Console) -> str:
    sign = "█" if _fancy(console) else "#"
    most = max(rows for *_, rows in bars)
    width = len(f"{bars[-1][1]:,}")
    lines = []
    for low, high, rows in bars:
        length = -(-rows * BAR // most)  # a bar for every range that has rows
        lines.append(
            f"{low:>{width},} to {high:>{width},}  {sign * length}{' ' if rows else ''}{rows:,}"
        )
    return "\n".join(lines)


def _fancy(console: Console) -> bool:
    return bool(console.is_terminal) and "utf" in console.encoding.lower()
