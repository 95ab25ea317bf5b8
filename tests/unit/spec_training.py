"""Strategies of what trains, and how: tuners, optimizers, schedules, number formats."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.unit.spec_basics import (
    counts,
    modules,
    names_of_weights,
    optional,
    patterns,
    positive,
    shares,
    words,
)


@cache
def inits() -> st.SearchStrategy[Any]:
    names = ("default", "gaussian", "orthogonal", "olora", "eva", "loftq")
    return (
        st.sampled_from(names).map(lambda name: {"type": name})
        | optional({"iterations": st.none() | st.integers(0, 100)}, type=st.just("pissa"))
        | optional({"rho": st.none() | st.floats(1, 100)}, type=st.just("eva"))
    )


@cache
def tuners() -> st.SearchStrategy[Any]:
    rank, lora = st.integers(1, 10**6), st.just("lora")
    usual = {
        "rank": rank,
        "alpha": st.none() | st.integers(1, 10**6),
        "dropout": shares(),
        "targets": st.just("all-linear") | modules(least=1),
        "rslora": st.booleans(),
    }
    added = {
        "bias": st.sampled_from(("none", "all", "lora_only")),
        "modules_to_save": modules(),
        "dora": st.booleans(),
        "plus_ratio": st.none() | positive(),
    }
    chosen = {
        "targets": modules(least=1) | patterns(),
        "exclude": modules() | patterns(),
        "layers": st.lists(st.integers(0, 200), max_size=3),
        "parameters": modules(),
        "trainable_tokens": st.lists(st.integers(0, 2**31), max_size=3),
        "rank_pattern": counts(),
        "alpha_pattern": counts(),
    }
    part = {
        "modules": modules(least=1),
        "embeddings": st.booleans(),
        "head": st.booleans(),
        "norms": st.booleans(),
        "biases": st.booleans(),
        "patterns": names_of_weights(),
    }
    count = st.integers(1, 200)
    return (
        st.just({"type": "full"})
        | optional(part, type=st.just("partial"), last_layers=count)
        | optional(part, type=st.just("partial"), first_layers=count)
        | optional(part, type=st.just("partial"), expanded_layers=count)
        | optional(
            {"modules": modules(least=1), "norms": st.booleans()},
            type=st.just("partial"),
            head=st.just(True),
        )
        | optional({**usual, **added}, type=lora)
        | optional({**usual, **chosen}, type=lora)
        | optional({**usual, "init": inits()}, type=lora)
        | optional({"adapter": words(), "plus_ratio": st.none() | positive()}, type=lora)
        | adapters()
    )


@cache
def optimizers() -> st.SearchStrategy[Any]:
    betas = {"beta1": shares(), "beta2": shares()}
    adam = ("adamw", "adamw-8bit", "paged-adamw", "paged-adamw-8bit")
    lion = ("lion", "lion-8bit", "paged-lion", "paged-lion-8bit")
    ball = {"momentum": positive(1).filter(lambda share: share < 1), "nesterov": st.booleans()}
    galore = {
        "rank": st.integers(1, 999),
        "update_steps": st.integers(1, 999),
        "scale": positive(),
        "projection": st.sampled_from(("std", "reverse_std", "right", "left", "full")),
        "targets": st.just("all-linear") | modules(least=1),
        "layerwise": st.sampled_from((False, False, True)),
    }
    order = st.sampled_from(("ascending", "descending", "random", "fixed"))
    blocks = {**betas, "switch_steps": st.integers(1, 999), "order": order}
    mean = {"smoothing": shares(), "momentum": shares(), "centered": st.booleans()}
    return (
        optional({**betas, "eps": positive()}, type=st.sampled_from(adam))
        | optional(
            {**betas, "eps": positive(), "stochastic_rounding": st.booleans()},
            type=st.sampled_from(("torchao-adamw-8bit", "torchao-adamw-4bit")),
        )
        | optional(betas, type=st.sampled_from(lion))
        | st.just({"type": "adafactor"})
        | st.just({"type": "sgd"})
        | st.fixed_dictionaries({"type": st.just("sgd"), **ball})
        | optional({**mean, "eps": positive()}, type=st.just("rmsprop"))
        | optional({"rate_decay": st.floats(0, 10), "eps": positive()}, type=st.just("adagrad"))
        | optional({**betas, "eps": positive()}, type=st.just("muon"))
        | optional(galore, type=st.just("galore"))
        | optional(blocks, type=st.just("badam"), start=st.integers(0, 9))
    )


@cache
def schedules() -> st.SearchStrategy[Any]:
    count = st.integers(1, 10**6)
    decays = {
        "stable_steps": st.integers(0, 10**6),
        "decay": st.sampled_from(("linear", "cosine", "1-sqrt")),
        "min_ratio": shares(),
    }
    return (
        st.sampled_from(("linear", "constant")).map(lambda word: {"type": word})
        | optional({"cycles": positive(), "min_ratio": shares()}, type=st.just("cosine"))
        | optional({"cycles": count}, type=st.just("cosine-restarts"))
        | optional({"power": positive(), "end_rate": shares()}, type=st.just("polynomial"))
        | optional({}, type=st.just("inverse-sqrt"), timescale=count)
        | optional(decays, type=st.just("warmup-stable-decay"), decay_steps=count)
    )


RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")


FORMATS = (
    "fp32",
    "fp32",
    "bf16",
    "bf16",
    "fp16",
    "bf16-weights",
    "fp16-weights",
    "bf16-pure",
    "fp8",
)
"""Formats of the arithmetic; those that most backends have more often."""


@cache
def scales() -> st.SearchStrategy[Any]:
    count = st.integers(1, 10**6)
    sought = {
        "start_power": st.integers(0, 64),
        "window": count,
        "hysteresis": count,
        "refill": st.booleans(),
        "minimum": count,
    }
    return st.builds(dict, fixed=positive()) | optional(sought)


@cache
def quantizations() -> st.SearchStrategy[Any]:
    container = st.none() | st.sampled_from(("uint8", "bfloat16", "float16", "float32"))
    four = {"double": st.booleans(), "experts": st.booleans(), "storage": container}
    return optional(four, type=st.sampled_from(("nf4", "fp4"))) | st.just({"type": "int8"})


@cache
def checkpoints() -> st.SearchStrategy[Any]:
    """Kinds of a checkpoint that is quantised already; most often one that can be made whole."""
    whole = st.fixed_dictionaries(
        {
            "type": st.sampled_from(("fp8", "mxfp4")),
            "dequantize": st.sampled_from((True, True, False)),
        }
    )
    others = st.sampled_from(("gptq", "awq", "hqq", "aqlm", "eetq"))
    return whole | others.map(lambda kind: {"type": kind})


@st.composite
def adapters(draw: st.DrawFn) -> Any:
    """peft's adapters beside LoRA; as often as one other tuner, for half of the backends have none."""
    count, targets = st.integers(1, 512), st.just("all-linear") | modules(least=1)
    places = {"targets": targets, "modules_to_save": modules()}
    network = {"tokens": count, "hidden_size": st.none() | count}
    drops = {"rank_dropout": shares(), "module_dropout": shares()}
    product = {**places, **drops, "rank": count, "alpha": st.none() | count}
    oft = {
        **places,
        "dropout": shares(),
        "coft": st.booleans(),
        "eps": positive(),
        "block_share": st.booleans(),
    }
    named = {"targets": modules(least=1), "modules_to_save": modules(), "feedforward": modules()}
    vera = {
        **places,
        "rank": count,
        "initial": st.floats(-1, 1),
        "seed": count,
        "dropout": shares(),
    }
    lstm = {"layers": count, "dropout": shares(), **network}
    falling = {
        **places,
        "alpha": st.none() | count,
        "dropout": shares(),
        "initial_steps": count,
        "final_steps": count,
        "interval": count,
        "orthogonality": positive(),
    }
    kinds = st.sampled_from(("HRA", "BOFT", "RANDLORA", "LN_TUNING", "XLORA"))
    options = optional({"modules_to_save": modules(least=1)}, target_modules=targets)
    kind = st.one_of(
        optional({**oft, "block_size": st.integers(2, 512)}, type=st.just("oft")),
        optional({**oft, "rank": count}, type=st.just("oft")),
        optional(named, type=st.just("ia3")),
        optional({**network, "projection": st.booleans()}, type=st.just("prefix")),
        optional({"tokens": count}, type=st.just("prompt"), start=st.just("text"), text=words()),
        optional({"start": st.sampled_from(("random", "vocabulary"))}, type=st.just("prompt")),
        optional(network, type=st.just("p-tuning")),
        optional(lstm, type=st.just("p-tuning"), encoder=st.just("lstm")),
        optional(product, type=st.just("loha")),
        optional({**product, "factor": st.integers(-1, 64)}, type=st.just("lokr")),
        optional(vera, type=st.just("vera")),
        optional(
            falling,
            type=st.just("adalora"),
            rank=st.integers(60, 99),
            target_rank=st.integers(1, 59),
        ),
        st.fixed_dictionaries({"type": st.just("peft"), "kind": kinds, "options": options}),
    )
    return draw(kind)


