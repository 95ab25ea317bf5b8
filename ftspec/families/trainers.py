"""The trainers that a script is written around, and how the supervised map becomes another one's.

All of them are trl's, around transformers' TrainingArguments: what a spec says of the model, the tuner,
the optimizer and the machine is written alike, under the name of another config class. A new trainer is
a line in `TRAINERS` and rows for what its config has of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ftspec.mapping import FieldMap, Flat, Row, replaced

OF_THE_OBJECTIVE = "method.objective."


@dataclass(frozen=True)
class Trainer:
    """A trainer as a script names it."""

    objective: str
    """What it is for; those for which `sft`'s trainer does as well have none of their own."""
    name: str
    """Its class."""
    config: str
    """The class of its arguments."""
    module: str = "trl"
    """Where both are imported from."""
    lacks: frozenset[str] = frozenset()
    """Arguments of SFTConfig that its config does not have."""
    absent: Mapping[str, Any] = field(default_factory=dict)
    """Where its config assumes otherwise than SFTConfig."""
    refers: bool = False
    """Whether it measures from a reference model, and takes one as `ref_model`."""
    scores: bool = False
    """Whether it draws completions, and takes `reward_funcs` for them."""
    teaches: bool = False
    """Whether it learns from another model, and takes its name as `teacher_model`."""
    pairs: bool = False
    """Whether it tokenises pairs in a way of its own, so that the script has a trainer of its own."""
    loading: Mapping[str, Any] = field(default_factory=dict)
    """What it must be told of the model beside what a spec says: it assumes otherwise than others."""

    @property
    def prefix(self) -> str:
        """What stands before an argument in a native key."""
        return f"{self.config}."


OF_TOKENS = frozenset(
    {
        "dataset_kwargs", "completion_only_loss", "assistant_only_loss", "packing",
        "packing_strategy", "shuffle_dataset", "chat_template_path",
    }
)  # fmt: skip
"""Arguments that only the supervised trainer has: which tokens of a row count, and what shares a row."""
ANYWHERE = {"device_map": None}
"""Of trainers that put a model which they load on devices of their own choice, unless told otherwise."""
SFT = Trainer("sft", "SFTTrainer", "SFTConfig")
DPO = Trainer(
    "dpo",
    "DPOTrainer",
    "DPOConfig",
    lacks=OF_TOKENS | {"truncation_mode"},
    absent={"learning_rate": 1e-6},
    refers=True,
)
KTO = Trainer(
    "kto",
    "KTOTrainer",
    "KTOConfig",
    lacks=OF_TOKENS | {"truncation_mode", "padding_free", "loss_type"},
    absent={"learning_rate": 1e-6, "train_sampling_strategy": "sequential"},
    refers=True,
)
OF_PAIRS = OF_TOKENS | {
    *("truncation_mode", "padding_free", "loss_type"),
    *("pad_to_multiple_of", "router_aux_loss_coef"),
}
"""The same, and what trl's experimental trainers do not have either."""
CPO = Trainer(
    "cpo",
    "CPOTrainer",
    "CPOConfig",
    "trl.experimental.cpo",
    lacks=OF_PAIRS,
    absent={"learning_rate": 1e-6},
    pairs=True,
    loading=ANYWHERE,
)
SIMPO = replace(CPO, objective="simpo")
ORPO = Trainer(
    "orpo",
    "ORPOTrainer",
    "ORPOConfig",
    "trl.experimental.orpo",
    lacks=OF_PAIRS,
    absent={"learning_rate": 1e-6},
    pairs=True,
    loading=ANYWHERE,
)
REWARD = Trainer(
    "reward",
    "RewardTrainer",
    "RewardConfig",
    lacks=OF_TOKENS - {"chat_template_path"}
    | {"loss_type", "router_aux_loss_coef", "truncation_mode", "padding_free"},
    absent={"learning_rate": 1e-4},
)
OF_TEXTS = OF_TOKENS | {
    "max_length",
    "truncation_mode",
    "padding_free",
    "loss_type",
    "pad_to_multiple_of",
}
"""Beside them those that only trainers have whose rows hold the answers."""
GRPO = Trainer(
    "grpo", "GRPOTrainer", "GRPOConfig", lacks=OF_TEXTS, absent={"learning_rate": 1e-6}, scores=True
)
RLOO = Trainer(
    "rloo", "RLOOTrainer", "RLOOConfig", lacks=OF_TEXTS, absent={"learning_rate": 1e-6}, scores=True
)
GKD = Trainer("gkd", "GKDTrainer", "GKDConfig", "trl.experimental.gkd", teaches=True)
ONLINE_DPO = Trainer(
    "online-dpo",
    "OnlineDPOTrainer",
    "OnlineDPOConfig",
    "trl.experimental.online_dpo",
    lacks=OF_TEXTS | {"router_aux_loss_coef"},
    absent={"learning_rate": 5e-7},
    scores=True,
    loading=ANYWHERE,
)
PPO = Trainer(
    "ppo",
    "PPOTrainer",
    "PPOConfig",
    lacks=OF_TEXTS | {"router_aux_loss_coef", "dataloader_drop_last"},
    absent={"learning_rate": 5e-5},
)
"""It trains from a script of its own (ppo_script.py)."""
TRAINERS = (SFT, DPO, KTO, CPO, ORPO, REWARD, GKD, GRPO, RLOO, ONLINE_DPO, PPO)
"""Every trainer that scripts are written around and read back from; `SIMPO` is `CPO` in a script."""


