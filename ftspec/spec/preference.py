"""Objectives that learn from preferences: which of two answers was chosen, or whether one was good."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Node, StageName

PREFERENCES = ("dpo", "kto", "orpo", "cpo", "simpo", "reward")
"""The objectives here, by their names."""
SMOOTHED = ("sigmoid", "robust", "exo-pair")
"""Losses of DPO that know of labels which are wrong."""


class Referring(Node):
    """What objectives share that measure answers from a reference model."""

    reference: str | None = Field(None, min_length=1, examples=["./runs/sft/trl/model"])
    """The model that answers are measured from: a folder or a hub id. Left out: the model as training finds
    it, which is the base model alone under a new adapter, and a frozen copy otherwise."""
    reference_stage: StageName | None = None
    """In a file of stages: an earlier stage whose model that is, in place of `reference`. An adapter that it
    leaves is added to its base first."""
    precompute_reference: bool = False
    """Measure all rows by the reference once, before training: less memory, the same loss."""

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if self.reference is not None and self.reference_stage is not None:
            raise ValueError("`reference` and `reference_stage` exclude each other: keep one")
        return self


class DPO(Referring):
    """Direct preference optimisation: a chosen answer is made likelier than a rejected one.

    Both are measured from a reference model (https://arxiv.org/abs/2305.18290).
    """

    type: Literal["dpo"] = "dpo"
    loss: Literal[
        "sigmoid",
        "hinge",
        "ipo",
        "robust",
        "exo-pair",
        "nca-pair",
        "bco-pair",
        "sppo-hard",
        "aot",
        "aot-unpaired",
        "apo-zero",
        "apo-down",
        "discopop",
        "sigmoid-norm",
    ] = "sigmoid"
    """What is made of the difference in log-probability ratios. `sigmoid`: DPO's own. `hinge`: SLiC, IPO's
    `ipo`, and others by the names that trl gives them. `sigmoid-norm` divides each answer's ratio by its
    length."""
    beta: float = Field(0.1, gt=0)
    """How strongly the model is held to the reference: more is closer. Of `ipo`, its tau."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Share of pairs that are believed to be the wrong way round. With `sigmoid` this is conservative DPO,
    with `robust` an unbiased estimate (https://arxiv.org/abs/2403.00409); `exo-pair` needs some, 1e-3."""
    discopop_tau: float = Field(0.05, gt=0)
    """Temperature of the loss `discopop` (https://arxiv.org/abs/2406.08414)."""
    ld_alpha: float | None = Field(None, ge=0, le=1)
    """Weight of what the longer answer has beyond the length of the shorter one, in both models
    (LD-DPO, https://arxiv.org/abs/2409.06411). null: 1, as in DPO."""
    sft_weight: float = Field(0.0, ge=0)
    """Weight of the chosen answer's own likelihood, added to the loss: its mean over the tokens of all
    chosen answers of a pass."""

    @model_validator(mode="after")
    def _losses(self) -> Self:
        if self.label_smoothing and self.loss not in SMOOTHED:
            raise ValueError(f"`label_smoothing` belongs to the losses {', '.join(SMOOTHED)}")
        if self.loss == "exo-pair" and not self.label_smoothing:
            raise ValueError("`exo-pair` needs a `label_smoothing` above 0: its paper takes 1e-3")
        if (
            self.loss != "discopop"
            and self.discopop_tau != DPO.model_fields["discopop_tau"].default
        ):
            raise ValueError("`discopop_tau` belongs to the loss `discopop`")
        return self


class KTO(Referring):
    """Kahneman-Tversky optimisation: single answers, each with a label that says whether it is good.

    An answer gains or loses beside the KL divergence between model and reference, which is estimated from
    prompts with the answers of other rows (https://arxiv.org/abs/2402.01306).
    """

    type: Literal["kto"] = "kto"
    loss: Literal["kto", "apo-zero-unpaired"] = "kto"
    """`kto`: the paper's, which needs batches of at least two rows. `apo-zero-unpaired`: without the
    divergence (https://arxiv.org/abs/2408.06266)."""
    beta: float = Field(0.1, gt=0)
    """How strongly the model is held to the reference: more is closer."""
    desirable_weight: float = Field(1.0, ge=0)
    """Weight of good answers in the loss. With as many good as bad answers, 1; otherwise the weights make up
    for their numbers: the good ones' share times weight is best between 1 and 4/3 of the bad ones'."""
    undesirable_weight: float = Field(1.0, ge=0)
    """Weight of bad answers in the loss."""


class ORPO(Node):
    """Odds ratio preference optimisation: demonstrations and preferences at once, without a reference.

    To the negative log-likelihood of the chosen answer comes the negative log of the sigmoid of the ratio
    of both answers' odds, of their mean probability per token (https://arxiv.org/abs/2403.07691).
    """

    type: Literal["orpo"] = "orpo"
    beta: float = Field(0.1, gt=0)
    """Weight of the odds ratio beside the likelihood; the paper's lambda."""
    likelihood: Literal["answers", "rows"] = "answers"
    """Whose likelihood is raised. `answers`: each chosen answer's own mean over its tokens, as the paper
    has it. `rows`: the mean over all tokens of the chosen rows of a pass, prompts included, as trl has it."""


class CPO(Node):
    """Contrastive preference optimisation: DPO against a reference that finds all answers equally likely.

    Nothing is measured from a model, and the chosen answer's likelihood holds it in place
    (https://arxiv.org/abs/2401.08417).
    """

    type: Literal["cpo"] = "cpo"
    loss: Literal["sigmoid", "hinge", "ipo"] = "sigmoid"
    """What is made of the difference of both answers' log-probabilities; `ipo` takes means per token."""
    beta: float = Field(0.1, gt=0)
    """How much the difference counts. Of `ipo`, its tau."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Share of pairs that are believed to be the wrong way round; of the loss `sigmoid`."""
    sft_weight: float = Field(1.0, ge=0)
    """Weight of the chosen answer's own likelihood, added to the loss: its mean over the tokens of all
    chosen answers of a pass."""

    @model_validator(mode="after")
    def _losses(self) -> Self:
        if self.label_smoothing and self.loss != "sigmoid":
            raise ValueError("`label_smoothing` belongs to the loss sigmoid")
        return self


class SimPO(Node):
    """Simple preference optimisation: the answers' mean log-probabilities per token, without a reference.

    The chosen answer has to lead by a margin (https://arxiv.org/abs/2405.14734).
    """

    type: Literal["simpo"] = "simpo"
    beta: float = Field(2.0, gt=0)
    """How much the difference of the means counts. The paper takes 2 to 2.5 (its table 8); trl 1.16 and
    LLaMA-Factory 0.9.5 take 0.1 where nothing is said, which is DPO's."""
    gamma: float = Field(1.0, ge=0)
    """The margin by which beta times the difference has to lead. The default is half of the default beta: a
    gamma / beta of 0.5 is where the authors begin (README of princeton-nlp/SimPO); the paper's runs have 0.1
    to 0.8. trl and LLaMA-Factory take 0.5 where nothing is said, five times their beta."""
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """Share of pairs that are believed to be the wrong way round."""
    sft_weight: float = Field(0.0, ge=0)
    """Weight of the chosen answer's own likelihood, added to the loss (CPO-SimPO): its mean over the tokens
    of all chosen answers of a pass."""


class Reward(Node):
    """Reward modelling: a score for whole answers, higher for the chosen than for the rejected one.

    The model gets a new head with one output, and the loss is that of Bradley and Terry: the negative
    log of the sigmoid of the difference (https://arxiv.org/abs/2203.02155).
    """

    type: Literal["reward"] = "reward"
    center: float | None = Field(None, gt=0)
    """Weight of the squared sum of a pair's two scores, added to the loss: it holds scores around zero; 0.01
    is recommended (https://arxiv.org/abs/2312.09244, equation 2). null: not added."""
