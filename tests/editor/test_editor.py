"""The schema in the real yaml-language-server: what people see in their editors.

The server comes from npm, pinned by package-lock.json; without Node these tests are skipped.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.spec.pipeline import read_any
from ftspec.spec.starter import STARTERS, starter
from ftspec.spec.text import parse
from tests.conftest import ROOT, SPECS
from tests.editor.documents import BAD, BASE, GOOD, ONLY_LOADER
from tests.editor.language_server import LanguageServer

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")), reason="Node is not installed"
    ),
]
HERE = Path(__file__).parent
PROGRAM = HERE / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
MODELINE = "# yaml-language-server: $schema=./ftspec.v1.json\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    if not PROGRAM.is_file():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=300)
    folder = tmp_path_factory.mktemp("editor")
    shutil.copy(ROOT / "schemas" / "ftspec.v1.json", folder)
    running = LanguageServer(PROGRAM, folder)
    yield running
    running.stop()


def errors(server: LanguageServer, *texts: str) -> list[list[tuple[int, str]]]:
    """Of each text, line (1-based, the modeline not counted) and message of each red underline."""
    every = [server.open(MODELINE + text) for text in texts]
    return [
        [
            (e["range"]["start"]["line"], e["message"])
            for e in server.problems(uri)
            if e["severity"] == 1
        ]
        for uri in every
    ]


def loader_takes(text: str) -> bool:
    try:
        read_any(parse(text), Path("spec.yaml"))
    except SpecError:
        return False
    return True


def test_the_lock_names_no_registry() -> None:
    lock = (HERE / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert '"version": "1.25.0"' in lock


def test_the_examples_are_clean_and_the_planned_are_not(server: LanguageServer) -> None:
    swept = [path for path in sorted(SPECS.glob("*.yaml")) if not path.name.endswith(".tmp.yaml")]
    assert len(swept) == 43
    for path in swept:
        text = path.read_text("utf-8").replace("../schemas/", "./")
        uri = server.open(text)
        found = server.problems(uri)
        assert bool(found) == text.startswith("# planned: "), (path.name, found)


@pytest.mark.parametrize("name", STARTERS)
def test_starters_are_clean(server: LanguageServer, name: str) -> None:
    uri = server.open(starter(name, schema="./ftspec.v1.json"))
    assert not server.problems(uri)


def test_editor_and_loader_agree(server: LanguageServer) -> None:
    assert len(GOOD) + len(BAD) >= 60
    for text, found in zip(GOOD, errors(server, *GOOD), strict=True):
        assert loader_takes(text), text
        assert not found, text
    for (text, line), found in zip(BAD, errors(server, *(text for text, _ in BAD)), strict=True):
        assert not loader_takes(text), text
        assert line in [where for where, _ in found], (text, found)


def test_the_known_differences_are_real(server: LanguageServer) -> None:
    texts = [text for text, _ in ONLY_LOADER]
    for (text, why), found in zip(ONLY_LOADER, errors(server, *texts), strict=True):
        assert not loader_takes(text), text
        assert not found, (text, why)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: {tuner: {type: full, rank: 8}}", "Property rank is not allowed."),
        ("method: {tuner: {type: lora, rank: x}}", 'Incorrect type. Expected "integer".'),
        (
            "method: boft",
            "Value is not accepted. Valid values: {words}.",
        ),
        ("train: {epochs: 1, steps: 2}", "`epochs` and `steps` exclude each other: keep one"),
        ("hardware: {zero: {offload_parameters: true}}", "`offload_parameters` needs stage 3"),
        ("output: {hub: a b}", "expected a repository, `org/name` or a bare name"),
        ("train: {micro_batch_size: 0}", "Value is below the minimum of 1."),
        ("stages: [{name: a, train: {seed: x}}]", 'Incorrect type. Expected "integer".'),
        (
            "stages: [{name: a, model: {stage: b, revision: c}}]",
            "`name` and `stage` exclude each other: keep one",
        ),
        ("stages: [{name: a, method: boft}]", "Value is not accepted. Valid values: {words}."),
        (
            "precision: {compute: fp9}",
            'Value is not accepted. Valid values: "fp32", "bf16", "fp16", "bf16-weights", "fp16-weights", '
            '"bf16-pure", "fp8".',
        ),
    ],
)
def test_messages_are_precise(server: LanguageServer, text: str, message: str) -> None:
    (found,) = errors(server, BASE + text)
    words = ", ".join(f'"{word}"' for word in WORDS)
    assert [said for _, said in found] == [message.replace("{words}", words)]


WORDS = ["full", "lora", "oft", "ia3", "prefix", "prompt", "p-tuning", "loha", "lokr", "vera",
         "adalora", "sft", "cpt", "dpo", "kto", "orpo", "cpo", "simpo", "reward", "gkd",
         "ebft", "ebft-strided",
         "qlora", "qoft", "bitfit", "norms", "rslora", "dora", "pissa", "olora", "eva", "loftq"]  # fmt: skip
"""What may follow `method:`, in the schema's order."""
SCHEDULES = ["constant", "cosine", "cosine-restarts", "inverse-sqrt", "linear", "polynomial",
             "warmup-stable-decay"]  # fmt: skip
