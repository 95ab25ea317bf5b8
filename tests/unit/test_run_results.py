"""Whether results are there and whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ftspec.errors import RunError
from ftspec.run.results import collect, damage


def write(path: Path) -> None:
    save_file({"a": np.zeros((4, 4), np.float32), "b": np.ones(3, np.float16)}, path)


def test_hashes_of_a_whole_result(tmp_path: Path) -> None:
    write(tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "checkpoint-3").mkdir()
    found = collect(tmp_path)
    assert list(found) == ["adapter_config.json", "adapter_model.safetensors"]
    assert found["adapter_config.json"] == {
        "bytes": 2,
        "sha256": hashlib.sha256(b"{}").hexdigest(),
    }


def test_shards_must_all_be_there(tmp_path: Path) -> None:
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name in names:
        write(tmp_path / name)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("ab", names, strict=True))}))
    assert len(collect(tmp_path)) == 3
    (tmp_path / names[1]).unlink()
    with pytest.raises(RunError, match="lacks the shard model-00002"):
        collect(tmp_path)
    index.write_text("[]")
    with pytest.raises(RunError, match="not a shard index"):
        collect(tmp_path)


def test_no_weights(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text("{}")
    with pytest.raises(RunError, match="holds no weights"):
        collect(tmp_path)
    with pytest.raises(RunError, match="holds no weights"):
        collect(tmp_path / "nowhere")


@pytest.mark.parametrize("kept", [0, 7, 8, 40, -1])
def test_a_file_that_was_cut_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    write(path)
    assert damage(path) == ""
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"cut off|not a safetensors file"):
        collect(tmp_path)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04" * 20)
    with pytest.raises(RunError, match="not a safetensors file"):
        collect(tmp_path)
