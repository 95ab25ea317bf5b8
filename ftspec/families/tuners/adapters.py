"""Rows for peft's adapters beside LoRA, as scripts write them: one configuration class for each.

Names and defaults: peft 0.18.1, tuners/*/config.py; checked against schemas/native/*.json. What trains
was seen in trl 1.16, whose loss reads the hidden states, not the model's own logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftspec.families.tuners import adalora
from ftspec.families.tuners.peft import matched
from ftspec.mapping import MISSING, Flat, Refuse, Row, constant, field, only
from ftspec.spec.peft_options import call, table

TUNER = "method.tuner.type"
CALLS: Mapping[str, str] = {
    "lora": "LoraConfig",
    "oft": "OFTConfig",
    "ia3": "IA3Config",
    "prefix": "PrefixTuningConfig",
    "prompt": "PromptTuningConfig",
    "p-tuning": "PromptEncoderConfig",
    "loha": "LoHaConfig",
    "lokr": "LoKrConfig",
    "vera": "VeraConfig",
    "adalora": "AdaLoraConfig",
}
"""The configuration of each tuner that has fields of its own."""
KIND, OPTIONS = "peft.kind", "peft.options"
"""Native pseudo-keys of any other: its type, and the arguments of its configuration."""
REFUSED: Mapping[str, str] = {
    "ADAPTION_PROMPT": "it comes between the model and trl's loss, which then finds nothing to add up",
    "CPT": "it calculates its own loss from logits, which trl's loss does not make",
    "MULTITASK_PROMPT_TUNING": "it needs a task number with every row, which no format of rows has",
    "POLY": "it needs a task number with every row, which no format of rows has",
    "XLORA": "it mixes trained LoRA adapters, and runs the model in a way that trl's trainer does not allow",
}
_ARGUMENTS: Mapping[str, Mapping[str, tuple[str, Any]]] = {
    "oft": {
        "dropout": ("module_dropout", 0.0),
        "coft": ("coft", False),
        "eps": ("eps", 6e-5),
        "block_share": ("block_share", False),
    },
    "ia3": {},
    "prefix": {
        "projection": ("prefix_projection", False),
        "hidden_size": ("encoder_hidden_size", None),
    },
    "prompt": {},
    "p-tuning": {
        "hidden_size": ("encoder_hidden_size", None),
        "layers": ("encoder_num_layers", 2),
        "dropout": ("encoder_dropout", 0.0),
    },
    "loha": {
        "rank": ("r", 8),
        "alpha": ("alpha", 8),
        "rank_dropout": ("rank_dropout", 0.0),
        "module_dropout": ("module_dropout", 0.0),
    },
    "lokr": {
        "rank": ("r", 8),
        "alpha": ("alpha", 8),
        "factor": ("decompose_factor", -1),
        "decompose_both": ("decompose_both", False),
        "rank_dropout": ("rank_dropout", 0.0),
        "module_dropout": ("module_dropout", 0.0),
    },
    "vera": {
        "rank": ("r", 256),
        "initial": ("d_initial", 0.1),
        "seed": ("projection_prng_key", 0),
        "dropout": ("vera_dropout", 0.0),
    },
}
"""Tuner, field: its argument, and what peft means without it."""
OVER_QUANTISED = ("lora", "oft")
"""Tuners that were seen to train over a quantised base."""
_CONSTANTS: Mapping[str, Mapping[str, Any]] = {
    "oft": {"bias": "none", "use_cayley_neumann": True, "num_cayley_neumann_terms": 5},
    "vera": {"bias": "none", "save_projection": True},
}
"""What a spec's tuner always means."""


def lower_tuner(tuner: str, quantised: str | None) -> str:
    """The tuner, where it was seen to train over such a base."""
    if quantised is not None and tuner not in OVER_QUANTISED:
        raise Refuse(
            "over a quantised base only LoRA and OFT were seen to train",
            "notimpl",
            "method: lora; or leave model.quantization out",
        )
    return tuner


