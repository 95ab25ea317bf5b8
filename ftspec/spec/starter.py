"""The commented specs that `ftspec init` writes. Each is valid as it stands; tests see to it."""

from __future__ import annotations

from ftspec.errors import Problem, SpecError
from ftspec.spec.names import close

SCHEMA_FILE = ".ftspec.schema.json"
"""`ftspec init` writes the schema beside the spec, so that editors need no network."""

HEAD = """\
# yaml-language-server: $schema={schema}
# {about}
#   ftspec validate {file}     is it right?
#   ftspec plan {file}         what will happen, with every derived number
#   ftspec run {file}          do it
# What is not written here has a default: hover over a key in your editor, or see `ftspec plan`.
version: 1

# A model of the hub (org/name), or a folder.
model: {model}

data:
  # JSON, JSONL, Parquet or CSV beside this file, or a data set of the hub. A list takes several.
  train: train.jsonl
  # eval: eval.jsonl
  # Tokens per row, and what happens to longer rows: error (the run does not start), truncate, drop.
  max_length: 2048
  overflow: error
  # Which tokens count in the loss: assistant (each answer), completions (the last one), all.
  train_on: assistant

"""

LORA = """\
method:
  tuner:
    type: lora
    rank: 16
    alpha: 32 # the update is scaled by alpha / rank
    # targets: [q_proj, v_proj] # all linear layers where left out

# bf16 needs a GPU of 2020 or later; fp32 works everywhere.
precision: bf16

train:
  epochs: 1
  # Rows per optimizer step over all devices. Accumulation follows from it.
  batch_size: 16
  micro_batch_size: 4 # rows on one device at a time: the first thing to lower when memory runs out
  learning_rate: 2.0e-4
  schedule: cosine
  warmup_ratio: 0.03
  seed: 42
"""

FULL = """\
# All weights train. LoRA needs a fraction of the memory: `method: lora`.
method: full

# Mixed precision: the weights stay in float32 and the arithmetic runs in bf16.
precision: bf16

train:
  epochs: 1
  # Rows per optimizer step over all devices. Accumulation follows from it.
  batch_size: 64
  micro_batch_size: 2 # rows on one device at a time: the first thing to lower when memory runs out
  learning_rate: 2.0e-5 # about a tenth of what LoRA takes
  schedule: cosine
  warmup_ratio: 0.03
  seed: 42

hardware:
  devices: 8
  # Shard weights, gradients and optimizer states over the devices.
  zero: 3
"""

STARTERS = {
    "lora": ("LoRA on one device.", "Qwen/Qwen3-0.6B", LORA),
    "full": ("Full fine-tuning on eight GPUs.", "Qwen/Qwen3-8B", FULL),
}


def starter(name: str = "lora", schema: str = SCHEMA_FILE, file: str = "spec.yaml") -> str:
    """A commented spec to begin with.

    Raises:
        SpecError: there is no starter of that name.
    """
    if name not in STARTERS:
        near = close(name, STARTERS)
        hint = f"did you mean `{near}`?" if near else f"there are {', '.join(STARTERS)}"
        raise SpecError(Problem(f"there is no starter spec `{name}`", hint=hint))
    about, model, body = STARTERS[name]
    return HEAD.format(schema=schema, about=about, file=file, model=model) + body
