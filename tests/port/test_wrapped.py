"""Commands inside of others, and files of these tools that train nothing."""

from __future__ import annotations

import pytest

from ftspec.errors import SpecError
from ftspec.port.launches import launches, untrained
from ftspec.read import commands
from tests.port.conftest import Bring

SFT = "trl sft --model_name_or_path org/m --dataset_name org/d --output_dir o"
SCRIPT = "sft.py --model_name_or_path org/m --dataset_name org/d --output_dir o"


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        (f"srun apptainer exec --nv x.sif torchrun --nproc_per_node=4 {SCRIPT}", 4),
        (f"docker run --gpus all -v $PWD:/w x:1 accelerate launch --num_processes 4 {SCRIPT}", 4),
        (f"conda run --no-capture-output -n trl {SFT}", None),
        (f"uv run --with trl {SFT}", None),
        (f"uv run accelerate launch --num_processes 8 {SCRIPT}", 8),
        (f'tmux new -d -s one "{SFT}"', None),
        (f'sbatch --gres=gpu:2 --wrap="{SFT}"', None),
        (f"sbatch --wrap '{SFT}'", None),
        ("srun python python_sft.py", None),
    ],
)
def test_a_command_inside_of_another(line: str, devices: int | None) -> None:
    (found,) = launches(commands.read(line))
    many = found.machine.get("num_processes")
    assert (many if many is None else int(many)) == devices


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        ("llamafactory-cli train x.yaml", 2),
        ("singularity exec x.sif llamafactory-cli train x.yaml", 2),
        ("bash -c 'llamafactory-cli train x.yaml'", 2),
        ("docker run x:1 llamafactory-cli train x.yaml", None),
        ("sudo podman run x:1 bash -c 'llamafactory-cli train x.yaml'", None),
        ("ssh host 'llamafactory-cli train x.yaml'", None),
    ],
)
def test_what_is_exported_goes_into_no_container(line: str, devices: int | None) -> None:
    (found,) = launches(commands.read(f"export CUDA_VISIBLE_DEVICES=0,1; {line}"))
    assert found.machine.get("num_processes") == devices


@pytest.mark.parametrize("line", ["bash -c '{}'", "eval '{}'", 'ssh host "{}"'])
def test_a_default_within_another_command_is_not_certain(line: str) -> None:
    script = f"export LR=1e-5; {line.format(SFT + ' --learning_rate ${LR:-2e-5}')}"
    (found,) = launches(commands.read(script.replace("ssh host", "for LR in 1 2; do ssh host")))
    assert not found.words[-1].known


@pytest.mark.parametrize(
    ("wrapper", "doubted"),
    [
        ("uv run --with deepspeed --with peft", False),
        ("uv run --extra deepspeed", False),
        ("conda run -n deepspeed --live-stream", False),
        ("conda run -n trl --no-capture-output", False),
        ("srun -J deepspeed --gres=gpu:8", False),
        ("srun --job-name python_run --exclusive", False),
        ("srun --exclusive", False),
        ("docker run --name axolotl --gpus all img:1", False),
        ("docker exec -it axolotl", False),
        ("srun --quite-new deepspeed --gres=gpu:8", True),
        ("srun --quite-new deepspeed --gres=gpu:8 -l", True),
    ],
)
def test_a_name_of_a_program_that_an_option_of_a_wrapper_has(wrapper: str, doubted: bool) -> None:
    line = f"{wrapper} accelerate launch --num_processes 4 {SCRIPT} --run_name deepspeed"
    (found,) = launches(commands.read(line))
    assert (found.machine.get("num_processes") == "4") or doubted
    assert [told for _, told in found.unknown if "or the program" in told] or not doubted
    assert not found.unknown or doubted


@pytest.mark.parametrize(
    "wrapper", ["conda run -n trl --no-capture-output", "docker run --name axolotl -v a:b img"]
)
def test_a_tool_in_a_surrounding_of_its_own_name(wrapper: str) -> None:
    (found,) = launches(commands.read(f"{wrapper} axolotl train x.yaml"))
    assert (found.tool, found.unknown) == ("axolotl", [])


def test_a_programs_option_may_have_the_name_of_another_program() -> None:
    line = f"srun --exclusive torchrun --nproc_per_node 2 --rdzv_id deepspeed {SCRIPT}"
    (found,) = launches(commands.read(line))
    assert (found.machine["num_processes"], len(found.unknown)) == (2, 1)


def test_how_many_an_mpirun_starts_is_not_read() -> None:
    assert launches(commands.read(f"mpirun -np 8 python {SCRIPT}")) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("tune run eleuther_eval --config x.yaml", "measures a model"),
        ("tune run generate --config x.yaml", "writes an answer"),
        (f"$LAUNCHER {SCRIPT}", "only the shell knows"),
    ],
)
def test_why_no_command_trains(line: str, what: str) -> None:
    ((_, told),) = untrained(commands.read(line))
    assert what in told


def test_where_torchtunes_processes_meet_is_no_question() -> None:
    line = (
        "srun tune run --nnodes 2 --nproc_per_node 8 --rdzv_endpoint $A:1 lora_finetune_distributed"
    )
    (found,) = launches(commands.read(line))
    assert (found.unknown, found.machine["num_processes"]) == ([], 16)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: a\nresources: {cloud: gcp}\nrun: oumi train -c a.yaml\n", "stands in its `run`"),
        ("model: {model_name: org/m}\ndata: {}\ntuning: {n_trials: 2}\n", "oumi tune"),
        ("model: {model_name: org/m}\ntasks: [mmlu]\n", "oumi evaluate"),
        ("model: {model_name: org/m}\ngeneration: {max_new_tokens: 9}\n", "oumi infer"),
    ],
)
def test_files_that_are_for_something_else(read: Bring, text: str, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        read(text)


def test_weights_in_16_bits_below_an_engine_whose_own_format_is_off(read: Bring) -> None:
    text = """\
model: {model_name: org/m, torch_dtype_str: bfloat16, model_max_length: 9}
data: {train: {datasets: [{dataset_name: HuggingFaceH4/ultrachat_200k}]}}
training: {trainer_type: TRL_SFT, output_dir: o}
deepspeed: {enable_deepspeed: true, zero_stage: ZERO_2, precision: BF16}
"""
    assert [one for one in read(text).composed.open if "float32 copies" in one]
    assert (
        read(text.replace("enable_deepspeed: true", "enable_deepspeed: false")).composed.open == ()
    )


def test_a_list_that_a_branch_adds_to(read: Bring) -> None:
    script = f'A=(--learning_rate 1e-4)\nif b; then\nA+=(--max_steps 5)\nfi\n{SFT} "${{A[@]}}"'
    imported = read(script, name="run.sh")
    assert imported.composed.values["train.learning_rate"] == 1e-4
    assert any("A+=(--max_steps 5)" in one for one in imported.composed.open)


def test_words_that_only_the_shell_knows_are_no_file(read: Bring) -> None:
    assert any("$@" in one for one in read('trl sft "$@"', name="run.sh").composed.open)
