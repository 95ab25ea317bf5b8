"""Arguments of trl's trainer for which axolotl has no key."""

from pathlib import Path

from axolotl.integrations.base import BasePlugin

ARGUMENTS = {
    "loss_type": "kto",
    "desirable_weight": 1.0,
    "undesirable_weight": 1.5,
    "precompute_ref_log_probs": False,
    "sync_ref_model": False,
    "disable_dropout": True,
    "pad_to_multiple_of": 8,
    "router_aux_loss_coef": 0.0,
    "train_sampling_strategy": "sequential",
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
