"""axolotl.yaml and launch.sh -> native values. Nothing is executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftspec.backend import File
from ftspec.families.training.launch import counts
from ftspec.mapping import Flat
from ftspec.read import pyyaml, shell, yaml
from ftspec_axolotl.answers import read_answers
from ftspec_axolotl.emit import CONFIG
from ftspec_axolotl.fields import DEVICE
from ftspec_axolotl.images import FILE as IMAGE_FILE
from ftspec_axolotl.images import read_image_file
from ftspec_axolotl.sharding import read_sharding
from ftspec_axolotl.tokens import FILE, read_keys


def read(written: Sequence[File]) -> Flat:
    """Native values of an emitted folder."""
    texts = {file.path: file.content.decode() for file in written}
    native: dict[str, Any] = dict(yaml.read_placed(texts[CONFIG], pyyaml.scalar).data)
    native = read_sharding(native)
    native |= read_keys(native, texts.get(FILE, "")) | read_answers(texts)
    native |= read_image_file(texts.get(IMAGE_FILE, ""))
    argv, environ = shell.read(texts["launch.sh"])
    native[DEVICE] = "cpu" if environ.get("CUDA_VISIBLE_DEVICES") == "" else "cuda"
    return native | counts(argv)
