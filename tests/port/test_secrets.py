"""Passwords and tokens in what is read: in nothing that is written or shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftspec.cli import cli
from ftspec.errors import SpecError
from ftspec.plan.make import make_plan
from ftspec.spec.load import loads
from ftspec.spec.secrets import holds_secret, is_secret, masked

TOKEN = f"hf_{'a1B2' * 9}"
TRL = "model_name_or_path: org/model\ndataset_name: org/rows\nuse_peft: true\n"
AXOLOTL = "base_model: org/model\nadapter: lora\ndatasets: [{path: org/rows, type: alpaca%s}]\n"
SCRIPT = f"""\
import os
from huggingface_hub import login
from datasets import load_dataset
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer
TOKEN = "{TOKEN}"
os.environ["WANDB_API_KEY"] = "{TOKEN}"
login("{TOKEN}")
model = AutoModelForCausalLM.from_pretrained("org/model", token=TOKEN)
args = SFTConfig(output_dir="out", hub_token="{TOKEN}")
rows = load_dataset("org/rows", split="train", token="{TOKEN}")
SFTTrainer(model=model, args=args, train_dataset=rows).train()
"""
SOURCES = {
    "by its name.yaml": f"{TRL}hub_token: {TOKEN}\n",
    "by its form.yaml": f"{TRL}run_name: {TOKEN}\nnothing: [{TOKEN}]\n",
    "address.yaml": TRL.replace("org/rows", f"https://me:{TOKEN}@host/rows.jsonl"),
    "storage.yaml": AXOLOTL % f", storage_options: {{key: {TOKEN}, secret: {TOKEN}}}",
    "script.py": SCRIPT,
    "run.sh": f"export HF_TOKEN={TOKEN}\ntrl sft --model_name_or_path org/model --dataset_name org/rows "
    f"--hub_token {TOKEN} --run_name $(echo {TOKEN})\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_secret_is_neither_written_nor_shown(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(SOURCES[name])
    for arguments in (
        ["import", name, "--all", "-o", "spec.yaml"],
        ["import", name, "--json"],
        ["explain", name],
        ["explain", name, "--json"],
        ["diff", name, name],
        ["port", name, "--to", "trl", "-o", "build", "--allow-lossy"],
    ):
        done = CliRunner().invoke(cli, arguments)
        said = done.output + str(done.exception)
        assert TOKEN not in said, arguments
    for file in Path().rglob("*"):
        assert file.name == name or file.is_dir() or TOKEN not in file.read_text(), file


@pytest.mark.parametrize("setting", [{"SFTConfig.hub_token": "x"}, {"SFTConfig.run_name": TOKEN}])
def test_a_spec_passes_none_on(setting: dict[str, str]) -> None:
    data = {"train": {"path": "a.jsonl", "format": "messages"}}
    spec = {"model": "org/model", "data": data, "native": {"trl": setting}}
    with pytest.raises(SpecError, match="is a secret, which no file holds"):
        make_plan(loads(json.dumps(spec)), "trl")


def test_what_is_no_secret() -> None:
    for key in ("eos_token", "SFTConfig.pad_token", "max_tokens", "tokens", "key"):
        assert not is_secret(key)
    for text in ("sk-learn", "hf_model", "https://host/a:b@c", "org/name@v1", "a: b@c"):
        assert not holds_secret([{"a": text}])
        assert masked(text) == text
