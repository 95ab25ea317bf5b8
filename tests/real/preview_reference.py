"""Runs inside a backend's environment, in a compiled folder: the rows that the framework made.

python preview_reference.py OUT.json script train.py [FIRST_IMPORT]
python preview_reference.py OUT.json llamafactory train.yaml

The folder's own files run, up to where training would begin.
"""

import importlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    out, kind, entry, *first = sys.argv[1:]
    for name in first:
        importlib.import_module(name)
    import transformers

    def record(trainer: Any, *_: Any, **__: Any) -> None:
        found = {"train": rows(trainer.train_dataset), "eval": rows(trainer.eval_dataset)}
        Path(out).write_text(json.dumps(found))
        sys.exit(0)

    transformers.Trainer.train = record
    if kind == "llamafactory":
        from llamafactory.train.tuner import run_exp

        sys.argv = ["train", entry]
        run_exp()
    else:
        sys.argv = [entry]
        runpy.run_path(entry, run_name="__main__")
    sys.exit("the trainer was never started")


def rows(dataset: Any) -> Any:
    if isinstance(dataset, dict):
        (dataset,) = dataset.values()
    return dataset and [
        {key: value for key, value in row.items() if key.endswith(("ids", "labels"))}
        for row in dataset
    ]


if __name__ == "__main__":
    main()
