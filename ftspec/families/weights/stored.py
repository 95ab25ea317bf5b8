"""Checkpoints whose weights were quantised before: what can be trained over them, and who unpacks them.

transformers 5.6.0, quantizers/*.py and core_model_loading.py; peft 0.18.1, tuners/lora/*.py; gptqmodel 5.8.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from ftspec.backend import Apart
from ftspec.mapping import MISSING, Flat, Refuse, Row, Support
from ftspec.spec.model import UNPACKED

KIND, WHOLE = "model.stored.type", "model.stored.dequantize"
PATHS = (KIND, WHOLE)
DTYPE = "derived.dequantized_dtype"
"""The type that weights are unpacked into: mxfp4's always, fp8's where the files are at hand."""
WHOLE_WEIGHTS = "name the model's whole weights, with model.quantization: nf4"
TEMPLATE = files("ftspec.families") / "templates" / "stored.py.j2"
CALLS = {
    "mxfp4": "Mxfp4Config",
    "fp8": "FineGrainedFP8Config",
    "gptq": "GPTQConfig",
    "awq": "AwqConfig",
}
PLACE = "model.device_map"
"""Native pseudo-key: where packed weights are put."""
KERNELS = {"gptq": "torch", "awq": "torch_awq"}
"""gptqmodel's kernels in plain torch. Left to itself it takes what it finds best on the machine, from the
hub too, and each rounds otherwise."""
OVER_PACKED = tuple(KERNELS)
REASON = "gptqmodel, which unpacks GPTQ and AWQ, is in no other lock"
NEEDS = {
    "GPTQConfig.backend": "gptqmodel optimum kernels requests",
    "AwqConfig.backend": "gptqmodel kernels requests",
}
BITSANDBYTES = (
    *(
        "adamw-8bit",
        "lion-8bit",
        "paged-adamw",
        "paged-adamw-8bit",
        "paged-lion",
        "paged-lion-8bit",
    ),
)
"""Optimizers of a package that lies beside gptqmodel in no lock."""
NOT_TRAINABLE = ("fp8", "mxfp4", "fbgemm_fp8", "higgs", "spqr", "vptq", "auto-round")
UNREAD: Mapping[str, tuple[str, Support]] = {
    "hqq": (
        "transformers finds no weight of a checkpoint in hqq: it draws all linear layers anew, says so in a "
        "table of the log, and would train over those",
        "notyet",
    ),
    "eetq": (
        "transformers loads layers of its own for eetq, and peft puts adapters over those of the package "
        "eetq alone",
        "notyet",
    ),
    "aqlm": (
        "peft adds to what a layer in aqlm gave in place, which torch forbids for what the package's CPU "
        "kernels give; its CUDA kernels were not seen, and the package is not in the lock",
        "notyet",
    ),
    "compressed-tensors": ("compressed-tensors, which unpacks it, is not in the lock", "notimpl"),
    "quanto": ("optimum-quanto, which unpacks it, is not in the lock", "notimpl"),
}


def apart(versions: str) -> dict[str, Apart]:
    """By native key, the environment that it needs; ``versions`` are those of the backend's package."""
    return {f"{CALLS[kind]}.backend": Apart("gptq", versions, REASON) for kind in OVER_PACKED}


def template() -> str:
    """The statements that load such a base."""
    return TEMPLATE.read_text("utf-8")


def context(native: Flat) -> dict[str, Any]:
    """What a template needs: the configuration, and whether weights are made whole."""
    for kind, call in CALLS.items():
        names = (f"{call}.{name}" for name in ("bits", "backend", "dequantize"))
        given = {key.removeprefix(f"{call}."): native[key] for key in names if native.get(key)}
        if given:
            stored = {"call": call, "settings": {"": given}}
            return {"stored": stored, "unpacked": kind in UNPACKED}
    return {"stored": None, "unpacked": False}


def stored_row(
    keys: tuple[str, ...],
    lower: Callable[..., Any],
    lift: Callable[..., Any],
    uses: tuple[str, ...] = (),
    absent: tuple[Any, ...] = (),
) -> Row:
    """The section `model.stored`, for a backend that unpacks or trains over some kinds.

    ``lower`` takes the kind, whether it is unpacked, and what it ``uses``; whole weights and kinds that
    nobody trains over do not reach it.
    """

    def checked(kind: str | None, whole: bool | None, objective: str, *used: Any) -> Any:
        if kind is None:
            return MISSING if len(keys) == 1 else (MISSING,) * len(keys)
        refuse_unread(kind, bool(whole))
        if objective not in ("sft", "cpt"):
            reason = "a checkpoint that is quantised already was seen in supervised training alone"
            raise Refuse(reason, "notimpl", WHOLE_WEIGHTS)
        return lower(kind, bool(whole), *used)

    uses = ("method.objective.type", *uses)
    return Row(PATHS, keys, checked, lift, uses=uses, absent=absent)


def no_stored(reason: Callable[[str], Refuse]) -> Row:
    """The section where nothing that is quantised already is trained over."""

    def lower(kind: str | None, _whole: bool | None) -> tuple[()]:
        if kind is not None:
            raise reason(kind)
        return ()

    return Row(PATHS, (), lower, lambda: (None, None))


