"""Native values -> axolotl.yaml, the plugin that seeds a new adapter, launch script, requirements."""

from __future__ import annotations

from collections.abc import Sequence

from ftspec.backend import File, Job
from ftspec.emit import yaml
from ftspec.emit.plain import one_line
from ftspec.families.rows.images import READ
from ftspec.families.rows.template import named_in, template_text
from ftspec.families.scripts.script import companions, headline
from ftspec.families.training.fsdp import sharded
from ftspec.families.training.launch import NODES, PROCESSES, torchrun
from ftspec.families.weights.tokens import NAMED, NEW, added
from ftspec.mapping import Flat
from ftspec_axolotl.answers import ANSWERS, ARGUMENTS, answer_files
from ftspec_axolotl.data import FRESH
from ftspec_axolotl.fields import DEVICE
from ftspec_axolotl.images import FILE as IMAGE_FILE
from ftspec_axolotl.images import image_file
from ftspec_axolotl.sharding import write_sharding
from ftspec_axolotl.tokens import FILE, plugin, token_keys
from ftspec_axolotl.tuners import SEEDED

CONFIG = "axolotl.yaml"
MODULE = "axolotl.cli.train"
TITLE = "axolotl"
SEED_FILE = f"{SEEDED.partition('.')[0]}.py"
SEED = '''\
"""Seeds a new adapter: axolotl draws it before its trainer has seeded anything, so always the same one."""

from axolotl.integrations.base import BasePlugin
from transformers import set_seed


class AdapterSeed(BasePlugin):
    def pre_lora_load(self, cfg, model):
        set_seed(cfg.seed)
'''
FRESH_FILE = f"{FRESH.partition('.')[0]}.py"
FRESHNESS = '''\
"""Makes the rows anew in each run: axolotl keeps them under a hash of parts of the config, and would train on
the old ones after a file has changed."""

from axolotl.integrations.base import BasePlugin
from axolotl.utils.data import sft


class FreshRows(BasePlugin):
    def register(self, cfg):
        sft.save_preprocessed_dataset = lambda cfg, dataset, dataset_hash, split: None
        sft.load_preprocessed_dataset = lambda cfg, dataset_hash: None
'''
SECTIONS: dict[str, tuple[str, ...]] = {
    "model": (
        "base_model", "model_quantization", "revision", "type_of", "trust", "attn", "load_in", "bnb_",
        "bf16", "fp16", "tf32", "use_kernels", "torch_compile", "special_tokens", "tokens",
        "resize_token", "processor",
    ),
    "method": (
        "rl", "ebft", "trl", "dpo_", "cpo_", "simpo_", "precompute_ref", "trainer_cls", "use_eaft", "eaft_",
        "adapter", "lora_", "peft_", "unfrozen", "plugins",
    ),
    "data": (
        "datasets", "chat_template", "train_on", "eot_tokens", "sequence_len", "excess", "dataset_prepared",
        "remove_unused", "skip_prepare", "shuffle", "val_set", "sample_packing", "eval_sample", "pad_to",
        "group_by", "curriculum", "dataloader",
    ),
    "output": ("output_dir", "logging", "save_", "use_tensorboard", "include_tkps"),
    "train": ("",),
}  # fmt: skip
"""Sections of the config, and the beginnings of the keys in each, in order."""


def emit(native: Flat, job: Job) -> Sequence[File]:
    """The files of one run."""
    pseudo = ("launch.", "images.", NAMED, NEW, ANSWERS, ARGUMENTS)
    config = {key: value for key, value in native.items() if not key.startswith(pseudo)}
    config |= write_sharding(native)
    config |= token_keys(native)
    sections = []
    for title, starts in SECTIONS.items():
        keys = [key for start in starts for key in config if key.startswith(start)]
        sections.append((title, {key: config.pop(key) for key in dict.fromkeys(keys)}))
    text = f"# {one_line(headline(job, TITLE))}\n\n" + yaml.dump([s for s in sections if s[1]])
    files = [File.text(CONFIG, text)]
    if SEEDED in native.get("plugins", ()):
        files.append(File.text(SEED_FILE, SEED))
    if FRESH in native.get("plugins", ()):
        files.append(File.text(FRESH_FILE, FRESHNESS))
    if name := named_in(native.get("chat_template_jinja")):
        files.append(File.text(native["chat_template_jinja"], template_text(name)))
    if f"{ANSWERS}format" in native:
        files += [File.text(name, text) for name, text in answer_files(native).items()]
    if READ in native:
        files.append(File.text(IMAGE_FILE, image_file(native)))
    if added(native):
        files.append(File.text(FILE, plugin(native)))
    return [*files, *companions(job, TITLE, launch(native), environment(native))]


def launch(native: Flat) -> Sequence[str]:
    """argv: the module, by torchrun where several processes train, or it shards."""
    if native.get(PROCESSES, 1) == native.get(NODES, 1) == 1 and not sharded(native):
        return ("{python}", "-m", MODULE, CONFIG)
    return (*torchrun(native, "-m", always=True), MODULE, CONFIG)


def environment(native: Flat) -> dict[str, str]:
    """It trains on a GPU wherever it sees one, and a config cannot forbid it."""
    return {"CUDA_VISIBLE_DEVICES": ""} if native.get(DEVICE) == "cpu" else {}
