"""Everything ftspec raises on purpose.

::

    FtspecError                 base: code, exit code, problems (all of them at once)
    ├── SpecError          2    the spec is not what it should be: YAML, types, names, values
    ├── DataError          3    a data file cannot be read, or holds a row that cannot be trained on
    ├── UnsupportedError   4    the backend cannot express what the spec asks
    ├── BackendError       5    no such backend; a broken plugin; two of one name
    ├── EnvironmentError_  6    an environment is missing, incomplete or cannot be installed
    ├── RunError           7    a training process failed
    ├── OutputError        8    a file cannot be written
    └── VerifyError        9    a proof cannot be made

Exit 1 is a verdict, not an error: ``verify`` or ``diff`` found a difference. 130 and 143 are an interrupt.
Each code has a paragraph in docs/errors.md; a test holds the two lists together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, and how to mend it."""

    message: str
    path: str = ""
    """Dotted path in the spec, `train.learning_rate`, where one fits."""
    file: str = ""
    line: int = 0
    """1-based; 0 where no line fits."""
    column: int = 0
    hint: str = ""
    """The remedy, in the imperative."""

    def place(self) -> str:
        """`file:line:column`, as far as it is known."""
        parts = [self.file] + [str(n) for n in (self.line, self.column) if n]
        return ":".join(part for part in parts if part)


class FtspecError(Exception):
    """Base of all errors that ftspec raises on purpose."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 70

    def __init__(self, problems: str | Problem | Sequence[Problem], hint: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, hint=hint)
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.way_out = ""
        """What mends all of them together, where that is known."""
        super().__init__("; ".join(problem.message for problem in self.problems))

    def retold(self, problems: Sequence[Problem]) -> Self:
        """The same error with its problems told in another way."""
        error = type(self)(problems)
        error.way_out = self.way_out
        return error

    def as_json(self) -> dict[str, Any]:
        """The same as data, for `--json`."""
        told = {"code": self.code, "problems": [asdict(problem) for problem in self.problems]}
        return {**told, "way_out": self.way_out} if self.way_out else told


class SpecError(FtspecError):
    """The spec is not what it should be."""

    code = "spec"
    exit_code = 2


class DataError(FtspecError):
    """A data file cannot be read, or holds a row that cannot be trained on."""

    code = "data"
    exit_code = 3


class UnsupportedError(FtspecError):
    """The backend cannot express what the spec asks."""

    code = "unsupported"
    exit_code = 4


class BackendError(FtspecError):
    """No such backend; a broken plugin; two plugins of one name."""

    code = "backend"
    exit_code = 5


class EnvironmentError_(FtspecError):  # noqa: N801, N818 - the plain name is a builtin
    """An environment is missing, incomplete or cannot be installed."""

    code = "environment"
    exit_code = 6


class RunError(FtspecError):
    """A training process failed."""

    code = "run"
    exit_code = 7


class OutputError(FtspecError):
    """A file cannot be written."""

    code = "output"
    exit_code = 8


class VerifyError(FtspecError):
    """A proof cannot be made."""

    code = "verify"
    exit_code = 9
