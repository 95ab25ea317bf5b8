"""What the table of causes asks of the evidence: small questions with yes or no for an answer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from ftspec.verify.compare import Outcome, first_difference, pair, relative
from ftspec.verify.evidence import Evidence
from ftspec.verify.inputs import MASKED, Row, rows

ENDING = 20
"""Characters by which texts may differ at an end for it to be a token, not a lost part."""
PACKED = {"nf4", "fp4", "int8"}
"""Kinds of weights that the probe saw packed, without what their constants are."""
ALIKE = 0.6
"""Share of its words that a row keeps in another template; what two rows share is the template."""
VIRTUAL = {"PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"}
"""peft's types of adapters that add positions instead of weights to layers."""


def where(*words: str) -> Callable[[Evidence, Evidence, Outcome], bool]:
    """Whether the place of the difference names one of these."""
    return lambda _, __, outcome: any(word in outcome.where for word in words)


def differ(*names: str) -> Callable[[Evidence, Evidence, Outcome], bool]:
    """Whether one of these training arguments differs."""
    return lambda one, two, _: any(one.args.get(name) != two.args.get(name) for name in names)


def drew_others(reference: Evidence, other: Evidence, outcome: Outcome) -> bool:
    """Both runs drew completions, and not the same ones."""
    drawn = [[each.completions for each in run.rounds] for run in (reference, other)]
    return all(drawn) and drawn[0] != drawn[1]


def is_unobserved(_: Evidence, __: Evidence, outcome: Outcome) -> bool:
    """Nothing could be compared."""
    return outcome.verdict == "not-compared"


def logs_no_norm(one: Evidence, two: Evidence, outcome: Outcome) -> bool:
    """Losses are logged, and no gradient norms with them."""
    logged = [e.steps and e.steps[0].grad_norm is None for e in (one, two)]
    return outcome.verdict == "not-compared" and bool(one.steps and two.steps) and any(logged)


