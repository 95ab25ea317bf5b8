"""Laws of views: what is shown is the text, every token has its label, limits hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.data.example import Example, Message
from ftspec.data.kept import fitted
from ftspec.data.template import Template
from ftspec.data.tokenise import IGNORED, encode
from ftspec.data.tokenizer import Tokens
from ftspec.data.view import Checked, Prepared, Rule, Unknown
from ftspec.errors import DataError
from ftspec.families.rows.script_rows import ScriptRows, script_rows
from ftspec_llamafactory.rows import SlotRows, share, slot_rows
from ftspec_llamafactory.slots import Slots, slots
from tests.unit.preview_samples import MARKED, TOKENS, chats, encoded, rules, seen

CHAT = Example("chat", (Message("user", "One two?"), Message("assistant", "Three four.")), 1)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@given(rules(), chats())
def test_every_token_has_one_piece_one_word_and_one_label(rule: Rule, example: Example) -> None:
    view = seen(rule, example)
    ids = view.input_ids
    for other in (view.pieces(), view.words(), view.labels, view.trained):
        assert len(other) == len(ids) == view.tokens <= view.length
    assert all(label in (IGNORED, token) for label, token in zip(view.labels, ids, strict=True))
    assert view.trained_tokens == sum(view.trained)
    assert not view.trained[0]


@given(rules(), chats())
def test_pieces_make_up_the_text(rule: Rule, example: Example) -> None:
    asked = rule.ask(example)
    view = asked.view(encoded(asked))
    for part in view.parts:
        shown = "".join(part.pieces())
        assert part.text.startswith(shown)
        if part.kept == len(part.encoding):
            assert shown == part.text
    if view.tokens == view.length:
        whole = "".join(asked.texts) if isinstance(rule, SlotRows) else asked.texts[0]
        assert "".join(view.pieces()) == whole


@given(chats(), st.sampled_from(("assistant", "completions", "all")), st.integers(8, 80))
def test_what_is_prepared_is_what_is_shown(example: Example, train_on: str, limit: int) -> None:
    whole = encode(example, tokens=TOKENS, template=MARKED, train_on=train_on)  # type: ignore[arg-type]
    view = seen(Prepared(TOKENS, MARKED, train_on, limit, "truncate"), example)  # type: ignore[arg-type]
    try:
        short = fitted(whole, limit, "truncate")
    except DataError as error:
        assert view.refused == error.problems
        return
    assert short is not None
    assert (view.input_ids, view.labels) == (list(short.input_ids), list(short.labels))
    assert view.length == len(whole.input_ids)


@given(rules(), chats())
def test_no_row_that_is_trained_on_is_longer_than_the_limit(rule: Rule, example: Example) -> None:
    view = seen(rule, example)
    limit = rule.cutoff if isinstance(rule, SlotRows) else rule.max_length  # type: ignore[attr-defined]
    if not (view.left_out or view.refused):
        assert view.tokens == min(limit, view.length) or isinstance(rule, SlotRows)
        assert view.tokens <= limit


@given(chats(), st.sampled_from(("assistant", "completions", "all")))
def test_where_nothing_is_cut_all_rules_train_the_same_text(
    example: Example, train_on: str
) -> None:
    """Of this template; of others, slots may say otherwise."""
    script = seen(ScriptRows(TOKENS, MARKED, train_on, 10**6, False), example)  # type: ignore[arg-type]
    rule = SlotRows(
        TOKENS, slots(TOKENS, MARKED), 10**6, train_on == "all", train_on == "completions"
    )
    slotted = seen(rule, example)

    def trained(view: object) -> str:
        pairs = zip(view.pieces(), view.labels, strict=True)  # type: ignore[attr-defined]
        return "".join(piece for piece, label in pairs if label != IGNORED)

    assert "".join(script.pieces()) == "".join(slotted.pieces())
    assert trained(script) == trained(slotted)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_a_share_fits_and_wastes_nothing(prompt: int, answer: int, room: int) -> None:
    asked, said = share(prompt, answer, room)
    assert 0 <= asked <= prompt and 0 <= said <= answer
    assert asked + said == min(prompt + answer, room)


def test_shares_are_in_proportion_unless_one_side_is_short() -> None:
    assert share(100, 100, 100) == (50, 50)
    assert share(300, 100, 100) == (75, 25)
    assert share(300, 20, 100) == (80, 20)  # a short answer is kept whole
    assert share(20, 300, 100) == (20, 80)  # and so is a short prompt
    assert share(20, 30, 100) == (20, 30)


def test_a_tokenizer_that_adds_a_token_shows_it_without_text() -> None:
    from tokenizers import processors

    tokens = Tokens(
        TOKENS.tokenizer.from_str(TOKENS.tokenizer.to_str()), TOKENS.special, TOKENS.folder
    )
    first = "<|im_start|>", TOKENS.tokenizer.token_to_id("<|im_start|>")
    tokens.tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[first]
    )
    rule = ScriptRows(tokens, None, "all", 100, False)
    asked = rule.ask(Example("text", completion="Hello"))
    texts = [tokens.tokenizer.encode(text, add_special_tokens=True) for text in asked.texts]
    view = asked.view(texts)
    assert view.words()[0] == "<|im_start|>" and view.pieces()[0] == ""
    assert "".join(view.pieces()) == "Hello<|im_end|>"


def test_the_check_before_a_run_refuses_what_the_framework_would_cut() -> None:
    own = ScriptRows(TOKENS, MARKED, "assistant", 8, False)
    checked = Checked(own, Prepared(TOKENS, MARKED, "assistant", 8, "error"))
    view = seen(checked, CHAT)
    assert [problem.message for problem in view.refused] == [
        f"the row has {view.length} tokens; the limit is 8"
    ]
    assert view.tokens == view.length  # shown whole: nobody will cut it
    long = Checked(
        ScriptRows(TOKENS, MARKED, "assistant", 99, False),
        Prepared(TOKENS, MARKED, "assistant", 99, "error"),
    )
    one, other = seen(long, CHAT), seen(long.rule, CHAT)
    assert (one.input_ids, one.labels) == (other.input_ids, other.labels)
    assert long.describe()[1] == "a row longer than 99 tokens stops the run"


def test_trl_leaves_out_what_a_cut_left_without_a_label() -> None:
    view = seen(ScriptRows(TOKENS, MARKED, "assistant", 8, False), CHAT)
    assert view.left_out.startswith("no trained token is left")
    dropped = seen(ScriptRows(TOKENS, MARKED, "assistant", 8, True), CHAT)
    assert dropped.left_out == "longer than 8 tokens" and dropped.tokens == dropped.length


def test_trl_starts_where_a_merged_prompt_diverges() -> None:
    pair = Example("prompt-completion", prompt="th", completion="e")
    view = seen(ScriptRows(TOKENS, None, "completions", 99, False), pair)
    assert "diverge" in view.note
    assert view.labels[0] != IGNORED
    with pytest.raises(DataError, match="merges"):
        seen(Prepared(TOKENS, None, "completions", 99, "truncate"), pair)


def test_a_script_is_known_by_its_native_values() -> None:
    native = {
        "data.shape": "messages",
        "SFTConfig.assistant_only_loss": True,
        "SFTConfig.completion_only_loss": False,
        "SFTConfig.max_length": 16,
    }
    rule = script_rows(native, TOKENS, MARKED)
    assert rule == ScriptRows(TOKENS, MARKED, "assistant", 16, False)
    unmarked = script_rows(native, TOKENS, Template(CHATML, TOKENS.special))
    assert isinstance(unmarked, Unknown) and "generation" in unmarked.hint
    for strategy, kind in (("bfd", "documents"), ("wrapped", "blocks")):
        packing = {"SFTConfig.packing": True, "SFTConfig.packing_strategy": strategy}
        packed = script_rows({**native, **packing}, TOKENS, MARKED)
        assert isinstance(packed, ScriptRows) and packed.packs is not None
        assert packed.packs.kind == kind
    other = {"SFTConfig.packing": True, "SFTConfig.packing_strategy": "bfd_split"}
    assert isinstance(script_rows({**native, **other}, TOKENS, MARKED), Unknown)
    flat = {"SFTConfig.packing": False, "SFTConfig.padding_free": True}
    assert isinstance(script_rows({**native, **flat}, TOKENS, MARKED), Unknown)
    prompted = script_rows({**native, "data.system": "Be brief."}, TOKENS, MARKED)
    assert isinstance(prompted, ScriptRows) and "Be brief." in prompted.ask(CHAT).texts[0]
    dropping = script_rows({**native, "data.drop_beyond": 16}, TOKENS, MARKED)
    assert dropping == ScriptRows(TOKENS, MARKED, "assistant", 16, True)


CONFIG = {"cutoff_len": 16, "train_on_prompt": False, "mask_history": False}


def test_a_config_is_known_by_its_native_values() -> None:
    rule = slot_rows(CONFIG, TOKENS, MARKED)
    assert isinstance(rule, SlotRows) and rule.slots.user.startswith(
        "<|im_start|>user\n{{content}}"
    )
    for key, value in (("template", "vicuna"), ("packing", True), ("preserve_thinking", True)):
        found = slot_rows({**CONFIG, key: value}, TOKENS, MARKED)
        assert isinstance(found, Unknown) and key in found.reason
    prompted = slot_rows({**CONFIG, "default_system": "Be brief."}, TOKENS, MARKED)
    assert isinstance(prompted, SlotRows) and "Be brief." in "".join(prompted.ask(CHAT).texts)
    assert isinstance(slot_rows(CONFIG, TOKENS, None), Unknown)
    refusing = Template(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}", {}
    )
    found = slot_rows(CONFIG, TOKENS, refusing)
    assert isinstance(found, Unknown) and "no" in found.reason
    empty = slot_rows(CONFIG, TOKENS, Template("constant", {}))
    assert isinstance(empty, Unknown) and "no place for the system" in empty.reason


def test_a_default_system_prompt_becomes_a_slot_of_its_own() -> None:
    source = (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
        + CHATML
    )
    assert slots(TOKENS, Template(source, {})) == Slots(
        prefix="",
        system="<|im_start|>system\n{{content}}<|im_end|>\n",
        user="<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n",
        assistant="{{content}}<|im_end|>\n",
        default_system="Be brief.",
    )
