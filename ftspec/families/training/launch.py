"""How a script is started: alone, or as several processes by torchrun."""

from __future__ import annotations

from collections.abc import Sequence

from ftspec.mapping import Flat, Row

PROCESSES = "launch.processes"
"""Native pseudo-key: processes per machine."""
NODES = "launch.nodes"
"""Native pseudo-key: machines."""
SEQUENCES = "launch.sequence_parallel"
"""Native pseudo-key: processes that share a row."""
TENSORS = "ds_config.tensor_parallel"
"""The engine's section of processes that share each layer."""


def launch_rows() -> tuple[Row, ...]:
    """Processes and machines, which stand in the launch command, not in a config."""
    return (
        Row(
            ("hardware.devices",),
            (PROCESSES,),
            lambda count: count,
            lambda count: count,
            absent=(1,),
        ),
        Row(("hardware.nodes",), (NODES,), lambda count: count, lambda count: count, absent=(1,)),
    )


def torchrun(native: Flat, script: str, always: bool = False) -> Sequence[str]:
    """Argv for a script: `python train.py`, or torchrun for several processes.

    On several machines torchrun reads PET_NODE_RANK and PET_MASTER_ADDR, which each machine's
    environment sets (https://docs.pytorch.org/docs/stable/elastic/run.html).
    """
    processes, nodes = native.get(PROCESSES, 1), native.get(NODES, 1)
    if processes == nodes == 1 and not always:
        return ("{python}", script)
    # one machine: a free port, so that two runs never meet
    machines = ("--standalone",) if nodes == 1 else (f"--nnodes={nodes}", "--master-port=29500")
    return ("{bin}/torchrun", *machines, f"--nproc-per-node={processes}", script)


def counts(argv: Sequence[str]) -> dict[str, int]:
    """Processes and machines of an argv that `torchrun` made, by their native pseudo-keys."""
    return {PROCESSES: _count(argv, "--nproc-per-node="), NODES: _count(argv, "--nnodes=")}


def _count(argv: Sequence[str], option: str) -> int:
    return next((int(word.removeprefix(option)) for word in argv if word.startswith(option)), 1)
