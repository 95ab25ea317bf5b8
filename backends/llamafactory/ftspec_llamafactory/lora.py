"""Rows of its LoRA.

Names and defaults: llamafactory 0.9.5, hparams/finetuning_args.py; what they do: model/adapter.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.tuners.peft import INIT_USES, lower_init
from ftspec.mapping import MISSING, Lossy, Refuse, Row, only, ours, unsupported

ADAPTER = "method.tuner.adapter"


def lora_rows() -> tuple[Row, ...]:
    """A new adapter, or a saved one, whose own settings then rule."""
    return only(
        "method.tuner.type",
        "lora",
        _new("rank", "lora_rank", 8),
        Row(
            ("method.tuner.alpha",),
            ("lora_alpha",),
            lambda alpha, adapter: MISSING if adapter is not None else alpha,
            lambda alpha, rank: (
                alpha if alpha is not None else 2 * (8 if rank is MISSING else rank)
            ),
            uses=(ADAPTER,),
            reads=("lora_rank",),
            absent=(None,),
        ),
        _new("dropout", "lora_dropout", 0.0),
        Row(
            ("method.tuner.targets",),
            ("lora_target",),
            lower_targets,
            lift_targets,
            uses=(ADAPTER,),
            absent=("all",),
        ),
        *(
            unsupported(f"method.tuner.{name}", f"{what}: there is no key for it", neutral=(none,))
            for name, what, none in (
                ("exclude", "it adapts every module that is named", ()),
                ("layers", "it adapts the modules of all layers", ()),
                ("parameters", "it adapts modules only", ()),
                ("rank_pattern", "its adapters have one rank", {}),
                ("alpha_pattern", "its adapters have one alpha", {}),
                ("trainable_tokens", "it trains all embeddings or none", ()),
                ("bias", "its LoRA trains no biases", "none"),
            )
        ),
        Row(
            ("method.tuner.modules_to_save",),
            ("additional_target",),
            _lower_saved,
            lambda native: tuple(native.split(",")) if native else (),
            uses=(ADAPTER, "model.dtype", "derived.stored_dtype", "precision.compute"),
            absent=(None,),
        ),
        _new("rslora", "use_rslora", False),
        Row(
            ("method.tuner.dora",),
            ("use_dora",),
            _lower_dora,
            lambda on: on,
            uses=(ADAPTER, "model.quantization.type"),
            absent=(False,),
        ),
        Row(
            ("method.tuner.init.type", "method.tuner.init.iterations"),
            ("pissa_init", "pissa_iter", "pissa_convert"),
            _lower_init,
            _lift_init,
            uses=(*INIT_USES, ADAPTER),
            absent=(False, 16, False),
        ),
        *ours("method.tuner.init.rho"),  # the row of the initialisation refuses EVA
        Row(
            ("method.tuner.plus_ratio", "method.tuner.plus_embedding_rate"),
            ("loraplus_lr_ratio", "loraplus_lr_embedding"),
            _lower_plus,
            lambda ratio, rate: (None, None) if ratio is None else (ratio, rate),
            uses=("train.optimizer.type",),
            absent=(None, 1e-6),
        ),
        Row(
            (ADAPTER,),
            ("adapter_name_or_path", "create_new_adapter"),
            lambda adapter: (MISSING, MISSING) if adapter is None else (adapter, False),
            lambda adapter, _new: adapter,
            absent=(None, False),
        ),
    )


def _new(name: str, key: str, absent: Any) -> Row:
    """A setting of a new adapter, left out for a saved one."""
    return Row(
        (f"method.tuner.{name}",),
        (key,),
        lambda value, adapter: MISSING if adapter is not None else value,
        lambda value: value,
        uses=(ADAPTER,),
        absent=(absent,),
    )


def lower_targets(targets: Any, adapter: str | None) -> Any:
    if adapter is not None:
        return MISSING
    if isinstance(targets, dict):
        raise Refuse(
            "its targets are names, separated by commas: a regular expression would be taken apart",
            "notyet",
            "name the modules, or method.tuner.targets: all-linear",
        )
    if targets == ("all",):
        raise Refuse(
            "a module called `all` cannot be named: the word means every linear layer", "never"
        )
    return "all" if targets == "all-linear" else ",".join(targets)


def lift_targets(native: str) -> Any:
    names = tuple(name.strip() for name in native.split(","))
    return "all-linear" if names == ("all",) else names


def lower_modules(modules: tuple[str, ...], adapter: str | None) -> Any:
    return MISSING if adapter is not None or not modules else ",".join(modules)


def _lower_saved(
    modules: tuple[str, ...], adapter: str | None, dtype: str, stored: str | None, compute: str
) -> Any:
    native = lower_modules(modules, adapter)
    held = stored if dtype == "auto" else dtype
    if not modules or held == "float32" or compute == "bf16-pure":
        return native
    return Lossy(
        native,
        "what trains beside an adapter it lifts to float32 (model/adapter.py); in a spec it has the model's "
        "own type",
    )


def _lower_dora(on: bool, adapter: str | None, quantised: str | None) -> Any:
    if on and quantised is not None:
        raise Refuse("it stops at DoRA over a base in few bits, of bitsandbytes too")
    return MISSING if adapter is not None else on


def _lower_init(kind: str, iterations: int | None, *uses: Any) -> tuple[Any, Any, Any]:
    *own, adapter = uses
    if adapter is not None:
        return MISSING, MISSING, MISSING
    lower_init(kind, iterations, *own)  # refuses what peft cannot
    if kind == "default":
        return False, MISSING, MISSING
    if kind != "pissa":
        raise Refuse("its adapters begin in peft's default way or with PiSSA: there is no key")
    # `pissa_convert` writes a second adapter, over the original weights, into `pissa_converted`
    return True, -1 if iterations is None else iterations, True


def _lift_init(on: bool, steps: int, _convert: bool) -> tuple[str, int | None]:
    return ("pissa", None if steps == -1 else steps) if on else ("default", None)


def _lower_plus(ratio: float | None, rate: float | None, optimizer: str) -> tuple[Any, Any]:
    if ratio is not None and optimizer != "adamw":
        raise Refuse(f"LoRA+ is written for adamw, not for {optimizer}", "notimpl")
    return (MISSING, MISSING) if ratio is None else (ratio, rate)
