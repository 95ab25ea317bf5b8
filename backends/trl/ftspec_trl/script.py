"""The scripts, their launch command, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftspec.backend import File, Job
from ftspec.families.objectives.scored import reward_files
from ftspec.families.scripts.ppo_script import FILE, emit_ppo, is_ppo, read_ppo
from ftspec.families.scripts.script import SCRIPT, companions, template_file
from ftspec.families.scripts.trl_script import emit_trl, read_trl
from ftspec.families.training.fsdp import environment, sharded
from ftspec.families.training.launch import torchrun
from ftspec.mapping import Flat

TITLE = "TRL"


def launch(native: Flat) -> Sequence[str]:
    """argv: torchrun even for one process where it shards, because transformers asks for a group of them."""
    return torchrun(native, SCRIPT, always=sharded(native))


def emit(native: Flat, job: Job) -> Sequence[File]:
    """train.py, launch.sh, requirements.txt."""
    scripts = emit_ppo(native, job, TITLE) if is_ppo(native) else [emit_trl(native, job, TITLE)]
    return [
        *scripts,
        *template_file(native),
        *reward_files(native, job),
        *companions(job, TITLE, launch(native), environment(native)),
    ]


def read(written: Sequence[File]) -> dict[str, Any]:
    """Native values of a folder."""
    return read_ppo(written) if FILE in {file.path for file in written} else read_trl(written)
