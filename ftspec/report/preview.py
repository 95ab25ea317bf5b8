"""A preview of a split as data, and what it warns of. How it looks: preview_rows.py, preview_numbers.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ftspec.data.findings import Findings
from ftspec.data.preview import Looked
from ftspec.data.statistics import Named, Statistics, Survey, histogram, percentiles
from ftspec.data.view import View
from ftspec.errors import DataError, Problem
from ftspec.plan.readers import Group, Readers

UNEVEN = 0.9
"""Share of pairs beyond which one length of the chosen answer is worth a word."""
MOST = 99
"""Per cent of the rows that the length in a hint would keep whole."""


@dataclass(frozen=True)
class Preview:
    """What there is to show."""

    readers: Readers
    split: str
    shown: Sequence[Looked]
    survey: Survey | None
    """None if nothing was to be counted."""
    found: Findings
    """Rows that are nothing to anybody."""
    complete: bool = True
    """Whether all rows were read."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why no backend can train on these rows; empty if at least one can."""
        if self.found.count:
            return tuple(self.found.told())
        if self.survey is None or not self.readers.groups:
            return ()
        if all(statistics.refused.count for statistics in self.survey.statistics):
            return tuple(self.survey.statistics[0].problems.told())
        return ()


@dataclass(frozen=True)
class Side:
    """How some backends see a row."""

    backends: tuple[str, ...]
    view: View | DataError


def sides(looked: Looked, groups: Sequence[Group]) -> list[Side]:
    """The different views of a row, and who has each."""
    found: dict[Any, Side] = {}
    for group, view in zip(groups, looked.views, strict=True):
        key: Any = str(view)
        if isinstance(view, View):
            seen = tuple((tuple(one.input_ids), tuple(one.trained)) for one in view.sides)
            key = (seen, view.left_out, view.refused)
        before = found[key].backends if key in found else ()
        found[key] = Side((*before, *group.backends), found[key].view if before else view)
    return list(found.values())


def first_difference(one: View, other: View) -> int | None:
    """The first token that is another, or trained in one view only; None if there is none."""
    pairs = [list(zip(view.input_ids, view.trained, strict=True)) for view in (one, other)]
    for at, (left, right) in enumerate(zip(*pairs, strict=False)):
        if left != right:
            return at
    lengths = [len(pair) for pair in pairs]
    return None if lengths[0] == lengths[1] else min(lengths)


def warnings(preview: Preview) -> list[str]:
    """What should be known before the run, each with the rows in question."""
    readers, survey = preview.readers, preview.survey
    said = []
    if readers.template is not None and readers.template.dated:
        said.append("the chat template prints the date: the tokens are others every day")
    weight = readers.resolved.flat().get("method.objective.prompt_weight")
    if weight:
        said.append(
            f"method.objective.prompt_weight: a token not marked as trained counts {weight:g}"
        )
    for group in readers.groups:
        said += [f"{', '.join(group.backends)}: {note} (--allow-lossy)" for note in group.notes]
    if survey is None:
        return said
    if survey.repeats.found.count:
        said.append(f"rows that repeat an earlier one exactly: {_named(survey.repeats.found)}")
    several = len(readers.groups) > 1
    found: dict[str, list[str]] = {}
    for group, statistics in zip(readers.groups, survey.statistics, strict=True):
        for text in _of_one(statistics, readers):
            found.setdefault(text, []).extend(group.backends)
    everybody = [name for group in readers.groups for name in group.backends]
    for text, names in found.items():
        said.append(f"{', '.join(names)}: {text}" if several and names != everybody else text)
    return said


def _of_one(statistics: Statistics, readers: Readers) -> Iterator[str]:
    spec, total = readers.resolved.spec, sum(statistics.lengths.values())
    if statistics.refused.count:
        reason = statistics.problems.shown[0].message
        yield f"rows that stop the run: {_named(statistics.refused)}; the first because {reason}"
    for reason, named in statistics.left_out.items():
        yield f"rows left out, {reason}: {_named(named)}"
    if statistics.cut.count:
        lost = statistics.lost / (statistics.tokens + statistics.lost)
        enough = percentiles(statistics.lengths, (MOST,))[MOST]
        yield (
            f"rows cut to data.max_length {spec.data.max_length:,}: {_named(statistics.cut)}; "
            f"{share(statistics.cut.count, total)} of the rows, and {lost:.1%} of their tokens are "
            f"lost; {enough:,} would keep {MOST} % of the rows whole"
        )
    if statistics.untrained.count:
        yield f"rows with nothing to train on: {_named(statistics.untrained)}"
    for note, named in statistics.notes.items():
        yield f"{note}: {_named(named)}"
    yield from _of_answers(statistics)
    if statistics.kept > statistics.open and not statistics.ended:
        yield "no row trains a special token: where an answer ends is perhaps not learned"
    if 0 < statistics.batched < spec.train.batch_size:
        yield f"{statistics.batched} rows are less than one batch of {spec.train.batch_size}"


