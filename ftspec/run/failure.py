"""What to tell about a failed training: the exception, not the launcher's account of it."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

from ftspec.errors import Problem

KEPT = 400
"""Last lines of a log that are searched for the cause."""
_PREFIX = re.compile(r"^\[(rank|default)(\d+)\]: ?")
_EXCEPTION = re.compile(
    r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Failure|Timeout)(?::|$)"
)
# These say that a worker failed. The worker's own traceback says why.
_LAUNCHERS = re.compile(
    r"^(?:torch\.distributed\.elastic\.\S*|subprocess\.CalledProcessError|SystemExit|KeyboardInterrupt"
    r"|\S*SignalException)(?::|$)"
)
# What native code says before it aborts. It belongs to no exception, and carries no rank.
_NATIVE = re.compile(
    r"terminate called |\s+what\(\): |Fatal Python error: |.*: Assertion .* failed"
    r"|free\(\): |double free |malloc\(|munmap_chunk|corrupted (?:size|double)"
)
_ROOT_RANK = re.compile(r"^\s*rank\s*: (\d+) \(local_rank: \d+\)")
_WORKER_CODE = re.compile(r"^\s*exitcode\s*: (-?\d+) \(pid: \d+\)")
_OUT_OF_MEMORY = (
    "use a smaller train.micro_batch_size (the batch stays what it is) or a shorter data.max_length"
)
_DEEPSPEED = re.compile(r"--local_rank=(\d+)'.*\] exits with return code = (-?\d+)")
# What follows an exception without belonging to its message.
_ELSE = re.compile(r"Traceback|During handling|The above|\[|\{|[WEIF]\d{4} |={5}")
_CHAIN = re.compile(r"The above exception was the direct cause|During handling of the above")
HINTS: tuple[tuple[str, str], ...] = (
    (r"OutOfMemoryError|out of memory|can't allocate memory|MemoryError", _OUT_OF_MEMORY),
    (
        r"No space left on device|Disk quota exceeded",
        "free some disk space, or choose another output.folder",
    ),
    (
        r"FlashAttention\d has been toggled on",
        "no environment of ftspec has flash attention, and it needs a GPU: model.attention: sdpa, "
        "or --python with an interpreter that has it",
    ),
    (
        r"ModuleNotFoundError|ImportError|cannot open shared object",
        "`ftspec env doctor` checks the environment",
    ),
    (r"EADDRINUSE|address already in use", "another run uses the port: start this one again"),
    (
        r"GatedRepoError|401 Client Error|403 Client Error",
        "log in to the hub: set HF_TOKEN to a token that may read it",
    ),
    (
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|NameResolution|MaxRetry|couldn't connect",
        "the hub cannot be reached: use a local folder for model.name and local data files",
    ),
)
_CODES = {
    126: "the program may not be executed",
    127: "the program was not found",
    130: "interrupted (SIGINT)",
    134: "aborted (SIGABRT): an assertion in native code failed",
    135: "crashed (SIGBUS): often a full /dev/shm",
    136: "crashed (SIGFPE)",
    137: "killed (SIGKILL): often because memory ran out",
    139: "crashed in native code (SIGSEGV)",
    143: "terminated (SIGTERM)",
}


def code_in_words(code: int) -> str:
    """An exit code as a phrase: `exit code 137: killed (SIGKILL): often because memory ran out`."""
    code = 128 - code if code < 0 else code
    words = _CODES.get(code, "")
    if not words and code > 128:
        try:
            words = f"ended by {signal.Signals(code - 128).name}"
        except ValueError:
            words = ""
    return f"exit code {code}" + (f": {words}" if words else "")


def cause(lines: Sequence[str]) -> list[str]:
    """The lines that say why: the exception that ended the first worker, and what led to it.

    Without an exception what native code said before it aborted, else the last three lines, unless
    they are of other workers.
    """
    ranked = root(lines)[0] is not None and any(_split(line)[0] is not None for line in lines)
    found = exceptions(lines)
    native = [bare for _, bare in map(_split, lines) if _NATIVE.match(bare)]
    if not found and native:
        return native[:3]
    if not found:
        return [] if ranked else [line for line in lines if line.strip()][-3:]
    last = found[-1]
    rank, told = _split(lines[last])[0], [lines[last]]
    for line in lines[last + 1 : last + 4]:
        other, bare = _split(line)
        if other != rank or not bare.strip() or _ELSE.match(bare):
            break
        told.append(line)
    before = found[-2] if len(found) > 1 else last
    if any(_CHAIN.search(line) for line in lines[before + 1 : before + 4]):
        told.insert(0, lines[before])
    return told


def exceptions(lines: Sequence[str]) -> list[int]:
    """Where a worker's own exceptions are; of the worker that failed first, if that is known."""
    found = [
        (index, rank)
        for index, (rank, bare) in enumerate(map(_split, lines))
        if _EXCEPTION.match(bare) and not _LAUNCHERS.match(bare)
    ]
    first, _ = root(lines)
    if first is not None and any(rank is not None for _, rank in found):
        # The other ranks only lost their peer.
        found = [(index, rank) for index, rank in found if rank == first]
    return [index for index, _ in found]


def _split(line: str) -> tuple[str | None, str]:
    """The rank that a line is marked with, and the line without the mark."""
    prefix = _PREFIX.match(line)
    return (prefix[2], line[prefix.end() :]) if prefix else (None, line)


def root(lines: Sequence[str]) -> tuple[str | None, int | None]:
    """Rank and exit code of the worker that failed first, as torchrun or deepspeed sum it up."""
    for line in lines:
        if match := _DEEPSPEED.search(line):
            return match[1], int(match[2])
    start = next((n for n, line in enumerate(lines) if line.startswith("Root Cause")), len(lines))
    summary = lines[start : start + 10]
    rank = next((match[1] for line in summary if (match := _ROOT_RANK.match(line))), None)
    code = next((int(match[1]) for line in summary if (match := _WORKER_CODE.match(line))), None)
    return rank, code


def explain(code: int, lines: Sequence[str], log: Path, argv: Sequence[str]) -> Problem:
    """A failed launch as one problem: what was run, how it ended, why, and where to read more."""
    tail = list(lines)[-KEPT:]
    # A launcher exits 1 whatever befell its worker; its summary holds the worker's code.
    rank, worker = root(tail)
    ending = code_in_words(code)
    if worker is not None and worker != code:
        ending += f"; rank {rank} was the first to fail, with {code_in_words(worker)}"
    shown = cause(tail)
    why = "\n".join(f"  {line}" for line in shown)
    program = Path(argv[0]).name
    message = f"training failed: {program} ended with {ending}" + (f"\n{why}" if why else "")
    text = "\n".join([*shown, *(tail[index] for index in exceptions(tail))])
    hint = next((hint for pattern, hint in HINTS if re.search(pattern, text)), "")
    if not hint and 137 in (code, 128 - (worker or 0)):
        hint = _OUT_OF_MEMORY
    if code in (126, 127) and not hint:
        hint = "`ftspec env doctor` checks the environment"
    whole = f"the whole log: {log}"
    return Problem(message, hint=f"{hint}; {whole}" if hint else whole)
