"""Spec paths <-> axolotl's keys.

Names and defaults: axolotl 0.19.0, utils/schemas/*.py; checked against schemas/native/*.json. What they do:
core/builders/base.py and causal.py. Under it all is transformers' Trainer, so most rows are those of
TrainingArguments under axolotl's names.
"""

from __future__ import annotations

from typing import Any

from ftspec.families.objectives.supervised import LOSSES, PLAIN_ANCHOR, PLAIN_ENTROPY
from ftspec.families.rows.order import GROUPED, USES, lower_grouped
from ftspec.families.rows.prepared import prepared_rows
from ftspec.families.scripts.sft_script import OWN_PATHS, no_sequences
from ftspec.families.trainers import CPO, ORPO, SIMPO
from ftspec.families.training.launch import NODES, PROCESSES
from ftspec.families.training.steps import no_decay
from ftspec.families.training.tensors import no_tensors
from ftspec.families.weights.float8 import no_float8
from ftspec.families.weights.qat import no_copy, no_qat
from ftspec.families.weights.stored import CALLS, DTYPE, refuse_other_type, stored_row
from ftspec.mapping import (
    MISSING,
    FieldMap,
    Lossy,
    Refuse,
    Row,
    choice,
    constant,
    field,
    ours,
    unsupported,
)
from ftspec.spec.model import UNPACKED
from ftspec_axolotl.data import data_rows
from ftspec_axolotl.energy import energy
from ftspec_axolotl.images import frozen_row, image_rows
from ftspec_axolotl.preference import dpo, free, kto
from ftspec_axolotl.quantised import quantisation_rows
from ftspec_axolotl.sharding import sharding_rows
from ftspec_axolotl.sources import TEXT, kinds_of
from ftspec_axolotl.tokens import token_rows
from ftspec_axolotl.train import train_rows, warmup_row
from ftspec_axolotl.tuners import tuner_rows

DEVICE = "launch.device"
"""Native pseudo-key: there is no key for the device, the launch hides GPUs."""
EIGHT = 8
"""LLaMA-Factory pads to a multiple of 8, so all backends do (docs/hazards.md#padding)."""
LOADED = (
    "only if the hub's config.json says {0}: it loads weights in the type of the arithmetic, {0}"
)
BASES = {"fp32": "float32", "bf16": "bfloat16"}
"""The type in which it loads weights, by the arithmetic (utils/config, resolve_dtype)."""


def _lower_packing(packing: str | None) -> tuple[()]:
    if packing == "documents":
        raise Refuse(
            "it keeps documents apart by attention masks of its own; rows that ftspec packed so are not "
            "compiled for it yet",
            "notimpl",
            "data.packing: null",
        )
    if packing == "together":
        raise Refuse(
            "it puts other documents into one row than ftspec does, and rows that ftspec packed are not "
            "compiled for it yet",
            "notimpl",
            "data.packing: null",
        )
    return ()


def _lower_dtype(dtype: str, stored: str | None, compute: str) -> Any:
    needed, held = BASES.get(compute), stored if dtype == "auto" else dtype
    if needed is not None and held is None:
        return Lossy((), LOADED.format(needed))
    if needed is not None and held != needed:
        raise Refuse(
            f"it loads weights in the type of the arithmetic, {needed}, and has no key for another one",
            "notyet",
            f"model.dtype: {needed}",
        )
    return ()


def _lower_stored(kind: str, _whole: bool, unpacked: str | None, compute: str) -> Any:
    if kind not in UNPACKED:
        raise Refuse(
            f"what unpacks {kind} is not in its lock, and it leaves the kernel to the machine",
            "notimpl",
            "run.backends: trl",
        )
    if kind == "fp8":
        raise Refuse(
            "the transformers that it is pinned to (5.16.1) stops at a checkpoint in fp8: it asks for a plan "
            "by the implementation of experts before there is one (quantizers/quantizer_finegrained_fp8.py)",
            "notyet",
            "run.backends: trl",
        )
    refuse_other_type(unpacked, BASES.get(compute))
    return CALLS[kind], {"dequantize": True}


