"""Chat templates: rendered as transformers does, and never a way out of the sandbox."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from ftspec.data.example import Message
from ftspec.data.template import LARGEST, Template, load_template
from ftspec.errors import DataError, Problem

CHAT = (Message("system", "S"), Message("user", "<U> & 'ü'"), Message("assistant", "A"))
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def render(source: str, *, prompt: bool = False, tools: tuple[object, ...] = ()) -> str:
    return Template(source, {"bos_token": "<s>"}).render(CHAT, prompt=prompt, tools=tools).text


def refusal(source: str) -> Problem:
    with pytest.raises(DataError) as caught:
        Template(source, {}, "t.jinja").render(CHAT)
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{{ eos_token }}|", "<s>|"),
        (
            "{% for m in messages %}\n  {% if true %}\n{{ m['role'] }},\n  {% endif %}\n"
            "{% endfor %}",
            "system,\nuser,\nassistant,\n",
        ),
        ("{{ messages[1] | tojson }}", '{"role": "user", "content": "<U> & \'ü\'"}'),
        (
            "{{ {'b': 1, 'a': [1]} | tojson(indent=1, sort_keys=true) }}",
            '{\n "a": [\n  1\n ],\n "b": 1\n}',
        ),
        ("{{ 'ü' | tojson(ensure_ascii=true) }}", '"\\u00fc"'),
        (
            "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.role }}"
            "{% endfor %}",
            "system",
        ),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}"
            "{{ m.role[0] }}{% endfor %}",
            "sa",
        ),
        ("{{ tools is none }},{{ documents is none }},{{ tool is defined }}", "True,True,False"),
        (
            "{{ messages | selectattr('role', 'eq', 'user') | map(attribute='content') | first }}",
            "<U> & 'ü'",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
            "{% endfor %}{{ ns.n }}",
            "3",
        ),
        ("{{ messages[2].name is defined }}", "False"),
        ("a\n", "a"),
    ],
)
def test_rendering(source: str, expected: str) -> None:
    assert render(source) == expected


def test_prompt_tools_and_date() -> None:
    assert render(CHATML, prompt=True).endswith("A<|im_end|>\n<|im_start|>assistant\n")
    assert render("{{ tools[0].name }}", tools=({"name": "f"},)) == "f"
    assert render("{{ strftime_now('%Y') }}") == str(datetime.now().year)
    assert Template("{{ strftime_now('%Y') }}", {}).dated
    assert not Template(CHATML, {}).dated


def test_spans_of_marked_turns() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' %}[{% generation %}{{ m.content }}!"
        "{% endgeneration %}]{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    template = Template(source, {})
    assert template.marks_turns
    assert not Template("{{ add_generation_prompt }}", {}).marks_turns
    rendered = template.render((*CHAT, Message("user", "ü"), Message("assistant", "BB")))
    assert [rendered.text[start:end] for start, end in rendered.spans] == ["A!", "BB!"]
    assert template.render(CHAT).spans == rendered.spans[:1]  # nothing is left of the time before


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__ }}",
        "{{ messages[0]['__class__'] }}{{ messages[0].__init__ }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ self.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'content': 'x'}) }}",
        "{% set f = tojson.__globals__ %}",
        "{{ range(10 ** 9) | list }}",
        "{% include '/etc/passwd' %}",
        "{% for a in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
    ],
)
def test_a_hostile_template_reaches_nothing(source: str) -> None:
    before = json.dumps([message.native() for message in CHAT])
    assert refusal(source).message.startswith(
        ("the chat template is unsafe", "the chat template fails")
    )
    assert json.dumps([message.native() for message in CHAT]) == before


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "{{ raise_exception('roles must alternate') }}",
            "the chat template refuses the conversation: roles must alternate",
        ),
        ("{{ messages[9].content }}", "the chat template fails: list object has no element 9"),
        (
            "{{ messages[0].content + 1 }}",
            "the chat template fails: TypeError: can only concatenate str",
        ),
        ("{{ 1 / 0 }}", "the chat template fails: ZeroDivisionError: division by zero"),
        ("a\n{% for %}", "the chat template is not valid Jinja: "),
    ],
)
def test_template_errors(source: str, message: str) -> None:
    assert refusal(source).message.startswith(message)


def test_a_syntax_error_has_its_line() -> None:
    problem = refusal("a\n{% for %}")
    assert (problem.file, problem.line) == ("t.jinja", 2)


def test_where_a_template_comes_from(tmp_path: Path) -> None:
    assert load_template(tmp_path, {}) is None
    config = tmp_path / "tokenizer_config.json"
    named = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    for found, expected in (("C", "C"), (named, "D"), ({"default": "E"}, "E")):
        config.write_text(json.dumps({"chat_template": found}))
        template = load_template(tmp_path, {})
        assert template is not None
        assert template.source == expected
    config.write_text(json.dumps({"chat_template": named[:1]}))
    with pytest.raises(DataError, match=r"several chat templates \(tool_use\), none named default"):
        load_template(tmp_path, {})
    (tmp_path / "chat_template.jinja").write_text("F")
    (tmp_path / "own.jinja").write_text("G")
    own, given = load_template(tmp_path, {}), load_template(tmp_path, {}, tmp_path / "own.jinja")
    assert own is not None
    assert given is not None
    assert (own.source, given.source) == ("F", "G")


def test_a_missing_or_huge_or_unreadable_template_file(tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    with pytest.raises(DataError, match="no such chat template"):
        load_template(tmp_path, {}, file)
    file.write_text("x" * (LARGEST + 1))
    with pytest.raises(DataError, match="262,145 characters; the limit is 262,144"):
        load_template(tmp_path, {}, file)
    file.write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        load_template(tmp_path, {}, file)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(DataError, match="invalid JSON"):
        load_template(tmp_path, {})
