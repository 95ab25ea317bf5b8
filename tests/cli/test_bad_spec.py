"""Mistakes in the spec file, and none of them ends in a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftspec.cli import main
from tests.cli.conftest import Command, Write, same
from tests.conftest import SPECS

pytestmark = pytest.mark.sweep

IN_THE_SPEC = {
    "wrong type": (
        [("batch_size: 4", "batch_size: four")],
        "spec.yaml:14:15: error[spec]: train.batch_size: expected a whole number, got the text 'four'\n",
    ),
    "out of range": (
        [("batch_size: 4", "batch_size: 0")],
        "spec.yaml:14:15: error[spec]: train.batch_size: expected 1 or more, got 0\n",
    ),
    "unknown key": (
        [("batch_size: 4", "batchsize: 4")],
        "spec.yaml:14:3: error[spec]: train.batchsize: `batchsize` is not a field of `train`\n"
        "  help: did you mean `batch_size`?\n",
    ),
    "a key of another place": (
        [("method: lora", "method: {type: lora}")],
        "spec.yaml:8:10: error[spec]: method.type: `type` is not a field of `method`\n"
        "  help: `type` belongs to `method.objective` or `method.tuner` or `method.tuner.init`\n",
    ),
    "wrong YAML": (
        [("method: lora", "method: [lora")],
        "spec.yaml:10:10: error[spec]: a list in brackets goes wrong here\n"
        "  help: separate items with commas, close with `]`\n",
    ),
    "an alias": (
        [("method: lora", "method: *x")],
        "spec.yaml:8:9: error[spec]: {...}alias{...}\n  help: {...}\n",
    ),
    "duplicate key": (
        [("method: lora", "method: lora\nmethod: full")],
        "spec.yaml:9:1: error[spec]: `method` is there twice; it is first on line 8\n"
        "  help: keep one of them\n",
    ),
    "an invisible character": (
        [("model: ./tiny-model", "model: ./tiny\u202e-model")],
        "spec.yaml:1:14: error[spec]: the file holds the invisible character U+202E\n"
        "  help: remove it\n",
    ),
    "planned method": (
        [("method: lora", "method: ipo")],
        "spec.yaml:8:9: error[spec]: method `ipo` is not in this version of ftspec yet\n"
        "  help: identity preference optimisation; this version has {...}\n",
    ),
    "values that exclude each other": (
        [("  steps: 4", "  steps: 4\n  epochs: 1")],
        "spec.yaml:14:11: error[spec]: train.epochs: `epochs` and `steps` exclude each other: keep one\n",
    ),
    "missing model folder": (
        [("./tiny-model", "./tiny-modell")],
        "spec.yaml:1:8: error[spec]: model.name: there is no model folder ./tiny-modell\n"
        "  help: paths start at the spec's own folder; a hub id has no leading `.` or `/`\n",
    ),
    "a micro batch that does not divide": (
        [("batch_size: 4", "batch_size: 30\n  micro_batch_size: 4")],
        "spec.yaml:14:15: error[spec]: train.batch_size: a batch of 30 rows cannot be split over "
        "micro batch x devices = 4 (4 x 1)\n"
        "  help: a train.batch_size of 28 or 32 would do, or a train.micro_batch_size of "
        "1, 2, 3, 5, 6, 10, 15, 30\n",
    ),
    "a batch that devices cannot share": (
        [("batch_size: 4", "batch_size: 5"), ("device: cpu", "device: cpu\n  devices: 8")],
        "spec.yaml:14:15: error[spec]: train.batch_size: a batch of 5 rows cannot be split over "
        "devices = 8\n  help: a train.batch_size of 8 would do\n",
    ),
    "a hub data set of unknown format": (
        [("train: chat.jsonl", "train: org/rows"), ("  overflow: error\n", "")],
        "spec.yaml:4:10: error[spec]: data.train: the format of the hub data set org/rows cannot be "
        "seen from here\n"
        "  help: name it: `format: messages` (or sharegpt, alpaca, prompt-completion, text, preference, "
        "preference-implicit, sharegpt-ranking, alpaca-ranking, prompt, unpaired, messages-unpaired, "
        "sharegpt-unpaired, alpaca-unpaired)\n",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_SPEC)
def test_mistakes_in_the_spec(mistake: str, ftspec: Command, write: Write) -> None:
    changes, message = IN_THE_SPEC[mistake]
    done = ftspec("validate", write(*changes))
    assert (done.code, done.out) == (2, "")
    same(done.err, message)


def test_all_mistakes_are_told_at_once(ftspec: Command, write: Write) -> None:
    file = write(
        ("batch_size: 4", "batchsize: 4"), ("max_length: 256", "max_length: no"),
        ("device: cpu", "device: gpu"),
    )  # fmt: skip
    done = ftspec("validate", file)
    lines = [line for line in done.err.splitlines() if "error[spec]" in line]
    assert [line.partition(": error")[0] for line in lines] == [
        "spec.yaml:5:15", "spec.yaml:14:3", "spec.yaml:17:11",
    ]  # fmt: skip


def test_files_that_are_no_spec(ftspec: Command, write: Write) -> None:
    write()
    same(
        ftspec("validate", "absent.yaml").err,
        "absent.yaml: error[spec]: there is no such file\n  help: the folder has spec.yaml\n",
    )
    same(
        ftspec("validate", ".").err,
        ".: error[spec]: this is a folder, not a spec\n  help: name the file in it: spec.yaml\n",
    )
    Path("empty.yaml").write_text("# nothing\n")
    same(
        ftspec("validate", "empty.yaml").err,
        "empty.yaml: error[spec]: the file is empty\n  help: start from `ftspec init`\n",
    )
    Path("list.yaml").write_text("- a\n")
    same(
        ftspec("validate", "list.yaml").err,
        "list.yaml:1:1: error[spec]: the file holds a list, not a spec\n"
        "  help: a spec is made of `key: value` lines; the least is `model:` and `data:`\n",
    )


@pytest.mark.parametrize(
    ("file", "title"), [("llamafactory.yaml", "LLaMA-Factory"), ("trl.yaml", "TRL")]
)
def test_the_config_of_another_tool_is_told_for_what_it_is(
    file: str, title: str, ftspec: Command
) -> None:
    config = SPECS / "foreign" / file
    for command in ("validate", "plan", "run", "verify", "data preview"):
        done = ftspec(*command.split(), config)
        assert done.code == 2 and done.err.count("error[") == 1
        assert f"this is a config of {title}, not a spec" in done.err
        assert f"ftspec import {config} -o spec.yaml" in done.err


def test_a_script_is_told_for_what_it_is(ftspec: Command) -> None:
    Path("train.py").write_text(
        "from trl import SFTConfig, SFTTrainer\n"
        'trainer = SFTTrainer("org/model", args=SFTConfig("out"))\ntrainer.train()\n'
    )
    done = ftspec("plan", "train.py")
    assert done.code == 2 and done.err.count("error[") == 1
    assert "this is a script for TRL, not a spec" in done.err
    Path("other.py").write_text("print(1)\n")
    assert "script for" not in ftspec("plan", "other.py").err


def test_a_mistake_in_set_names_the_option(ftspec: Command, write: Write) -> None:
    done = ftspec("plan", write(), "--set", "train.learning_rate=fast")
    assert done.code == 2
    same(
        done.err,
        "--set train.learning_rate=fast: error[spec]: train.learning_rate: expected a number, "
        "got the text 'fast'\n",
    )


def mutations(text: str) -> list[str]:
    """Every line of a spec damaged in several ways."""
    lines = text.splitlines()
    damaged = []
    for number, line in enumerate(lines):
        body, indent = line.strip(), line[: len(line) - len(line.lstrip())]
        if not body or body.startswith("#"):
            continue
        key, _, value = body.partition(":")
        for other in (
            None, f"{indent} {body}", f"{indent}{key}", f"{indent}{key}:", f"{indent}{key}: [{value}",
            f"{indent}{key}x:{value}", f"{indent}{key}: -1", f"{indent}{key}: {{a: 1}}",
            f"{indent}{key}: [no, 1e400]", f"{indent}{key}: '", f"{line}\n{line}", f"\t{body}",
            f"{indent}{key}: *a", f"{indent}{key}: !!python/object:os.system {value}",
            f"{indent}{key}: &a {value}", f"{indent}- {body}", f"{indent}{key}: \u202e{value}",
            f"{indent}{key}: ./absent", f"{indent}{key}: 2024-01-01", f"{indent}{key}: |\n  {value}",
            f"{indent}{key}: 99999999999999999999999", f"{indent}? {body}", f"{indent}{key}: .nan",
        ):  # fmt: skip
            rest = lines[:number] + ([] if other is None else [other]) + lines[number + 1 :]
            damaged.append("\n".join(rest) + "\n")
    return damaged


def test_no_damage_to_a_spec_ends_in_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, somewhere: Path
) -> None:
    (somewhere / "data").symlink_to(SPECS / "data")
    specs = sorted(SPECS.glob("*.yaml"))
    texts = [text for spec in specs for text in mutations(spec.read_text("utf-8"))]
    assert len(specs) >= 7
    assert len(texts) >= 2500
    codes: dict[int, int] = {}
    for text in texts[::9]:  # a ninth of all, evenly: a few seconds
        Path("spec.yaml").write_text(text, "utf-8")
        monkeypatch.setattr("sys.argv", ["ftspec", "validate", "spec.yaml"])
        with pytest.raises(SystemExit) as stop:  # any other exception is a traceback
            main()
        code = stop.value.code
        assert isinstance(code, int)
        codes[code] = codes.get(code, 0) + 1
        said = capsys.readouterr()
        if code == 2:
            problems = re.findall(
                r"^spec\.yaml(:\d+:\d+)?: error\[spec\]: .+", said.err, re.MULTILINE
            )
            assert problems, said.err
        else:
            assert code == 0 or "error[" in said.err + said.out, text
    assert set(codes) <= {0, 2, 3, 4, 5}
    assert sum(codes.values()) >= 280
    assert codes[2] >= 180
