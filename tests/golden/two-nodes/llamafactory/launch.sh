#!/bin/sh
# Fine-tuning with LLaMA-Factory; compiled by ftspec 0.1.0 from two-nodes (sha256 b9e3a7be15cf)
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
export HF_HUB_DISABLE_TELEMETRY=1
export DO_NOT_TRACK=1
export UNSLOTH_DISABLE_STATISTICS=1
export HF_UPDATE_DOWNLOAD_COUNTS=0
export GRADIO_ANALYTICS_ENABLED=False
export FORCE_TORCHRUN=1
export NNODES=2
export NPROC_PER_NODE=8
exec llamafactory-cli train train.yaml
