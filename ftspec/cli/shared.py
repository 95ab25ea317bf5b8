"""What the commands share: options, error output, JSON output."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftspec.errors import FtspecError, Problem, SpecError
from ftspec.run.signals import Terminated, terminable

if TYPE_CHECKING:
    from ftspec.plan.stages import Plan
    from ftspec.spec.load import Loaded
    from ftspec.spec.pipeline import Pipeline

F = TypeVar("F", bound=Callable[..., Any])


class Named(click.Path):
    """A path of at least one character: an empty word is a variable that the shell does not know."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click does.

        Raises:
            click.BadParameter: it is empty.
        """
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


PATH = Named(path_type=Path)
"""What every path on the command line is."""


def set_option(function: F) -> F:
    """--set."""
    return click.option(
        "--set",
        "sets",
        multiple=True,
        metavar="PATH=VALUE",
        help="Override a value: --set train.learning_rate=1e-4. May be given again.",
    )(function)


def spec_argument(function: F) -> F:
    """SPEC and --set."""
    return click.argument("spec", type=PATH)(set_option(function))


def json_option(function: F) -> F:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")(function)


def stage_option(function: F) -> F:
    """--stage."""
    return click.option("--stage", metavar="NAME", help="Of a spec with stages: which of them.")(
        function
    )


def lossy_option(function: F) -> F:
    """--allow-lossy."""
    return click.option(
        "--allow-lossy",
        is_flag=True,
        help="Accept values that a backend expresses only nearly; the plan lists them.",
    )(function)


def source_options(function: F) -> F:
    """FILES, --from, --as, --devices: a config of another tool."""
    for option in (
        click.option(
            "--devices",
            type=click.IntRange(min=1),
            help="Devices it runs on, in place of what a file says.",
        ),
        click.option(
            "--as",
            "version",
            metavar="PACKAGE==VERSION",
            help="Version of the framework whose defaults hold: --as llamafactory==0.9.5.",
        ),
        click.option(
            "--from",
            "wanted",
            metavar="FORMAT",
            help="Its format, where the content does not tell.",
        ),
        click.argument("files", type=PATH, nargs=-1, required=True),
    ):
        function = option(function)
    return function


def environment_options(function: F) -> F:
    """--environment, --torch, --python."""
    for option in (
        click.option(
            "--python",
            type=PATH,
            help="Use this interpreter instead of ftspec's own environment.",
        ),
        click.option(
            "--torch",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Which build of torch to install.",
        ),
        click.option(
            "--environment",
            type=click.Choice(["aligned", "latest"]),
            help="Which lock to use; overrides run.environment of the spec.",
        ),
    ):
        function = option(function)
    return function


def load_spec(spec: Path, sets: tuple[str, ...], environment: str | None = None) -> Loaded:
    """The spec with its overrides."""
    from ftspec.spec.load import load

    extra = (f"run.environment={environment}",) if environment else ()
    with telling_configs_apart(spec):
        return load(spec, (*sets, *extra))


def load_stage(spec: Path, sets: tuple[str, ...], stage: str | None) -> Loaded:
    """The spec with its overrides; of one with stages, the stage that is named."""
    from ftspec.plan.pipeline import one_stage
    from ftspec.spec.pipeline import Pipeline

    if stage is None:
        return load_spec(spec, sets)
    loaded = load_specs(spec, sets)
    if isinstance(loaded, Pipeline):
        return one_stage(loaded, stage)[0]
    raise SpecError(Problem("the spec has no stages", file=str(spec), hint="no --stage"))


def load_specs(
    spec: Path, sets: tuple[str, ...], environment: str | None = None
) -> Loaded | Pipeline:
    """The spec with its overrides, or its stages where it has some."""
    from ftspec.spec.pipeline import load_any

    extra = (f"run.environment={environment}",) if environment else ()
    with telling_configs_apart(spec):
        return load_any(spec, (*sets, *extra))


SCRIPTS = (".py", ".ipynb", ".sh")
"""How files end that no spec is in."""


@contextmanager
def telling_configs_apart(spec: Path) -> Iterator[None]:
    """Of the config of another tool, say what it is, and not all that a spec has no place for."""
    try:
        yield
    except SpecError as error:
        raise _foreign(spec, error) or error from None


def _foreign(spec: Path, error: SpecError) -> SpecError | None:
    """What a script is told, or a config of another tool, which has neither section that a spec needs."""
    said = {problem.message for problem in error.problems}
    scripted = spec.suffix in SCRIPTS
    if not scripted and not said >= {"`model` is missing", "`data` is missing"}:
        return None
    from ftspec.port.recognise import recognise

    try:
        title = recognise(spec).format.title
    except SpecError:
        return None
    file = shlex.quote(str(spec))
    message = f"this is a {'script for' if scripted else 'config of'} {title}, not a spec"
    hint = f"ftspec import {file} -o spec.yaml, or: ftspec explain {file}"
    return SpecError(Problem(message, file=str(spec), hint=hint))


def print_json(value: Any) -> None:
    """One JSON document on stdout; what could steer a terminal is escaped in it, and secrets are masked."""
    from ftspec.report.visible import in_json
    from ftspec.spec.secrets import masked

    click.echo(masked(in_json(json.dumps(value, indent=2, ensure_ascii=False))))


def console(stderr: bool = False) -> Any:
    """A rich console; plain text where the output is not a terminal."""
    from rich.console import Console

    class Ours(Console):
        """One that leaves it to `main` what becomes of a reader that went away: rich would exit with 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    wide = None if sys.stdout.isatty() else 120  # a file or a pipe has no edge
    return Ours(stderr=stderr, highlight=False, width=wide)


