"""Tokens that a script names or adds, and the rows of embeddings that new ones get.

transformers 5.6.0: `add_special_tokens` makes a token of the vocabulary one that no text takes apart, and the
trainer tells the model its id (trainer_utils.py, align_special_tokens). `resize_token_embeddings` draws rows
near the mean of the others (modeling_utils.py); LLaMA-Factory 0.9.5 then writes the mean itself, or noise
around it, and draws an adapter behind that without a new seed (model/model_utils/embedding.py).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ftspec.families.scripts.unify import match
from ftspec.families.tuners.peft import EMBEDDINGS
from ftspec.mapping import MISSING, Flat, Refuse, Row

TEMPLATES = files("ftspec.families") / "templates"
WORDS = ("bos", "eos", "pad", "unk")
NAMED = "special_tokens."
"""Native pseudo-keys: `special_tokens.eos_token` and so on, an assignment of the script."""
NEW = "new_tokens."
"""Native pseudo-keys of tokens that are added: the fields of `model.new_tokens`."""
FIELDS = ("tokens", "special", "init", "multiple")
PATHS = tuple(f"model.new_tokens.{name}" for name in FIELDS)
HEADS = ("lm_head", "embed_out")
SUPERVISED = ("sft", "cpt")
COMPARED = ("dpo", "kto", "orpo", "cpo", "simpo", "reward")
USES = (
    "method.objective.type",
    "method.tuner.type",
    "method.tuner.modules_to_save",
    "method.tuner.trainable_tokens",
    "method.tuner.init.type",
    "method.tuner.adapter",
    "model.quantization.type",
    "hardware.zero.stage",
    "output.quantization",
)
"""What `lower_new` looks at beside the tokens."""


def special_rows() -> tuple[Row, ...]:
    """One row for each token that a spec may name."""
    return tuple(
        Row(
            (f"model.special_tokens.{word}",),
            (f"{NAMED}{word}_token",),
            _lower_special,
            lambda token: token,
            uses=("method.objective.type",),
        )
        for word in WORDS
    )


def _lower_special(token: str | None, objective: str) -> Any:
    if token is None:
        return MISSING
    if objective not in (*SUPERVISED, *COMPARED):
        raise Refuse(
            "other special tokens were not seen to be kept where completions are drawn or a teacher is asked",
            "notimpl",
            "leave it out, or save the tokenizer with this one",
        )
    return token


def new_row() -> Row:
    """The tokens that are added, and how their embeddings begin."""
    return Row(
        PATHS,
        tuple(f"{NEW}{name}" for name in FIELDS),
        _lower_new,
        lambda tokens, *rest: (tuple(tokens), *rest),
        uses=USES,
    )


def no_new_row(reason: str) -> Row:
    """Refusal of a backend that adds none."""

    def lower(tokens: tuple[str, ...] | None, *_rest: Any) -> tuple[()]:
        if tokens:
            raise Refuse(reason, "notimpl", "run.backends: trl")
        return ()

    return Row(PATHS, (), lower, lambda: (MISSING,) * len(PATHS), reason=reason)


def _lower_new(tokens: tuple[str, ...] | None, *rest: Any) -> tuple[Any, ...]:
    if not tokens:
        return (MISSING,) * len(FIELDS)
    shape, uses = rest[: len(FIELDS) - 1], rest[len(FIELDS) - 1 :]
    check_new(dict(zip(USES, uses, strict=True)))
    return (list(tokens), *shape)


def check_new(used: Mapping[str, Any]) -> None:
    """Refuse new tokens where their embeddings would not be trained, or were not seen to be."""
    tuner = used["method.tuner.type"]
    if used["method.objective.type"] not in SUPERVISED:
        raise Refuse("new tokens were seen in supervised training alone", "notimpl", "method: sft")
    if tuner not in ("full", "lora"):
        raise Refuse(
            f"new tokens were seen where all weights train, and under LoRA; not under {tuner}",
            "notimpl",
            "method: lora, or method: full",
        )
    if used["model.quantization.type"] is not None:
        raise Refuse(
            "modules that train in full beside adapters over a quantised base were not seen to train alike",
            "notimpl",
            "model.quantization: null",
        )
    if used["hardware.zero.stage"] == 3:
        raise Refuse(
            "the mean of the rows is taken of whole embeddings, which stage 3 has cut into pieces",
            "notimpl",
            "hardware.zero.stage: 2",
        )
    if used["output.quantization"] is not None:
        reason = "a copy in few bits is made over a model of the old size"
        raise Refuse(reason, "notimpl", "output.quantization: null")
    if tuner == "lora":
        _check_adapter(used)


def _check_adapter(used: Mapping[str, Any]) -> None:
    if used["method.tuner.adapter"] is not None:
        raise Refuse(
            "a saved adapter is over a model of the old size", "notimpl", "leave `adapter` out"
        )
    if (kind := used["method.tuner.init.type"]) in ("eva", "loftq"):
        raise Refuse(
            f"{kind} was not seen with new tokens", "notimpl", "method.tuner.init: default"
        )
    saved = {name.rpartition(".")[2] for name in used["method.tuner.modules_to_save"]}
    inner = saved & (set(EMBEDDINGS) - set(HEADS))
    if not (inner and saved & set(HEADS)) and not used["method.tuner.trainable_tokens"]:
        raise Refuse(
            "beside an adapter the embeddings of new tokens stay as they began, and with them what the model "
            "makes of the tokens",
            "never",
            "method.tuner.modules_to_save: [embed_tokens, lm_head]; or method.tuner.trainable_tokens: their "
            "ids",
        )


def named(native: Flat) -> dict[str, str]:
    """The special tokens of native values, by transformers' names."""
    return {k.removeprefix(NAMED): v for k, v in native.items() if k.startswith(NAMED)}


