"""Named templates: the tokens and labels that LLaMA-Factory gives conversations, for every name."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from ftspec.data.example import Example, Message
from ftspec.data.named import special_tokens, templates
from ftspec.data.named_text import named_template
from ftspec.data.template import Template
from ftspec.data.tokenise import encode
from ftspec.data.tokenizer import Tokens, load_tokenizer
from ftspec.env.install import ensure
from ftspec.env.variables import variables
from ftspec.registry import load
from ftspec.spec.chat_templates import NAMED, THINKING
from tests.conftest import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("template_reference.py")
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizers cut text before they merge; Llama 3's and others' differ in digits alone."""
WORDS = (
    "What is 12 + 30?", "It is 42.", "Où est-ce ? \u4f60\u597d", "{'a': [1, 2]}", "Tabs\tand  spaces ",
    "One line.\nAnother one.\n\nA third.", "```python\nprint('hi')\n```", "\\n is no end of a line", "!",
)  # fmt: skip
SYSTEMS = ("", "Be brief.", "Two\nlines: 'so'.")


def talks(name: str) -> list[dict[str, Any]]:
    """Conversations of one to three questions; answers with thoughts, where the template has any."""
    said = itertools.cycle(WORDS)
    found = [
        {
            "system": system,
            "messages": [
                {"role": role, "content": next(said)}
                for _ in range(turns)
                for role in ("user", "assistant")
            ],
        }
        for system in SYSTEMS
        for turns in (1, 2, 3)
        for _ in range(4)
    ]
    if name in THINKING:
        opened, closed = templates()[name].thought_words
        for one in found[::2]:
            for answer in one["messages"][1::2][-2:]:
                answer["content"] = f"{opened}{next(said)}{closed}{answer['content']}"
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer with the tokens of all templates."""
    folder = tmp_path_factory.mktemp("templates")
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    words = {token for name in NAMED for token in special_tokens(name)}
    stops = json.loads((ROOT / "ftspec/data/templates/llamafactory.json").read_text("utf-8"))
    words |= {word for name in NAMED for word in stops[name].get("stop_words", ())}
    trainer = trainers.BpeTrainer(
        vocab_size=3000,
        special_tokens=["<|endoftext|>", "<|begin|>", *sorted(words)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    made.train_from_iterator([*texts, *WORDS], trainer)
    made.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "bos_token": "<|begin|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def ours(name: str, tokens: Tokens, last: bool, thinking: bool) -> list[list[list[int]]]:
    options = {"enable_thinking": thinking}
    template = Template(named_template(name, last), tokens.special, options=options)
    found = []
    for talk in talks(name):
        turns = [{"role": "system", "content": talk["system"]}] if talk["system"] else []
        messages = tuple(Message(**turn) for turn in [*turns, *talk["messages"]])
        example = Example("chat", messages, given=len(messages) - 1)
        row = encode(
            example,
            tokens=tokens,
            template=template,
            train_on="completions" if last else "assistant",
        )
        found.append([row.input_ids, row.labels])
    return found


@pytest.mark.parametrize("thoughts", [True, False])
def test_every_name_gives_the_same_tokens(folder: Path, thoughts: bool) -> None:
    names = [name for name in NAMED if (name in THINKING) == thoughts]
    assert len(names) == (17 if thoughts else 62)
    asked = [
        {"name": name, "last": last, "thinking": thinking}
        for name in names
        for last in (True, False)
        for thinking in ((True, False) if thoughts else (True,))
    ]
    place = ensure(load("llamafactory"))
    environ = variables(place, {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"})
    question, answer = folder / "asked.json", folder / "out.json"
    question.write_text(json.dumps([{**one, "talks": talks(one["name"])} for one in asked]))
    command = [str(place.python), str(SCRIPT), str(folder), str(question), str(answer)]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    tokens, compared = load_tokenizer(folder), 0
    for one, theirs in zip(asked, json.loads(answer.read_text()), strict=True):
        for said, real in zip(ours(**one, tokens=tokens), theirs, strict=True):
            assert said == real, one
            compared += 1
    assert compared == 36 * len(asked)
