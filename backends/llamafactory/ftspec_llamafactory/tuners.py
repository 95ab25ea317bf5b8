"""Spec paths <-> LLaMA-Factory's keys for tuners other than LoRA: freeze and OFT.

Names and defaults: llamafactory 0.9.5, hparams/finetuning_args.py; what they do: model/adapter.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.mapping import MISSING, Refuse, Row, choice, field, only, ours, unsupported
from ftspec.spec.adapters import IA3, AdaLoRA, LoHa, LoKr, Peft, Prefix, Prompt, PTuning, VeRA
from ftspec.spec.tuners import LAYERS
from ftspec.spec.vocabulary import tag
from ftspec_llamafactory.lora import lift_targets, lower_modules, lower_targets

TUNER = "method.tuner.type"
TYPES = {"full": "full", "lora": "lora", "partial": "freeze", "oft": "oft"}
OTHERS = (IA3, Prefix, Prompt, PTuning, LoHa, LoKr, VeRA, AdaLoRA, Peft)
"""Tuners that it has not: the row of the type says so, and once is enough."""
ALL = 1000
"""More layers than any model has: all of them."""
EXTRA = {"embeddings": "embed_tokens", "head": "lm_head", "norms": "norm"}
"""Its names outside the layers. They are matched anywhere in a weight's name, so that `norm` is every
norm of the model; it raises where no module of a model has the name."""


def tuner_rows() -> tuple[Row, ...]:
    """The tuner's type, and the fields of the types that it has beside LoRA."""
    return (
        choice(
            TUNER,
            "finetuning_type",
            TYPES,
            absent="lora",
            otherwise="it trains all weights, a part of them, LoRA or OFT, and no other adapter",
        ),
        *only(
            TUNER,
            "partial",
            Row(
                (*(f"method.tuner.{name}" for name in LAYERS), "method.tuner.modules"),
                ("freeze_trainable_layers", "freeze_trainable_modules", "use_llama_pro"),
                _lower_layers,
                _lift_layers,
                absent=(2, "all", False),
            ),
            Row(
                tuple(f"method.tuner.{name}" for name in EXTRA),
                ("freeze_extra_modules",),
                lambda *chosen: _joined(chosen),
                _lift_extra,
                absent=(None,),
            ),
            unsupported(
                "method.tuner.biases",
                "it chooses modules, never their biases alone",
                neutral=(False,),
            ),
            unsupported(
                "method.tuner.patterns",
                "it finds weights by parts of their names, never by a pattern",
                neutral=((),),
                hint="method.tuner.last_layers or modules, or run.backends: trl",
            ),
        ),
        *only(TUNER, "oft", *_oft_rows()),
        *(
            row
            for kind in OTHERS
            for row in only(
                TUNER,
                str(tag(kind)),
                *ours(*(f"method.tuner.{name}" for name in kind.model_fields if name != "type")),
            )
        ),
    )


def _oft_rows() -> tuple[Row, ...]:
    return (
        Row(
            ("method.tuner.rank", "method.tuner.block_size"),
            ("oft_rank", "oft_block_size"),
            lambda rank, size: (rank or 0, size or 0),
            lambda rank, size: (rank or None, size or None),
            absent=(0, 32),
        ),
        field("method.tuner.dropout", "module_dropout", absent=0.0),
        Row(
            ("method.tuner.targets",),
            # not oft_target, which nothing reads: model/adapter.py chooses modules before it asks
            # which adapter they get
            ("lora_target",),
            lambda targets: lower_targets(targets, None),
            lift_targets,
            absent=("all",),
        ),
        Row(
            ("method.tuner.modules_to_save",),
            ("additional_target",),
            lambda modules: lower_modules(modules, None),
            lambda native: tuple(native.split(",")) if native else (),
            absent=(None,),
        ),
        *(
            unsupported(f"method.tuner.{name}", f"{what}: there is no key for it", neutral=(none,))
            for name, what, none in (
                ("coft", "it does not constrain the rotation", False),
                ("eps", "it does not constrain the rotation", 6e-5),
                ("block_share", "each block has its own rotation", False),
            )
        ),
    )


def _lower_layers(
    last: int | None, first: int | None, expanded: int | None, modules: tuple[str, ...]
) -> tuple[int, str, bool]:
    inner = [name for name in modules if "." in name]
    if inner or "all" in modules:
        raise Refuse(
            f"it chooses whole modules of a layer (self_attn, mlp, ...), not {(*inner, 'all')[0]}",
            "notyet",
        )
    count = last or expanded or (-first if first else ALL if modules else 0)  # 0: no layers at all
    return count, ",".join(modules) or "all", expanded is not None


def _lift_layers(count: int, modules: str, expanded: bool) -> tuple[Any, ...]:
    names = () if modules == "all" else tuple(name.strip() for name in modules.split(","))
    last = count if 0 < count < ALL and not expanded else None
    first = -count if count < 0 and not expanded else None
    return last, first, count if expanded else None, names if count else ()


def _lift_extra(native: str | None) -> tuple[bool, ...]:
    names = [name.strip() for name in (native or "").split(",") if name.strip()]
    if odd := [name for name in names if name not in EXTRA.values()]:
        raise Refuse(f"freeze_extra_modules: {odd[0]} has no equal in a spec", "notimpl")
    return tuple(name in names for name in EXTRA.values())


def _joined(chosen: tuple[bool, ...]) -> Any:
    names = [name for on, name in zip(chosen, EXTRA.values(), strict=True) if on]
    return ",".join(names) or MISSING