def _lift_stored(name: str | None, settings: Any) -> tuple[str | None, bool | None]:
    if name is None:
        return None, None
    kind = next(kind for kind in UNPACKED if CALLS[kind] == name)
    if settings != {"dequantize": True}:
        raise Refuse(f"{name} without dequantize trains nothing: transformers refuses it", "notyet")
    return kind, True


def _lower_balance(weight: float | str | None, own: bool | None) -> tuple[()]:
    if weight or own:
        raise Refuse(
            "mixtures of experts are not compiled for it yet: their balance loss would be the model's own",
            "notimpl",
            "model.experts.balance_loss: 0, for a model whose config.json has output_router_logits: false",
        )
    return ()


def _lower_processes(count: int, device: str) -> int:
    if count > 1 and device == "cpu":
        raise Refuse(
            "where several processes train, it asks each GPU whether it reaches the others, and stops where "
            "there is none (utils/environment.py)",
            "notyet",
            "hardware.devices: 1",
        )
    return count


def _lower_loss(
    loss: str, power: float, tokens: int, scale: float, *_anchor: Any
) -> tuple[Any, ...]:
    if loss in ("dft", "asft"):
        raise Refuse("of losses that weigh tokens it has eaft alone", "notyet", "run.backends: trl")
    if loss == "nll":
        return False, MISSING, MISSING
    if scale != 1:
        raise Refuse(
            "it divides the entropy by nothing (monkeypatch/loss/eaft.py)",
            "notyet",
            "entropy_scale: 1",
        )
    return True, power, tokens


def _lift_loss(eaft: bool | None, power: float | None, tokens: int | None) -> tuple[Any, ...]:
    if not eaft:
        return ("nll", *PLAIN_ENTROPY, *PLAIN_ANCHOR)
    return "eaft", 1.0 if power is None else power, tokens or 20, 1.0, *PLAIN_ANCHOR


def _objective(name: str) -> Row:
    def lift(datasets: Any, other: Any) -> str:
        if other not in (None, MISSING):
            raise Refuse(f"rl: {other} learns from no demonstrations", "never")
        plain = datasets is not MISSING and kinds_of(datasets) == {TEXT}
        if plain != (name == "cpt"):
            raise Refuse("plain texts are continued pre-training, and all else is not", "never")
        return name

    return Row(("method.objective.type",), (), lambda _name: (), lift, reads=("datasets", "rl"))


