"""How accelerate starts a script, and the launches that come with trl."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.port.bring import bring
from ftspec.port.presets import LAUNCHES
from ftspec.read import pyyaml, yaml
from ftspec.registry import load

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
SEEN = """
import os
from pathlib import Path
said = os.environ.get("WORLD_SIZE", "1"), os.environ["ACCELERATE_MIXED_PRECISION"]
Path(__file__).with_name(os.environ.get("RANK", "0") + ".seen").write_text(" ".join(said))
"""


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("'NO'", ""),
        ("null", ""),
        ("MULTI_GPU", ""),
        ("MULTI_GPU", "deepspeed_config: {mixed_precision: fp16}\n"),
    ],
)
def test_how_many_processes_start(tmp_path: Path, kind: str, more: str) -> None:
    place = ensure(load("trl"))
    config, script = tmp_path / "launch.yaml", tmp_path / "seen.py"
    config.write_text(f"distributed_type: {kind}\nnum_processes: 2\nuse_cpu: true\n{more}")
    script.write_text(SEEN)
    command = [place.python, "-m", "accelerate.commands.launch", "--config_file", config, script]
    ran = subprocess.run(
        list(map(str, command)),
        env=variables(place, {**os.environ}),
        capture_output=True,
        text=True,
        check=False,
    )
    said = [path.read_text().split() for path in tmp_path.glob("*.seen")]
    assert said, ran.stderr[-3000:]
    imported = bring([config])
    assert len(said) == int(said[0][0]) == imported.composed.values["hardware.devices"]
    overridden = [
        one for one in imported.fates if one.setting.key.endswith("config.mixed_precision")
    ]
    assert (said[0][1] == "fp16") == bool(overridden)
    assert all(one.kind == "unknown" for one in overridden)


def test_the_launches_of_trl_are_those_that_it_ships() -> None:
    place = ensure(load("trl"))
    (folder,) = (
        Path(place.python).parents[1].glob("lib/python3.*/site-packages/trl/accelerate_configs")
    )
    shipped = {
        path.stem: yaml.read_placed(path.read_text(), pyyaml.scalar, True).data
        for path in folder.glob("*.yaml")
    }
    assert shipped.keys() == LAUNCHES.keys()
    for name, said in LAUNCHES.items():
        for key, value in said.items():
            ours, theirs = (value, shipped[name][key])
            inner = isinstance(ours, dict)
            assert ours == ({one: theirs[one] for one in ours} if inner else theirs), (name, key)
