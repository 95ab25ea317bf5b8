"""A spec with stages: each of them checked as a spec of its own, in the order in which they run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftspec.errors import Problem, SpecError
from ftspec.spec import earlier
from ftspec.spec.earlier import ANSWERS
from ftspec.spec.load import STAGES, Handed, Loaded, checked, read, spec_name
from ftspec.spec.method import WORDS
from ftspec.spec.root import Spec
from ftspec.spec.stages import NOT_SHARED, Stage, Taken, full, overlay
from ftspec.spec.text import Path as Trail
from ftspec.spec.text import Text, parse
from ftspec.spec.writing import Writing

KEPT = ("type", "plus_ratio", "plus_embedding_rate")
"""What is said of an adapter that is trained further: its rank and targets are its own."""


@dataclass(frozen=True)
class Step:
    """One stage, as a spec of its own."""

    name: str
    taken: Taken | None
    """What `model` takes of an earlier stage."""
    loaded: Loaded
    """The spec. Where a model is taken, a stand-in holds its place: see `begin`."""
    text: Text
    """The document that the spec was made from: shared sections, and the stage's own over them."""
    write: Writing | None = None
    """Answers that a teacher writes first: `data.train` names the file that they will lie in."""

    def begin(
        self, model: tuple[str, str], adapter: str | None, handed: Handed, path: Path
    ) -> Loaded:
        """The spec with the model that is handed on (a name, and its revision), and the adapter."""
        data = _filled(self.text.data, model, adapter)
        begun = checked(replace(self.text, data=data), path, self.loaded.sets, self.name)
        return replace(begun, handed=handed)


@dataclass(frozen=True)
class Pipeline:
    """Several runs, the later ones on what the earlier leave."""

    file: Path
    digest: str
    """SHA-256 over the stages' own."""
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """The spec's name: its file name without endings."""
        return spec_name(self.file)

    def step(self, name: str) -> Step:
        """The stage of a name."""
        return next(step for step in self.steps if step.name == name)


def load_any(path: Path, sets: Sequence[str] = ()) -> Loaded | Pipeline:
    """The spec in a file, or its stages where it has some.

    Raises:
        SpecError: the file cannot be read, or is no valid spec: all problems.
    """
    return read_any(parse(read(path), str(path)), path, sets)


def read_any(text: Text, path: Path, sets: Sequence[str] = ()) -> Loaded | Pipeline:
    """The same for a document that was read; `path` stands for its file."""
    if isinstance(text.data, dict) and STAGES in text.data:
        return _Reader(text, path, sets).pipeline()
    return checked(text, path, sets)