def adapter_rows() -> tuple[Row, ...]:
    """All of these tuners."""
    own = {
        "oft": (_oft_size(), *_modules("OFTConfig.")),
        "ia3": (_feedforward(), *_modules("IA3Config.")),
        "prefix": (_tokens("PrefixTuningConfig.", _lower_prefix, "train.gradient_checkpointing"),),
        "prompt": (_tokens("PromptTuningConfig.", _lower_virtual), _beginning()),
        "p-tuning": (_tokens("PromptEncoderConfig.", _lower_virtual), _encoder()),
        "loha": _modules("LoHaConfig."),
        "lokr": _modules("LoKrConfig."),
        "vera": _modules("VeraConfig."),
        "adalora": (*adalora.rows(), *_modules("AdaLoraConfig.")),
    }
    rows: list[Row] = []
    for tuner, special in own.items():
        prefix = f"{CALLS[tuner]}."
        rows += only(
            TUNER,
            tuner,
            *special,
            *(
                field(f"method.tuner.{name}", prefix + argument, absent=absent)
                for name, (argument, absent) in _ARGUMENTS.get(tuner, {}).items()
            ),
            *(
                constant(prefix + name, value, "not in a spec yet", absent=value)
                for name, value in _CONSTANTS.get(tuner, {}).items()
            ),
            constant(f"{prefix}task_type", "CAUSAL_LM", "a language model is tuned", absent=None),
        )
    return (*rows, *only(TUNER, "peft", _other()))


def _modules(prefix: str) -> tuple[Row, ...]:
    return (
        Row(
            ("method.tuner.targets",),
            (f"{prefix}target_modules",),
            _lower_targets,
            lambda native: native if isinstance(native, str) else tuple(native),
        ),
        Row(
            ("method.tuner.modules_to_save",),
            (f"{prefix}modules_to_save",),
            _lower_saved,
            lambda native: tuple(native or ()),
            uses=("model.dtype", "derived.stored_dtype"),
            absent=(None,),
        ),
    )


def _lower_targets(targets: Any) -> Any:
    if matched(targets, ("lm_head",)):
        raise Refuse(
            "trl calculates its loss from the head's own weights: an adapter there would not train",
            "notyet",
        )
    return targets if isinstance(targets, str) else list(targets)


def _lower_saved(modules: tuple[str, ...], dtype: str, stored: str | None) -> Any:
    if modules and (stored if dtype == "auto" else dtype) != "float32":
        raise Refuse(
            "modules that are trained in full beside an adapter keep the model's own type, and "
            "only float32 trains them alike everywhere",
            "notimpl",
            "model.dtype: float32",
        )
    return list(modules) or None


def _oft_size() -> Row:
    return Row(
        ("method.tuner.rank", "method.tuner.block_size"),
        ("OFTConfig.r", "OFTConfig.oft_block_size"),
        lambda rank, size: (rank or 0, size or 0),  # one of them is 0, and follows from the other
        lambda rank, size: (rank or None, size or None),
        absent=(0, 32),
    )


def _feedforward() -> Row:
    return Row(
        ("method.tuner.feedforward",),
        ("IA3Config.feedforward_modules",),
        list,
        _lift_feedforward,
        absent=(None,),
    )


def _lift_feedforward(native: Any) -> Any:
    if native is None:
        raise Refuse("feedforward_modules=None: peft's own choice is not in a spec", "notimpl")
    return (native,) if isinstance(native, str) else tuple(native)


def _tokens(prefix: str, lower: Any, *uses: str) -> Row:
    return Row(
        ("method.tuner.tokens",),
        (f"{prefix}num_virtual_tokens",),
        lower,
        lambda count: count,
        uses=uses
        or (
            "train.label_smoothing",
            "method.objective.prompt_weight",
            "method.objective.loss",
        ),
    )


def _lower_prefix(count: int, checkpointing: bool) -> int:
    if checkpointing:
        raise Refuse(
            "gradient checkpointing runs each layer without a cache, which is where the prefix is",
            "notyet",
            "train.gradient_checkpointing: false",
        )
    return count


