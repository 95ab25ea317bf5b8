"""A certificate on the terminal: a row per check, a column per backend, then what went wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ftspec.report.html import drawn
from ftspec.verify.certificate import Certificate, CheckRecord, RunRecord

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MARKS = {
    "equal": ("✓", "ok", "green", "identical"),
    "within": ("✓", "ok", "green", "within tolerance"),
    "differs": ("✗", "NO", "red", "differs"),
    "not-compared": ("?", "?", "yellow", "not compared"),
    "random": ("~", "~", "cyan", "random"),
}
"""Verdict -> sign, sign in plain ASCII, colour, word."""
VERDICTS = {
    "equal": ("PROVEN EQUAL", "green"),
    "alike": ("EQUAL where nothing is random, ALIKE over seeds where it is", "green"),
    "differs": ("NOT EQUAL", "red"),
    "incomplete": ("NOT PROVEN: something could not be compared", "yellow"),
    "failed": ("NOT PROVEN: a run failed", "red"),
}
MOST = 24
"""Rows of the loss table; the certificate and the page have all."""
PLAIN = str.maketrans({"…": "...", "⏎": "\\n"})


def print_certificate(certificate: Certificate, console: Console) -> None:
    """The proof, the losses, what went wrong, and the verdict."""
    from rich.text import Text  # noqa: PLC0415 - start-up stays fast

    console.print(proof_table(certificate, console))
    console.print()
    console.print(loss_table(certificate, console))
    for name, run in certificate.runs.items():
        if explanation := explain(certificate, name, run):
            console.print()
            console.print(_framed(explanation, f"{run.title}", console))
    for sentence in drawn(certificate):
        console.print()
        console.print(Text(sentence if _fancy(console) else _ascii(sentence, console)))
    console.print()
    console.print(Text.assemble(*conclusion(certificate)))


def conclusion(certificate: Certificate) -> tuple[tuple[str, str], str]:
    """The verdict with its style, and which backends it speaks of."""
    words, colour = VERDICTS[certificate.verdict]
    against = certificate.runs[certificate.reference].title
    named = [
        run.title
        for name, run in certificate.runs.items()
        if name != certificate.reference and run.conclusion == certificate.verdict
    ]
    return (words, f"bold {colour}"), f": {', '.join(named) or against} against {against}"


def proof_table(certificate: Certificate, console: Console) -> Table:
    """Checks down, backends across."""
    from rich.text import Text  # noqa: PLC0415

    compared = {n: run for n, run in certificate.runs.items() if n != certificate.reference}
    against = certificate.runs[certificate.reference].title
    table = _table(console, title=f"{certificate.spec_name}: compared with {against}")
    table.add_column("check")
    table.add_column("tolerance")
    for run in compared.values():
        table.add_column(Text(run.title), overflow="fold")
    first = next((run.checks for run in compared.values() if run.checks), ())
    for index, check in enumerate(first):
        cells = []
        for run in compared.values():
            record = run.checks[index] if index < len(run.checks) else None
            cells.append(_cell(record, run.first_failure(), console))
        table.add_row(check.name, f"{check.tolerance:g}" if check.tolerance else "exact", *cells)
    return table


def loss_table(certificate: Certificate, console: Console) -> Table:
    """The loss of every step in every backend, with all digits; of many, the first and last."""
    from rich.text import Text  # noqa: PLC0415

    table = _table(console, title="loss per step")
    table.add_column("step", justify="right")
    reference = {step.step: step.loss for step in certificate.runs[certificate.reference].steps}
    losses = [{s.step: s.loss for s in run.steps} for run in certificate.runs.values()]
    for run in certificate.runs.values():
        table.add_column(Text(run.title), justify="right", overflow="fold")
    steps = sorted({step for column in losses for step in column})
    for number in steps if len(steps) <= MOST else (*steps[: MOST - 5], None, *steps[-4:]):
        if number is None:
            table.add_row(*("..." for _ in range(len(losses) + 1)))
            continue
        cells = []
        for column in losses:
            value, right = column.get(number), reference.get(number)
            style = "" if value == right else "dim" if _near(value, right) else "red"
            cells.append(Text("-" if value is None else f"{value!r}", style=style))
        table.add_row(str(number), *cells)
    return table


def explain(certificate: Certificate, name: str, run: RunRecord) -> list[tuple[str, str]]:
    """Label and text of all that is known about what went wrong; empty if nothing did."""
    against = certificate.runs[certificate.reference].title
    lines: list[tuple[str, str]] = []
    if run.error:
        lines.append(("the run failed", run.error))
    found = None if name == certificate.reference else run.first_failure()
    if found is None:
        return lines
    verb = "differs first in" if found.verdict == "differs" else "could not compare"
    lines.append((verb, found.name))
    lines.extend((label, text) for label, text in (("where", found.where),) if text)
    if found.verdict == "differs":
        lines += [(against, found.reference), (run.title, found.other)]
    if found.context and (found.reference, found.other) != found.context:
        around = dict.fromkeys(found.context)
        lines += [("text", text) for text in around]
    if found.measured is not None:
        lines.append(("apart by", f"{distance(found.measured)}, allowed {found.tolerance:g}"))
    lines += [(label, text) for label, text in (("note", found.note),) if text]
    if found.cause:
        lines += [("likely cause", found.cause), ("read", found.link)]
    later = [c.name for c in run.checks if not c.passed and c is not found]
    if later:
        lines.append(("also", ", ".join(later)))
    return lines


def distance(measured: float) -> str:
    """A distance in two digits."""
    return f"{measured:.1e}" if math.isfinite(measured) else "not finite"


def _cell(check: CheckRecord | None, first: CheckRecord | None, console: Console) -> Any:
    from rich.text import Text  # noqa: PLC0415

    if check is None:
        return Text("-", style="dim")
    sign, ascii_sign, colour, word = MARKS[check.verdict]
    mark = sign if _fancy(console) else ascii_sign
    measured = "" if check.measured is None else distance(check.measured)
    told = (measured if check.verdict in ("within", "differs") else "") or word
    style = f"bold reverse {colour}" if first is not None and check is first else colour
    return Text(f"{mark} {told}".strip(), style=style)


def _framed(lines: list[tuple[str, str]], title: str, console: Console) -> Any:
    from rich import box  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in lines:
        grid.add_row(Text(label), Text(text if _fancy(console) else _ascii(text, console)))
    style = box.ROUNDED if _fancy(console) else box.ASCII
    return Panel(grid, title=Text(title), title_align="left", border_style="red", box=style)


def _table(console: Console, title: str) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    style = box.SIMPLE_HEAD if _fancy(console) else box.ASCII
    return Table(title=Text(title, style="bold"), title_justify="left", box=style, pad_edge=False)


def _fancy(console: Console) -> bool:
    """Whether the output can show more than ASCII: a terminal, and one that says so."""
    return bool(console.is_terminal) and "utf" in console.encoding.lower()


def _ascii(text: str, console: Console) -> str:
    """Our own signs in ASCII; a person's data only where the output cannot show it."""
    plain = text.translate(PLAIN)
    return plain if "utf" in console.encoding.lower() else ascii(plain)[1:-1]


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return math.isclose(one, other, rel_tol=1e-5)
