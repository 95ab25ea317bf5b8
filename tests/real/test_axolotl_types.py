"""Every type of rows of the installed axolotl: read as axolotl reads it, or refused with its own reason."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ftspec.data.carried import READ
from ftspec.data.tokenizer import load_tokenizer
from ftspec.env.install import ensure
from ftspec.families.rows.instructions import named
from ftspec.port.formats.axolotl.chat_templates import ALIKE, TEMPLATES
from ftspec.port.formats.axolotl.entries import CHATS
from ftspec.port.formats.axolotl.handed import withheld
from ftspec.port.formats.axolotl.pairs import OF_PAIRS, paired
from ftspec.port.formats.axolotl.types import PAIRS, WHY, why_no_pairs, why_not
from ftspec.registry import load
from tests.conftest import SPECS
from tests.port.conftest import Bring, fate, read
from tests.real.axolotl_cases import BASE, CASES

__all__ = ["read"]

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).parent / "axolotl_types_reference.py"
PLAIN = ("completion.load", "pretrain.load", "user_defined.load")
"""Types that are read without a template's name: plain texts, and formats of a config's own."""
HELPER = "base.load"
"""It finds the functions of preferences, and is no type."""
OTHERS = {
    "loops": "{% for turn in messages %}{{ turn.role + turn.thinking }}{% endfor %}",
    "counts": "{% for i in range(3) %}{{ messages[i].tool_calls }}{% endfor %}",
    "asks": "{% for message in messages %}{{ message.get('reasoning') or message['thinking'] }}{% endfor %}",
    "assigns": "{% set message = messages[0] %}{{ message.reasoning_content }}",
}


STREAMED: dict[str, dict[str, Any]] = {
    "alone": {"shuffle_merged_datasets": False},
    "joined": {"shuffle_merged_datasets": False, "pretraining_sample_concatenation": True},
    "packed": {"sample_packing": True},
    "seeing": {"sample_packing": True, "pretrain_multipack_attn": False},
}
"""How texts of `pretraining_dataset` share rows."""


SCORED = {
    "model_type": "AutoModelForSequenceClassification", "num_labels": 1, "reward_model": True,
    "chat_template": "chatml", "dataset_num_proc": 1, "remove_unused_columns": False,
    "datasets": [{"path": "pairs.jsonl", "type": "bradley_terry.chat_template"}],
}  # fmt: skip
"""A reward model, of pairs of which one answer is too long."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("types")
    texts = {file.name: file.read_text("utf-8") for file in Path(str(TEMPLATES)).glob("*.jinja")}
    (folder / "templates.json").write_text(json.dumps(texts | OTHERS))
    shutil.copytree(SPECS / "tiny-model", folder / "tiny-model")
    texts_of_rows = [json.dumps({"words": f"{n}: {'on and ' * n * 3}"}) for n in range(16)]
    (folder / "rows.jsonl").write_text("\n".join(texts_of_rows))
    for name, said in STREAMED.items():
        source = {"path": "json", "data_files": "rows.jsonl", "text_column": "words"}
        config = {
            **BASE,
            "pretraining_dataset": [source],
            "max_steps": 2,
            "sequence_len": 40,
            **said,
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    pair = {"system": "", "input": "What is it?", "chosen": "Yes. " * 40, "rejected": "No."}
    (folder / "pairs.jsonl").write_text(json.dumps(pair) + "\n" + json.dumps(pair))
    scored = {**BASE, **SCORED, "sequence_len": 40}
    (folder / "scored.yaml").write_text(
        yaml.safe_dump({k: v for k, v in scored.items() if not k.startswith(("adapter", "lora"))})
    )
    variables = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder / "hf"),
        "CUDA_VISIBLE_DEVICES": "",
        "AXOLOTL_DO_NOT_TRACK": "1",
    }
    command = [str(ensure(load("axolotl")).python), str(SCRIPT), "templates.json", "out.json"]
    command += [f"{name}.yaml" for name in (*STREAMED, "scored")]
    ran = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return {**found, "templates": texts | OTHERS}


def test_every_type_is_read_or_refused_by_name(installed: dict[str, Any]) -> None:
    supervised = [name for name in installed["types"][""] if name != HELPER]
    read = {name for name in supervised if named(name) or name in (*PLAIN, *CHATS)}
    refused = {name for name in supervised if why_not(name)}
    assert not read & refused
    assert sorted(read | refused) == sorted(supervised)
    assert (len(read), len(refused)) == (26, 11)
    cases = {kind if isinstance(kind, str) else kind.get("type") for kind, _ in CASES.values()}
    cases |= {f"{case}.load" for case in cases if isinstance(case, str)}
    cases |= {
        "alpaca_w_system.load_chat",
        *PLAIN,
        *CHATS,
    }  # `load` calls the first; the rest are others
    assert read <= cases


def test_every_type_of_pairs_is_read_or_refused_by_name(installed: dict[str, Any]) -> None:
    counts = {}
    for objective, known in PAIRS.items():
        package = {"reward": "bradley_terry"}.get(objective, objective)
        found = set(installed["types"][package])
        if package == "bradley_terry":  # what is no `load` is not found (bradley_terry/__init__.py)
            found = {f"{package}.{name.removesuffix('.load')}" for name in found if "load" in name}
        own = {"user_defined.default": {"type": {}}}  # a type that is a section
        read = {
            name
            for name in found
            if objective in OF_PAIRS and paired(own.get(name, {"type": name}), objective, "")
        }
        assert found - read == set(known)
        counts[objective] = (len(read), len(known))
        assert all(why_no_pairs(name, objective) == known[name] for name in known)
    assert counts == {"dpo": (16, 1), "kto": (11, 0), "orpo": (1, 1), "reward": (1, 0)}


