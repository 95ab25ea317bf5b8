"""Checkpoints that are quantised already: what a spec says of them, what is refused, what is written."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from ftspec.env.locks import read_lock
from ftspec.errors import SpecError, UnsupportedError
from ftspec.plan.make import make_plan
from ftspec.plan.quantised import scales_dtype, stored_quantisation
from ftspec.plan.resolve import resolve
from ftspec.plan.stages import Plan
from ftspec.registry import load, names
from ftspec.spec.load import Loaded, loads
from ftspec.spec.pipeline import load_any

DATA = "data: {overflow: error, train: {path: a.jsonl, format: messages}}\n"
CPU = "hardware: {device: cpu}\n"


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (None, None),
        ({}, None),
        ({"quantization_config": None}, None),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes"),
    ],
)
def test_the_kind_is_recognised(config: Any, kind: str | None) -> None:
    assert stored_quantisation(config) == kind


def checkpoint(folder: Path, method: str | None, more: str = "", dtype: str = "bfloat16") -> Loaded:
    """A spec over a local model whose config.json says this; ``more`` follows its name."""
    (folder / "base").mkdir()
    config: dict[str, Any] = {"dtype": dtype}
    if method:
        config["quantization_config"] = {"quant_method": method}
    (folder / "base" / "config.json").write_text(json.dumps(config), "utf-8")
    return loads(f"model: {{name: ./base{more}}}\n{DATA}{CPU}", str(folder / "spec.yaml"))


def refused(loaded: Loaded, backend: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        make_plan(loaded, backend)
    return str(caught.value)


@pytest.mark.parametrize(
    "method", ["hqq", "aqlm", "eetq", "bitsandbytes", "quanto", "compressed-tensors", "vptq"]
)
def test_what_nobody_trains_over_is_refused(tmp_path: Path, method: str) -> None:
    loaded = checkpoint(tmp_path, method)
    for backend in names():
        assert method in refused(loaded, backend), backend


def test_what_is_not_unpacked_by_itself_names_the_way(tmp_path: Path) -> None:
    loaded = checkpoint(tmp_path, "fp8")
    for backend in ("trl", "deepspeed", "llamafactory", "axolotl"):
        said = refused(loaded, backend)
        assert "transformers trains nothing over weights in fp8" in said, backend
    assert "kernels of its own" in refused(loaded, "unsloth")


@pytest.mark.parametrize("more", ["", ", quantization: nf4"])
def test_what_is_quantised_already_is_not_quantised_again(tmp_path: Path, more: str) -> None:
    loaded = checkpoint(tmp_path, "gptq", f"{more}, stored: gptq")
    if not more:
        assert resolve(loaded).flat()["model.stored.type"] == "gptq"
        return
    with pytest.raises(SpecError, match="quantised already, by gptq") as caught:
        resolve(loaded)
    assert caught.value.problems[0].path == "model.quantization"


@pytest.mark.parametrize(
    ("method", "said", "word"),
    [("gptq", "awq", "says gptq, not awq"), (None, "fp8", "says nothing of quantised weights")],
)
def test_the_files_have_the_last_word(
    tmp_path: Path, method: str | None, said: str, word: str
) -> None:
    with pytest.raises(SpecError, match=word) as caught:
        resolve(checkpoint(tmp_path, method, f", stored: {said}"))
    assert caught.value.problems[0].path == "model.stored"


def test_packed_weights_are_not_made_whole() -> None:
    with pytest.raises(SpecError, match="weights in awq are unpacked in each product alone"):
        loads(f"model: {{name: a, stored: {{type: awq, dequantize: true}}}}\n{DATA}")


WHOLE = ", stored: {type: fp8, dequantize: true}"


@pytest.mark.parametrize("tuner", ["full", "{type: partial, last_layers: 1}"])
def test_all_weights_train_only_where_they_are_made_whole(tmp_path: Path, tuner: str) -> None:
    text = f"{DATA}method: {{tuner: {tuner}}}\nmodel: {{name: org/base, stored: "
    assert resolve(loads(f"{text}{{type: fp8, dequantize: true}}}}")).flat()["method.tuner.type"]
    with pytest.raises(SpecError, match="weights of a quantised base cannot train"):
        resolve(loads(f"{text}fp8}}"))


def scaled(folder: Path, dtype: str) -> None:
    tensors = {"a.weight": "F8_E4M3", "a.weight_scale_inv": dtype}
    header = json.dumps({name: {"dtype": kind} for name, kind in tensors.items()}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    ("content", "dtype"),
    [
        (b"", None),
        (b"\xff" * 20, None),
        (struct.pack("<Q", 4) + b'{"a"', None),
        (struct.pack("<Q", 2) + b"[]", None),
        (struct.pack("<Q", 25) + b'{"x.weight_scale_inv": 1} ', None),
    ],
)
def test_damaged_files_say_nothing_of_scales(tmp_path: Path, content: bytes, dtype: Any) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert scales_dtype(tmp_path) is dtype


@pytest.mark.parametrize(("kind", "dtype"), [("F32", "float32"), ("BF16", "bfloat16")])
def test_weights_come_in_the_type_of_their_scales(tmp_path: Path, kind: str, dtype: str) -> None:
    loaded = checkpoint(tmp_path, "fp8", WHOLE)
    scaled(tmp_path / "base", kind)
    assert resolve(loaded).flat()["derived.dequantized_dtype"] == dtype
    made = {backend: make_plan(loaded, backend) for backend in ("trl", "deepspeed")}
    for backend, each in made.items():
        text = text_of(each)
        assert "FineGrainedFP8Config(\n    dequantize=True" in text, backend
        assert "weight.data = weight.data.to(model.dtype)" in text, backend
    if dtype == "bfloat16":
        assert make_plan(loaded, "llamafactory").native["model_name_or_path"].endswith("base")
    else:
        assert "no key that makes them alike" in refused(loaded, "llamafactory")


def text_of(made: Plan) -> str:
    return next(file for file in made.files() if file.path == "train.py").content.decode()


TARGETS = "method: {tuner: {type: lora, targets: [q_proj, v_proj]%s}}\n"


@pytest.mark.parametrize(
    ("kind", "call", "kernel"),
    [("gptq", "GPTQConfig", "torch"), ("awq", "AwqConfig", "torch_awq")],
)
def test_packed_weights_have_an_environment_of_their_own(kind: str, call: str, kernel: str) -> None:
    text = f"model: {{name: a/b, dtype: float16, stored: {kind}}}\n{DATA}{TARGETS % ''}"
    for backend in ("trl", "deepspeed"):
        made = make_plan(loads(text), backend)
        assert made.lock() == "gptq"
        assert read_lock(load(backend), "gptq").build["BUILD_CUDA_EXT"] == "0"
        script = text_of(made)
        assert f'backend="{kernel}"' in script and call in script
        assert "gptqmodel==" in script
    assert load("trl").besides[f"{call}.backend"].lock == "gptq"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((TARGETS % "", "method: lora\n"), "gptqmodel's are none"),
        (("v_proj]", "v_proj], dora: true"), "no DoRA"),
        (("v_proj]", "v_proj], init: pissa"), "begin as usual"),
        (("type: lora, targets", "type: oft, targets"), "only LoRA was seen to train"),
        ((DATA, f"{DATA}run: {{environment: latest}}\n"), "over the aligned versions"),
        ((DATA, f"{DATA}output: {{quantization: nf4}}\n"), "begins with whole weights"),
        ((DATA, f"{DATA}train: {{optimizer: paged-adamw}}\n"), "not in the lock with gptqmodel"),
        ((DATA, f"{DATA}train: {{qat: int4}}\n"), "a product of their own"),
    ],
)
def test_what_was_not_seen_over_packed_weights(change: tuple[str, str], reason: str) -> None:
    text = f"model: {{name: a/b, stored: gptq}}\n{DATA}{TARGETS % ''}"
    assert change[0] in text
    assert reason in refused(loads(text.replace(*change)), "trl")


def test_gpt_oss_is_made_whole_where_the_framework_can() -> None:
    text = "model: {name: openai/gpt-oss-20b, dtype: bfloat16, stored: {type: mxfp4, dequantize: true}}\n"
    text += f"{DATA}precision: bf16\n"
    native = make_plan(loads(text.replace(DATA, DATA.replace("error", "truncate"))), "trl").native
    assert native["Mxfp4Config.dequantize"] is True
    assert "a function that is not there any more" in refused(loads(text), "llamafactory")
    assert "under stage 3" in refused(loads(f"{text}hardware: {{zero: 3}}\n"), "deepspeed")


def test_what_trained_whole_is_handed_on_whole(tmp_path: Path) -> None:
    text = f"model: {{name: org/base, stored: {{type: fp8, dequantize: true}}}}\n{DATA}"
    text += "stages:\n- {name: first, method: full}\n- {name: second, model: {stage: first}, method: full}\n"
    (tmp_path / "spec.yaml").write_text(f"version: 1\n{text}", "utf-8")
    first, second = load_any(tmp_path / "spec.yaml").steps
    assert first.loaded.spec.model.stored is not None
    assert second.loaded.spec.model.stored is None
