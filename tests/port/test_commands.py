"""The four commands: what they print, write and exit with."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from ftspec.port.bring import bring
from ftspec.port.sourced import as_options
from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

LLAMA = """\
model_name_or_path: ./tiny-model
stage: sft
do_train: true
finetuning_type: lora
lora_target: q_proj,v_proj
dataset: chats
dataset_dir: .
cutoff_len: 256
output_dir: saves/one
max_steps: 4
per_device_train_batch_size: 2
logging_steps: 1
save_strategy: 'no'
use_cpu: true
"""
INFO = {
    "chats": {
        "file_name": "chat.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
}
TRL = """\
model_name_or_path: ./tiny-model
dtype: auto
use_peft: true
lora_r: 16
lora_alpha: 16
lora_dropout: 0.0
lora_target_modules: [q_proj, v_proj]
dataset_mixture:
  datasets:
    - {id: chat.jsonl, columns: [messages], weight: 1.0}
assistant_only_loss: true
max_length: 256
output_dir: saves/one
max_steps: 4
per_device_train_batch_size: 2
learning_rate: 5.0e-05
bf16: false
use_cpu: true
router_aux_loss_coef: 0.0
"""


@pytest.fixture
def sources(somewhere: Path) -> Path:
    (somewhere / "llama.yaml").write_text(LLAMA)
    (somewhere / "dataset_info.json").write_text(json.dumps(INFO))
    (somewhere / "trl.yaml").write_text(TRL)
    return somewhere


def test_import_writes_a_spec_that_validates(ftspec: Command, sources: Path) -> None:
    done = ftspec("import", "llama.yaml", "dataset_info.json", "-o", "spec.yaml", "--strict")
    assert done.code == 0, done.err
    assert ftspec("validate", "spec.yaml", "--allow-lossy").code == 0
    assert ftspec("import", "llama.yaml", "-o", "spec.yaml").code == 8
    assert ftspec("import", "llama.yaml", "-o", "spec.yaml", "--overwrite").code == 0


def test_import_prints_the_spec_and_tells_the_rest_apart(ftspec: Command, sources: Path) -> None:
    done = ftspec("import", "llama.yaml", "dataset_info.json")
    assert done.out.startswith("version: 1\n")
    assert "settings:" in done.err
    done = ftspec("import", "llama.yaml", "dataset_info.json", "--json")
    found = json.loads(done.out)
    assert found["faithful"] is True
    assert {"fate", "key", "value", "file", "line", "to", "why"} == set(found["fates"][0])


def test_strict_fails_on_what_is_lost(ftspec: Command, sources: Path) -> None:
    (sources / "more.yaml").write_text(LLAMA + "val_size: 1\n")
    done = ftspec("import", "more.yaml", "dataset_info.json", "--strict", "-o", "spec.yaml")
    assert done.code == 4
    assert "more.yaml:15" in done.err
    assert not (sources / "spec.yaml").exists()


def test_strict_prints_one_object_of_json(ftspec: Command, sources: Path) -> None:
    (sources / "odd.yaml").write_text(
        "model_name_or_path: org/m\nuse_peft: true\nlearning_rat: 1\n"
    )
    done = ftspec("import", "odd.yaml", "--strict", "--json")
    problems = json.loads(done.out)["error"]["problems"]
    assert (done.code, {problem["file"] for problem in problems}) == (4, {"odd.yaml"})


def test_explain_names_the_origin_of_each_value(ftspec: Command, sources: Path) -> None:
    done = ftspec("explain", "llama.yaml", "dataset_info.json")
    origins = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert "line 5 (lora_target)" in origins["method.tuner.targets"]
    assert "default of llamafactory 0.9.5" in origins["method.tuner.alpha"]
    assert "16" in origins["method.tuner.alpha"].split()
    assert (
        origins["model.rope"].split()[1] == "null"
    )  # nothing of it is set: one line for all of it
    assert not any(name.startswith("model.rope.") for name in origins)
    several = ftspec("explain", "llama.yaml", "dataset_info.json", "--json").out
    told = {one["path"]: one for one in json.loads(several)["values"]}
    assert told["method.tuner.targets"]["origin"] == "llama.yaml:5 (lora_target)"
    assert told["model.rope.type"]["value"] is None
    assert json.loads(ftspec("explain", "trl.yaml", "--json").out)["values"]


def test_diff_says_what_a_difference_does(ftspec: Command, sources: Path) -> None:
    ftspec("import", "llama.yaml", "dataset_info.json", "-o", "spec.yaml")
    done = ftspec("diff", "spec.yaml", "trl.yaml")
    assert done.code == 1
    assert "method.tuner.rank: 8 against 16  (adapter scale 2 against 1: halved)" in done.out
    other = ftspec("diff", "spec.yaml", "spec.yaml")
    assert other.code == 0
    assert "train the same" in other.out
    told = json.loads(ftspec("diff", "spec.yaml", "trl.yaml", "--json").out)
    assert told["same"] is False
    assert {"path", "one", "other", "weight", "words"} == set(told["differences"][0])


def test_alpha_16_against_32_at_rank_16(ftspec: Command, sources: Path) -> None:
    (sources / "more.yaml").write_text(TRL.replace("lora_alpha: 16", "lora_alpha: 32"))
    done = ftspec("diff", "trl.yaml", "more.yaml")
    assert "method.tuner.alpha: 16 against 32  (adapter scale 1 against 2: doubled)" in done.out
    (sources / "same.yaml").write_text(
        TRL.replace("logging_steps", "logging_steps") + "logging_steps: 3\n"
    )
    assert ftspec("diff", "trl.yaml", "same.yaml").code == 0


def test_port_writes_the_files_of_another_framework(ftspec: Command, sources: Path) -> None:
    done = ftspec(
        "port", "llama.yaml", "dataset_info.json", "--to", "trl", "-o", "build", "--allow-lossy"
    )
    assert done.code == 0, done.err
    script = (sources / "build" / "train.py").read_text()
    assert "SFTTrainer(" in script
    assert "lora_alpha=16" in script.replace(" ", "")
    assert "written for" not in done.err  # the source itself says the CPU
    more = ("--overwrite", "--set", "hardware.device=cuda", "--set", "train.seed=7")
    done = ftspec(
        "port",
        "llama.yaml",
        "dataset_info.json",
        "--to",
        "trl",
        "-o",
        "build",
        "--allow-lossy",
        *more,
    )
    assert done.code == 0, done.err
    script = (sources / "build" / "train.py").read_text().replace(" ", "")
    assert "seed=7" in script and "use_cpu=False" in script
    open_one = (sources / "llama.yaml").read_text().replace("use_cpu: true\n", "")
    (sources / "open.yaml").write_text(open_one)
    done = ftspec(
        "port", "open.yaml", "dataset_info.json", "--to", "trl", "-o", "open", "--allow-lossy"
    )
    assert "note: written for hardware.device" in done.err


def test_port_stops_at_what_would_be_lost(ftspec: Command, sources: Path) -> None:
    (sources / "more.yaml").write_text(LLAMA + "val_size: 1\n")
    done = ftspec("port", "more.yaml", "dataset_info.json", "--to", "trl", "-o", "build")
    assert done.code == 4
    assert "val_size" in done.err
    assert not (sources / "build").exists()
    (sources / "other.yaml").write_text(LLAMA.replace("dataset: chats", "dataset: others"))
    done = ftspec("port", "other.yaml", "--to", "trl", "-o", "build")  # which data?
    assert done.code == 2
    assert ftspec("port", "llama.yaml", "--to", "trls", "-o", "build").code == 5


AXOLOTL = """\
base_model: ./tiny-model
chat_template_jinja: "{% for message in messages %}{{ message.content }}{% endfor %}"
chat_template: jinja
datasets:
  - {path: chat.jsonl, ds_type: json, type: chat_template, field_messages: messages}
adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_linear: true
sequence_len: 256
micro_batch_size: 2
gradient_accumulation_steps: 2
optimizer: adamw_torch
learning_rate: 1e-4
max_steps: 4
logging_steps: 1
bf16: false
output_dir: out
"""


def test_no_option_is_proposed_that_another_makes_needless(ftspec: Command, sources: Path) -> None:
    (sources / "data").mkdir()
    (sources / "data" / "alpaca_en_demo.json").write_text(
        json.dumps([{"instruction": "a", "input": "", "output": "b"}])
    )
    (sources / "one.yaml").write_text(
        "model_name_or_path: org/model\nstage: sft\ndo_train: true\nfinetuning_type: full\n"
        "dataset: alpaca_en_demo\ndataset_dir: data\ntemplate: qwen\noutput_dir: out\n"
    )
    done = ftspec("port", "one.yaml", "--to", "axolotl", "-o", "build")
    (line,) = (one for one in done.err.splitlines() if one.startswith("all of it together: "))
    assert "--set data.prepare=ftspec" in line
    assert "chat_template" not in line, "rows would be written by another template"


def test_port_tells_what_is_wrong_at_the_source(ftspec: Command, sources: Path) -> None:
    (sources / "axolotl.yaml").write_text(AXOLOTL)
    to = ("--to", "llamafactory", "-o", "build", "--set", "data.train_on=all")
    done = ftspec("port", "axolotl.yaml", *to)
    assert done.code == 4
    places = re.findall(r"^(\S+): error\[unsupported\]: (.*)", done.err, re.MULTILINE)
    told = {text: place for place, text in places}
    average = next(text for text in told if "method.objective.average" in text)
    assert told[average] == "axolotl.yaml:12"  # of micro_batch_size and accumulation
    assert {place.partition(":")[0] for place in told.values()} == {"axolotl.yaml"}
    assert not (sources / "build").exists(), "not even its chat template is left behind"
    (line,) = (one for one in done.err.splitlines() if one.startswith("all of it together: "))
    assert "--set method.objective.average=tokens" in line
    options = shlex.split(line.removeprefix("all of it together: "))
    told = json.loads(ftspec("port", "axolotl.yaml", *to, "--json").out)["error"]
    assert shlex.split(told["way_out"]) == options
    done = ftspec("port", "axolotl.yaml", "--to", "llamafactory", "-o", "other", *to[-2:], *options)
    assert done.code == 0, done.err
    (sources / "build").mkdir()
    (sources / "build" / "axolotl.chat_template.jinja").write_text("mine")
    assert ftspec("port", "axolotl.yaml", "--to", "trl", "-o", "build").code == 8
    assert (sources / "build" / "axolotl.chat_template.jinja").read_text() == "mine"


def test_port_tells_what_is_wrong_with_a_default_and_with_an_option(
    ftspec: Command, sources: Path
) -> None:
    (sources / "axolotl.yaml").write_text(AXOLOTL.replace("chat.jsonl", "rows.json"))
    done = ftspec("port", "axolotl.yaml", "--to", "trl", "-o", "build")
    assert done.code == 3
    assert done.err.startswith(
        "axolotl.yaml:5: error[data]: data.train.0.path: no such file: rows.json\n"
        "  help: a path in a spec starts at the current folder\n"
    )
    (sources / "axolotl.yaml").write_text(AXOLOTL)
    wrong = ("--set", "train.seed=-1", "--set", "method.tuner.dora=true")
    done = ftspec("port", "axolotl.yaml", "--to", "trl", "-o", "build", *wrong)
    assert done.err.startswith("--set train.seed=-1: error[spec]: ")


@pytest.mark.parametrize(
    ("hint", "option"),
    [
        ("model.dtype: auto", "--set model.dtype=auto"),
        ("leave it out", "--set data.eval_size=null and --set data.eval_draw=first"),
        (
            "leave it out: all train",
            "--set data.eval_size=null and --set data.eval_draw=first: all train",
        ),
        ("precision: fp32, or run.backends: trl", "--set precision=fp32, or --to trl"),
        (
            "train.micro_batch_size: as large as the batch; or method.objective.average: tokens",
            "train.micro_batch_size: as large as the batch; or --set method.objective.average=tokens",
        ),
        (
            "hardware.fsdp: null and hardware.zero: 3",
            "--set hardware.fsdp=null and --set hardware.zero=3",
        ),
        ("download the model: its folder", "download the model: its folder"),
        ("a path starts at the spec's folder", "a path starts at the current folder"),
    ],
)
def test_a_remedy_for_a_spec_is_an_option_of_port(hint: str, option: str) -> None:
    assert as_options(hint, "data.eval_size") == option


def test_what_is_left_out_is_set_to_its_default() -> None:
    options = [as_options("leave it out", path) for path in ("model.chat_template", "data.eval")]
    assert options == ["--set model.chat_template=tokenizer", "--set data.eval=[]"]


@pytest.mark.parametrize("command", ["import", "explain"])
@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"", b"[1]", b"a: b: c", b"stage: sft\n" * 2, b"{" * 5000, b"\x00"]
)
def test_bad_input_is_an_error_with_a_place(
    ftspec: Command, somewhere: Path, command: str, content: bytes
) -> None:
    (somewhere / "bad.yaml").write_bytes(content)
    done = ftspec(command, "bad.yaml")
    assert done.code == 2
    assert "bad.yaml" in done.err
    assert "Traceback" not in done.err


def test_one_word_of_a_list_is_a_list() -> None:
    said = "--use_peft --lora_target_modules q v --lora_modules_to_save lm_head"
    line = f"trl sft --model_name_or_path m --dataset_name d --output_dir o {said}"
    spec = bring([Path(line)]).composed.spec
    assert spec.method.tuner.modules_to_save == ("lm_head",)
    line = "trl grpo --model_name_or_path m --dataset_name d --reward_funcs think_format_reward"
    rewards = bring([Path(f"{line} --reward_weights 2")]).composed.spec.method.objective.rewards
    assert [one.weight for one in rewards] == [2.0]


def test_an_option_answers_a_question(ftspec: Command, sources: Path) -> None:
    (sources / "dpo.yaml").write_text(
        "model_name_or_path: ./tiny-model\ntrainer: dpo\ndataset_name: org/pairs\noutput_dir: out\n"
        "learning_rate: 1e-6\nmax_steps: 2\nmax_length: 256\nuse_cpu: true\n"
    )
    to = ("port", "dpo.yaml", "--to", "deepspeed", "-o", "build", "--allow-lossy")
    done = ftspec(*to)
    assert done.code == 2
    assert "--set data.train.format=..." in done.err
    done = ftspec(*to, "--set", "data.train.format=preference")
    assert done.code == 0, done.err
    assert "to decide" not in done.err


def test_port_tells_at_once_what_is_nearly_the_same_and_what_is_refused(
    ftspec: Command, sources: Path
) -> None:
    (sources / "axolotl.yaml").write_text(
        AXOLOTL + "group_by_length: true\nval_set_size: 0.2\nseed: 3\n"
    )
    to = ("--to", "llamafactory", "-o", "build", "--set", "data.train_on=all")
    told = json.loads(ftspec("port", "axolotl.yaml", *to, "--json").out)["error"]
    messages = [one["message"] for one in told["problems"]]
    assert any(text.startswith("group_by_length: True only nearly the same") for text in messages)
    assert any("method.objective.average" in text for text in messages)
    options = shlex.split(told["way_out"])
    assert options.count("--allow-lossy") == 1
    done = ftspec("port", "axolotl.yaml", *to, *options)
    assert done.code == 0, done.err


def test_a_question_of_a_port_stands_at_its_line(ftspec: Command, sources: Path) -> None:
    script = "from trl import SFTConfig, SFTTrainer\nfrom datasets import load_dataset\n"
    script += "from x import change\n"
    script += 'rows = load_dataset("org/rows", split="train")\nchange(rows)\n'
    script += 'SFTTrainer("org/model", args=SFTConfig("out"), train_dataset=rows).train()\n'
    (sources / "train.py").write_text(script)
    told = json.loads(ftspec("port", "train.py", "--to", "trl", "-o", "b", "--json").out)["error"]
    (place,) = [one for one in told["problems"] if "change(rows)" in one["message"]]
    assert (place["file"], place["line"]) == ("train.py", 5)


def test_a_question_about_pairs_has_an_answer(ftspec: Command, sources: Path) -> None:
    turn = [{"role": "user", "content": "So?"}], [{"role": "assistant", "content": "Yes."}]
    row = {"asked": turn[0], "chosen": turn[1], "rejected": turn[1]}
    (sources / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    chats = "{path: chat.jsonl, ds_type: json, type: chat_template, field_messages: messages}"
    pairs = "{path: pairs.jsonl, ds_type: json, type: chat_template.default, field_messages: asked}"
    (sources / "axolotl.yaml").write_text("rl: dpo\n" + AXOLOTL.replace(chats, pairs))
    to = ("--to", "trl", "-o", "build", "--allow-lossy", "--set", "data.overflow=error")
    told = json.loads(ftspec("port", "axolotl.yaml", *to, "--json").out)["error"]
    (hint,) = [one["hint"] for one in told["problems"]]
    assert hint == "if they are: --set data.train.format=preference"
    done = ftspec("port", "axolotl.yaml", *to, *hint.split()[-2:])
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("more", "devices"),
    [
        ("--launcher torchrun -- --nproc_per_node=4", 4),
        ("--launcher=torchrun -- --nproc-per-node 2 --nnodes 2", 4),
        ("-- --num_processes 4", 4),
        ("--num-processes 4 --learning-rate 1e-3", 4),
        ("--launcher python", 1),
        ("--", 1),
    ],
)
def test_what_axolotl_hands_to_its_launcher(tmp_path: Path, more: str, devices: int) -> None:
    """cli/main.py and cli/utils/train.py of 0.19.0."""
    (tmp_path / "c.yml").write_text(
        "base_model: org/m\ndatasets: [{path: org/r, type: alpaca}]\nlearning_rate: 1e-4\n"
        "micro_batch_size: 2\nnum_epochs: 1\nbf16: true\nflash_attention: true\n"
    )
    (tmp_path / "run.sh").write_text(f"axolotl train c.yml {more}\n")
    imported = bring([tmp_path / "run.sh"])
    values = imported.composed.values
    assert values["train.batch_size"] == 2 * devices
    assert values["train.learning_rate"] == (1e-3 if "1e-3" in more else 1e-4)
    assert imported.faithful


def test_a_word_of_axolotls_command_sets_a_value_inside_of_a_section(tmp_path: Path) -> None:
    """cli/config.py of 0.19.0; and trl.beta comes before rl_beta (core/builders/rl.py)."""
    (tmp_path / "c.yml").write_text(
        "base_model: org/m\nrl: dpo\nrl_beta: 0.2\ndatasets: [{path: org/r, type: chatml.intel}]\n"
        "learning_rate: 1e-4\nmicro_batch_size: 2\nnum_epochs: 1\nbf16: true\n"
    )
    (tmp_path / "run.sh").write_text("axolotl train c.yml --trl.beta 0.7\n")
    imported = bring([tmp_path / "run.sh"])
    assert imported.composed.values["method.objective.beta"] == 0.7
    kinds = {one.setting.key: one.kind for one in imported.fates}
    assert (kinds["trl.beta"], kinds["rl_beta"]) == ("renamed", "inert")


def test_a_sweep_of_axolotl_is_no_single_training(tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text("base_model: org/m\nadapter: lora\nlora_r: 8\ndeepspeed: ''\n")
    (tmp_path / "run.sh").write_text("axolotl train c.yml --sweep values.yml --cloud there.yml\n")
    imported = bring([tmp_path / "run.sh"])
    assert any("--sweep values.yml" in one for one in imported.composed.open)
    kinds = {one.setting.key: one.kind for one in imported.fates}
    assert kinds["cloud"] == kinds["deepspeed"] == "inert"
