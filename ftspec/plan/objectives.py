"""What an objective asks of the rows: which formats, which tokens count and how much, what shares a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.plan.values import Value
from ftspec.spec.data import FORMATS, PAIRS, SHARED, UNPAIRED
from ftspec.spec.energy import ENERGY
from ftspec.spec.online import ONLINE
from ftspec.spec.preference import PREFERENCES
from ftspec.spec.root import Spec

SPOKEN = ("sft", "cpt", "gkd", *ENERGY)
"""Objectives that learn from texts as they are, good ones."""


def decide_objective(spec: Spec, values: Mapping[str, Value], decide: Any) -> None:
    """The tokens that train, once the formats of the rows are known.

    Raises:
        SpecError: the rows, the weights of tokens or the packing do not go with the objective.
    """
    if (
        spec.method.objective.type == "reward"
        and spec.data.max_length
        and (values["data.overflow"].origin == "default")
    ):
        decide("data.overflow", "drop", "a score is of a whole answer")
    shuffle = values["data.shuffle"]
    if getattr(spec.method.objective, "loss", "") == "kto" and shuffle.origin == "default":
        decide("data.shuffle", False, "kto measures a batch beside the answers of its other rows")
    if spec.method.objective.type in (*ONLINE, "ebft"):
        _groups(spec)
    if spec.method.objective.type in ONLINE and values["data.overflow"].origin == "default":
        decide("data.overflow", "drop", "the end of a prompt is the question")
    if spec.method.objective.type == "gkd" and values["data.overflow"].origin == "default":
        decide("data.overflow", "drop", "trl's distillation cuts the beginning of a long row")
    _formats(values)
    _templates(spec)
    _loss(spec, values, decide)
    _average(values, decide)
    _packing(spec)
    _train_on(values, decide)
    _turns(spec)


def _formats(values: Mapping[str, Value]) -> None:
    """Each objective has formats of its own: plain text, demonstrations, preferences."""
    sources = [*values["data.train"].value, *values["data.eval"].value]
    formats = {source["format"] for source in sources}
    text = values["method.objective.type"].value == "cpt"
    if text and formats != {"text"}:
        others = ", ".join(sorted(formats - {"text"}))
        raise SpecError(
            Problem(
                f"continued pre-training takes plain text, and these rows are {others}",
                path="data.train",
                hint="method.objective: sft; or `format: text` and the column's name in `columns`",
            )
        )
    objective = values["method.objective.type"].value
    if objective not in ONLINE and "prompt" in formats:
        raise SpecError(
            Problem(
                "these rows are prompts alone, without answers to learn from",
                path="data.train",
                hint="method.objective: grpo or rloo, with rewards; or name the answers in `columns`",
            )
        )
    if objective in SPOKEN and (pairs := sorted(formats & {*PAIRS})):
        raise SpecError(
            Problem(
                f"these rows are pairs of a chosen and a rejected answer ({', '.join(pairs)})",
                path="method.objective",
                hint="method.objective: dpo",
            )
        )
    if objective in SPOKEN and (judged := sorted(formats & {*UNPAIRED})):
        raise SpecError(
            Problem(
                f"these rows are answers with a label ({', '.join(judged)}), of which some are bad",
                path="method.objective",
                hint="method.objective: kto",
            )
        )
    if objective not in ("sft", "cpt") and (unfit := sorted(formats - {*FORMATS[objective]})):
        raise SpecError(
            Problem(
                f"{objective} learns from {_learned(objective)}, and these rows are {', '.join(unfit)}",
                path="data.train",
                hint=f"rows are one of {', '.join(FORMATS[objective])}",
            )
        )
    if not text and "text" in formats - {*FORMATS[objective]}:
        raise SpecError(
            Problem(
                "plain text holds no answers to learn from",
                path="method.objective",
                hint="method.objective: cpt (continued pre-training)",
            )
        )


def _templates(spec: Spec) -> None:
    """A prompt and a completion that a template writes have no turns."""
    found = [source.template for source in (*spec.data.train, *spec.data.eval) if source.template]
    if spec.data.system is not None and not all(template.talks for template in found):
        message = "rows that a template writes have no turns, and no system prompt"
        hint = "write it into data.train.template.prompt"
        raise SpecError(Problem(message, path="data.system", hint=hint))


def _learned(objective: str) -> str:
    if objective in ONLINE:
        return "its own completions of prompts"
    others = {
        "kto": "answers with a label",
        **dict.fromkeys(("gkd", "ebft"), "conversations"),
        "ebft-strided": "plain texts, or prompts with an answer",
    }
    return others.get(objective, "preferences")


def _groups(spec: Spec) -> None:
    """A batch counts completions, and holds whole groups of them."""
    objective: Any = spec.method.objective
    size, batch = getattr(objective.generation, "completions", 1), spec.train.batch_size
    if batch % size:
        below = f"{batch // size * size} or " if batch > size else ""
        fitting = [str(n) for n in range(2, min(batch, 64) + 1) if batch % n == 0]
        hint = f"a train.batch_size of {below}{(batch // size + 1) * size} would do"
        if fitting:
            hint += f", or generation.completions of {', '.join(fitting)}"
        message = f"a batch of {batch} completions cannot be made of whole groups of {size}"
        raise SpecError(Problem(message, path="train.batch_size", hint=hint))


def _loss(spec: Spec, values: Mapping[str, Value], decide: Any) -> None:
    """Weights of tokens: two kinds of them at once have no meaning that frameworks agree on."""
    objective = spec.method.objective
    if objective.type != "sft":
        return
    weight = objective.prompt_weight
    if weight == 1 and spec.data.turn_flag is not None:
        message = "`prompt_weight: 1` trains all tokens, and `turn_flag` not all turns"
        raise SpecError(Problem(message, path="data.turn_flag", hint="keep one"))
    if weight == 1:
        decide("data.train_on", "all", "method.objective.prompt_weight: 1")
        decide("data.turn_part", "written", "method.objective.prompt_weight: 1")
        decide("method.objective.prompt_weight", 0.0, "data.train_on: all says it")
    reasons = {
        f"`prompt_weight` weighs tokens, and so does the loss `{objective.loss}`": objective.loss
        != "nll",
        "each turn says whether it trains: `data.turn_flag`": spec.data.turn_flag is not None,
        "all tokens count in full already: `data.train_on: all`": spec.data.train_on == "all"
        and spec.data.turn_part == "written",
    }
    for reason, holds in reasons.items():
        if holds and 0 < weight < 1:
            raise SpecError(Problem(reason, path="method.objective.prompt_weight", hint="keep one"))
    if spec.train.label_smoothing and (objective.loss != "nll" or 0 < weight < 1):
        raise SpecError(
            Problem(
                "smoothing belongs to the plain loss: frameworks ignore it, without a word, in others",
                path="train.label_smoothing",
                hint="train.label_smoothing: 0",
            )
        )


def _average(values: Mapping[str, Value], decide: Any) -> None:
    """One pass for a step has one mean."""
    average = values.get("method.objective.average")
    passes = values["derived.accumulation_steps"].value * values["derived.replicas"].value
    if average is not None and average.value == "batches" and passes == 1:
        decide("method.objective.average", "tokens", "one forward pass for a step: the same")
    summed = values.get("method.objective.sum_passes")
    if summed is not None and summed.value and values["derived.accumulation_steps"].value == 1:
        decide("method.objective.sum_passes", False, "one forward pass for a step: the same")


def _packing(spec: Spec) -> None:
    """What several documents in one row exclude."""
    packing, data, objective = spec.data.packing, spec.data, spec.method.objective
    if packing == "blocks" and objective.type != "cpt":
        message = "blocks are cut anywhere, and a conversation in two has lost its question"
        raise SpecError(Problem(message, path="data.packing", hint="data.packing: documents"))
    if packing == "blocks" and data.overflow != "truncate":
        message = "blocks leave nothing out: a long document fills several"
        raise SpecError(Problem(message, path="data.overflow", hint="leave data.overflow out"))
    if packing in SHARED and getattr(objective, "prompt_weight", 0) not in (0, 1):
        message = "weights of prompts are not in this version of ftspec for packed rows"
        hint = "data.packing: null, or method.objective.prompt_weight: 0"
        raise SpecError(Problem(message, path="data.packing", hint=hint))
    if packing in SHARED and (loss := getattr(objective, "loss", "")) in ("eaft", "asft"):
        message = f"the loss `{loss}` is not in this version of ftspec for packed rows"
        hint = "data.packing: null, or method.objective.loss: nll"
        raise SpecError(Problem(message, path="data.packing", hint=hint))


def _turns(spec: Spec) -> None:
    """Which part of a turn counts is a question of demonstrations."""
    if spec.data.turn_part != "written" and spec.method.objective.type not in ("sft", "cpt"):
        message = "which tokens of a turn count can be chosen of demonstrations alone"
        raise SpecError(Problem(message, path="data.turn_part", hint="leave it out"))


def _train_on(values: Mapping[str, Value], decide: Any) -> None:
    """Where a format has one answer, or none, `train_on` can only mean one thing."""
    if values["method.objective.type"].value == "cpt":
        decide("data.train_on", "all", "plain text has no turns")
        return
    if values["method.objective.type"].value in ("gkd", *ENERGY):
        if (asked := values["data.train_on"]).origin == "spec" and asked.value != "completions":
            message = "the last answer is learned, and only that"
            raise SpecError(Problem(message, path="data.train_on", hint="leave it out"))
        decide("data.train_on", "completions", "the last answer is learned")
        return
    if values["method.objective.type"].value in (*PREFERENCES, *ONLINE):
        if (asked := values["data.train_on"]).origin == "spec" and asked.value == "all":
            message = "what is learned are answers: tokens of prompts cannot count"
            raise SpecError(Problem(message, path="data.train_on", hint="leave it out"))
        decide("data.train_on", "completions", "answers are learned")
        return
    if values["data.prepare"].value == "ftspec":
        return  # it looks at each row
    sources = values["data.train"].value
    alone = all(
        one["format"] in ("alpaca", "prompt-completion") or one["template"] for one in sources
    )
    if alone and values["data.train_on"].value == "assistant":
        decide("data.train_on", "completions", "a row has one answer")
