"""Scripts that train no language model, and rows that are named by an address or a reader."""

from __future__ import annotations

import pytest

from ftspec.errors import SpecError
from tests.port.conftest import Bring, fate
from tests.port.test_scripts import UNSLOTH

LOAD = 'load_dataset("json", data_files="data/chat.jsonl", split="train")'


@pytest.mark.parametrize(
    ("added", "what"),
    [
        ("model = FastSentenceTransformer.from_pretrained('org/model')", "embeddings"),
        ("base = of(AutoModelForSequenceClassification)", "classes apart"),
        ("model.lm_head.weight = cut", "classes apart"),
        ("base = of(WhisperForConditionalGeneration)", "speech"),
        ("from snac import SNAC", "speech"),
        ("trainer = Seq2SeqTrainer(model)", "one half"),
    ],
)
def test_what_trains_no_language_model(read: Bring, added: str, what: str) -> None:
    with pytest.raises(SpecError, match=f"it trains .*{what}.*: ftspec trains language models"):
        read(UNSLOTH.replace("length = 512", f"length = 512\n{added}"), "train.py")


@pytest.mark.parametrize(
    "added",
    [
        "from transformers import AutoModelForSequenceClassification",
        "judge = of(AutoModelForSequenceClassification)\nscored = RewardTrainer(judge)",
        "from sentence_transformers import SentenceTransformer",
    ],
)
def test_what_may_be_a_reward_or_nothing(read: Bring, added: str) -> None:
    read(UNSLOTH.replace("length = 512", f"length = 512\n{added}"), "train.py")


@pytest.mark.parametrize(
    ("load", "source"),
    [
        ('"json", data_files="https://huggingface.co/datasets/org/rows/resolve/main/a/b.jsonl"',
         {"hub": "org/rows", "files": ["a/b.jsonl"], "revision": None}),
        ('"csv", data_files={"train": "https://huggingface.co/datasets/org/rows/raw/v1/b.csv"}',
         {"hub": "org/rows", "files": ["b.csv"], "revision": "v1"}),
    ],
)  # fmt: skip
def test_a_file_of_the_hub_by_its_address(
    read: Bring, load: str, source: dict[str, object]
) -> None:
    found = read(UNSLOTH.replace(LOAD, f'load_dataset({load}, split="train")'), "train.py")
    (one,) = found.composed.values["data.train"]
    got = {"hub": one["hub"], "files": list(one["files"]), "revision": one["revision"]}
    assert got == source


@pytest.mark.parametrize(
    "load",
    ['"text", data_files="corpus.txt"', '"json", data_files="https://example.org/a.jsonl"',
     '"json", data_dir="data"', '"json", data_files="data/chat.jsonl.gz"'],
)  # fmt: skip
def test_a_reader_is_no_data_set(read: Bring, load: str) -> None:
    found = read(UNSLOTH.replace(LOAD, f'load_dataset({load}, split="train")'), "train.py")
    assert any("which data" in one for one in found.composed.open)
    assert [one for one in found.fates if one.kind == "unknown"]


def test_a_column_of_texts(read: Bring) -> None:
    named = UNSLOTH.replace(
        "train_dataset=dataset,", 'train_dataset=dataset, dataset_text_field="body",'
    )
    found = read(named, "train.py")
    (one,) = found.composed.values["data.train"]
    assert (one["format"], one["columns"]) == ("text", {"text": "body"})
    assert found.composed.values["method.objective.type"] == "cpt"
    assert fate(found, "dataset_text_field")[0] == "approximated"
    made = named.replace("trainer = ", "dataset = Dataset.from_list(rows)\ntrainer = ")
    assert read(made, "train.py").composed.values.get("method.objective.type") == "sft"


def test_nothing_is_saved_where_no_folder_is_named(read: Bring) -> None:
    own = UNSLOTH.replace("TrainingArguments", "SFTConfig").replace(', output_dir="outputs"', "")
    found = read(own, "train.py")
    assert found.composed.values["output.folder"] == "unsloth_training_checkpoints"
    assert found.composed.spec.train.save_steps is None
