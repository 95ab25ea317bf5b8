"""Arguments of trl's trainer for which axolotl has no key."""

from pathlib import Path

from axolotl.integrations.base import BasePlugin

ARGUMENTS = {
    "truncation_mode": "keep_start",
    "discopop_tau": 0.05,
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "sync_ref_model": False,
    "disable_dropout": True,
    "pad_to_multiple_of": 8,
    "router_aux_loss_coef": 0.0,
    "train_sampling_strategy": "random",
    "warmup_steps": 1,
    "data_seed": 42,
}


class TrainerArguments(BasePlugin):
    def get_training_args(self, cfg):
        return ARGUMENTS

    def post_train_unload(self, cfg):
        # beside an adapter it saves the base model as well, under names that nothing reads
        for file in Path(cfg.output_dir).glob("model*.safetensors*") if cfg.adapter else ():
            file.unlink()