def _lower_virtual(count: int, smoothing: float, weight: float | None, loss: str | None) -> int:
    if loss in ("eaft", "asft"):
        raise Refuse(
            "virtual tokens have logits but no labels, and the trainer that weighs by entropy pairs the two",
            "notimpl",
            "method.objective.loss: nll",
        )
    if smoothing:
        raise Refuse(
            "label smoothing compares logits with labels, and virtual tokens have logits but no labels",
            "notyet",
            "train.label_smoothing: 0",
        )
    if weight:
        raise Refuse(
            "virtual tokens have logits but are no tokens of the prompt, whose weight this would be",
            "notimpl",
            "method.objective.prompt_weight: 0",
        )
    return count


def _beginning() -> Row:
    """What prompt tuning begins with; the tokenizer of a text is the model's own."""
    names = {"random": "RANDOM", "vocabulary": "SAMPLE_VOCAB", "text": "TEXT"}
    prefix = "PromptTuningConfig."

    def lower(start: str, text: str | None, model: str, revision: str, trust: bool) -> Any:
        if text is None:
            return names[start], MISSING, MISSING, MISSING
        return names[start], text, model, {"revision": revision, "trust_remote_code": trust}

    def lift(start: str, text: str | None, _model: Any, _arguments: Any) -> Any:
        back = {theirs: ours for ours, theirs in names.items()}
        return back[start], text

    return Row(
        ("method.tuner.start", "method.tuner.text"),
        tuple(
            prefix + name
            for name in (
                "prompt_tuning_init",
                "prompt_tuning_init_text",
                "tokenizer_name_or_path",
                "tokenizer_kwargs",
            )
        ),
        lower,
        lift,
        uses=("model.name", "model.revision", "model.trust_remote_code"),
        absent=("RANDOM", None, None, None),
    )


def _encoder() -> Row:
    return field(
        "method.tuner.encoder",
        "PromptEncoderConfig.encoder_reparameterization_type",
        str.upper,
        str.lower,
        absent="MLP",
    )


def _other() -> Row:
    return Row(
        ("method.tuner.kind", "method.tuner.options"),
        (KIND, OPTIONS),
        _lower_other,
        lambda kind, options: (kind, options),
        uses=("model.dtype", "derived.stored_dtype"),
    )


def _lower_other(
    kind: str, options: dict[str, Any], dtype: str, stored: str | None
) -> tuple[str, dict[str, Any]]:
    if kind in REFUSED:
        raise Refuse(REFUSED[kind])
    _lower_saved(options.get("modules_to_save") or (), dtype, stored)
    targets = options.get("target_modules")
    if isinstance(targets, list | tuple):
        _lower_targets(targets)
    return kind, options


def configuration(native: Flat) -> tuple[str, dict[str, Any]] | None:
    """The class of the adapter's configuration, and its arguments; None where no new one is made."""
    if KIND in native:
        return call(native[KIND]), {**native[OPTIONS], "task_type": "CAUSAL_LM"}
    name = CALLS.get(native["tuner"], "")
    found = {
        key.removeprefix(f"{name}."): value
        for key, value in native.items()
        if name and key.startswith(f"{name}.")
    }
    return (name, found) if found else None


def classes() -> tuple[str, ...]:
    """Every configuration that a script may name."""
    others = (entry["call"] for kind, entry in table().items() if kind not in REFUSED)
    return tuple(dict.fromkeys((*CALLS.values(), *others)))


def read_adapter(native: Flat) -> dict[str, Any]:
    """``native`` with its tuner, as the configuration that it has says; without one as it was."""
    named = {key.partition(".")[0] for key in native}
    for tuner, name in CALLS.items():
        if name in named:
            return {**native, "tuner": tuner}
    for kind, entry in table().items():
        if entry["call"] in named:
            prefix = f"{entry['call']}."
            options = {k.removeprefix(prefix): v for k, v in native.items() if k.startswith(prefix)}
            options.pop("task_type", None)
            rest = {key: value for key, value in native.items() if not key.startswith(prefix)}
            return {**rest, "tuner": "peft", KIND: kind, OPTIONS: options}
    return dict(native)
