"""The script, its launch command, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

from ftspec.backend import File, Job
from ftspec.families.launch import torchrun
from ftspec.families.scored import reward_files
from ftspec.families.script import SCRIPT, companions, template_file
from ftspec.families.trl_script import emit_trl
from ftspec.mapping import Flat

TITLE = "TRL"


def launch(native: Flat) -> Sequence[str]:
    """Argv."""
    return torchrun(native, SCRIPT)


def emit(native: Flat, job: Job) -> Sequence[File]:
    """train.py, launch.sh, requirements.txt."""
    return [
        emit_trl(native, job, TITLE),
        *template_file(native),
        *reward_files(native, job),
        *companions(job, TITLE, launch(native), {}),
    ]