def test_how_streamed_texts_share_rows(installed: dict[str, Any], read: Bring) -> None:
    """What the import says of them: which see each other, and what is otherwise there."""
    tokens, rows = load_tokenizer(SPECS / "tiny-model"), installed["rows"]
    ids = [tokens.ids(f"{n}: {'on and ' * n * 3}") for n in range(16)]
    eos = tokens.named_id("eos_token")
    assert [row["input_ids"] for row in rows["alone"]] == [one[:38] for one in ids[:8]]
    assert all(len(row["input_ids"]) == 40 for row in rows["joined"])
    assert (
        rows["joined"][0]["input_ids"].count(eos) > 1
    )  # two texts in one row, which see each other
    for name in ("packed", "seeing"):
        assert all(eos in row["input_ids"][:40] for row in rows[name])  # windows of 39, and an end
        assert any(
            "position_ids" in row and row["position_ids"].count(0) > 1 for row in rows[name]
        ) == (name == "packed")
    said = {"alone": None, "joined": "blocks", "packed": "documents", "seeing": "blocks"}
    for name, packing in said.items():
        stream = "pretraining_dataset: [{path: org/texts}]\nmax_steps: 2\nlearning_rate: 1e-5\n"
        config = f"base_model: org/model\n{stream}" + yaml.safe_dump(STREAMED[name])
        imported = read(config)
        assert imported.composed.values["data.packing"] == packing
        assert fate(imported, "pretraining_dataset[0].path")[0] == "approximated"


def test_long_answers_of_reward_models_are_cut_and_an_empty_system_turn_stands(
    installed: dict[str, Any], read: Bring
) -> None:
    rows = installed["rows"]["scored"]
    assert [len(row["chosen_ids"]) for row in rows] == [40, 40]
    tokens = load_tokenizer(SPECS / "tiny-model")
    text = tokens.tokenizer.decode(rows[0]["chosen_ids"], skip_special_tokens=False)
    assert text.startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\nWhat is it?")
    imported = read(yaml.safe_dump({**BASE, **SCORED, "excess_length_strategy": "raise"}))
    assert fate(imported, "sequence_len")[0] == "renamed"
    assert fate(imported, "excess_length_strategy")[0] == "inert"
    assert fate(imported, "datasets[0].type")[0] == "derived"
    assert imported.composed.spec.data.overflow == "truncate"
    (entry,) = SCORED["datasets"]
    otherwise = {**BASE, **SCORED, "datasets": [{**entry, "drop_system_message": True}]}
    assert fate(read(yaml.safe_dump(otherwise)), "datasets[0].type")[0] == "unknown"


def test_no_reason_outlives_its_type(installed: dict[str, Any]) -> None:
    names = {one for kinds in installed["types"].values() for one in kinds}
    packages = set(installed["types"])
    known = names | packages | {one.partition(".")[0] for one in names}
    assert set(WHY) - known == {"sharegpt"}


@pytest.mark.parametrize("name", ["cohere", *ALIKE])
def test_a_template_of_our_own_writes_what_theirs_does(name: str) -> None:
    (theirs,) = (
        ensure(load("axolotl"))
        .python.parents[1]
        .glob(f"lib/*/site-packages/axolotl/utils/chat_templates/templates/{name}.jinja")
    )
    ours = (Path(str(TEMPLATES)) / "cohere.jinja").read_text("utf-8")
    said = ("  hi there \n", "", "a{x}'")
    seen = set()
    for count, text, opened in product(range(1, 4), said, (False, True)):
        for roles in product(("system", "user", "assistant", "tool"), repeat=count):
            turns = [{"role": role, "content": text} for role in roles]
            one, other = (
                rendered(written, turns, opened) for written in (theirs.read_text("utf-8"), ours)
            )
            assert one == other, (roles, text)
            seen.add(one)
    assert len(seen) > 20


def stop(why: str) -> None:
    raise ValueError(why)


@cache
def compiled(text: str) -> Template:
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return sandbox.from_string(text, {"raise_exception": stop})


def rendered(text: str, turns: list[dict[str, str]], opened: bool) -> str:
    """What transformers writes by a template; nothing where it stops."""
    try:
        return compiled(text).render(messages=turns, add_generation_prompt=opened, bos_token="<s>")
    except ValueError:
        return ""


def test_what_a_template_is_handed(installed: dict[str, Any]) -> None:
    assert len(installed["seen"]) == len(installed["templates"]) >= 34
    withholds = 0
    for name, text in installed["templates"].items():
        kept = withheld(text, {})
        assert not set(kept) & set(installed["seen"][name]), name
        asked = [one for one in READ if re.search(rf"(\.|[\[(]['\"]){one}\b", text)]
        assert all(one in kept or one in installed["seen"][name] for one in asked), name
        withholds += bool(kept)
    assert withholds == 6
