"""The documentation, held against the program: blocks of YAML, commands, links, codes, numbers."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import pytest

import ftspec.errors
from ftspec.cli import COMMANDS, cli, main
from ftspec.errors import FtspecError
from ftspec.plan.make import make_plan
from ftspec.registry import names
from ftspec.spec.chat_templates import NAMED, THINKING
from ftspec.spec.load import load
from ftspec.spec.pipeline import read_any
from ftspec.spec.text import parse
from ftspec.verify.certificate import Certificate, from_json
from ftspec.verify.checks import CHECKS
from ftspec.verify.proven import load as proofs
from tests.conftest import ROOT

PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "backends").glob("*/README.md")),
)
QUICK = (
    "init",
    "schema",
    "validate",
    "data",
    "plan",
    "compile",
    "matrix",
    "import",
    "port",
    "explain",
)
"""Commands that need no environment, and are really run."""
FENCE = re.compile(r"^(?:<!-- excerpt: (\S+) -->\n)?```(\w*)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block, and the one behind it if nothing but white space lies between."""

    page: Path
    excerpt: str
    language: str
    text: str
    output: str


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        found = list(FENCE.finditer(text))
        for index, this in enumerate(found):
            following = found[index + 1] if index + 1 < len(found) else None
            output = ""
            if following and not (following[1] or following[2]):
                near = not text[this.end() : following.start()].strip()
                output = following[3] if near else ""
            yield Block(page, this[1] or "", this[2], this[3], output)


BLOCKS = tuple(_blocks())


def _commands() -> list[tuple[str, str]]:
    return [
        (line, block.output)
        for block in BLOCKS
        if block.language == "console"
        for line in block.text.splitlines()
        if line.startswith("ftspec ")
    ]


def test_there_is_something_to_hold() -> None:
    assert len(PAGES) >= 13
    assert len(_commands()) >= 12
    assert sum(block.language == "yaml" for block in BLOCKS) >= 5
    assert sum(bool(block.excerpt) for block in BLOCKS) >= 5


def test_every_block_of_yaml_is_a_valid_spec() -> None:
    for block in BLOCKS:
        if block.language == "yaml":
            assert "model" in parse(block.text).data, f"{block.page.name}: no spec, so not `yaml`"
            read_any(parse(block.text), Path(block.page.name))


@pytest.mark.parametrize("line", sorted({line for line, _ in _commands()}))
def test_every_command_parses(line: str) -> None:
    command: click.Command = cli
    # click keeps the options for help of the first context that a command meets
    whole = click.Context(cli, info_name="ftspec", **cli.context_settings)
    rest = shlex.split(line)[1:]
    name: str | None = "ftspec"
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(click.Context(command), rest)
        assert found is not None
        command = found
    command.make_context(name, list(rest), parent=whole)


@pytest.mark.parametrize(
    ("line", "output"),
    sorted({pair for pair in _commands() if shlex.split(pair[0])[1] in QUICK}),
)
def test_quick_commands_run(
    line: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    code: Any = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    said = capsys.readouterr()
    if not output:
        assert code == 0, said.err
        return
    assert output.strip() in said.out + said.err
    assert (code != 0) == ("error[" in output)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.excerpt], ids=lambda b: b.excerpt)
def test_excerpts_are_of_the_real_thing(block: Block) -> None:
    """Each line stands in the file, in this order; where lines break makes no difference."""
    file = ROOT / block.excerpt
    if file.is_file():
        text = file.read_text("utf-8")
    else:
        backend, _, path = block.excerpt.partition("/")
        plan = make_plan(
            load(ROOT / "specs" / "quickstart.yaml"), backend, ROOT / "build" / backend
        )
        (emitted,) = (file for file in plan.files() if file.path == path)
        text = emitted.content.decode()
    rest = " ".join(text.split())
    for line in filter(None, block.text.splitlines()):
        _, found, rest = rest.partition(" ".join(line.split()))
        assert found, line


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ +(.*)$", page.read_text("utf-8"), re.M)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: no such file"
        assert not anchor or anchor in _anchors(file), f"{target}: no such heading"


def test_every_code_has_its_paragraph_and_the_other_way_round() -> None:
    text = (ROOT / "docs" / "errors.md").read_text("utf-8")
    told = {(int(n), code) for n, code in re.findall(r"^## (\d+) `(\w+)`", text, re.M)}
    real = {
        (kind.exit_code, kind.code)
        for kind in vars(ftspec.errors).values()
        if isinstance(kind, type) and issubclass(kind, FtspecError)
    }
    assert told == real
    others = {
        int(n)
        for line in re.findall(r"^## ([^`:]+):", text, re.M)
        for n in re.findall(r"\d+", line)
    }
    assert others == {0, 1, 130, 143}


