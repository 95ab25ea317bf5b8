"""Which format a file has, from what is in it; and which files belong together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ftspec.errors import Problem, SpecError
from ftspec.port import cards, shell
from ftspec.port.documents import HJSON, INSIDE, Document, in_file, parse, read_text
from ftspec.port.format import Format
from ftspec.port.formats import NAMES, formats
from ftspec.port.others import other
from ftspec.port.presets import preset
from ftspec.port.scripts import called, dumped, read
from ftspec.read import heredocs, json, yaml
from ftspec.read.placed import Placed
from ftspec.spec.load import STAGES
from ftspec.spec.present import is_file, is_there
from ftspec.spec.root import Spec

_AT = re.compile(r"(.+):(\d+)", re.DOTALL)
"""`run.sh:38`: the command at a line of a script that has several."""
SURE = 3
"""Keys of one format that a block of a model card has to have."""
CARDS = "a card in which a config stands between fences (```yaml), as axolotl writes it, is read"
WRITTEN_BY = "the card says that axolotl {} trained it: its config is read as that of 0.19.0"
WINDOWS = (".bat", ".cmd", ".ps1")
REWRITTEN = frozenset(
    (
        *(
            "model_class",
            "init_config",
            "peft_config",
            "kernel_config",
            "quant_config",
            "dist_config",
        ),
        *("optim_config", "train_dataset", "sample_backend", "batching_strategy"),
    )
)
"""Keys of LLaMA-Factory's v1 (0.9.5, v1/config) that no other format has beside a `model`."""


LEFT: Mapping[frozenset[str], str] = {
    frozenset(("peft_type", "base_model_name_or_path")): "a saved adapter's adapter_config.json",
    frozenset(("global_step", "log_history")): "a trainer's trainer_state.json",
}
"""Keys of what a training leaves behind."""
LEFT_HINT = "ftspec explain and ftspec diff read it; name the config of the training"
NO_TRAINER = (
    "not in a format that is known: no trainer of trl, and no config of one, surely runs in it"
)
WHICH_TRAINERS = (
    "scripts around trl's trainers and Unsloth's are read, and functions that they call by name; a loop over "
    "transformers' Trainer, a class or a configuration file of its own is not"
)


class Part(NamedTuple):
    """One file, read in its format's own dialect."""

    format: Format
    document: Document


def read_parts(path: Path, wanted: str | None = None) -> list[Part]:
    """A file as the parts of a source: one, or what a shell script launches.

    A path that is no file, and has several words, is a command line; `run.sh:38` is the command at that
    line of a script.

    Raises:
        SpecError: as `recognise`; or nothing in a script trains, or several commands do.
    """
    words, line = str(path), 0
    at = None if is_there(path) else _AT.fullmatch(words)
    if at is not None and is_file(Path(at[1])):
        path, line = Path(at[1]), int(at[2])
    elif " " in words.strip() and not is_there(path):
        return [Part(*one) for one in shell.parts(Path("command"), words, wanted, recognise)]
    text = read_text(path)
    if shell.is_shell(path, text):
        return [Part(*one) for one in shell.parts(path, text, wanted, recognise, line)]
    found = _handed(path, text) if read.is_script(path) else []
    if path.suffix == ".ipynb" and in_file(
        path, shell.trains, lines := in_file(path, read.shell_lines, text)
    ):
        written = {heredocs.named(one.name): one.document for one in found if one.name}
        return [Part(*one) for one in shell.parts(path, lines, wanted, recognise, line, written)]
    if found:
        return [Part(named("llamafactory"), _one_of(path, found, line))]
    if path.suffix == ".py" and in_file(path, shell.trains, lines := called.commands(text)):
        return [Part(*one) for one in shell.parts(path, lines, wanted, recognise, line)]
    if path.suffix.lower() in WINDOWS:
        why = "a script of Windows, whose variables and line ends are others"
        hint = "give its command that trains in quotes, as one line"
        raise SpecError(Problem(why, file=str(path), hint=hint))
    carded = cards.is_card(path)
    return _with_launch(_carded(path, text, wanted, line) if carded else recognise(path, wanted))


def _carded(path: Path, text: str, wanted: str | None, line: int) -> Part:
    """The config that stands in a model card, or the one at that line."""
    found = _configs(path, text)
    if line:
        found = [one for one in found if one.line <= line][-1:]
    if len(found) != 1:
        lines = ", ".join(str(one.line) for one in found)
        why = f"several configs stand in it (lines {lines})" if found else "no config stands in it"
        hint = f"name one by its line: {path}:{found[0].line}" if found else CARDS
        raise SpecError(Problem(why, file=str(path), hint=hint))
    (one,) = found
    data = parse(path, one.text, yaml.scalar, last_wins=True).data
    form = _recognised(data, path) if wanted is None else named(wanted)
    document = parse(path, one.text, form.scalar, form.last_wins)
    notes = (WRITTEN_BY.format(one.release),) if one.release else ()
    return Part(form, replace(document, notes=(*document.notes, *notes), release=one.release))


