"""axolotl's YAML, as axolotl 0.19.0 reads it: PyYAML, then its schema (utils/schemas/config.py).

Its trainer is transformers', so most settings become native keys of a TRL script; what a missing key
means is axolotl's own: `whole.py`.
"""

from __future__ import annotations

from ftspec.port.format import Format
from ftspec.port.formats.axolotl.alone import ALONE_RULES
from ftspec.port.formats.axolotl.data import DATA_RULES
from ftspec.port.formats.axolotl.energy import ENERGY_RULES
from ftspec.port.formats.axolotl.grpo import GRPO_RULES
from ftspec.port.formats.axolotl.idle import IDLE_RULES
from ftspec.port.formats.axolotl.images import IMAGE_RULES
from ftspec.port.formats.axolotl.model import MODEL_RULES
from ftspec.port.formats.axolotl.numbers import NUMBER_RULES
from ftspec.port.formats.axolotl.preferences import PREFERENCE_RULES
from ftspec.port.formats.axolotl.sharding import SHARDING_RULES, group, replicas
from ftspec.port.formats.axolotl.tokens import TOKEN_RULES
from ftspec.port.formats.axolotl.train import TRAIN_RULES, otherwise
from ftspec.port.formats.axolotl.whole import complete
from ftspec.port.formats.hf_arguments import ACCEPTED, IDLE
from ftspec.read import pyyaml

SIGNS = frozenset(
    (
        "base_model", "sequence_len", "micro_batch_size", "adapter", "num_epochs", "lora_target_linear",
        "val_set_size", "sample_packing", "pad_to_sequence_len", "dataset_prepared_path", "datasets",
        "train_on_inputs", "lr_scheduler", "wandb_watch", "evals_per_epoch",
        "saves_per_epoch", "special_tokens", "rl", "lora_model_dir", "pretraining_dataset",
    )
)  # fmt: skip

format = Format(
    name="axolotl",
    title="axolotl",
    backend="trl",
    package="axolotl",
    signs=SIGNS,
    scalar=pyyaml.scalar,
    last_wins=True,
    keeps=False,
    otherwise=otherwise,
    complete=complete,
    devices=replicas,
    group=group,
    rules={
        **IDLE_RULES,
        **ALONE_RULES,
        **IMAGE_RULES,
        **MODEL_RULES,
        **SHARDING_RULES,
        **DATA_RULES,
        **TOKEN_RULES,
        **TRAIN_RULES,
        **NUMBER_RULES,
        **PREFERENCE_RULES,
        **GRPO_RULES,
        **ENERGY_RULES,
    },
    mentions={"deepspeed": "deepspeed"},
    accepted={
        **ACCEPTED,
        "average_tokens_across_devices": "each device weighs its own tokens there: the same on one",
        "pad_to_multiple_of": "padding is not trained on",
    },
    idle={**IDLE, "gradient_checkpointing_kwargs": "nothing is recomputed"},
)
