"""Arguments of trl's trainer for which axolotl has no key."""

from pathlib import Path

from axolotl.integrations.base import BasePlugin

ARGUMENTS = {
    "loss_type": "simpo",
    "label_smoothing": 0.0,
    "alpha": 0.0,
    "disable_dropout": True,
    "generate_during_eval": False,
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
