"""From series of numbers to the coordinates of a line chart; the template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 78, 18, 16, 44
WIDTHS = (13.0, 8.0, 4.4, 1.8, 1.2, 1.2)
"""Equal curves lie on top of each other; drawn thick to thin, every one of them stays visible."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A point of a curve, with what it stands for."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Curve:
    """One series, in drawing order."""

    name: str
    number: int
    """Which colour."""
    width: float
    path: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Chart:
    """A line chart, ready to be drawn."""

    key: str
    title: str
    description: str
    unit: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]
    limits: tuple[Tick, ...] = ()
    """Horizontal lines with a name: a tolerance."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


Series = Mapping[str, Sequence[tuple[int, float | None]]]
"""Name -> (step, value); None and what is not finite leave a gap."""


def chart(
    key: str,
    title: str,
    description: str,
    series: Series,
    *,
    unit: str = "",
    log: bool = False,
    limits: Mapping[str, float] | None = None,
    wide: bool = False,
) -> Chart:
    """A chart of values by step. On a log scale a zero stands on a line of its own, at the foot."""
    width = 2 * WIDTH if wide else WIDTH
    steps = sorted({step for points in series.values() for step, _ in points})
    shown = [
        v for points in series.values() for _, v in points if v is not None and math.isfinite(v)
    ]
    bounds = dict(limits or {})
    low, high, ticks = (_log_axis if log else _linear_axis)(
        [*shown, *(bounds.values() if log else ())]
    )

    def x(step: int) -> float:
        span = (steps[-1] - steps[0]) or 1
        return round(
            LEFT + (width - LEFT - RIGHT) * ((step - steps[0]) / span if len(steps) > 1 else 0.5), 2
        )

    def y(value: float) -> float:
        if log:
            value = low if value <= 0 else max(low, math.log10(value))
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low), 2)

    curves = []
    for number, (name, points) in enumerate(series.items()):
        marks, path, drawing = [], "", False
        for step, value in points:
            if value is None or not math.isfinite(value):
                drawing = False
                continue
            mark = Mark(x(step), y(value), f"{name}, step {step}: {value!r}")
            path += f"{'L' if drawing else 'M'}{mark.x} {mark.y}"
            drawing = True
            marks.append(mark)
        stroke = WIDTHS[min(number, len(WIDTHS) - 1)]
        curves.append(Curve(name, number, stroke, path, tuple(marks)))
    every = max(1, math.ceil(len(steps) / 12))
    return Chart(
        key=key,
        title=title,
        description=description,
        unit=unit,
        x_ticks=tuple(Tick(x(step), str(step)) for step in steps[::every]),
        y_ticks=tuple(Tick(y(value), label) for value, label in ticks),
        curves=tuple(curves),
        limits=tuple(Tick(y(value), name) for name, value in bounds.items()),
        width=width,
        right=width - RIGHT,
    )


def _linear_axis(values: Sequence[float]) -> tuple[float, float, list[tuple[float, str]]]:
    """About five round numbers that enclose the values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    start, end = math.floor(low / step), math.ceil(high / step)
    digits = max(0, -math.floor(math.log10(step)) + (step / power == 2.5))
    ticks = [(n * step, f"{n * step:.{digits}f}") for n in range(start, end + 1)]
    return start * step, end * step, ticks


def _log_axis(values: Sequence[float]) -> tuple[float, float, list[tuple[float, str]]]:
    """Powers of ten, and below them one line for zero."""
    powers = [math.log10(value) for value in values if value > 0] or [-8.0, -5.0]
    low, high = math.floor(min(powers)) - 1, math.ceil(max(powers))
    every = max(1, math.ceil((high - low) / 6))
    ticks = [(0.0, "identical")] + [(10.0**p, f"1e{p}") for p in range(high, low, -every)]
    return float(low), float(max(high, low + 2)), ticks