def _script(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_tables_of_fields_are_those_of_the_models() -> None:
    reference = _script("spec_reference")
    text = reference.PAGE.read_text("utf-8")
    assert reference.page(text) == text, "`make docs` renews docs/spec.md"
    tabled = re.findall(r"<!-- fields: (\w+) -->", text)
    assert sorted(tabled) == sorted(reference.models()), "each model has its table, once"


def _rows(page: Path, first: str) -> dict[str, list[str]]:
    """The table under a heading cell, by its first column."""
    lines = page.read_text("utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = cells
    return rows


def test_the_proof_page_lists_the_checks_with_their_tolerances() -> None:
    rows = _rows(ROOT / "docs" / "verify.md", "check")
    assert list(rows) == [check.name for check in CHECKS]
    for check in CHECKS:
        assert rows[check.name][1] == (f"{check.tolerance:g}" if check.tolerance else "exact")
        assert rows[check.name][2] == ("" if check.half is None else f"{check.half:g}")


def _certificates() -> list[Certificate]:
    """Kept proofs of the quickstart as it is now."""
    spec = load(ROOT / "specs" / "quickstart.yaml")
    files = sorted((ROOT / "docs" / "certificates").rglob("*.json"))
    texts = [file.read_text("utf-8") for file in files]
    kept = [from_json(text) for text in texts if '"spec_sha256"' in text]
    return [each for each in kept if each.spec_name == spec.file.stem]


def test_the_numbers_of_the_readme_are_those_of_a_certificate() -> None:
    rows = _rows(ROOT / "README.md", "check")
    certificates = _certificates()
    assert certificates, "docs/certificates holds no proof of specs/quickstart.yaml"
    placed = [check.name for check in CHECKS for row in rows if check.name in row]
    assert placed == [check.name for check in CHECKS], "each check stands in one row"
    found = [_differences(rows, certificate) for certificate in certificates]
    assert [] in found, f"the README says otherwise than every certificate: {found}"


def _differences(rows: dict[str, list[str]], certificate: Certificate) -> list[str]:
    wrong = []
    for row, (_, *cells) in rows.items():
        for name, cell in zip(("deepspeed", "llamafactory", "unsloth"), cells, strict=True):
            checks = [check for check in certificate.runs[name].checks if check.name in row]
            worst = max(check.measured or 0.0 for check in checks)
            equal = all(check.verdict == "equal" for check in checks)
            said = "identical" if equal else f"{worst:.1e}"
            wrong += [f"{name}, {row}: {said}"] if said != cell else []
    return wrong


def test_the_proofs_of_a_gpu_are_as_many_as_the_readme_says() -> None:
    found = [record for record in proofs() if "NVIDIA" in record.device]
    said = re.search(r"(\d+) of an NVIDIA H100 \(", (ROOT / "README.md").read_text("utf-8"))
    assert said is not None
    assert int(said[1]) == len(found)
    assert {record.device for record in found} == {"NVIDIA H100 80GB HBM3"}


def test_the_readme_names_every_command_and_every_backend() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"| `ftspec {name}" in text for name in COMMANDS)
    assert all(f"backends/{name}/README.md" in text for name in names())


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = {
        word
        for words in re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)(?:`|$)", pages, re.M)
        for word in words.split()
    }
    assert {"demo", "test", "check"} <= named
    assert named <= targets


def test_no_page_speaks_of_somebodys_machine() -> None:
    for page in PAGES:
        found = re.search(
            r"(?<![\w.~])/(home|root|work|opt|tmp|mnt|Users)/", page.read_text("utf-8")
        )
        assert found is None, f"{page.name}: {found}"


def test_every_named_template_is_listed() -> None:
    text = (ROOT / "docs" / "spec.md").read_text("utf-8")
    section = text.partition("### Chat templates by name")[2].partition("\n### ")[0]
    paragraphs = [part for part in section.split("\n\n") if part.lstrip().startswith("`")]
    listed = [re.findall(r"`([^`]+)`", part) for part in paragraphs[1:]]
    assert listed == [[name for name in NAMED if name not in THINKING], [*THINKING]]


def test_every_ported_pair_has_its_certificate() -> None:
    page = (ROOT / "docs" / "porting.md").read_text("utf-8")
    linked = re.findall(r"\| \[([^]]+)\]\((certificates/pairs/[^)]+\.json)\) \|", page)
    files = sorted((ROOT / "docs" / "certificates" / "pairs").glob("*.json"))
    assert sorted(ROOT / "docs" / name for _, name in linked) == files
    assert len(files) >= 16
    for said, name in linked:
        kept = json.loads((ROOT / "docs" / name).read_text("utf-8"))
        assert kept["verdict"] == "equal"
        assert {*kept["checks"]} <= {check.name for check in CHECKS} and len(kept["checks"]) >= 13
        measured = kept["checks"]["final update"]
        assert said == (f"{measured:.1e}" if isinstance(measured, float) else "identical")
        # two runs of one framework are told apart
        within = kept["original"] == kept["port"]
        one, other = ("original", "ported") if within else (kept["original"], kept["port"])
        assert {*kept["versions"]} in ({one, other}, {one, kept["port"]})
