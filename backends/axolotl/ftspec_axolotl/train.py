"""Spec paths <-> axolotl's keys for the steps: core/builders/base.py of 0.19.0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ftspec.families.training.best import KEEP, STOP
from ftspec.families.training.fsdp import RECOMPUTES
from ftspec.families.training.hf_trainer import training_rows
from ftspec.families.training.launch import NODES, PROCESSES
from ftspec.families.training.optimizers import TYPE, lower_type, optimizer_rows
from ftspec.families.training.steps import LATE
from ftspec.families.weights.precision import USES, Reason, refuse_format
from ftspec.mapping import MISSING, Lossy, Refuse, Row, Support, constant, field, unsupported
from ftspec.spec.optimizers import BAdam, GaLore, Muon
from ftspec_axolotl.embeddings import embedding_row
from ftspec_axolotl.tuners import told_by_type

OPTIMIZER = "train.optimizer."
OTHERS = (Muon, GaLore, BAdam)
"""Optimizers that are not compiled: the row of the type says so, and once is enough."""
NOT_COMPILED = {
    "muon": "its Muon leaves out all that is no matrix: norms and biases would not train "
    "(contribs/mit/muon/muon.py)",
    "galore": "galore-torch is not in its environment yet",
    "badam": "none of its optimizers is BAdam",
}
ALL = 1_000_000
"""More checkpoints than any run saves: without a number it would keep four."""
OWN = (
    *(
        "train.epochs",
        "train.batch_size",
        "train.warmup_steps",
        "train.max_grad_norm",
        "train.seed",
    ),
    *("train.label_smoothing", "train.neftune_alpha", "train.data_seed", "train.logging_steps"),
    *("train.save_steps", "train.save_total_limit", "train.eval_steps", "precision.compute"),
    *("hardware.device", "output.trackers", "output.hub.repo", KEEP),
)
"""Paths of TrainingArguments that have rows of their own here."""


def train_rows() -> tuple[Row, ...]:
    """Everything about the steps."""
    return (
        Row(
            ("train.schedule.type", "train.warmup_steps", "train.warmup_ratio"),
            ("lr_scheduler", "warmup_steps", "warmup_ratio"),
            _lower_warmup,
            _lift_warmup,
            uses=("train.schedule.min_ratio",),
            absent=("cosine", None, None),
        ),
        *_shared(),
        *_step_rows(),
        *_optimizer_rows(),
        *told_by_type(OPTIMIZER, OTHERS),
        *_arithmetic_rows(),
        *_result_rows(),
        *_refusals(),
        constant("save_only_model", False, "checkpoints are whole", absent=False),
        constant("auto_resume_from_checkpoints", False, "a run begins anew", absent=None),
    )


def _step_rows() -> tuple[Row, ...]:
    """How many steps there are, and what is in one."""
    return (
        Row(
            ("train.epochs", "train.steps"),
            ("num_epochs", "max_steps"),
            _lower_length,
            lambda epochs, steps: (None, steps) if steps else (float(epochs), None),
            absent=(1.0, None),
        ),
        Row(
            ("train.batch_size", "train.micro_batch_size"),
            ("micro_batch_size", "gradient_accumulation_steps"),
            lambda batch, micro, replicas: (micro, batch // (micro * replicas)),
            lambda micro, passes, processes, nodes: (
                micro * passes * _one(processes) * _one(nodes),
                micro,
            ),
            uses=("derived.replicas",),
            reads=(PROCESSES, NODES),
            absent=(1, 1),
        ),
        Row(
            ("method.objective.average",),
            (),
            _lower_average,
            _lift_average,
            uses=("derived.accumulation_steps", "derived.replicas", "method.objective.loss"),
            reads=("gradient_accumulation_steps", PROCESSES, NODES, "use_eaft"),
        ),
    )


def _arithmetic_rows() -> tuple[Row, ...]:
    """What is done with a gradient, and in which numbers."""
    return (
        Row(
            ("train.max_grad_norm",),
            ("max_grad_norm",),
            lambda norm: norm or 0.0,
            lambda norm: 1.0 if norm is None else norm or None,
            absent=(None,),
        ),
        _number("train.seed", "seed", 42),
        Row(
            ("precision.compute",),
            ("bf16", "fp16"),
            _lower_precision,
            lambda bf16, _fp16: "fp32" if bf16 is False else "bf16",
            uses=USES,
            absent=("auto", None),
        ),
        Row(
            ("train.gradient_checkpointing",),
            ("gradient_checkpointing", "gradient_checkpointing_kwargs"),
            # the variant that all backends share; left out it would be the other one. Where FSDP
            # recomputes, the model must not do it as well
            lambda on, engine: (
                on and not engine,
                {"use_reentrant": False} if on and not engine else MISSING,
            ),
            lambda on, _kwargs, engine: bool(on or engine),
            uses=("hardware.fsdp.activation_checkpointing",),
            reads=(RECOMPUTES,),
            absent=(False, None),
        ),
    )


def _result_rows() -> tuple[Row, ...]:
    """What is told and kept on the way."""
    return (
        _number("train.logging_steps", "logging_steps", 10),
        Row(
            ("train.save_steps",),
            ("save_strategy", "save_steps"),
            _lower_every,
            _lift_every,
            absent=(None, None),
        ),
        Row(
            ("train.save_total_limit",),
            ("save_total_limit",),
            lambda count: ALL if count is None else count,
            lambda count: 4 if count is None else None if count == ALL else count,
            absent=(None,),
        ),
        Row(
            ("output.trackers",),
            ("use_tensorboard",),
            _lower_trackers,
            lambda on: ("tensorboard",) if on else (),
            absent=(None,),
        ),
    )


def _refusals() -> tuple[Row, ...]:
    """What it has not, or otherwise."""
    return (
        unsupported("train.label_smoothing", "it hands transformers no smoothing", neutral=(0.0,)),
        unsupported("train.neftune_alpha", "noise was not seen to be the same there", "notimpl"),
        embedding_row(),
        Row(
            ("train.data_seed",),
            (),
            _lower_data_seed,
            lambda seed: 42 if seed in (None, MISSING) else seed,
            uses=("train.seed",),
            reads=("seed",),
        ),
        *(
            unsupported(path, "it evaluates otherwise: see train.eval_steps", "notimpl", (neutral,))
            for path, neutral in ((KEEP, "last"), (STOP, None))
        ),
        unsupported(
            "train.resume", "going on from a checkpoint is not compiled for it yet", "notimpl"
        ),
    )


def _shared() -> Iterator[Row]:
    """The rows of TrainingArguments whose keys are called alike."""
    for row in training_rows(""):
        if not row.paths or row.paths[0] in OWN or row.paths[0] == "train.schedule.type":
            continue
        if row.paths[0].startswith(OPTIMIZER):
            continue
        if row.paths == ("precision.tf32",):
            yield replace(row, lift=lambda on: on is True, absent=("auto",))
        elif row.paths == ("train.learning_rate",):
            yield replace(row, absent=(MISSING,))  # its schema demands one
        elif row.paths == ("output.folder",):
            yield replace(row, absent=("./model-out",))
        else:
            yield row


SCHEDULE = next(row for row in training_rows("") if row.paths[0:1] == ("train.schedule.type",))


def _number(path: str, key: str, assumed: float) -> Row:
    """A number that is null where it is not said, which means transformers' default."""
    return field(path, key, lift=lambda value: assumed if value is None else value, absent=None)


