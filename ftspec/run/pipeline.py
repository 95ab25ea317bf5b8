"""Walk the stages of a spec: what is complete is left as it is, what is not is run, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ftspec.env.store import Environment
from ftspec.errors import Problem, RunError
from ftspec.plan.pipeline import Link, of_stage
from ftspec.plan.stages import TakeResult
from ftspec.run.execute import Event, RunResult, execute
from ftspec.run.state import read_state
from ftspec.run.taken import noted, whole


@dataclass(frozen=True)
class Done:
    """A link that is complete. Without a result it was so before."""

    link: Link
    result: RunResult | None = None


def finished(link: Link) -> bool:
    """Whether a link ran to its end, with the result that is there, on the inputs that are there.

    Raises:
        RunError: it did, and the result or an input was changed since.
    """
    plan = link.plan
    state = read_state(plan.folder)
    if state is None or state.status != "done" or state.digest != plan.digest():
        return False
    whole(link.name, plan)
    begun = noted(plan).get("inputs", {})
    for stage in plan.stages:
        if isinstance(stage, TakeResult) and begun.get(stage.name) != whole(
            stage.name, stage.source
        ):
            raise RunError(
                Problem(
                    f"stage {link.name} began with another result of {stage.name} than is there now",
                    hint="--overwrite runs it again",
                )
            )
    return True


def run_links(
    links: Sequence[Link],
    environments: Callable[[Link], Environment],
    on_event: Callable[[Event], None] | None = None,
    overwrite: bool = False,
    on_done: Callable[[Done], None] | None = None,
) -> tuple[Done, ...]:
    """Run what is not complete yet.

    The state of a pipeline is that of its links' run folders and nothing else: after a failure or an
    interrupt the same call goes on at the link that did not end. With ``overwrite``, results that are of
    another spec, or were changed, are replaced; those that are complete stay.

    Raises:
        FtspecError: a link failed, or its input is not complete; the links before it stay complete.
        KeyboardInterrupt, Terminated: passed on, after no process of the run is left.
    """
    done: list[Done] = []
    for link in links:
        if _stands(link, overwrite):
            done.append(Done(link))
        else:
            done.append(Done(link, _run(link, environments(link), on_event, overwrite)))
        if on_done:
            on_done(done[-1])
    return tuple(done)


def _stands(link: Link, overwrite: bool) -> bool:
    try:
        return finished(link)
    except RunError:
        if not overwrite:
            raise
        return False


def _run(
    link: Link,
    environment: Environment,
    on_event: Callable[[Event], None] | None,
    overwrite: bool,
) -> RunResult:
    def tell(event: Event) -> None:
        if on_event:
            on_event(replace(event, backend=f"{link.name}/{event.backend}"))

    with of_stage(link.name):
        return execute(link.plan, environment, tell, overwrite)
