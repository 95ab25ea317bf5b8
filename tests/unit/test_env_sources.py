"""Where packages come from, and that no password is ever shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ftspec.backend import Backend
from ftspec.env import doctor, install, sources
from ftspec.errors import EnvironmentError_
from tests.unit.fake_uv import backend, changed, demo_backend, fake_uv  # noqa: F401 - fixtures


@pytest.fixture
def pip_files(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex_url = https://user:p%40ss@one.example/simple\n"
        "find-links =\n  ~/wheels\n  /more\n"
        "[install]\ntrusted-host = one.example two.example\n"
    )
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / "pip.conf").write_text("[global]\nextra-index-url = https://two.example/simple\n")
    return {"HOME": str(home), "VIRTUAL_ENV": str(venv), "XDG_CONFIG_DIRS": str(tmp_path)}


def test_pip_configuration_becomes_uv_environment(pip_files: dict[str, str]) -> None:
    found = sources.read_sources({**pip_files, "PIP_EXTRA_INDEX_URL": "https://three.example/s"})
    made = sources.uv_environ(found, {})
    assert made["UV_DEFAULT_INDEX"] == "https://user:p%40ss@one.example/simple"
    assert made["UV_INDEX"] == "https://three.example/s"  # the variable wins over the file
    assert made["UV_FIND_LINKS"] == f"{Path.home()}/wheels,/more"
    assert made["UV_INSECURE_HOST"] == "one.example two.example"
    assert made["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_variables_for_uv_win(pip_files: dict[str, str]) -> None:
    own_words = {
        "UV_INDEX_URL": "https://mine",
        "UV_INDEX": "https://m",
        "UV_INDEX_STRATEGY": "first-index",
    }
    made = sources.uv_environ(sources.read_sources(pip_files), own_words)
    assert set(made) == {"UV_FIND_LINKS", "UV_INSECURE_HOST"}


def test_pip_config_file_replaces_the_persons_or_all(
    pip_files: dict[str, str], tmp_path: Path
) -> None:
    chosen = tmp_path / "other.conf"
    chosen.write_text("[global]\ncert = ~/ca.pem\nno-index = true\n")
    found = sources.read_sources({**pip_files, "PIP_CONFIG_FILE": str(chosen)})
    assert "index-url" not in found
    assert found["cert"].values == (str(Path.home() / "ca.pem"),)
    made = sources.uv_environ(found, {})
    assert made["UV_NO_INDEX"] == "1"
    assert made["SSL_CERT_FILE"].endswith("ca.pem")
    assert sources.read_sources({**pip_files, "PIP_CONFIG_FILE": os.devnull}) == {}


def test_a_broken_pip_configuration_is_no_obstacle(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_bytes(b"index-url = no section\n\xff")
    assert "index-url" not in sources.read_sources(
        {"PIP_CONFIG_FILE": str(broken), "HOME": str(tmp_path)}
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://user:SECRET@host/simple",
        "https://SECRET@host/simple",
        "failed: `https://user:a@SECRET@host/x` (401)",
        "https://user:SE/CRET@host/simple".replace("SE/CRET", "SECRET/1"),
        "https://host/x?token=SECRET&y=1",
        "pypi-SECRETSECRET",
        "hf_SECRETSECRET",
    ],
)
def test_credentials_are_redacted(text: str) -> None:
    assert "SECRET" not in sources.redact(text)


def test_credentials_never_appear(
    demo: Backend, monkeypatch: pytest.MonkeyPatch, calls: Callable[..., list[str]], tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:SECRET@host.example/simple")
    monkeypatch.setenv("UV_INDEX_MINE_PASSWORD", "SECRET")
    said: list[str] = []
    install.ensure(demo, progress=lambda progress: said.append(progress.text))
    monkeypatch.setenv(
        "FAKE_UV", "error: cannot fetch https://user:SECRET@host.example/simple/demo"
    )
    with pytest.raises(EnvironmentError_) as caught:
        install.ensure(backend(changed(demo)))
    findings = doctor.diagnose([demo])
    shown = [*said, str(caught.value), *map(str, findings), *calls()]
    written = [path.read_text() for path in (tmp_path / "cache").rglob("*.json")]
    assert any("***" in text for text in shown)
    assert not [text for text in shown + written if "SECRET" in text]
