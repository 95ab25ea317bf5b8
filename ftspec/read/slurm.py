"""What Slurm tells a script of the machines that its own head asks for.

Names: https://slurm.schedmd.com/sbatch.html, output environment variables.
"""

from __future__ import annotations

import re

_ASKED = re.compile(r"^#SBATCH[ \t]+(--[\w-]+|-[A-Za-z])[ \t]*=?[ \t]*(\S+)", re.MULTILINE)
_NAMES = {
    "--nodes": ("SLURM_NNODES", "SLURM_JOB_NUM_NODES"),
    "-N": ("SLURM_NNODES", "SLURM_JOB_NUM_NODES"),
    "--gpus-per-node": ("SLURM_GPUS_PER_NODE", "SLURM_GPUS_ON_NODE"),
    "--gres": ("SLURM_GPUS_ON_NODE",),
    "--ntasks-per-node": ("SLURM_NTASKS_PER_NODE",),
    "--ntasks": ("SLURM_NTASKS",),
    "-n": ("SLURM_NTASKS",),
    "--cpus-per-task": ("SLURM_CPUS_PER_TASK",),
    "-c": ("SLURM_CPUS_PER_TASK",),
}
_GPUS = re.compile(r"(?:gpu:)?(?:[A-Za-z]\w*:)?(\d+)")


def variables(script: str) -> dict[str, str]:
    """Numbers by their names; nothing for a range of machines, or for what is asked for twice."""
    found: dict[str, str] = {}
    for option, value in _ASKED.findall(script):
        number = _GPUS.fullmatch(value) if option in ("--gres", "--gpus-per-node") else None
        text = number[1] if number else value
        if text.isdigit():
            found |= {
                name: text if found.get(name, text) == text else ""
                for name in _NAMES.get(option, ())
            }
    return {name: text for name, text in found.items() if text}
