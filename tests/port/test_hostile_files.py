"""Files that are short, and would take all memory or hours to read: refused, or asked about, at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.port.bring import bring
from ftspec.port.cards import MOST
from ftspec.read import commands, json
from ftspec.read.scripts import worked
from ftspec.read.text import SIZE
from tests.port.conftest import Bring, fate

SCRIPT = """\
from trl import SFTConfig, SFTTrainer
from datasets import load_dataset
X = "aaaaaaaa"
{}
args = SFTConfig(output_dir=X, seed=1)
SFTTrainer(model="org/m", args=args, train_dataset=load_dataset("org/d", split="train")).train()
"""
TRAINER = "model_name_or_path: org/model\nstage: sft\ndo_train: true\ntemplate: qwen\ndataset: a\n"


@pytest.mark.parametrize("doubled", ['X = f"{X}{X}"', "X = os.path.join(X, X)", "X = str([X, X])"])
def test_a_text_that_doubles_is_not_known(read: Bring, doubled: str) -> None:
    """At the limit it is let go; at 24 times, without one, it would be 128 MiB."""
    before = "import os\nfrom pathlib import Path\n"
    found = read(before + SCRIPT.format("\n".join([doubled] * 24)), "train.py")
    assert "aaaaaaaa" not in found.composed.text
    assert any("SFTConfig.output_dir = X" in one for one in found.composed.open)


def test_a_text_of_a_few_pieces_is_still_known(read: Bring) -> None:
    found = read(SCRIPT.format('X = f"{X}/{X}"'), "train.py")
    assert "aaaaaaaa/aaaaaaaa" in found.composed.text


def test_a_list_of_long_texts_is_not_small() -> None:
    assert worked.is_small(["a" * 1000] * 1000)
    assert not worked.is_small(["a" * 1000] * (SIZE // 1000 + 1))


def test_a_whole_number_that_python_does_not_write(read: Bring) -> None:
    """In a script, 16 to the power of 9000 is short; its decimal digits are refused by `str`."""
    with pytest.raises(SpecError, match="whole number of thousands of digits"):
        read(SCRIPT.format(f"Y = 0x{'f' * 9000}"), "train.py")


@pytest.mark.parametrize("number", [f"0x{'f' * 9000}", f"0{'7' * 9000}", "1" + ":30" * 3000])
def test_a_whole_number_that_yaml_has_and_nobody_writes(read: Bring, number: str) -> None:
    with pytest.raises(SpecError, match="is no number") as error:
        read(f"{TRAINER}seed: {number}\n")
    assert error.value.problems[0].line == 6


@pytest.mark.parametrize(
    "script",
    ["A=aaaaaaaa\n" + 'A="$A$A"\n' * 20, "A=aaaaaaaa\n" + 'A+="$A"\n' * 20],
)
def test_a_variable_that_doubles_is_refused_with_its_file(tmp_path: Path, script: str) -> None:
    file = tmp_path / "run.sh"
    file.write_text(f"{script}trl sft --model_name_or_path $A --dataset_name d\n")
    with pytest.raises(SpecError, match="values of its variables") as error:
        bring([file])
    assert error.value.problems[0].file == str(file)


def test_a_file_that_a_script_writes_takes_no_more_in() -> None:
    script = f"A={'a' * 1000}\ncat > a.yaml <<EOF\n{'$A' * 5000}\nEOF\n"
    with pytest.raises(SpecError, match="values of its variables"):
        commands.read_whole(script)


@pytest.mark.parametrize("text", ['{"a": "' + '\\"' * 20_000, '{"a": 1 ' + "/* " * 100_000])
def test_quotes_and_comments_that_never_close_are_gone_over_once(text: str) -> None:
    began = time.process_time()
    assert json.uncommented(text) == text
    assert time.process_time() - began < 2  # 20 and more, where each one is a beginning


def test_comments_are_taken_out_as_before() -> None:
    text = '{"a": "//no", /* b */ "c": [1, // d\n 2,], # e\n}'
    assert json.read(json.uncommented(text)) == {"a": "//no", "c": [1, 2]}
    assert json.uncommented('{"a": 1} /*/') == '{"a": 1} /*/'


def test_places_in_json_are_counted_from_the_last_line() -> None:
    places = json.read_placed('\ufeff{"a": 1,\n  "b": [1,\n\n 2]}').places
    assert [(p.line, p.column) for p in places.values()] == [(1, 2), (2, 3), (2, 9), (4, 2)]


def test_a_card_of_many_blocks_is_refused(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("```yaml\na: 1\n```\n" * (MOST + 1))
    with pytest.raises(SpecError, match=f"more than {MOST} blocks") as error:
        bring([card])
    assert (error.value.problems[0].file, error.value.problems[0].line) == (str(card), 3 * MOST + 1)


def test_a_template_that_is_no_file_is_not_read(read: Bring, tmp_path: Path) -> None:
    """A pipe, as a device, has no end: to open it would wait for ever."""
    os.mkfifo(tmp_path / "template.jinja")
    text = (
        "base_model: org/model\nadapter: lora\nchat_template: jinja\n"
        "chat_template_jinja: template.jinja\n"
        "datasets:\n  - {path: org/rows, type: chat_template}\n"
    )
    assert fate(read(text), "chat_template_jinja")[0] != "unknown"


@pytest.mark.parametrize("name", ["token.yaml", "token.json"])
def test_the_beginning_of_a_secret_is_not_shown(read: Bring, name: str) -> None:
    """What is wrong with a file is told with its first letters, which alone have no secret's form."""
    with pytest.raises(SpecError, match="one value") as error:
        read(f'"hf_{"a1b2c3" * 6}"', name)
    assert "hf_a1" not in str(error.value)


def test_a_word_that_goes_deeper_than_any_config_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(TRAINER)
    script = tmp_path / "run.sh"
    script.write_text(f"llamafactory-cli train x.yaml a{'.b' * 3000}=1\n")
    assert any("no such place" in one for one in bring([script]).composed.open)
