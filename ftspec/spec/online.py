"""Objectives that learn from what the model writes itself while it trains, and from rewards for it."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Items, Node, StageName
from ftspec.spec.structure import unknown_words

ONLINE = ("grpo", "rloo", "online-dpo", "ppo")
"""The objectives here, by their names."""
Kind = Literal["format", "regex", "exact-match", "length", "json-schema", "python", "model"]
FIELDS: Mapping[str, tuple[str, ...]] = {
    "format": ("tags",),
    "regex": ("pattern",),
    "exact-match": ("column", "pattern"),
    "length": ("minimum", "maximum", "unit"),
    "json-schema": ("json_schema",),
    "python": ("file", "function"),
    "model": ("name", "adapter", "stage"),
}
"""What belongs to each kind of reward beside its weight."""
OPTIONAL = ("minimum", "maximum", "adapter", "unit", "name", "stage")
"""Fields that a kind can do without; of the pattern of `exact-match` its own rule speaks."""
IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Rewarded(Node):
    """One reward: a number for each completion."""

    short: ClassVar[str | None] = "by"

    by: Kind
    """What rewards. `format`: 1 where the completion is nothing but the named tags, one after the other.
    `regex`: 1 where the pattern is found. `exact-match`: 1 where the answer is that of a column. `length`:
    1 within the limits, outside them less. `json-schema`: 1 where the completion is JSON that the schema
    allows. `python`: a function of one's own. `model`: the score of a reward model."""
    weight: float = 1.0
    """The reward of a completion is the sum of weight x reward."""
    tags: Items[str] = ()
    """Of `format`: the tags that have to follow each other, such as `[think, answer]`."""
    pattern: str | None = Field(None, min_length=1)
    """Of `regex`: a regular expression as Python has it, found anywhere (`.` matches line ends too). Of
    `exact-match`: where the answer stands in the completion, as the first group; left out: all of it."""
    column: str | None = Field(None, min_length=1)
    """Of `exact-match`: the column of the data that holds the right answer."""
    minimum: int | None = Field(None, ge=1)
    """Of `length`: a shorter completion gets its length divided by this."""
    maximum: int | None = Field(None, ge=1)
    """Of `length`: a longer completion gets this divided by its length."""
    unit: Literal["tokens", "characters", "words"] = "tokens"
    """Of `length`: what is counted."""
    json_schema: dict[str, Any] | None = None
    """Of `json-schema`: the schema, in the common words of JSON Schema."""
    file: str | None = Field(None, min_length=1, examples=["rewards.py"])
    """Of `python`: a Python file, relative to the spec. It is copied into what is compiled, and never
    imported by ftspec."""
    function: str | None = Field(None, pattern=IDENTIFIER)
    """Of `python`: the function in it, as trl calls it: lists of `prompts` and `completions` and each column
    of the data by its name; it returns a list of numbers."""
    name: str | None = Field(None, min_length=1, examples=["./runs/reward/trl/model"])
    """Of `model`: a folder or a hub id."""
    adapter: str | None = Field(None, min_length=1)
    """Of `model`: the folder of an adapter that was trained on `name`; it is merged when it is loaded."""
    stage: StageName | None = None
    """Of `model`, in a file of stages: an earlier stage that trains a reward model, in place of `name`."""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        own = FIELDS[self.by]
        for name in self.model_fields_set - {"by", "weight", *own}:
            kinds = [kind for kind, fields in FIELDS.items() if name in fields]
            raise ValueError(f"`{name}` belongs to the reward {' or '.join(kinds)}")
        needed = [name for name in own if name not in OPTIONAL and not getattr(self, name)]
        if needed and (self.by, needed) != ("exact-match", ["pattern"]):
            raise ValueError(f"the reward `{self.by}` needs `{needed[0]}`")
        if self.by == "model" and (self.name is None) == (self.stage is None):
            raise ValueError(
                "a reward model is either a `name` or a `stage`, and one of them is needed"
            )
        if self.stage is not None and self.adapter is not None:
            raise ValueError("`adapter` belongs to a `name`: of a `stage` it is known")
        self._limits()
        self._patterns()
        return self

    def _limits(self) -> None:
        if self.by != "length":
            return
        if self.minimum is None and self.maximum is None:
            raise ValueError("the reward `length` needs a `minimum`, a `maximum`, or both")
        if (self.minimum or 1) > (self.maximum or self.minimum or 1):
            raise ValueError("`minimum` is above `maximum`")

    def _patterns(self) -> None:
        """What cannot be read is said here, not by a training that has begun."""
        if self.pattern is not None:
            try:
                found = re.compile(self.pattern, re.DOTALL)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"`pattern` is no regular expression: {error}") from error
            if self.by == "exact-match" and not found.groups:
                raise ValueError("`pattern` needs a group, `(...)`, around the answer")
        if bad := [name for name in self.tags if not re.fullmatch(r"\w+", name, re.ASCII)]:
            raise ValueError(f"a tag is a word, such as `think`; {bad[0]!r} is none")
        if self.json_schema is not None and (word := unknown_words(self.json_schema)):
            raise ValueError(f"`json_schema`: {word}")


