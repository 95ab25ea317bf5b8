"""LLaMA-Factory's data sets, how it joins their rows, and what today's release does not hear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftspec.port.documents import Document
from ftspec.port.formats.llamafactory.data import sources
from ftspec.port.formats.llamafactory.shipped import SHIPPED
from ftspec.port.rules import Context
from ftspec.read.placed import Placed
from ftspec.spec.data import Source
from tests.port.conftest import Bring, fate

LEAST = "model_name_or_path: org/model\ndo_train: true\noutput_dir: saves/one\n"
SFT = f"{LEAST}stage: sft\ndataset: identity\n"
PT = f"{LEAST}stage: pt\ndataset: c4_demo\n"
GALORE = f"{SFT}finetuning_type: full\nuse_galore: true\ngalore_layerwise: true\n"
CHATS = {
    "file_name": "chats.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
    },
}


def test_a_data_set_of_its_own_is_a_source_or_has_a_reason() -> None:
    found, missing = 0, 0
    for name in SHIPPED:
        document = Document(Path("train.yaml"), Placed({"dataset": name}, {}))
        told = sources((name,), Context(document, None))
        assert bool(told.sources) != bool(told.missing), name
        found += len([Source.model_validate(one) for one in told.sources])
        missing += bool(told.missing)
    assert (found, missing) == (85, 17)


@pytest.mark.parametrize(
    ("begins", "kind"), [(("user",), "derived"), (("user", "system"), "approximated")]
)
def test_rows_that_are_here_tell_whether_any_is_left_out(
    read: Bring, tmp_path: Path, begins: tuple[str, ...], kind: str
) -> None:
    rows = [{"messages": [{"role": role, "content": "hello"}]} for role in begins]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    info = {"dataset_info.json": json.dumps({"chat": CHATS})}
    imported = read(f"{LEAST}stage: sft\ndataset: chat\ndataset_dir: .\n", other=info)
    assert fate(imported, "dataset")[0] == kind


@pytest.mark.parametrize(
    ("folder", "name", "kind", "why"),
    [
        ("ONLINE", "org/rows", "derived", "names of the hub"),
        ("REMOTE:org/sets", "rows", "unknown", "the hub's org/sets"),
        ("mine", "identity", "unknown", "give that file as well"),
        ("./data/", "identity", "derived", "itself has these"),
    ],
)
def test_where_data_sets_are_named(
    read: Bring, folder: str, name: str, kind: str, why: str
) -> None:
    imported = read(f"{LEAST}stage: sft\ndataset: {name}\ndataset_dir: {folder}\n")
    found, reason = fate(imported, "dataset")
    assert (found, why in reason) == (kind, True)


def test_a_folder_of_the_hub_is_no_other_data(read: Bring) -> None:
    imported = read(f"{LEAST}stage: pt\ndataset: starcoder_python\n")
    kind, why = fate(imported, "dataset")
    assert kind == "unknown" and "a folder of a data set" in why


@pytest.mark.parametrize(
    ("more", "packing", "length"),
    [
        ("", "blocks", 2048),
        ("packing: true\ncutoff_len: 64\n", "blocks", 63),
        ("packing: false\n", None, 2048),
    ],
)
def test_plain_texts_are_joined_unless_they_are_not(
    read: Bring, more: str, packing: str | None, length: int
) -> None:
    imported = read(PT + more)
    data = imported.composed.spec.data
    assert (data.packing, data.max_length) == (packing, length)
    kind, why = fate(imported, "stage")
    assert kind == "approximated" and ("drops what does not fill" in why) == bool(packing)
    assert not [note for note in imported.notes if "see each other" in note]


@pytest.mark.parametrize(
    ("text", "key", "kind"),
    [
        (SFT, "preprocessing_num_workers: 16", "inert"),
        (PT, "preprocessing_num_workers: 16", "approximated"),
        (PT, "preprocessing_num_workers: 1", "inert"),
        (f"{PT}packing: false\n", "preprocessing_num_workers: 16", "inert"),
        (f"{SFT}neat_packing: true\n", "preprocessing_num_workers: 2", "approximated"),
        (PT, "preprocessing_batch_size: 10", "approximated"),
        (SFT, "preprocessing_batch_size: 10", "inert"),
    ],
)
def test_who_prepares_rows_counts_where_they_are_joined(
    read: Bring, text: str, key: str, kind: str
) -> None:
    assert fate(read(f"{text}{key}\n"), key.partition(":")[0])[0] == kind


def test_a_folder_of_saved_rows(read: Bring, tmp_path: Path) -> None:
    assert fate(read(f"{SFT}tokenized_path: saved\n"), "tokenized_path")[0] == "inert"
    stream = f"{SFT}tokenized_path: saved\nstreaming: true\n"
    assert fate(read(stream), "tokenized_path")[0] == "unknown"
    (tmp_path / "saved").mkdir()
    kind, why = fate(read(f"{SFT}tokenized_path: saved\n"), "tokenized_path")
    assert kind == "unknown" and "that are saved there train" in why


def test_steps_that_no_schedule_reaches(read: Bring) -> None:
    cosine = f"{GALORE}lr_scheduler_type: cosine\nwarmup_ratio: 0.1\n"
    imported = read(cosine)
    assert fate(imported, "galore_layerwise")[0] == "exact"
    assert fate(imported, "lr_scheduler_type")[0] == fate(imported, "warmup_ratio")[0] == "inert"
    train = imported.composed.spec.train
    assert (train.schedule.type, train.warmup_steps) == ("constant", 0)
    assert imported.faithful and any("rate is constant" in note for note in imported.notes)
    assert any("it stops here" in note for note in imported.notes)
    assert not imported.parts[0].native.keys() & {"lr_scheduler_type", "warmup_ratio"}
    older = read(cosine, version="llamafactory==0.9.4")
    assert older.composed.spec.train.schedule.type == "cosine"
    assert older.faithful and older.composed.spec.train.optimizer.model_dump()["layerwise"]


@pytest.mark.parametrize(
    ("more", "version", "kind"),
    [
        ("fp8_backend: torchao\n", "0.9.5", "inert"),
        ("fp8_backend: te\n", "0.9.5", "unknown"),
        ("", "0.9.4", "approximated"),
    ],
)
def test_float8_that_is_not_heard(read: Bring, more: str, version: str, kind: str) -> None:
    imported = read(f"{SFT}bf16: true\nfp8: true\n{more}", version=f"llamafactory=={version}")
    assert fate(imported, "fp8")[0] == kind
    assert any("no float8" in note for note in imported.notes) == (kind == "inert")
    assert "fp8" not in imported.parts[0].native


def test_layers_that_fsdp_wraps_are_named_above_its_section(read: Bring) -> None:
    text = f"{SFT}fsdp: [full_shard, auto_wrap]\nfsdp_transformer_layer_cls_to_wrap: A, B\n"
    imported = read(text)
    assert fate(imported, "fsdp_transformer_layer_cls_to_wrap")[0] == "renamed"
    fsdp = imported.composed.spec.hardware.fsdp
    assert fsdp is not None and fsdp.transformer_layer_cls_to_wrap == ("A", "B")


def test_a_loss_that_stays_near(read: Bring) -> None:
    text = (
        f"{SFT}finetuning_type: lora\nuse_asft_loss: true\nasft_alpha: 0.05\nref_model: org/model\n"
    )
    imported = read(f"{text}per_device_train_batch_size: 2\ngradient_accumulation_steps: 4\n")
    objective = imported.composed.spec.method.objective.model_dump()
    said = {name: objective[name] for name in ("loss", "anchor_weight", "average", "sum_passes")}
    assert said == {
        "loss": "asft", "anchor_weight": 0.05, "average": "batches", "sum_passes": True
    }  # fmt: skip
    assert read(text).composed.spec.method.objective.model_dump()["average"] == "tokens"
    two = read(text, devices=2).composed.spec.method.objective.model_dump()
    assert (two["average"], two["sum_passes"]) == ("batches", False)
    other = read(text.replace("ref_model: org/model", "ref_model: org/other"))
    assert fate(other, "ref_model")[0] == "unknown"
    first = read(f"{text}use_dft_loss: true\n").composed.spec.method.objective.model_dump()
    assert first["loss"] == "dft"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("task: mmlu_test\ntemplate: fewshot\nlang: en\nn_shot: 5\nbatch_size: 4\nsave_dir: s\n", "cli eval"),
        ("export_dir: out\nexport_size: 5\ntemplate: qwen\n", "adapter: merge"),
        ("stage: sft\ndo_predict: true\neval_dataset: identity\n", "evaluates or predicts"),
        ("template: qwen\ninfer_backend: vllm\n", "for chatting, serving"),
    ],
)  # fmt: skip
def test_a_file_of_another_command_says_so_once(read: Bring, more: str, told: str) -> None:
    imported = read(f"model_name_or_path: org/model\nfinetuning_type: lora\n{more}")
    assert not [fate for fate in imported.fates if not fate.faithful]
    assert len([why for why in imported.composed.open if told in why]) == 1
    assert not imported.faithful


def test_what_measures_does_not_train(read: Bring) -> None:
    kind, why = fate(read(f"{SFT}task: mmlu_test\n"), "task")
    assert kind == "unknown" and "no such setting" in why


def test_processes_that_ray_starts(read: Bring) -> None:
    kind, why = fate(read(f"{SFT}ray_num_workers: 4\n"), "ray_num_workers")
    assert kind == "approximated" and "--devices 4" in why
    assert fate(read(f"{SFT}ray_num_workers: 4\n", devices=4), "ray_num_workers")[0] == "derived"


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ("", "truncate-turns"),
        ("mask_history: true\n", "truncate-turns"),
        ("stage: dpo\n", "truncate-turns"),
        ("stage: kto\n", "truncate-turns"),
        ("stage: rm\n", "truncate-turns"),
        ("stage: pt\n", "truncate"),
    ],
)
def test_long_rows_are_cut_in_its_own_way(read: Bring, more: str, word: str) -> None:
    text = SFT.replace("stage: sft\n", "") if "stage" in more else SFT
    imported = read(text + more)
    assert imported.composed.spec.data.overflow == word
    assert not [note for note in imported.notes if "cutoff_len" in note]


def test_packed_rows_share_rows_otherwise(read: Bring) -> None:
    imported = read(SFT + "packing: true\nneat_packing: true\n")
    kind, why = fate(imported, "neat_packing")
    assert kind == "derived" and "which of them share one row is chosen otherwise" in why
    assert imported.composed.spec.data.packing == "documents"


ONE = "per_device_train_batch_size: 1\n"


@pytest.mark.parametrize(
    ("more", "kind", "packing", "told"),
    [
        ("", "derived", "together", "see those before them"),
        ("neat_packing: false\n", "derived", "together", "see those before them"),
        ("flash_attn: disabled\n", "derived", "together", "see those before them"),
        (f"flash_attn: fa2\n{ONE}", "derived", "documents", "by their positions"),
        (f"flash_attn: fa2\nneat_packing: false\n{ONE}", "derived", "documents", "by their"),
        ("flash_attn: fa2\n", "unknown", None, "a batch of several rows"),
        (f"flash_attn: fa3\n{ONE}", "derived", "documents", "by their positions"),
    ],
)
def test_plain_packing_is_told_by_the_kernel(
    read: Bring, more: str, kind: str, packing: str | None, told: str
) -> None:
    """transformers: flash attention leaves a mask of ones out, and asks a single row for its positions."""
    imported = read(f"{SFT}packing: true\n{more}")
    found, why = fate(imported, "packing")
    assert found == kind and told in why
    assert imported.composed.spec.data.packing == packing


@pytest.mark.parametrize("name", ["openai/gpt-oss-20b", "google/gemma-2-2b-it"])
def test_plain_packing_of_models_with_a_kernel_of_their_own(read: Bring, name: str) -> None:
    text = SFT.replace(SFT.split("model_name_or_path: ")[1].splitlines()[0], name)
    kind, why = fate(read(f"{text}packing: true\n"), "packing")
    assert kind == "unknown" and "which attention it takes" in why


def test_columns_that_it_never_asks_for_are_none(read: Bring, tmp_path: Path) -> None:
    named = {"messages": "conversations", "role": "from", "content": "value"}
    entry = {"file_name": "rows.json", "formatting": "sharegpt", "columns": named}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps({"mine": entry}))
    imported = read(SFT.replace("identity", "mine") + "template: qwen\n")
    assert fate(imported, "dataset")[0] == "derived"
    assert imported.composed.values["data.train"][0]["format"] == "sharegpt"


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("split: train\n", True),
        ("evaluation_strategy: 'no'\n", True),
        ("split: train\nimage_max_pixels: 1000\n", False),
        ("", False),
    ],
)
def test_how_large_images_were_once_is_asked(read: Bring, more: str, asked: bool) -> None:
    imported = read(f"{SFT.replace('identity', 'mllm_demo')}template: qwen2_vl\n{more}")
    questions = [one for one in imported.composed.open if "image_max_pixels is not said" in one]
    assert len(questions) == asked


def test_pissa_began_with_fewer_steps_once(read: Bring) -> None:
    imported = read(f"{SFT}template: qwen\npissa_init: true\nsplit: train\n")
    assert imported.composed.values["method.tuner.init.iterations"] == 4
