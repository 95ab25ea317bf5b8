"""Stand-ins for what costs time: trainers that keep what they are given; models, tokenizers and rows.

Runs inside an environment of trl. trl's own scripts and compiled ones both meet them.
"""

import contextlib
import os
import shlex
import sys
import tempfile
from pathlib import Path

import datasets
import peft
import transformers
import trl
import trl.experimental.cpo
import trl.experimental.orpo
from transformers import training_args
from trl.scripts import dpo, grpo, kto, reward, rloo, sft

ROWS = 64
MAINS = {
    "sft": (sft, "SFTTrainer"),
    "dpo": (dpo, "DPOTrainer"),
    "kto": (kto, "KTOTrainer"),
    "reward": (reward, "RewardTrainer"),
    "grpo": (grpo, "GRPOTrainer"),
    "rloo": (rloo, "RLOOTrainer"),
}
EXPERIMENTAL = {
    "cpo": (trl.experimental.cpo, "CPOConfig", "CPOTrainer"),
    "simpo": (trl.experimental.cpo, "CPOConfig", "CPOTrainer"),
    "orpo": (trl.experimental.orpo, "ORPOConfig", "ORPOTrainer"),
}
"""Without a command of their own: read by trl's parser and handed on by the script of DPO."""


class Kept(Exception):  # noqa: N818 - how a trainer says that it has what it needs
    """What a trainer was given."""

    def __init__(self, kind, given):
        super().__init__(kind.__name__)
        self.kind, self.given = kind, given


class Nothing:
    """Takes whatever is done to it."""

    def __init__(self, **known):
        self.__dict__.update(known)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()

    def __call__(self, *_given, **_named):
        return Nothing()

    def __getitem__(self, _key):
        return Nothing()

    def __setitem__(self, _key, _value):
        pass

    def __iter__(self):
        return iter(())

    def __len__(self):
        return ROWS

    def __contains__(self, key):
        return isinstance(key, str)  # whatever token is looked for is there


def _keeper(name):
    def __init__(self, *given, **named):  # noqa: N807
        raise Kept(type(self), named | dict(zip(("model",), given, strict=False)))

    return type(name, (), {"__init__": __init__})


def _load(_class, name, *_given, **named):
    return Nothing(loaded=(name, named), get_vocab=Nothing, unk_token_id=-1)


def _adapted(model, config, *_given, **_named):
    return Nothing(loaded=getattr(model, "loaded", None), adapter=config)


def put_in_place():
    """A GPU of today is taken for granted, and nothing is loaded."""
    training_args.is_torch_bf16_gpu_available = lambda: True
    training_args.is_torch_tf32_available = lambda: True
    training_args.enable_tf32 = lambda _on: None
    for _, name in MAINS.values():
        setattr(trl, name, _keeper(name))
    for module, _, name in EXPERIMENTAL.values():
        setattr(module, name, _keeper(name))
    trl.get_dataset = lambda *_, **__: Nothing()
    datasets.load_dataset = lambda *_, **__: Nothing(column_names=[])
    datasets.concatenate_datasets = lambda *_, **__: Nothing(column_names=[])
    for name in ("ForCausalLM", "ForSequenceClassification"):
        getattr(transformers, f"AutoModel{name}").from_pretrained = classmethod(_load)
    transformers.AutoTokenizer.from_pretrained = classmethod(_load)
    transformers.set_seed = lambda *_, **__: None
    peft.get_peft_model = _adapted


def original(trainer, text):
    """What trl's own command hands to its trainer: of a command line, of a script, or of a YAML."""
    if text.startswith("trl "):
        return _parsed(trainer, shlex.split(text)[2:])
    if text.startswith("from "):
        return _kept(lambda: exec(text, {"__name__": "__main__"}))  # noqa: S102 - written by the test
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return _parsed(trainer, ["--config", file.name])


def _parsed(trainer, words):
    if trainer in EXPERIMENTAL:
        module, config, _ = EXPERIMENTAL[trainer]
        kinds = (trl.ScriptArguments, getattr(module, config))
        parser, main = trl.TrlParser((*kinds, trl.ModelConfig, trl.DatasetMixtureConfig)), dpo.main
    else:
        parser, main = MAINS[trainer][0].make_parser(), MAINS[trainer][0].main
    parsed = parser.parse_args_and_config(words, fail_with_unknown_args=False)
    return _kept(lambda: main(*parsed))


def compiled(folder):
    """What a compiled script hands to its trainer."""
    source = Path(folder, "train.py").read_text("utf-8")
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        with contextlib.chdir(folder):
            code = compile(source, "train.py", "exec")
            return _kept(lambda: exec(code, {"__name__": "__main__"}))  # noqa: S102 - ftspec's own
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(folder + os.sep):
                del sys.modules[name]


def _kept(call):
    try:
        call()
    except Kept as kept:
        return kept
    raise RuntimeError("no trainer was made")
