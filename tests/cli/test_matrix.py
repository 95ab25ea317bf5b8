"""`ftspec matrix`: it takes some seconds, so these stand among the sweeps."""

from __future__ import annotations

import json

import pytest

from ftspec.registry import names
from tests.cli.conftest import Command

pytestmark = pytest.mark.sweep


def test_matrix_speaks_of_every_backend(ftspec: Command) -> None:
    lines = json.loads(ftspec("matrix", "--json").out)
    assert len(lines) >= 80
    for line in lines:
        assert set(line["backends"]) == set(names())
        assert {cell["support"] for cell in line["backends"].values()} <= {
            "full", "lossy", "never", "notyet", "notimpl",
        }  # fmt: skip
    page = ftspec("matrix", "--markdown").out
    assert page.startswith("# ")
    assert all(f"`{line['path']}`" in page for line in lines)


def test_it_is_one_document_or_a_plain_table(ftspec: Command) -> None:
    done = ftspec("matrix", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("]\n")
    assert "\x1b" not in ftspec("matrix").out