SECTIONS = ["adalora", "full", "ia3", "loha", "lokr", "lora", "oft", "p-tuning", "partial", "peft",
            "prefix", "prompt", "qlora", "qoft", "vera"]  # fmt: skip
BARE = [*({*SECTIONS} - {"partial", "peft"}), "bitfit", "norms", "rslora", "dora", "pissa", "olora",
        "eva", "loftq"]  # fmt: skip
"""Words that stand for a tuner by themselves; `partial` and `peft` need to say more."""
LORA = ["adapter", "alpha", "alpha_pattern", "bias", "dora", "dropout", "exclude", "init", "layers",
        "modules_to_save", "parameters", "plus_embedding_rate", "plus_ratio", "rank", "rank_pattern",
        "rslora", "targets", "trainable_tokens"]  # fmt: skip
STAGE = ["Stage", "data", "hardware", "method", "model", "name", "native", "output", "precision", "run",
         "train", "write"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column", "labels"),
    [
        (
            "method: ",
            8,
            sorted(
                [
                    *(*BARE, "cpo", "cpt", "dpo", "ebft", "ebft-strided", "gkd"),
                    *("kto", "orpo", "reward", "sft", "simpo"),
                ]
            ),
        ),
        ("method:\n  tuner: ", 9, sorted(BARE)),
        ("method:\n  tuner:\n    type: ", 10, SECTIONS),
        ("method:\n  tuner:\n    type: lora\n    ", 4, LORA),
        ("method:\n  tuner:\n    type: full\n    ", 4, []),
        (
            "precision: ",
            11,
            ["bf16", "bf16-pure", "bf16-weights", "fp16", "fp16-weights", "fp32", "fp8"],
        ),
        ("train:\n  schedule: ", 12, SCHEDULES),
        (
            "data2:\nmodel:\n  attention: ",
            13,
            ["eager", "flash_attention_2", "flash_attention_3", "sdpa"],
        ),
        ("run:\n  ", 2, ["backends", "environment", "telemetry"]),
        ("stages:\n  - ", 4, STAGE),
        ("stages:\n  - name: a\n    run:\n      ", 6, ["backends", "environment", "telemetry"]),
        (
            "stages:\n  - name: a\n    model:\n      stage: b\n      adapter: ",
            15,
            ["continue", "merge", "null"],
        ),
        ("stages:\n  - name: a\n    method:\n      tuner:\n        type: full\n        ", 8, []),
        (
            "hardware:\n  ",
            2,
            ["device", "devices", "fsdp", "nodes", "sequence_parallel", "tensor_parallel", "zero"],
        ),
        (
            "output:\n  trackers:\n    - ",
            6,
            ["mlflow", "swanlab", "tensorboard", "trackio", "wandb"],
        ),
    ],
)
def test_what_is_offered(server: LanguageServer, text: str, column: int, labels: list[str]) -> None:
    uri = server.open(MODELINE + text)
    server.problems(uri)
    assert sorted(set(server.labels(uri, text.count("\n") + 1, column))) == labels


def test_an_empty_file_offers_a_whole_spec(server: LanguageServer) -> None:
    uri = server.open(MODELINE)
    server.problems(uri)
    assert {"ftspec", "model", "data", "method"} <= set(server.labels(uri, 1, 0))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "The model to tune."),
        ("", 2, "Training and evaluation data."),
        ("train:\n  learning_rate: 1", 4, "Peak learning rate. Left out: 2e-4 for LoRA"),
        ("method:\n  tuner:\n    type: lora\n    rank: 8", 6, "Rank of the update."),
        ("hardware:\n  zero: 3", 4, "ZeRO sharding"),
        ("method: lora", 3, "supervised fine-tuning"),
        ("stages:\n  - name: a\n    model:\n      stage: b", 6, "The earlier stage whose result"),
        ("stages:\n  - name: a\n    train:\n      learning_rate: 1", 6, "Peak learning rate."),
    ],
)
def test_what_is_shown(server: LanguageServer, text: str, line: int, words: str) -> None:
    document = MODELINE + BASE + text
    uri = server.open(document)
    server.problems(uri)
    shown = document.splitlines()[line]
    assert words in server.hover(uri, line, len(shown) - len(shown.lstrip()) + 1)
