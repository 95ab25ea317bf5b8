"""Shell scripts and command lines as the parts of a source: a trainer's settings, and its launcher's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ftspec.errors import Problem, SpecError
from ftspec.port.documents import Document, Scalar, parse, read_text
from ftspec.port.format import Format
from ftspec.port.formats import load
from ftspec.port.launches import Launch, arguments, launches
from ftspec.read import commands
from ftspec.read.placed import Place, Placed, Trail
from ftspec.spec.present import is_file

Read = Callable[[Path], tuple[Format, Document]]
COMMANDS = (
    "llamafactory-cli train, trl, axolotl train, accelerate launch, torchrun, deepspeed and python with a "
    "script are read"
)
SUFFIXES = (".sh", ".bash", ".slurm", ".sbatch")
SHELLS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash")
CONFIGS = ("config", "config_file", "")
"""Where an argument names a file of settings; "" is a bare word."""


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


def parts(path: Path, text: str, wanted: str | None, read: Read) -> list[tuple[Format, Document]]:
    """The training that a script launches, and how.

    Raises:
        SpecError: nothing in it trains, several commands do, or a file that it names is not here.
    """
    found = launches(commands.read(text))
    found = [one for one in found if one.tool or one.script or wanted]
    trainers = [one for one in found if one.tool] or found
    if len(trainers) != 1:
        why = "no command in it trains" if not trainers else "several commands train: give one"
        lines = f" (lines {', '.join(str(one.line) for one in trainers)})" if trainers else ""
        raise SpecError(Problem(why + lines, file=str(path), hint=COMMANDS))
    (launch,) = trainers
    main = _main(path, launch, wanted, read)
    return [main, *_machine(path, launch, read)]


def _main(path: Path, launch: Launch, wanted: str | None, read: Read) -> tuple[Format, Document]:
    given, unknown = arguments(launch.words, launch.line)
    name = launch.tool or wanted
    if not name:
        script = _near(path, launch.script)
        if script is None:
            why = f"{launch.script}: a script of its own, which is not here"
            raise SpecError(
                Problem(why, file=str(path), line=launch.line, hint="--from trl names it")
            )
        form, document = read(script)
        asked = [
            (launch.line, f"{launch.script} {key}: an argument of the script") for key in given
        ]
        return form, _with(document, {}, path, launch.line, [*launch.unknown, *unknown, *asked])
    form = load(name)
    config = next((given.pop(key) for key in CONFIGS if isinstance(given.get(key), str)), None)
    data = {key: _scalar(value, form.scalar) for key, value in given.items() if key}
    document = Document(path, Placed({}, {}))
    if config is not None:
        near = _near(path, str(config))
        if near is None:
            why = f"`{config}`: the settings stand in that file, which is not here"
            hint = "it is looked for from here, and beside the script: copy it there"
            raise SpecError(Problem(why, file=str(path), line=launch.line, hint=hint))
        document = parse(near, read_text(near), form.scalar, form.last_wins)
    if launch.tool == "trl":
        data |= {key: [data[key]] for key in LISTED & data.keys() if not _is_list(data[key])}
    if launch.tool == "trl" and launch.trainer:
        data["trainer"] = launch.trainer
    return form, _with(document, data, path, launch.line, [*launch.unknown, *unknown])


def _machine(path: Path, launch: Launch, read: Read) -> list[tuple[Format, Document]]:
    machine = dict(launch.machine)
    config = machine.pop("config_file", None)
    document = Document(path, Placed({}, {}))
    if isinstance(config, str):
        near = _near(path, config)
        if near is None:
            why = f"{config}: how it is launched stands in that file, which is not here"
            raise SpecError(Problem(why, file=str(path), line=launch.line))
        form, document = read(near)
    if not machine and config is None:
        return []
    form = load("accelerate")
    for name in ("deepspeed_config", "fsdp_config"):
        given: dict[str, Any] = machine.get(name) or {}
        if given:
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
    return Document(document.path, placed, (*document.foreign, *asked), owners)


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
