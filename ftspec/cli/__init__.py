"""The command line: one file per command, each loaded only when it is called."""

from __future__ import annotations

import errno
import importlib
import io
import keyword
import os
import sys

import click

from ftspec import __version__

COMMANDS = {
    "init": "Write a commented starter spec.",
    "schema": "Write the JSON Schema that editors complete and check specs with.",
    "import": "Read the config of another tool into a spec.",
    "port": "Write the config of one tool as the native files of another.",
    "explain": "Show every value that holds in a config, with where it comes from.",
    "diff": "Say whether two configs of any tools train the same, and what differs.",
    "validate": "Check a spec: shape, names, values, and what each backend can do with it.",
    "data": "Show what each backend will see of the rows, with numbers and warnings.",
    "plan": "Show what a run would do, with every derived number and where it came from.",
    "compile": "Write the native files of one backend, or of all.",
    "run": "Compile and train, in the backend's own environment.",
    "verify": "Train on several backends and prove that the results are the same.",
    "matrix": "Show which backend can do what.",
    "env": "List, install, remove, renew and examine environments.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called: start-up in a blink."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from `ftspec.cli.<name>`, or `<name>_` where Python has that word."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        module = importlib.import_module(f"ftspec.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a word about the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not close or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean `{close[0]}`?", ctx) from error


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Shell completion: eval "$(_FTSPEC_COMPLETE=bash_source ftspec)" (or zsh_source, '
    "fish_source). Exit codes: docs/errors.md.",
)
@click.version_option(__version__, prog_name="ftspec")
def cli() -> None:
    """One spec for a fine-tuning run: compile it to TRL, LLaMA-Factory, Unsloth, DeepSpeed and
    axolotl, run it, and prove that they trained the same thing.

    Begin with: ftspec init
    """


def main() -> None:
    """Entry point: every error of ours becomes a few lines on stderr and its exit code."""
    try:
        _main()
    except KeyboardInterrupt:  # so early that nobody listened yet
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def _main() -> None:
    from dataclasses import asdict

    _spare_collector()
    _write_anything()
    from ftspec.cli.shared import print_json, report_errors
    from ftspec.errors import OutputError, Problem

    with report_errors(as_json="--json" in sys.argv):
        try:
            cli.main(prog_name="ftspec", standalone_mode=False)
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.Abort as abort:  # what click makes of an interrupt
            raise KeyboardInterrupt from abort
        except click.ClickException as error:
            error.show()
            if "--json" in sys.argv:
                problem = Problem(error.format_message(), hint="see `ftspec --help`")
                print_json({"error": {"code": "usage", "problems": [asdict(problem)]}})
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # the reader went away (`ftspec plan | head`): not an error, and nothing more to say
            _close_output()
            sys.exit(0)
        except OSError as error:
            if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
                raise
            _close_output()  # `ftspec schema > /full/disk`
            raise OutputError(f"what it says cannot be written: {error.strerror}") from error


def _close_output() -> None:
    """What is still to be written goes nowhere: Python would try it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_anything() -> None:
    """Characters that a terminal or a file of another encoding has not are written by their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _spare_collector() -> None:
    """What is imported stays to the end: looking through it for garbage took a fifth of a command."""
    import atexit
    import gc

    gc.set_threshold(100_000, 20, 100)
    atexit.register(gc.freeze)
