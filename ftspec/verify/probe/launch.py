"""The command line: register the callback, then become the training process."""

from __future__ import annotations

import argparse
import importlib
import runpy
import sys
from pathlib import Path

from .callback import make_probe


def main() -> None:
    """Register the probe, then become the training process."""
    # The deepspeed launcher puts --local_rank behind the first program; it is meant for the script.
    local = [word for word in sys.argv[1:] if word.startswith("--local_rank")]
    parser = argparse.ArgumentParser(description="Run a training artefact, noting what it does.")
    parser.add_argument("--out", required=True, type=lambda text: Path(text).resolve())
    parser.add_argument("--first-import", default="")
    parser.add_argument("kind", choices=["script", "module", "llamafactory"])
    parser.add_argument("entry", help="a script, a module by its name, or a config")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args([word for word in sys.argv[1:] if word not in local])

    sys.path[0] = str(Path(options.entry).resolve().parent)  # as `python train.py` would have it
    sys.argv = [options.entry, *local, *options.rest]
    if options.first_import:
        importlib.import_module(options.first_import)
    if options.kind == "llamafactory":
        from llamafactory.train.tuner import run_exp

        sys.argv.insert(0, "llamafactory-cli")  # run_exp reads the config's name from argv[1]
        run_exp(callbacks=[make_probe(options.out)()])
        return
    import transformers.trainer

    transformers.trainer.DEFAULT_CALLBACKS.append(make_probe(options.out))
    if options.kind == "module":
        runpy.run_module(options.entry, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(options.entry, run_name="__main__")
