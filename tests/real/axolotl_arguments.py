"""Runs inside axolotl's environment: what axolotl makes of configs, as far as its trainer's arguments.

python axolotl_arguments.py OUT.json CONFIG.yaml ...

Each config is validated and normalised as `axolotl train` does it, as on a GPU that has bfloat16; then the
builder makes the arguments of transformers' (or trl's) trainer, the loaders the adapter's configuration
and the one of weights in few bits. Nothing is trained, and no weights are loaded.
"""

import dataclasses
import enum
import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers.training_args
import transformers.utils
import yaml
from axolotl.core.builders import causal, rl
from axolotl.integrations.base import PluginManager
from axolotl.loaders import adapter
from axolotl.loaders.model import ModelLoader
from axolotl.loaders.utils import load_model_config
from axolotl.utils import config as configs
from axolotl.utils.dict import DictDefault
from axolotl.utils.trainer import setup_fsdp_envs

logging.disable(logging.CRITICAL)
ROWS = 4000
"""Rows in the data set, as its builder counts the steps."""
GPU = {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}
LINEAR = "all-linear"


def yes(*_args: Any, **_kwargs: Any) -> bool:
    return True


for module in (transformers.utils, transformers.training_args, configs):
    for name in ("is_torch_bf16_gpu_available", "is_torch_tf32_available"):
        if hasattr(module, name):
            setattr(module, name, yes)
adapter.find_all_linear_names = lambda _model: [LINEAR]


class ToldError(Exception):
    """Carries what a trainer would have been made with."""


class Builder(causal.HFCausalTrainerBuilder):  # type: ignore[misc]
    """Stops where it has the arguments, and the collator's."""

    def _get_trainer_cls(self) -> Any:
        return lambda **given: (_ for _ in ()).throw(ToldError(given))

    def get_callbacks(self) -> list[Any]:
        return []

    def build_collator(self, *_args: Any, **given: Any) -> Any:
        return given


def plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {
            one.name: plain(getattr(value, one.name)) for one in fields if hasattr(value, one.name)
        }
    return str(value)


def steps_of(cfg: Any) -> int:
    """utils/trainer.py, calculate_total_num_steps, of rows that stand alone; utils/data/sft.py."""
    total = int(
        ROWS * (cfg.num_epochs or 1) // (cfg.micro_batch_size * cfg.gradient_accumulation_steps)
    )
    return min(total, cfg.max_steps) if cfg.max_steps else total


def made(path: Path) -> dict[str, Any]:
    os.chdir(path.parent)
    cfg = DictDefault(yaml.safe_load(path.read_text("utf-8")))
    cfg.axolotl_config_path = str(path)
    if cfg.plugins and any("." in str(one) for one in cfg.plugins):
        cfg.plugins = [
            one for one in cfg.plugins if not str(one).startswith(("fresh_", "adapter_"))
        ]
        configs.prepare_plugins(cfg)
    cfg = configs.validate_config(
        cfg, dict(GPU), {"torch_version": torch.__version__.split("+")[0]}
    )
    configs.normalize_config(cfg)
    configs.normalize_cfg_datasets(cfg)
    if cfg.fsdp or cfg.fsdp_config:
        setup_fsdp_envs(cfg)
    model = SimpleNamespace(config=SimpleNamespace(num_labels=1, model_type="llama"))
    total = steps_of(cfg)
    collator: Any = {}
    if cfg.rl:
        builder = rl.HFRLTrainerBuilder(cfg, model, SimpleNamespace())
        builder.eval_dataset = held(cfg)
        arguments, kwargs = builder._build_training_arguments(total)
    else:
        builder = Builder(cfg, model, SimpleNamespace())
        builder.eval_dataset = held(cfg)
        causal.get_chat_template_from_config = lambda **_given: ""
        causal.inspect = SimpleNamespace(
            signature=lambda _cls: SimpleNamespace(parameters=("processing_class",))
        )
        causal.issubclass = lambda *_args: False
        try:
            builder.build(total)
        except ToldError as told:
            kwargs = told.args[0]
            arguments, collator = kwargs.pop("args"), kwargs.pop("data_collator")
    found = {"arguments": plain(arguments), "kind": type(arguments).__name__, "total": total}
    found["kwargs"] = sorted(kwargs)
    if "optimizer_cls_and_kwargs" in kwargs:
        cls, given = kwargs["optimizer_cls_and_kwargs"]
        found["optimizer"] = [cls.__name__, plain(given)]
    found["collator"] = plain(collator)
    if cfg.adapter in ("lora", "qlora"):
        lora = adapter._build_peft_lora_config(SimpleNamespace(), cfg)
        found["lora"] = plain(lora.to_dict())
    loader = SimpleNamespace(
        cfg=cfg,
        model_config=load_model_config(cfg),
        model_kwargs={},
        is_fsdp_enabled=bool(cfg.fsdp_config),
    )
    ModelLoader._set_quantization_config(loader)
    few = loader.model_kwargs.get("quantization_config")
    found["few"] = few and plain(few.to_dict())
    found["cfg"] = plain(cfg.to_dict())
    found["dtype"] = str(cfg.torch_dtype).removeprefix("torch.")
    return found


def held(cfg: Any) -> Any:
    return [0] if cfg.val_set_size or cfg.test_datasets else None


def main() -> None:
    out, *names = sys.argv[1:]
    if len(names) == 1 and names[0].endswith(".txt"):
        names = Path(names[0]).read_text().split("\n")
    found, stdout, out = {}, sys.stdout, str(Path(out).absolute())
    sys.stdout = sys.stderr
    environ, here = dict(os.environ), Path.cwd()
    for name in filter(None, names):
        os.environ.clear()
        os.environ.update(environ)
        PluginManager._instance = None
        try:
            found[name] = made(here / name)
        except Exception as error:  # whatever it stops at is its answer
            found[name] = {"refused": f"{type(error).__name__}: {error}"}
    sys.stdout = stdout
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
