"""Run one spec in several frameworks under the probe, compare, and certify.

What runs is what `compile` wrote. Only the program in front of it changes: `python train.py`
becomes `python probe --out FOLDER script train.py`; a launcher in front of that stays as it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

import ftspec
from ftspec.backend import Backend
from ftspec.emit.manifest import NAME as MANIFEST
from ftspec.emit.manifest import recorded
from ftspec.errors import FtspecError, Problem, VerifyError
from ftspec.run.launch import launch
from ftspec.run.signals import terminable
from ftspec.verify.causes import likely
from ftspec.verify.certificate import (
    SCHEMA,
    Certificate,
    CheckRecord,
    Conclusion,
    QuantityRecord,
    RunRecord,
    SeedsRecord,
    StepRecord,
)
from ftspec.verify.checks import SEEDED, Result, compare, compare_over_seeds
from ftspec.verify.drawn import completions
from ftspec.verify.evidence import Evidence, read
from ftspec.verify.machine import GIB, machine, scrubbed
from ftspec.verify.samples import samples
from ftspec.verify.seeds import LEVEL, TEST, Pair, distributions

PROBE = Path(__file__).with_name("probe")
EVIDENCE, LOG, SEEDS = "evidence", "verify.log", "seeds"
NEED = 2 * GIB
"""Memory of a run beside its model: four frameworks with a tiny model took 1.0 to 1.6 GB."""
SILENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""The order of a sum depends on the number of threads, so it is the same for all."""


@dataclass(frozen=True)
class Run:
    """A compiled folder, and what it takes to train from it."""

    backend: Backend
    folder: Path
    argv: Sequence[str]
    """As planned, with `{python}` and `{bin}`."""
    environ: Mapping[str, str]
    """The whole environment of the process."""
    python: Path
    programs: Path
    """The folder of the environment's programs."""
    lock: str = ""


@dataclass(frozen=True)
class Spec:
    """What was compiled, for the certificate."""

    name: str
    sha256: str
    text: str


@dataclass
class Ended:
    """A run that has come to an end, one way or the other."""

    seconds: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)
    error: str = ""


