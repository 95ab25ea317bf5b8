"""Packing: documents that share a row do not see each other, or are said to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from ftspec.data.pack import best_fit
from ftspec.emit import yaml
from ftspec.env.install import ensure
from ftspec.port.bring import bring
from ftspec.registry import load
from ftspec.verify.evidence import Evidence
from ftspec.verify.inputs import MASKED, rows
from ftspec.verify.verify import Run
from ftspec_axolotl.data import FRESH
from ftspec_axolotl.emit import CONFIG
from tests.real.conftest import Lab, Proven
from tests.real.test_cpt import END, text  # noqa: F401 - a fixture
from tests.real.test_options import assert_equal, refusal
from tests.real.test_ported_pairs import OWN

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
APART = ("data.packing=documents", "data.max_length=256", "train.steps=3")
FITTING = ("data.max_length=255",)
"""And one token more: of LLaMA-Factory's own packing a multiple of eight."""
SCRIPT = Path(__file__).with_name("packing_reference.py")


def packed(lab: Lab, prepare: str, *more: str) -> Proven:
    return lab.prove(*APART, f"data.prepare={prepare}", *more)


def documents(evidence: Evidence) -> int:
    return sum(len(batch.documents or ()) for batch in evidence.batches)


def test_rows_that_ftspec_packed_train_alike(lab: Lab) -> None:
    sets = (*APART, "data.prepare=ftspec")
    assert "its CPU path turns packing off" in refusal(lab, "unsloth", *sets)
    proof = packed(lab, "ftspec")
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "llamafactory", "deepspeed"}
    trl, factory = (proof.evidence(name) for name in ("trl", "llamafactory"))
    # one long row without a mask there, rows below each other with a mask in four dimensions here
    assert {len(batch.input_ids) for batch in trl.batches} == {1}
    assert {len(batch.input_ids) for batch in factory.batches} == {2}
    for evidence in (trl, factory):
        assert documents(evidence) > 3 * 4  # 3 steps of 4 rows: some hold more than one
        for batch in evidence.batches:
            for row, start, end in batch.documents or ():
                assert batch.positions()[row][start:end] == tuple(range(end - start))
        assert all(row.labels and row.labels[0] == MASKED for row in rows(evidence))
    said = {check.name: check.note for check in proof.certificate.runs["llamafactory"].checks}
    assert said["batches"] == f"{documents(trl)} packed documents, none of which sees another"


def test_who_packs_makes_no_difference(lab: Lab) -> None:
    assert "puts other documents into one row" in refusal(
        lab, "llamafactory", *APART, *FITTING, "data.prepare=framework"
    )
    native, prepared = packed(lab, "framework"), packed(lab, "ftspec")
    assert_equal(native)
    assert set(native.certificate.runs) == {"trl", "deepspeed"}
    ours, theirs = (
        [(row.step, row.ids, row.labels) for row in rows(proof.evidence("trl"))]
        for proof in (prepared, native)
    )
    assert ours == theirs


def test_rows_that_llamafactory_packs_itself_are_others_and_do_not_see_each_other(lab: Lab) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        own = lab.compiled(
            "llamafactory", folder / "own", *APART, *FITTING, "data.prepare=framework", lossy=True
        )
        ours = lab.compiled(
            "llamafactory", folder / "prepared", *APART, *FITTING, "data.prepare=ftspec", lossy=True
        )
        return {"own": own, "prepared": ours}

    proof = lab.compare("packed-by-llamafactory", runs, "prepared")
    own, prepared = (proof.evidence(name) for name in ("own", "prepared"))
    assert [row.ids for row in rows(own)] != [row.ids for row in rows(prepared)]
    assert documents(own) > 3 * 4
    for batch in own.batches:
        for row, start, end in batch.documents or ():
            assert batch.positions()[row][start:end] == tuple(range(end - start))


TOGETHER = ("data.packing=together", "data.max_length=255", "train.steps=3")


def restarts(evidence: Evidence) -> int:
    """Places behind the first token of a row, padding aside, where positions start again."""
    return sum(
        at > 0 and place == 0
        for batch in evidence.batches
        for row in batch.unpadded(batch.positions())
        for at, place in enumerate(row)
    )


def test_documents_that_see_each_other_train_alike(lab: Lab) -> None:
    """By trl with a mask of ones, by LLaMA-Factory with its plain `packing`."""
    sets = (*TOGETHER, "data.prepare=ftspec")
    assert "its CPU path turns packing off" in refusal(lab, "unsloth", *sets)
    assert "whole rows that it packs never see" in refusal(lab, "trl", *TOGETHER)
    for attention in ("flash_attention_2", "flash_attention_3"):
        more = (*sets, f"model.attention={attention}", "hardware.device=cuda")
        assert "keep its documents apart" in refusal(lab, "llamafactory", *more)
    proof = lab.prove(*sets)
    assert_equal(proof)
    assert set(proof.certificate.runs) == {"trl", "llamafactory", "deepspeed"}
    apart = lab.prove(*sets, "data.packing=documents")
    for name in ("trl", "llamafactory"):
        evidence = proof.evidence(name)
        assert documents(evidence) == 0  # nothing tells them apart
        assert restarts(evidence) >= 3
        alone = apart.evidence(name)
        tokens = [[token for row in rows(each) for token in row.ids] for each in (evidence, alone)]
        assert tokens[0] == tokens[1]
        # the same tokens in the same rows, and another loss: what comes before is seen
        assert abs((evidence.steps[0].loss or 0) - (alone.steps[0].loss or 0)) > 1e-4