def _of_answers(statistics: Statistics) -> Iterator[str]:
    """What only rows with two answers have, and those with a label."""
    if statistics.same.count:
        yield f"pairs of two equal answers, from which nothing is learned: {_named(statistics.same)}"
    if (
        statistics.pairs
        and max(statistics.longer, statistics.pairs - statistics.longer) > UNEVEN * statistics.pairs
    ):
        which = "longer" if statistics.longer > statistics.pairs / 2 else "no longer"
        part = max(statistics.longer, statistics.pairs - statistics.longer)
        yield (
            f"the chosen answer is {which} than the other one in {share(part, statistics.pairs)} of the "
            "pairs: length alone tells them apart"
        )
    if len(statistics.judged) == 1:
        (label,) = statistics.judged
        yield f"all answers are {'good' if label else 'bad'}: of KTO's two losses one is never trained"


def share(part: int, whole: int) -> str:
    """A part in per cent."""
    return f"{part / whole:.1%}" if whole else "-"


def _named(named: Named) -> str:
    more = named.count - len(named.first)
    rest = f" and {more:,} more" if more else ""
    return f"{named.count:,} ({', '.join(named.first)}{rest})"


def as_json(preview: Preview) -> dict[str, Any]:
    """The same as data: ids, texts and labels of the rows by backend, all numbers, all warnings."""
    readers, survey = preview.readers, preview.survey
    document: dict[str, Any] = {
        "spec": readers.resolved.name,
        "split": preview.split,
        "complete": preview.complete,
        "readers": [
            {
                "backends": group.backends,
                "reads": group.rule.describe()[0],
                "too_long": group.rule.describe()[1],
                "lossy": group.notes,
            }
            for group in readers.groups
        ],
        "unknown": {name: asdict(unknown) for name, unknown in readers.unknown.items()},
        "refused": {
            name: [asdict(problem) for problem in problems]
            for name, problems in readers.refused.items()
        },
        "rows": [_row(looked, readers.groups) for looked in preview.shown],
        "warnings": warnings(preview),
        "problems": [asdict(problem) for problem in preview.problems],
    }
    if survey is not None:
        document["statistics"] = {
            "rows": survey.rows + preview.found.count,
            "repeats": asdict(survey.repeats.found),
            "readers": [
                {"backends": group.backends, **_numbers(statistics, readers)}
                for group, statistics in zip(readers.groups, survey.statistics, strict=True)
            ],
        }
    return document


def _row(looked: Looked, groups: Sequence[Group]) -> dict[str, Any]:
    return {
        "row": looked.number,
        "file": looked.row.file,
        "line": looked.row.line,
        "views": [_side(side) for side in sides(looked, groups)],
    }


def _side(side: Side) -> dict[str, Any]:
    view = side.view
    if isinstance(view, DataError):
        problems = [asdict(problem) for problem in view.problems]
        return {"backends": side.backends, "problems": problems}
    return {
        "backends": side.backends,
        "problems": [asdict(problem) for problem in view.refused],
        "left_out": view.left_out,
        "note": view.note,
        **({} if view.good is None else {"label": view.good}),
        **_tokens(view),
        **({"rejected": _tokens(view.rejected)} if view.rejected else {}),
    }


def _tokens(view: View) -> dict[str, Any]:
    pieces = view.pieces()
    return {
        "text": "".join(pieces),
        "length": view.length,
        "input_ids": view.input_ids,
        "labels": view.labels,
        "trained": view.trained,
        "tokens": pieces,
        "vocabulary": view.words(),
    }


def _counted(statistics: Statistics) -> dict[str, Any]:
    """What only rows with two answers have, and those with a label."""
    found: dict[str, Any] = {}
    if statistics.pairs:
        found["pairs"] = {"chosen_longer": statistics.longer, "same": asdict(statistics.same)}
    if statistics.judged:
        found["labels"] = {"good": statistics.judged[True], "bad": statistics.judged[False]}
    return found


def _numbers(statistics: Statistics, readers: Readers) -> dict[str, Any]:
    steps = readers.steps(statistics.batched)
    return {
        "kept": statistics.kept,
        "refused": asdict(statistics.refused),
        "left_out": {reason: asdict(named) for reason, named in statistics.left_out.items()},
        "untrained": asdict(statistics.untrained),
        **_counted(statistics),
        "cut": {**asdict(statistics.cut), "tokens_lost": statistics.lost},
        "tokens_per_epoch": statistics.tokens,
        "trained_tokens_per_epoch": statistics.counted,
        "packed_rows": statistics.batched if statistics.packed else None,
        "steps_per_epoch": steps[0],
        "steps": steps[1],
        "percentiles": {str(at): length for at, length in statistics.percentiles().items()},
        "longest": statistics.longest,
        "histogram": [
            {"from": low, "to": high, "rows": rows}
            for low, high, rows in histogram(statistics.lengths)
        ],
    }
