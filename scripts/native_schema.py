"""Read names, types and defaults out of an installed framework: `python native_schema.py BACKEND`.

Runs inside a backend's environment (`make schemas`) and prints the JSON that is kept in schemas/native/;
BACKEND.LOCK is what an environment for one objective has beside it.
Every native name, and every meaning of a missing key, is checked against it. Nothing is typed by hand.
"""

import ast
import dataclasses
import enum
import importlib
import importlib.metadata
import inspect
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def plain(value: Any) -> Any:
    """A default as JSON; what JSON has no form for becomes its name."""
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return f"<{type(value).__name__}>"


def fields(cls: type) -> dict[str, dict[str, Any]]:
    """Fields of a dataclass."""

    def default(field: "dataclasses.Field[Any]") -> Any:
        if field.default is not dataclasses.MISSING:
            return plain(field.default)
        if field.default_factory is not dataclasses.MISSING:
            return plain(field.default_factory())
        return "<required>"

    return {
        field.name: {"type": str(field.type), "default": default(field)}
        for field in dataclasses.fields(cls)
        if field.init
    }


def arguments(function: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """Parameters of a function; `**` says that others are passed on."""
    found: dict[str, dict[str, Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found["**"] = {"type": name, "default": "<passed on>"}
        elif parameter.kind is not parameter.VAR_POSITIONAL and name != "self":
            empty = parameter.default is parameter.empty
            default = "<required>" if empty else plain(parameter.default)
            found[name] = {"type": str(parameter.annotation), "default": default}
    return found


def popped(function: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """What a function takes out of its `kwargs` by name, read from its source."""
    return {
        node.args[0].value: {"type": "", "default": plain(ast.literal_eval(node.args[1]))}
        for node in ast.walk(ast.parse(inspect.getsource(function)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "kwargs.pop"
        if isinstance(node.args[0], ast.Constant)
    }


ADAPTERS = (
    *("LoraConfig", "OFTConfig", "IA3Config", "PrefixTuningConfig", "PromptTuningConfig"),
    *(
        "PromptEncoderConfig",
        "LoHaConfig",
        "LoKrConfig",
        "VeraConfig",
        "AdaLoraConfig",
        "EvaConfig",
    ),
)
"""Adapters whose options are fields of a spec; `adapters` has all, for specs that name them."""


CONFIGS = ("SFTConfig", "DPOConfig", "KTOConfig", "RewardConfig", "GRPOConfig", "RLOOConfig")
"""Arguments of the trainers that scripts are written around."""
EXPERIMENTAL = ("CPOConfig", "ORPOConfig", "GKDConfig")
"""The same, of those that trl keeps apart."""


OF_THE_COMMAND = ("ModelConfig", "ScriptArguments", "DatasetMixtureConfig")
"""What trl's command line reads beside the trainer's config."""


QUANTISED = (
    *("BitsAndBytesConfig", "FineGrainedFP8Config", "Mxfp4Config", "GPTQConfig", "AwqConfig"),
)
"""How weights in few bits are loaded."""


def trl_script() -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls of a TRL script."""
    import trl

    for name in CONFIGS:
        yield name, fields(getattr(trl, name))
    for name in EXPERIMENTAL:
        place = f"trl.experimental.{name.removesuffix('Config').lower()}"
        yield name, fields(getattr(importlib.import_module(place), name))
    yield "SFTTrainer", arguments(trl.SFTTrainer.__init__)
    yield from beside_trainers()


def beside_trainers() -> Iterator[tuple[str, dict[str, Any]]]:
    """What a script calls of peft and transformers."""
    import peft
    import transformers
    from peft.optimizers import create_loraplus_optimizer
    from torch.optim import AdamW

    for name in ADAPTERS:
        yield name, fields(getattr(peft, name))
    for name in QUANTISED:
        yield name, arguments(getattr(transformers, name).__init__)
    yield "PeftModel.from_pretrained", arguments(peft.PeftModel.from_pretrained)
    # it takes some of its ** by name and hands on the rest to the optimizer
    yield (
        "create_loraplus_optimizer",
        {
            **arguments(AdamW.__init__),
            **popped(create_loraplus_optimizer),
            **arguments(create_loraplus_optimizer),
        },
    )


def experimental() -> Iterator[tuple[str, dict[str, Any]]]:
    """Trainers that scripts of TRL and DeepSpeed are written around, out of trl's experimental ones."""
    from trl.experimental.online_dpo import OnlineDPOConfig

    yield "OnlineDPOConfig", fields(OnlineDPOConfig)


def trl() -> Iterator[tuple[str, dict[str, Any]]]:
    """The same, and what trl's command line reads beside the trainer's config."""
    yield from trl_script()
    yield from experimental()
    import trl

    for name in OF_THE_COMMAND:
        yield name, fields(getattr(trl, name))


def ppo() -> Iterator[tuple[str, dict[str, Any]]]:
    """The trainers of TRL's environment for PPO, an older release that configs may have been written for."""
    import trl

    older = ("OnlineDPOConfig", "PPOConfig", *OF_THE_COMMAND)
    for name in (*CONFIGS, *EXPERIMENTAL, *older):
        yield name, fields(getattr(trl, name))
    yield from beside_trainers()


def deepspeed() -> Iterator[tuple[str, dict[str, Any]]]:
    """The same script, and the engine's own settings."""
    yield from trl_script()
    yield from experimental()
    from deepspeed.runtime import constants
    from deepspeed.runtime.tensor_parallel import get_tensor_parallel_config
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    cut = "tensor_parallel"  # no constant names it
    read = get_tensor_parallel_config({cut: {"autotp_size": 2}}).autotp_size == 2

    yield (
        "ds_config.zero_optimization",
        {
            # the alias where there is one: `stage3_...` is what people write, and its handbook
            info.alias or name: {"type": str(info.annotation), "default": plain(info.default)}
            for name, info in DeepSpeedZeroConfig.model_fields.items()
        },
    )
    yield (
        "ds_config",
        {
            value: {"type": "", "default": plain(getattr(constants, f"{name}_DEFAULT", None))}
            for name, value in vars(constants).items()
            if isinstance(value, str) and name.isupper() and value.isidentifier()
        }
        | ({cut: {"type": "", "default": None}} if read else {}),
    )


def unsloth() -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls of an Unsloth script, as unsloth leaves them after its import."""
    model = importlib.import_module("unsloth").FastLanguageModel
    yield "FastLanguageModel.from_pretrained", arguments(model.from_pretrained)
    yield "FastLanguageModel.get_peft_model", arguments(model.get_peft_model)
    yield from trl_script()


def llamafactory() -> Iterator[tuple[str, dict[str, Any]]]:
    """All keys of a training config, and the attributes of a data set."""
    from llamafactory import hparams
    from llamafactory.data.parser import DatasetAttr
    from llamafactory.hparams import training_args

    keys: dict[str, Any] = {}
    for cls in (
        hparams.ModelArguments,
        hparams.DataArguments,
        training_args.TrainingArguments,
        hparams.FinetuningArguments,
        hparams.GeneratingArguments,
    ):
        keys |= fields(cls)
    yield "", keys
    yield "dataset_info", fields(DatasetAttr)


def axolotl() -> Iterator[tuple[str, dict[str, Any]]]:
    """All keys of a config: its schema is pydantic's, and names stand beside their aliases."""
    from axolotl.utils.schemas import config, datasets

    yield "", modelled(config.AxolotlInputConfig)
    for name in ("SFTDataset", "UserDefinedPrompterType", "PretrainingDataset", "DPODataset"):
        yield name, modelled(getattr(datasets, name))


def modelled(model: Any) -> dict[str, dict[str, Any]]:
    """Fields of a pydantic model, as people write them: by their alias where there is one, and by name."""
    found: dict[str, dict[str, Any]] = {}
    for name, info in model.model_fields.items():
        # declared as text or number, and made a number by a validator
        kind = "float" if name == "learning_rate" else str(info.annotation)
        value = "<required>" if info.is_required() else info.get_default(call_default_factory=True)
        for key in {name, info.alias or name}:
            found[key] = {"type": kind, "default": plain(value)}
    return found


def takes(annotation: Any) -> list[str]:
    """The values of a type, in words: `int`, `list[str]`, `=gaussian`, `null`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    found: list[str] = []
    if origin is typing.Literal:
        found = ["bool" if isinstance(value, bool) else f"={value}" for value in inner]
    elif origin in (typing.Union, types.UnionType):
        words = [word for part in inner for word in takes(part)]
        closed = any(word.startswith("=") for word in words)  # `str` only repeats the members
        found = list(dict.fromkeys(word for word in words if not (closed and word == "str")))
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        found = [f"={member.value}" for member in annotation]
    elif origin is list:
        found = [f"list[{word}]" for part in inner for word in takes(part)]
    elif annotation is dict or origin is dict:
        found = ["dict"]
    elif annotation in (bool, int, float, str, list):
        found = [annotation.__name__]
    elif annotation is type(None):
        found = ["null"]
    return found


def adapters() -> dict[str, Any]:
    """Each adapter of peft, with the options of its configuration, for specs that name it."""
    from peft import PeftConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    common = {field.name for field in dataclasses.fields(PeftConfig)}
    kinds = {}
    for kind, cls in sorted(PEFT_TYPE_TO_CONFIG_MAPPING.items()):
        hints = typing.get_type_hints(cls)
        kinds[kind.value] = {
            "call": cls.__name__,
            "options": {
                name: {"takes": takes(hints[name]), "default": entry["default"]}
                for name, entry in fields(cls).items()
                if name not in common and takes(hints[name])
            },
        }
    return {"version": importlib.metadata.version("peft"), "kinds": kinds}


PACKAGES = ("transformers", "peft", "accelerate", "datasets", "torch", "trl")


def main() -> None:
    """Print the schema of one backend, or the options of peft's adapters."""
    name = sys.argv[1]
    reader = {
        "trl": trl, "deepspeed": deepspeed, "unsloth": unsloth, "llamafactory": llamafactory,
        "axolotl": axolotl, "trl.ppo": ppo,
    }  # fmt: skip
    stdout, sys.stdout = sys.stdout, sys.stderr  # frameworks greet on stdout
    if name == "peft":
        json.dump(adapters(), stdout, indent=1)
        stdout.write("\n")
        return
    calls = dict(reader[name]())
    schema = {
        "backend": name,
        "version": importlib.metadata.version(name.partition(".")[0]),
        "with": {package: importlib.metadata.version(package) for package in PACKAGES},
        "calls": calls,
    }
    json.dump(schema, stdout, indent=1, sort_keys=True)
    stdout.write("\n")


if __name__ == "__main__":
    main()