def has_other_length(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The prepared data sets have different numbers of rows."""
    return one.setting.get("rows") != two.setting.get("rows")


def has_other_batch(one: Evidence, two: Evidence, outcome: Outcome) -> bool:
    """Rows per forward pass, or passes per step, differ."""
    names = ("per_device_train_batch_size", "gradient_accumulation_steps")
    return differ(*names)(one, two, outcome)


def has_other_steps(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The runs logged different numbers of steps."""
    return len(one.steps) != len(two.steps)


def is_quantised(one: Evidence, two: Evidence, outcome: Outcome) -> bool:
    """A base is packed into few bits, and a dtype or the base itself differs."""
    packed = {kind.partition("-")[0] for e in (one, two) for kind in e.frozen_sizes} & PACKED
    return bool(packed) and ("frozen" in outcome.where or has_other_dtype(one, two, outcome))


def has_other_scale(_: Evidence, __: Evidence, outcome: Outcome) -> bool:
    """An adapter's factor differs."""
    return "scaled by" in outcome.reference and "scaled by" in outcome.other


def has_other_dtype(_: Evidence, __: Evidence, outcome: Outcome) -> bool:
    """A parameter has the same shape and another dtype."""
    shapes = pair(lambda text: text.rsplit(" ", 1)[0], outcome.reference, outcome.other)
    return shapes[0] == shapes[1] and outcome.where.startswith("parameter")


def has_other_shape(_: Evidence, __: Evidence, outcome: Outcome) -> bool:
    """A parameter is in both runs, in other shapes."""
    return "not trained" not in (outcome.reference, outcome.other) and "lora_" in outcome.where


def drops_out(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Training draws random numbers in a forward pass, in one run or both."""
    dropout = any(e.adapter.get("lora_dropout") for e in (one, two))
    return dropout or any(e.args.get("neftune_noise_alpha") for e in (one, two))


def smooths(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Labels are smoothed."""
    return any(e.args.get("label_smoothing_factor") for e in (one, two))


def has_other_precision(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Mixed precision or the weights' dtypes differ."""
    types = pair(lambda e: (e.lowered(), e.setting.get("dtypes")), one, two)
    return types[0] != types[1]


def balances_alone(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """A balance loss of a mixture of experts is in one run only."""
    return bool(one.setting.get("balance")) != bool(two.setting.get("balance"))


def compares_answers(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Each row of the data gives two of a batch: a chosen and a rejected answer."""
    first = (batch for run in (one, two) for batch in run.batches[:1])
    return any(len(batch.input_ids) == 2 * len(batch.indices or ()) for batch in first)


def has_arguments(kind: str) -> Callable[[Evidence, Evidence, Outcome], bool]:
    """Whether a run's training arguments are of this class: they are those of trl's trainer for a method."""
    return lambda one, two, _: kind in (one.setting.get("config"), two.setting.get("config"))


def has_other_angles(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Rotary positions turn by other angles."""
    return one.setting.get("angles") != two.setting.get("angles")


def has_other_code(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """What computes differs: versions, threads or the attention's implementation."""
    versions = any(one.versions.get(n) != two.versions.get(n) for n in ("torch", "transformers"))
    settings = ("threads", "attention", "device", "cpu")
    return versions or any(one.setting.get(n) != two.setting.get(n) for n in settings)


def is_broken(one: Evidence, two: Evidence, outcome: Outcome) -> bool:
    """A logged loss or norm is not a finite number."""
    logged = [n for e in (one, two) for s in e.steps for n in (s.loss, s.grad_norm or 0.0)]
    return not all(math.isfinite(number) for number in logged)


def is_off_by_the_count(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The first losses have the ratio of two ways to count the first step's tokens."""
    if not (one.steps and two.steps and one.steps[0].loss and two.steps[0].loss):
        return False
    first = [row for row in rows(one) if row.step == one.steps[0].step]
    every = sum(label != MASKED for row in first for label in row.labels or ())
    shifted = sum(label != MASKED for row in first for label in (row.labels or ())[1:])
    passes = float(one.args.get("gradient_accumulation_steps") or 1)
    counts = [every / shifted if shifted else 1.0, passes]
    ratio = one.steps[0].loss / two.steps[0].loss
    close = (relative(ratio, r) < 1e-4 for count in counts for r in (count, 1 / count))
    return not math.isclose(ratio, 1, rel_tol=1e-4) and any(close)


def rotates(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The adapter is OFT's."""
    return "OFT" in (one.adapter.get("peft_type"), two.adapter.get("peft_type"))


def has_virtual_tokens(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The adapter puts learned positions in front of a row."""
    return bool(VIRTUAL & {e.adapter.get("peft_type") for e in (one, two)})


def has_no_adapter(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Both train the model's own weights."""
    return not one.adapter and not two.adapter


def is_cut(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The first row that differs is the beginning of its counterpart, and much of it is missing."""
    found = _first(one, two)
    if not found:
        return False
    texts = sorted(pair(lambda row: row.text or "", *found), key=len)
    return texts[1].startswith(texts[0]) and len(texts[1]) - len(texts[0]) > ENDING


def has_system_turn(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Only one of the first differing texts speaks of a system near its start."""
    found = _first(one, two)
    opening = pair(lambda row: "system" in (row.text or "")[:80], *found) if found else (0, 0)
    return opening[0] != opening[1]


def differs_at_an_end(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The first differing texts are the same but for a few characters in front or behind."""
    found = _first(one, two)
    if not found:
        return False
    short, long = sorted(pair(lambda row: row.text or "", *found), key=len)
    return 0 < len(long) - len(short) <= ENDING and (long.startswith(short) or long.endswith(short))


def is_another_row(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The first differing texts hardly share a word: not one row in two forms, but two rows."""
    found = _first(one, two)
    if not found:
        return False
    words = pair(lambda row: {*re.findall(r"\w+", row.text or "")}, *found)
    fewest = min(map(len, words))
    return fewest > 0 and len(words[0] & words[1]) / fewest < ALIKE


def is_after_the_turn(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """The label that differs follows one that both train on, and few others differ."""
    found = _first(one, two)
    if not found:
        return False
    labels = pair(lambda row: row.labels or (), *found)
    at = first_difference(*labels)
    if not at or MASKED in (labels[0][at - 1], labels[1][at - 1]):
        return False
    # An assistant turn more or less shows as a run of labels, an end of turn as one or two.
    turns = sum(a != MASKED and b == MASKED for a, b in zip(labels[0], labels[0][1:], strict=False))
    apart = sum(a != b for a, b in zip(*labels, strict=False))
    return apart <= 2 * (turns + 1)


def is_first_label(one: Evidence, two: Evidence, _: Outcome) -> bool:
    """Only the first label of the row differs."""
    found = _first(one, two)
    if not found:
        return False
    labels = pair(lambda row: row.labels or (), *found)
    return first_difference(*labels) == 0 and labels[0][1:] == labels[1][1:]


def _first(one: Evidence, two: Evidence) -> tuple[Row, Row] | None:
    """The first rows that differ in text, ids or labels."""
    for ours, theirs in zip(rows(one), rows(two), strict=False):
        if (ours.text, ours.ids, ours.labels) != (theirs.text, theirs.ids, theirs.labels):
            return ours, theirs
    return None
