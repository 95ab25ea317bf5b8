"""Scripts that people wrote, followed from their first statement to their last. Nothing is executed.

Values are worked out as far as they are certain; what is not stays foreign, with its line.
"""

from __future__ import annotations

import ast

from ftspec.read.python import Calls, reading
from ftspec.read.scripts.state import Script
from ftspec.read.scripts.statements import follow, run
from ftspec.read.scripts.wanted import Wanted


def read_script(source: str, wanted: Wanted) -> Calls:
    """The arguments of calls, worked out, and what was not understood.

    Raises:
        SpecError: the source is not Python.
    """

    def read(tree: ast.Module) -> Calls:
        script = Script.of(source, tree, wanted, follow)
        run(script, tree.body)
        return script.said.calls()

    return reading(source, read)
