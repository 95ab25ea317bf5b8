"""The page: whole, alone, escaped, and readable without its charts."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.report.chart import chart
from ftspec.report.html import page
from tests.unit.report_samples import certificate
from tests.unit.verify_samples import evidence, with_batch, with_step

VOID = {"meta", "line", "path", "br", "link", "img", "input"}
HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>'{{ 7 * 7 }}{% raw %}</style></pre>&amp;"


class Page(HTMLParser):
    """Tags in order, balanced or not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


SAMPLES = {
    "equal": lambda: certificate({"unsloth": evidence(), "deepspeed": evidence()}),
    "differs": lambda: certificate({"unsloth": with_batch(0, text=("other", "text"))}),
    "broken": lambda: certificate({"unsloth": with_step(1, loss=math.inf, grad_norm=None)}),
    "failed": lambda: certificate({}, errors={"unsloth": "no memory"}),
    "incomplete": lambda: certificate({"unsloth": evidence(frozen=None)}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_page_is_well_formed_and_alone(name):
    text = page(SAMPLES[name]())
    found = Page(text)
    assert found.open == []
    assert text.lstrip().startswith("<!doctype html>")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    for tag, attributes in found.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "href", "style", "action"} & set(attributes)
        assert not any(key.startswith("on") for key in attributes)
    policy = [
        a["content"] for t, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("name", SAMPLES)
def test_charts_have_titles_descriptions_and_a_table(name):
    found = Page(page(SAMPLES[name]()))
    assert found.count("svg") == found.count("figure") == found.count("desc") == 3
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in found.tags:
        for key in (attributes.get("aria-labelledby") or "").split():
            assert key in ids, (tag, key)
    assert any("lang" in a for t, a in found.tags if t == "html")


def test_all_numbers_are_there_with_every_digit():
    text = page(certificate({"unsloth": with_step(1, loss=2.400000095367432)}))
    assert "2.400000095367432" in text
    assert "4.0e-08" in text
    assert "all 13 checks passed" in text
    assert "--backends trl,unsloth --reference trl --steps 3" in text


def test_hostile_words_stay_words():
    pieces = (HOSTILE, evidence().batches[0].text[1])
    whole = certificate(
        {"unsloth": with_batch(0, text=pieces)},
        title=HOSTILE,
        spec=HOSTILE,
        errors={"deepspeed": HOSTILE},
    )
    text = page(whole)
    found = Page(text)
    assert found.open == []
    assert found.count("script") == found.count("img") == 0
    assert "49" not in [word.strip() for word in found.words]
    assert "".join(found.words).count("<script>alert(1)</script>") >= 4
    assert found.count("style") == 1


def test_a_failure_is_told_with_both_values_and_the_cause():
    text = page(certificate({"unsloth": evidence(scaling=dict.fromkeys(evidence().scaling, 1.0))}))
    words = " ".join("".join(Page(text).words).split())
    assert "differs first in “trainable parameters”" in words
    assert "scaled by 2.0" in words
    assert "scaled by 1.0" in words
    assert "Likely cause: another rank, or another scale" in words


values = st.floats(allow_nan=True) | st.none()


@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.tuples(st.integers(1, 50), values), max_size=8), max_size=5
    ),
    st.booleans(),
)
def test_any_series_is_drawn_inside_its_frame(series, log):
    bounded = {
        name: [(s, v if v is None or math.isnan(v) or abs(v) < 1e100 else None) for s, v in points]
        for name, points in series.items()
    }
    drawn = chart("k", "title", "words", bounded, log=log, limits={"t": 1e-5} if log else None)
    for curve in drawn.curves:
        for mark in curve.marks:
            assert drawn.left - 0.01 <= mark.x <= drawn.right + 0.01
            assert drawn.top - 0.5 <= mark.y <= drawn.bottom + 0.5
    for tick in drawn.y_ticks:
        assert math.isfinite(tick.at)


def test_gaps_break_the_curve_and_zero_stands_at_the_foot():
    drawn = chart("k", "t", "d", {"a": [(1, 1.0), (2, None), (3, 2.0)]})
    assert drawn.curves[0].path.count("M") == 2
    logged = chart("k", "t", "d", {"a": [(1, 0.0), (2, 1e-7)]}, log=True)
    assert logged.curves[0].marks[0].y == logged.bottom
    assert logged.y_ticks[0].label == "identical"
