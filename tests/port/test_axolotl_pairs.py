"""axolotl's pairs and judged answers, as texts of a spec (tests/real/test_axolotl_pairs.py)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.port.conftest import Bring, fate
from tests.port.test_unknown_keys import AXOLOTL


def paired(read: Bring, entry: str, more: str = "rl: dpo\n") -> Any:
    return read(AXOLOTL.replace("type: alpaca", entry.replace("\n", "\n    ")) + more)


def source(imported: Any) -> dict[str, Any]:
    (one,) = imported.composed.values["data.train"]
    return dict(one)


@pytest.mark.parametrize(
    ("entry", "more", "format"),
    [
        ("type: chatml.intel", "rl: dpo\n", "preference"),
        ("type: llama3.icr", "rl: simpo\nsimpo_gamma: 0.5\n", "preference"),
        ("type: chatml.ultra", "rl: ipo\n", "preference"),
        ("type: chat_template.default", "rl: dpo\nchat_template: chatml\n", "preference"),
        ("type: {field_prompt: q}", "rl: dpo\n", "preference"),
        ("type: llama3.ultra", "rl: kto\nremove_unused_columns: false\n", "unpaired"),
        ("type: {field_label: good}", "rl: kto\nremove_unused_columns: false\n", "unpaired"),
    ],
)
def test_texts_with_their_marks_are_a_template(
    read: Bring, entry: str, more: str, format: str
) -> None:
    imported = paired(read, entry, more)
    found = source(imported)
    assert found["format"] == format
    assert found["template"]["prompt"]
    fates = [one for one in imported.fates if one.setting.key.startswith("datasets[0].type")]
    assert {one.kind for one in fates} == {"derived"}
    assert not imported.composed.open


def test_texts_that_stand_as_they_are(read: Bring) -> None:
    for entry, more in (
        ("type: passthrough", "rl: dpo\n"),
        ("split: train", "rl: kto\nremove_unused_columns: false\n"),
    ):
        imported = paired(read, entry, more)
        found = source(imported)
        assert found["template"] is None
        assert found["format"] == ("unpaired" if "kto" in more else "preference")
        assert not imported.composed.open


def test_turns_of_another_template_are_nearly_the_same(read: Bring) -> None:
    imported = paired(
        read, "type: chat_template.default\nfield_messages: asked\nfield_chosen: good"
    )
    assert fate(imported, "datasets[0].type")[0] == "approximated"
    assert fate(imported, "datasets[0].field_chosen")[0] == "derived"
    assert source(imported)["columns"] == {"prompt": "asked", "chosen": "good"}
    assert any("lists of messages" in one for one in imported.composed.open), (
        "texts would stand bare"
    )
    whole = paired(read, "type: chat_template.argilla_chat")
    assert source(whole)["format"] == "preference-implicit"
    assert not whole.composed.open


@pytest.mark.parametrize(
    "entry",
    [
        "type: chat_template.default\nroles: {user: [human]}",
        "type: chat_template.default\nmessage_property_mappings: {role: from, content: value}",
        "type: chatml.nowhere",
        "type: {prompt_format: '{instruction}'}",
        "type: {field_prompt: 'a b'}",
    ],
)
def test_pairs_that_no_text_can_say(read: Bring, entry: str) -> None:
    imported = paired(read, entry)
    kinds = {one.kind for one in imported.fates if one.setting.key.startswith("datasets[0].type")}
    assert kinds == {"unknown"}
    assert any("which rows" in one for one in imported.composed.open)


def test_roles_under_their_own_names(read: Bring) -> None:
    own = "type: chat_template.default\nroles: {user: [user], assistant: [assistant]}"
    assert fate(paired(read, own), "datasets[0].type")[0] == "approximated"


def test_a_column_that_its_type_does_not_ask_for(read: Bring) -> None:
    imported = paired(read, "type: chatml.intel\nfield_chosen: good")
    assert fate(imported, "datasets[0].field_chosen")[0] == "inert"
