"""What axolotl's schema makes of a config, as on two GPUs: `python validated.py FILE`, a line of JSON."""

import json
import logging
import sys
from pathlib import Path

import yaml

logging.disable(logging.CRITICAL)
from axolotl.utils.config import validate_config  # noqa: E402
from axolotl.utils.dict import DictDefault  # noqa: E402

gpus = {
    "bf16": True,
    "fp8": False,
    "tf32": True,
    "n_gpu": 2,
    "n_node": 1,
    "compute_capability": "sm_90",
}
config = validate_config(
    DictDefault(yaml.safe_load(Path(sys.argv[1]).read_text())),
    capabilities=gpus,
    env_capabilities={"torch_version": "2.11.0"},
)
section = {key: value for key, value in dict(config.fsdp_config).items() if value is not None}
found = {"fsdp_version": config.fsdp_version, "fsdp_config": section}
sys.stdout.write(f"\n{json.dumps(found)}\n")
