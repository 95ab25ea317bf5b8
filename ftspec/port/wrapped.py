"""Commands inside of others: behind `srun` and its like, and in the texts of `bash -c` and `eval`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ftspec.read.commands import Command, read
from ftspec.read.exported import Around, Exported
from ftspec.read.words import Word

WRAPPING = frozenset(
    (
        *(
            "srun",
            "timeout",
            "nice",
            "ionice",
            "numactl",
            "taskset",
            "nsys",
            "xvfb-run",
            "caffeinate",
        ),
        *("conda", "mamba", "micromamba", "poetry", "uv", "uvx"),
        *("singularity", "apptainer", "docker", "podman"),
    )
)
"""Programs that run another one, behind options of their own. Those that start many (mpirun) are none."""
BEFORE = frozenset(
    (
        *("nohup", "exec", "time", "sudo", "env", "stdbuf", "command", *WRAPPING),
        *("if", "then", "else", "do", "!", "{"),
    )
)
STARTERS = frozenset(
    (
        *("accelerate", "torchrun", "deepspeed", "tune", "oumi", "env", "uv"),
        *("llamafactory-cli", "lmf", "trl", "axolotl"),
    )
)
COMMANDS = frozenset(
    ("launch", "run", "train", "distributed", "sft", "dpo", "kto", "grpo", "rloo", "reward")
)
"""First words of those that have commands: `accelerate launch`."""
VALUED = frozenset(
    (
        *("-n", "--name", "-p", "--prefix", "--cwd", "--from", "-w", "--with", "--with-editable"),
        *(
            "--extra",
            "--group",
            "--only-group",
            "--package",
            "--project",
            "--directory",
            "--python",
        ),
        *(
            "-J",
            "--job-name",
            "-A",
            "--account",
            "--partition",
            "--qos",
            "--reservation",
            "--comment",
        ),
        *("-o", "--output", "--container-name", "--hostname", "--network", "--workdir"),
    )
)
"""Options of conda, uv, Slurm and containers behind which a name stands, which may be a program's."""
ELSEWHERE = frozenset(("tmux", "screen", "ssh"))
"""Programs that hand their last word, a command, to a shell."""
APART = frozenset(("docker", "podman", "ssh"))
"""Programs that hand none of this shell's variables on."""
SHELLS = (["bash"], ["sh"], ["/bin/bash"], ["/bin/sh"])
PYTHONS = ("python", "python3", "ipython")


def spelt(commands: Sequence[Command], depth: int = 2) -> Iterator[Command]:
    """Commands, with those in the place of `eval`, `bash -c` and `sbatch --wrap` that their text is."""
    for one in commands:
        command, words = one, bare(one.words)
        before = command.words[: len(command.words) - len(words)]
        if not APART.isdisjoint(word.text for word in (*before, *words[:1])):
            command = command._replace(around=Around({}, Exported(), 0))
        text = _inside([word.text for word in words])
        if not text or not depth:
            yield command
            continue
        inner = [
            each._replace(line=command.line, around=each.around.within(command.around))
            for each in read(text, is_inner=True)
        ]
        yield from spelt(inner, depth - 1)


def _inside(texts: Sequence[str]) -> str:
    """The commands that one command hands to a shell, as a text; nothing of any other."""
    if texts[:1] == ["eval"]:
        return " ".join(texts[1:])
    if texts[:1] in SHELLS and texts[1:2] in (["-c"], ["-lc"]):
        return "".join(texts[2:3])
    if texts[:1] == ["sbatch"]:
        glued = [one.removeprefix("--wrap=") for one in texts if one.startswith("--wrap=")]
        return "".join(texts[texts.index("--wrap") + 1 :][:1] if "--wrap" in texts else glued)
    return texts[-1] if texts and texts[0] in ELSEWHERE and " " in texts[-1] else ""


def bare(words: Sequence[Word]) -> list[Word]:
    """A command's words without what only says how a command is run."""
    return _unwrapped(words)[0]


def doubts(words: Sequence[Word]) -> list[str]:
    """Where it is not certain which of its words is the program that a wrapper starts."""
    return _unwrapped(words)[1]


def _unwrapped(words: Sequence[Word]) -> tuple[list[Word], list[str]]:
    left, told = list(words), list[str]()
    while left and left[0].text in BEFORE:
        around, left = left[0].text, left[1:]
        if around in WRAPPING:  # whose options may have a word of their own
            start, doubt = _start(left)
            told += [f"{around}: {doubt}"] if doubt else []
            left = left[start:]
            if _is_name(left):
                left = left[1:]
        while left and left[0].text.startswith("-"):
            left = left[1:]
    return left, told


def _start(words: Sequence[Word]) -> tuple[int, str]:
    """Where the program begins behind a wrapper's options, and what makes that uncertain.

    `--with deepspeed` and `-n trl` have a program's name as a value, `--exclusive torchrun` has none.
    """
    starts = [n for n, word in enumerate(words) if _starts(word.text)]
    for here, later in pairwise(starts):
        option = words[here - 1].text if here else ""
        if not option.startswith("-") or "=" in option or _runs(words[here:later]):
            return here, ""
        if option in VALUED or later == here + 1:
            continue
        one, other = words[here].text, words[later].text
        doubt = f"is `{one}` what `{option}` is set to, or the program, or is that `{other}`?"
        return (here if words[later - 1].text.startswith("-") else later), doubt
    return (starts[-1] if starts else len(words)), ""


def _runs(words: Sequence[Word]) -> bool:
    """Whether words, the first of them a program's name, are a program and what it is to run."""
    texts = [word.text for word in words[1:]]
    script = any(text in ("-m", "--module") or text.endswith(".py") for text in texts)
    return script or words[0].text == "env" or bool(COMMANDS & {*texts[:1]})


def _is_name(words: Sequence[Word]) -> bool:
    """Whether the first word only has a program's name: `conda run -n trl trl sft`."""
    names = [word.text for word in words[:2]]
    return len(names) > 1 and names[0] in STARTERS and names[1] in (*STARTERS, *PYTHONS)


def _starts(text: str) -> bool:
    """Whether a word is a program that starts others here."""
    name = text.rpartition("/")[2]
    return name in STARTERS or [name] in SHELLS or name.startswith(PYTHONS)
