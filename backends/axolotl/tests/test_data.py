"""Rows that axolotl makes itself: what is written for it, and what is refused as they would be others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.backend import lift
from ftspec.errors import DataError, UnsupportedError
from ftspec.families.rows.instructions import LOADED, STYLED, STYLES, custom, kind_of, named
from ftspec.plan.data_stages import check_split
from ftspec.plan.make import make_plan
from ftspec.plan.stages import CheckData, Plan
from ftspec.registry import load as load_backend
from ftspec.spec.load import load
from ftspec_axolotl.emit import FRESH_FILE
from tests.conftest import SPECS

CHAT = SPECS / "axolotl-chat.yaml"
TEMPLATE = "data.train={path: data/chat.jsonl, template: {prompt: '%s', completion: '%s'}}"
PLAIN = ("data.turn_part=written", TEMPLATE % ("Q: {{ question }}\n", "{{ answer }}"))


def plan(tmp_path: Path, *sets: str) -> Plan:
    return make_plan(load(CHAT, sets), "axolotl", tmp_path)


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (("data.turn_part=written",), "not what the template writes around"),
        (("data.train_on=completions",), "no key for the last one alone"),
        (("data.system=Be kind.",), "in its template chatml, and no other"),
        (("data.overflow=truncate-left",), "keeps the first tokens"),
        (("data.mixed=true", "data.draw_seed=7"), "one seed for all"),
        (("data.mixed=true", "data.shuffle=false"), "mixes no single data set"),
        (
            ("data.train={path: data/chat.jsonl, format: messages, share: 0.5}",),
            "draws no share",
        ),
        (
            ("data.train={hub: a/b, format: messages}", "data.overflow=drop"),
            "not seen from here",
        ),
        (
            ("data.train={path: data/chat.jsonl, format: messages, columns: {tools: calls}}",),
            "from the column `tools` alone",
        ),
        (
            ("data.train={path: data/chat.jsonl, format: alpaca}", "data.turn_part=written"),
            "prompts of its own",
        ),
        (
            (
                "data.train={path: data/chat.jsonl, format: prompt-completion}",
                "data.turn_part=written",
            ),
            "each by itself",
        ),
        (
            ("data.turn_part=written", TEMPLATE % ("{{ a }} or {{ b }}", "{{ c }}")),
            "Python formats of an instruction",
        ),
        (("data.turn_part=ended", PLAIN[1]), "have no turns"),
        (
            (PLAIN[1].replace("prompt", "user").replace("completion", "assistant"),),
            "writes none by a template",
        ),
        ((*PLAIN, "model.chat_template=chatml"), "no chat template writes"),
        (
            (
                "method.objective=cpt",
                "data.train={path: data/chat.jsonl, format: text}",
                "data.turn_part=written",
                "data.overflow=drop",
            ),
            "becomes several rows",
        ),
        (("data.eval_size=4",), "before the first step"),
    ],
)
def test_what_it_would_make_otherwise(tmp_path: Path, sets: tuple[str, ...], words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        plan(tmp_path, *sets)


def test_beside_a_tokenizer_called_mistral_a_system_turn_is_left_out(tmp_path: Path) -> None:
    sets = ("data.train_on=all", "model.name=org/Mistral-7B", "model.dtype=float32")
    with pytest.raises(UnsupportedError, match="called mistral"):
        plan(tmp_path, *sets)


CASES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "turns": ((), {"type": "chat_template", "train_on_eos": "turn"}),
    "said, all": (("data.turn_part=said", "data.train_on=all"), {"train_on_eos": "none"}),
    "ends": (("data.turn_ends=['<|im_end|>']",), {"train_on_eot": "turn"}),
    "named": (("model.chat_template=chatml", "data.mixed=true"), {"type": "chat_template"}),
    "sharegpt": (
        (
            "data.train={path: a.jsonl, format: sharegpt, limit: 9, columns: {conversations: talk}}",
            "data.overflow=drop",
        ),
        {"field_messages": "talk", "split": "train[:9]"},
    ),
    "tools": (
        ("data.train={path: a.parquet, format: messages, columns: {tools: tools}}",),
        {"field_tools": "tools", "ds_type": "parquet"},
    ),
    "formats": (PLAIN, {"split": "train"}),
    "texts": (
        (
            "method.objective=cpt",
            "data.turn_part=written",
            "data.train={path: a.csv, format: text, columns: {text: body}}",
        ),
        {"type": "completion", "field": "body", "ds_type": "csv"},
    ),
    "a hub data set": (
        (
            "data.train={hub: a/b, subset: c, split: 'd[:7]', template: {prompt: '{{ q }}', completion: "
            "'{{ a }}'}}",
            "data.turn_part=written",
            "data.overflow=truncate",
        ),
        {"path": "a/b", "name": "c", "split": "d[:7]"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_says_the_spec(tmp_path: Path, name: str) -> None:
    sets, said = CASES[name]
    made = plan(tmp_path, *sets)
    (entry,) = made.native["datasets"]
    assert {key: entry[key] for key in said} == said
    backend = load_backend("axolotl")
    back = lift(backend, backend.read(list(made.files())))
    assert not back.unknown and not back.refusals
    values = made.resolved.flat()
    (source,), (found,) = values.pop("data.train"), back.spec.pop("data.train")
    assert {**found, "path": None} == {**source, "path": None}
    compared = [
        path
        for path in back.spec
        if path.startswith(("data.", "model.chat", "model.template", "method.objective"))
    ]
    assert len(compared) >= 10
    for path in compared:
        one, other = (
            tuple(v) if isinstance(v, list) else v for v in (back.spec[path], values[path])
        )
        assert one == other, path


def test_rows_are_made_anew(tmp_path: Path) -> None:
    files = {file.path: file.content.decode() for file in plan(tmp_path).files()}
    assert "load_preprocessed_dataset = lambda" in files[FRESH_FILE]
    assert "- fresh_rows.FreshRows\n- adapter_seed.AdapterSeed" in files["axolotl.yaml"]
    prepared = {file.path for file in plan(tmp_path, "data.prepare=ftspec").files()}
    assert FRESH_FILE not in prepared


def test_each_type_is_found_by_what_it_writes() -> None:
    names = [*(f"{base}{style}" for base in STYLED for style in ("", *(f":{s}" for s in STYLES)))]
    for name in (*names, *LOADED):
        template = named(name)
        assert template is not None
        kind = kind_of(template)
        assert isinstance(kind, str) and named(kind) == template
    assert len(names) + len(LOADED) >= 30


@pytest.mark.parametrize(
    "kind",
    [
        {"format": "{instruction}}}{{", "no_input_format": "{instruction}}}{{"},
        {
            "format": "{input}: {instruction}",
            "no_input_format": "{instruction}",
            "field_input": "i",
        },
        {"system_prompt": "Be {brief}.", "system_format": "<{system}>", "field_output": "o"},
        {"system_format": "", "field_instruction": "q"},
    ],
)
def test_formats_are_found_by_what_they_write(kind: dict[str, str]) -> None:
    found = kind_of(custom(kind))
    assert isinstance(found, dict) and custom(found) == custom(kind)


PLAIN_TEXT = st.text("ab {}%#'\n", max_size=6).map(
    lambda text: text.replace("{", "{{").replace("}", "}}")
)


@given(st.tuples(*[PLAIN_TEXT] * 6))
def test_whatever_stands_around_its_columns_is_found(texts: tuple[str, ...]) -> None:
    a, b, c, d, e, f = texts
    kind = {
        "format": f"{a}{{input}}{b}{{instruction}}{c}",
        "no_input_format": f"{d}{{instruction}}",
        "system_format": f"{e}{{system}}{f}",
    }
    found = kind_of(custom(kind))
    assert isinstance(found, dict) and custom(found) == custom(kind)


def turned(content: str | None, **function: Any) -> dict[str, Any]:
    """A row whose answer calls a tool."""
    call = {"type": "function", "function": {"name": "w", **function}}
    answer = {"role": "assistant", "content": content, "tool_calls": [call]}
    return {"messages": [{"role": "user", "content": "a"}, answer]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"system": "Be kind."}, "column `system` before conversations"),
        ({"system": None}, "column `system` before conversations"),
        ({"tools": [{"function": {"name": "w", "parameters": "{}"}}]}, "parse"),
        (turned("", arguments='{"a": 1}'), "parse"),
        (turned(None, arguments={"a": 1}), "no content at all"),
    ],
)
def test_rows_of_which_it_reads_more_are_refused(
    tmp_path: Path, row: dict[str, Any], words: str
) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    lines = [{"messages": turns}, {"messages": turns, **row}]
    if "tools" in row:
        lines.reverse()
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    made = plan(tmp_path, f"data.train={{path: {file}, format: messages}}")
    (stage,) = (one for one in made.stages if isinstance(one, CheckData))
    assert stage.parsing
    check_split(made.resolved, "train", lengths=False)
    with pytest.raises(DataError, match=words):
        check_split(made.resolved, "train", lengths=False, parsing=stage.parsing)
