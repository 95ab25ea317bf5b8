"""Rows of objectives that learn from completions drawn while training: trl's GRPOConfig and RLOOConfig.

Names, defaults and formulas: trl 1.16, trainer/grpo_config.py, grpo_trainer.py and their RLOO siblings;
checked against schemas/native/*.json. Both draw the order of prompts by `seed`, repeat each prompt for its
group, and count completions in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ftspec.families.objectives.preference import (
    BARRED,
    NEUTRAL,
    OBJECTIVE,
    Bar,
    trained,
    trained_by,
)
from ftspec.families.objectives.prompts import limit_row, no_lengths, one_seed_row, prompt_rows
from ftspec.families.objectives.scored import REWARDS, lift_rewards, lower_rewards
from ftspec.families.objectives.vllm import GENERATION, engine_row
from ftspec.families.rows.script_data import LIMIT
from ftspec.families.trainers import GRPO, ONLINE_DPO, RLOO, Trainer
from ftspec.mapping import MISSING, FieldMap, Refuse, Row, constant, field, unsupported

ONE_SEED = "these trainers draw the order of prompts by the trainer's seed, whatever data_seed is"
SHARED = ("train.label_smoothing", "data.packing", "data.prepare", "model.quantization.type")
"""What they refuse for the same reasons as all that compare answers."""
OWN: Mapping[str, Bar] = {
    "method.tuner.type": Bar(
        lambda kind: kind in ("full", "lora"),
        "of all tuners only full tuning and LoRA were seen to train from rewards",
        "notimpl",
        "method.tuner.type: lora",
    ),
    "method.tuner.dropout": Bar(
        lambda share: not share,
        "probabilities before and after a step are compared, and dropout would make both noisy",
        hint="leave it out",
    ),
    "method.tuner.bias": BARRED["method.tuner.bias"],
    "method.tuner.init.type": Bar(
        lambda kind: kind in NEUTRAL,
        "the model that divergence is measured from is the base with the adapter switched off, and this "
        "takes out of the base what it puts into the adapter",
        hint="method.tuner.init: default",
    ),
    "method.tuner.adapter": Bar(
        lambda adapter: adapter is None,
        "a saved adapter that learns from rewards is not compiled yet",
        "notimpl",
        "merge it first: a stage with `adapter: merge`",
    ),
    "method.tuner.plus_ratio": Bar(
        lambda ratio: ratio is None, "LoRA+ was not seen with these trainers", "notimpl"
    ),
    "train.neftune_alpha": Bar(
        lambda alpha: alpha is None, "the noise would fall on what is compared", "never"
    ),
    "data.eval": Bar(
        lambda sources: not sources,
        "completions of other prompts are not drawn to evaluate yet",
        "notimpl",
        "leave data.eval out; rewards of each step are logged",
    ),
    "data.eval_size": Bar(
        lambda size: size is None,
        "completions of other prompts are not drawn to evaluate yet",
        "notimpl",
        "leave data.eval_size out; rewards of each step are logged",
    ),
    "data.system": Bar(
        lambda text: text is None,
        "whether prompts are conversations is not seen before the rows are read",
        "notimpl",
        "leave data.system out, and put it into the rows",
    ),
    "data.max_length": Bar(
        lambda length: length is not None,
        "scripts of prompts without a limit are not compiled yet",
        "notimpl",
        "data.max_length: a number that all prompts keep",
    ),
    "data.overflow": Bar(
        lambda what: what in ("drop", "error"),
        "a prompt is not cut: its end is the question",
        "notyet",
        "data.overflow: drop, or error",
    ),
    "model.chat_template": Bar(
        lambda template: template == "tokenizer",
        "these trainers take no template beside the tokenizer's own",
        "notimpl",
        "save the template with the tokenizer",
    ),
    "hardware.tensor_parallel": Bar(
        lambda share: share == 1,
        "these trainers were never seen beside layers that are cut over devices",
        "notimpl",
    ),
    "hardware.sequence_parallel": Bar(
        lambda share: share == 1, "these trainers do not split rows over devices"
    ),
}


def grpo(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The map of a script backend for GRPO, from its supervised one; ``bars`` are the backend's own."""
    return _online(sft, GRPO, bars, *grpo_rows())