@cache
def trains() -> st.SearchStrategy[Any]:
    count = st.integers(1, 10**9)
    fields = {
        "batch_size": count,
        "micro_batch_size": st.none() | count,
        "learning_rate": st.none() | positive(),
        "embedding_learning_rate": st.none() | st.none() | st.none() | positive(),
        "schedule": schedules(),
        "optimizer": optimizers(),
        "weight_decay": st.floats(0, 10),
        "weight_decay_on": st.sampled_from(("matrices", "matrices", "all")),
        "warmup_shape": st.sampled_from((*("linear",) * 5, "log", "quadratic")),
        "warmup_start": st.sampled_from((*(0.0,) * 5, 1e-9)),
        "schedule_delay": st.sampled_from((*(0,) * 5, 1, 7)),
        "qat": st.sampled_from((*(None,) * 9, "int4", {"weights": "int8", "group_size": None})),
        "max_grad_norm": st.none() | positive(),
        "seed": st.integers(0, 2**32 - 1),
        "gradient_checkpointing": st.booleans(),
        "save_steps": st.none() | st.just("epoch") | count | st.floats(0.01, 0.99),
        "resume": st.none() | words(),
    }
    lengths: list[dict[str, Any]] = [{"epochs": positive()}, {"steps": count}]
    warmups: list[dict[str, Any]] = [{"warmup_steps": count}, {"warmup_ratio": shares()}]
    return st.one_of(
        [optional({**fields, **length, **warmup}) for length in lengths for warmup in warmups]
    )