_ROWS = (
    # model
    field("model.name", "base_model"),
    stored_row(
        ("model_quantization_config", "model_quantization_config_kwargs"),
        _lower_stored,
        _lift_stored,
        (DTYPE, "precision.compute"),
        (None, None),
    ),
    field("model.revision", "revision_of_model", lift=lambda name: name or "main", absent=None),
    field("model.trust_remote_code", "trust_remote_code", lift=bool, absent=None),
    choice(
        "model.attention",
        "attn_implementation",
        {"sdpa": "sdpa", "eager": "eager"},
        otherwise="it may put another release of flash attention in the place of the one that is named, and "
        "none is in its lock",
        hint="model.attention: sdpa",
    ),
    Row(
        ("model.dtype",),
        (),
        _lower_dtype,
        lambda bf16: "float32" if bf16 is False else "bfloat16",
        uses=("derived.stored_dtype", "precision.compute"),
        reads=("bf16",),
    ),
    *quantisation_rows(),
    *(
        unsupported(f"model.rope.{name}", "other positions are not compiled for it yet", "notimpl")
        for name in (
            *("type", "factor", "theta", "original_length", "beta_fast", "beta_slow"),
            *("attention_factor", "low_freq_factor", "high_freq_factor"),
        )
    ),
    Row(
        ("model.experts.balance_loss",),
        (),
        _lower_balance,
        lambda: 0.0,
        uses=("derived.router_logits",),
    ),
    unsupported("model.experts.freeze_router", "there is no key for it", neutral=(False,)),
    *image_rows(),
    *token_rows(),
    constant(
        "resize_token_embeddings_to_32x",
        False,
        "rows are added where new tokens need them, by the plugin",
        absent=None,
    ),
    # data
    *data_rows(),
    *prepared_rows(),
    *(
        unsupported(
            path, "only compared answers have a prompt to cut", "never", neutral, "leave it out"
        )
        for path, neutral in (("data.max_prompt_length", (None,)), ("data.prompt_cut", ("always",)))
    ),
    unsupported(
        "train.eval_steps",
        "it evaluates before the first step as well",
        "notimpl",
        (None,),
        "leave it out",
    ),
    Row(("data.packing",), (), _lower_packing, lambda: None),
    field("data.shuffle", "curriculum_sampling", lambda on: not on, lambda on: not on, absent=None),
    constant("val_set_size", 0.0, "nothing is held out", absent=0.0),
    constant("sample_packing", False, "rows stand alone", absent=None),
    constant("eval_sample_packing", False, "rows stand alone", absent=None),
    constant("pad_to_sequence_len", None, "batches are as long as their longest row", absent=None),
    constant("pad_to_multiple_of", EIGHT, "as in all backends", absent=None),
    Row(
        ("data.group_by_length",),
        (GROUPED,),
        lower_grouped,
        bool,
        uses=USES,
        absent=(None,),
    ),
    constant("dataloader_drop_last", False, "no row is left out in silence", absent=None),
    constant("dataloader_num_workers", 0, "rows are read in one order", absent=None),
    # what it would switch on by itself, or switches kernels
    constant("activation_offloading", False, "activations stay where they are", absent=False),
    constant("torch_compile", False, "compiled code rounds otherwise", absent=None),
    constant("use_kernels", False, "other kernels round otherwise", absent=None),
    constant("include_tkps", False, "nothing is counted during the steps", absent=True),
    Row(
        LOSSES,
        ("use_eaft", "eaft_alpha", "eaft_k"),
        _lower_loss,
        _lift_loss,
        absent=(None, 1.0, 20),
    ),
    unsupported("method.objective.prompt_weight", "a token trains or it does not", neutral=(0.0,)),
    *tuner_rows(),
    frozen_row(),
    *train_rows(),
    # where
    Row((("hardware.device"),), (DEVICE,), lambda name: name, lambda name: name, absent=("cuda",)),
    *(
        Row(
            (f"hardware.{name}",),
            (key,),
            _lower_processes,
            lambda count: count,
            uses=("hardware.device",),
            absent=(1,),
        )
        for name, key in (("devices", PROCESSES), ("nodes", NODES))
    ),
    no_sequences("rows that devices share are not compiled for it yet"),
    no_tensors(
        "where several processes train it looks for ways between GPUs first (utils/environment.py), so that "
        "layers were not seen to be cut there"
    ),
    *(
        unsupported(
            f"hardware.zero.{name}",
            "sharding is not compiled for it yet",
            "notimpl",
            neutral,
            "run.backends: deepspeed",
        )
        for name, neutral in (
            ("stage", (None, 0)),
            ("offload_optimizer", (None, False)),
            ("offload_parameters", (None, False)),
            ("offload_folder", (None,)),
            ("leaf_modules", (None,)),
        )
    ),
    *sharding_rows(),
    unsupported(
        "output.hub.repo", "pushing is not compiled for it yet", "notimpl", hint="output.hub: null"
    ),
    no_float8(),
    warmup_row(),
    no_decay("its trainer decays no biases and norms, and no key says otherwise"),
    no_qat("it trains so by torchao, by settings of its own, which are not compiled for yet"),
    no_copy("its command that trains makes none"),
    *ours("output.hub.private"),
    *ours(*OWN_PATHS),
)
SFT = FieldMap("axolotl", (_objective("sft"), *_ROWS))
CPT = FieldMap(
    "axolotl",
    (
        _objective("cpt"),
        *(
            row
            for row in _ROWS
            if row.paths[:1] == ("method.objective.average",)
            or not row.paths[:1]
            or not row.paths[0].startswith("method.objective.")
        ),
    ),
)
DPO = dpo(SFT)
KTO = kto(SFT)
FREE = {each.objective: free(SFT, each) for each in (ORPO, CPO, SIMPO)}
EBFT = energy(SFT)
