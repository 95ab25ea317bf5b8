"""The proof on a terminal, and in plain ASCII where there is none."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from ftspec.report.console import print_certificate
from ftspec.verify.certificate import Certificate
from ftspec.verify.evidence import Step
from tests.unit.report_samples import certificate
from tests.unit.verify_samples import evidence, with_batch, with_step

FIRST, SECOND = evidence().batches[0].text
OTHER_TEXT = (f"a [bold]bracket[/bold] ⏎… {FIRST}", SECOND)
"""The first row in another template, with what a console must not take for its own."""


def printed(whole: Certificate, terminal: bool, width: int = 120, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, force_terminal=terminal, width=width, color_system=None)
    print_certificate(whole, console)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined,no-any-return]


def test_equal_runs_are_shown_as_proven():
    close = replace(with_step(1, loss=2.4000001))
    text = printed(certificate({"unsloth": close, "deepspeed": evidence()}), terminal=True)
    assert "demo: compared with TRL" in text
    assert "✓ identical" in text
    assert "✓ 4.2e-08" in text
    assert "PROVEN EQUAL: UNSLOTH, DEEPSPEED against TRL" in text
    assert "2.4000001" in text


def test_a_difference_is_explained():
    text = printed(certificate({"unsloth": with_batch(0, text=OTHER_TEXT)}), terminal=True)
    assert "✗ differs" in text
    assert "differs first in  text" in text
    assert "step 1, row 1 (row 4 of the data), character 0" in text
    assert "a [bold]bracket[/bold]" in text, "markup in a person's data is not ours"
    assert "docs/hazards.md#chat-template" in text
    assert "NOT EQUAL: UNSLOTH against TRL" in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_without_a_terminal_it_is_plain_ascii(encoding):
    whole = certificate({"unsloth": with_batch(0, text=OTHER_TEXT)})
    text = printed(whole, terminal=False, encoding=encoding)
    assert text.isascii()
    assert "NO differs" in text
    assert "ok identical" in text
    assert "\x1b" not in text


def test_a_run_that_failed_and_one_that_showed_too_little():
    whole = certificate(
        {"unsloth": evidence(groups=())}, errors={"llamafactory": "training failed: [red]OOM"}
    )
    text = " ".join(printed(whole, terminal=True).split())
    assert "the run failed training failed: [red]OOM" in text
    assert "could not compare optimizer groups" in text
    assert "? not compared" in text
    assert "NOT PROVEN: a run failed: LLAMAFACTORY against TRL" in text


def test_numbers_that_are_none_are_shown():
    whole = certificate({"unsloth": with_step(2, loss=math.nan)})
    text = printed(whole, terminal=True)
    assert "not finite" in text
    assert "nan" in text


def test_of_many_steps_the_first_and_last_are_shown():
    steps = tuple(Step(number, 1000.0 + number, 0.3, 1e-3) for number in range(1, 101))
    text = printed(certificate({"unsloth": evidence(steps=steps)}), terminal=True)
    assert "1019.0" in text
    assert "1050.0" not in text
    assert "1100.0" in text