class Drawing(Node):
    """How completions are drawn from the model that is trained.

    What is not said here, such as a ban on repeated word groups, is as the model's own
    `generation_config.json` has it.
    """

    max_length: int = Field(256, ge=1)
    """Tokens after which a completion is cut off."""
    temperature: float = Field(1.0, gt=0)
    """Below 1: likelier tokens more often."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Only the likeliest tokens that together have this probability are drawn. 1: all."""
    top_k: int = Field(0, ge=0)
    """Only so many of the likeliest tokens are drawn. 0: all."""
    min_p: float | None = Field(None, gt=0, le=1)
    """Only tokens that have this share of the likeliest one's probability are drawn. null: all."""
    repetition_penalty: float = Field(1.0, gt=0)
    """Above 1: tokens that stand there already are drawn less often."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """Who draws. `vllm` is faster, needs a GPU, and rounds otherwise than the model that trains; GRPO weighs
    what was drawn by that difference, as trl does it."""
    memory: float = Field(0.3, gt=0, lt=1)
    """Of `vllm`: the share of the GPU's memory that it takes, beside the model that trains."""

    @model_validator(mode="after")
    def _of_its_engine(self) -> Self:
        if "memory" in self.model_fields_set and self.memory != 0.3 and self.engine != "vllm":
            raise ValueError("`memory` belongs to the engine `vllm`")
        return self


class Generation(Drawing):
    """How groups of completions are drawn from the model that is trained."""

    completions: int = Field(8, ge=2)
    """How many are drawn for each prompt: a group, whose rewards are compared."""


class Sampled(Node):
    """What objectives share whose completions are drawn in groups."""

    rewards: Items[Rewarded] = Field(min_length=1)
    """What completions are rewarded for."""
    generation: Generation = Generation()
    """How they are drawn. `train.batch_size` and `train.micro_batch_size` count completions."""
    clip: float = Field(0.2, gt=0)
    """How far the probability of what was drawn may move before it counts no more: 1 - clip to 1 + clip."""
    clip_high: float | None = Field(None, gt=0)
    """The upper side of it, where it is another. null: `clip`."""
    iterations: int = Field(1, ge=1)
    """How many steps are made with the same completions."""
    mask_truncated: bool = False
    """Whether completions that were cut off at `generation.max_length` are left out of the loss."""


class GRPO(Sampled):
    """Group relative policy optimisation: what scores above its group is made likelier.

    The group are the completions of one prompt (https://arxiv.org/abs/2402.03300).
    """

    type: Literal["grpo"] = "grpo"
    beta: float = Field(0.0, ge=0)
    """Weight of the divergence (KL) from the model as training finds it. 0: none, and no reference model."""
    loss: Literal["grpo", "bnpo", "dapo", "dr-grpo", "cispo"] = "dapo"
    """How tokens are weighed. `grpo`: each completion alike. `dapo`: each token of the whole batch alike.
    `bnpo`: each token of a micro-batch alike, so that micro_batch_size matters. `dr-grpo`: each token divided
    by `generation.max_length`. `cispo`: as `dapo`, with clipped weights instead of clipped gains; its
    `clip_high` is the limit itself."""
    aggregation: Literal["sum-then-normalize", "normalize-then-sum"] = "sum-then-normalize"
    """How several rewards become one advantage. `sum-then-normalize`: they are added up by their weights, and
    the sum is measured within the group. `normalize-then-sum`: each is brought to mean 0 and deviation 1
    within the group before they are added up, and the sum then over the batch (GDPO,
    https://arxiv.org/abs/2601.05242)."""
    scale: Literal["group", "batch", "none"] = "group"
    """What advantages are divided by: the deviation of rewards in the group, in the batch, or nothing."""
    importance: Literal["token", "sequence"] = "token"
    """Whether probabilities before and after are compared token by token, or over the completion (GSPO)."""
    delta: float | None = Field(None, gt=1)
    """A limit for probabilities that grew much although the advantage is negative (two-sided clipping).
    null: none."""

    @model_validator(mode="after")
    def _of_its_loss(self) -> Self:
        if self.aggregation == "normalize-then-sum" and self.scale != "group":
            raise ValueError(
                "`scale` is not read by the aggregation `normalize-then-sum`, which divides by the "
                "deviation in the group and then in the batch"
            )
        if self.loss == "cispo" and self.clip_high is None:
            raise ValueError("`cispo` needs `clip_high`: ScaleRL takes 5.0")
        if self.loss == "cispo" and self.delta is not None:
            raise ValueError("`delta` is not read by the loss `cispo`")
        return self