def rloo(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The same for RLOO."""
    return _online(sft, RLOO, bars, *rloo_rows())


def online_dpo(sft: FieldMap, bars: Mapping[str, Bar] = MappingProxyType({})) -> FieldMap:
    """The same for online DPO, which is of another family of trainers."""
    (batch,) = (row for row in sft.rows if row.paths[:1] == ("train.batch_size",))
    rows = (*pair_rows(ONLINE_DPO.prefix), replace(batch, lower=_at_once(batch.lower)))
    return _mapped(sft, ONLINE_DPO, bars, *rows)


def _online(sft: FieldMap, trainer: Trainer, bars: Mapping[str, Bar], *own: Row) -> FieldMap:
    rows = (*order_rows(trainer.prefix), *sampled_rows(trainer), *own)
    return _mapped(sft, trainer, bars, *rows)


def _mapped(sft: FieldMap, trainer: Trainer, bars: Mapping[str, Bar], *own: Row) -> FieldMap:
    whole = constant(
        f"{trainer.prefix}remove_unused_columns", False, "rewards read other columns", absent=False
    )
    rows = (trained(trainer), *prompt_rows(), whole, *drawing_rows(trainer.prefix), *own)
    kept = {path: BARRED[path] for path in SHARED}
    return trained_by(sft, trainer, {**kept, **OWN, **bars}, *rows)


def order_rows(config: str) -> tuple[Row, ...]:
    """The order that trainers of groups draw prompts in, and what they do not pad or drop."""
    return (
        limit_row(),
        Row(
            ("data.shuffle",),
            (f"{config}shuffle_dataset",),
            lambda shuffle: shuffle,
            lambda shuffle: shuffle,
            absent=(True,),
        ),
        no_lengths(),
        one_seed_row(config, ONE_SEED),
        Row(
            ("data.packing",),
            (f"{config}pad_to_multiple_of",),
            lambda _packing: None,
            lambda _pad: None,
            absent=(None,),
        ),
        constant(
            f"{config}disable_dropout",
            True,
            "probabilities before and after a step are compared",
            absent=False,
        ),
    )


def drawing_rows(config: str) -> tuple[Row, ...]:
    """Rewards, and how completions are drawn."""
    usual = 0.9 if config == ONLINE_DPO.prefix else 1.0
    return (
        Row(
            (f"{OBJECTIVE}rewards",),
            (REWARDS, f"{config}reward_weights"),
            lambda rewards, trust: (
                lower_rewards(rewards, trust),
                [reward["weight"] for reward in rewards],
            ),
            lift_rewards,
            uses=("model.trust_remote_code",),
            absent=(MISSING, None),
        ),
        field(f"{GENERATION}temperature", f"{config}temperature", absent=usual),
        field(f"{GENERATION}top_p", f"{config}top_p", absent=1.0),
        field(f"{GENERATION}top_k", f"{config}top_k", absent=0),
        Row(
            (f"{GENERATION}min_p",),
            (f"{config}min_p",),
            # None would be what the model's own generation_config.json says
            lambda share: 0.0 if share is None else share,
            lambda share: share or None,
            absent=(None,),
        ),
        field(f"{GENERATION}repetition_penalty", f"{config}repetition_penalty", absent=1.0),
        engine_row(config),
        field(f"{OBJECTIVE}beta", f"{config}beta"),
        *(
            constant(config + name, value, reason, absent=value)
            for name, value, reason in (
                ("cache_implementation", None, "other caches are not in a spec yet"),
                ("generation_kwargs", None, "other settings of generation are not in a spec yet"),
            )
        ),
    )


def sampled_rows(trainer: Trainer) -> tuple[Row, ...]:
    """What both objectives make of groups."""
    config, group = trainer.prefix, 2 if trainer is RLOO else 8
    return (
        field(f"{GENERATION}completions", f"{config}num_generations", absent=group),
        field(f"{GENERATION}max_length", f"{config}max_completion_length", absent=512),
        field(f"{OBJECTIVE}clip", f"{config}epsilon", absent=0.2),
        field(f"{OBJECTIVE}clip_high", f"{config}epsilon_high", absent=None),
        field(f"{OBJECTIVE}iterations", f"{config}num_iterations", absent=1),
        field(f"{OBJECTIVE}mask_truncated", f"{config}mask_truncated_completions", absent=False),
        Row(
            (),
            (f"{config}steps_per_generation",),
            lambda accumulation: accumulation,
            _lift_rounds,
            uses=("derived.accumulation_steps",),
            reads=(f"{config}gradient_accumulation_steps",),
            absent=(None,),
        ),
        *(
            constant(config + name, value, reason, absent=value)
            for name, value, reason in (
                ("sync_ref_model", False, "a reference that follows is not in a spec yet"),
                ("chat_template_kwargs", None, "values for templates are not in a spec yet"),
                ("use_transformers_continuous_batching", False, "it is not in a spec yet"),
                ("log_completions", False, "completions are noted with their rewards"),
            )
        ),
    )


def grpo_rows() -> tuple[Row, ...]:
    """What GRPO has beside that."""
    config = GRPO.prefix
    return (
        Row(
            (f"{OBJECTIVE}loss",),
            (f"{config}loss_type",),
            lambda loss: loss.replace("-", "_"),
            lambda loss: loss.replace("_", "-"),
            absent=("dapo",),
        ),
        Row(
            (f"{OBJECTIVE}aggregation",),
            (f"{config}multi_objective_aggregation",),
            lambda how: how.replace("-", "_"),
            lambda how: how.replace("_", "-"),
            absent=("sum_then_normalize",),
        ),
        field(f"{OBJECTIVE}scale", f"{config}scale_rewards", absent="group"),
        field(f"{OBJECTIVE}importance", f"{config}importance_sampling_level", absent="token"),
        field(f"{OBJECTIVE}delta", f"{config}delta", absent=None),
        *(
            constant(config + name, value, reason, absent=value)
            for name, value, reason in (
                ("top_entropy_quantile", 1.0, "all tokens count"),
                ("entropy_coef", 0.0, "entropy is not rewarded in a spec yet"),
                ("use_adaptive_entropy", False, "entropy is not rewarded in a spec yet"),
                ("use_bias_correction_kl", True, "the divergence's gradient is then unbiased"),
                ("off_policy_mask_threshold", None, "no completion is left out for its distance"),
                ("cast_lm_head_to_fp32", False, "the head keeps its type"),
            )
        ),
    )


def rloo_rows() -> tuple[Row, ...]:
    """What RLOO has beside that."""
    config = RLOO.prefix
    return (
        field(f"{OBJECTIVE}normalize_advantages", f"{config}normalize_advantages", absent=False),
        Row(
            (f"{OBJECTIVE}reward_limit",),
            (f"{config}reward_clip_range",),
            lambda limit: None if limit is None else [-limit, limit],
            _lift_limit,
            absent=(None,),
        ),
    )


def pair_rows(config: str) -> tuple[Row, ...]:
    """What online DPO makes of a pair for each prompt."""
    return (
        Row(
            ("data.max_length", "data.overflow", f"{GENERATION}max_length"),
            (LIMIT, f"{config}max_length", f"{config}max_new_tokens"),
            # it cuts the beginning of what is longer than both together: nothing is
            lambda length, overflow, new: (
                length if overflow == "drop" else MISSING,
                length + new,
                new,
            ),
            lambda _limit, whole, new: (whole - new, "drop", new),
            absent=(None, 512, 64),
        ),
        Row(("data.packing",), (), lambda _packing: (), lambda: None),
        unsupported(
            "model.experts.balance_loss", "online DPO adds no balance loss", neutral=(0.0,)
        ),
        field(f"{OBJECTIVE}loss", f"{config}loss_type", absent="sigmoid"),
        field(f"{OBJECTIVE}missing_end_penalty", f"{config}missing_eos_penalty", absent=None),
        constant(f"{config}disable_dropout", True, "the reference must not be noisy", absent=True),
    )


def _at_once(lower: Callable[..., Any]) -> Callable[..., Any]:
    """A batch that goes through the model in one piece on each device."""

    def checked(*values: Any) -> Any:
        micro, accumulation = lower(*values)
        if accumulation > 1:
            raise Refuse(
                f"its step does not divide a loss by the {accumulation} accumulated batches: gradients would "
                "be that many times too large (experimental/online_dpo/online_dpo_trainer.py)",
                "notyet",
                "train.micro_batch_size: as large as the batch on one device",
            )
        return micro, accumulation

    return checked


def _lift_rounds(rounds: int | None, accumulation: int) -> tuple[()]:
    if rounds not in (None, accumulation):
        raise Refuse("completions for several steps at once are not in a spec yet", "notimpl")
    return ()


def _lift_limit(limits: Any) -> float | None:
    if limits is None:
        return None
    low, high = limits
    if low != -high:
        raise Refuse("limits of rewards that are not alike on both sides are not in a spec yet")
    return float(high)