def added(native: Flat) -> dict[str, Any]:
    """The new tokens of native values, and how they begin; empty where there are none."""
    return {k.removeprefix(NEW): v for k, v in native.items() if k.startswith(NEW)}


def context(native: Flat) -> dict[str, Any]:
    """What a script's template prints of both."""
    return {"special_tokens": named(native), "new_tokens": added(native)}


def change() -> str:
    """The statements behind the one that makes the tokenizer."""
    return (TEMPLATES / "tokens.py.j2").read_text("utf-8")


def grow() -> str:
    """The statements that give new tokens their embeddings."""
    return (TEMPLATES / "new_tokens.py.j2").read_text("utf-8")


def read_tokens(tree: ast.AST) -> dict[str, Any]:
    """Native values of these statements, wherever they stand in a script."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        if (holes := match('SPECIAL_TOKENS = "@tokens"', node)) is not None:
            found |= {f"{NAMED}{name}": token for name, token in holes["tokens"].items()}
        for pattern in _PATTERNS:
            if (holes := match(pattern, node)) is not None:
                found |= {f"{NEW}{name}": value for name, value in holes.items()}
                found |= {f"{NEW}init": _INITS[pattern]} if pattern in _INITS else {}
    return found


_MEAN = "weight.data[rows : rows + len(NEW_TOKENS)] = weight.data[:rows].mean(dim=0)"
_NOISE = (
    "weight.data[rows:].normal_(std=weight.shape[1] ** -0.5).add_(weight.data[:rows].mean(dim=0))"
)
_NORMAL = 'model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of="@multiple", mean_resizing=False)'
_INITS = {_MEAN: "mean", _NOISE: "noise", _NORMAL: "normal"}
_PATTERNS: Sequence[str] = (
    'NEW_TOKENS = "@tokens"',
    "tokenizer.add_tokens("
    '[AddedToken(each, special="@special", normalized=False) for each in NEW_TOKENS])',
    'model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of="@multiple")',
    *_INITS,
)