@contextmanager
def report_errors(as_json: bool) -> Iterator[None]:
    """Turn errors of ours into lines on stderr and an exit code; an interrupt into 130 or 143."""
    try:
        with terminable():
            yield
    except FtspecError as error:
        if as_json:
            print_json({"error": error.as_json()})
        for problem in error.problems:
            click.echo(describe(problem, error.code), err=True)
        if error.way_out:
            click.echo(f"all of it together: {error.way_out}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except Terminated:
        click.echo("terminated", err=True)
        sys.exit(143)


def describe(problem: Problem, code: str) -> str:
    """`file:line:column: error[code]: message`, and the remedy on a line of its own."""
    from ftspec.report.visible import visible  # messages quote what files hold
    from ftspec.spec.secrets import masked

    place, message, hint = (
        masked(visible(text)) for text in (problem.place(), problem.message, problem.hint)
    )
    head = f"{place}: " if place else ""
    path = f"{problem.path}: " if problem.path and problem.path not in problem.message else ""
    text = f"{head}{click.style(f'error[{code}]', fg='red', bold=True)}: {path}{message}"
    return f"{text}\n  {click.style('help', fg='cyan')}: {hint}" if hint else text


def of_this_machine(plans: Iterable[Plan]) -> list[str]:
    """What was decided by the machine that writes the files, and may be otherwise where they run."""
    found = {
        (path, value.value, value.why)
        for plan in plans
        for path, value in plan.resolved.values.items()
        if value.origin == "machine" and path == "hardware.device"
    }
    other = {"cpu": "cuda", "cuda": "cpu"}
    return [
        f"written for {path}: {value}, since {why} here; for another machine: --set {path}={other[value]}"
        for path, value, why in sorted(found)
    ]


def tell(notes: Iterable[str]) -> None:
    """Notes, for a person."""
    for note in notes:
        click.echo(f"note: {note}", err=True)


def left_out(name: str, what: str, error: FtspecError, brief: bool, spec: Path) -> list[str]:
    """Why a backend takes no part, as lines; briefly where nobody has asked for that backend."""
    if brief:
        return [f"{name}: {what} (`ftspec validate {spec}` says why)"]
    reasons = (describe(problem, error.code) for problem in error.problems)
    return [f"{name}: {what}", *(f"  {reason}".replace("\n", "\n  ") for reason in reasons)]


def backend_names(value: str) -> tuple[str, ...]:
    """`all`, one name, or several with commas."""
    from ftspec.registry import load, names

    words = (part.strip() for part in value.split(","))
    chosen = names() if value == "all" else tuple(dict.fromkeys(filter(None, words)))
    if not chosen:
        raise click.UsageError("no backend is named: say some with commas between, or all")
    for name in chosen:
        load(name)  # says at once if one is missing or broken
    return chosen


def find_environment(
    backend: str, lock: str, torch: str, python: Path | None, say: Callable[[str], None]
) -> Any:
    """The backend's environment, installed if need be; or the person's own, after a look at it."""
    from ftspec.env.install import ensure
    from ftspec.env.own import own
    from ftspec.registry import load

    if python is None:
        return ensure(load(backend), lock, torch, lambda progress: say(progress.text))
    place = own(python, load(backend), lock)
    for note in place.notes:
        say(note)
    return place