class _Reader:
    """Reads stage by stage, and keeps every problem."""

    def __init__(self, text: Text, path: Path, sets: Sequence[str]) -> None:
        self.text, self.path = text, path
        self.shared = {key: value for key, value in text.data.items() if key != STAGES}
        self.problems: list[Problem] = []
        self.names: dict[str, int] = {}
        self.taken: dict[str, Taken | None] = {}
        self.steps: dict[str, Step] = {}
        self.sets = sets

    def pipeline(self) -> Pipeline:
        stages = self._stages()
        self._shared()
        own = dict(self._sets())
        wrong: set[str] = set()
        for name, index in self.names.items():
            before = len(self.problems)
            self.taken[name] = self._take(stages[index], index)
            if len(self.problems) > before:
                wrong.add(name)
        found: list[tuple[str, Sequence[Problem]]] = []
        for name, index in self.names.items():
            taken = self.taken[name]
            if name in wrong or (taken and taken.stage not in self.steps):
                continue  # what is wrong with those comes first
            try:
                self.steps[name] = self._step(name, stages[index], index, own.get(name, ()))
            except SpecError as error:
                found.append((name, error.problems))
        self.problems += _said_once(found, len(self.names))
        self._folders()
        if self.problems:
            raise SpecError(sorted(self.problems, key=lambda p: (p.line, p.column)))
        digests = "".join(step.loaded.digest for step in self.steps.values())
        digest = hashlib.sha256(digests.encode()).hexdigest()
        return Pipeline(self.path, digest, tuple(self.steps.values()))

    def _problem(self, trail: Trail, message: str, hint: str = "") -> None:
        place = self.text.place(trail)
        dotted = ".".join(map(str, trail))
        self.problems.append(
            Problem(message, dotted, str(self.path), place.line, place.column, hint)
        )

    def _stages(self) -> list[dict[str, Any]]:
        """The list, with the names that are good."""
        stages = self.text.data[STAGES]
        if not isinstance(stages, list) or not stages:
            hint = (
                "each item has a `name`, and the sections in which it differs from the shared ones"
            )
            self._problem((STAGES,), "expected a list of stages", hint)
            raise SpecError(self.problems)
        for index, stage in enumerate(stages):
            trail: Trail = (STAGES, index, "name")
            if not isinstance(stage, dict) or "name" not in stage:
                self._problem(trail[:2], "a stage needs a name", "name: sft")
                continue
            name = stage["name"]
            try:
                Stage.model_validate({"name": name})
            except ValidationError:
                hint = "small letters, digits, `-` and `_`: it becomes the name of a folder"
                self._problem(trail, f"`{name}` is not a name for a stage", hint)
                continue
            if name in self.names:
                self._problem(trail, f"there is a stage `{name}` already", "names differ")
                continue
            if "version" in stage:
                hint = "one file has one version, at its top"
                self._problem((*trail[:2], "version"), "a stage has no version", hint)
            self.names[name] = index
        return stages

    def _shared(self) -> None:
        """What cannot be the same for every stage."""
        taken = dict.fromkeys(Taken.model_fields, "say it in the stage that takes it")
        for section, fields in {**NOT_SHARED, "model": taken}.items():
            value = full(section, self.shared.get(section))
            for field, why in fields.items() if isinstance(value, dict) else ():
                if value.get(field) is not None:
                    self._problem((section, field), f"`{section}.{field}` cannot be shared", why)
                    value = {k: v for k, v in value.items() if k != field}
            self.shared |= {section: value} if isinstance(value, dict) else {}

    def _take(self, stage: Mapping[str, Any], index: int) -> Taken | None:
        """What a stage's `model` takes of another stage; None where it takes nothing, or nothing good."""
        model = stage.get("model")
        if not isinstance(model, dict) or not {"stage", "adapter"} & set(model):
            return None
        trail: Trail = (STAGES, index, "model")
        if "stage" not in model:
            hint = "model: {stage: sft, adapter: merge}"
            self._problem((*trail, "adapter"), "`adapter` of which stage?", hint)
            return None
        for name in {"name", "revision"} & set(model):
            message = f"`{name}` and `stage` exclude each other: keep one"
            self._problem((*trail, name), message)
        named = model["stage"]
        if named not in self.names:
            known = ", ".join(f"`{name}`" for name in self.names)
            self._problem((*trail, "stage"), f"there is no stage `{named}`", f"there are {known}")
            return None
        if self.names[named] >= index:
            own = stage["name"]
            message = f"`{own}` begins with the model of `{named}`, which comes "
            message += "after it" if named != own else "of itself"
            hint = "stages run in the order of the file: take a stage that stands above"
            self._problem((*trail, "stage"), message, hint)
            return None
        if model.get("adapter") == "merge" and f"{named}-merged" in self.names:
            message = f"`{named}-merged` is what the merge of `{named}` is called"
            self._problem((*trail, "adapter"), message, f"another name for stage `{named}-merged`")
        try:
            return Taken.model_validate({k: model[k] for k in ("stage", "adapter") if k in model})
        except ValidationError:
            hint = "`continue`: train it further; `merge`: add it to the base weights first"
            self._problem((*trail, "adapter"), "expected `continue` or `merge`", hint)
            return None

    def _step(self, name: str, stage: Mapping[str, Any], index: int, sets: Sequence[str]) -> Step:
        """The stage as a spec of its own."""
        taken = self.taken[name]
        own = {k: v for k, v in stage.items() if k not in ("name", "version", "write")}
        write = self._write(stage, index)
        data = overlay(self.shared, own)
        source = self.steps[taken.stage] if taken else None
        if taken and source:
            spec = source.loaded.spec
            self._note((STAGES, index, "model"), earlier.adapter(source.name, spec, taken.adapter))
            data["model"] = self._model(taken, source, own["model"])
            if taken.adapter == "continue":
                data["method"] = self._method(own)
            sets = [text for text in sets if not _pointless(text, taken, name)]
        folder = full("output", data.get("output", {}))
        given = full("output", own.get("output", {}))
        if isinstance(folder, dict) and not (isinstance(given, dict) and given.get("folder")):
            base = folder.get("folder") or f"runs/{spec_name(self.path)}"
            data["output"] = {**folder, "folder": f"{str(base).rstrip('/')}/{name}"}
        if write is not None:
            data["data"] = self._written(data, own, data["output"], index)
        text = self._text(data, own, index)
        adapter = f"./{taken.stage}" if taken and taken.adapter == "continue" else None
        filled = _filled(data, (f"./{taken.stage}", "main"), adapter) if taken else data
        loaded = checked(replace(text, data=filled), self.path, sets, name)
        self._note((STAGES, index), earlier.rewards(loaded.spec, self._above()))
        self._note((STAGES, index), earlier.models(loaded.spec, self._above(), self.names))
        why = {"output.folder": f"the results of stage {name}"}
        if write is not None:
            why["data.train"] = f"what the teacher of stage {name} writes"
        handed = Handed(name, why, written=write is not None)
        return Step(name, taken, replace(loaded, handed=handed), text, write)

    def _write(self, stage: Mapping[str, Any], index: int) -> Writing | None:
        """What a teacher writes before a stage; None where it says nothing, or nothing good."""
        if stage.get("write") is None:
            return None
        found, wrong = earlier.writing(stage["write"], stage["name"], self._above(), self.names)
        self._note((STAGES, index, "write"), wrong)
        return found

    def _written(
        self, data: Mapping[str, Any], own: Mapping[str, Any], output: Any, index: int
    ) -> dict[str, Any]:
        """The data section of a stage whose rows a teacher writes."""
        mine = full("data", own.get("data", {}))
        if isinstance(mine, dict) and mine.get("train") is not None:
            message = "`data.train` and `write` exclude each other: keep one"
            self._problem((STAGES, index, "data"), message)
        section = full("data", data.get("data", {}))
        full_output = full("output", output)
        folder = full_output.get("folder") if isinstance(full_output, dict) else None
        place = f"{str(folder).rstrip('/')}-answers/model/{ANSWERS}"
        place = place if place.startswith((".", "/", "~")) else f"./{place}"
        train = {"path": place, "format": "messages"}
        return {**(section if isinstance(section, dict) else {}), "train": [train]}

    def _above(self) -> dict[str, Spec]:
        """The stages that were read so far."""
        return {name: step.loaded.spec for name, step in self.steps.items()}

    def _note(self, trail: Trail, wrong: Iterable[earlier.Wrong]) -> None:
        for each in wrong:
            self._problem((*trail, *each.at), each.message, each.hint)

    def _model(self, taken: Taken, source: Step, own: Mapping[str, Any]) -> dict[str, Any]:
        """The model section: the stage's own over that of the stage it takes, less what is handed on."""
        base = source.loaded.spec.model.model_dump(mode="json", exclude_unset=True)
        if taken.adapter != "continue":
            # weights that were merged or trained whole are in no few bits; the shared wish still holds
            shared = full("model", self.shared.get("model", {}))
            base.pop("quantization", None)
            base.pop("stored", None)  # what trained or was merged is saved whole
            base.pop("new_tokens", None)  # they are in the model by then
            if isinstance(shared, dict) and "quantization" in shared:
                base["quantization"] = shared["quantization"]
        less = ("name", "revision", "stage", "adapter")
        return {k: v for k, v in {**base, **own}.items() if k not in less}

    def _method(self, own: Mapping[str, Any]) -> Any:
        """The method of a stage that trains an adapter further: what is said of a new one is left out."""
        shared = full("method", self.shared.get("method", {}))
        mine = full("method", own.get("method", {}))
        if not (isinstance(shared, dict) and isinstance(mine, dict)):
            return mine
        tuner = mine["tuner"] if "tuner" in mine else shared.get("tuner", {})
        if isinstance(tuner, str):
            tuner = {"type": tuner} if "tuner" in mine else WORDS.get(tuner, {"type": tuner})
        if "tuner" not in mine:
            tuner = {k: v for k, v in tuner.items() if k in KEPT and tuner.get("type") == "lora"}
        return {**shared, **mine, "tuner": {"type": "lora", **tuner}}

    def _text(self, data: Any, own: Mapping[str, Any], index: int) -> Text:
        """Where the parts of a stage's document stand in the file."""
        here: Trail = (STAGES, index)
        over = {
            (section, field)
            for section, value in own.items()
            if isinstance(written := full(section, value), dict)
            for field in written
        }

        def moved(places: Mapping[Trail, Any]) -> dict[Trail, Any]:
            kept = {
                trail: place
                for trail, place in places.items()
                if trail[:1] != (STAGES,) and trail[:2] not in over
            }
            kept |= {trail[2:]: place for trail, place in places.items() if trail[:2] == here}
            for section, field in over:
                if (section, field) not in kept and (section,) in kept:
                    kept[section, field] = kept[section,]  # a short form
            return kept

        return Text(data, moved(self.text.values), moved(self.text.keys))

    def _sets(self) -> Iterator[tuple[str, list[str]]]:
        """Of each stage, the `--set` options that it gets: those of all, and its own."""
        for name in self.names:
            own = []
            for text in self.sets:
                first, _, rest = text.partition(".")
                if first != STAGES or rest.startswith(f"{name}."):
                    own.append(text)
            yield name, own
        for text in self.sets:
            first, _, rest = text.partition(".")
            if first == STAGES and rest.partition(".")[0] not in self.names:
                known = ", ".join(f"`{name}`" for name in self.names)
                message = f"there is no stage `{rest.partition('.')[0]}`"
                self.problems.append(
                    Problem(message, file=f"--set {text}", hint=f"there are {known}")
                )

    def _folders(self) -> None:
        """Two stages in one folder would overwrite each other."""
        seen: dict[str, str] = {}
        for name, step in self.steps.items():
            folder = (step.loaded.spec.output.folder or "").rstrip("/")
            if folder in seen:
                message = f"`{seen[folder]}` and `{name}` have one output folder"
                self._problem((STAGES, self.names[name], "output"), message, "leave it out of one")
            seen[folder] = name


