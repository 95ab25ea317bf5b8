#!/bin/sh
# Fine-tuning with axolotl; compiled by ftspec 0.1.0 from images (sha256 0356e380692b)
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
export HF_HUB_DISABLE_TELEMETRY=1
export DO_NOT_TRACK=1
export UNSLOTH_DISABLE_STATISTICS=1
export HF_UPDATE_DOWNLOAD_COUNTS=0
export GRADIO_ANALYTICS_ENABLED=False
export CUDA_VISIBLE_DEVICES=''
exec python -m axolotl.cli.train axolotl.yaml
