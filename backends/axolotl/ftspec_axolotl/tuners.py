"""Spec paths <-> axolotl's keys for what trains: all weights, those with some names, or LoRA.

axolotl 0.19.0: loaders/adapter.py, utils/freeze.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from ftspec.families.tuners.unfrozen import regular, written
from ftspec.families.weights.quantised import FOUR_BITS
from ftspec.mapping import MISSING, Refuse, Row, constant, field, only, ours, unsupported
from ftspec.spec.adapters import IA3, OFT, AdaLoRA, LoHa, LoKr, Peft, Prefix, Prompt, PTuning, VeRA
from ftspec.spec.tuners import LAYERS, PARTS
from ftspec.spec.vocabulary import tag
from ftspec_axolotl.data import FRESH, WHO
from ftspec_axolotl.images import PLUGIN as IMAGES
from ftspec_axolotl.images import PROCESSOR, SEEN, UNFROZEN, sees
from ftspec_axolotl.tokens import PLUGIN

TUNER = "method.tuner."
OTHERS = (OFT, IA3, Prefix, Prompt, PTuning, LoHa, LoKr, VeRA, AdaLoRA, Peft)
"""Tuners that are not compiled: the row of the type says so, and once is enough."""
SEEDED = "adapter_seed.AdapterSeed"
"""The plugin beside the config: axolotl draws a new adapter before anything is seeded."""

DRAWN = ("gaussian", "orthogonal")
"""Initialisations of LoRA that only draw: the weights below stay what they are."""


def tuner_rows() -> tuple[Row, ...]:
    """The tuner's type, and LoRA's settings."""
    return (
        Row(
            (f"{TUNER}type",),
            ("adapter",),
            _lower_type,
            _lift_type,
            uses=("model.quantization.type",),
            reads=(UNFROZEN, PROCESSOR),
            absent=(None,),
        ),
        *only(f"{TUNER}type", "lora", *_lora_rows()),
        *only(f"{TUNER}type", "partial", *_partial_rows()),
        *told_by_type(TUNER, OTHERS),
        Row(
            (),
            ("plugins",),
            _lower_plugins,
            lambda _plugins: (),
            uses=(f"{TUNER}type", "model.new_tokens.tokens", WHO, SEEN),
            absent=(None,),
        ),
    )


def _lower_plugins(kind: str, new: tuple[str, ...] | None, who: str, seen: Any) -> Any:
    """A new adapter is drawn by train.seed; where embeddings grow, behind their new rows."""
    fresh = [IMAGES] if seen is not None else [FRESH] if who == "framework" else []
    drawn = [PLUGIN] if new else [SEEDED] if kind == "lora" else []
    return [*fresh, *drawn] or MISSING


def told_by_type(section: str, kinds: Iterable[type[BaseModel]]) -> Iterator[Row]:
    """The fields of kinds that are not compiled: the row of the type refuses each once, for all of them."""
    for kind in kinds:
        paths = (f"{section}{name}" for name in kind.model_fields if name != "type")
        yield from only(f"{section}type", str(tag(kind)), *ours(*paths))


def _partial_rows() -> Iterator[Row]:
    yield Row(
        (f"{TUNER}patterns",),
        (UNFROZEN,),
        _lower_patterns,
        lambda names: tuple(map(regular, names or ())),
        absent=(None,),
    )
    for name in (*LAYERS, *PARTS):
        if name != "patterns":
            neutral = None if name in LAYERS else () if name == "modules" else False
            reason = "it names the weights that train by patterns alone"
            yield unsupported(
                f"{TUNER}{name}", reason, "notimpl", (neutral,), "method.tuner.patterns"
            )


def _lower_patterns(patterns: tuple[str, ...]) -> list[str]:
    found = {pattern: written(pattern) for pattern in patterns}
    if odd := [pattern for pattern, name in found.items() if name is None]:
        raise Refuse(
            f"in its patterns a dot is one of a name, `\\.` here, and `[3]` at the end is a row of a matrix: "
            f"{odd[0]} would be another",
            "notyet",
            "run.backends: trl",
        )
    return [name for name in found.values() if name is not None]


def _lora_rows() -> tuple[Row, ...]:
    return (
        field(f"{TUNER}rank", "lora_r", absent=None),
        field(f"{TUNER}alpha", "lora_alpha", absent=None),
        field(f"{TUNER}dropout", "lora_dropout", absent=0.0),
        Row(
            (f"{TUNER}targets",),
            ("lora_target_linear", "lora_target_modules"),
            _lower_targets,
            _lift_targets,
            uses=(SEEN,),
            absent=(None, None),
        ),
        Row(
            (f"{TUNER}modules_to_save",),
            ("lora_modules_to_save",),
            lambda modules: list(modules) or MISSING,
            lambda native: tuple(native or ()),
            absent=(None,),
        ),
        Row(
            (f"{TUNER}layers",),
            ("peft_layers_to_transform",),
            _lower_layers,
            lambda layers: tuple(layers or ()),
            uses=(f"{TUNER}targets",),
            absent=(None,),
        ),
        *(
            Row(
                (f"{TUNER}{name}",),
                (f"lora_{name}",),
                lambda pattern: dict(pattern) or MISSING,
                lambda native: dict(native or {}),
                absent=(None,),
            )
            for name in ("rank_pattern", "alpha_pattern")
        ),
        Row(
            (f"{TUNER}init.type",),
            ("peft_init_lora_weights",),
            _lower_init,
            lambda word: "default" if word in (None, True) else word,
            absent=(None,),
        ),
        Row(
            (f"{TUNER}plus_ratio", f"{TUNER}plus_embedding_rate"),
            ("loraplus_lr_ratio", "loraplus_lr_embedding"),
            _lower_plus,
            lambda ratio, rate: (None, None) if ratio is None else (ratio, rate),
            uses=("train.weight_decay", "train.optimizer.type"),
            absent=(None, 1e-6),
        ),
        field(f"{TUNER}rslora", "peft_use_rslora", lift=bool, absent=None),
        field(f"{TUNER}dora", "peft_use_dora", lift=bool, absent=None),
        *(
            unsupported(f"{TUNER}{name}", why, "notimpl", (neutral,))
            for name, why, neutral in _REFUSED
        ),
        constant("peft_autocast_adapter_dtype", True, "adapters are float32", absent=None),
        *(
            constant(f"lora_{part}_kernel", False, "other kernels round otherwise", absent=None)
            for part in ("mlp", "qkv", "o", "embedding")
        ),
    )


_REFUSED: tuple[tuple[str, str, Any], ...] = (
    *(
        (name, "not compiled for it yet", neutral)
        for name, neutral in (
            ("parameters", ()),
            ("trainable_tokens", ()),
            ("init.iterations", None),
            ("init.rho", None),
            ("adapter", None),
        )
    ),
    ("exclude", "its schema has no key for modules that are left out", ()),
    ("bias", "it writes no biases beside its adapters", "none"),
)
"""LoRA's other settings: the reason, and the one value that passes."""