def _filled(data: Mapping[str, Any], model: tuple[str, str], adapter: str | None) -> dict[str, Any]:
    name, revision = model
    section = {
        **data["model"],
        "name": name,
        **({} if revision == "main" else {"revision": revision}),
    }
    method = data.get("method")
    tuner = method.get("tuner") if isinstance(method, dict) else None
    if adapter is None or not isinstance(method, dict) or not isinstance(tuner, dict):
        return {**data, "model": section}  # a tuner that is none is told when the spec is read
    return {
        **data,
        "model": section,
        "method": {**method, "tuner": {**tuner, "adapter": adapter}},
    }


def _pointless(option: str, taken: Taken, stage: str) -> bool:
    """Whether an option says what this stage is handed."""
    path = option.partition("=")[0].strip().removeprefix(f"{STAGES}.{stage}.")
    if taken.adapter == "continue" and path.startswith("method.tuner"):
        return path.rpartition(".")[2] not in KEPT
    return path in ("model", "model.name", "model.revision")


def _said_once(found: Sequence[tuple[str, Sequence[Problem]]], stages: int) -> list[Problem]:
    """The problems, those that every stage has once, others with the names of their stages."""
    by: dict[Problem, list[str]] = {}
    for name, problems in found:
        for problem in problems:
            by.setdefault(problem, []).append(name)
    return [
        problem
        if len(names) == stages
        else replace(problem, message=f"stage {', '.join(names)}: {problem.message}")
        for problem, names in by.items()
    ]
