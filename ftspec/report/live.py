"""What a person sees while environments are installed and trainings run: on stderr, one line each."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftspec.run.execute import Event
    from ftspec.run.progress import Progress


class Live:
    """A progress bar per run where there is a terminal; plain lines where there is none."""

    def __init__(self, console: Any, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self.bar: Any = None
        self.tasks: dict[str, Any] = {}
        self.tenths: dict[str, int] = {}
        """How many tenths of each run were told, where there is no bar."""

    def __enter__(self) -> Live:
        if self.console.is_terminal and not self.quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
            from rich.progress import Progress as Bar  # noqa: PLC0415

            columns = (
                TextColumn("{task.description:13}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[text]}"),
            )
            self.bar = Bar(*columns, console=self.console, transient=True)
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        """A line."""
        if not self.quiet:
            self.console.print(text, markup=False, highlight=False)

    def event(self, event: Event) -> None:
        """An event of a run."""
        if event.kind == "start":
            self._show(event.backend, None, event.stage)
            if self.bar is None:
                self.say(f"{event.backend}: {event.stage}")
        elif event.kind == "note":
            self.say(f"{event.backend}: {event.text}")
        elif event.kind == "progress" and event.progress is not None:
            self.progress(event.backend, event.progress)

    def progress(self, name: str, progress: Progress) -> None:
        """How far a training is."""
        self._show(name, progress, numbers(progress))

    def _show(self, name: str, progress: Progress | None, text: str) -> None:
        if self.bar is None:
            if progress is not None and progress.loss is not None:
                self._tell(name, progress, text)
            return
        if name not in self.tasks:
            self.tasks[name] = self.bar.add_task(name, total=None, text="")
        if progress is None:
            self.bar.update(self.tasks[name], text=text)
        else:
            self.bar.update(
                self.tasks[name], completed=progress.step, total=progress.total, text=text
            )

    def _tell(self, name: str, progress: Progress, text: str) -> None:
        """A line at each tenth of a run: enough for a log, not too much for a long run."""
        tenth = 10 * progress.step // progress.total if progress.total else progress.step
        if tenth > self.tenths.get(name, -1):
            self.tenths[name] = tenth
            self.say(f"{name}: step {progress.step} of {progress.total or '?'}  {text}")


def numbers(progress: Progress) -> str:
    """`loss 1.234  lr 1e-4`, as far as they are known."""
    known = (
        ("loss", progress.loss),
        ("grad norm", progress.grad_norm),
        ("lr", progress.learning_rate),
        ("margin", progress.margin),
        ("accuracy", progress.accuracy),
        ("reward", progress.reward),
        ("kl", progress.kl),
        ("tokens", progress.tokens),
    )
    return "  ".join(f"{name} {value:.4g}" for name, value in known if value is not None)
