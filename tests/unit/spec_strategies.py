"""What Hypothesis draws specs from: valid ones with awkward words in them, and damaged ones."""

from __future__ import annotations

import operator
import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ftspec.spec.chat_templates import NAMED
from ftspec.spec.images import PARTS
from ftspec.spec.method import OBJECTIVES
from tests.unit.spec_basics import (
    jsons,
    modules,
    optional,
    positive,
    words,
)
from tests.unit.spec_objectives import objectives
from tests.unit.spec_training import (
    FORMATS,
    RECIPES,
    checkpoints,
    quantizations,
    scales,
    trains,
    tuners,
)


@cache
def sources() -> st.SearchStrategy[Any]:
    paths = st.builds(str.__add__, words(), st.sampled_from((".jsonl", ".CSV", ".parquet")))
    rest = {
        "split": words(),
        "limit": st.none(),
        "share": st.none() | st.none() | positive(1) | st.integers(2, 10**6),
        "format": st.sampled_from(("auto", "messages", "sharegpt", "alpaca", "text")),
        "columns": st.dictionaries(words(), words(), max_size=2),
    }
    first = {"split": st.just("train"), "limit": st.none() | st.integers(1, 10**9)}
    texts = {
        "template": st.fixed_dictionaries({"prompt": words(), "completion": words()})
        | st.fixed_dictionaries({"prompt": words(), "chosen": words(), "rejected": words()})
        | st.fixed_dictionaries({"prompt": words(), "completion": words(), "label": words()})
        | optional({"system": st.none() | words()}, user=words(), assistant=words())
    }
    return (
        optional({"limit": st.none()}, path=paths, **texts)
        | optional({}, path=paths, template=st.fixed_dictionaries({"text": words()}))
        | optional(rest, path=paths)
        | optional({**rest, "subset": words(), "revision": words()}, hub=words())
        | optional({**rest, "files": st.lists(words(), max_size=2)}, hub=words())
        | optional({**rest, **first}, hub=words())
        | optional({**rest, **first}, path=paths)
    )


@cache
def new_tokens() -> st.SearchStrategy[Any]:
    """Mostly as every backend that adds any can have them."""
    rest = {
        "special": st.sampled_from((True, True, True, False)),
        "init": st.sampled_from(("mean", "mean", "noise", "normal")),
        "multiple": st.sampled_from((64, 64, 64, 1, 8)),
    }
    return optional(rest, tokens=st.lists(words(), unique=True, min_size=1, max_size=3))


@cache
def sharding() -> st.SearchStrategy[Any]:
    """FSDP of both versions."""
    both = {
        "sharding_strategy": st.sampled_from(("full_shard", "shard_grad_op", "hybrid_shard")),
        "offload_parameters": st.booleans(),
        "state_dict_type": st.sampled_from(("full", "sharded")),
        "activation_checkpointing": st.booleans(),
        "cpu_ram_efficient_loading": st.booleans(),
    }
    layers = {"transformer_layer_cls_to_wrap": modules(least=1).filter(_classes)}
    sizes = {"min_num_params": st.integers(1, 10**9)}
    flat = {"use_orig_params": st.booleans()}
    return optional({**both, **layers}) | optional({**both, **sizes, **flat}, version=st.just(1))


def _classes(names: Any) -> bool:
    return all(re.fullmatch(r"[A-Za-z_][\w.]*", name) for name in names)


def _one_engine(hardware: dict[str, Any]) -> dict[str, Any]:
    if hardware.get("fsdp") is not None:
        hardware.pop("zero", None)
    return hardware


@cache
def images() -> st.SearchStrategy[Any]:
    """Which parts of a model that reads images train, and how large an image may be."""
    parts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3, unique=True)
    sizes = {
        "min_pixels": st.none() | st.integers(1, 10**4),
        "max_pixels": st.none() | st.integers(10**4, 10**7),
        "max_width": st.none() | st.integers(1, 10**4),
        "square": st.none() | st.integers(1, 1024),
    }
    return optional({"train": parts, **sizes, "learned": st.booleans()})


@cache
def ropes() -> st.SearchStrategy[Any]:
    """All kinds, with what only a model's own file could say."""
    factor, theta = st.floats(1, 64), st.floats(1000, 1e7)
    known = {"factor": factor, "theta": theta}
    long = {**known, "original_length": st.integers(10**6, 10**7)}
    yarn = {
        "beta_fast": st.floats(2, 64),
        "beta_slow": st.floats(0.5, 2),
        "attention_factor": st.floats(0.5, 2),
    }
    llama3 = {"low_freq_factor": st.floats(0.5, 2), "high_freq_factor": st.floats(3, 8)}
    return (
        st.sampled_from(("linear", "dynamic")).flatmap(
            lambda kind: st.fixed_dictionaries({"type": st.just(kind), **known})
        )
        | optional(yarn, type=st.just("yarn"), **long)
        | optional(llama3, type=st.just("llama3"), **long)
        | st.fixed_dictionaries({"type": st.just("base"), "theta": theta})
    )


def _without_idle_options(model: dict[str, Any]) -> dict[str, Any]:
    """Named templates read none."""
    if model.get("chat_template") in NAMED:
        model.pop("template_options", None)
    return model