def _lower_length(epochs: float | None, steps: int | None) -> Any:
    if steps:
        return MISSING, steps
    if epochs in (None, 1):
        return 1.0, MISSING
    return Lossy(
        (float(epochs or 1), MISSING),
        "it counts the steps of all epochs together: where the last batch of an epoch is not full, it trains "
        "fewer steps than one epoch after another has; train.steps is exact",
    )


def _lower_average(average: str, passes: int, replicas: int, loss: str | None) -> Any:
    if loss == "eaft" and passes * replicas > 1:
        # transformers counts tokens for a loss that is handed to it (trainer.py, _get_num_items_in_batch)
        if average == "batches":
            raise Refuse("for this loss it counts the tokens of the whole batch")
        if replicas > 1:
            raise Refuse("this loss was not seen in several processes there", "notimpl")
        return ()
    # core/trainers/base.py turns the counting of tokens off for every causal model
    if average == "batches" or passes == replicas == 1:
        return ()
    return Lossy(
        (),
        "it averages the means of the accumulated batches and of devices, so that a token counts more in a "
        "batch with few of them; method.objective.average: batches says it, and train.micro_batch_size as "
        "large as the batch on one device has no difference",
    )


def _one(count: Any) -> int:
    return 1 if count is MISSING else count


def _lift_average(passes: Any, processes: Any, nodes: Any, eaft: Any) -> str:
    several = {passes, processes, nodes} - {1, None, MISSING}
    return "batches" if several and eaft is not True else "tokens"


