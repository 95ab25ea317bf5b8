"""Spec paths <-> axolotl's keys of `rl: ebft`, in its mode `structured`.

axolotl 0.19.0, core/trainers/ebft: around trl's GRPOTrainer (1.9), with one reward of its own. It hands the
section `trl` to GRPOConfig, and of `ebft` it reads what stands here; the others belong to its mode `strided`,
or to answers that vLLM draws while it trains on others. Features are read of the first `max_seq_length`
tokens, which no key says: a plugin does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.objectives.online import OWN, SHARED
from ftspec.families.objectives.preference import BARRED, OBJECTIVE, Bar, barred
from ftspec.families.objectives.prompts import SAMPLER, one_seed_row
from ftspec.families.objectives.vllm import GENERATION
from ftspec.families.trainers import Trainer
from ftspec.mapping import FieldMap, Refuse, Row, constant, field, replaced
from ftspec_axolotl.answers import ANSWERS, ARGUMENTS, TRAINERS
from ftspec_axolotl.preference import ALONE, learned_rows, of_sft

EBFT = Trainer("ebft", TRAINERS["ebft"], "AxolotlEBFTConfig", pairs=True)
FEATURES = {
    "feature_layers": "feature_layers",
    "embed_method": "embed_method",
    "whitening": "use_whitening",
    "alignment_weight": "alignment_coef",
    "diversity_weight": "diversity_coef",
}
"""Of the section `ebft`, by the field."""
UNREAD = {"mode": "structured", "ce_coef": 0.0, "adaptive_max_tokens": False}
DRAWN: Mapping[str, tuple[str, Any]] = {
    f"{GENERATION}completions": ("num_generations", 8),
    f"{GENERATION}max_length": ("max_completion_length", 256),
    f"{GENERATION}temperature": ("temperature", 1.0),
    f"{GENERATION}top_p": ("top_p", 1.0),
    f"{GENERATION}top_k": ("top_k", 0),
    f"{GENERATION}min_p": ("min_p", None),
    f"{GENERATION}repetition_penalty": ("repetition_penalty", 1.0),
    f"{OBJECTIVE}beta": ("beta", 0.0),
    f"{OBJECTIVE}loss": ("loss_type", "dapo"),
    f"{OBJECTIVE}scale": ("scale_rewards", "group"),
    f"{OBJECTIVE}clip": ("epsilon", 0.2),
    f"{OBJECTIVE}clip_high": ("epsilon_high", None),
    f"{OBJECTIVE}iterations": ("num_iterations", 1),
    f"{OBJECTIVE}mask_truncated": ("mask_truncated_completions", False),
    "model.template_options": ("chat_template_kwargs", {}),
}
"""Of the section `trl`, by path: the name, and what trl assumes."""
ASIDE = {"use_vllm": False, "sync_ref_model": False, "log_completions": False}
PLAIN: Mapping[str, tuple[Any, str]] = {
    "delta": (None, "the ratio has no other bound than clip"),
    "importance_sampling_level": ("token", "tokens are weighed, not whole completions"),
    "multi_objective_aggregation": ("sum_then_normalize", "there is one reward"),
    "top_entropy_quantile": (1.0, "all tokens count"),
    "entropy_coef": (0.0, "entropy is not rewarded"),
    "use_adaptive_entropy": (False, "entropy is not rewarded"),
    "use_bias_correction_kl": (False, "the divergence is weighed by beta alone"),
    "off_policy_mask_threshold": (None, "no completion is left out for its distance"),
    "cast_lm_head_to_fp32": (False, "the head keeps its type"),
    "cache_implementation": (None, "other caches are not in a spec yet"),
    "generation_kwargs": (None, "other settings of generation are not in a spec yet"),
    "use_transformers_continuous_batching": (False, "it is not in a spec yet"),
    "router_aux_loss_coef": (0.0, "mixtures are not compiled for it yet"),
}
"""Settings of GRPOConfig that say nothing of a spec, and stay as trl 1.9 has them; but that it would add a
balance of experts where a model's config speaks of one."""
UNSEEN = (
    "method.tuner.dropout",
    "data.system",
    "data.max_length",
    "data.overflow",
    "model.chat_template",
)
"""What scripts of GRPO refuse and this does not."""
BARS: Mapping[str, Bar] = {
    **{path: BARRED[path] for path in SHARED},
    **{path: bar for path, bar in OWN.items() if path not in UNSEEN},
    **ALONE,
    "data.train": Bar(
        lambda sources: not any("tools" in source["columns"] for source in sources),
        "prompts are written without the tools of their rows (trl/trainer/grpo_trainer.py, "
        "_tokenize_prompts)",
        hint="rows without a column `tools`",
    ),
    "data.group_by_length": Bar(lambda on: not on, SAMPLER, hint="leave it out"),
    "data.overflow": Bar(
        lambda what: what in ("truncate", "error"),
        "features are read of the first tokens of a longer text, and no row is left out",
        "notyet",
        "data.overflow: truncate",
    ),
    "data.max_length": Bar(
        lambda length: length is not None,
        "features are read of so many tokens at most",
        hint="data.max_length: a number",
    ),
}


