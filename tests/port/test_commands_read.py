"""Shell scripts and command lines: which command trains, with which settings, on how many devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.port.bring import bring
from ftspec.read import commands
from tests.port.conftest import Bring, fate

TRL = "trl sft --model_name_or_path org/model --dataset_name org/rows"


def words(script: str) -> list[list[tuple[str, bool]]]:
    return [[tuple(word) for word in command.words] for command in commands.read(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a --b 'c d' \"e\"", [["a", "--b", "c d", "e"]]),
        ("a \\\n  --b c", [["a", "--b", "c"]]),
        ("a; b && c | d", [["a"], ["b"], ["c"], ["d"]]),
        ("a > out.txt 2>&1 b", [["a", "b"]]),
        ("a &> out.txt", [["a"]]),
        ("a > >(tee 'x)') 2>&1 b; c", [["a", "b"], ["c"]]),
        ("a <<< b c", [["a", "c"]]),
        ('a "b\\nc\\"d" e\\nf', [["a", 'b\\nc"d', "enf"]]),
        ("a \\\n # b \\\n c\nd", [["a"], ["c"], ["d"]]),
        ('A=(b # c\n  "d e"\n)\nA+=(f)\na "${A[@]}" g', [["a", "b", "d e", "f", "g"]]),
        (
            "A=(b)\nif c; then\nA+=(d)\nfi\na ${A[@]}",
            [["if", "c"], ["then"], ["fi"], ["a", "b", "A+=(d)"]],
        ),
        ("# a\nb # c", [["b"]]),
        ("a $(b ')' | c) d", [["a", "$(b ')' | c)", "d"]]),
        ('a "$(b "$(c ")")")" d', [["a", '$(b "$(c ")")")', "d"]]),
        ('a "${B:-it\'s ${C}}" d', [["a", "${B:-it's ${C}}", "d"]]),
        ("X=1\na $X ${X} \"$X\" '$X'", [["a", "1", "1", "1", "$X"]]),
        ("a ${X:-2}", [["a", "2"]]),
        ("a ${X:-\"2\"} ${Y:-'3'}", [["a", "2", "${Y:-'3'}"]]),
        ("X='1 2'\na $X \"$X\" y$X", [["a", "1", "2", "1 2", "y1", "2"]]),
        ('X="\n  --b 1 \\\n  --c 2\n"\na $X', [["a", "--b", "1", "--c", "2"]]),
        ("a \"it's\" # don't\nb", [["a", "it's"], ["b"]]),
        ("X=1 a $HOME/x", [["a", "$HOME/x"]]),
    ],
)
def test_words(script: str, expected: list[list[str]]) -> None:
    assert [[text for text, _ in command] for command in words(script)] == expected


def test_brackets_in_brackets_are_no_list() -> None:
    assert commands.read("A=(\n" * 3000) == []


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        (
            f"{TRL} \\\n  # --bf16 \\\n  --learning_rate 1e-4",
            "--learning_rate 1e-4: the command ends",
        ),
        (f"{TRL} --learning_rate 1e-4 $@", "$@"),
        (f'A=(--learning_rate 1e-4)\n{TRL} "${{A[@]}}" $MORE', "$MORE"),
        (f"timeout 2h conda run -n env {TRL} --learning_rate 1e-4 $@", "$@"),
    ],
)
def test_what_stands_behind_the_arguments_is_asked_for(read: Bring, line: str, asked: str) -> None:
    imported = read(line, name="run.sh")
    assert asked in "".join(imported.composed.open)
    rate = imported.composed.values["train.learning_rate"]
    assert rate == (2e-5 if "the command ends" in asked else 1e-4)


def test_a_launch_is_read_with_its_devices(read: Bring) -> None:
    script = (
        "#!/bin/bash\nset -e\nMODEL=org/model\npip install trl\n"
        "accelerate launch --num_processes 4 --mixed_precision bf16 trl/scripts/sft.py \\\n"
        "  --model_name_or_path $MODEL --dataset_name org/rows --learning_rate=1e-4 \\\n"
        "  --use_peft --lora_r 32 --lora_target_modules q_proj v_proj --no_gradient_checkpointing\n"
    )
    imported = read(script, "run.sh")
    found = imported.composed.values
    assert found["hardware.devices"] == 4
    assert found["train.learning_rate"] == 1e-4
    assert found["method.tuner.rank"] == 32
    assert found["method.tuner.targets"] == ("q_proj", "v_proj")
    assert found["model.name"] == "org/model"
    assert found["train.gradient_checkpointing"] is False
    assert fate(imported, "learning_rate")[0] == "exact"


@pytest.mark.parametrize(
    ("line", "devices", "nodes"),
    [
        (f"torchrun --nproc_per_node 4 --nnodes 2 sft.py {TRL[8:]}", 4, 2),
        (f"python -m torch.distributed.run --nproc-per-node=2 sft.py {TRL[8:]}", 2, 1),
        (f"deepspeed --num_gpus=8 sft.py {TRL[8:]}", 8, 1),
        (f"deepspeed --include localhost:0,1,2,3 sft.py {TRL[8:]}", 4, 1),
        (f"CUDA_VISIBLE_DEVICES=0,1 deepspeed sft.py {TRL[8:]}", 2, 1),
        (f"python sft.py {TRL[8:]}", 1, 1),
        (f"nohup {TRL} &", 1, 1),
        (f"ARGS='--nproc_per_node 4 --nnodes 1'; torchrun $ARGS sft.py {TRL[8:]}", 4, 1),
    ],
)
def test_launchers(line: str, devices: int, nodes: int) -> None:
    found = bring([Path(line)]).composed.values
    assert (found["hardware.devices"], found["hardware.nodes"]) == (devices, nodes)
    assert found["model.name"] == "org/model"


def test_the_environment_of_llamafactory_says_how_many() -> None:
    line = (
        "FORCE_TORCHRUN=1 NNODES=2 NPROC_PER_NODE=4 llamafactory-cli train --stage sft --do_train true "
        "--model_name_or_path org/model --dataset identity --finetuning_type lora"
    )
    found = bring([Path(line)]).composed.values
    assert (found["hardware.devices"], found["hardware.nodes"]) == (4, 2)


def test_the_command_says_the_trainer() -> None:
    found = bring([Path(TRL.replace("sft", "dpo"))]).composed.values
    assert found["method.objective.type"] == "dpo"


def test_llamafactory_takes_a_file_and_changes_to_it(read: Bring) -> None:
    config = (
        "stage: sft\ndo_train: true\nfinetuning_type: lora\nmodel_name_or_path: org/model\n"
        "dataset: identity\nlearning_rate: 1e-4\n"
    )
    script = "llamafactory-cli train train.yaml learning_rate=2e-4 lora_rank=4\n"
    imported = read(config, "train.yaml")
    run = Path(imported.parts[0].context.document.path).with_name("run.sh")
    run.write_text(script)
    found = bring([run])
    assert found.composed.values["train.learning_rate"] == 2e-4
    assert found.composed.values["method.tuner.rank"] == 4
    places = {one.setting.key: one.setting.place for one in found.fates}
    assert places["learning_rate"].endswith("run.sh:1")
    assert places["stage"].endswith("train.yaml:1")


def test_a_value_that_is_not_known_is_a_question(read: Bring) -> None:
    imported = read(f"{TRL} --learning_rate $LR\n", "run.sh")
    assert any("--learning_rate $LR" in question for question in imported.composed.open)
    assert not imported.faithful


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("pip install trl\necho done\n", "no command in it trains"),
        (f"{TRL}\n{TRL} --seed 1\n", r"several commands train \(lines 1, 2\)"),
        (f"for S in 1 2; do {TRL} --seed $S; done\n{TRL} --seed $S\n", "several commands train"),
        (
            "llamafactory-cli export merge.yaml\n",
            "line 1: `llamafactory-cli export` writes a model",
        ),
        ("python src/cli_demo.py --template qwen\n", "line 1: `cli_demo.py` chats"),
        ("python -m llamafactory.cli chat chat.yaml\n", "no command in it trains"),
        ('llamafactory-cli train "$FILE"\n', "`\\$FILE`: the settings stand in that file"),
        ("llamafactory-cli train gone.yaml\n", "not here"),
        ("python mine.py --lr 1\n", "not here"),
        ("accelerate launch --config_file gone.yaml sft.py --x 1\n", "not here"),
    ],
)
def test_what_is_refused(read: Bring, script: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read(script, "run.sh")


LLAMA = (
    "model_name_or_path: ${MODEL}\nstage: sft\ndo_train: true\nfinetuning_type: lora\n"
    "dataset: identity\ndeepspeed: ds.json\nlearning_rate: 1e-4\n"
)
WRITTEN = f"""#!/bin/bash
MODEL=org/model
cat > ds.json <<'EOF'
{{"zero_optimization": {{"stage": 2}}}}
EOF
cat <<EOF | tee "$DIR/train.yaml"
{LLAMA}EOF
"""


def test_a_file_that_the_script_writes_is_read_in_it(read: Bring) -> None:
    imported = read(f"{WRITTEN}llamafactory-cli train ${{DIR}}/train.yaml\n", "run.sh")
    assert imported.composed.values["model.name"] == "org/model"
    assert imported.composed.values["hardware.zero.stage"] == 2
    places = {one.setting.key: one.setting.place for one in imported.fates}
    assert places["stage"].endswith("run.sh:8")
    assert places["zero_optimization.stage"].endswith("run.sh:4")
    assert imported.composed.open == ()


@pytest.mark.parametrize(
    ("script", "question"),
    [
        (WRITTEN.replace("MODEL=org/model", "MODEL=$1"), "model_name_or_path: ${MODEL}"),
        (WRITTEN + 'echo "seed: 1" >> $DIR/train.yaml\n', 'echo "seed: 1" >> $DIR/train.yaml'),
        (WRITTEN + "sed -i s/1e-4/2e-4/ $DIR/train.yaml\n", "sed -i"),
        (WRITTEN + WRITTEN.partition("EOF\n")[2], "is written anew here"),
        (WRITTEN.replace("tee ", "tee -a ").replace("<<EOF", "<< 'EOF'"), ""),
    ],
)
def test_what_is_not_known_of_such_a_file_is_a_question(
    read: Bring, script: str, question: str
) -> None:
    if not question:  # lines in quotes stand as they are
        imported = read(f"{script}llamafactory-cli train $DIR/train.yaml\n", "run.sh")
        assert imported.composed.values["model.name"] == "${MODEL}"
        return
    imported = read(f"{script}llamafactory-cli train $DIR/train.yaml\n", "run.sh")
    assert any(question in one for one in imported.composed.open)
    assert imported.composed.values["train.learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("script", "commands_of_it"),
    [
        ("sbatch <<EOF\n#!/bin/bash\na b\nEOF\nc", [["sbatch"], ["a", "b"], ["c"]]),
        ("cat > x.sh <<EOF\na b\nEOF\nc", [["cat"], ["a", "b"], ["c"]]),
        ("python - <<EOF\nprint('it')\nEOF\nc", [["python", "-"], ["c"]]),
        ("echo 'a <<B'\nc", [["echo", "a <<B"], ["c"]]),
        ("a <<< b\nc", [["a"], ["c"]]),
    ],
)
def test_lines_that_are_commands_and_lines_that_are_none(
    script: str, commands_of_it: list[list[str]]
) -> None:
    assert [[text for text, _ in command] for command in words(script)] == commands_of_it


def test_one_of_several_commands_is_named_by_its_line(read: Bring) -> None:
    script = f"{TRL} --seed 1\n\n{TRL} \\\n  --seed 2\n"
    with pytest.raises(SpecError, match=r"several commands") as refused:
        read(script, "run.sh")
    assert refused.value.problems[0].hint.endswith("run.sh:1")
    run = refused.value.problems[0].hint.split(": ")[1].removesuffix(":1")
    assert bring([Path(f"{run}:1")]).composed.values["train.seed"] == 1
    assert bring([Path(f"{run}:4")]).composed.values["train.seed"] == 2
    with pytest.raises(SpecError, match=r"no such file|not there|no file"):
        bring([Path(f"{run}.gone:4")])


def test_what_predicts_behind_a_training_is_none() -> None:
    train = (
        "python src/train_bash.py --stage sft --finetuning_type lora --model_name_or_path org/model"
    )
    script = Path(f"{train} --do_train --seed 7; {train} --do_predict --predict_with_generate")
    assert bring([script]).composed.values["train.seed"] == 7


@pytest.mark.parametrize(
    "command",
    [
        "python -m llamafactory.cli train",
        "llamafactory-cli train",
        "torchrun lf.py",
        "python lf.py",
    ],
)
def test_names_under_which_llamafactory_is_called(command: str) -> None:
    line = f"{command} --stage sft --do_train --finetuning_type full --model_name_or_path org/model"
    assert bring([Path(line)]).composed.values["method.tuner.type"] == "full"


def test_words_that_are_no_settings_are_asked_about() -> None:
    line = "llamafactory-cli train --stage sft --do_train --model_name_or_path org/model"
    for words, told in (
        ("one two", (": one", ": two")),
        ("$MORE", (": $MORE: only the shell knows it",)),
    ):
        imported = bring([Path(line.replace("train -", f"train {words} -"))])
        found = [one for one in imported.composed.open if one.endswith(told)]
        assert len(found) == len(told)


def test_a_file_below_a_folder_that_only_the_shell_knows_is_looked_for(read: Bring) -> None:
    config = "model_name_or_path: org/model\nstage: sft\ndo_train: true\nlora_rank: 4\n"
    run = (
        'ROOT="$(cd "$(dirname "$0")/.." && pwd)"\nllamafactory-cli train "$ROOT/configs/a.yaml"\n'
    )
    where = read(config, "configs/a.yaml").parts[0].context.document.path
    for folder in (where.parent.parent, where.parent.parent / "scripts"):
        folder.mkdir(exist_ok=True)
        (folder / "run.sh").write_text(run)
        found = bring([folder / "run.sh"])
        assert found.composed.values["method.tuner.rank"] == 4
        assert any("taken for" in one for one in found.composed.open)


def test_a_file_whose_name_the_shell_makes_is_the_one_that_the_command_names(
    tmp_path: Path,
) -> None:
    """Both say the same text: the date behind it is made once."""
    script = tmp_path / "run.sh"
    script.write_text(
        "F=runs/one-$( date '+%F' ).yml\ncat > ${F} <<EOF\nbase_model: org/m\nsequence_len: 128\nEOF\n"
        "accelerate launch -m axolotl.cli.train ${F}\n"
    )
    assert bring([script]).composed.values["data.max_length"] == 128


def test_a_dataset_info_that_the_script_writes(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text(
        'cat > "/data/rows/dataset_info.json" <<EOF\n{"mine": {"file_name": "mine.json"}}\nEOF\n'
        "llamafactory-cli train --stage sft --do_train True --model_name_or_path org/m "
        "--dataset_dir /data/rows/ --dataset mine --output_dir o\n"
    )
    (source,) = bring([script]).composed.values["data.train"]
    assert source["path"] == "/data/rows/mine.json"


def test_axolotl_s_script_of_the_releases_before_0_5(tmp_path: Path) -> None:
    (tmp_path / "run.yml").write_text("base_model: org/m\nsequence_len: 128\n")
    script = tmp_path / "run.sh"
    script.write_text("accelerate launch scripts/finetune.py run.yml --micro_batch_size 3\n")
    assert bring([script]).composed.values["train.micro_batch_size"] == 3
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "finetune.py").write_text("print('something else')\n")
    with pytest.raises(SpecError):
        bring([script])


@pytest.mark.parametrize(
    ("options", "key", "kind"),
    [
        ("--dynamo_backend inductor --dynamo_mode default", "dynamo_config.dynamo_mode", "inert"),
        ("--parallelism_config_cp_size 1", "parallelism_config.parallelism_config_cp_size", "inert"),
        ("--quiet", "quiet", "inert"),
        ("--max_restarts 3", "max_restarts", "inert"),
        ("--use_megatron_lm --megatron_lm_tp_degree 2", "megatron_lm_config.megatron_lm_tp_degree",
         "unknown"),
        ("--num_machines 2 --use_deepspeed --deepspeed_exclusion_filter w0:1",
         "deepspeed_config.deepspeed_exclusion_filter", "unknown"),
        ("--cpu", "use_cpu", "derived"),
    ],
)  # fmt: skip
def test_options_of_accelerate(read: Bring, options: str, key: str, kind: str) -> None:
    imported = read(f"accelerate launch {options} trl/scripts/sft.py {TRL[8:]}\n", name="run.sh")
    assert fate(imported, key)[0] == kind
    assert not any("stops at it" in one.why for one in imported.fates)


def test_an_option_is_no_key_of_a_file(read: Bring) -> None:
    text = "distributed_type: MULTI_GPU\nnum_processes: 2\nquiet: true\n"
    assert "stops at it" in fate(read(text, name="launch.yaml"), "quiet")[1]
