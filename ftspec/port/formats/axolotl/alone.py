"""What axolotl alone does, and a spec cannot say: each with what it changes in the training."""

from __future__ import annotations

from collections.abc import Mapping

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.words import off_or, said
from ftspec.port.rules import Context, Outcome, Rule, inert, section, unknown

PLUGINS: Mapping[str, str] = {
    "DenseMixerPlugin": "routers learn from all experts (dense_mixer), not from those that are chosen",
    "DiffusionPlugin": "the model learns to fill masks of a diffusion, not to go on with a text",
    "ExpertParallelPlugin": "experts spread over devices are not in a spec",
    "GrokfastPlugin": "slow parts of each gradient are made larger (grokfast)",
    "HatcheryPlugin": "another machine trains",
    "KDPlugin": "it learns from stored probabilities of a teacher (kd_*), not from a teacher that runs along",
    "LLMCompressorPlugin": "weights that are zero stay zero (llmcompressor), which is not in a spec",
    "MoraPlugin": "an adapter of square matrices (MoRA) is not in a spec",
    "NemoGymPlugin": "rewards come from a server of environments (nemo_gym_*)",
    "SpectrumPlugin": "weights train by a list of signal-to-noise ratios that it downloads; "
    "unfrozen_parameters names them",
}
"""By class: what axolotl/integrations of 0.19 do to a training."""
QAT: Mapping[str, str] = {
    "nvfp4": "axolotl stops: torchao 0.17 has no training for NVFP4WeightOnlyConfig (utils/quantization.py)",
    "int8": "axolotl stops: `not supported by torchao QAT` (utils/quantization.py)",
    "mxfp4": "weights and inputs of all linear layers, the head too, are rounded to mxfp4, not whole numbers",
    "int4": "weights are rounded to 16 steps between the lowest and the highest of a group, the head's too; "
    "a spec's int4 lies around zero and leaves the head",
    "ternary": "weights of three values are not in a spec",
}
"""By weight_dtype: utils/quantization.py, prepare_model_for_qat, which takes every linear layer."""
RESTARTS = (
    "the rate falls to a thousandth and rises again every so many steps, which is not in a spec"
)
LAYERS = (
    "layers that train for a while and are drawn anew by numpy's generator (LISA) are not in a spec"
)


def plugin(name: str) -> str:
    """What one of axolotl's plugins does, or that it is not known."""
    return PLUGINS.get(name.rpartition(".")[2], f"what {name} does is not in a spec")


def _qat(setting: Setting, context: Context) -> Outcome:
    if setting.key == "qat.fake_quant_after_n_steps":
        why = "from then on inputs are rounded; weights are from the first step (utils/callbacks/qat.py)"
        return Outcome("unknown", why=why)
    kind = str(section(context, "qat").get("weight_dtype", "int8"))
    return Outcome(
        "unknown", why=QAT.get(kind, "weights in float8 beside others are not in a spec")
    )


def _merging(_setting: Setting, context: Context) -> Outcome:
    """monkeypatch/relora.py: on_step_begin."""
    if not context.get("relora"):
        return Outcome("inert", why="relora is off")
    return Outcome(
        "unknown",
        why="every jagged_restart_steps steps the adapter is merged into the base and begins anew, and most "
        "of what AdamW remembers of it is zeroed",
    )


def _with(key: str, why: str) -> Rule:
    """Of no effect without another setting."""

    def rule(_setting: Setting, context: Context) -> Outcome:
        if not context.get(key):
            return Outcome("inert", why=f"{key} is not set")
        return Outcome("unknown", why=why)

    return off_or(rule)


def _eight(setting: Setting, context: Context) -> Outcome:
    """core/fp8.py: torchao's recipe, which accelerate hands to all linear layers but two, as here."""
    if not context.get("fp8"):
        return Outcome("inert", why="fp8 is off")
    if setting.key == "fp8_config.recipe":
        return Outcome("renamed", spec={"precision.fp8_recipe": setting.value})
    if setting.key == "fp8_enable_fsdp_float8_all_gather":
        why = (
            "8 bits are sent, under the scale of the whole tensor: the same values but for rounding"
        )
        return Outcome("inert", why=why)
    return Outcome("derived", spec={"precision.compute": "fp8"})


ALONE_RULES: dict[str, Rule] = {
    "qat.": said(_qat),
    "relora": off_or(_merging),
    "relora_prune_ratio": said(_merging),
    "relora_prune_method": said(_merging),
    "jagged_restart_steps": off_or(unknown(RESTARTS)),
    "jagged_restart_warmup_steps": _with("jagged_restart_steps", RESTARTS),
    "jagged_restart_anneal_steps": _with("jagged_restart_steps", RESTARTS),
    "lisa_n_layers": _with("lisa_step_interval", LAYERS),
    "lisa_step_interval": _with("lisa_n_layers", LAYERS),
    "lisa_layers_attribute": inert("where a model has its layers: lisa_n_layers says what trains"),
    "fp8": off_or(_eight),
    "fp8_config": inert("empty"),
    "fp8_config.recipe": said(_eight),
    "fp8_enable_fsdp_float8_all_gather": off_or(_eight),
    "llama4_linearized_experts": off_or(
        unknown(
            "of an upload made for it: each expert is a linear layer of its own, which may be adapted"
        )
    ),
    "tokenizer_use_mistral_common": off_or(
        unknown("mistral-common makes the rows, by rules of its own and not by a chat template")
    ),
    "use_onebitllms": off_or(
        unknown("layers with weights of three values (onebitllms) are not in a spec")
    ),
}
