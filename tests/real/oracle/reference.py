"""Runs inside an environment: python reference.py CASES.json OUT.json

Of each case, what the framework's own parser makes of the config, against what the script that ftspec
compiled from it hands to the same trainer.
"""

import contextlib
import io
import json
import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import transformers  # noqa: E402
from effective import count, differ, view  # noqa: E402
from engine import engine  # noqa: E402
from stand_ins import compiled, original, put_in_place  # noqa: E402

GONE = "not there"


def fields(kept):
    """Everything that decides."""
    args = kept.given["args"]
    return view(kept) | (engine(args, count(args)) if args.deepspeed else {})


def judged(case):
    """`differs` and `compared`, or `refused` by the framework (`alike` by both), or `broken`."""
    try:
        first = fields(original(case["trainer"], case["text"]))
    except (Exception, SystemExit) as error:
        refused = {"refused": f"{type(error).__name__}: {error}"[:300]}
        if case["folder"]:
            with contextlib.suppress(Exception, SystemExit):
                fields(compiled(case["folder"]))
                return refused
            refused["alike"] = True
        return refused
    if not case["folder"]:
        return {}
    try:
        second = fields(compiled(case["folder"]))
    except (Exception, SystemExit) as error:
        return {"broken": f"{type(error).__name__}: {error}"[:300]}
    names = sorted(first.keys() | second.keys())
    pairs = {name: (first.get(name, GONE), second.get(name, GONE)) for name in names}
    return {
        "differs": {name: pair for name, pair in pairs.items() if differ(*pair)},
        "compared": len(names),
    }


def main():
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    put_in_place()
    cases = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = [judged(case) for case in cases]
    Path(sys.argv[2]).write_text(json.dumps(found), "utf-8")


main()