def in_card(path: Path) -> bool:
    """Whether it is a model card in which a config stands."""
    if not cards.is_card(path) or not is_file(path):
        return False
    return bool(_configs(path, read_text(path)))


def _configs(path: Path, text: str) -> list[cards.Fenced]:
    blocks = in_file(path, lambda: list(cards.fenced(text)))
    return [one for one in blocks if _is_config(path, one.text)]


def _is_config(path: Path, text: str) -> bool:
    """Whether it is a mapping with several keys of one format."""
    try:
        keys = set(parse(path, text, yaml.scalar, last_wins=True).data)
    except SpecError:
        return False
    return any(len(form.signs & keys) >= SURE for form in formats())


def _with_launch(part: Part) -> list[Part]:
    """A file, and how it is launched where it says so: as a config of trl may."""
    if part.format.name != "trl" or read.is_script(part.document.path):
        return [part]
    return [Part(*one) for one in shell.with_launch(*part, recognise)]


def _handed(path: Path, text: str) -> list[dumped.Handed]:
    """Settings that a script hands to LLaMA-Factory; none of a script that trains by itself."""
    source = in_file(path, read.code, path, text)
    return [] if "Trainer(" in source else dumped.handed(path, source)


def _one_of(path: Path, found: Sequence[dumped.Handed], line: int) -> Document:
    trainings = [one for one in found if one.trains] or list(found)
    if line:
        trainings = [one for one in trainings if one.line <= line][-1:] or trainings
    if len(trainings) > 1:
        lines = ", ".join(str(one.line) for one in trainings)
        hint = f"name one by its line: {path}:{trainings[0].line}"
        raise SpecError(Problem(f"several trainings (lines {lines})", file=str(path), hint=hint))
    return trainings[0].document


def recognise(
    path: Path,
    wanted: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str | None] | None = None,
    words: Sequence[str | None] | None = None,
) -> Part:
    """A file in its format; a script, run with these arguments and variables.

    Raises:
        SpecError: it cannot be read, or it is in no format that is known, or in several.
    """
    text = read_text(path)
    if read.is_script(path):
        document = in_file(path, read.read, path, text, arguments, environ, words)
        form = named(wanted) if wanted is not None else _recognised(document.data, path)
        return Part(form, document)
    if wanted in (None, "deepspeed") and (engine := _commented(path, text)) is not None:
        return engine
    if wanted is not None and wanted != "llamafactory":
        form = named(wanted)
    else:
        # the dialects agree on keys, and a key that is there twice is judged by its own format
        data = parse(path, text, yaml.scalar, last_wins=True).data
        _refuse_rewritten(data, path)
        form = _recognised(data, path) if wanted is None else named(wanted)
    return Part(form, parse(path, text, form.scalar, form.last_wins))


def _commented(path: Path, text: str) -> Part | None:
    """An engine's JSON with comments in it, which DeepSpeed reads (runtime/config.py, hjson)."""
    bare = json.uncommented(text) if path.suffix == ".json" else text
    if bare == text:
        return None
    try:
        document = parse(path, bare, yaml.scalar, last_wins=False)
        form = _recognised(document.data, path)
    except SpecError:
        return None  # the text as it is tells what is wrong
    return Part(form, replace(document, notes=(HJSON,))) if form.name == "deepspeed" else None


def _refuse_rewritten(data: Mapping[str, Any], path: Path) -> None:
    """Raise for a config of the trainer that LLaMA-Factory has beside its own (src/llamafactory/v1)."""
    if (
        isinstance(data.get("model"), str)
        and "model_name_or_path" not in data
        and REWRITTEN & set(data)
    ):
        message = (
            "this is for LLaMA-Factory's rewritten trainer (`USE_V1=1`), whose loop, batches and data are "
            "others: that format is not read"
        )
        hint = "a config with `model_name_or_path` and `stage` is read"
        raise SpecError(Problem(message, file=str(path), hint=hint))


def named(name: str) -> Format:
    """The format of that name.

    Raises:
        SpecError: there is none.
    """
    found = {form.name: form for form in formats()}
    if name not in found:
        raise SpecError(
            Problem(f"there is no format `{name}`", hint=f"known are: {', '.join(NAMES)}")
        )
    return found[name]


