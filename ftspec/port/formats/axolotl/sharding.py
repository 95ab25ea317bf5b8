"""axolotl's settings of several devices: FSDP, and the sizes of accelerate's grid of devices.

axolotl 0.19: utils/trainer.py, setup_fsdp_envs and setup_parallelism_envs; accelerate 1.13:
parallelism_config.py, which stops unless the sizes make all devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from ftspec.families.training.fsdp import PATH
from ftspec.port.fates import Setting
from ftspec.port.formats import fsdp
from ftspec.port.formats.axolotl.words import off_or, said
from ftspec.port.formats.deepspeed.blocks import MOVED
from ftspec.port.formats.switches import is_on
from ftspec.port.rules import Context, Outcome, Rule, inert

APART = ("dp_replicate_size", "dp_shard_size", "expert_parallel_size")
"""Sizes whose devices each have rows of their own."""
CUT = "tensor_parallel_size"
SIZES = (2, 4, 8)
"""Of groups that a spec has."""
GRID = (*APART, "tensor_parallel_size", "context_parallel_size")
STRATEGIES = ("full_shard", "shard_grad_op", "no_shard", "hybrid_shard", "hybrid_shard_zero2")
"""Words of `fsdp`; version 2 has the first two."""
SHARED: Mapping[str, str] = {
    "context_parallel_size": "a row cut over several devices by ring attention is not in a spec: in "
    "hardware.sequence_parallel each device has some of the heads, as DeepSpeed has it",
    "expert_parallel_size": "experts spread over devices are not in a spec",
}


def replicas(data: Mapping[str, Any]) -> int | None:
    """How many devices the sizes make, those that share layers counted; None where they make none.

    Of devices that share rows, which a spec has not, only one counts.
    """
    return _made(data, APART) * group(data) if _made(data, GRID) > 1 else None


def group(data: Mapping[str, Any]) -> int:
    """How many devices share each layer: utils/config (normalize_config) counts them as one."""
    return size if not data.get("deepspeed") and (size := data.get(CUT)) in SIZES else 1


def _made(data: Mapping[str, Any], sizes: tuple[str, ...]) -> int:
    return prod(size for key in sizes if isinstance(size := data.get(key), int) and size > 1)


def shards(context: Context) -> bool:
    """Whether FSDP is on (loaders/model.py, is_fsdp_enabled)."""
    return bool(context.get("fsdp_config") or context.get("fsdp"))


def recomputes(context: Context) -> bool:
    """Whether FSDP recomputes activations by itself."""
    return shards(context) and is_on(fsdp.said(context, "activation_checkpointing"))


def _strategy(context: Context) -> str:
    """Its schema of the section has no strategy, and leaves the key out (utils/schemas/fsdp.py)."""
    size, copies = context.get("dp_shard_size"), context.get("dp_replicate_size")
    shared = isinstance(size, int) and size > 1 and isinstance(copies, int) and copies > 1
    if shared:
        return "hybrid_shard"
    unsaid = fsdp.said(context, "reshard_after_forward") is None
    if unsaid and fsdp.version(context) == 2 and "shard_grad_op" in fsdp.words(context):
        return "shard_grad_op"
    return fsdp.resharded(context)


FULL = (
    "of version 1 axolotl tells accelerate no strategy, and it then shards fully (accelerator.py)"
)
OFFLOADS = "`fsdp: offload` holds, whatever it says"


def _listed(setting: Setting, context: Context) -> Outcome:
    """transformers 5.16, training_args.py, _apply_legacy_fsdp_to_config puts its words into the section."""
    found = fsdp.words(context)
    if odd := [word for word in found if word not in (*STRATEGIES, "offload", "auto_wrap")]:
        return Outcome("unknown", why=f"transformers has no {odd[0]!r}, and stops")
    others = [word for word in found if word in STRATEGIES and word != _strategy(context)]
    if others and fsdp.version(context) == 2 and others[0] not in STRATEGIES[:2]:
        return Outcome("unknown", why=f"with version 2 transformers stops at {others[0]}")
    spec: dict[str, Any] = {f"{PATH}sharding_strategy": _strategy(context)}
    if "offload" in found:
        spec[f"{PATH}offload_parameters"] = True
    why = FULL if others and fsdp.version(context) == 1 else ""
    return Outcome("derived", spec=spec, why=why, loud=bool(why))


def _offloaded(setting: Setting, context: Context) -> Outcome:
    held = "offload" in fsdp.words(context)
    spec = {f"{PATH}offload_parameters": held or is_on(setting.value)}
    if held and not is_on(setting.value):
        return Outcome("derived", spec=spec, why=OFFLOADS)
    return Outcome("renamed", spec=spec)


FSDP = fsdp.Tool(shards, "FSDP is not set", _strategy)


def sharded(context: Context) -> dict[str, Any]:
    """FSDP, with what holds where nothing is said."""
    if not shards(context):
        return {}
    # transformers 5.16, training_args.py: one model, in both versions, unless the section says otherwise
    more = {"offload_parameters": True} if "offload" in fsdp.words(context) else {}
    return fsdp.assumed(
        context, sharding_strategy=_strategy(context), state_dict_type="full", **more
    )


def _size(setting: Setting, context: Context) -> Outcome:
    """One side of the grid; the sizes together are all devices."""
    found, needed = context.devices * context.nodes, _made(context.document.data, GRID)
    if setting.value in (None, 1):
        return Outcome("inert", why="what happens anyway")
    if (why := SHARED.get(setting.key)) is not None:
        return Outcome("unknown", why=why)
    if found not in (needed, replicas(context.document.data)):
        return Outcome("unknown", why=f"its sizes make {needed} devices, and it stops with {found}")
    if not shards(context) and setting.key == "dp_shard_size":
        return Outcome("unknown", why="without fsdp_config nothing is cut over these devices")
    where = ("hardware.devices", "hardware.nodes")
    why = "the sizes make all devices, of one machine where no file says more"
    return Outcome("derived", of=(*where, "hardware.fsdp.sharding_strategy"), why=why)


def _shared(setting: Setting, context: Context) -> Outcome:
    """How many devices share each layer, by transformers' plan of the model (loaders/model.py)."""
    found = _size(setting, context)
    if found.kind != "derived":
        return found
    if context.get("deepspeed"):
        return Outcome("unknown", why="it is written into a copy of the engine's file as well")
    if setting.value not in SIZES:
        return Outcome("unknown", why="layers that are cut over so many devices are not in a spec")
    return Outcome("renamed", spec={"hardware.tensor_parallel": setting.value})


