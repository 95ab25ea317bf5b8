"""Strategies of every objective."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.unit.spec_basics import (
    optional,
    positive,
    shares,
    words,
)


@cache
def objectives(word: str) -> st.SearchStrategy[Any]:
    """The objective of this name: a token is weighed by one rule, not by two."""
    drawn = {
        "sft": demonstrations,
        "cpt": lambda: optional({"average": averages()}, type=st.just("cpt")),
        "dpo": preferences,
        "kto": judgements,
        "reward": lambda: optional({"center": st.none() | positive()}, type=st.just("reward")),
        "gkd": distillation,
        **dict.fromkeys(("grpo", "rloo", "online-dpo"), lambda: sampled(word)),
        **dict.fromkeys(("orpo", "cpo", "simpo"), lambda: unreferred(word)),
        "ppo": proximal,
        "ebft": energetic,
        "ebft-strided": strided,
    }
    return drawn[word]()


@cache
def averages() -> st.SearchStrategy[str]:
    """Mostly the mean that every backend has."""
    return st.sampled_from((*("tokens",) * 3, "batches"))


@cache
def demonstrations() -> st.SearchStrategy[Any]:
    weight = optional({"prompt_weight": st.just(0.0) | shares()}, type=st.just("sft"))
    loss = st.sampled_from(("nll", "dft", "eaft", "asft"))
    entropy = {
        "entropy_power": positive(),
        "entropy_tokens": st.just(20) | st.integers(2, 99),
        "entropy_scale": st.sampled_from((1.0, 3.0)) | positive(),
    }
    anchor = {"anchor_weight": positive(), "sum_passes": st.booleans()}
    return (
        weight
        | optional({"average": averages()}, type=st.just("sft"), loss=loss)
        | optional({"average": averages(), **entropy}, type=st.just("sft"), loss=st.just("eaft"))
        | optional(anchor, type=st.just("sft"), loss=st.just("asft"), average=st.just("batches"))
    )


@cache
def judgements() -> st.SearchStrategy[Any]:
    """KTO, mostly with the loss that every backend has."""
    weights = {name: positive() for name in ("beta", "desirable_weight", "undesirable_weight")}
    models = {"reference": st.none() | st.just("org/other"), "precompute_reference": st.booleans()}
    losses = st.sampled_from((*("kto",) * 5, "apo-zero-unpaired"))
    return optional({**weights, **models}, type=st.just("kto"), loss=losses)


@cache
def unreferred(word: str) -> st.SearchStrategy[Any]:
    """ORPO, CPO or SimPO."""
    own: dict[str, st.SearchStrategy[Any]] = {"sft_weight": st.just(0.0) | positive()}
    if word == "orpo":
        own = {"likelihood": st.sampled_from(("answers", "answers", "rows"))}
    if word == "simpo":
        own["gamma"] = st.just(0.0) | positive()
    return optional({"beta": positive(), **own}, type=st.just(word))


@cache
def distillation() -> st.SearchStrategy[Any]:
    """A teacher, and what is written during training."""
    own = {
        "teacher_revision": words(),
        "divergence": shares(),
        "on_policy": st.just(0.0) | shares(),
        "teacher_writes": st.booleans(),
        "temperature": positive(),
        "max_new_tokens": st.integers(1, 4096),
    }
    return optional(own, type=st.just("gkd"), teacher=st.just("org/teacher"))


@cache
def rewards() -> st.SearchStrategy[Any]:
    """Every kind that needs no file, with awkward words in it."""
    weight = {"weight": st.floats(-10, 10)}
    limits = st.sampled_from(({"minimum": 2}, {"maximum": 9}, {"minimum": 2, "maximum": 9}))
    unit = {"unit": st.sampled_from(("tokens", "characters", "words"))}
    schema = {"type": "object", "properties": {"a": {"enum": ["no", 1, None]}}, "required": ["a"]}
    just = st.just
    return st.lists(
        optional(weight, by=just("format"), tags=just(["think", "answer"]))
        | optional(weight, by=just("regex"), pattern=words().map(re.escape))
        | optional(
            {**weight, "pattern": words().map(lambda text: f"{re.escape(text)}(.*)")},
            by=just("exact-match"),
            column=words(),
        )
        | limits.flatmap(
            lambda both: optional(
                {**weight, **unit}, by=just("length"), **{k: just(v) for k, v in both.items()}
            )
        )
        | optional(weight, by=just("json-schema"), json_schema=just(schema))
        | optional({**weight, "adapter": just("org/adapter")}, by=just("model"), name=words()),
        min_size=1,
        max_size=3,
    )


@cache
def sampled(word: str) -> st.SearchStrategy[Any]:
    """An objective that draws completions: one group may be any size that divides the batch."""
    if word == "online-dpo":
        own = {
            "beta": positive(),
            "loss": st.sampled_from(("sigmoid", "ipo")),
            "missing_end_penalty": st.none() | positive(),
            "generation": optional(
                {"max_length": st.integers(1, 10**6), "top_k": st.integers(0, 99)}
            ),
        }
        return optional(own, type=st.just(word), rewards=rewards())
    drawn = {
        "max_length": st.integers(1, 10**6),
        "temperature": positive(),
        "top_p": st.floats(0, 1, exclude_min=True),
        "top_k": st.integers(0, 10**6),
        "min_p": st.none() | st.floats(0, 1, exclude_min=True),
        "repetition_penalty": positive(),
    }
    memory = {"memory": st.floats(0.1, 0.9)}
    by_itself = optional(drawn, completions=st.just(2))
    by_vllm = optional({**drawn, **memory}, completions=st.just(2), engine=st.just("vllm"))
    generation = st.one_of(by_itself, by_itself, by_itself, by_vllm)
    shared = {
        "beta": st.just(0.0) | positive(),
        "clip": positive(),
        "clip_high": st.none() | positive(),
        "iterations": st.integers(1, 9),
        "mask_truncated": st.booleans(),
    }
    own = {
        "grpo": {
            "loss": st.sampled_from(("grpo", "bnpo", "dapo", "dr-grpo")),
            "aggregation": st.sampled_from(("sum-then-normalize", "normalize-then-sum")),
            "scale": st.sampled_from(("group", "batch", "none")),
            "importance": st.sampled_from(("token", "sequence")),
            "delta": st.none() | st.floats(1, 9, exclude_min=True),
        },
        "rloo": {
            "normalize_advantages": st.booleans(),
            "reward_limit": st.none() | positive(),
        },
    }
    grouped = optional(
        {**shared, **own[word]}, type=st.just(word), rewards=rewards(), generation=generation
    )
    return grouped.map(_scaled) if word == "grpo" else grouped


def _scaled(objective: dict[str, Any]) -> dict[str, Any]:
    """Without a scale that its aggregation does not read."""
    apart = objective.get("aggregation") == "normalize-then-sum"
    return {k: v for k, v in objective.items() if not (apart and k == "scale")}


@cache
def proximal() -> st.SearchStrategy[Any]:
    """PPO, with what its trainer draws by."""
    model = optional({"adapter": st.just("org/adapter")}, by=st.just("model"), name=words())
    own = {
        "generation": optional({"max_length": st.integers(1, 10**6), "temperature": positive()}),
        "beta": st.just(0.0) | positive(),
        "kl_estimator": st.sampled_from(("k1", "k3")),
        **{name: shares() for name in ("gamma", "gae_lambda")},
        **{name: positive() for name in ("clip", "value_clip", "value_weight")},
        "iterations": st.integers(1, 9),
        "mini_batches": st.integers(1, 4),
        "whiten_rewards": st.booleans(),
        "missing_end_penalty": st.none() | positive(),
    }
    return optional(own, type=st.just("ppo"), rewards=st.lists(model, min_size=1, max_size=1))


FEATURED = {
    "feature_layers": st.lists(shares(), min_size=1, max_size=3),
    "whitening": st.booleans(),
    "alignment_weight": st.just(0.0) | positive(),
    "diversity_weight": st.just(0.0) | positive(),
}


@cache
def energetic() -> st.SearchStrategy[Any]:
    """Energy-based fine-tuning; groups of two, which all batches of the domain are made of."""
    drawn = {
        "max_length": st.integers(1, 10**6),
        "temperature": positive(),
        "top_k": st.integers(0, 99),
    }
    own = {
        **FEATURED,
        "embed_method": st.sampled_from(
            ("last-token", "mean-pooling", "completion-mean", "concat")
        ),
        "beta": st.just(0.0) | positive(),
        "loss": st.sampled_from(("grpo", "bnpo", "dapo", "dr-grpo")),
        "scale": st.sampled_from(("group", "batch", "none")),
        "clip": positive(),
        "clip_high": st.none() | positive(),
        "iterations": st.integers(1, 9),
        "mask_truncated": st.booleans(),
    }
    generation = optional(drawn, completions=st.just(2))
    return optional(own, type=st.just("ebft"), generation=generation)


@cache
def strided() -> st.SearchStrategy[Any]:
    """The same at many places of a row."""
    sizes = ("stride", "context_length")
    own = {
        **FEATURED,
        **{name: st.integers(1, 99) for name in sizes},
        "min_completion_prefix": st.integers(0, 99),
        "embed_method": st.sampled_from(("last-token", "mean-pooling")),
        "policy_weight": positive(),
        "sft_weight": st.just(0.0) | positive(),
        "advantage": st.sampled_from(("rloo", "group-norm", "reinforce")),
        "generation": optional({"completions": st.integers(1, 9), "temperature": positive()}),
    }
    return optional(own, type=st.just("ebft-strided"))


@cache
def preferences() -> st.SearchStrategy[Any]:
    """DPO, mostly with the loss that every backend has."""
    share = st.floats(0, 0.49)
    usual = {"beta": positive(), "sft_weight": st.just(0.0) | positive()}
    models = {"reference": st.none() | st.just("org/other"), "precompute_reference": st.booleans()}
    others = ("hinge", "ipo", "nca-pair", "aot-unpaired", "apo-zero", "sigmoid-norm")
    dpo = st.just("dpo")
    return (
        optional(usual, type=dpo)
        | optional({**usual, "label_smoothing": share}, type=dpo)
        | optional({**usual, **models, "ld_alpha": st.none() | shares()}, type=dpo)
        | optional({**usual, **models}, type=dpo, loss=st.sampled_from(others))
        | optional({"discopop_tau": positive()}, type=dpo, loss=st.just("discopop"))
        | optional(usual, type=dpo, loss=st.just("robust"), label_smoothing=share)
    )
