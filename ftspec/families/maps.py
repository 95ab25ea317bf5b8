"""The maps of a backend by objective, each made when it is first asked for: a run needs one of a dozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from ftspec.families.objectives.dpo import dpo
from ftspec.families.objectives.free import free
from ftspec.families.objectives.gkd import gkd
from ftspec.families.objectives.kto import kto
from ftspec.families.objectives.online import grpo, online_dpo, rloo
from ftspec.families.objectives.preference import Bar
from ftspec.families.objectives.reward import reward
from ftspec.families.objectives.supervised import continued
from ftspec.families.trainers import CPO, ORPO, SIMPO
from ftspec.mapping import FieldMap

Bars = Mapping[str, Bar]
Makers = Mapping[str, Callable[[], FieldMap]]
NONE: Bars = MappingProxyType({})


class Maps(Mapping[str, FieldMap]):
    """Field maps by objective, in the order of their makers."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self._made: dict[str, FieldMap] = {}

    def __getitem__(self, objective: str) -> FieldMap:
        if objective not in self._made:
            self._made[objective] = self._makers[objective]()
        return self._made[objective]

    def __contains__(self, objective: object) -> bool:
        return objective in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def answering(sft: FieldMap, bars: Bars = NONE) -> Makers:
    """Demonstrations, texts, and what is learned from answers that are compared or judged.

    ``bars`` are what the backend itself refuses of these.
    """
    return {
        "sft": lambda: sft,
        "cpt": partial(continued, sft),
        "dpo": partial(dpo, sft, bars),
        "kto": partial(kto, sft, bars),
        **{each.objective: partial(free, sft, each, bars) for each in (ORPO, CPO, SIMPO)},
    }


def everything(sft: FieldMap, bars: Bars = NONE, head: Bars = NONE, drawn: Bars = NONE) -> Makers:
    """The same, and all other trainers that scripts are written around.

    ``head`` is refused of reward models, ``drawn`` where completions are drawn.
    """
    return {
        **answering(sft, bars),
        "reward": partial(reward, sft, head),
        "gkd": partial(gkd, sft, bars),
        "grpo": partial(grpo, sft, drawn),
        "rloo": partial(rloo, sft, drawn),
        "online-dpo": partial(online_dpo, sft, drawn),
    }