def _resharded(_setting: Setting, context: Context) -> Outcome:
    return Outcome("derived", spec={"hardware.fsdp.sharding_strategy": _strategy(context)})


SHARDING_RULES: dict[str, Rule] = {
    "fsdp": off_or(_listed),
    "fsdp_config": inert("empty"),
    "fsdp_config.": inert(MOVED),
    **fsdp.section_rules(FSDP),
    # which of two versions; the strategy is not read, whatever it says
    **dict.fromkeys(
        ("fsdp_config.sharding_strategy", "fsdp_config.fsdp_sharding_strategy"),
        inert("axolotl reads no strategy: reshard_after_forward says it, and full without it"),
    ),
    **dict.fromkeys(
        ("fsdp_config.offload_params", "fsdp_config.fsdp_offload_params"), said(_offloaded)
    ),
    "fsdp_config.reshard_after_forward": said(_resharded),
    "fsdp_config.fsdp_reshard_after_forward": said(_resharded),
    "fsdp_version": off_or(
        lambda setting, context: (
            Outcome("derived", spec={"hardware.fsdp.version": fsdp.version(context)})
            if shards(context)
            else Outcome("inert", why="FSDP is not set")
        )
    ),
    "fsdp_final_state_dict_type": inert(fsdp.END),
    **dict.fromkeys(GRID, _size),
    CUT: _shared,
}
