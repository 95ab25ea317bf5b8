"""Rows for peft's LoraConfig, as scripts write it.

Names and defaults: peft 0.18.1, tuners/lora/config.py; checked against schemas/native/*.json.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ftspec.families.tuners import inits
from ftspec.mapping import MISSING, Refuse, Row, field, identity

MOVING = ("pissa", "olora")
"""Initialisations that take what they put into the adapter out of the base weights."""
EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "lm_head")
"""What models call the matrices that are as large as the vocabulary."""


def lora_rows(prefix: str) -> tuple[Row, ...]:
    """LoraConfig's arguments; ``prefix`` names the call they stand in."""
    return (
        field("method.tuner.rank", f"{prefix}r", absent=8),
        field("method.tuner.alpha", f"{prefix}lora_alpha", absent=8),
        field("method.tuner.dropout", f"{prefix}lora_dropout", absent=0.0),
        Row(
            ("method.tuner.targets",),
            (f"{prefix}target_modules",),
            _lower_targets,
            _lift_targets,
            uses=("method.tuner.plus_ratio",),
        ),
        Row(
            ("method.tuner.exclude",),
            (f"{prefix}exclude_modules",),
            _lower_names,
            lambda native: {"pattern": native} if isinstance(native, str) else tuple(native or ()),
            absent=(None,),
        ),
        Row(
            ("method.tuner.layers",),
            (f"{prefix}layers_to_transform",),
            _lower_layers,
            lambda native: (native,) if isinstance(native, int) else tuple(native or ()),
            uses=("method.tuner.targets",),
            absent=(None,),
        ),
        Row(
            ("method.tuner.parameters",),
            (f"{prefix}target_parameters",),
            lower_parameters,
            _listed,
            uses=("method.tuner.dropout", "method.tuner.dora", "hardware.zero.stage"),
            absent=(None,),
        ),
        *(
            Row(
                (f"method.tuner.{path}",),
                (f"{prefix}{key}",),
                lambda value: value or MISSING,
                lift,
                absent=(absent,),
            )
            for path, key, lift, absent in _OPTIONAL
        ),
        field("method.tuner.bias", f"{prefix}bias", _lower_bias, identity, absent="none"),
        Row(
            ("method.tuner.modules_to_save",),
            (f"{prefix}modules_to_save",),
            lambda modules: list(modules) or None,
            lambda native: tuple(native or ()),
            absent=(None,),
        ),
        field("method.tuner.rslora", f"{prefix}use_rslora", absent=False),
        field("method.tuner.dora", f"{prefix}use_dora", absent=False),
        inits.scripted(
            Row(
                ("method.tuner.init.type", "method.tuner.init.iterations"),
                (f"{prefix}init_lora_weights",),
                lower_init,
                _lift_init,
                uses=INIT_USES,
                absent=(True,),
            )
        ),
        inits.explained_row(),
    )


def _lower_bias(bias: str) -> str:
    if bias == "lora_only":
        # utils/save_and_load.py, get_peft_model_state_dict: it looks for a bias beside the adapter's own
        # matrices, where none is. Seen: 14 biases trained, none saved, other logits after loading
        raise Refuse(
            "peft 0.18 trains the biases of the adapted layers and saves none of them with the adapter",
            "notyet",
            "method.tuner.bias: all",
        )
    return bias


def _lower_names(names: Any) -> Any:
    """Names as a list, a pattern as the text that peft takes for one; nothing where there are none."""
    if isinstance(names, dict):
        return names["pattern"]
    return list(names) or MISSING


def _lower_targets(targets: Any, plus_ratio: float | None) -> Any:
    if matched(targets, ("lm_head",)):
        raise Refuse(
            "trl calculates its loss from the head's own weights: an adapter there would not train",
            "notyet",
            "method.tuner.modules_to_save: lm_head",
        )
    if plus_ratio is not None and (found := matched(targets, EMBEDDINGS)):
        raise Refuse(
            f"peft's LoRA+ does not see the adapter on {found}: it would learn as fast as A, not at "
            "the rate of embeddings",
        )
    if isinstance(targets, str):
        return targets
    native = _lower_names(targets)
    if native == "all-linear":
        raise Refuse("peft takes this pattern for its own word `all-linear`", "never")
    return native


def matched(targets: Any, names: Iterable[str]) -> str:
    """The first of ``names`` that these targets would take, at any place in a model; else nothing."""
    for name in names:
        if isinstance(targets, dict):
            paths = (name, f"model.{name}", f"transformer.{name}", f"model.language_model.{name}")
            if any(re.fullmatch(targets["pattern"], path) for path in paths):
                return name
        elif targets != "all-linear" and any(t.rpartition(".")[2] == name for t in targets):
            return name
    return ""


def _lift_targets(native: Any) -> Any:
    if isinstance(native, list | tuple):
        return tuple(native)
    if native is None:
        raise Refuse("target_modules=None: peft's own choice is not in a spec", "notimpl")
    return native if native == "all-linear" else {"pattern": native}


