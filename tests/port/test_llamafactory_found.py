"""What configs of LLaMA-Factory say that were found in other people's projects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.port.effective import assumed_by
from tests.port.conftest import Bring, fate

LEAST = """\
model_name_or_path: org/model
stage: sft
do_train: true
output_dir: saves/one
"""
KNOWN = f"{LEAST}dataset: alpaca_en_demo\ntemplate: qwen\n"


def test_data_whose_entry_is_not_here_are_asked_for_by_their_name(read: Bring) -> None:
    imported = read(f"{LEAST}dataset: mine\n")
    assert imported.composed.open[0] == (
        "which data? 'mine' stands in data/dataset_info.json: give that file as well"
    )
    assert "TODO: which data? 'mine' stands in" in imported.composed.text


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("freeze_vision_tower: false", "unknown"),
        ("image_max_pixels: 147456", "unknown"),
        ("media_dir: elsewhere", "unknown"),
        ("freeze_language_model: true", "unknown"),
    ],
)
def test_whether_rows_have_images_is_not_said_of_rows_that_are_not_here(
    read: Bring, setting: str, kind: str
) -> None:
    imported = read(f"{LEAST}dataset: mine\ntemplate: qwen2_vl\n{setting}\n")
    key = setting.partition(":")[0]
    assert fate(imported, key)[0] == kind
    assert "images is not known" in fate(imported, key)[1]


def test_a_template_without_images_has_no_rows_with_any(read: Bring) -> None:
    imported = read(f"{LEAST}dataset: mine\ntemplate: qwen\nimage_max_pixels: 147456\n")
    assert fate(imported, "image_max_pixels")[0] == "inert"


TRAIN = "src/train.py --stage sft --do_train --model_name_or_path m --dataset alpaca_en_demo\n"


@pytest.mark.parametrize(
    ("command", "devices", "nodes"),
    [
        # the hosts, and what each lends, stand in the hostfile: what is visible here is not read
        ("CUDA_VISIBLE_DEVICES=0,1,2,3 deepspeed --hostfile hosts", 1, 1),
        ("deepspeed --hostfile hosts --num_gpus 8", 1, 1),
        ("deepspeed --hostfile hosts --num_nodes 2 --num_gpus 8", 8, 2),
        ("deepspeed --include a:0,1@b:2,3", 2, 2),
        ("deepspeed --include a:0,1@b:0,1,2", 1, 1),
        ("deepspeed --include a:0,1@b", 1, 1),
        ("deepspeed --include localhost:1,2,3", 3, 1),
        ("CUDA_VISIBLE_DEVICES=0,1,2,3 deepspeed", 4, 1),
    ],
)
def test_devices_that_deepspeed_starts_on(
    read: Bring, command: str, devices: int, nodes: int
) -> None:
    hardware = read(f"{command} {TRAIN}", "run.sh").composed.spec.hardware
    assert (hardware.devices, hardware.nodes) == (devices, nodes)


def test_a_file_takes_no_dashes_behind_it(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(KNOWN)
    dashed = read("llamafactory-cli train one.yaml --lora_rank=4\n", "run.sh")
    (question,) = dashed.composed.open
    assert "--lora_rank: behind a file it takes `key=value`" in question
    plain = read("llamafactory-cli train one.yaml lora_rank=4\n", "run.sh")
    assert plain.composed.open == ()
    assert plain.composed.values["method.tuner.rank"] == 4


def test_an_option_whose_variable_is_empty_has_no_value(read: Bring) -> None:
    script = f'MODEL=""\ntorchrun {TRAIN.replace(" m ", " $MODEL ")}'
    imported = read(script, "run.sh")
    assert any("--model_name_or_path has no value" in one for one in imported.composed.open)


def test_what_only_the_shell_knows_may_hold_do_train(read: Bring) -> None:
    words = "--stage sft --model_name_or_path m --dataset alpaca_en_demo"
    imported = read(f"llamafactory-cli train $1 {words}\n", "run.sh")
    assert "does $1 hold it?" in " ".join(imported.composed.open)
    assert not any("trains nothing" in one for one in imported.composed.open)
    imported = read(f"llamafactory-cli train {words}\n", "run.sh")
    assert any("trains nothing" in one for one in imported.composed.open)


OLD = "python src/train_bash.py --stage sft --do_train --model_name_or_path m --dataset alpaca_en_demo"


OF_08 = "packing: true\nsplit: train\n"
"""Of 0.8.2 at the latest."""


@pytest.mark.parametrize(
    ("source", "name", "path", "value"),
    [
        (OLD, "run.sh", "data.max_length", 1024),
        (f"{OLD} --cutoff_len 512", "run.sh", "data.max_length", 512),
        (f"{OLD} --packing", "run.sh", "data.max_length", 1024),
        (f"{OLD} --use_galore --finetuning_type full", "run.sh", "train.optimizer.scale", 0.25),
        (f"{KNOWN}reserved_label_len: 1\n", "config.yaml", "data.max_length", 1024),
        (f"{KNOWN}{OF_08}cutoff_len: 512\n", "config.yaml", "data.max_length", 512),
        (f"{KNOWN}{OF_08}cutoff_len: 512\n", "config.yaml", "data.packing", "together"),
        (KNOWN, "config.yaml", "data.max_length", 2048),
    ],
)
def test_what_every_release_assumed_that_can_have_run_it(
    read: Bring, source: str, name: str, path: str, value: object
) -> None:
    imported = read(source, name)
    assert imported.composed.values[path] == value
    assert not any("release" in one for one in imported.composed.open)


@pytest.mark.parametrize(
    ("source", "name", "key"),
    [
        (f"{KNOWN}evaluation_strategy: steps\nval_size: 0.1\n", "config.yaml", "cutoff_len"),
        (f"{OLD} --finetuning_type freeze", "run.sh", "freeze_trainable_layers"),
    ],
)
def test_what_depends_on_the_release_is_asked_for(
    read: Bring, source: str, name: str, key: str
) -> None:
    imported = read(source, name)
    assert any(one.startswith(f"{key} is not said") for one in imported.composed.open)
    chosen = read(source, name, version="llamafactory==0.9.3")
    assert not any("is not said" in one for one in chosen.composed.open)


def test_a_part_of_a_step_is_a_share_to_transformers_5_alone(read: Bring) -> None:
    config = f"{KNOWN}cutoff_len: 512\nwarmup_steps: 0.1\n"
    assert read(config).composed.values["train.warmup_ratio"] == 0.1
    for older in (
        f"{config}evaluation_strategy: steps\nval_size: 0.1\n",
        f"{config}split: train\n",
    ):
        kind, why = fate(read(older), "warmup_steps")
        assert (kind, "no warm-up" in why) == ("unknown", True)
    chosen = read(config, version="llamafactory==0.9.4")
    assert fate(chosen, "warmup_steps")[0] == "unknown"


def test_means_of_micro_batches_are_told_of(read: Bring) -> None:
    told = read(f"{OLD} --gradient_accumulation_steps 4", "run.sh").notes
    assert any("average=batches" in note for note in told)
    assert not any("average=batches" in note for note in read(OLD, "run.sh").notes)


def test_a_mapping_in_a_text_is_one(read: Bring) -> None:
    schedule = (
        'lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: \'{"min_lr_rate": "0.1"}\'\n'
    )
    imported = read(f"{KNOWN}{schedule}")
    assert imported.composed.values["train.schedule.min_ratio"] == 0.1
    assert fate(imported, "lr_scheduler_kwargs.min_lr_rate")[0] == "exact"
    bare = read(f"{KNOWN}lr_scheduler_kwargs: '{{\"min_lr\": 1.0e-6}}'\n")
    assert "takes no arguments" in fate(bare, "lr_scheduler_kwargs.min_lr")[1]
    broken = read(f"{KNOWN}lr_scheduler_kwargs: '{{min_lr: 1}}'\n")
    assert fate(broken, "lr_scheduler_kwargs")[0] == "unknown"


@pytest.mark.parametrize(
    ("key", "kind", "why"),
    [
        ("lora_alpha", "inert", "missing key"),
        ("adapter_name_or_path", "inert", "missing key"),
        ("quantization_bit", "inert", "missing key"),
        ("learning_rate", "unknown", "counts with a number"),
        ("num_train_epochs", "unknown", "counts with a number"),
        ("cutoff_len", "unknown", "lengths of rows"),
        ("kto_chosen_weight", "inert", "only the stage kto"),
        ("max_grad_norm", "approximated", "null becomes 0.0"),
    ],
)
def test_a_null_is_what_the_framework_takes_it_for(
    read: Bring, key: str, kind: str, why: str
) -> None:
    found = fate(read(f"{KNOWN}{key}: null\n"), key)
    assert (found[0], why in found[1]) == (kind, True)


@pytest.mark.parametrize(("template", "kind"), [("qwen", "unknown"), ("llama3", "inert")])
def test_no_system_prompt_where_rows_have_none(read: Bring, template: str, kind: str) -> None:
    config = KNOWN.replace("template: qwen", f"template: {template}")
    assert fate(read(f"{config}default_system: ''\n"), "default_system")[0] == kind


@pytest.mark.parametrize(
    ("words", "path", "value"),
    [
        ("lora_target=[q_proj,v_proj]", "method.tuner.targets", ("q_proj", "v_proj")),
        ("lora_alpha=", "method.tuner.alpha", 16),
        ("lora_rank=4 lora_rank=8", "method.tuner.rank", 8),
        ("seed=010", "train.seed", 8),
        (
            "lr_scheduler_type=cosine_with_min_lr lr_scheduler_kwargs.min_lr_rate=0.1",
            "train.schedule.min_ratio",
            0.1,
        ),
        (
            "lr_scheduler_type=cosine_with_min_lr 'lr_scheduler_kwargs={min_lr_rate: 0.2}'",
            "train.schedule.min_ratio",
            0.2,
        ),
    ],
)
def test_settings_behind_a_file_are_yaml(
    read: Bring, tmp_path: Path, words: str, path: str, value: object
) -> None:
    (tmp_path / "one.yaml").write_text(KNOWN)
    imported = read(f"llamafactory-cli train one.yaml {words}\n", "run.sh")
    found = imported.composed.values[path]
    assert (tuple(found) if isinstance(found, list) else found) == value
    assert imported.composed.open == ()


def test_no_behind_a_file_is_false(read: Bring, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(KNOWN)
    imported = read("llamafactory-cli train one.yaml eval_strategy=no\n", "run.sh")
    assert fate(imported, "eval_strategy") == (
        "unknown",
        'YAML reads false where `no` or `yes` stand without quotes, and it stops: `"no"` is the word',
    )
    imported = read("llamafactory-cli train one.yaml stray\n", "run.sh")
    assert "stray: not `key=value`" in imported.composed.open[0]


FULL = "finetuning_type: full\n"
ENGINE = "deepspeed: examples/deepspeed/ds_z{}_config.json\n"


@pytest.mark.parametrize(
    "settings",
    [
        "early_stopping_steps: 3\nval_size: 0.1\n",
        "early_stopping_steps: 3\nval_size: 0.1\neval_strategy: steps\n",
        "load_best_model_at_end: true\nval_size: 0.1\neval_strategy: epoch\n",
        "lr_scheduler_type: cosine_with_min_lr\n",
        "eval_strategy: steps\n",
        f"{FULL}use_galore: true\noptim: adamw_torch\n{ENGINE.format(2)}",
        f"{FULL}use_apollo: true\n{ENGINE.format(0)}",
        f"{FULL}pure_bf16: true\n{ENGINE.format(3)}",
        f"pissa_init: true\n{ENGINE.format(3)}",
    ],
)
def test_what_transformers_stops_at_is_asked_about(read: Bring, settings: str) -> None:
    (question,) = read(f"{KNOWN}{settings}").composed.open
    assert question.startswith(("LLaMA-Factory stops at", "LLaMA-Factory's trainer stops before"))


@pytest.mark.parametrize("devices", [1, 2])
def test_what_is_made_weight_by_weight_trains_in_one_process(read: Bring, devices: int) -> None:
    layerwise = f"{KNOWN}{FULL}use_apollo: true\napollo_layerwise: true\n"
    asked = read(layerwise, devices=devices).composed.open
    assert any("one process alone" in one for one in asked) == (devices > 1)


def test_what_transformers_takes_is_not(read: Bring) -> None:
    assert read(f"{KNOWN}pissa_init: true\n{ENGINE.format(2)}").composed.open == ()
    best = "load_best_model_at_end: true\nval_size: 0.1\neval_strategy: steps\n"
    assert read(f"{KNOWN}{best}early_stopping_steps: 3\n").composed.open == ()
    measure = "metric_for_best_model: eval_loss\nval_size: 0.1\neval_strategy: epoch\n"
    assert read(f"{KNOWN}{measure}early_stopping_steps: 3\n").composed.open == ()


INFO = json.dumps(
    {
        "mine": {
            "file_name": "mine.json",
            "columns": {"prompt": "q", "response": "a", "system": "s"},
        }
    }
)


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"q": "a", "a": "b", "s": "c"}, False),
        ({"q": "a", "a": "b", "s": "c", "input": "d"}, True),
        (None, True),
    ],
)
def test_questions_that_nothing_is_joined_to(
    read: Bring, tmp_path: Path, row: dict[str, str] | None, asked: bool
) -> None:
    if row is not None:
        (tmp_path / "mine.json").write_text(json.dumps([row]))
    imported = read(f"{LEAST}dataset: mine\n", other={"dataset_info.json": INFO})
    assert bool(imported.composed.open) == asked
    if not asked:
        (source,) = imported.composed.values["data.train"]
        assert source["format"] == "alpaca"
        assert source["columns"] == {"instruction": "q", "output": "a", "system": "s"}


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ("finetuning_type: full\n", True),
        ("finetuning_type: full\nbf16: true\n", False),
        ("finetuning_type: lora\n", False),
    ],
)
def test_the_type_of_weights_under_the_third_stage(read: Bring, settings: str, asked: bool) -> None:
    engine = "deepspeed: examples/deepspeed/ds_z3_config.json\n"
    imported = read(f"{KNOWN}{engine}{settings}")
    assert any("model.dtype" in one for one in imported.composed.open) == asked
    second = read(f"{KNOWN}{engine.replace('z3', 'z2')}{settings}")
    assert second.composed.open == ()


def test_losses_of_pairs_had_a_say_once(read: Bring) -> None:
    pairs = KNOWN.replace("stage: sft", "stage: dpo").replace("alpaca_en_demo", "dpo_en_demo")
    config = f"{pairs}cutoff_len: 512\npref_loss: hinge\n"
    assert fate(read(config), "pref_loss")[0] == "unknown"
    older = read(config, version="llamafactory==0.9.3")
    assert older.composed.values["method.objective.loss"] == "hinge"
    assert fate(older, "pref_loss")[0] == "exact"
    old = read(config.replace("pref_loss", "dpo_loss"))
    assert old.composed.values["method.objective.loss"] == "hinge"


@pytest.mark.parametrize("end", ["\\ \n", "\\\r\n", "\\   # why\n"])
def test_a_backslash_before_a_blank_ends_a_command(read: Bring, end: str) -> None:
    words = "llamafactory-cli train --stage sft --do_train --model_name_or_path m"
    imported = read(f"{words} {end}  --dataset alpaca_en_demo\n", "run.sh")
    assert any("the command ends there" in one for one in imported.composed.open)
    assert imported.composed.values["model.name"] == "m"
    assert imported.composed.values.get("data.train") is None


def test_steps_of_the_warm_up_go_before_its_ratio_in_transformers_4(read: Bring) -> None:
    both = "--warmup_steps 20 --warmup_ratio 0.1"
    old = read(f"{OLD} {both}", "run.sh")
    assert old.composed.values["train.warmup_steps"] == 20
    assert fate(old, "warmup_ratio")[0] == "inert"
    new = read(f"{KNOWN}warmup_steps: 20\nwarmup_ratio: 0.1\n")
    assert new.composed.values["train.warmup_ratio"] == 0.1
    assert any("transformers 4 took warmup_steps" in note for note in new.notes)


def test_a_schedule_reached_layerwise_galore_once(read: Bring) -> None:
    galore = "--finetuning_type full --use_galore --galore_layerwise --lr_scheduler_type cosine"
    old = read(f"{OLD} {galore}", "run.sh")
    assert old.composed.values["train.schedule.type"] == "cosine"
    assert old.composed.values["train.optimizer.layerwise"] is True


@pytest.mark.parametrize("stage", ["dpo", "kto", "rm"])
def test_pairs_are_not_packed(read: Bring, stage: str) -> None:
    data = "kto_en_demo" if stage == "kto" else "dpo_en_demo"
    pairs = KNOWN.replace("stage: sft", f"stage: {stage}").replace("alpaca_en_demo", data)
    imported = read(f"{pairs}packing: true\ncutoff_len: 512\n")
    assert imported.composed.values["data.packing"] is None
    assert imported.composed.values["data.max_length"] == 511
    assert fate(imported, "packing")[0] == "derived"


def test_an_older_default_is_not_told_to_be_todays(read: Bring) -> None:
    parts = read(OLD, "run.sh").parts
    assert assumed_by("data.max_length", parts) == "what LLaMA-Factory does"
    assert assumed_by("data.max_length", read(KNOWN).parts) == "default of llamafactory 0.9.5"
