"""axolotl's tokens: special ones, new ones, and the rows of embeddings that they get.

axolotl 0.19.0, loaders/tokenizer.py and loaders/model.py: a token that the vocabulary lacks is added, and
embeddings that are smaller than the vocabulary grow; their rows are drawn as those of a new model, unless
`mean_resizing_embeddings` is on.
"""

from __future__ import annotations

from typing import Any

from ftspec.data.tokenizer import named_tokens
from ftspec.errors import DataError
from ftspec.port.fates import Setting
from ftspec.port.formats.axolotl.words import off_or, said
from ftspec.port.rules import Context, Outcome, Rule, inert, unknown
from ftspec.spec.present import is_folder

NEW = "model.new_tokens."
FURTHER = "additional_special_tokens"
WORDS = {f"{word}_token": word for word in ("bos", "eos", "pad", "unk")}
ADDED = (
    "where the vocabulary lacks it, axolotl adds it, with embeddings drawn at random; a run of this spec "
    "stops and names it: model.new_tokens adds it"
)
NO_NEW = "no tokens are added"
NEARLY_MEAN = "drawn so near the mean of all rows that it is the mean"
KINDS = "tokens that are special and others that are not are both added: a spec adds one kind"


def _special(setting: Setting, context: Context) -> Outcome:
    """A special token, which a local model's own files may name as well."""
    name, model = setting.key.rpartition(".")[2], str(context.get("base_model") or "")
    if name not in WORDS:
        return Outcome("unknown", why=f"axolotl has no {name} (utils/schemas/model.py)")
    folder = context.document.path.parent / model
    try:
        own = named_tokens(folder) if model and is_folder(folder) else {}
    except DataError:
        own = {}
    if setting.value == own.get(name):
        return Outcome("inert", why="the tokenizer's own")
    return Outcome(
        "renamed", spec={f"model.special_tokens.{WORDS[name]}": setting.value}, why=ADDED
    )


def _texts(value: Any) -> list[str]:
    return [*map(str, value)] if isinstance(value, list) else []


def _added(context: Context) -> tuple[list[str], bool] | None:
    """The tokens that are added, and whether they are special; None where there are none."""
    further = _texts((context.get("special_tokens") or {}).get(FURTHER))
    plain = _texts(context.get("tokens"))
    if plain:
        return plain, False
    return (further, True) if further else None


def _new(setting: Setting, context: Context) -> Outcome:
    found = _added(context)
    if found is None:
        return Outcome("unknown", why="a list of texts is what adds tokens")
    texts, special = found
    if special != (setting.key != "tokens"):
        return Outcome("unknown", why=KINDS)
    if len(set(texts)) < len(texts):
        return Outcome("unknown", why="a token stands there twice")
    spec = {
        "tokens": tuple(texts),
        "special": special,
        "init": "mean" if context.get("mean_resizing_embeddings") else "normal",
        "multiple": 32 if context.get("resize_token_embeddings_to_32x") else 1,
    }
    return Outcome("renamed", spec={f"{NEW}{name}": value for name, value in spec.items()})


def _multiple(setting: Setting, context: Context) -> Outcome:
    if not setting.value:
        return Outcome("inert", why="embeddings get as many rows as there are tokens")
    if _added(context) is None:
        why = "rows that no token has, where the vocabulary is no multiple of 32, are not in a spec"
        return Outcome("approximated", why=why)
    return Outcome("derived", of=(f"{NEW}multiple",))


def _mean(setting: Setting, context: Context) -> Outcome:
    if _added(context) is None:
        return Outcome("inert", why=NO_NEW)
    return Outcome("derived", why=NEARLY_MEAN if setting.value else "", of=(f"{NEW}init",))


def _legacy(setting: Setting, _context: Context) -> Outcome:
    if setting.value is True:
        why = "what transformers 5 assumes where it makes a tokenizer of an older kind of file"
        return Outcome("inert", why=why)
    return Outcome("unknown", why="another way to read an older kind of file is not in a spec")


TOKEN_RULES: dict[str, Rule] = {
    "special_tokens": inert("nothing is said: the default holds"),
    f"special_tokens.{FURTHER}": said(_new),
    "special_tokens.": said(_special),
    "tokens": off_or(_new),
    "tokens.": said(_special),
    "resize_token_embeddings_to_32x": _multiple,
    "mean_resizing_embeddings": said(_mean),
    "shrink_embeddings": off_or(unknown("embeddings that lose rows are not in a spec")),
    "tokenizer_use_fast": inert(
        "transformers 5 has fast tokenizers alone, and does not look at it"
    ),
    "tokenizer_legacy": said(_legacy),
    "added_tokens_overrides.": unknown("other texts for tokens that are there are not in a spec"),
}
