"""Where a chat template puts empty thoughts, and what its options do."""

from __future__ import annotations

import pytest

from ftspec.data.example import Message
from ftspec.data.template import Template
from ftspec.data.thinking import empty_thoughts
from tests.real.thoughts import LAST

EVERY = LAST.replace("{%- if loop.last %}", "{%- if true %}")
SWITCH = "{% if enable_thinking is defined and not enable_thinking %}/no_think {% endif %}" + LAST
PLAIN = "{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "where"),
    [
        (LAST, "last"),
        (EVERY, "every"),
        (SWITCH, "none"),  # it says something else too
        (PLAIN, "none"),
        (LAST.replace("enable_thinking is false", "false"), "none"),
        ("{{ raise_exception('<think> alone') }}", "none"),
    ],
)
def test_where_empty_thoughts_stand(source: str, where: str) -> None:
    assert empty_thoughts(Template(source, {})) == where


def test_options_reach_the_template() -> None:
    template = Template(
        "{{ effort }}{{ bos_token }}", {"bos_token": "<s>"}, options={"effort": "low"}
    )
    assert template.render([Message("user", "Q?")]).text == "low<s>"
    assert template.reads("effort") and not template.reads("eff")