def test_what_llamafactory_packs_itself_sees_each_other(lab: Lab) -> None:
    def runs(folder: Path) -> Mapping[str, Run]:
        sets = [(*TOGETHER, f"data.prepare={who}") for who in ("framework", "ftspec")]
        own, ours = (
            lab.compiled("llamafactory", folder / name, *each, lossy=True)
            for name, each in zip(("own", "prepared"), sets, strict=True)
        )
        return {"own": own, "prepared": ours}

    proof = lab.compare("packed-together-by-llamafactory", runs, "prepared")
    own = proof.evidence("own")
    assert documents(own) == 0 and restarts(own) >= 3
    assert {len(row) for batch in own.batches for row in batch.input_ids} == {256}
    assert all(on for batch in own.batches for row in batch.attended() for on in row)


def test_packing_is_trls_best_fit(tmp_path: Path) -> None:
    """Many lengths, ties among them, by trl's own function."""
    lengths = [1 + (n * 7919) % 97 for n in range(900)]
    (tmp_path / "lengths.json").write_text(json.dumps(lengths))
    code = (
        "import json; from datasets import Dataset; from trl import pack_dataset\n"
        "lengths = json.load(open('lengths.json'))\n"
        "rows = Dataset.from_dict({'input_ids': [[n] * k for n, k in enumerate(lengths)]})\n"
        "found = pack_dataset(rows, 100, 'bfd')['input_ids']\n"
        "json.dump([list(dict.fromkeys(row)) for row in found], open('bins.json', 'w'))\n"
    )
    python = str(ensure(load("trl")).python)
    subprocess.run([python, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert best_fit(lengths, 100) == json.loads((tmp_path / "bins.json").read_text())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_changed_document_moves_no_other(lab: Lab, tmp_path: Path, attention: str) -> None:
    """The very batch that was trained on, given to the model again with one document changed."""
    batch = packed(lab, "ftspec").evidence("trl").batches[0]
    spans = list(batch.documents or ())
    assert len(spans) > 2
    given = {
        "input_ids": batch.input_ids, "position_ids": batch.position_ids, "documents": spans,
        "changed": spans[0], "attention": attention,
    }  # fmt: skip
    (tmp_path / "batch.json").write_text(json.dumps(given))
    command = [
        str(ensure(load("trl")).python), str(SCRIPT), str(lab.specs / "tiny-model"), "batch.json",
        "out.json",
    ]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    moved = json.loads((tmp_path / "out.json").read_text())
    assert max(moved["apart"]) == 0  # token for token, to the last bit
    assert min(moved["seen"]) > 1e-6  # a mask of ones would have let them see each other


def test_blocks_are_the_same_everywhere(lab: Lab, text: str) -> None:
    sets = (
        "method.objective=cpt", f"data.train={text}", "data.packing=blocks", "data.max_length=64",
        "data.overflow=truncate", "train.steps=3",
    )  # fmt: skip
    assert "its CPU path turns packing off" in refusal(lab, "unsloth", *sets)
    proof = lab.prove(*sets, "data.prepare=ftspec")
    assert_equal(proof)
    assert len(proof.certificate.runs) == 4
    taken = rows(proof.evidence("trl"))
    assert {len(row.ids) for row in taken} == {64}
    assert all(row.labels and row.labels[1:] == row.ids[1:] for row in taken)
    assert any(END in (row.text or "")[:-12] for row in taken)  # a document ends within a block
    assert documents(proof.evidence("trl")) == 0  # and the next one sees it
    native = lab.prove(*sets, "data.prepare=framework", backends=("trl", "deepspeed"))
    assert_equal(native)
    assert {row.ids for row in rows(native.evidence("trl"))} & {row.ids for row in taken}


AXOLOTL = {
    "base_model": "../../specs/tiny-model",
    "datasets": [
        {"path": "../../specs/data/chat.jsonl", "ds_type": "json", "type": "chat_template"}
    ],
    "dataset_prepared_path": "prepared",
    "dataset_num_proc": 1,
    "dataloader_num_workers": 0,
    "plugins": [FRESH],
    "output_dir": "model",
    "sequence_len": 256,
    "sample_packing": True,
    "pad_to_sequence_len": True,
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "max_steps": 2,
    "seed": 42,
    "learning_rate": 1.0e-4,
    "optimizer": "adamw_torch",
    "lr_scheduler": "constant",
    "logging_steps": 1,
    "bf16": False,
    "tf32": False,
    "save_strategy": "no",
    "adapter": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_target_modules": ["q_proj", "v_proj"],
}


def test_what_axolotl_packs_sees_each_other_where_no_attention_is_named(lab: Lab) -> None:
    """Its own trainer, as it hands a batch to the model; what the import says of both."""
    packing = {"nothing": "together", "sdpa": "documents"}
    said = {"nothing": {}, "sdpa": {"attn_implementation": "sdpa"}}

    def runs(folder: Path) -> Mapping[str, Run]:
        made = {}
        for name, more in said.items():
            made[name] = lab.compiled("axolotl", folder / name, *OWN)
            config = made[name].folder / CONFIG
            config.write_text(yaml.dump([("all", {**AXOLOTL, **more})]))
            values = bring([config]).composed.values
            assert values["data.packing"] == packing[name]
        return made

    proof = lab.compare("packed-by-axolotl", runs, "nothing")
    nothing, sdpa = (proof.evidence(name) for name in said)
    assert documents(nothing) == 0 and restarts(nothing) >= 3
    assert all(batch.attention_mask for batch in nothing.batches)
    assert documents(sdpa) > 4 and not any(batch.attention_mask for batch in sdpa.batches)
    assert (nothing.steps[0].loss or 0) > 0