def _lower_layers(layers: tuple[int, ...], targets: Any) -> Any:
    if layers and not isinstance(targets, list | tuple):
        raise Refuse(
            "peft chooses layers only among modules that are named",
            "notyet",
            "name them in method.tuner.targets, such as [q_proj, k_proj, v_proj, o_proj]",
        )
    return list(layers) or MISSING


def lower_parameters(names: tuple[str, ...], dropout: float, dora: bool, stage: int | None) -> Any:
    """The names; refuses what peft's wrapper of a parameter stops at (tuners/lora/layer.py)."""
    if not names:
        return MISSING
    if dropout or dora:
        what, way = ("dropout", "dropout: 0") if dropout else ("DoRA", "dora: false")
        reason = f"peft's adapters on parameters have no {what}"
        raise Refuse(reason, "notyet", f"method.tuner.{way}")
    if stage == 3:
        raise Refuse(
            "peft asks a weight for its shape, and stage 3 has cut it into pieces",
            "notyet",
            "hardware.zero.stage: 2",
        )
    return list(names)


def _lift_tokens(native: Any) -> tuple[int, ...]:
    if isinstance(native, dict):
        raise Refuse("tokens of one of several embeddings are not in a spec", "notimpl")
    return tuple(native or ())


def _counts(native: Any) -> dict[str, int]:
    return dict(native or {})


def _listed(native: Any) -> tuple[Any, ...]:
    return tuple(native or ())


_OPTIONAL: tuple[tuple[str, str, Callable[[Any], Any], Any], ...] = (
    ("rank_pattern", "rank_pattern", _counts, {}),
    ("alpha_pattern", "alpha_pattern", _counts, {}),
    ("trainable_tokens", "trainable_token_indices", _lift_tokens, None),
)
"""Path, argument, the way back, default: written only where there is something in them."""

INIT_USES = (
    "method.tuner.rank",
    "method.tuner.rank_pattern",
    "method.tuner.alpha_pattern",
    "method.tuner.rslora",
    "method.tuner.dora",
    "method.tuner.bias",
    "method.tuner.modules_to_save",
    "method.tuner.trainable_tokens",
    "method.tuner.parameters",
    "output.hub.repo",
    "hardware.zero.stage",
    "model.quantization.type",
    "derived.processes",
    "train.resume",
    "method.objective.type",
)
"""What `lower_init` looks at beside the initialisation itself."""


def lower_init(kind: str, iterations: int | None, *uses: Any) -> Any:
    """peft's word for an initialisation; refuses what would fail or could not be saved."""
    used = dict(zip(INIT_USES, uses, strict=True))
    if kind == "default":
        return True
    if used["method.tuner.parameters"]:
        raise Refuse("peft initialises adapters on `parameters` in its default way only", "notyet")
    if used["model.quantization.type"] is not None and kind in ("orthogonal", *MOVING):
        raise Refuse(
            f"{kind} calculates with the weights, which must not have been rounded to few bits",
            "notyet",
            "model.quantization: null, or method.tuner.init: gaussian",
        )
    ranks = (used["method.tuner.rank"], *(used["method.tuner.rank_pattern"] or {}).values())
    if kind == "orthogonal" and any(rank % 2 for rank in ranks):
        raise Refuse("it pairs the rows of A: each rank must be even", "never")
    if kind in MOVING:
        _movable(kind, used)
    inits.check(kind, used)
    return f"pissa_niter_{iterations}" if iterations is not None else kind


def _movable(kind: str, used: dict[str, Any]) -> None:
    """Refuse what would be lost when the adapter is saved as one over the original weights."""
    lost = [
        name
        for name, neutral in (
            ("dora", False),
            ("bias", "none"),
            ("modules_to_save", ()),
            ("trainable_tokens", ()),
        )
        if used[f"method.tuner.{name}"] != neutral
    ]
    if lost:
        raise Refuse(
            f"{kind} changes the base weights, so its adapter is converted when it is saved, and that "
            f"loses what {' and '.join(lost)} trained",
        )
    if used["method.tuner.rslora"] and (
        used["method.tuner.rank_pattern"] or used["method.tuner.alpha_pattern"]
    ):
        raise Refuse(f"peft cannot convert a {kind} adapter with rslora and patterns")
    if used["output.hub.repo"] is not None:
        raise Refuse(
            "what is pushed to the hub is the adapter over changed base weights, not the converted one",
            "notimpl",
            "push the saved adapter after the run",
        )
    if used["hardware.zero.stage"] == 3:
        raise Refuse(
            f"{kind} changes whole base weights, which stage 3 has spread over processes",
            "notyet",
            "hardware.zero.stage: 2",
        )


def moves(native: Mapping[str, Any]) -> bool:
    """Whether a script's adapter takes something out of the base weights."""
    return str(native.get("LoraConfig.init_lora_weights")).startswith(MOVING)


def _lift_init(native: Any) -> tuple[str, int | None]:
    if native is True:
        return "default", None
    if isinstance(native, str):
        kind, _, steps = native.partition("_niter_")
        if kind == "pissa" and steps.isdecimal():
            return kind, int(steps)
        if not steps and kind in ("gaussian", "orthogonal", "eva", *MOVING):
            return kind, None
    raise Refuse(f"init_lora_weights={native!r} is not in a spec", "notimpl")