def trainer_of(native: Flat) -> Trainer:
    """The trainer whose arguments these native values hold; the supervised one where there are none."""
    found = {key.partition(".")[0] for key in native}
    return next((trainer for trainer in TRAINERS if trainer.config in found), SFT)


def argument(native: Flat, name: str) -> Any:
    """The value of an argument of the trainer's config; None where it is not written."""
    return native.get(trainer_of(native).prefix + name)


def of_config(trainer: Trainer, key: str) -> str:
    """A native key of the supervised trainer's config, in another trainer's; other keys as they are."""
    own = key.startswith(SFT.prefix)
    return trainer.prefix + key.removeprefix(SFT.prefix) if own else key


def for_each(conditions: Mapping[str, str]) -> dict[str, str]:
    """`conditions` on arguments of SFTConfig, for the config of every trainer."""
    return {
        key.replace(SFT.prefix, trainer.prefix, 1): value
        for trainer in TRAINERS
        for key, value in conditions.items()
    }


def trainer_rows(sft: FieldMap, trainer: Trainer, *own: Row) -> Iterator[Row]:
    """The rows of another trainer: the supervised ones under its config's name, with its ``own``.

    Rows of the objective are left behind, as are constants of arguments that it does not have.

    Raises:
        ValueError: a row for a path of the spec writes such an argument, and no own row stands in.
    """
    rows = (row for row in sft.rows if not _of_the_objective(row))
    yield from _renamed(replaced(rows, *own), trainer)


def _renamed(rows: Iterable[Row], trainer: Trainer) -> Iterator[Row]:
    for row in rows:
        lacking = [key for key in row.keys if key.removeprefix(SFT.prefix) in trainer.lacks]
        if lacking and row.paths:
            raise ValueError(f"{trainer.config} has no {lacking[0]}, which {row.paths[0]} needs")
        if not lacking:
            yield _under(row, trainer)


def _under(row: Row, trainer: Trainer) -> Row:
    names = [key.removeprefix(SFT.prefix) for key in row.keys]
    absent = tuple(
        trainer.absent.get(name, old) if name != key else old
        for name, key, old in zip(names, row.keys, row.absent, strict=False)
    )

    def renamed(keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(of_config(trainer, key) for key in keys)

    return replace(row, keys=renamed(row.keys), reads=renamed(row.reads), absent=absent)


def _of_the_objective(row: Row) -> bool:
    return bool(row.paths) and row.paths[0].startswith(OF_THE_OBJECTIVE)
