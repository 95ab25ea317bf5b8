"""Seeds a new adapter: axolotl draws it before its trainer has seeded anything, so always the same one."""

from axolotl.integrations.base import BasePlugin
from transformers import set_seed


class AdapterSeed(BasePlugin):
    def pre_lora_load(self, cfg, model):
        set_seed(cfg.seed)
