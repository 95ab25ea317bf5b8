"""Observe a training run from outside, without changing a number of it.

::

    python probe --out FOLDER script train.py                            TRL, DeepSpeed
    python probe --out FOLDER --first-import unsloth script train.py     Unsloth
    python probe --out FOLDER llamafactory train.yaml                    LLaMA-Factory
    torchrun --nproc_per_node 2 probe --out FOLDER script train.py       several processes

Runs inside a backend's environment and imports nothing of ftspec: `python FOLDER` runs this folder's
`__main__.py`. The artefact stays the file that `compile` wrote; this launcher hands transformers one
more callback and then runs it. Every line is flushed as it is written, so a run that dies leaves what
it had:

    rank<r>.jsonl           events in the order they happened, `kind` first; one file per process
    initial.safetensors     trainable weights before the first step, float32, canonical names
    final.safetensors       the same after the last step

What may not happen here, because it would change the run: drawing random numbers, iterating the
data loader, touching a gradient, keeping a tensor alive that the trainer expects to be free.
"""
