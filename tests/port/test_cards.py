"""Model cards in which a config stands between fences, as axolotl writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.errors import SpecError
from ftspec.port.bring import bring
from tests.cli.conftest import Command, ftspec, somewhere
from tests.port.test_unknown_keys import AXOLOTL

__all__ = ["ftspec", "somewhere"]

HEAD = "---\nbase_model: org/model\n---\n\n<details><summary>See axolotl config</summary>\n\n"
CARD = f"{HEAD}axolotl version: `0.4.1`\n```yaml\n{AXOLOTL}nonsense: 1\n```\n\n</details><br>\n\n- seed: 42\n"


def test_the_config_of_a_card_is_read_with_the_lines_of_the_card(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(CARD)
    imported = bring([card])
    assert imported.composed.values["method.tuner.rank"] == 16
    (rank,) = [one for one in imported.fates if one.setting.key == "lora_r"]
    assert CARD.splitlines()[rank.setting.line - 1] == "lora_r: 16"
    assert any("axolotl 0.4.1 trained it" in note for note in imported.notes)


def test_of_several_configs_one_is_named_by_its_line(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    other = AXOLOTL.replace("lora_r: 16", "lora_r: 64")
    card.write_text(f"{CARD}\n~~~yml\n{other}~~~\n\n```python\nbase_model = 1\n```\n")
    with pytest.raises(SpecError, match="several configs stand in it"):
        bring([card])
    imported = bring([Path(f"{card}:{len(CARD.splitlines()) + 4}")])
    assert imported.composed.values["method.tuner.rank"] == 64


@pytest.mark.parametrize(
    "text", ["# A model\n", "```yaml\na: 1\n```\n", "```yaml\n: [\n```\n", "```\n"]
)
def test_a_card_without_a_config(tmp_path: Path, text: str) -> None:
    card = tmp_path / "README.md"
    card.write_text(text)
    with pytest.raises(SpecError, match="no config stands in it"):
        bring([card])


def test_a_card_is_compared_by_its_config(ftspec: Command, somewhere: Path) -> None:
    (somewhere / "README.md").write_text(CARD)
    (somewhere / "config.yml").write_text(AXOLOTL)
    assert ftspec("diff", "README.md", "config.yml").code == 0
    (somewhere / "config.yml").write_text(AXOLOTL.replace("lora_r: 16", "lora_r: 64"))
    assert "method.tuner.rank: 16 against 64" in ftspec("diff", "README.md", "config.yml").out


@pytest.mark.parametrize(
    ("release", "more", "told"),
    [
        ("0.4.1", "", True),
        ("0.5.2", "", True),
        ("0.5.2", "\n    roles_to_train: [assistant]", False),
        ("0.8.0", "", False),
        ("0.16.1", "", False),
    ],
)
def test_what_an_older_release_trained_of_a_conversation(
    tmp_path: Path, release: str, more: str, told: bool
) -> None:
    """prompt_strategies/chat_template.py of 0.5.2 and of 0.8.0."""
    card = tmp_path / "README.md"
    text = CARD.replace("0.4.1", release)
    card.write_text(text.replace("type: alpaca", f"type: chat_template{more}"))
    assert (
        any("the last answer of a conversation alone" in one for one in bring([card]).notes) == told
    )
