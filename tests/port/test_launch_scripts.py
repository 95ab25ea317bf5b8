"""Launches as scripts for clusters spell them: Slurm's numbers, sums, lines in variables."""

from __future__ import annotations

import pytest

from tests.port.conftest import Bring

HEAD = "#!/bin/bash\n#SBATCH --job-name=x\n#SBATCH --nodes=4\n#SBATCH --gres=gpu:a100:8\n"
TRAIN = "sft.py --model_name_or_path org/model --output_dir o --per_device_train_batch_size 2"


@pytest.mark.parametrize(
    ("script", "devices", "nodes"),
    [
        ("torchrun --nnodes=$SLURM_NNODES --nproc_per_node=$SLURM_GPUS_ON_NODE {}", 8, 4),
        (
            "srun -p gpu --gres gpu:8 -n 4 torchrun --nnodes $SLURM_NNODES --nproc_per_node 8 {}",
            8,
            4,
        ),
        ("accelerate launch --num_machines 4 --num_processes $((SLURM_NNODES * 8)) {}", 8, 4),
        ("G=2\naccelerate launch --num_processes $(( $G*(1+1) )) {}", 4, 1),
        ("python -m accelerate.commands.launch --num_processes 2 {}", 2, 1),
        ("deepspeed --include=a:0,1@b:0,2 {}", 2, 2),
        ("deepspeed -i localhost:0,1,2 {}", 3, 1),
        ('cmd="torchrun --nproc_per_node 2 {}"\necho "$cmd"\neval $cmd', 2, 1),
        (
            'L="torchrun --nproc_per_node 2 --rdzv_endpoint $(hostname | head -n 1):1 --node_rank \\$R"\n'
            'C="{}"\nsrun --jobid 1 bash -c "$L $C"',
            2,
            1,
        ),
    ],
)
def test_how_many_devices(read: Bring, script: str, devices: int, nodes: int) -> None:
    imported = read(HEAD + script.format(TRAIN) + "\n", name="job.slurm")
    spec = imported.composed.spec
    assert (spec.hardware.devices, spec.hardware.nodes) == (devices, nodes)
    assert spec.train.batch_size == 2 * devices * nodes
    assert not any("line " in line for line in imported.composed.open)


@pytest.mark.parametrize(
    "script",
    [
        "torchrun --nproc_per_node $(nvidia-smi -L | wc -l) {}",
        "torchrun --nproc_per_node $((N * 2)) {}",
        "torchrun --nproc_per_node $SLURM_GPUS_PER_NODE {}",  # Slurm has it for --gpus-per-node
        "deepspeed --include a@b:0,2 {}",
        "deepspeed --include a:0@b:0,2 {}",
        "deepspeed -e a:1 {}",
        "G=2\nif b; then\nG=4\nfi\ntorchrun --nproc_per_node $G {}",
        'A="--nproc_per_node 2"\nb && A+=" --nnodes 2"\ntorchrun $A {}',
    ],
)
def test_a_number_that_only_the_shell_knows_is_asked_for(read: Bring, script: str) -> None:
    imported = read(HEAD + script.format(TRAIN) + "\n", name="job.slurm")
    assert any("line " in line for line in imported.composed.open)


@pytest.mark.parametrize(
    "head", ["#SBATCH -N 2\n", "#SBATCH -N2\n", "#SBATCH --nodes 2\n", "#SBATCH --nodes=2 # two\n"]
)
def test_how_a_head_may_say_it(read: Bring, head: str) -> None:
    script = f"#!/bin/bash\n{head}torchrun --nnodes $SLURM_NNODES --nproc_per_node 2 {TRAIN}\n"
    assert read(script, name="job.sh").composed.spec.hardware.nodes == 2


def test_a_range_of_machines_is_no_number(read: Bring) -> None:
    script = f"#SBATCH --nodes=2-4\ntorchrun --nnodes $SLURM_NNODES --nproc_per_node 2 {TRAIN}\n"
    assert any("SLURM_NNODES" in line for line in read(script, name="job.sh").composed.open)


@pytest.mark.parametrize(("more", "asked"), [("", True), (" --fsdp full_shard", False)])
def test_a_variable_that_shares_the_model_out_is_asked_about(
    read: Bring, more: str, asked: bool
) -> None:
    line = f"ACCELERATE_USE_FSDP=1 trl sft --model_name_or_path m/m --dataset_name a/b{more}\n"
    found = read(line, "run.sh").composed
    assert any("FSDP shares the model out" in one for one in found.open) is asked


def test_an_answer_takes_no_question_that_only_names_the_variable(read: Bring) -> None:
    more = '--fsdp full_shard --run_name "$X-ACCELERATE_USE_FSDP=1"'
    line = f"ACCELERATE_USE_FSDP=1 trl sft --model_name_or_path m/m --dataset_name a/b {more}\n"
    found = read(line, "run.sh").composed
    assert any("--run_name $X-ACCELERATE_USE_FSDP=1" in one for one in found.open)
