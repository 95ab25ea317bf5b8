#!/bin/sh
# Fine-tuning with DeepSpeed; compiled by ftspec 0.1.0 from documents (sha256 95e3d1118e93)
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
export HF_HUB_DISABLE_TELEMETRY=1
export DO_NOT_TRACK=1
export UNSLOTH_DISABLE_STATISTICS=1
export HF_UPDATE_DOWNLOAD_COUNTS=0
export GRADIO_ANALYTICS_ENABLED=False
export DS_ACCELERATOR=cpu
exec torchrun --standalone --nproc-per-node=1 train.py
