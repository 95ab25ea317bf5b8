"""A certificate as one HTML page: no network, no script, every word escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ftspec.report.chart import Chart, chart
from ftspec.verify.certificate import Certificate, RunRecord, SeedsRecord, StepRecord
from ftspec.verify.compare import relative
from ftspec.verify.seeds import spread

WORDS = {
    "reference": "the reference",
    "equal": "proven equal",
    "alike": "alike over seeds",
    "differs": "not equal",
    "incomplete": "not proven",
    "failed": "failed",
}
NOTHING = "-"
SIGNS = {"equal": "✓", "within": "✓", "differs": "✗", "not-compared": "?", "random": "~"}


def page(certificate: Certificate) -> str:
    """The whole page."""
    import jinja2  # noqa: PLC0415 - start-up stays fast

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (number, brief, distance, tolerance)
    environment.filters |= {function.__name__: function for function in filters}
    source = files("ftspec.report").joinpath("templates", "certificate.html")
    return environment.from_string(source.read_text(encoding="utf-8")).render(facts(certificate))


def facts(certificate: Certificate) -> dict[str, Any]:
    """What the template shows."""
    reference = certificate.runs[certificate.reference]
    others = {n: run for n, run in certificate.runs.items() if n != certificate.reference}
    packages = sorted({name for run in certificate.runs.values() for name in run.versions})
    steps = sorted({step.step for run in certificate.runs.values() for step in run.steps})
    return {
        "certificate": certificate,
        "reference": reference,
        "others": others,
        "summary": summary(certificate),
        "words": WORDS,
        "signs": SIGNS,
        "checks": next((run.checks for run in others.values() if run.checks), ()),
        "failures": {n: run for n, run in others.items() if run.error or run.first_failure()},
        "charts": charts(certificate),
        "packages": packages,
        "steps": steps,
        "by_step": {n: {s.step: s for s in run.steps} for n, run in certificate.runs.items()},
        "furthest": {n: furthest(reference, run) for n, run in others.items()},
        "command": command(certificate),
        "samples": {run.title: run.samples for run in certificate.runs.values() if run.samples},
        "drawn": drawn(certificate),
        "seeded": {run.title: run.seeds for run in others.values() if run.seeds},
        "spread": spread,
    }


def drawn(certificate: Certificate) -> list[str]:
    """What was compared of completions, which are random, in a sentence for each run."""
    said = []
    for run in certificate.runs.values():
        found = {check.name: check for check in run.checks}
        if "completions" not in found:
            continue
        if found["completions"].passed:
            said.append(
                f"{run.title}: {found['completions'].note}, the same token by token: all that follows "
                "from them was compared as exactly as in a run without chance."
            )
        elif run.seeds:
            said.append(over_seeds(run, run.seeds))
        else:
            said.append(
                f"{run.title}: {found['completions'].note}. What follows from them was not compared; "
                "prompts, their order, what trains, first weights, optimizer and rates were compared "
                f"exactly, lengths and rewards as two samples ({found['draws'].note})."
            )
    return said


def over_seeds(run: RunRecord, found: SeedsRecord) -> str:
    """What was compared exactly and what as distributions, and what that can tell."""
    seeds, p = found.seeds, found.p
    verb = "No difference was" if p > found.level else "A difference was"
    return (
        f"{run.title} draws other completions than the reference, so both were run with the {len(seeds)} "
        f"seeds {seeds[0]} to {seeds[-1]}. Compared exactly, or within their tolerance, under each seed: "
        f"{_list(list(found.exact))}. Compared as distributions: "
        f"{_list([each.name for each in found.quantities])}. Not compared: single tokens, and the losses and "
        f"weights that follow from them. {verb} found at level {found.level:g} (p = {p:.3g}; "
        f"{found.test}). A difference that is small beside those between seeds is not found by this."
    )


def summary(certificate: Certificate) -> str:
    """The result in a sentence."""
    others = [run for name, run in certificate.runs.items() if name != certificate.reference]
    against = certificate.runs[certificate.reference].title
    named = [run.title for run in others if run.conclusion == certificate.verdict]
    if certificate.verdict == "equal":
        checks = len(others[0].checks)
        verb = "was" if len(named) == 1 else "were"
        return (
            f"{_list(named)} {verb} proven to train the same thing as {against}: "
            f"all {checks} checks passed, from the order of the data to the final weights."
        )
    if certificate.verdict == "alike":
        seeds = max(len(run.seeds.seeds) for run in others if run.seeds)
        return (
            f"{_list(named)} and {against} are the same in all that is not random, under each of {seeds} "
            "seeds; between the distributions of what they draw at random no difference was found."
        )
    if certificate.verdict == "differs":
        first = [(run.title, run.first_failure()) for run in others if run.conclusion == "differs"]
        where = [f"{title} parts at “{check.name}”" for title, check in first if check]
        return f"Not the same as {against}: {_list(where)}."
    if certificate.verdict == "failed":
        failed = [run.title for run in certificate.runs.values() if run.conclusion == "failed"]
        return f"No proof: {_list(failed)} did not finish."
    return f"No difference from {against} was found, but not everything could be compared."


def charts(certificate: Certificate) -> tuple[Chart, ...]:
    """Losses and gradient norms laid over each other, and how far the losses are apart."""
    runs = {run.title: run for run in certificate.runs.values()}
    reference = certificate.runs[certificate.reference]
    titles = _list(list(runs))
    others = {title: run for title, run in runs.items() if run is not reference}
    limits = [c.tolerance for r in others.values() for c in r.checks if c.name == "trajectory"]
    against = reference.title
    return (
        chart(
            "loss",
            "Loss",
            f"Training loss per step of {titles}; equal curves lie on top of each other.",
            _series(runs, "loss"),
            wide=True,
        ),
        chart(
            "gap",
            f"Distance of the loss from {against}",
            f"|loss - loss of {against}|, relative, on a logarithmic scale.",
            _gaps(reference, others),
            log=True,
            limits={"tolerance": max(limits)} if limits else {},
        ),
        chart(
            "norm",
            "Gradient norm",
            f"Norm of the gradient per step of {titles}.",
            _series(runs, "grad_norm"),
        ),
    )


def furthest(reference: RunRecord, run: RunRecord) -> float | None:
    """The largest relative distance between two losses of one step."""
    known = {step.step: step.loss for step in reference.steps}
    apart = [relative(known[s.step], s.loss) for s in run.steps if s.step in known]
    return max(apart, default=None)


def command(certificate: Certificate) -> str:
    """What makes this certificate again."""
    names = ",".join(certificate.runs)
    steps = max((len(run.steps) for run in certificate.runs.values()), default=0)
    options = f"--backends {names} --reference {certificate.reference} --steps {steps}"
    seeded = [run.seeds for run in certificate.runs.values() if run.seeds]
    seeds = f" --seeds {len(seeded[0].seeds)}" if seeded else ""
    return f"ftspec verify {certificate.spec_name}.yaml {options}{seeds}"


def number(value: float | None) -> str:
    """Every digit."""
    return NOTHING if value is None else repr(value)


def brief(value: float) -> str:
    """Nine digits, one more than float32 keeps."""
    return f"{value:.9g}"


def distance(value: float | None) -> str:
    """Two digits; 0 is what it is."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "not finite"
    return "0" if value == 0 else f"{value:.1e}"


def tolerance(value: float) -> str:
    """A tolerance as a person writes it."""
    return f"{value:g}" if value else "exact"


def _series(runs: Mapping[str, RunRecord], name: str) -> dict[str, list[tuple[int, float | None]]]:
    def points(steps: tuple[StepRecord, ...]) -> list[tuple[int, float | None]]:
        return [(step.step, getattr(step, name)) for step in steps]

    return {title: points(run.steps) for title, run in runs.items()}


def _gaps(
    reference: RunRecord, others: Mapping[str, RunRecord]
) -> dict[str, list[tuple[int, float | None]]]:
    known = {step.step: step.loss for step in reference.steps}
    # The reference has no curve here, but the others keep their colours.
    found: dict[str, list[tuple[int, float | None]]] = {reference.title: []}
    for title, run in others.items():
        found[title] = [
            (s.step, relative(known[s.step], s.loss)) for s in run.steps if s.step in known
        ]
    return found


def _list(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
