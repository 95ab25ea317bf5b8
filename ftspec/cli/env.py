"""ftspec env: the environments that backends train in."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from ftspec.cli.shared import backend_names, console, json_option, print_json

LOCK = click.option(
    "--environment",
    "lock",
    default="aligned",
    show_default=True,
    help="Which lock: aligned, latest, or one for an objective, such as ppo.",
)
TORCH = click.option(
    "--torch",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Which build of torch.",
)


@click.group(epilog="Example: ftspec env install trl")
def command() -> None:
    """List, install, remove, renew and examine the environments that backends train in."""


@command.command("list", epilog="Example: ftspec env list --json")
@json_option
def list_(as_json: bool) -> None:
    """List what is installed, with sizes."""
    from ftspec.env.store import installed, size

    found = [(stored, size(stored.folder)) for stored in installed()]
    if as_json:
        print_json(
            [
                {
                    "backend": stored.backend,
                    "environment": stored.lock,
                    "key": stored.key,
                    "torch": stored.torch,
                    "complete": stored.complete,
                    "usable": stored.complete and stored.alive,
                    "folder": str(stored.folder),
                    "bytes": space.total,
                    "bytes_of_its_own": space.own,
                }
                for stored, space in found
            ]
        )
        return
    for stored, space in found:
        state = (
            "complete"
            if stored.complete and stored.alive
            else "broken"
            if stored.complete
            else "interrupted"
        )
        click.echo(
            f"{stored.backend:13} {stored.lock:8} {stored.key} {stored.torch:5} {state:12}"
            f"{space.total / 2**30:6.1f} GiB, {space.own / 2**30:.1f} of its own"
        )
    if not found:
        click.echo("none is installed; `ftspec env install all` installs them")


@command.command("install", epilog="Example: ftspec env install all --environment latest")
@click.argument("backends")
@click.option(
    "--environment",
    "lock",
    help="Only this lock: aligned, latest, or one for an objective, such as ppo. Default: aligned, "
    "and those for objectives.",
)
@TORCH
@json_option
def install(backends: str, lock: str | None, torch: str, as_json: bool) -> None:
    """Install the environments of BACKENDS (names with commas, or all), once each."""
    from ftspec.env.install import ensure_all
    from ftspec.env.locks import having
    from ftspec.registry import load

    members = [load(name) for name in backend_names(backends)]
    wanted = having(members, lock)

    def say(progress: Any) -> None:
        click.echo(f"{progress.subject}: {progress.text}", err=True)

    places = ensure_all(wanted, torch, None if as_json else say)
    if as_json:
        print_json(
            [
                {**asdict(p), "python": str(p.python), "bin": str(p.bin), "folder": str(p.folder)}
                for p in places
            ]
        )
    else:
        for place in places:
            click.echo(f"{place.backend} {place.lock}: {place.python}")
            for note in place.notes:
                click.echo(f"  {note}")


@command.command("remove", epilog="Example: ftspec env remove trl, or: ftspec env remove --stale")
@click.argument("backends", required=False)
@click.option(
    "--stale", is_flag=True, help="Only those of older locks, which nothing uses any more."
)
@click.option("--environment", "lock", help="Only this lock.")
@json_option
def remove(backends: str | None, stale: bool, lock: str | None, as_json: bool) -> None:
    """Remove the environments of BACKENDS (names with commas, or all), whatever their state."""
    from ftspec.env.locks import lock_names, read_lock
    from ftspec.env.removal import remove as remove_stored
    from ftspec.env.removal import select
    from ftspec.registry import load

    if backends is None and not stale:
        raise click.UsageError("say which: names of backends, all, or --stale")
    members = [load(name) for name in backend_names(backends or "all")]
    current = [read_lock(one, name).key for one in members for name in lock_names(one)]
    chosen = [
        stored
        for one in members
        for stored in select(one.name, lock or "", current=current if stale else None)
    ]
    removed = [str(stored.folder) for stored in remove_stored(chosen)]
    if as_json:
        print_json({"removed": removed})
    else:
        click.echo("\n".join(removed) or "nothing was installed")


@command.command("lock", epilog="Example: ftspec env lock trl --environment latest")
@click.argument("backends")
@LOCK
@json_option
def lock_(backends: str, lock: str, as_json: bool) -> None:
    """Resolve the locks of BACKENDS anew from their .in files, and write them."""
    from ftspec.env.locks import having
    from ftspec.env.relock import relock
    from ftspec.registry import load

    members = [load(name) for name in backend_names(backends)]
    done = [relock(member, name) for member, name in having(members, lock)]
    if as_json:
        print_json(
            [
                {
                    "backend": d.lock.backend,
                    "key": d.lock.key,
                    "file": str(d.path),
                    "changes": dict(d.changes),
                }
                for d in done
            ]
        )
        return
    for each in done:
        click.echo(f"{each.path}: key {each.lock.key}, {len(each.changes)} changes")
        for package, (old, new) in each.changes.items():
            click.echo(f"  {package} {old or '-'} -> {new or '-'}")


@command.command("doctor", epilog="Example: ftspec env doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Say what is wrong with the environments and the machine, and the command that mends it."""
    from ftspec.env.doctor import diagnose

    findings = diagnose()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        screen = console()
        for finding in findings:
            colour = {"ok": "green", "warn": "yellow", "error": "red"}[finding.level]
            screen.print(f"[{colour}]{finding.level:5}[/{colour}]", end=" ")
            screen.print(f"{finding.subject}: {finding.text}", markup=False)
            if finding.mend:
                screen.print(f"      {finding.mend}", style="cyan", markup=False)
    sys.exit(1 if any(finding.level == "error" for finding in findings) else 0)
