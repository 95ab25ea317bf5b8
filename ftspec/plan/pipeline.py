"""A spec with stages, planned: each with the model that it is handed, and merges in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ftspec.errors import FtspecError, Problem, SpecError
from ftspec.plan.answers import answers_plan
from ftspec.plan.choose import choose
from ftspec.plan.merge import merge_plan
from ftspec.plan.stages import Plan, TakeResult
from ftspec.spec.earlier import WHOLE
from ftspec.spec.home import at_home
from ftspec.spec.load import Handed, Loaded
from ftspec.spec.pipeline import Pipeline, Step
from ftspec.spec.stages import MODELS
from ftspec.spec.writing import Writing


@dataclass(frozen=True)
class Link:
    """One run of a pipeline: a stage, or a merge between two."""

    name: str
    plan: Plan
    why: str
    """Why this backend."""


@dataclass
class Chain:
    """The links so far, and what they leave to stages that come."""

    pipeline: Pipeline
    output: Path | None = None
    """Where folders are compiled, one for each link. None: each link works in its output folder."""
    allow_lossy: bool = False
    links: list[Link] = field(default_factory=list)

    def begin(self, step: Step) -> Loaded:
        """The stage's spec, with the model that it is handed. A merge that it needs becomes a link.

        Raises:
            SpecError, UnsupportedError: what is handed on cannot be used so.
        """
        if step.write and step.write.teacher_stage:
            source = self.link(step.write.teacher_stage)
            if not _whole(source):
                self._merged(source)  # here, so that the stage's own folder has its number
        return self._modelled(self._rewarded(self._begun(step)))

    def _begun(self, step: Step) -> Loaded:
        """The stage's spec, with the model that it is handed."""
        if step.taken is None:
            return step.loaded
        source = self.link(step.taken.stage)
        values = source.plan.resolved.flat()
        name, revision, why = _results(source), "main", f"what stage {source.name} leaves"
        files: tuple[str, str] | None = source.plan.resolved.read_from
        earlier = (*source.plan.resolved.earlier, source.plan.resolved.spec.model)
        adapter, stored = None, _stored(source)
        if step.taken.adapter == "continue":
            adapter, name, revision = name, values["model.name"], values["model.revision"]
            files, stored = source.plan.resolved.files, values["derived.stored_dtype"]
            earlier = source.plan.resolved.earlier
            why = f"the base of stage {source.name}"
        elif step.taken.adapter == "merge":
            merged = self._merged(source)
            name, stored = _results(merged, source), values["derived.stored_dtype"]
            why = f"the base of stage {source.name}, with the adapter added"
        phrases = {"model.name": why, "model.revision": why}
        if adapter is not None:
            phrases["method.tuner.adapter"] = f"what stage {source.name} leaves"
        own = step.loaded.handed
        why_all = {**(own.why if own else {}), **phrases}
        written = step.write is not None
        handed = Handed(step.name, why_all, files, stored, written=written, earlier=earlier)
        with of_stage(step.name):
            return step.begin((name, revision), adapter, handed, self.pipeline.file)

    def end(self, step: Step, plan: Plan, why: str) -> Link:
        """The stage's link: its plan, begun with a look at what it takes."""
        if (source := self.taken(step)) is not None:
            plan = replace(plan, stages=(TakeResult(source.name, source.plan), *plan.stages))
        if step.write is not None:
            written = self._written(step, step.write, plan)
            taken = TakeResult(written.name, written.plan, begins=False)
            plan = replace(plan, stages=(taken, *plan.stages))
        for name in self._beside(step.loaded):
            taken = TakeResult(name, self.link(name).plan, begins=False)
            plan = replace(plan, stages=(taken, *plan.stages))
        self.links.append(Link(step.name, plan, why))
        return self.links[-1]

    def taken(self, step: Step) -> Link | None:
        """The link whose result a stage begins with."""
        if step.taken is None:
            return None
        merged = step.taken.adapter == "merge"
        return self.link(f"{step.taken.stage}-merged" if merged else step.taken.stage)

    def _rewarded(self, loaded: Loaded) -> Loaded:
        """The spec with the reward models that earlier stages leave."""
        if not reward_stages(loaded):
            return loaded
        objective: Any = loaded.spec.method.objective
        rewards = tuple(self._reward(each) if each.stage else each for each in objective.rewards)
        method = loaded.spec.method.model_copy(
            update={"objective": objective.model_copy(update={"rewards": rewards})}
        )
        return replace(loaded, spec=loaded.spec.model_copy(update={"method": method}))

    def _modelled(self, loaded: Loaded) -> Loaded:
        """The spec with the models of earlier stages that it measures from, or learns from."""
        stages = model_stages(loaded)
        if not stages:
            return loaded
        objective: Any = loaded.spec.method.objective
        found: dict[str, str | None] = dict.fromkeys(stages)
        own = loaded.handed or Handed("")
        for asking, name in stages.items():
            source, plain = self.link(name), MODELS[asking]
            merged = None if _whole(source) else self._merged(source)
            found[plain] = _results(merged, source) if merged else _results(source)
            why = {**own.why, f"method.objective.{plain}": f"what stage {name} leaves"}
            stored = _stored(source) if asking == "reference_stage" else own.reference_stored
            own = replace(own, why=why, reference_stored=stored)
        changed = objective.model_copy(update=found)
        method = loaded.spec.method.model_copy(update={"objective": changed})
        spec = loaded.spec.model_copy(update={"method": method})
        return replace(loaded, spec=spec, handed=own)

    def _beside(self, loaded: Loaded) -> tuple[str, ...]:
        """The links whose results a stage reads beside the model that it begins with."""
        models = model_stages(loaded).values()
        links = [n if _whole(self.link(n)) else f"{n}-merged" for n in models]
        return tuple(dict.fromkeys((*reward_stages(loaded), *links)))

    def _reward(self, reward: Any) -> Any:
        """A reward model by its place: whole weights, or a base and the adapter over it."""
        source = self.link(reward.stage)
        place, base = _results(source), source.plan.resolved.values["model.name"].value
        found = {"name": place} if _whole(source) else {"name": base, "adapter": place}
        return reward.model_copy(update={"stage": None, **found})

    def folder(self, name: str, ahead: bool = False) -> Path | None:
        """Where the next link is compiled, or the one after it, where one goes ``ahead``."""
        number = len(self.links) + 1 + ahead
        return None if self.output is None else self.output / f"{number}-{name}"

    def _written(self, step: Step, write: Writing, plan: Plan) -> Link:
        """The writing before a stage, as a link of its own."""
        name, taken, teacher = f"{step.name}-answers", None, write.teacher or ""
        if write.teacher_stage is not None:
            source = self.link(write.teacher_stage)
            link = source if _whole(source) else self._merged(source)
            teacher = _results(link, None if link is source else source)
            taken = TakeResult(link.name, link.plan, begins=False)
        place = at_home(f"{plan.resolved.values['output.folder'].value}-answers")
        folder = self.folder(name) or plan.resolved.folder / place
        made = answers_plan(plan, step.name, write, folder, teacher, taken)
        self.links.append(Link(name, made, f"where stage {step.name} trains"))
        return self.links[-1]

    def link(self, name: str) -> Link:
        """The link of a name."""
        return next(link for link in self.links if link.name == name)

    def _merged(self, source: Link) -> Link:
        name = f"{source.name}-merged"
        if name in [link.name for link in self.links]:
            return self.link(name)
        resolved = source.plan.resolved
        place = f"{resolved.values['output.folder'].value}-merged/{source.plan.backend}"
        folder = self.folder(name) or resolved.folder / at_home(place)
        with of_stage(name):
            plan = merge_plan(
                source.plan,
                source.name,
                folder,
                _results(source),
                f"{place}/model",
                self.allow_lossy,
            )
        self.links.append(Link(name, plan, f"where stage {source.name} trains"))
        return self.links[-1]


