"""Runs inside axolotl's environment: every type of rows that it has, and what it looks for in templates.

python axolotl_types_reference.py TEMPLATES.json OUT.json CONFIG.yaml ...

Of configs, the first rows that axolotl makes of them.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from itertools import islice
from pathlib import Path

import axolotl.prompt_strategies as strategies
import torch
from axolotl.cli.config import load_cfg
from axolotl.loaders import load_tokenizer
from axolotl.prompt_strategies.jinja_template_analyzer import JinjaTemplateAnalyzer
from axolotl.utils.data import prepare_datasets, sft
from axolotl.utils.data.wrappers import DATASET_HANDLERS

PAIRED = ("dpo", "kto", "orpo", "bradley_terry", "ebft", "messages")
"""Packages whose functions are types by themselves, of objectives of their own."""


def main() -> None:
    templates, out, *configs = (Path(name) for name in sys.argv[1:])
    found: dict[str, list[str]] = {"": sorted(DATASET_HANDLERS)}
    for module in pkgutil.walk_packages(strategies.__path__, "axolotl.prompt_strategies."):
        name = module.name.removeprefix("axolotl.prompt_strategies.")
        package = name.partition(".")[0] if "." in name else ""
        if not module.ispkg:
            found.setdefault(package, []).extend(types(name, module.name, package))
    seen = {
        name: sorted(map(str, JinjaTemplateAnalyzer(text).get_message_vars("messages")))
        for name, text in json.loads(templates.read_text()).items()
    }
    rows = {config.stem: streamed(config) for config in configs}
    out.write_text(json.dumps({"types": found, "seen": seen, "rows": rows}))


def streamed(config: Path) -> list[dict[str, list[int]]]:
    cfg = load_cfg(str(config))
    sft.save_preprocessed_dataset = lambda *_args, **_options: None
    train, *_ = prepare_datasets(cfg, load_tokenizer(cfg))
    first = islice(train, 8)
    return [{key: torch.as_tensor(value).tolist() for key, value in row.items()} for row in first]


def types(name: str, module: str, package: str) -> list[str]:
    """The types of a module: its loaders, or all of its functions."""
    made = importlib.import_module(module)
    own = [
        one
        for one, value in vars(made).items()
        if (inspect.isfunction(value) and value.__module__ == module) or one == "load"
    ]
    short = name.removeprefix(f"{package}.")
    if package in PAIRED:
        return [f"{short}.{one}" for one in own if not one.startswith("_")]
    return [f"{short}.{one}" for one in own if one.startswith("load")]


if __name__ == "__main__":
    main()
