"""Shell scripts and command lines as the parts of a source: a trainer's settings, and its launcher's."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.port.arguments import ONLY_SHELL, arguments, asked_of, may_name
from ftspec.port.documents import Document, Scalar, in_file, parse, read_text
from ftspec.port.format import Format
from ftspec.port.formats import load
from ftspec.port.launchers import CONFIG, is_handed_on
from ftspec.port.launches import Launch, launched, launches, untrained
from ftspec.port.overrides import DOTTED, merged
from ftspec.port.presets import launch_preset
from ftspec.port.slips import refused, stray, unblanked
from ftspec.read import commands, pyyaml
from ftspec.read.commands import Command
from ftspec.read.heredocs import Made, named
from ftspec.read.placed import Place, Placed, Trail
from ftspec.spec.present import is_file

Read = Callable[..., tuple[Format, Document]]
"""How a file is recognised: its path, the name of a format, arguments of a command line, variables."""
COMMANDS = (
    "llamafactory-cli train, trl, axolotl train, tune run, oumi train, accelerate launch, torchrun, "
    "deepspeed and python with a script are read"
)
SUFFIXES = (".sh", ".bash", ".slurm", ".sbatch")
SHELLS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash")
CONFIGS = ("config", "config_file", "")
"""Where an argument names a file of settings; "" is a bare word."""


_UNDER = re.compile(r"(?:\$\{?\w+\}?|\$\(.*\)|`.*`)/(.+)")
"""A file below a folder that only the shell knows."""
OWN_NAMES = frozenset(("stage", "finetuning_type", "model_name_or_path"))
"""Arguments that LLaMA-Factory alone has together, whatever its script is called."""
AGED = "train_bash.py"
"""A script of LLaMA-Factory's that only older releases have."""
NO_DOCUMENTS: Mapping[str, Document] = MappingProxyType({})
PARSER = re.compile(r"TrlParser|H4ArgumentParser|HfArgumentParser")
"""What trl's own scripts, and those of its recipes, read a command line with."""
OTHERWISE = (
    "{}: taken for trl's own, or for that of a recipe; what it does otherwise is not read, since its parser "
    "or its trainer is not one that is known"
)
AND_CONFIG = re.compile(r"\bparse_args_and_config\(|H4ArgumentParser\(")
"""What reads `--config FILE`, and takes the command line's words before what stands there."""
LISTED = frozenset(
    (
        *("lora_target_modules", "lora_modules_to_save", "lora_target_parameters"),
        *("reward_weights", "loss_weights", "reward_funcs"),
    )
)
"""Arguments of trl that are lists, one word of a command line as well (argparse's nargs="+")."""


def _is_list(value: Any) -> bool:
    return value is None or value == "all-linear" or isinstance(value, list)


def is_shell(path: Path, text: str) -> bool:
    """Whether a file is a shell script."""
    return path.suffix in SUFFIXES or text.startswith(SHELLS)


def trains(text: str) -> bool:
    """Whether a command in it is one of a tool that trains."""
    return any(found.tool for found in launches(commands.read(text)))


def parts(
    path: Path,
    text: str,
    wanted: str | None,
    read: Read,
    line: int = 0,
    written: Mapping[str, Document] = NO_DOCUMENTS,
) -> list[tuple[Format, Document]]:
    """The training that a script launches, and how; ``line``: of which command, where it has several.

    ``written``: settings that the cells of a notebook write to files, by `heredocs.named`.

    Raises:
        SpecError: nothing in it trains, several commands do, or a file that it names is not here.
    """
    whole, files = in_file(path, commands.read_whole, text)
    launch = unblanked(_chosen(path, whole, wanted, line))
    main = _shared_out(path, launch, *_main(path, launch, wanted, read, files, written))
    if launch.tool == "trl" and launch.trainer:
        main, machine = apart(*main)
        launch.machine = _over(machine, launch.machine)
    return [main, *_machine(path, launch, read), *_beside(path, main, files)]


def _shared_out(
    path: Path, launch: Launch, form: Format, document: Document
) -> tuple[Format, Document]:
    """With the questions who shares the model out that no setting answers."""
    left = [one for key, one in launch.shared_out.items() if not document.data.get(key)]
    return form, _with(document, {}, path, launch.line, left)


