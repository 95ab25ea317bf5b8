#!/bin/sh
# Fine-tuning with LLaMA-Factory; compiled by ftspec 0.1.0 from lora-70b-fsdp (sha256 f96f673bea5c)
set -eu
CDPATH="" cd -- "$(dirname -- "$0")"
export HF_HUB_DISABLE_TELEMETRY=1
export DO_NOT_TRACK=1
export UNSLOTH_DISABLE_STATISTICS=1
export HF_UPDATE_DOWNLOAD_COUNTS=0
export GRADIO_ANALYTICS_ENABLED=False
export FORCE_TORCHRUN=1
export NNODES=1
export NPROC_PER_NODE=8
export ACCELERATE_USE_FSDP=true
export FSDP_VERSION=2
export FSDP_OFFLOAD_PARAMS=false
export FSDP_AUTO_WRAP_POLICY=TRANSFORMER_BASED_WRAP
export FSDP_STATE_DICT_TYPE=FULL_STATE_DICT
export FSDP_ACTIVATION_CHECKPOINTING=false
export FSDP_CPU_RAM_EFFICIENT_LOADING=true
export FSDP_TRANSFORMER_CLS_TO_WRAP=LlamaDecoderLayer
export FSDP_RESHARD_AFTER_FORWARD=true
exec llamafactory-cli train train.yaml