def _without_idle_limits(data: dict[str, Any]) -> dict[str, Any]:
    """Beside no limit, no row is too long, and none is filled up to it; flags are of parts of turns, and
    rows of like length are drawn."""
    if data.get("shuffle") is False:
        data.pop("group_by_length", None)
    if data.get("turn_part", "written") == "written":
        data.pop("turn_flag", None)
    if data.get("max_length", 0) is None:
        return {name: data[name] for name in data if name not in ("overflow", "packing")}
    return data


@cache
def documents(bare: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """A valid spec as plain data, in full form.

    ``bare``: without sources, backends and native settings, for those who put their own there. What is
    drawn and thrown away costs more than half of the draws: Hypothesis gives up on long ones.
    """
    special = dict.fromkeys(("bos", "eos", "pad", "unk"), st.none() | words())
    model = optional(
        {
            "revision": words(),
            "dtype": st.sampled_from(("auto", "float32", "bfloat16")),
            "chat_template": words().map("{}.jinja".format)
            | st.sampled_from(("tokenizer", *NAMED)),
            "template_options": st.just({}) | st.just({}) | st.just({"enable_thinking": False}),
            "quantization": st.none() | st.none() | st.none() | quantizations(),
            "stored": st.sampled_from((*(None,) * 7, 1)).flatmap(
                lambda stored: st.none() if stored is None else checkpoints()
            ),
            "trust_remote_code": st.booleans(),
            "experts": optional(
                {
                    "balance_loss": st.just("model")
                    | st.integers(0, 10**4).map(lambda share: share / 10**4),
                    "freeze_router": st.sampled_from((*(False,) * 7, True)),
                }
            ),
            "rope": st.none() | st.none() | st.none() | ropes(),
            "images": st.none() | st.none() | st.none() | images(),
            "special_tokens": st.just({}) | st.just({}) | optional(special),
            "new_tokens": st.none() | st.none() | st.none() | new_tokens(),
        },
        name=words(),
    ).map(_without_idle_options)
    rest = {
        "max_length": st.none() | st.integers(8, 10**6) | st.integers(8, 10**6),
        "system": st.none() | words(),
        "overflow": st.sampled_from(
            ("truncate", "truncate-left", "truncate-turns", "split", "drop", "error")
        ),
        "train_on": st.sampled_from(("completions", "assistant", "all")),
        "turn_part": st.sampled_from((*("written",) * 3, "ended", "said")),
        "turn_flag": st.none() | st.none() | words(),
        "prepare": st.sampled_from(("framework", "ftspec")),
        "mixed": st.sampled_from((False, False, False, True)),
        "min_length": st.none() | st.none() | st.integers(1, 8),
        "distinct": st.sampled_from((False, False, False, True)),
        "drop_system": st.sampled_from((False, False, False, True)),
        "packing": st.sampled_from((None, None, None, "documents", "together", "blocks")),
        "shuffle": st.booleans(),
        "group_by_length": st.sampled_from((False, False, False, True)),
    }
    cut = {
        "max_length": st.integers(1000, 10**6),
        "max_prompt_length": st.integers(1, 999),
        "prompt_cut": st.sampled_from(("always", "overlong")),
    }
    data = optional(
        {"eval": st.lists(sources(), max_size=2), **rest},
        train=st.lists(sources(), min_size=1, max_size=3),
    )
    data = st.builds(
        operator.or_, data, st.just({}) | st.just({}) | st.fixed_dictionaries(cut)
    ).map(_without_idle_limits)
    hardware = optional(
        {
            "device": st.sampled_from(("auto", "cpu", "cuda")),
            "devices": st.integers(1, 64),
            "fsdp": st.none() | st.none() | sharding(),
            "zero": st.none()
            | optional({"stage": st.integers(1, 3), "offload_optimizer": st.booleans()})
            | optional({"leaf_modules": modules(least=1)}, stage=st.just(3))
            | optional(
                {"offload_parameters": st.booleans()},
                stage=st.just(3),
                offload_optimizer=st.just(True),
                offload_folder=words().filter(str.isprintable).map(lambda word: f"/{word}/x"),
            ),
        }
    )
    hardware = hardware.map(_one_engine)
    output = optional(
        {
            "folder": st.none() | words(),
            "quantization": st.sampled_from((*(None,) * 9, "nf4", "int8")),
            "trackers": st.lists(st.sampled_from(("wandb", "mlflow")), max_size=2),
            "hub": st.none() | optional({"private": st.booleans()}, repo=st.just("no/1e-4")),
        }
    )
    run = optional(
        {"backends": st.lists(words(), min_size=1, max_size=2), "telemetry": st.booleans()}
    )
    native = st.dictionaries(words(), st.dictionaries(words(), jsons(), max_size=2), max_size=2)
    own = {} if bare else {"run": run, "native": native}
    return optional(
        {
            "version": st.just(1),
            "method": optional(
                {
                    "objective": st.sampled_from(OBJECTIVES).flatmap(objectives),
                    "tuner": tuners(),
                }
            ),
            "precision": st.sampled_from(FORMATS).flatmap(
                lambda compute: optional(
                    {"fp8_recipe": st.sampled_from(RECIPES)}
                    if compute == "fp8"
                    else {"loss_scale": scales()}
                    if compute == "fp16-weights"
                    else {},
                    compute=st.just(compute),
                )
            ),
            "train": trains(),
            "hardware": hardware,
            "output": output,
            **own,
        },
        model=model,
        data=optional(rest) if bare else data,
    )
