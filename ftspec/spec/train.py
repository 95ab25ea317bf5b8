"""spec.train: how long, how fast, with which optimizer."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ftspec.spec.base import Node
from ftspec.spec.optimizers import AdamW, Optimizer
from ftspec.spec.qat import QAT
from ftspec.spec.schedules import Cosine, Schedule

Steps = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
"""A share of all steps, rounded up to whole ones, as transformers rounds it (trainer_callback.py)."""
EXCLUSIVE = (("epochs", "steps"), ("warmup_steps", "warmup_ratio"))
"""Fields that say the same in two ways."""


class Train(Node):
    """The optimisation."""

    epochs: float | None = Field(None, gt=0)
    """Passes over the data. Exclusive with `steps`; 1 where neither is given."""
    steps: int | None = Field(None, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(16, ge=1)
    """Rows per optimizer step over all devices: the global batch. Accumulation follows from it."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Rows per forward pass on one device. Left out: the largest that divides, at most 8."""
    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate. Left out: 2e-4 for LoRA, 2e-5 for full tuning, a fortieth of that for preferences,
    with an optimizer whose steps are of AdamW's size; `lion`, `sgd` and `adagrad` need one."""
    embedding_learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate of the embeddings and the head, where they train as a whole: with full tuning, or by
    `method.tuner.modules_to_save`. It follows the same schedule. null: that of all."""
    schedule: Schedule = Cosine()
    """How the learning rate goes after the warm-up: by default half a cosine, to zero."""
    warmup_steps: int | None = Field(None, ge=0)
    """Steps over which the learning rate rises from zero. Exclusive with `warmup_ratio`."""
    warmup_ratio: float | None = Field(None, ge=0, lt=1)
    """The same as a share of all steps. 0.03 where neither is given."""
    warmup_shape: Literal["linear", "log", "quadratic"] = "linear"
    """The rate after n of w steps of warm-up, as a share of the peak. linear: n / w; log: ln(n + 1) / ln(w),
    with w at least 2, as DeepSpeed has it (runtime/lr_schedules.py); quadratic: (n / w)², as axolotl
    (utils/schedulers.py)."""
    warmup_start: float = Field(0.0, ge=0)
    """The rate at which the warm-up begins, below the peak: it rises from there, along the same curve."""
    schedule_delay: int = Field(0, ge=0)
    """Steps by which the whole schedule is late, its warm-up too; until then the rate is the first one.
    DeepSpeed's own schedules are 1 late: after the first step they begin again from nothing."""
    optimizer: Optimizer = AdamW()
    """The optimizer."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay, decoupled from the gradient where the optimizer does not say otherwise."""
    weight_decay_on: Literal["matrices", "all"] = "matrices"
    """What it falls on. matrices: all but biases and norm weights, as in transformers' trainer; all: every
    weight that trains, as where DeepSpeed makes the optimizer."""
    max_grad_norm: float | None = Field(1.0, gt=0)
    """Gradients are scaled down to this norm. null: never."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of probability spread over the other tokens."""
    neftune_alpha: float | None = Field(None, gt=0)
    """Noise on the embeddings (NEFTune, https://arxiv.org/abs/2310.05914). null: none."""
    qat: QAT | None = None
    """Train for a later rounding of the weights. null: do not."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Seed of weights and dropout."""
    data_seed: int | None = Field(None, ge=0, lt=2**32)
    """Seed of the data order. Left out: `seed`."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass: less memory, about a third more time."""
    logging_steps: int = Field(10, ge=1)
    """Log every so many steps."""
    save_steps: Steps | Share | Literal["epoch"] | None = None
    """Save a checkpoint every so many steps, or after each `epoch`. Below 1 it is a share of all steps,
    rounded up. null: only the end result."""
    save_total_limit: int | None = Field(None, ge=1)
    """Keep at most so many checkpoints. null: all."""
    eval_steps: Steps | Share | Literal["epoch"] | None = None
    """Evaluate every so many steps, or after each `epoch`. Below 1 it is a share of all steps, rounded up.
    null: never."""
    keep: Literal["last", "best"] = "last"
    """Which weights the run leaves: the last ones, or those with the lowest loss of all evaluations, which
    are saved each time."""
    early_stopping: int | None = Field(None, ge=1)
    """Stop after so many evaluations in a row whose loss is not lower than the lowest before. null: never."""
    resume: str | None = Field(None, min_length=1)
    """Go on from this checkpoint folder."""

    @model_validator(mode="after")
    def _exclusive(self) -> Self:
        for one, other in EXCLUSIVE:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"`{one}` and `{other}` exclude each other: keep one")
        return self
