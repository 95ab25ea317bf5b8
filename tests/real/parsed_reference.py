"""Runs inside LLaMA-Factory's environment: what its own parser makes of configs.

python parsed_reference.py CONFIGS.json OUT.json

CONFIGS.json is a list of (text, folder); OUT.json gets for each the fields of the five classes of arguments,
or what it stopped with. The parser is the real one, on a machine that has what a GPU has.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from llamafactory.hparams import parser
from omegaconf import OmegaConf
from transformers import training_args

CLASSES = ("model", "data", "training", "finetuning", "generating")


def main() -> None:
    for module in (parser, training_args):
        module.is_torch_bf16_gpu_available = lambda: True
    parser.check_version = lambda *_, **__: None  # what is installed beside it is not asked here
    found, out = [], Path(sys.argv[2]).absolute()
    for text, folder in json.loads(Path(sys.argv[1]).read_text()):
        os.chdir(folder)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found.append(parsed(text))
    out.write_text(json.dumps(found))


def parsed(text: str) -> dict[str, Any]:
    try:
        arguments = parser.get_train_args(OmegaConf.to_container(OmegaConf.create(text)))
    except Exception as error:
        return {"stopped": f"{type(error).__name__}: {error}"}
    return {
        f"{name}.{key}": plain(value)
        for name, one in zip(CLASSES, arguments, strict=True)
        for key, value in vars(one).items()
        if not key.startswith("_")
    }


def plain(value: Any) -> Any:
    value = getattr(value, "value", value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


if __name__ == "__main__":
    main()
