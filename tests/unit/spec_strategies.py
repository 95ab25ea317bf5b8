"""What Hypothesis draws specs from: valid ones with awkward words in them, and damaged ones."""

from __future__ import annotations

import copy
import operator
import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from ftspec.spec.chat_templates import NAMED
from ftspec.spec.method import OBJECTIVES
from ftspec.spec.scalars import INVISIBLE

AWKWARD = (
    "all", "all-linear", "a,b", "1e-4", "5e-05", "no", "NO", "off", "y", "N", "true", "Null", "~", "null",
    "1_000", "0o14", "014", "0x1f", "1:30", "2024-01-01", ".5", ".inf", ".NaN", "-.inf", "+1", "-", "=",
    "<<", "...", "---", "- x", "x: y", "x:", "#x", "x #y", "{{ x }}", "${x}", "${oc.env:HOME", "[", "{a}",
    "&a", "*a", "!a", "%a", "@a", "`a`", "|", ">", "?", "? a", ":", "'", '"', "\\", "\\n", "a'b", 'a"b',
    " lead", "trail ", "a\nb", "a\tb", "\n", " ", "é", "日本語", "😀", "./x", "../x", "/x", "~/x", "a/b c",
    "C:\\x", "x" * 300,
)  # fmt: skip


def words() -> st.SearchStrategy[str]:
    """Text that a spec may hold: awkward words on purpose, and any visible characters."""
    visible = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    return st.sampled_from(AWKWARD) | visible.filter(lambda text: not INVISIBLE.search(text))


def positive(limit: float = 1e6) -> st.SearchStrategy[float]:
    return st.floats(min_value=0, max_value=limit, exclude_min=True, allow_subnormal=False)


def shares() -> st.SearchStrategy[float]:
    return st.floats(min_value=0, max_value=1, exclude_max=True, allow_subnormal=False)


def optional(fields: dict[str, st.SearchStrategy[Any]], **needed: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries(needed, optional=fields)


def modules(least: int = 0) -> st.SearchStrategy[Any]:
    names = st.sampled_from(("q_proj", "v_proj", "model.layers.0.mlp", "no", "null", "e1", "y"))
    return st.lists(names, min_size=least, max_size=3)


def sources() -> st.SearchStrategy[Any]:
    paths = st.builds(str.__add__, words(), st.sampled_from((".jsonl", ".CSV", ".parquet")))
    rest = {
        "split": words(),
        "limit": st.none(),
        "share": st.none() | st.none() | positive(1),
        "format": st.sampled_from(("auto", "messages", "sharegpt", "alpaca", "text")),
        "columns": st.dictionaries(words(), words(), max_size=2),
    }
    first = {"split": st.just("train"), "limit": st.none() | st.integers(1, 10**9)}
    texts = {
        "template": st.fixed_dictionaries({"prompt": words(), "completion": words()})
        | optional({"system": st.none() | words()}, user=words(), assistant=words())
    }
    return (
        optional({"limit": st.none()}, path=paths, **texts)
        | optional(rest, path=paths)
        | optional({**rest, "subset": words()}, hub=words())
        | optional({**rest, **first}, hub=words())
        | optional({**rest, **first}, path=paths)
    )


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
    }
    return drawn[word]()


def averages() -> st.SearchStrategy[str]:
    """Mostly the mean that every backend has."""
    return st.sampled_from((*("tokens",) * 3, "batches"))


def demonstrations() -> st.SearchStrategy[Any]:
    weight = optional({"prompt_weight": st.just(0.0) | shares()}, type=st.just("sft"))
    loss = st.sampled_from(("nll", "dft", "eaft"))
    entropy = {
        "entropy_power": positive(),
        "entropy_tokens": st.just(20) | st.integers(2, 99),
        "entropy_scale": st.sampled_from((1.0, 3.0)) | positive(),
    }
    return (
        weight
        | optional({"average": averages()}, type=st.just("sft"), loss=loss)
        | optional({"average": averages(), **entropy}, type=st.just("sft"), loss=st.just("eaft"))
    )


def judgements() -> st.SearchStrategy[Any]:
    """KTO, mostly with the loss that every backend has."""
    weights = {name: positive() for name in ("beta", "desirable_weight", "undesirable_weight")}
    models = {"reference": st.none() | st.just("org/other"), "precompute_reference": st.booleans()}
    losses = st.sampled_from((*("kto",) * 5, "apo-zero-unpaired"))
    return optional({**weights, **models}, type=st.just("kto"), loss=losses)


def unreferred(word: str) -> st.SearchStrategy[Any]:
    """ORPO, CPO or SimPO."""
    own: dict[str, st.SearchStrategy[Any]] = {"sft_weight": st.just(0.0) | positive()}
    if word == "orpo":
        own = {"likelihood": st.sampled_from(("answers", "answers", "rows"))}
    if word == "simpo":
        own["gamma"] = st.just(0.0) | positive()
    return optional({"beta": positive(), **own}, type=st.just(word))


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
            "scale": st.sampled_from(("group", "batch", "none")),
            "importance": st.sampled_from(("token", "sequence")),
            "delta": st.none() | st.floats(1, 9, exclude_min=True),
        },
        "rloo": {
            "normalize_advantages": st.booleans(),
            "reward_limit": st.none() | positive(),
        },
    }
    return optional(
        {**shared, **own[word]}, type=st.just(word), rewards=rewards(), generation=generation
    )


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


