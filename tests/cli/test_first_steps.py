"""What a newcomer meets between a script of their own and its port, mistakes included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, ftspec, somewhere

__all__ = ["ftspec", "somewhere"]

SCRIPT = """\
import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

rows = load_dataset("json", data_files="rows.jsonl", split="train")
model = AutoModelForCausalLM.from_pretrained("./tiny-model", dtype=torch.float32)
config = SFTConfig(output_dir="out", max_length=256, bf16=False, learning_rate=1e-4)
SFTTrainer(model=model, args=config, train_dataset=rows).train()
"""
ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def project() -> None:
    """A script, and rows whose format only their columns tell."""
    Path("sft.py").write_text(SCRIPT, "utf-8")
    Path("rows.jsonl").write_text(f"{json.dumps(ROW)}\n" * 8, "utf-8")


def test_a_spec_says_the_same_as_the_script_that_it_was_imported_from(ftspec: Command) -> None:
    """The spec's format is recognised from the columns, and so must be the script's."""
    ftspec("import", "sft.py", "-o", "spec.yaml")
    done = ftspec("diff", "sft.py", "spec.yaml")
    assert (done.code, done.out) == (0, "sft.py and spec.yaml train the same\n")


def test_a_recognised_format_is_told_with_its_line(ftspec: Command) -> None:
    (line,) = [
        one
        for one in ftspec("explain", "sft.py").out.splitlines()
        if one.strip().startswith("data.train ")
    ]
    assert "messages" in line
    assert "line 6 (load_dataset.data_files)" in line
    assert "recognised" in line


@pytest.mark.parametrize("place", ["rows.jsonl", "sft.py"])
def test_files_are_not_written_into_a_file(ftspec: Command, place: str) -> None:
    """Of rows.jsonl, its own rows had no name that a script could write."""
    before = Path(place).read_bytes()
    ftspec("import", "sft.py", "-o", "spec.yaml")
    for words in (
        ("port", "sft.py", "--to", "trl", "-o", place),
        ("compile", "spec.yaml", "--backend", "trl", "-o", place),
    ):
        done = ftspec(*words)
        assert done.code == 8, done.err
        assert f"{place}: error[output]: not a folder to write to\n" in done.err
        assert "a file of that name is there: name a folder" in done.err
    assert Path(place).read_bytes() == before


def test_a_format_that_is_none_is_told_of_a_shell_script_too(ftspec: Command) -> None:
    Path("run.sh").write_text("accelerate launch sft.py\n", "utf-8")
    done = ftspec("import", "run.sh", "--from", "trll")
    assert done.code == 2
    assert "there is no format `trll`" in done.err
    assert "trl_script" in done.err


def test_a_port_speaks_of_the_folder_that_its_paths_start_at(ftspec: Command) -> None:
    """There is no spec that anybody sees: its folder is the current one."""
    Path("sft.py").write_text(SCRIPT.replace("./tiny-model", "./tinny"), "utf-8")
    done = ftspec("port", "sft.py", "--to", "trl", "-o", "build")
    assert done.code == 2
    assert "sft.py:7: error[spec]: model.name: there is no model folder ./tinny" in done.err
    assert "paths start at the current folder" in done.err


def test_a_spec_is_not_ported_but_compiled(ftspec: Command) -> None:
    ftspec("import", "sft.py", "-o", "spec.yaml")
    done = ftspec("port", "spec.yaml", "--to", "trl", "-o", "build")
    assert done.code == 2
    assert "spec.yaml: error[spec]: this is a spec of ftspec already" in done.err
    assert "`ftspec compile` writes it for a framework" in done.err
    assert ftspec("compile", "spec.yaml", "--backend", "trl", "-o", "build").code == 0


def test_a_spec_in_another_folder_is_told_which_names_do_not_hold_there(ftspec: Command) -> None:
    Path("specs").mkdir()
    done = ftspec("import", "sft.py", "-o", "specs/spec.yaml")
    assert done.code == 0
    assert (
        "note: names of files start at the spec's folder, and these at the current one: "
        "./tiny-model, rows.jsonl: change them, or write the spec here\n"
    ) in done.err
    told = ftspec("import", "sft.py", "-o", "specs/spec.yaml", "--overwrite", "--json")
    assert any("rows.jsonl" in note for note in json.loads(told.out)["notes"])


def test_a_spec_beside_its_files_is_told_nothing_of_names(ftspec: Command) -> None:
    assert "names of files" not in ftspec("import", "sft.py", "-o", "spec.yaml").err
    script = SCRIPT.replace("./tiny-model", "org/model").replace(
        '"json", data_files="rows.jsonl"', '"org/rows"'
    )
    Path("sft.py").write_text(script, "utf-8")
    Path("specs").mkdir()
    assert "names of files" not in ftspec("import", "sft.py", "-o", "specs/spec.yaml").err


def test_a_folder_that_is_not_there_is_to_be_made(ftspec: Command) -> None:
    done = ftspec("import", "sft.py", "-o", "specs/spec.yaml")
    assert done.code == 8
    assert "its folder is not there: make it, or choose another" in done.err
    Path("specs").mkdir()
    assert ftspec("import", "sft.py", "-o", "specs/spec.yaml").code == 0


def test_rows_that_are_held_out_last_are_left_out_as_the_stop_proposes(ftspec: Command) -> None:
    """`data.eval_draw: last`, which axolotl means, has no place without `data.eval_size`."""
    Path("lora.yml").write_text(
        "base_model: ./tiny-model\ndatasets:\n  - {path: rows.jsonl, type: chat_template}\n"
        "val_set_size: 0.25\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\n"
        "sequence_len: 256\nmicro_batch_size: 2\nnum_epochs: 1\nlearning_rate: 1e-4\noptimizer: adamw_torch\n"
        "lr_scheduler: cosine\nwarmup_steps: 2\nbf16: false\nsaves_per_epoch: 1\noutput_dir: ./out\n",
        "utf-8",
    )
    words = ("port", "lora.yml", "--to", "axolotl", "-o", "build")
    stopped = ftspec(*words)
    assert stopped.code == 4
    assert "--set data.eval_size=null and --set data.eval_draw=first" in stopped.err
    (way,) = [one for one in stopped.err.splitlines() if one.startswith("all of it together: ")]
    done = ftspec(*words, *way.removeprefix("all of it together: ").split())
    assert done.code == 0, done.err
