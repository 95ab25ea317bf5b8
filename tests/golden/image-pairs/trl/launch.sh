#!/bin/sh
# Fine-tuning with TRL; compiled by ftspec 0.1.0 from image-pairs (sha256 be5e1f25876c)
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
export HF_HUB_DISABLE_TELEMETRY=1
export DO_NOT_TRACK=1
export UNSLOTH_DISABLE_STATISTICS=1
export HF_UPDATE_DOWNLOAD_COUNTS=0
export GRADIO_ANALYTICS_ENABLED=False
exec python train.py