def apart(form: Format, document: Document) -> tuple[tuple[Format, Document], dict[str, Any]]:
    """A config of trl without what its command line hands to accelerate, and that.

    trl 1.16, cli/commands/training.py.
    """
    handed = {key: one for key, one in document.data.items() if is_handed_on(key)}
    config = handed.get(CONFIG)
    if config is not None and not (isinstance(config, str) and _launches(document.path, config)):
        del handed[CONFIG]  # its own fate tells
    if form.name != "trl" or not handed:
        return (form, document), {}
    left = {key: one for key, one in document.data.items() if key not in handed}
    places = {trail: one for trail, one in document.placed.places.items() if trail[0] not in handed}
    placed = document.placed._replace(data=left, places=places)
    return (form, replace(document, placed=placed)), launched(handed)


def with_launch(form: Format, document: Document, read: Read) -> list[tuple[Format, Document]]:
    """A config of trl, and how it says to be launched."""
    main, machine = apart(form, document)
    line = min((one.line for one in document.placed.places.values()), default=0)
    launch = Launch(line, "trl", machine=machine)
    return [main, *_machine(document.path, launch, read)]


def _over(machine: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of the launch, and over it what is typed."""
    sections = {key: one for key, one in machine.items() if isinstance(one, dict) and key in typed}
    return {**machine, **typed, **{key: {**one, **typed[key]} for key, one in sections.items()}}


def _launches(path: Path, config: str) -> Path | Document | None:
    """A file of accelerate's that is here, or one of trl's own."""
    return _near(path, config) or launch_preset(config)


def _beside(
    path: Path, main: tuple[Format, Document], files: Mapping[str, Made]
) -> Iterator[tuple[Format, Document]]:
    """Files that the settings name and that the script writes, such as an engine's."""
    form, document = main
    for key, name in form.mentions.items():
        value = document.data.get(key)
        if name == "dataset_info":
            value = posixpath.join(str(value or "data"), "dataset_info.json")
        if isinstance(value, str) and (made := files.get(named(value))) is not None:
            other = load(name)
            yield other, _of_script(path, value, made, other)


def _chosen(path: Path, whole: Sequence[Command], wanted: str | None, line: int) -> Launch:
    """The command that trains."""
    found = [one for one in launches(whole) if one.tool or one.script or wanted]
    trainers = [one for one in found if one.tool] or found
    if line:
        before = [one for one in trainers if one.line <= line]
        if before:
            return before[-1]
        raise SpecError(Problem(f"no command trains at line {line}", file=str(path), hint=COMMANDS))
    trainers = [one for one in trainers if not _only_measures(one)] or trainers
    if trainers and all(map(partial(_is_same, trainers[0]), trainers)):
        return trainers[0]
    if trainers:
        lines = ", ".join(str(one.line) for one in trainers)
        hint = f"name one by its line: {path}:{trainers[0].line}"
        raise SpecError(
            Problem(f"several commands train (lines {lines})", file=str(path), hint=hint)
        )
    idle = "; ".join(f"line {number}: {what}" for number, what in untrained(whole))
    why = "no command in it trains" + (f" ({idle})" if idle else "")
    raise SpecError(Problem(why, file=str(path), hint=COMMANDS))


def _is_same(one: Launch, other: Launch) -> bool:
    """Whether two commands are one training, as in the branches of an `if`."""
    if one is other:
        return True
    known = all(word.known for word in one.words)
    return known and (one.words, one.machine) == (other.words, other.machine)


def _only_measures(launch: Launch) -> bool:
    """Whether LLaMA-Factory's command line asks for predictions or an evaluation, and for no training."""
    if launch.tool != "llamafactory":
        return False
    given, _ = arguments(launch.words, launch.line)
    return "do_train" not in given and bool({"do_predict", "do_eval"} & given.keys())


def _main(
    path: Path,
    launch: Launch,
    wanted: str | None,
    read: Read,
    files: Mapping[str, Made],
    written: Mapping[str, Document],
) -> tuple[Format, Document]:
    given, unknown = arguments(launch.words, launch.line)
    near = _near(path, launch.script) if launch.script else None
    name = "" if _is_own(path, launch) else launch.tool or wanted
    if not name and given.keys() >= OWN_NAMES:
        name = "llamafactory"  # its script under another name
    if not name and near is None:
        why = f"{launch.script}: a script of its own, which is not here"
        raise SpecError(Problem(why, file=str(path), line=launch.line, hint="--from trl names it"))
    if near is not None and (not name or launch.tool == "trl"):
        found = _of_script_itself(path, launch, near, read, files, is_sure=not name)
        if found is not None:
            return found
        unknown.append((launch.line, OTHERWISE.format(launch.script)))
    form = load(str(name))
    unknown += stray(form, launch, given)
    config = next((given.pop(key) for key in CONFIGS if isinstance(given.get(key), str)), None)
    if config is None and not any(word.text.startswith("--") for word in launch.words):
        config = next((asked_of(text) for _, text in unknown if may_name(text)), None)
        unknown = [one for one in unknown if asked_of(one[1]) != config]
    unknown += [(launch.line, str(word)) for word in given.pop("", ())]
    unknown += refused(form, launch, given, config is not None)
    data = {key: _scalar(value, form.scalar) for key, value in given.items()}
    document = Document(path, Placed({}, {}))
    if config is not None:
        document = written.get(named(str(config))) or _settings(
            path, launch, str(config), form, files
        )
    aged = {"script": AGED} if launch.script.endswith(AGED) else {}
    if form.name in DOTTED or (form.name == "llamafactory" and config is not None):
        document = merged(document, given, form.scalar, path, launch.line)
        return form, _with(document, aged, path, launch.line, [*launch.unknown, *unknown])
    data |= aged
    if form.name == "axolotl":  # `--trl.beta` is a setting inside of a section (cli/config.py)
        inner = {key: given[key] for key in given if "." in key and data.pop(key, None) is not None}
        document = merged(document, inner, form.scalar, path, launch.line)
    if launch.tool == "trl":
        data |= {key: [data[key]] for key in LISTED & data.keys() if not _is_list(data[key])}
    if launch.tool == "trl" and launch.trainer:
        data["trainer"] = launch.trainer
    return form, _with(document, data, path, launch.line, [*launch.unknown, *unknown])


def _of_script_itself(
    path: Path, launch: Launch, script: Path, read: Read, files: Mapping[str, Made], is_sure: bool
) -> tuple[Format, Document] | None:
    """A script that is here, with what it is given; None where it is trl's by its name, and is not read."""
    given, unknown = arguments(launch.words, launch.line)
    words = [word.text if word.known else None for word in launch.words]
    given = _configured(path, script, given, files)
    if isinstance(config := given.get("config"), str) and AND_CONFIG.search(read_text(script)):
        unknown.append((launch.line, f"`{config}`: settings stand in that file, which is not here"))
    try:
        form, document = read(script, None, given, launch.environ, words)
    except SpecError:
        if is_sure:
            raise
        return None
    if not is_sure and any(PARSER.search(text) for _, text in document.foreign):
        return None  # its classes of arguments are in a package of its own
    unknown = [one for one in unknown if asked_of(one[1]) not in document.words]
    asked = [
        (launch.line, f"{launch.script} {_called(key, given)}: an argument of the script")
        for key in sorted(given.keys() - document.words)
    ]
    return form, _with(document, {}, path, launch.line, [*launch.unknown, *unknown, *asked])


def _called(key: str, given: Mapping[str, Any]) -> str:
    """An argument by its name; those without one by what they say."""
    said = given[key]
    return key or " ".join(map(str, said if isinstance(said, list) else [said]))


def _configured(
    path: Path, script: Path, given: dict[str, Any], files: Mapping[str, Made]
) -> dict[str, Any]:
    """The arguments of a script whose parser reads a file of settings as well, which they go before."""
    config = given.get("config")
    if not isinstance(config, str) or not AND_CONFIG.search(read_text(script)):
        return given
    if (made := files.get(named(config))) is not None:
        text = made.text
    elif (near := _near(path, config)) is not None:
        text = read_text(near)
    else:
        return given
    data = parse(Path(config), text, pyyaml.scalar, last_wins=True).data
    return {**data, **{key: value for key, value in given.items() if key != "config"}}


def _is_own(path: Path, launch: Launch) -> bool:
    """Whether a script that is called as a tool's is somebody's own, or reads a line of its own."""
    if launch.tool == "axolotl" and launch.script:
        script = _near(path, launch.script)
        return script is not None and "axolotl" not in read_text(script)
    script = _near(path, launch.script) if launch.tool == "trl" and launch.script else None
    return script is not None and not PARSER.search(read_text(script))


def _settings(
    path: Path, launch: Launch, config: str, form: Format, files: Mapping[str, Made]
) -> Document:
    """The file of settings that a command names: one that is here, or that the script writes."""
    if (made := files.get(named(config))) is not None:
        return _of_script(path, config, made, form)
    near = _near(path, config)
    asked: tuple[tuple[int, str], ...] = ()
    if near is None and (tail := _UNDER.fullmatch(config)) is not None:
        near = _near(path, tail[1]) or _near(path.parent, tail[1])
        said = f"{path.name}: {config}: taken for {near}, which lies where the script could mean"
        asked = ((launch.line, said),)
    if near is None:
        why = f"`{config}`: the settings stand in that file, which is not here"
        hint = "it is looked for from here, and beside the script: copy it there"
        if "$" in config or "`" in config:
            hint = (
                "what it is called only the shell knows: give that file in the place of the script"
            )
        raise SpecError(Problem(why, file=str(path), line=launch.line, hint=hint))
    document = parse(near, read_text(near), form.scalar, form.last_wins)
    return replace(document, foreign=(*document.foreign, *asked))


def _of_script(path: Path, name: str, made: Made, form: Format) -> Document:
    """A file that a script writes: its places are lines of the script."""
    placed = parse(Path(name), made.text, form.scalar, form.last_wins).placed
    places = {
        trail: place._replace(line=made.numbers[place.line - 1])
        for trail, place in placed.places.items()
    }
    lines = zip(made.numbers, made.text.split("\n"), strict=False)
    blank = {number for number, line in lines if not line}
    asked = tuple(
        (number, f"{path.name}: {text}{ONLY_SHELL if number in blank else ''}")
        for number, text in made.open
    )
    return Document(path, placed._replace(places=places), asked)


def _machine(path: Path, launch: Launch, read: Read) -> list[tuple[Format, Document]]:
    machine = dict(launch.machine)
    config = machine.pop("config_file", None)
    document = Document(path, Placed({}, {}))
    if isinstance(config, str):
        near = _launches(path, config)
        if near is None:
            why = f"{config}: how it is launched stands in that file, which is not here"
            raise SpecError(Problem(why, file=str(path), line=launch.line))
        document = near if isinstance(near, Document) else read(near)[1]
    if not machine and config is None:
        return []
    form = load("accelerate")
    for name, given in machine.items():
        if isinstance(given, dict):
            read_ = {key: _scalar(value, form.scalar) for key, value in given.items()}
            machine[name] = {**(document.data.get(name) or {}), **read_}
    data = {key: _scalar(value, form.scalar) for key, value in machine.items()}
    return [(form, _with(document, data, path, launch.line, []))]


def _with(
    document: Document,
    data: Mapping[str, Any],
    path: Path,
    line: int,
    unknown: list[tuple[int, str]],
) -> Document:
    """A document with the settings of a command over its own."""
    said: dict[Trail, Place] = {(key,): Place(line, 1) for key in data}
    places = {**document.placed.places, **said}
    placed = Placed({**document.data, **data}, places, document.placed.earlier)
    owners = {**document.owners, **dict.fromkeys(data, str(path))}
    asked = tuple((number, f"{path.name}: {text}") for number, text in unknown)
    return replace(document, placed=placed, foreign=(*document.foreign, *asked), owners=owners)


def _scalar(value: Any, scalar: Scalar) -> Any:
    """A word in the type that a config would have it in. `no` is a word to a command line."""
    if isinstance(value, list):
        return [_scalar(item, scalar) for item in value]
    if value == "None":
        return None
    if not isinstance(value, str) or value.lower() in ("yes", "no", "on", "off", ""):
        return value
    return scalar(value)


def _near(path: Path, name: str) -> Path | None:
    """A file that a script names: from the current folder, or beside the script."""
    if "\0" in name:
        return None
    return next((one for one in (Path(name), path.parent / name) if is_file(one)), None)
