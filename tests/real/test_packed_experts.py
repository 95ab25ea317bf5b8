"""A mixture's experts in 4 bits: as axolotl packs them, and otherwise than where they stay whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.carry import carry
from ftspec.registry import load as load_backend
from ftspec.verify.prove import as_run
from ftspec.verify.verify import Run
from ftspec_axolotl.data import FRESH
from ftspec_axolotl.emit import CONFIG
from ftspec_axolotl.tuners import SEEDED
from tests.real.conftest import Lab
from tests.real.test_options import assert_equal, refusal
from tests.real.test_ported_pairs import AXOLOTL, OWN

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
QLORA = (
    "model.name=../mixture", "method.tuner={type: lora, rank: 4, targets: [q_proj, v_proj]}",
    "train.steps=3", "train.batch_size=4", "train.micro_batch_size=4", "train.warmup_steps=0",
)  # fmt: skip
PACKED = "model.quantization={type: nf4, double: true, experts: true}"
ON_A_CPU = '''\
"""axolotl packs experts that arrive on a GPU: here that one condition is lifted."""

import inspect

from axolotl.integrations.base import BasePlugin
from axolotl.monkeypatch import moe_quant


class OnACpu(BasePlugin):
    def register(self, cfg):
        source = inspect.getsource(moe_quant)
        assert source.count("param_value.is_cuda") == 1
        exec(source.replace("param_value.is_cuda", "True"), moe_quant.__dict__)
'''
PUBLISHED = {
    # examples/qwen3.5/122b-a10b-moe-qlora.yaml
    **AXOLOTL,
    "base_model": "../../mixture",
    "load_in_4bit": True,
    "quantize_moe_experts": True,
    "adapter": "qlora",
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0,
    "lora_target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "lora_mlp_kernel": False,
    "lora_qkv_kernel": False,
    "lora_o_kernel": False,
    "device_map": "cpu",
}


def test_scripts_pack_them_alike(lab: Lab, mixture: Path) -> None:
    assert "linear layers alone" in refusal(lab, "llamafactory", *QLORA, PACKED)
    assert "linear layers alone" in refusal(lab, "unsloth", *QLORA, PACKED)
    both = ("trl", "deepspeed")
    packed = lab.prove(*QLORA, PACKED, backends=both)
    assert_equal(packed)
    whole = lab.prove(*QLORA, PACKED.replace("true}", "false}"), backends=both)
    for name in both:
        one, other = (proof.evidence(name).steps[0].loss for proof in (packed, whole))
        assert one != other


def test_a_config_of_axolotl_is_ported(
    lab: Lab, mixture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        original = lab.compiled("axolotl", folder / "axolotl", *OWN[1:], "method=lora")
        (original.folder / "on_a_cpu.py").write_text(ON_A_CPU, "utf-8")
        config = original.folder / CONFIG
        config.write_text(yaml.dump([("all", PUBLISHED)]), "utf-8")
        monkeypatch.chdir(original.folder)
        carried = carry([Path(CONFIG)], "trl", folder / "trl", allow_lossy=True)
        assert carried.imported.composed.values["model.quantization.experts"] is True
        assert not [fate for fate in carried.imported.fates if not fate.faithful]
        plugins = f"plugins: [{FRESH}, {SEEDED}, on_a_cpu.OnACpu]\n"
        config.write_text(config.read_text("utf-8") + plugins, "utf-8")
        return {"axolotl": original, "trl": as_run(carried.plan, ensure(load_backend("trl")))}

    assert_equal(lab.compare("packed-experts-of-axolotl", runs, "axolotl"))
