"""Ids and labels: what is trained on, for every kind of row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, processors

from ftspec.data.example import Example, Message
from ftspec.data.template import Template, load_template
from ftspec.data.tokenise import IGNORED, Encoded, TrainOn, encode
from ftspec.data.tokenizer import Tokens, load_tokenizer
from ftspec.errors import DataError

TINY = Path(__file__).parents[2] / "specs" / "tiny-model"
TOKENS = load_tokenizer(TINY)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKED = load_template(TINY, TOKENS.special)
assert MARKED is not None
UNMARKED = Template(CHATML, TOKENS.special)
TURNS = (
    ("system", "S"),
    ("user", "One?"),
    ("assistant", "Two."),
    ("user", "Three?"),
    ("assistant", "Four."),
)
CHAT = Example("chat", tuple(Message(*turn) for turn in TURNS), 4)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


def trained(encoded: Encoded, tokens: Tokens = TOKENS) -> list[str]:
    """The trained stretches, as text."""
    runs: list[list[int]] = [[]]
    for label in encoded.labels:
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(label)
    return [tokens.tokenizer.decode(run, skip_special_tokens=False) for run in runs if run]


def run(
    example: Example, train_on: TrainOn, template: Template | None = MARKED, tokens: Tokens = TOKENS
) -> Encoded:
    return encode(example, tokens=tokens, template=template, train_on=train_on)


@pytest.mark.parametrize("template", [MARKED, UNMARKED], ids=["marked", "unmarked"])
def test_which_text_is_trained(template: Template) -> None:
    assert trained(run(CHAT, "assistant", template)) == ["Two.<|im_end|>\n", "Four.<|im_end|>\n"]
    assert trained(run(CHAT, "completions", template)) == ["Four.<|im_end|>\n"]
    whole = "<|im_start|>" + trained(run(CHAT, "all", template))[0]
    assert whole == template.render(CHAT.messages).text


def test_completions_of_several_messages_are_all_trained() -> None:
    example = Example("chat", CHAT.messages, 2)
    assert trained(run(example, "completions")) == [
        "Two.<|im_end|>\n<|im_start|>user\nThree?<|im_end|>\n<|im_start|>assistant\nFour.<|im_end|>\n"
    ]


def test_a_prompt_that_reads_otherwise_alone_is_refused() -> None:
    changing = Template(CHATML.replace("m.content", "m.content + (messages | length | string)"), {})
    for train_on in ("completions", "assistant"):
        with pytest.raises(DataError, match="do not begin those of the conversation") as caught:
            run(CHAT, train_on, changing)
        assert "{% generation %}" in caught.value.problems[0].hint


def test_a_token_across_the_border_is_refused() -> None:
    glued = Template("{% for m in messages %}{{ m.content }}{% endfor %}", {})
    example = Example("chat", (Message("user", "th"), Message("assistant", "e")), 1)
    with pytest.raises(DataError, match="do not begin"):
        run(example, "completions", glued)


def test_conversations_need_a_template() -> None:
    with pytest.raises(DataError, match="no chat template") as caught:
        run(CHAT, "all", None)
    assert "model.chat_template" in caught.value.problems[0].hint


def test_plain_strings_end_with_one_eos() -> None:
    text = Example("text", completion="Hello there")
    for train_on in ("completions", "assistant", "all"):
        encoded = run(text, train_on, None)
        assert (
            TOKENS.tokenizer.decode(encoded.input_ids, skip_special_tokens=False)
            == "Hello there<|im_end|>"
        )
        assert encoded.labels[1:] == encoded.input_ids[1:]
    assert (
        run(Example("text", completion="Hello there<|im_end|>"), "all").input_ids
        == encoded.input_ids
    )
    pair = Example("prompt-completion", prompt="Q: a?\nA:", completion=" b")
    assert (
        trained(run(pair, "assistant", None))
        == trained(run(pair, "completions", None))
        == [" b<|im_end|>"]
    )
    assert run(pair, "all", None).trained == len(run(pair, "all", None).input_ids) - 1


def test_a_prompt_that_merges_with_its_completion_is_refused() -> None:
    with pytest.raises(DataError, match="merges with the start of the completion"):
        run(Example("prompt-completion", prompt="th", completion="e"), "completions")


def words(folder: Path, config: Mapping[str, object], *, bos: bool = False) -> Tokens:
    """A tokenizer of whole words, saved and read back."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(["<s>"])
    made.enable_truncation(2)
    made.enable_padding(length=9)
    if bos:
        made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return load_tokenizer(folder)


