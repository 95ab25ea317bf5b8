"""Where a tokenizer's files are: a folder, or the local cache of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ftspec.errors import DataError, Problem
from ftspec.spec.home import at_home
from ftspec.spec.present import is_folder

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


def tokenizer_folder(name: str | Path, revision: str = "main") -> Path:
    """The folder with a model's tokenizer: the folder itself, or the hub's local copy of it."""
    folder = at_home(str(name))
    if is_folder(folder):
        return folder
    if isinstance(name, Path) or name.startswith((".", "/", "~")) or name.count("/") > 1:
        hint = "a path in a spec starts at the spec's folder"
        raise DataError(
            Problem("no such model folder", path="model.name", file=str(folder), hint=hint)
        )
    return _from_hub(name, revision)


def read_text(file: Path) -> str:
    """A text file of a tokenizer."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(Problem("the file is not UTF-8", file=str(file))) from None
    except OSError as error:
        raise DataError(
            Problem(f"the file cannot be read: {error.strerror}", file=str(file))
        ) from None


def read_json(file: Path) -> dict[str, Any]:
    """A JSON file of a tokenizer; it holds an object."""
    try:
        value = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        message = f"invalid JSON: {error.msg}"
        raise DataError(Problem(message, file=str(file), line=error.lineno)) from None
    except (ValueError, RecursionError):
        raise DataError(Problem("invalid JSON", file=str(file))) from None
    if not isinstance(value, dict):
        raise DataError(Problem("the file does not hold a JSON object", file=str(file)))
    return value


def _from_hub(name: str, revision: str) -> Path:
    try:
        import huggingface_hub  # noqa: PLC0415 -- an extra, and slow to import
        from huggingface_hub import errors  # noqa: PLC0415
    except ImportError:
        message = f"{name} is no folder here, and a hub model needs the package huggingface_hub"
        hint = "pip install 'ftspec[hub]', or download the model and give its folder"
        raise DataError(Problem(message, path="model.name", hint=hint)) from None
    try:
        return Path(
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=FILES)
        )
    except errors.HFValidationError:
        reason, hint = "this is neither a folder nor a hub id (`org/name`)", "check the name"
    except errors.GatedRepoError:
        reason, hint = "the model is gated", "accept its terms on the hub, then run `hf auth login`"
    except errors.RepositoryNotFoundError:
        reason, hint = "the hub has no such model", "check the name, or run `hf auth login`"
    except errors.RevisionNotFoundError:
        reason, hint = f"the model has no revision {revision}", "check `model.revision`"
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError):
        reason = "its tokenizer is not in the local hub cache, and the hub cannot be reached"
        hint = f"on a machine with a connection: hf download {name}; then give the folder"
    raise DataError(Problem(f"{name}: {reason}", path="model.name", hint=hint))
