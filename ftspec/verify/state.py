"""Checks of what a run starts from: trainable parameters, weights, optimizer. All exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftspec.verify.compare import EQUAL, Outcome, differs, natural, pair, short, tables, unobserved
from ftspec.verify.evidence import Evidence, Group
from ftspec.verify.rounded import STEP, distance, is_the_same_draw

SETTINGS = (
    *("betas", "eps", "weight_decay", "momentum", "dampening", "nesterov", "amsgrad"),
    *("alpha", "centered", "lr_decay", "clip_threshold", "decay_rate", "beta1", "scale_parameter"),
    *("relative_step", "warmup_init", "maximize"),
)
"""What changes an update, besides the rate. `fused` and `foreach` choose a kernel, not a rule."""
ADAPTER = ("lora_dropout", "use_dora", "bias")
"""Adapter settings that no shape and no factor shows."""


def trainables(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Names, shapes and dtypes; then by what adapters are scaled."""
    seen = pair(lambda e: bool(e.trainable), reference, other)
    if missing := unobserved("its trainable parameters", *seen):
        return missing
    ours, theirs = pair(_shapes, reference, other)
    shapes = tables(ours, theirs, "parameter", missing="not trained")
    if shapes.verdict != "equal":
        counts = f"{len(ours)} and {len(theirs)} trainable tensors"
        note = counts if len(ours) != len(theirs) else ""
        return differs(shapes.where, shapes.reference, shapes.other, note=note)
    scales = tables(*pair(_scales, reference, other), noun="adapter on", missing="no adapter")
    if scales.verdict != "equal":
        return scales
    return tables(*pair(_adapter, reference, other), noun="adapter setting")


def initial_weights(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """Each trainable tensor by hash, the frozen ones by one hash over all.

    Over a base in bfloat16 an adapter may be drawn in its type or in float32: the same draw, rounded.
    """
    seen = pair(lambda e: bool(e.trainable) and e.frozen is not None, reference, other)
    if missing := unobserved("its initial weights", *seen):
        return missing
    dtypes = pair(_frozen, reference, other)
    if dtypes[0] != dtypes[1]:
        return differs("dtypes of frozen weights", *dtypes)
    apart = 0.0
    for name in sorted({*reference.trainable, *other.trainable}, key=natural):
        one, two = pair(lambda e, name=name: _digest(e, name), reference, other)  # type: ignore[misc]
        if one != two and name in reference.before and name in other.before:
            drawn = reference.before[name], other.before[name]
            if "bfloat16" in dtypes[0] and is_the_same_draw(*drawn):
                apart = max(apart, distance(*drawn))
                continue
        if one != two:
            values = pair(lambda e, name=name: _values(e, name), reference, other)  # type: ignore[misc]
            return differs(f"parameter {name}", *values)
    if reference.frozen != other.frozen:
        hashes = pair(lambda e: f"sha256 {(e.frozen or '')[:12] or 'of nothing'}", reference, other)
        return differs("frozen weights, all together", *hashes)
    note = "drawn in float32 by one, and in bfloat16 by the other"
    return Outcome("within", apart, STEP, note=note) if apart else EQUAL


def optimizer_groups(reference: Evidence, other: Evidence, _: float) -> Outcome:
    """The update rule, and what it does to each parameter, however they are grouped."""
    if missing := unobserved("its optimizer", bool(reference.groups), bool(other.groups)):
        return missing
    if reference.rule != other.rule:
        return differs("update rule", reference.rule, other.rule)
    named = (group.names is not None for group in (*reference.groups, *other.groups))
    return (_by_name if all(named) else _by_size)(reference.groups, other.groups)


def _shapes(evidence: Evidence) -> dict[str, str]:
    return {
        name: f"{' x '.join(map(str, tensor.shape)) or 'scalar'} {tensor.dtype}"
        for name, tensor in evidence.trainable.items()
    }


def _scales(evidence: Evidence) -> dict[str, str]:
    return {name: f"scaled by {factor!r}" for name, factor in evidence.scaling.items()}


def _adapter(evidence: Evidence) -> dict[str, Any]:
    return {key: evidence.adapter.get(key) for key in ADAPTER}


def _frozen(evidence: Evidence) -> str:
    """`14 nf4-double, 5 float32`."""
    counts = (f"{count} {kind}" for kind, (count, _bytes) in evidence.frozen_sizes.items())
    return ", ".join(counts) or "none"


def _digest(evidence: Evidence, name: str) -> str:
    tensor = evidence.trainable.get(name)
    return tensor.sha256 if tensor else ""


def _values(evidence: Evidence, name: str) -> str:
    """The first numbers of a tensor; its hash where the numbers were not kept."""
    if name not in evidence.trainable:
        return "not trained"
    if name not in evidence.before:
        return f"sha256 {_digest(evidence, name)[:12]}"
    flat = evidence.before[name].reshape(-1)
    return ", ".join(repr(float(number)) for number in flat[:3]) + (" …" if flat.size > 3 else "")


def _settings(group: Group) -> dict[str, Any]:
    """A group's settings with one meaning each: missing, None and False all mean off."""
    given = group.settings
    # A warm-up has already lowered `lr` by the time it is seen.
    rate = given.get("initial_lr", given.get("lr"))
    plain = {key: given.get(key) or 0 for key in SETTINGS}
    return {
        "learning rate": rate,
        **{key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()},
    }


def _by_name(reference: Sequence[Group], other: Sequence[Group]) -> Outcome:
    """Parameter by parameter; the decaying group that LoRA leaves empty makes no difference."""

    def settings(groups: Sequence[Group]) -> Mapping[str, dict[str, Any]]:
        return {name: _settings(group) for group in groups for name in group.names or ()}

    ours, theirs = pair(settings, reference, other)
    for name in sorted({*ours, *theirs}, key=natural):
        if name not in ours or name not in theirs:
            sides = ["in the optimizer" if name in side else "not in it" for side in (ours, theirs)]
            return differs(f"parameter {name}", *sides)
        for key, value in ours[name].items():
            if value != theirs[name][key]:
                return differs(f"{key} of {name}", value, theirs[name][key])
    return EQUAL


def _by_size(reference: Sequence[Group], other: Sequence[Group]) -> Outcome:
    """By how many numbers share which settings: ZeRO may flatten beyond recognition."""

    def sizes(groups: Sequence[Group]) -> list[str]:
        found = ((g.count, short(tuple(_settings(g).items()))) for g in groups if g.count)
        return sorted(f"{count} numbers: {settings}" for count, settings in found)

    ours, theirs = pair(sizes, reference, other)
    for index, (one, two) in enumerate(zip(ours, theirs, strict=False)):
        if one != two:
            return differs(f"group {index + 1} by size", one, two)
    if len(ours) != len(theirs):
        return differs("groups", len(ours), len(theirs))
    return Outcome("equal", note="compared by group size: an optimizer has flattened its groups")
