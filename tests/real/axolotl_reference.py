"""Runs inside axolotl's environment: the rows that axolotl makes of configs.

python axolotl_reference.py OUT.json CONFIG.yaml ...
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from axolotl.cli.config import load_cfg
from axolotl.loaders import load_tokenizer
from axolotl.utils.data import prepare_datasets, sft


def main() -> None:
    out, *configs = (Path(name).absolute() for name in sys.argv[1:])
    # rows are looked at here, not kept; keeping them takes a process that not every Python can begin
    sft.save_preprocessed_dataset = lambda *_: None
    found, here = {}, Path.cwd()
    for config in configs:
        os.chdir(config.parent)
        sys.path[0] = str(config.parent)  # plugins stand beside their config
        cfg = load_cfg(config)
        train, held, *_ = prepare_datasets(cfg, load_tokenizer(cfg))
        found[str(config.relative_to(here))] = {"train": rows(train), "eval": rows(held)}
    out.write_text(json.dumps(found))


def rows(dataset: Any) -> Any:
    return dataset and [{key: row[key] for key in ("input_ids", "labels")} for row in dataset]


if __name__ == "__main__":
    main()
