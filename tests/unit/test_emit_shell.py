"""Commands for the eye and as a script; what is read back from them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ftspec.emit.shell import command, launch_script, portable
from ftspec.errors import SpecError, UnsupportedError
from ftspec.read.shell import read


def test_a_script_in_full() -> None:
    assert launch_script(
        ["{python}", "train.py", "a b"], {"A": "1", "B": "x y"}, "quickstart\non TRL"
    ) == (
        "#!/bin/sh\n# quickstart on TRL\nset -eu\n"
        'CDPATH="" cd -- "$(dirname -- "$0")"\n'
        "export A=1\nexport B='x y'\nexec python train.py 'a b'\n"
    )


def test_programs_come_from_the_path() -> None:
    assert portable(["{bin}/torchrun", "{python}", "{bin}/x"]) == [
        "torchrun",
        "{python}",
        "{bin}/x",
    ]
    assert command(["{python}", "train.py"], {"A": "b c"}) == "A='b c' '{python}' train.py"


def test_long_commands_are_wrapped_and_read_back() -> None:
    argv = ["torchrun", *(f"--option-{n}=value {n}" for n in range(40)), "back\\slash", "-"]
    text = launch_script(argv, {}, "x")
    assert max(map(len, text.splitlines())) <= 102
    assert read(text) == (argv, {})


@pytest.mark.parametrize(
    "argv",
    [[], [""], ["-x"], ["a=b"], ["a", "b\nc"], ["a", "\x00"], ["a", "\u202e"], ["a", "\x1b[2J"]],
)
def test_what_cannot_be_a_command(argv: list[str]) -> None:
    with pytest.raises(UnsupportedError):
        launch_script(argv, {}, "x") if argv else command(argv)


def test_a_script_runs_in_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "-a $(b) 'c'"
    folder.mkdir()
    path = folder / "launch.sh"
    path.write_text(launch_script(["pwd"], {}, "x"))
    for start, name in (
        (folder, "launch.sh"),
        (tmp_path, "./-a $(b) 'c'/launch.sh"),
        ("/", str(path)),
    ):
        done = subprocess.run(
            ["sh", name],
            cwd=start,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "CDPATH": "/:/tmp"},
        )
        assert done.stdout == f"{folder}\n"


def test_other_peoples_scripts() -> None:
    assert read(
        "#!/bin/bash\n\nset -e -u\nexport A='x'\n"
        "B=1 accelerate launch \\\n  --num_processes 2 train.py\n"
    ) == (
        ["accelerate", "launch", "--num_processes", "2", "train.py"],
        {"A": "x", "B": "1"},
    )
    assert read("exec env\n")[0] == ["env"]


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("a\nb", 2), ("a $X", 1), ("a `b`", 1), ("a | b", 1), ("a; b", 1), ('a "$(b)"', 1),
        ("a > b", 1), ("a 'b", 1), ("export A", 1), ("# only", 0), ("", 0), ("a *", 1),
        ("a && b", 1), ("\n\na ~/b", 3), ("a \\", 0), ("set -- x\na", 1),
    ],
)  # fmt: skip
def test_what_a_shell_would_act_on_is_refused(script: str, line: int) -> None:
    if script == "a \\":
        assert read(script)[0] == ["a"]
        return
    with pytest.raises(SpecError) as caught:
        read(script)
    assert caught.value.problems[0].line == (line if script != "set -- x\na" else 2)