def _lower_warmup(kind: str, steps: int | None, ratio: float | None, lowest: float | None) -> Any:
    name, warmup = SCHEDULE.lower(kind, steps, ratio, lowest)
    if 0 < warmup < 1:
        return Lossy(
            (name, MISSING, warmup),
            "it rounds a share of the steps down, transformers rounds it up; train.warmup_steps is exact",
        )
    if warmup == 1:
        return Lossy(
            (name, 1, MISSING), "it makes two of one step of warm-up; 0 or 2 steps are exact"
        )
    return name, int(warmup), MISSING


def warmup_row() -> Row:
    """The curve of the warm-up: a parabola before a cosine (core/trainers/mixins/scheduler.py)."""
    return Row(
        LATE,
        ("lr_quadratic_warmup",),
        _lower_shape,
        lambda quadratic: ("quadratic" if quadratic else "linear", 0.0, 0),
        uses=("train.schedule.type", "train.schedule.cycles", "train.schedule.min_ratio"),
        absent=(None,),
    )


def _lower_shape(
    shape: str, start: float, delay: int, kind: str, cycles: float | None, lowest: float | None
) -> Any:
    if shape == "log" or start or delay:
        raise Refuse(
            "its warm-ups are a line or a parabola from zero, and never late",
            "notyet",
            "run.backends: trl or deepspeed",
        )
    if shape == "linear":
        return False
    if (kind, cycles, lowest or 0) != ("cosine", 0.5, 0):
        raise Refuse(
            "its parabola comes before half a cosine to zero alone (core/trainers/mixins/scheduler.py)",
            "notyet",
            "train.schedule: cosine",
        )
    return True


def _lift_warmup(name: str, steps: int | None, ratio: float | None) -> Any:
    return SCHEDULE.lift(name, (ratio or 0) if steps is None else steps)


def _optimizer_rows() -> Iterator[Row]:
    """The rows of transformers' optimizers, which it hands on by their names (core/builders/base.py)."""
    for row in optimizer_rows():
        if row.paths == (TYPE,):
            yield replace(row, keys=("optimizer",), lower=_lower_optimizer)
        elif row.when is None or row.when.tags & {*NOT_COMPILED}:
            continue
        elif row.keys == ("optim_args",):
            yield row
        else:
            (path,), (key,), (assumed,) = row.paths, row.keys, row.absent
            yield replace(_number(path, key, assumed), when=row.when)


def _lower_optimizer(kind: str, device: str, tuner: str) -> str:
    if kind in NOT_COMPILED:
        support: Support = "notimpl" if kind == "galore" else "notyet"
        raise Refuse(NOT_COMPILED[kind], support, "train.optimizer: adamw")
    return lower_type(kind, device, tuner)


NO_FLOAT8: Reason = (
    "its fp8 insists on a GPU that has it, and was not seen to train alike yet (utils/schemas/config.py)",
    "notimpl",
)


def _lower_precision(compute: str, device: str, tuner: str, dtype: str) -> tuple[bool, bool]:
    refuse_format(compute, device, tuner, dtype, NO_FLOAT8)
    if compute == "fp32":
        return False, False
    if compute != "bf16":
        raise Refuse(f"{compute} is not compiled for it yet", "notimpl", "precision: fp32")
    if device == "cpu":
        raise Refuse("its bf16 insists on a GPU that has it", "notyet", "precision: fp32")
    if tuner != "lora":
        raise Refuse(
            "weights that train would be held in bfloat16, norms and embeddings in float32",
            "notyet",
            "precision: fp32, or method: lora",
        )
    return True, False


def _lower_data_seed(data_seed: int | None, seed: int) -> tuple[()]:
    if data_seed not in (None, seed):
        raise Refuse("it has one seed for all", "notyet", "train.data_seed: that of train.seed")
    return ()


def _lower_every(steps: float | str | None) -> tuple[str, Any]:
    if steps is None or steps == "epoch":
        return steps or "no", MISSING
    return "steps", steps


def _lift_every(strategy: str | None, steps: Any) -> Any:
    if steps:
        return float(steps) if steps < 1 else int(steps)
    return None if strategy == "no" else "epoch"


def _lower_trackers(trackers: tuple[str, ...]) -> bool:
    others = [name for name in trackers if name != "tensorboard"]
    if others:
        raise Refuse(
            f"{others[0]} is not compiled for it yet", "notimpl", "output.trackers: tensorboard"
        )
    return bool(trackers)