def verify(
    runs: Mapping[str, Run],
    reference: str,
    spec: Spec,
    into: Path,
    *,
    jobs: int | None = None,
    threads: int | None = None,
    need: int = NEED,
    seeds: Sequence[int] = (),
    reseeded: Callable[[int, Sequence[str]], Mapping[str, Run]] | None = None,
    on_line: Callable[[str, str], None] | None = None,
    on_end: Callable[[str, str], None] | None = None,
) -> Certificate:
    """Train in every backend, side by side where memory allows, and compare with the reference.

    ``into`` gets a folder per backend with its evidence and its log. ``need`` is the memory of one
    run in bytes, ``threads`` the CPU threads of each. ``on_line`` hears (backend, line of output),
    ``on_end`` (backend, error or "").

    Backends that draw other completions than the reference are run again under the other ``seeds``, of
    which the first is the one of ``runs``; ``reseeded`` compiles these backends for a seed.

    A run that fails is certified as failed; the others go on.

    Raises:
        VerifyError: there is no such reference, or nothing to compare it with.
        KeyboardInterrupt, Terminated: passed on, after all runs are stopped.
    """
    if reference not in runs:
        message = f"the reference {reference!r} is not among the backends: {', '.join(runs)}"
        raise VerifyError(Problem(message, hint="choose one of them with --reference"))
    if len(runs) < 2:
        raise VerifyError(Problem("one run proves nothing", hint="name two or more backends"))
    at_once = jobs or side_by_side(len(runs), need)
    each = threads or max(1, _cores() // at_once)
    train = partial(_train, into=into, jobs=at_once, threads=each, on_line=on_line, on_end=on_end)
    ended = train(runs)
    names = [reference, *(name for name in runs if name != reference)]
    others = _others(ended, reference) if reseeded and seeds[1:] else []
    again: dict[int, dict[str, Ended]] = {}
    if reseeded and others:
        made = {
            f"{SEEDS}/{seed}/{name}": run
            for seed in seeds[1:]
            for name, run in reseeded(seed, [reference, *others]).items()
        }
        more = train(made)
        again = {
            seed: {name: more[f"{SEEDS}/{seed}/{name}"] for name in (reference, *others)}
            for seed in seeds[1:]
        }

    def under(name: str) -> dict[int, tuple[Ended, Ended]]:
        """The pairs of runs by seed; empty where one is enough."""
        if name not in others:
            return {}
        return {s: (e[reference], e[name]) for s, e in {seeds[0]: ended, **again}.items()}

    return Certificate(
        schema=SCHEMA,
        ftspec=ftspec.__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        spec_name=spec.name,
        spec_sha256=spec.sha256,
        spec=spec.text,
        reference=reference,
        machine=machine(),
        runs={
            name: certified(
                runs[name], ended[name], ended[reference], name == reference, under(name)
            )
            for name in names
        },
    )


def probed(run: Run, out: Path) -> tuple[list[str], dict[str, str]]:
    """The argv and environment that put the probe around the run's entry.

    Raises:
        VerifyError: the planned command does not train from the backend's entry.
    """
    entry, argv = run.backend.entry, [_filled(word, run) for word in run.argv]
    if entry not in argv:
        message = f"{run.backend.name}: the command {' '.join(run.argv)} does not name {entry}"
        raise VerifyError(Problem(message, hint="this is an error in the backend: report it"))
    at = len(argv) - 1 - argv[::-1].index(entry)
    if run.backend.probe == "module":
        argv = [*argv[: at - 2], *argv[at - 1 :]]  # the probe takes the place of `-m`
        at -= 2
    first = ["--first-import", run.backend.first_import] if run.backend.first_import else []
    tail = [str(PROBE), "--out", str(out), *first, run.backend.probe, *argv[at:]]
    environ = dict(run.environ)
    if run.backend.probe != "llamafactory":
        return [*argv[:at], *tail], environ
    # Its own command line takes no callbacks, and starts torchrun by itself when it is told to.
    processes = environ.pop("NPROC_PER_NODE", "1")
    if environ.pop("FORCE_TORCHRUN", "") not in ("1", "true"):
        return [str(run.python), *tail], environ
    nodes = environ.pop("NNODES", "1")
    machines = ["--standalone"] if nodes == "1" else [f"--nnodes={nodes}"]
    torchrun = [str(run.programs / "torchrun"), *machines, f"--nproc-per-node={processes}"]
    return [*torchrun, *tail], environ


def side_by_side(count: int, need: int = NEED) -> int:
    """How many runs fit at once: by free memory, and no more than there are cores."""
    import psutil  # noqa: PLC0415 - only a proof needs it

    fitting = int(psutil.virtual_memory().available // need)
    return max(1, min(count, fitting, _cores()))


def certified(
    run: Run,
    ended: Ended,
    against: Ended,
    is_reference: bool,
    under: Mapping[int, tuple[Ended, Ended]] = MappingProxyType({}),
) -> RunRecord:
    """The record of one run, compared with the reference; ``under`` several seeds, where it is random."""
    evidence = ended.evidence
    broken = [
        f"seed {seed}: {each.error}" for seed, both in under.items() for each in both if each.error
    ]
    pairs = {s: (a.evidence, b.evidence) for s, (a, b) in under.items()} if not broken else {}
    error = "\n".join((*((ended.error,) if ended.error else ()), *broken))
    checks: tuple[Result, ...] = ()
    if not is_reference:
        checks = compare_over_seeds(pairs) if pairs else compare(against.evidence, evidence)
    setting = {key: value for key, value in evidence.setting.items() if key != "schema"}
    return RunRecord(
        title=run.backend.title,
        conclusion=_conclusion(error, checks, is_reference),
        versions=dict(sorted(evidence.versions.items())),
        lock=run.lock,
        files=_files(run.folder),
        setting=setting,
        steps=tuple(
            StepRecord(s.step, s.loss, s.grad_norm, s.learning_rate) for s in evidence.steps
        ),
        seconds=round(ended.seconds, 1),
        checks=tuple(_record(result, against.evidence, evidence) for result in checks),
        error=scrubbed(error),
        samples=samples(run.folder),
        seeds=_seeds(pairs, checks) if pairs else None,
    )


def _others(ended: Mapping[str, Ended], reference: str) -> list[str]:
    """Backends that drew completions, and other ones than the reference."""
    if ended[reference].error:
        return []
    ours = ended[reference].evidence
    return [
        name
        for name, each in ended.items()
        if name != reference
        and not each.error
        and completions(ours, each.evidence, 0).verdict == "not-compared"
        and ours.rounds
        and each.evidence.rounds
    ]


def _seeds(pairs: Mapping[int, Pair], checks: Sequence[Result]) -> SeedsRecord:
    _, found, p = distributions([*pairs.values()])
    return SeedsRecord(
        seeds=tuple(pairs),
        test=TEST,
        level=LEVEL,
        p=p,
        exact=tuple(
            each.check.name
            for each in checks
            if each.outcome.passed and each.check.name != SEEDED.name
        ),
        quantities=tuple(QuantityRecord(q.name, q.reference, q.other) for q in found),
    )


def _train(
    runs: Mapping[str, Run],
    into: Path,
    *,
    jobs: int,
    threads: int,
    on_line: Callable[[str, str], None] | None,
    on_end: Callable[[str, str], None] | None,
) -> dict[str, Ended]:
    cancel = threading.Event()

    def train(name: str) -> Ended:
        ended = _one(
            runs[name], into / name, threads, cancel, on_line and (lambda line: on_line(name, line))
        )
        if on_end and not cancel.is_set():
            on_end(name, ended.error)
        return ended

    with terminable(), ThreadPoolExecutor(jobs) as pool:
        futures = {name: pool.submit(train, name) for name in runs}
        try:
            return {name: future.result() for name, future in futures.items()}
        except BaseException:
            # Leaving the pool waits for its threads, so they have to be told first.
            cancel.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one(
    run: Run,
    into: Path,
    threads: int,
    cancel: threading.Event,
    on_line: Callable[[str], None] | None,
) -> Ended:
    out = into.resolve() / EVIDENCE
    argv, environ = probed(run, out)
    _cleared(out)
    ended, begun = Ended(), time.monotonic()
    environ |= dict.fromkeys(SILENT, str(threads))
    try:
        launch(argv, run.folder, environ, into / LOG, on_line, cancel=cancel)
    except FtspecError as error:
        ended.error = "\n".join(problem.message for problem in error.problems)
    ended.seconds = time.monotonic() - begun
    try:
        # A run that failed may have come far enough to show where it parted.
        ended.evidence = read(out)
    except VerifyError as error:
        ended.error = ended.error or str(error)
    return ended


def _record(result: Result, reference: Evidence, other: Evidence) -> CheckRecord:
    check, outcome = result.check, result.outcome
    cause = likely(reference, other, result)
    return CheckRecord(
        name=check.name,
        compares=check.compares,
        verdict=outcome.verdict,
        measured=outcome.measured,
        tolerance=float(result.tolerance),
        why=result.why,
        where=outcome.where,
        reference=outcome.reference,
        other=outcome.other,
        context=outcome.context,
        note=outcome.note,
        cause=cause.sentence if cause else "",
        link=cause.link if cause else "",
    )


def _conclusion(error: str, results: Sequence[Result], is_reference: bool) -> Conclusion:
    if error:
        return "failed"
    if is_reference:
        return "reference"
    verdicts = {result.outcome.verdict for result in results}
    return (
        "differs"
        if "differs" in verdicts
        else "incomplete"
        if "not-compared" in verdicts
        else "alike"
        if "random" in verdicts
        else "equal"
    )


def _files(folder: Path) -> dict[str, str]:
    """The compiled files' hashes out of the manifest; none where there is no manifest."""
    path = folder / MANIFEST
    return (recorded(path.read_bytes()) or {}) if path.exists() else {}


def _filled(word: str, run: Run) -> str:
    return word.replace("{python}", str(run.python)).replace("{bin}", str(run.programs))


def _cleared(folder: Path) -> None:
    """Evidence of an earlier run must not pass for this one's."""
    for path in (*folder.glob("rank*.jsonl"), *folder.glob("*.safetensors")):
        path.unlink()


def _cores() -> int:
    import psutil  # noqa: PLC0415 - only a proof needs it

    return psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