def test_plain_text_gets_the_tokenizers_bos_and_a_chat_does_not(tmp_path: Path) -> None:
    tokens = words(tmp_path, {"eos_token": {"content": "</s>"}, "add_bos_token": True}, bos=True)
    text = encode(Example("text", completion="a b "), tokens=tokens, template=None, train_on="all")
    assert (text.input_ids, text.labels) == ([1, 3, 4, 2], [IGNORED, 3, 4, 2])
    template = Template("{% for m in messages %} {{ m.content }}{% endfor %}", {})
    example = Example("chat", (Message("user", "a"), Message("assistant", "b")), 1)
    chat = encode(example, tokens=tokens, template=template, train_on="completions")
    assert (chat.input_ids, chat.labels) == ([3, 4], [IGNORED, 4])


def test_special_tokens_from_the_configuration(tmp_path: Path) -> None:
    config = {
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "extra_special_tokens": ["<x>"],
        "chat_template": "T",
    }
    tokens = words(tmp_path, config)
    assert tokens.special == {"eos_token": "</s>", "pad_token": "<pad>"}
    assert (
        tokens.named_id("eos_token"),
        tokens.named_id("pad_token"),
        tokens.named_id("bos_token"),
    ) == (2, 5, None)
    assert tokens.ids("a<x>b</s>") == [3, 6, 4, 2]
    legacy = words(tmp_path / "old", {})
    assert legacy.special == {}
    (tmp_path / "old" / "special_tokens_map.json").write_text('{"eos_token": {"content": "</s>"}}')
    assert load_tokenizer(tmp_path / "old").special == {"eos_token": "</s>"}
    with pytest.raises(DataError, match="names no eos_token"):
        encode(Example("text", completion="a"), tokens=legacy, template=None, train_on="all")


def test_tokenizers_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such model folder"):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no tokenizer\.json") as caught:
        load_tokenizer(tmp_path)
    assert "save_pretrained" in caught.value.problems[0].hint
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="the tokenizer cannot be read"):
        load_tokenizer(tmp_path)
    with pytest.raises(DataError, match="not in transformers' form"):
        words(tmp_path, {"added_tokens_decoder": {"x": "y"}})
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(DataError, match="does not hold a JSON object"):
        load_tokenizer(tmp_path)


def test_a_hub_model_that_is_not_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="an extra of ftspec")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="not in the local hub cache") as caught:
        load_tokenizer("some-org/some-model")
    assert "hf download some-org/some-model" in caught.value.problems[0].hint


@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4),
    st.sampled_from(["completions", "assistant", "all"]),
)
def test_labels_are_ids_or_ignored(turns: list[tuple[str, str]], train_on: TrainOn) -> None:
    messages = tuple(
        Message(role, said)
        for turn in turns
        for role, said in zip(("user", "assistant"), turn, strict=True)
    )
    encoded = run(Example("chat", messages, len(messages) - 1), train_on)
    pairs = list(zip(encoded.labels, encoded.input_ids, strict=True))
    assert all(label in (IGNORED, token) for label, token in pairs)
    assert encoded.labels[0] == IGNORED
    assert 0 < encoded.trained < len(encoded.input_ids)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
def test_marked_and_unmarked_templates_agree(turns: list[tuple[str, str]]) -> None:
    messages = tuple(
        Message(role, said)
        for turn in turns
        for role, said in zip(("user", "assistant"), turn, strict=True)
    )
    example = Example("chat", messages, len(messages) - 1)
    try:
        unmarked = run(example, "assistant", UNMARKED)
    except DataError:
        return  # a token stands across the border: refused, rather than trained on in part
    assert unmarked.input_ids == run(example, "assistant").input_ids
    assert unmarked.labels == run(example, "assistant").labels