def _recognised(data: Mapping[str, Any], path: Path) -> Format:
    if not data and not read.is_script(path):
        raise SpecError(Problem("the file is empty", file=str(path), hint="name a config"))
    if {"model_type", "architectures"} <= set(data):
        message = "this is the config.json of a model, which says nothing of a training"
        raise SpecError(Problem(message, file=str(path), hint="name the config of the training"))
    for form in formats():
        if form.recognise is not None and form.recognise(data):
            return form
    if (what := next((what for keys, what in LEFT.items() if keys <= set(data)), "")) != "":
        message = f"this is {what}, which tells a part of a training alone"
        raise SpecError(Problem(message, file=str(path), hint=LEFT_HINT))
    if read.is_script(path):
        raise SpecError(Problem(NO_TRAINER, file=str(path), hint=WHICH_TRAINERS))
    scores = {form.name: len(form.signs & set(data)) for form in formats()}
    if "model_name_or_path" in data:  # which no engine's and no launcher's file has
        whole = {form.name: scores[form.name] for form in formats() if form.whole}
        scores = whole if any(whole.values()) else scores
    best = max(scores.values(), default=0)
    names = [name for name, score in scores.items() if score == best]
    hint = f"--from {'|'.join(NAMES)} names it"
    if best == 0 and (known := other(data)) is not None:
        raise SpecError(Problem(known.what, file=str(path), hint=known.hint))
    if best == 0:
        keys = ", ".join(map(str, list(data)[:4])) or "none"
        if {"model", "data"} <= set(data) <= {*Spec.model_fields, STAGES}:
            message = "this is a spec of ftspec already"
            hint = "`ftspec compile` writes it for a framework, `ftspec plan` shows what it does"
            raise SpecError(Problem(message, file=str(path), hint=hint))
        raise SpecError(
            Problem(f"not in a format that is known (its keys: {keys})", file=str(path), hint=hint)
        )
    if len(names) > 1:
        raise SpecError(
            Problem(f"it could be {' or '.join(names)}", file=str(path), hint=f"--from {names[0]}")
        )
    return named(names[0])


def mentioned(parts: Sequence[Part]) -> list[Part]:
    """Files that the given ones name, where they are here, or come with the tool.

    They are looked for from the current folder, beside the file, and below the root of its repository.
    """
    given = {part.format.name for part in parts}
    found: list[Part] = []
    for part in parts:
        for key, name in part.format.mentions.items():
            value: Any = part.document.data
            for step in key.split("."):
                value = value.get(step) if isinstance(value, dict) else None
            other = None if name in given else _companion(value, name, part.document.path.parent)
            if isinstance(value, dict) and name == "deepspeed" not in given:
                other = _inside(part.document, key, value)
            if other is None and name == "deepspeed" not in given and isinstance(value, str):
                other = _own(value, part.format)
            if other is not None:
                given.add(name)
                found.append(other)
    return found


def _inside(document: Document, key: str, value: dict[str, Any]) -> Part | None:
    """An engine's settings that stand in the place of the name of their file."""
    start = tuple(key.split("."))
    if not value or not named("deepspeed").signs & set(value):
        return None
    places = {
        trail[len(start) :]: place
        for trail, place in document.placed.places.items()
        if trail[: len(start)] == start and len(trail) > len(start)
    }
    return Part(named("deepspeed"), Document(document.path, Placed(value, places), whose=INSIDE))


def _companion(value: Any, name: str, folder: Path) -> Part | None:
    if name == "dataset_info":
        value = f"{value or 'data'}/dataset_info.json"
    if not isinstance(value, str) or "\0" in value:
        return None
    roots = [above for above in folder.absolute().parents if is_there(above / ".git")]
    for path in (Path(value), folder / value, *(root / value for root in roots[:1])):
        try:
            part = recognise(path) if is_file(path) else None
        except (SpecError, OSError):
            continue  # not what it is called: the setting that names it says so
        if part is not None and part.format.name == name:
            return part
    return None


def _own(value: str, form: Format) -> Part | None:
    """An engine's settings that come with the tool of a format."""
    document = preset(value, form.name, form.title)
    return None if document is None else Part(named("deepspeed"), document)


def together(parts: Sequence[Part]) -> tuple[Part | None, dict[str, Part]]:
    """The file that says the training, and its companions by format.

    Raises:
        SpecError: two files say the same kind of thing.
    """
    main: Part | None = None
    companions: dict[str, Part] = {}
    for part in parts:
        same = main if part.format.whole else companions.get(part.format.name)
        if same is not None:
            raise SpecError(
                Problem(
                    f"{same.document.path} is {same.format.title} as well",
                    file=str(part.document.path),
                    hint="one source at a time: a config, and the files that belong to it",
                )
            )
        if part.format.whole:
            main = part
        else:
            companions[part.format.name] = part
    return main, companions