def refuse_unread(kind: str, whole: bool) -> None:
    """What no backend can train over."""
    if kind in UNREAD:
        reason, support = UNREAD[kind]
        raise Refuse(reason, support, WHOLE_WEIGHTS)
    if kind in NOT_TRAINABLE and not whole:
        way = f"model.stored: {{type: {kind}, dequantize: true}}"
        raise Refuse(
            f"transformers trains nothing over weights in {kind}",
            "notyet",
            way if kind in UNPACKED else WHOLE_WEIGHTS,
        )
    if kind not in CALLS:
        reason = (
            f"the checkpoint is quantised by {kind}, in a way and with an arithmetic of its own"
        )
        raise Refuse(reason, "notimpl", WHOLE_WEIGHTS)


def refuse_other_type(unpacked: str | None, needed: str | None) -> None:
    """Of a backend without a key for it: weights come out in another type than the others have."""
    if None not in (unpacked, needed) and unpacked != needed:
        raise Refuse(
            f"weights come unpacked in {unpacked}, the others are {needed}, and it has no key that makes "
            "them alike",
            "notyet",
            f"model.dtype: {unpacked}; or run.backends: trl",
        )


SCRIPTED = (
    *("method.tuner.type", "method.tuner.init.type", "method.tuner.dora"),
    *("method.tuner.targets", "precision.compute", "train.qat.weights", "output.quantization"),
    *("run.environment", "hardware.zero.stage", "train.optimizer.type", "hardware.device"),
    *(
        "hardware.devices",
        "hardware.nodes",
        "hardware.fsdp.sharding_strategy",
        "model.new_tokens.tokens",
    ),
)
"""What decides whether a script can train over such a checkpoint."""


def scripted_row() -> Row:
    """The section as a script says it: a configuration beside the checkpoint's own, for its loading."""
    keys = (
        *(f"{CALLS[kind]}.dequantize" for kind in UNPACKED),
        *(f"{CALLS[kind]}.backend" for kind in OVER_PACKED),
        f"{CALLS['gptq']}.bits",
        PLACE,
    )
    return stored_row(
        keys, _lower_scripted, _lift_scripted, SCRIPTED, (False, False, None, "auto", MISSING, None)
    )


def _lower_scripted(kind: str, whole: bool, *used: Any) -> tuple[Any, ...]:
    given = dict(zip(SCRIPTED, used, strict=True))
    if given["hardware.zero.stage"] == 3:
        reason = "under stage 3 a checkpoint that is quantised already was not seen to be loaded"
        raise Refuse(reason, "notimpl", "hardware.zero.stage: 2")
    if given["hardware.fsdp.sharding_strategy"] is not None:
        reason = "under FSDP a checkpoint that is quantised already was not seen to be loaded"
        raise Refuse(reason, "notimpl", "hardware.fsdp: null")
    if given["model.new_tokens.tokens"]:
        reason = "new tokens beside a checkpoint that is quantised already were not seen"
        raise Refuse(reason, "notimpl", "model.new_tokens: null")
    if given["output.quantization"] is not None:
        reason = "a copy of the result begins with whole weights, which are not at hand"
        raise Refuse(reason, "notimpl", "leave output.quantization out")
    if kind in OVER_PACKED:
        _refuse_packed(kind, given)
    return (
        *(True if kind == name else MISSING for name in UNPACKED),
        *(KERNELS[name] if kind == name else MISSING for name in OVER_PACKED),
        4 if kind == "gptq" else MISSING,  # the class wants a number; the checkpoint's own holds
        # where nothing is said, transformers leaves GPTQ on the CPU, and the trainer does not move it
        "cuda:0" if kind in OVER_PACKED and given["hardware.device"] == "cuda" else MISSING,
    )


def _refuse_packed(kind: str, given: Mapping[str, Any]) -> None:
    """Weights stay packed: what was seen to train over them, and what peft's layer has."""
    if given["method.tuner.type"] != "lora":
        raise Refuse(f"over weights in {kind} only LoRA was seen to train", "notimpl")
    if given["method.tuner.targets"] == "all-linear":
        raise Refuse(
            "peft takes torch's own linear layers for `all-linear`, and gptqmodel's are none",
            "notyet",
            "method.tuner.targets: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]",
        )
    if given["method.tuner.dora"]:
        raise Refuse("peft's layer over it has no DoRA (tuners/lora/gptq.py)", "notyet")
    if given["method.tuner.init.type"] != "default":
        reason = f"over weights in {kind} only adapters that begin as usual were seen to train"
        raise Refuse(reason, "notimpl", "method.tuner.init: default")
    if given["precision.compute"] == "fp8" or given["train.qat.weights"] is not None:
        raise Refuse("layers of a quantised base have a product of their own", "never")
    if (given["hardware.devices"], given["hardware.nodes"]) != (1, 1):
        reason = "packed weights are put on the first GPU; several were not seen"
        raise Refuse(reason, "notimpl", "hardware.devices: 1")
    if given["train.optimizer.type"] in BITSANDBYTES:
        reason = "bitsandbytes, which has this optimizer, is not in the lock with gptqmodel"
        raise Refuse(reason, "notimpl", "train.optimizer: adamw")
    if given["run.environment"] == "latest":
        reason = "the lock with gptqmodel is over the aligned versions"
        raise Refuse(reason, "notimpl", "run.environment: aligned")


def _lift_scripted(*values: Any) -> tuple[str | None, bool | None]:
    *given, _bits, _place = values
    kinds = (*UNPACKED, *OVER_PACKED)
    for kind, value in zip(kinds, given, strict=True):
        if kind in UNPACKED and value is True:
            return kind, True
        if kind in OVER_PACKED and value not in (None, "auto"):
            if value != KERNELS[kind]:
                raise Refuse(f"backend={value!r} is not in a spec: it is {KERNELS[kind]!r}")
            return kind, False
    return None, None
