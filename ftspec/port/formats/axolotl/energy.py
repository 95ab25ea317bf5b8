"""axolotl's `rl: ebft`: its section `ebft`, and what it hands over of `trl`.

core/trainers/ebft of 0.19.0. There are two trainers, by `ebft.mode`: `structured`,
which is GRPO's with a reward of its own, and `strided`, which reads nothing of `trl`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.energy_rows import STRIDED, WHOLE
from ftspec.port.formats.axolotl.entries import objective
from ftspec.port.formats.axolotl.words import FAST, SHOWN, off_or, said
from ftspec.port.rules import Context, Outcome, Rule, section
from ftspec.spec.energy import EBFT, StridedEBFT

OBJECTIVE = "method.objective."
DRAWN = f"{OBJECTIVE}generation."
UNREAD = "with `rl: ebft` nothing reads it (core/trainers/ebft/__init__.py)"
OTHERS = {
    WHOLE: "the mode structured reads it nowhere",
    STRIDED: "the mode strided reads it nowhere",
}
ENDS = (
    "tokens at which vLLM ends a completion, beside those of the model's own generation_config.json: a spec "
    "names none"
)
READ = 2048
"""Tokens that features are read of: no key sets `max_seq_length` (core/trainers/ebft/trainer.py)."""


def of_energy(context: Context) -> dict[str, Any]:
    """What both assume where nothing is said: what a spec assumes."""
    learns = objective(context)
    if learns not in (WHOLE, STRIDED):
        return {}
    model = EBFT() if learns == WHOLE else StridedEBFT()
    flat = model.model_dump(exclude={"type", "generation"})
    drawn = {DRAWN + name: value for name, value in model.generation.model_dump().items()}
    rows = {"data.train_on": "completions", "data.overflow": "truncate", "data.packing": None}
    length = {"data.max_length": READ} if learns == WHOLE else {}
    return {OBJECTIVE + name: value for name, value in flat.items()} | drawn | rows | length


def _of(learns: str, rule: Rule) -> Rule:
    """Of one mode alone."""

    def chosen(setting: Setting, context: Context) -> Outcome:
        found = objective(context)
        if found not in (WHOLE, STRIDED):
            return Outcome("inert", why="read of `rl: ebft` alone")
        return rule(setting, context) if found == learns else Outcome("inert", why=OTHERS[found])

    return said(chosen)


def _both(rule: Rule) -> Rule:
    def chosen(setting: Setting, context: Context) -> Outcome:
        return _of(STRIDED if objective(context) == STRIDED else WHOLE, rule)(setting, context)

    return said(chosen)


def _path(path: str, make: Callable[[Any], Any] = lambda value: value) -> Rule:
    return lambda setting, _context: Outcome("renamed", spec={path: make(setting.value)})


def _word(value: Any) -> str:
    return str(value).replace("_", "-")


def _pooled(setting: Setting, context: Context) -> Outcome:
    path, word = f"{OBJECTIVE}embed_method", _word(setting.value)
    if objective(context) == WHOLE or word in ("last-token", "mean-pooling"):
        return Outcome("renamed", spec={path: word})
    why = "the mode strided takes the last token where it is not `mean_pooling`"
    return Outcome("derived", spec={path: "last-token"}, why=why)


def _adaptive(_setting: Setting, context: Context) -> Outcome:
    """Read where completions are drawn ahead alone: `_generate_only` of the asynchronous trainer."""
    drawn = section(context, "trl")
    if drawn.get("async_prefetch") or drawn.get("use_data_producer"):
        return Outcome("unknown", why="how long completions may be by the answers of a batch")
    return Outcome("inert", why="read of completions that are drawn ahead alone")


_FEATURES: dict[str, Rule] = {
    "mode": _both(lambda _setting, _context: Outcome("derived", of=("method.objective.type",))),
    "feature_layers": _both(_path(f"{OBJECTIVE}feature_layers", tuple)),
    "embed_method": _both(_pooled),
    "use_whitening": _both(_path(f"{OBJECTIVE}whitening")),
    "alignment_coef": _both(_path(f"{OBJECTIVE}alignment_weight")),
    "diversity_coef": _both(_path(f"{OBJECTIVE}diversity_weight")),
    **dict.fromkeys(("adaptive_max_tokens", "gt_length_multiplier"), _of(WHOLE, _adaptive)),
    **{
        name: _of(STRIDED, rule)
        for name, rule in {
            "ce_coef": _path(f"{OBJECTIVE}sft_weight"),
            "rl_coef": _path(f"{OBJECTIVE}policy_weight"),
            "stride": _path(f"{OBJECTIVE}stride"),
            "context_length": _path(f"{OBJECTIVE}context_length"),
            "min_completion_prefix": _path(f"{OBJECTIVE}min_completion_prefix"),
            "advantage_estimator": _path(f"{OBJECTIVE}advantage", _word),
            "generate_max_len": _path(f"{DRAWN}max_length"),
            "n_samples_per_prompt": _path(f"{DRAWN}completions"),
            "temperature": _path(f"{DRAWN}temperature"),
            "top_p": _path(f"{DRAWN}top_p"),
        }.items()
    },
}
READ_OF_TRL = (
    *("num_generations", "max_completion_length", "temperature", "top_p", "top_k", "min_p"),
    *("repetition_penalty", "num_iterations", "epsilon", "epsilon_high", "use_vllm", "loss_type"),
    *("mask_truncated_completions", "scale_rewards"),
)
"""What it hands to trl as GRPO does."""
NO_WEIGHT = ("log_completions", "num_completions_to_print")


def _handed(name: str, rule: Rule, setting: Setting, context: Context) -> Outcome:
    if name == "loss_type" and setting.value == "cispo":
        return Outcome("unknown", why="'cispo' is not in a spec")
    if name in READ_OF_TRL:
        return rule(setting, context)
    fast = name.startswith("vllm_")
    return Outcome("inert", why=FAST if fast else SHOWN if name in NO_WEIGHT else UNREAD)


def of_trl(name: str, rule: Rule) -> Rule:
    """A rule for GRPO of the section `trl` or `vllm`, and what `rl: ebft` makes of the key."""
    section_, _, last = name.partition(".")

    def chosen(setting: Setting, context: Context) -> Outcome:
        learns = objective(context)
        if learns == STRIDED:
            return Outcome("inert", why=OTHERS[STRIDED])
        if learns == WHOLE and section_ == "trl":
            return _handed(last, rule, setting, context)
        return rule(setting, context)

    return said(chosen)


def _options(_setting: Setting, context: Context) -> Outcome:
    options = dict(section(context, "trl").get("chat_template_kwargs") or {})
    if objective(context) != WHOLE:
        return Outcome("unknown", why="only axolotl has it")
    return Outcome("derived", spec={"model.template_options": options})


def _more(setting: Setting, context: Context) -> Outcome:
    """What vLLM's SamplingParams, or transformers' GenerationConfig, is given beside the keys of its own."""
    learns, name = objective(context), setting.key.rpartition(".")[2]
    if learns == STRIDED:
        return Outcome("inert", why=OTHERS[STRIDED])
    if learns == "grpo":
        return Outcome("inert", why="nothing hands it on (core/trainers/grpo/__init__.py)")
    if name == "stop_token_ids" and not section(context, "trl").get("use_vllm"):
        return Outcome("inert", why="vLLM alone has it: transformers ends at eos_token_id")
    if name == "stop_token_ids":
        return Outcome("unknown", why=ENDS)
    return Outcome("unknown", why="what completions are drawn with beside the keys of its own")


def _ahead(_setting: Setting, context: Context) -> Outcome:
    if objective(context) == STRIDED:
        return Outcome("inert", why=OTHERS[STRIDED])
    return Outcome("unknown", why="completions of the model as it was a step before")


ENERGY_RULES: dict[str, Rule] = {
    **{f"ebft.{name}": rule for name, rule in _FEATURES.items()},
    "trl.chat_template_kwargs.": said(_options),
    "trl.generation_kwargs.": said(_more),
    "trl.async_prefetch": off_or(_ahead),
}