def new_tokens() -> st.SearchStrategy[Any]:
    """Mostly as every backend that adds any can have them."""
    rest = {
        "special": st.sampled_from((True, True, True, False)),
        "init": st.sampled_from(("mean", "mean", "noise", "normal")),
        "multiple": st.sampled_from((64, 64, 64, 1, 8)),
    }
    return optional(rest, tokens=st.lists(words(), unique=True, min_size=1, max_size=3))


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


def patterns() -> st.SearchStrategy[Any]:
    """Regular expressions, such as they are: any text that one cannot misread."""
    return st.builds(lambda text: {"pattern": re.escape(text)}, words())


def counts() -> st.SearchStrategy[Any]:
    """Numbers by module, as in `rank_pattern`."""
    return st.dictionaries(words().map(re.escape), st.integers(1, 10**6), max_size=2)


def inits() -> st.SearchStrategy[Any]:
    names = ("default", "gaussian", "orthogonal", "olora", "eva", "loftq")
    return (
        st.sampled_from(names).map(lambda name: {"type": name})
        | optional({"iterations": st.none() | st.integers(0, 100)}, type=st.just("pissa"))
        | optional({"rho": st.none() | st.floats(1, 100)}, type=st.just("eva"))
    )


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


def quantizations() -> st.SearchStrategy[Any]:
    container = st.none() | st.sampled_from(("uint8", "bfloat16", "float16", "float32"))
    four = {"double": st.booleans(), "storage": container}
    return optional(four, type=st.sampled_from(("nf4", "fp4"))) | st.just({"type": "int8"})


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


def trains() -> st.SearchStrategy[Any]:
    count = st.integers(1, 10**9)
    fields = {
        "batch_size": count,
        "micro_batch_size": st.none() | count,
        "learning_rate": st.none() | positive(),
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


def jsons() -> st.SearchStrategy[Any]:
    number = st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | number | words()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words(), inner, max_size=3),
        max_leaves=8,
    )


def _without_idle_options(model: dict[str, Any]) -> dict[str, Any]:
    """Named templates read none."""
    if model.get("chat_template") in NAMED:
        model.pop("template_options", None)
    return model


def _without_idle_limits(data: dict[str, Any]) -> dict[str, Any]:
    """Beside no limit, no row is too long, and none is filled up to it."""
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
            "special_tokens": st.just({}) | st.just({}) | optional(special),
            "new_tokens": st.none() | st.none() | st.none() | new_tokens(),
        },
        name=words(),
    ).map(_without_idle_options)
    rest = {
        "max_length": st.none() | st.integers(8, 10**6) | st.integers(8, 10**6),
        "system": st.none() | words(),
        "overflow": st.sampled_from(("truncate", "truncate-left", "split", "drop", "error")),
        "train_on": st.sampled_from(("completions", "assistant", "all")),
        "turn_part": st.sampled_from((*("written",) * 3, "ended", "said")),
        "prepare": st.sampled_from(("framework", "ftspec")),
        "mixed": st.sampled_from((False, False, False, True)),
        "min_length": st.none() | st.none() | st.integers(1, 8),
        "distinct": st.sampled_from((False, False, False, True)),
        "drop_system": st.sampled_from((False, False, False, True)),
        "packing": st.sampled_from((None, None, None, "documents", "blocks")),
        "shuffle": st.booleans(),
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
            | optional({"leaf_modules": modules(least=1)}, stage=st.just(3)),
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


EXTREMES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 8, 2**40, -(2**40), 0.5, 1e308, -1e-308, "", " ", "x", "lora", "full",
    "sft", "dpo", "qlora", "1", "no", [], {}, [[]], [None], ["x"], [{}], {"x": 1}, {"type": "lora"},
    {"type": "full"}, {"type": None}, {"path": "x.jsonl"}, {"hub": "a/b"}, {"stage": 3}, "x" * 5000,
)  # fmt: skip
NAMES = (
    "lr",
    "type",
    "rank",
    "x",
    "",
    "model",
    "train",
    "path",
    "<<",
    "lora",
    "dpo",
    "batchsize",
    "é",
    "0",
)


INWARD = ("rewards",)
"""What is inside is judged by more than a shape: patterns, words of another schema (test_rewards.py)."""


def _containers(data: Any) -> list[Any]:
    found = [data] if isinstance(data, dict | list) and data else []
    if isinstance(data, dict):
        items = [item for name, item in data.items() if name not in INWARD]
    else:
        items = data if isinstance(data, list) else []
    for item in items:
        found += _containers(item)
    return found


def _damage(data: dict[str, Any], accidents: list[tuple[int, int, int, int]]) -> dict[str, Any]:
    data = copy.deepcopy(data)
    for where, which, kind, what in accidents:
        places = _containers(data)
        if not places:
            break
        place = places[where % len(places)]
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[which % len(keys)]
        if kind == 0:
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place[NAMES[what % len(NAMES)]] = place.pop(key)
        elif kind == 2:
            place[key] = [place[key]]
        else:
            place[key] = copy.deepcopy(EXTREMES[what % len(EXTREMES)])
    return data


@cache
def damaged() -> st.SearchStrategy[dict[str, Any]]:
    """A valid spec after a few accidents: something deleted, renamed, replaced by something else."""
    number = st.integers(0, 200)
    accidents = st.lists(
        st.tuples(number, number, st.integers(0, 5), number), min_size=1, max_size=3
    )
    return st.builds(_damage, documents(), accidents)