def _lower_type(kind: str, quantised: str | None) -> Any:
    if kind not in ("full", "partial", "lora"):
        raise Refuse(
            f"of all tuners only full and partial tuning and LoRA are compiled for it yet, not {kind}",
            "notimpl",
            "method: full, or method: lora",
        )
    if kind == "lora" and quantised in FOUR_BITS:
        return "qlora"
    return kind if kind == "lora" else MISSING


def _lift_type(adapter: str | None, unfrozen: Any, processor: Any) -> str:
    if adapter not in (None, "lora", "qlora"):
        raise Refuse(f"adapter: {adapter} is not in this map", "notimpl")
    chosen = unfrozen not in (None, MISSING) and not sees(processor)
    if adapter and chosen:
        raise Refuse("an adapter beside a part of the weights is not in this map", "notimpl")
    return "lora" if adapter else "partial" if chosen else "full"


def _lower_layers(layers: tuple[int, ...], targets: Any) -> Any:
    if layers and isinstance(targets, dict):
        raise Refuse(
            "peft chooses layers only among modules that are named",
            "notyet",
            "name them in method.tuner.targets, or say the layers in the pattern",
        )
    return list(layers) or MISSING


def _lower_init(kind: str) -> Any:
    if kind == "default":
        return MISSING
    if kind not in DRAWN:
        raise Refuse(
            "adapters that move the weights below them, or begin with rows, are not compiled for it yet",
            "notimpl",
            f"method.tuner.init: default, {' or '.join(DRAWN)}",
        )
    return kind


def _lower_plus(
    ratio: float | None, embedding: float | None, decay: float, optimizer: str
) -> tuple[Any, Any]:
    if ratio is None:
        return MISSING, MISSING
    if optimizer != "adamw":
        raise Refuse(f"LoRA+ is written for adamw, not for {optimizer}", "notimpl")
    if decay:
        # core/trainers/mixins/optimizer.py hands it no loraplus_weight_decay
        raise Refuse(
            "its LoRA+ has no weight decay", "never", "train.weight_decay: 0, or run.backends: trl"
        )
    return ratio, embedding


def _lower_targets(targets: Any, seen: Any) -> tuple[Any, Any]:
    if targets == "all-linear" and seen is not None:
        # peft's own word: axolotl goes by the last part of a name, which may be a number in a tower
        return False, targets
    if targets == "all-linear":
        return True, MISSING
    # a text is a pattern to peft, as here
    return False, targets["pattern"] if isinstance(targets, dict) else list(targets)


def _lift_targets(linear: bool | None, modules: Any) -> Any:
    if linear:
        if modules:
            raise Refuse(
                "all linear modules and named ones are not one choice in a spec", "notimpl"
            )
        return "all-linear"
    if modules == "all-linear":
        return modules
    if not modules:
        raise Refuse("no targets are named", "never")
    return {"pattern": modules} if isinstance(modules, str) else tuple(modules)