def make_pipeline(
    pipeline: Pipeline,
    backend: str | None = None,
    output: Path | None = None,
    allow_lossy: bool = False,
) -> tuple[Link, ...]:
    """The plans of all stages, in the order in which they run; nothing is written or started.

    ``backend`` runs all of them, in place of each stage's own choice.

    Raises:
        SpecError, DataError, UnsupportedError, BackendError: of a stage, which is named.
    """
    chain = Chain(pipeline, output, allow_lossy)
    for step in pipeline.steps:
        loaded = chain.begin(step)
        with of_stage(step.name):
            folder = chain.folder(step.name, ahead=step.write is not None)
            chain.end(step, *choose(loaded, backend, allow_lossy, folder))
    return tuple(chain.links)


def one_stage(
    pipeline: Pipeline, name: str, allow_lossy: bool = False
) -> tuple[Loaded, Link | None]:
    """One stage as a spec, and the link whose result it begins with.

    Raises:
        SpecError: there is no such stage.
        FtspecError: a stage before it cannot be planned.
    """
    if name not in [step.name for step in pipeline.steps]:
        known = ", ".join(step.name for step in pipeline.steps)
        message = f"there is no stage {name}"
        raise SpecError(Problem(message, file=str(pipeline.file), hint=f"there are {known}"))
    chain = Chain(pipeline, None, allow_lossy)
    for step in pipeline.steps:
        loaded = chain.begin(step)
        if step.name == name:
            return loaded, chain.taken(step)
        with of_stage(step.name):
            chain.end(step, *choose(loaded, None, allow_lossy))
    raise ValueError(name)


def reward_stages(loaded: Loaded) -> tuple[str, ...]:
    """The stages whose reward models a spec names."""
    rewards = getattr(loaded.spec.method.objective, "rewards", ())
    return tuple(dict.fromkeys(each.stage for each in rewards if each.stage))


def model_stages(loaded: Loaded) -> dict[str, str]:
    """The stages whose models a spec measures from or learns from, by the fields that name them."""
    objective = loaded.spec.method.objective
    named = {asking: getattr(objective, asking, None) for asking in MODELS}
    return {asking: name for asking, name in named.items() if name is not None}


def _stored(link: Link) -> str | None:
    """The type in which a stage saves weights; of an adapter, that in which it will be merged."""
    values = link.plan.resolved.flat()
    lifted = values["model.dtype"] if _whole(link) else "auto"
    found: str | None = values["derived.stored_dtype"] if lifted == "auto" else lifted
    return found


def _whole(link: Link) -> bool:
    """Whether a stage leaves whole weights, not an adapter."""
    return link.plan.resolved.spec.method.tuner.type in WHOLE


@contextmanager
def of_stage(name: str) -> Iterator[None]:
    """Errors within are of this stage, and say so."""
    try:
        yield
    except FtspecError as error:
        problems = [replace(p, message=f"stage {name}: {p.message}") for p in error.problems]
        raise error.retold(problems) from error


def _results(link: Link, source: Link | None = None) -> str:
    """Where a link leaves its weights, as a spec would write it."""
    folder = str((source or link).plan.resolved.values["output.folder"].value)
    merged = "-merged" if source else ""
    place = f"{folder}{merged}/{link.plan.backend}/model"
    return place if place.startswith((".", "/", "~")) else f"./{place}"
