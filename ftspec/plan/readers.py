"""Who reads the rows of a spec, and by which rule: what a preview needs to know of backends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftspec.backend import Backend
from ftspec.data.hold_out import Draw
from ftspec.data.template import Template
from ftspec.data.text_side import text_side
from ftspec.data.tokenise import ENDLESS
from ftspec.data.tokenizer import Tokens
from ftspec.data.turns import turns_of
from ftspec.data.view import Checked, Prepared, Rule, Unknown
from ftspec.errors import Problem, UnsupportedError
from ftspec.plan.batch import steps_per_epoch
from ftspec.plan.data_stages import draw_of, split_sources, vocabulary_of
from ftspec.plan.make import make_plan
from ftspec.plan.stages import Plan
from ftspec.plan.values import Resolved, Value
from ftspec.registry import load
from ftspec.spec.data import Source
from ftspec.spec.load import Loaded

UNDERSTOOD = frozenset(
    f"data.{name}"
    for name in (
        *(
            "train",
            "eval",
            "eval_size",
            "eval_draw",
            "mixed",
            "draw_seed",
            "prompt_cut",
            "split_rows",
            "min_length",
            "distinct",
            "drop_system",
            "system",
            "max_length",
            "overflow",
            "train_on",
            "turn_part",
            "turn_ends",
            "turn_flag",
            "prepare",
        ),
        *("packing", "shuffle", "group_by_length"),
    )
)
"""Paths whose effect on rows the rules know. A spec that sets another one is not guessed at."""


@dataclass(frozen=True)
class Group:
    """Backends that see every row alike."""

    backends: tuple[str, ...]
    rule: Rule
    notes: tuple[str, ...] = ()
    """What they express only nearly: they run with --allow-lossy."""


@dataclass(frozen=True)
class Readers:
    """The backends that were asked about: seen, unknown, or unable to run the spec."""

    resolved: Resolved
    tokens: Tokens
    template: Template | None
    groups: tuple[Group, ...]
    unknown: dict[str, Unknown] = field(default_factory=dict)
    refused: dict[str, tuple[Problem, ...]] = field(default_factory=dict)

    def sources(self, split: str) -> tuple[Source, ...]:
        """A split's sources, their formats recognised."""
        return split_sources(self.resolved, split)

    def draw(self, split: str) -> Draw:
        """Which of their rows, and in which order."""
        return draw_of(self.resolved, split)

    @property
    def folder(self) -> Path:
        """Where the sources' paths start."""
        return self.resolved.folder

    def steps(self, rows: int) -> tuple[int, int]:
        """Optimizer steps of one pass over so many rows, and of the whole run."""
        values = self.resolved.flat()
        # batches of trainers that draw in groups count completions
        group = values.get("method.objective.generation.completions", 1)
        once = steps_per_epoch(
            rows * group,
            values["train.micro_batch_size"],
            values["derived.replicas"],
            values["derived.accumulation_steps"],
        )
        if values["train.steps"] is not None:
            return once, values["train.steps"]
        return once, math.ceil(values["train.epochs"] * once)


def readers(loaded: Loaded, names: Sequence[str]) -> Readers:
    """Plan the spec for each backend and find out how it reads rows. Nothing is run.

    Raises:
        UnsupportedError: none of them can run the spec.
        SpecError, DataError: it is not complete, or there is no tokenizer.
    """
    plans: dict[str, Plan] = {}
    refused: dict[str, tuple[Problem, ...]] = {}
    for name in names:
        try:
            plans[name] = make_plan(loaded, name, allow_lossy=True)
        except UnsupportedError as error:
            refused[name] = error.problems
    if not plans:
        raise UnsupportedError([problem for found in refused.values() for problem in found])
    resolved = next(iter(plans.values())).resolved
    spec = loaded.spec
    with loaded.placing():
        tokens, template = text_side(
            *resolved.read_from,
            spec.model.chat_template,
            resolved.folder,
            spec.model.template_options,
            resolved.values["data.train_on"].value,
            vocabulary_of(resolved),
        )
    found: dict[str, Rule] = {}
    unknown: dict[str, Unknown] = {}
    for name, plan in plans.items():
        rule = _rule(load(name), plan, tokens, template)
        if isinstance(rule, Unknown):
            unknown[name] = rule
        else:
            found[name] = rule
    return Readers(resolved, tokens, template, _grouped(found, plans), unknown, refused)


def _rule(
    backend: Backend, plan: Plan, tokens: Tokens, template: Template | None
) -> Rule | Unknown:
    values = plan.resolved.values
    for path, value in values.items():
        if path.startswith("data.") and path not in UNDERSTOOD and value.value is not None:
            reason = f"the preview does not show what {path}: {value.value} does to rows"
            return Unknown(reason, f"to see them without it: --set {path}=null")
    by_ftspec = values["data.prepare"].value == "ftspec"
    if hidden := _hidden(values, by_ftspec):
        return Unknown(f"the preview does not show {hidden}")
    prepared = Prepared(
        tokens,
        template,
        values["data.train_on"].value,
        ENDLESS if values["data.max_length"].value is None else values["data.max_length"].value,
        values["data.overflow"].value,
        values["data.packing"].value,
        values["data.system"].value,
        any((source["template"] or {}).get("prompt") for source in values["data.train"].value),
        turns_of(
            values["data.turn_part"].value,
            values["data.turn_ends"].value,
            tokens,
            template,
            values["data.turn_flag"].value,
        ),
    )
    if by_ftspec:
        return prepared
    rule = backend.rows(plan.native, tokens, template)
    if prepared.overflow == "error" and not isinstance(rule, Unknown):
        return Checked(rule, prepared)
    return rule


def _hidden(values: Mapping[str, Value], by_ftspec: bool) -> str:
    """What a spec does to rows that the rules do not show, in words; empty where they show all of it."""
    if by_ftspec and values["data.overflow"].value == "truncate-turns":
        return "rows that ftspec cuts turn by turn"
    if values["data.overflow"].value in ("truncate-left", "split"):
        return "rows without their beginning"
    left_out = (
        name for name in ("min_length", "distinct", "drop_system") if values[f"data.{name}"].value
    )
    return next((f"what data.{name} leaves out" for name in left_out), "")


def _grouped(rules: dict[str, Rule], plans: dict[str, Plan]) -> tuple[Group, ...]:
    """Backends by their rule, in the order in which they were named."""
    groups: list[Group] = []
    for name, rule in rules.items():
        notes = tuple(f"{note.path}: {note.reason}" for note in plans[name].notes)
        for at, group in enumerate(groups):
            if group.rule == rule and group.notes == notes:
                groups[at] = Group((*group.backends, name), rule, notes)
                break
        else:
            groups.append(Group((name,), rule, notes))
    return tuple(groups)
