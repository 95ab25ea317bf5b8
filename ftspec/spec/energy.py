"""Energy-based fine-tuning: what the model writes is to have the features of the data's answers."""

from typing import Annotated, Literal

from pydantic import Field

from ftspec.spec.base import Items, Node
from ftspec.spec.online import Generation

ENERGY = ("ebft", "ebft-strided")
"""The objectives here, by their names."""
Depth = Annotated[float, Field(ge=0, le=1)]


class Featured(Node):
    """What both have of features."""

    feature_layers: Items[Depth] = Field((0.25, 0.5, 0.75), min_length=1)
    """Where features are read: shares of the model's depth, rounded down to whole layers. 0 is what the
    embeddings hand on, 1 the last layer. Features of all of them stand side by side."""
    whitening: bool = False
    """Whether the features of a group are made uncorrelated, by a matrix that those of the answer go through
    as well. Likeness to the answer is then one of directions still, likeness to others is not."""
    alignment_weight: float = Field(1.0, ge=0)
    """Weight of likeness to the answer: a in the formula."""
    diversity_weight: float = Field(1.0, ge=0)
    """Weight of likeness to the others of the group, which is taken off: d in the formula."""


class EBFT(Featured):
    """Energy-based fine-tuning: completions are drawn in groups, and rewarded for the features of the answer.

    With f(y) the features of prompt and completion in the model as training finds it, each of length 1, the
    reward of the completion j of n is 2 a f(y_j)·f(y) - 2 d / (n - 1) x the sum of f(y_j)·f(y_i) over the
    others; y is the data's answer, which is the last turn. GRPO learns from it
    (https://arxiv.org/abs/2603.12248). Features are read of the first `data.max_length` tokens, behind a
    prompt that the template writes without `model.template_options`; nothing else is cut.
    """

    type: Literal["ebft"] = "ebft"
    generation: Generation = Generation()
    """How they are drawn. `train.batch_size` and `train.micro_batch_size` count completions."""
    embed_method: Literal["last-token", "mean-pooling", "completion-mean", "concat"] = "last-token"
    """What is made of the features of tokens: those of the last one, their mean, their mean behind the
    prompt, or those at a quarter, a half and three quarters of the text, side by side."""
    beta: float = Field(0.0, ge=0)
    """Weight of the divergence (KL) from the model as training finds it. 0: none, and no reference model."""
    loss: Literal["grpo", "bnpo", "dapo", "dr-grpo"] = "dapo"
    """How tokens are weighed, as in GRPO."""
    scale: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the deviation of rewards in the group, in the batch, or nothing."""
    clip: float = Field(0.2, gt=0)
    """How far the probability of what was drawn may move before it counts no more: 1 - clip to 1 + clip."""
    clip_high: float | None = Field(None, gt=0)
    """The upper side of it, where it is another. null: `clip`."""
    iterations: int = Field(1, ge=1)
    """How many steps are made with the same completions."""
    mask_truncated: bool = False
    """Whether completions that were cut off at `generation.max_length` are left out of the loss."""


class Rollouts(Node):
    """How short completions are drawn at many places of a row."""

    completions: int = Field(4, ge=1)
    """How many are drawn at each place: a group, whose rewards are compared."""
    max_length: int = Field(8, ge=1)
    """Tokens of each; none ends before."""
    temperature: float = Field(0.6, ge=0)
    """Below 1: likelier tokens more often. 0: always the likeliest."""
    top_p: float = Field(1.0, ge=0, le=1)
    """Only the likeliest tokens that together have this probability are drawn. 1: all."""


class StridedEBFT(Featured):
    """The same over plain texts, or over prompts with an answer: short completions at many places at once.

    They are drawn every `stride` tokens, each by what stands before its place, and measured against the
    tokens that stand there, by the formula of `ebft`; but features have the length 1 in each layer by
    itself. The loss is
    `policy_weight` x the mean of -advantage x log p over drawn tokens, and `sft_weight` x the mean of -log p
    over the data's (https://arxiv.org/abs/2603.12248); those of the passes that make a step are added up.
    Rows are padded to `data.max_length`, and in plain texts padding is text like any other. A prompt and its
    answer are tokenised each by itself; nothing is put behind either, or behind a text.
    """

    type: Literal["ebft-strided"] = "ebft-strided"
    generation: Rollouts = Rollouts()
    """How they are drawn. `train.batch_size` and `train.micro_batch_size` count rows."""
    stride: int = Field(8, ge=1)
    """Tokens from one place to the next."""
    context_length: int = Field(8, ge=1)
    """Tokens of a row before the first place."""
    min_completion_prefix: int = Field(0, ge=0)
    """Tokens of an answer before the first place in it; the longest prompt of the micro-batch counts."""
    embed_method: Literal["last-token", "mean-pooling"] = "last-token"
    """What is made of the features of tokens: those of the last one, or their mean."""
    policy_weight: float = Field(1.0, ge=0)
    """Weight of what is learned from rewards."""
    sft_weight: float = Field(0.0, ge=0)
    """Weight of the negative log-likelihood of the data's own tokens: those of answers, else all."""
    advantage: Literal["rloo", "group-norm", "reinforce"] = "rloo"
    """What rewards are measured from: the mean of the others in the group, the group's mean and deviation,
    or nothing. A group of one has the reward itself."""
