#!/bin/sh
# Fine-tuning with TRL; compiled by ftspec 0.1.0 from lora-70b-fsdp (sha256 f96f673bea5c)
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
export HF_HUB_DISABLE_TELEMETRY=1
export DO_NOT_TRACK=1
export UNSLOTH_DISABLE_STATISTICS=1
export HF_UPDATE_DOWNLOAD_COUNTS=0
export GRADIO_ANALYTICS_ENABLED=False
export ACCELERATE_USE_FSDP=true
export FSDP_VERSION=2
export FSDP_OFFLOAD_PARAMS=false
export FSDP_AUTO_WRAP_POLICY=TRANSFORMER_BASED_WRAP
export FSDP_STATE_DICT_TYPE=FULL_STATE_DICT
export FSDP_ACTIVATION_CHECKPOINTING=false
export FSDP_CPU_RAM_EFFICIENT_LOADING=true
export FSDP_TRANSFORMER_CLS_TO_WRAP=LlamaDecoderLayer
export FSDP_RESHARD_AFTER_FORWARD=true
exec torchrun --standalone --nproc-per-node=8 train.py
