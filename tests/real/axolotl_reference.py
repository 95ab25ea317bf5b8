"""Runs inside axolotl's environment: the rows that axolotl makes of configs.

python axolotl_reference.py OUT.json CONFIG.yaml ...

Among the configs, FILE.new is a file that takes the place of FILE before the next config is read.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from axolotl.cli.config import load_cfg
from axolotl.loaders import load_tokenizer
from axolotl.utils.data import prepare_datasets, sft


def main() -> None:
    out, *configs = (Path(name).absolute() for name in sys.argv[1:])
    found, here, keep = {}, Path.cwd(), sft.save_preprocessed_dataset
    for config in configs:
        if config.suffix == ".new":
            shutil.copy(config, config.with_suffix(""))
            continue
        os.chdir(config.parent)
        sys.path[0] = str(config.parent)  # plugins stand beside their config
        # rows are looked at here, not kept; keeping them takes a process that not every Python can begin.
        # What is compiled has to see to that itself
        compiled = (config.parent / "manifest.json").exists()
        sft.save_preprocessed_dataset = keep if compiled else lambda *_: None
        cfg = load_cfg(str(config))
        train, held, *_ = prepare_datasets(cfg, load_tokenizer(cfg))
        found[str(config.relative_to(here))] = {"train": rows(train), "eval": rows(held)}
    out.write_text(json.dumps(found))


def rows(dataset: Any) -> Any:
    return dataset and [{key: row[key] for key in ("input_ids", "labels")} for row in dataset]


if __name__ == "__main__":
    main()
