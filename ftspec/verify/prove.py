"""A proof from a spec: compile to every backend, train each under the probe, compare, certify."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ftspec.emit.disk import write_atomic
from ftspec.env.install import ensure_all
from ftspec.env.store import Environment
from ftspec.env.variables import release_builds, variables
from ftspec.errors import Problem, SpecError, UnsupportedError, VerifyError
from ftspec.plan.environ import matching
from ftspec.plan.make import make_plan
from ftspec.plan.pipeline import one_stage
from ftspec.plan.places import require_folders
from ftspec.plan.stages import BuildEnvironment, Launch, Plan
from ftspec.plan.write import write_plans
from ftspec.registry import load as load_backend
from ftspec.run.environ import compose
from ftspec.run.taken import whole
from ftspec.spec.home import at_home
from ftspec.spec.load import Loaded, load, spec_name
from ftspec.spec.pipeline import Pipeline, load_any
from ftspec.spec.write import dump
from ftspec.verify.certificate import Certificate, to_json
from ftspec.verify.seeds import FEWEST
from ftspec.verify.verify import SEEDS, Run, Spec, verify

QUIET = ("train.logging_steps=1", "train.save_steps=null", "output.trackers=[]", "output.hub=null")
"""What a proof sets beside the steps: it needs every step's numbers, and sends nothing anywhere."""
CERTIFICATE, PAGE = "certificate.json", "report.html"


@dataclass(frozen=True)
class Proof:
    """A certificate and where it lies."""

    certificate: Certificate
    folder: Path
    refused: Mapping[str, UnsupportedError]
    """Backends that cannot express the spec, and why."""


def effective(
    file: Path,
    sets: Sequence[str],
    steps: int | None,
    folder: Path | None,
    stage: str | None = None,
) -> tuple[Loaded, Path]:
    """The spec as a proof runs it, and the folder of the proof; of several stages, the one named.

    Raises:
        RunError: the stage begins with a result that is not complete.
    """
    length = (f"train.steps={steps}", "train.epochs=null") if steps else ()

    def read(*more: str) -> Loaded:
        if stage is None:
            return load(file, (*sets, *more))
        pipeline = load_any(file, (*sets, *(f"stages.{stage}.{text}" for text in more)))
        if not isinstance(pipeline, Pipeline):
            raise SpecError(Problem("the spec has no stages", file=str(file), hint="no --stage"))
        loaded, source = one_stage(pipeline, stage)
        if source is not None and more:
            whole(source.name, source.plan)
        return loaded

    output = read().spec.output.folder or f"runs/{spec_name(file)}"
    place = folder or file.parent / at_home(output) / "verify"
    # relative to the spec, so that emitted bytes do not depend on where the project lies
    inside = os.path.relpath(place.resolve(), file.parent.resolve())
    return read(*length, *QUIET, f"output.folder='{inside}'"), place


def compile_all(
    loaded: Loaded, names: Sequence[str], folder: Path, allow_lossy: bool
) -> tuple[dict[str, Plan], dict[str, UnsupportedError]]:
    """Write every backend's files; those that cannot express the spec are told apart."""
    plans: dict[str, Plan] = {}
    refused: dict[str, UnsupportedError] = {}
    for name in names:
        try:
            plans[name] = make_plan(loaded, name, folder / name, allow_lossy)
        except UnsupportedError as error:
            refused[name] = error
    write_plans(plans.values(), overwrite=True)
    return plans, refused


def prove(
    loaded: Loaded,
    names: Sequence[str],
    folder: Path,
    *,
    reference: str,
    torch: str = "auto",
    allow_lossy: bool = False,
    jobs: int | None = None,
    seeds: int = FEWEST,
    say: Callable[[str], None] = lambda _text: None,
    on_line: Callable[[str, str], None] | None = None,
) -> Proof:
    """Prove that the backends train the same thing, or find the first place where they do not.

    Writes the compiled files, the evidence and the certificate into ``folder``. Where completions are drawn
    and are not the same, that many ``seeds`` are run, from the spec's upwards.

    Raises:
        SpecError: a folder that an earlier run should have left is not there.
        UnsupportedError: the reference cannot express the spec, or fewer than two backends can.
        EnvironmentError_: an environment cannot be had.
    """
    if reference not in names:
        message = f"the reference {reference} is not among {', '.join(names)}"
        raise VerifyError(Problem(message, hint="name it in --backends, or another --reference"))
    plans, refused = compile_all(loaded, names, folder, allow_lossy)
    if reference in refused:
        raise refused[reference]
    if len(plans) < 2:
        problems = [problem for error in refused.values() for problem in error.problems]
        raise (
            UnsupportedError(problems)
            if problems
            else VerifyError(Problem("one run proves nothing", hint="name two or more backends"))
        )
    require_folders(next(iter(plans.values())))
    wanted = [(load_backend(name), plan.lock()) for name, plan in plans.items()]
    places = dict(
        zip(
            plans,
            ensure_all(wanted, torch, lambda progress: say(f"{progress.subject}: {progress.text}")),
            strict=True,
        )
    )
    first = loaded.spec.train.seed

    def reseeded(seed: int, some: Sequence[str]) -> dict[str, Run]:
        place = folder / SEEDS / str(seed)
        found, _ = compile_all(with_seed(loaded, seed), some, place, allow_lossy)
        return {name: as_run(plan, places[name]) for name, plan in found.items()}

    certificate = verify(
        {name: as_run(plan, places[name]) for name, plan in plans.items()},
        reference,
        Spec(loaded.file.name.removesuffix(".yaml"), loaded.digest, dump(loaded.spec)),
        folder,
        jobs=jobs,
        seeds=range(first, first + seeds),
        reseeded=reseeded,
        on_line=on_line,
        on_end=lambda name, error: say(f"{name}: {'failed' if error else 'trained'}"),
    )
    write_atomic(folder / CERTIFICATE, to_json(certificate).encode())
    return Proof(certificate, folder, refused)


def with_seed(loaded: Loaded, seed: int) -> Loaded:
    """The spec under another seed, with results of its own."""
    spec, name = loaded.spec, f"{SEEDS}/{seed}"
    train = {"seed": seed} | ({} if spec.train.data_seed is None else {"data_seed": seed})
    output = {"folder": f"{spec.output.folder}/{name}"}
    changed = {
        "train": spec.train.model_copy(update=train),
        "output": spec.output.model_copy(update=output),
    }
    return replace(loaded, spec=spec.model_copy(update=changed))


def as_run(plan: Plan, place: Environment) -> Run:
    """What the proof needs to know of a plan and its environment."""
    (launch,) = (stage for stage in plan.stages if isinstance(stage, Launch))
    (build,) = (stage for stage in plan.stages if isinstance(stage, BuildEnvironment))
    cleared = matching(os.environ, launch.cleared)
    release_builds(place)
    return Run(
        backend=load_backend(plan.backend),
        folder=plan.folder,
        argv=launch.argv,
        environ=variables(place, compose(os.environ, launch.environ, cleared)),
        python=place.python,
        programs=place.bin,
        lock=build.key,
    )
