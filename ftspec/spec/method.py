"""spec.method: the objective (what is learned) and the tuner (which weights learn it)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ftspec.spec import lora, tuners
from ftspec.spec.adapters import (
    IA3,
    OFT,
    AdaLoRA,
    LoHa,
    LoKr,
    Peft,
    Prefix,
    Prompt,
    PTuning,
    VeRA,
)
from ftspec.spec.base import Node
from ftspec.spec.distillation import GKD
from ftspec.spec.energy import EBFT, StridedEBFT
from ftspec.spec.lora import LoRA
from ftspec.spec.online import GRPO, PPO, RLOO, OnlineDPO
from ftspec.spec.preference import CPO, DPO, KTO, ORPO, Reward, SimPO
from ftspec.spec.tuners import Partial

WORDS: Mapping[str, Mapping[str, Any]] = {**tuners.WORDS, **lora.WORDS}
"""Words that stand for a tuner with its settings: `method: bitfit`, `method: dora`."""


Average = Literal["tokens", "batches"]
"""What the loss of a step is the mean of."""


class SFT(Node):
    """Supervised fine-tuning: next-token prediction on demonstrations."""

    type: Literal["sft"] = "sft"
    loss: Literal["nll", "dft", "eaft", "asft"] = "nll"
    """`nll`: the negative log-likelihood of each trained token. `dft`: the same times the token's own
    probability, which takes no gradient, so that unlikely tokens pull less (https://arxiv.org/abs/2508.05629).
    `eaft`: the same times (entropy / `entropy_scale`) ^ `entropy_power`, which takes no gradient either, so
    that tokens of which the model is sure pull less (https://arxiv.org/abs/2601.02151). `asft`: that of `dft`
    and `anchor_weight` x the divergence from the model as it was, KL(before || now) over the whole vocabulary
    at each trained token, so that the model stays near (https://arxiv.org/abs/2509.23753)."""
    entropy_power: float = Field(1.0, gt=0)
    """Of `eaft`: the exponent of the entropy."""
    entropy_tokens: int = Field(20, ge=2)
    """Of `eaft`: of how many of the likeliest next tokens the entropy is, their probabilities made to add up
    to 1."""
    entropy_scale: float = Field(3.0, gt=0)
    """Of `eaft`: what the entropy, in nats, is divided by. LLaMA-Factory divides by 3, which is about the
    logarithm of 20, axolotl by nothing, which is 1."""
    anchor_weight: float = Field(0.1, gt=0)
    """Of `asft`: how much the divergence from the model as it was counts. It is held as a second model."""
    sum_passes: bool = False
    """Of `asft`: the means of the forward passes that make a step are added up, not averaged, so that
    gradients are as many times as large; devices are averaged. It is what LLaMA-Factory does. It goes with
    `average: batches`; with one pass for a step there is no difference."""
    prompt_weight: float = Field(0.0, ge=0, le=1)
    """How much a token that `data.train_on` leaves out counts beside a trained one, which counts 1. The
    loss is the weighted mean over all tokens of the batch: the sum of weight x loss divided by the sum of
    weights. 0: not at all. 1: the same as `data.train_on: all`. Long prompts with short answers learn
    better with a little, about 0.1 (https://arxiv.org/abs/2401.13586)."""
    average: Average = "tokens"
    """What the loss of a step is the mean of, where several forward passes make one: by accumulation, or on
    several devices. `tokens`: all trained tokens of the batch, each of which counts alike. `batches`: the
    means of the passes, so that a token counts more in a pass with few of them. It is what axolotl does,
    and what transformers did before 4.46. With one pass for a step there is no difference."""

    @model_validator(mode="after")
    def _unsure(self) -> Self:
        given = (self.entropy_power, self.entropy_tokens, self.entropy_scale)
        if self.loss != "eaft" and given != (1.0, 20, 3.0):
            raise ValueError(
                "`entropy_power`, `entropy_tokens` and `entropy_scale` belong to `loss: eaft`"
            )
        if self.loss != "asft" and (self.anchor_weight, self.sum_passes) != (0.1, False):
            raise ValueError("`anchor_weight` and `sum_passes` belong to `loss: asft`")
        if self.sum_passes and self.average != "batches":
            raise ValueError("`sum_passes` adds up the means of passes: `average: batches`")
        return self


class CPT(Node):
    """Continued pre-training: next-token prediction on plain text, every token of it.

    Each row is one document. It ends with the tokenizer's end-of-text token, which trains as well.
    """

    type: Literal["cpt"] = "cpt"
    average: Average = "tokens"
    """As in supervised fine-tuning."""


class Full(Node):
    """All weights train."""

    type: Literal["full"] = "full"


def full_form(value: Any) -> Any:
    """`lora` stands for `{type: lora}`, `bitfit` for a tuner with its settings."""
    return dict(WORDS.get(value, {"type": value})) if isinstance(value, str) else value


Objective = Annotated[
    Annotated[
        SFT
        | CPT
        | DPO
        | KTO
        | ORPO
        | CPO
        | SimPO
        | Reward
        | GKD
        | GRPO
        | RLOO
        | OnlineDPO
        | PPO
        | EBFT
        | StridedEBFT,
        Field(discriminator="type"),
    ],
    BeforeValidator(full_form),
]
AnyTuner = (
    Full
    | LoRA
    | Partial
    | OFT
    | IA3
    | Prefix
    | Prompt
    | PTuning
    | LoHa
    | LoKr
    | VeRA
    | AdaLoRA
    | Peft
)
Tuner = Annotated[
    Annotated[AnyTuner, Field(discriminator="type")],
    BeforeValidator(full_form),
]

OBJECTIVES = (
    *("sft", "cpt", "dpo", "kto", "orpo", "cpo", "simpo", "reward", "gkd", "grpo", "rloo"),
    *("online-dpo", "ppo", "ebft", "ebft-strided"),
)
TUNERS = (
    *("full", "lora", "partial", "oft", "ia3", "prefix", "prompt", "p-tuning"),
    *("loha", "lokr", "vera", "adalora", "peft"),
)


class Method(Node):
    """How the model learns. `method: lora` means supervised fine-tuning with LoRA."""

    objective: Objective = SFT()
    """What is learned."""
    tuner: Tuner = LoRA()
    """Which weights learn it."""

    @classmethod
    def expand(cls, value: Any) -> Any:
        """A bare word names an objective or a tuner, whichever has that name."""
        if isinstance(value, str):
            return {"objective": value} if value in OBJECTIVES else {"tuner": value}
        return value