def energy(sft: FieldMap) -> FieldMap:
    """The map of `rl: ebft`, from the supervised one."""
    rows = replaced(learned_rows(EBFT), *_own())
    written = {key for row in rows for key in row.keys}
    kept = (row for row in sft.rows if not of_sft(row) and not written.intersection(row.keys))
    others = replaced(kept, *rows)[: -len(rows)]
    return FieldMap(sft.backend, barred((*rows, *others), BARS))


def _own() -> tuple[Row, ...]:
    return (
        Row(
            tuple(f"{OBJECTIVE}{name}" for name in FEATURES),
            ("ebft",),
            lambda layers, method, *others: {
                **UNREAD,
                **dict(
                    zip(
                        FEATURES.values(),
                        (list(layers), method.replace("-", "_"), *others),
                        strict=True,
                    )
                ),
            },
            _lift_features,
            absent=(None,),
        ),
        Row(tuple(DRAWN), ("trl",), _lower_drawn, _lift_drawn),
        Row(
            (f"{GENERATION}engine", f"{GENERATION}memory"),
            (),
            _lower_engine,
            lambda: ("transformers", 0.3),
        ),
        Row(
            ("data.max_length",),
            ("sequence_len", f"{ARGUMENTS}max_seq_length"),
            lambda length: (length, length),
            lambda _whole, length: length,
            absent=(512, 2048),
        ),
        Row(("data.overflow",), (), lambda _what: (), lambda: "truncate"),
        field("data.system", f"{ANSWERS}system", absent=None),
        Row(
            ("data.shuffle",),
            ("curriculum_sampling", f"{ARGUMENTS}shuffle_dataset"),
            lambda shuffle: (False, shuffle),
            lambda _curriculum, shuffle: shuffle,
            absent=(None, True),
        ),
        one_seed_row(ARGUMENTS, "the trainer's seed draws the order of prompts"),
        Row(
            (),
            (f"{ARGUMENTS}steps_per_generation",),
            lambda passes: passes,
            lambda _passes: (),
            uses=("derived.accumulation_steps",),
            absent=(None,),
        ),
        *(constant(ARGUMENTS + name, *said) for name, said in PLAIN.items()),
        constant(f"{ARGUMENTS}disable_dropout", False, "the adapter's own holds", absent=False),
    )


def _lift_features(section: Mapping[str, Any] | None) -> tuple[Any, ...]:
    if section is None or any(section.get(name) != value for name, value in UNREAD.items()):
        raise Refuse(f"ebft: {section!r} is read by `ftspec import` only", "notimpl")
    layers, method, *others = (section[name] for name in FEATURES.values())
    return tuple(layers), method.replace("_", "-"), *others


def _lower_drawn(*values: Any) -> dict[str, Any]:
    said = {name: value for (name, _), value in zip(DRAWN.values(), values, strict=True)}
    said["loss_type"] = said["loss_type"].replace("-", "_")
    # null would be what the model's own generation_config.json says
    said["min_p"] = said["min_p"] or 0.0
    return ASIDE | {name: value for name, value in said.items() if value not in (None, {})}


def _lift_drawn(section: Mapping[str, Any]) -> tuple[Any, ...]:
    said = dict(section)
    if any(said.get(name, value) != value for name, value in ASIDE.items()):
        raise Refuse("other settings of `trl` are read by `ftspec import` only", "notimpl")
    said["min_p"] = said.get("min_p") or None
    if "loss_type" in said:
        said["loss_type"] = said["loss_type"].replace("_", "-")
    return tuple(said.get(name, assumed) for name, assumed in DRAWN.values())


def _lower_engine(engine: str, _memory: float) -> Any:
    if engine == "vllm":
        raise Refuse("vLLM is not in its lock", "notimpl", "engine: transformers")
    return ()