class RLOO(Sampled):
    """REINFORCE leave-one-out: each completion is measured from the mean reward of the others in its group.

    The divergence from the first model is part of the reward (https://arxiv.org/abs/2402.14740).
    """

    type: Literal["rloo"] = "rloo"
    beta: float = Field(0.05, ge=0)
    """Weight of the divergence (KL) from the model as training finds it, taken off the reward."""
    normalize_advantages: bool = False
    """Whether advantages are brought to mean 0 and deviation 1 over the batch."""
    reward_limit: float | None = Field(None, gt=0)
    """Rewards are held between minus this and this. null: as they are."""


class OnlineDPO(Node):
    """Online DPO: two completions are drawn for each prompt, and the better rewarded one is made likelier.

    They are measured from the model as training finds it (https://arxiv.org/abs/2402.04792).
    """

    type: Literal["online-dpo"] = "online-dpo"
    rewards: Items[Rewarded] = Field(min_length=1)
    """What completions are rewarded for."""
    generation: Drawing = Drawing()
    """How they are drawn. `train.batch_size` and `train.micro_batch_size` count prompts, with a pair each."""
    beta: float = Field(0.1, gt=0)
    """How strongly the model is held to the reference: more is closer. Of `ipo`, its tau."""
    loss: Literal["sigmoid", "ipo"] = "sigmoid"
    """What is made of the difference in log-probability ratios, as in DPO."""
    missing_end_penalty: float | None = Field(None, gt=0)
    """What is taken off the reward of a completion that was cut off. null: nothing."""


class PPO(Node):
    """Proximal policy optimisation: a value model learns what tokens are worth, and the model to do better.

    Completions are scored by a reward model. The value model begins as a copy of it, all of its weights
    train, and it is not saved (https://arxiv.org/abs/1707.06347, https://arxiv.org/abs/1909.08593). A step of
    `train.steps` and of the schedule is one batch of completions.
    """

    type: Literal["ppo"] = "ppo"
    rewards: Items[Rewarded] = Field(min_length=1, max_length=1)
    """What completions are rewarded for: one reward model, with the vocabulary of the model that trains."""
    generation: Drawing = Drawing()
    """How they are drawn, one for each prompt. `train.batch_size` counts them."""
    beta: float = Field(0.05, ge=0)
    """Weight of the divergence (KL) from the model as training finds it, taken off each token's reward."""
    kl_estimator: Literal["k1", "k3"] = "k1"
    """How the divergence of a token is estimated from its log-probabilities, with d = log p - log q of the
    model and of the first one: `k1` is d, `k3` is exp(-d) - 1 + d, which is never negative and less noisy."""
    gamma: float = Field(1.0, ge=0, le=1)
    """What the reward of the next token counts beside that of this one."""
    gae_lambda: float = Field(0.95, ge=0, le=1)
    """Of generalised advantage estimation: 0 trusts the value model alone, 1 the rewards alone
    (https://arxiv.org/abs/1506.02438)."""
    clip: float = Field(0.2, gt=0)
    """How far the probability of what was drawn may move before it counts no more: 1 - clip to 1 + clip."""
    value_clip: float = Field(0.2, gt=0)
    """How far a value may move from what it was when completions were drawn."""
    value_weight: float = Field(0.1, ge=0)
    """Weight of the value model's loss beside that of the model."""
    iterations: int = Field(4, ge=1)
    """How often a batch of completions is gone through, each time in another order."""
    mini_batches: int = Field(1, ge=1)
    """Into how many parts a batch is divided; the optimizer makes a step after each of them."""
    whiten_rewards: bool = False
    """Whether the rewards of tokens are brought to deviation 1 over the batch."""
    missing_end_penalty: float | None = Field(None, gt=0)
    """What is taken off the score of a completion that was cut off. null: nothing."""

    @model_validator(mode="after")
    def _by_a_model(self) -> Self:
        if self.rewards[0].by != "model":
            raise ValueError(
                "the value model begins as the reward model: `rewards` is one of `by: model`"
            )
        return self
