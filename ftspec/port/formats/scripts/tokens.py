"""Tokens that a script names or adds: transformers' tokenizer and embeddings, and Unsloth's `add_new_tokens`.

transformers 5.6, modeling_utils.py: rows that `resize_token_embeddings` adds are drawn around the mean of the
others, with a deviation of some 0.003 % of theirs. unsloth_zoo, tokenizer_utils.py.
"""

from __future__ import annotations

from typing import Any

from ftspec.port.fates import Setting
from ftspec.port.rules import (
    Context,
    Outcome,
    Rule,
    inert,
    nearly,
    section,
    unknown,
    unless,
)
from ftspec.port.scripts.names import TOKENIZER

NEW = "model.new_tokens."
WORDS = {f"{word}_token": word for word in ("bos", "eos", "pad", "unk")}
FURTHER = ("additional_special_tokens", "extra_special_tokens")
ADDED = (
    "a token that the vocabulary lacks is added there; a run of this spec stops and names it: "
    "model.new_tokens adds it"
)
NORMALISED = "it is looked for in normalised text there: the same where a tokenizer normalises none"
TRAINED = (
    "there new rows begin at the mean of the rows that it holds for trained, here at that of all"
)
SHRINKS = "embeddings with more rows than the vocabulary shrink there, and here they stay"
ONCE = "tokens that are added by several calls are not in a spec"
CALLS = ("add_tokens", "add_new_tokens")
SPECIAL = "add_special_tokens"


def _special(setting: Setting, context: Context) -> Outcome:
    call, name = setting.key.partition(".")[0], setting.key.rpartition(".")[2]
    if name in FURTHER and call == SPECIAL:
        return _new(setting, context)
    if name not in WORDS or not isinstance(setting.value, str):
        return Outcome("unknown", why=f"{name} is not in a spec")
    spec = {f"model.special_tokens.{WORDS[name]}": setting.value}
    return Outcome("renamed", spec=spec, why=ADDED if call == SPECIAL else "")


def _adding(context: Context) -> list[str]:
    """The calls that add tokens beside the named ones."""
    given = section(context, SPECIAL)
    named = given.get("0", given.get("special_tokens_dict"))
    others = [call for call in CALLS if section(context, call)]
    return others + [name for name in FURTHER if isinstance(named, dict) and named.get(name)]


def _new(setting: Setting, context: Context) -> Outcome:
    texts = [setting.value] if isinstance(setting.value, str) else setting.value
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        return Outcome("unknown", why="tokens that are not given as texts are not in a spec")
    if len(_adding(context)) > 1 or len(set(texts)) < len(texts):
        return Outcome("unknown", why=ONCE)
    call = setting.key.partition(".")[0]
    plain = call != SPECIAL and not section(context, call).get("special_tokens")
    resized = section(context, "resize_token_embeddings")
    spec: dict[str, Any] = {
        "tokens": tuple(texts),
        "special": not plain,
        "init": "normal" if resized.get("mean_resizing") is False else "mean",
        "multiple": resized.get("pad_to_multiple_of") or 1,
    }
    why = NORMALISED if plain else ""
    if call == "add_new_tokens":
        why = f"{TRAINED}; {NORMALISED}"
    fate = Outcome("approximated" if plain else "renamed", why=why)
    return fate._replace(spec={f"{NEW}{name}": value for name, value in spec.items()})


def _kind(setting: Setting, _context: Context) -> Outcome:
    return Outcome("derived", of=(f"{NEW}special",))


def _method(setting: Setting, _context: Context) -> Outcome:
    if setting.value == "mean":
        return Outcome("derived", of=(f"{NEW}init",))
    return Outcome("unknown", why="rows between two means are not in a spec")


def _resized(setting: Setting, context: Context) -> Outcome:
    name = setting.key.rpartition(".")[2]
    if not _adding(context):
        return Outcome("approximated", why=SHRINKS)
    if name == "0":
        if setting.value != "len(tokenizer)":
            return Outcome("unknown", why="a number of rows of its own is not in a spec")
        return Outcome("approximated", why=SHRINKS, of=(f"{NEW}tokens",))
    if name == "pad_to_multiple_of":
        return Outcome("derived", of=(f"{NEW}multiple",))
    if name == "mean_resizing":
        return Outcome("derived", of=(f"{NEW}init",))
    return Outcome("unknown", why="a further argument of it is not in a spec")


def _loaded(setting: Setting, context: Context) -> Outcome:
    """The model's own, which a spec takes."""
    if (name := context.get("model_name_or_path")) is None:
        return Outcome("derived", of=("model.name",))
    if setting.value == name:
        return Outcome("derived", of=("model.name",))
    return Outcome("unknown", why=f"a tokenizer of another model than {name} is not in a spec")


def _revision(setting: Setting, context: Context) -> Outcome:
    if setting.value == context.get("model_revision", "main"):
        return Outcome("derived", of=("model.revision",))
    return Outcome("unknown", why="a tokenizer of another revision than the model is not in a spec")


def _of_the_script(why: str, inert_why: str) -> Rule:
    """What rows that a script tokenises itself are made by, and those that trl's trainers make are not."""

    def rule(_setting: Setting, context: Context) -> Outcome:
        if context.get("plain_trainer"):
            return Outcome("unknown", why=why)
        return Outcome("inert", why=inert_why)

    return rule


LOADED_RULES: dict[str, Rule] = {
    f"{TOKENIZER}.0": _loaded,
    f"{TOKENIZER}.revision": _revision,
    f"{TOKENIZER}.use_fast": unless(
        (True, None), "it is the fast one anyway", nearly("a slow tokenizer parts rare texts otherwise")
    ),
    f"{TOKENIZER}.add_eos_token": unless(
        (False, None), "it is off", nearly("it ends each text that it is given; here a text is ended once")
    ),
    f"{TOKENIZER}.add_bos_token": nearly(
        "whether it begins each text that it is given with its token: here it does what its files say"
    ),
    f"{TOKENIZER}.model_max_length": _of_the_script(
        "the rows that it makes are cut there", "trl cuts rows where max_length says"
    ),
    f"{TOKENIZER}.truncation_side": _of_the_script(
        "longer rows lose their beginning", "trl cuts rows itself"
    ),
    **{
        f"{TOKENIZER}.{name}": inert("where it is looked for, or how it pads")
        for name in (
            "padding_side", "padding", "trust_remote_code", "token", "use_auth_token", "cache_dir",
            "local_files_only", "force_download", "resume_download", "proxies", "device_map",
            "clean_up_tokenization_spaces", "torch_dtype", "truncation", "max_length", "return_tensors",
        )
    },
    f"{TOKENIZER}.": unknown("how a tokenizer is made otherwise is not in a spec"),
}  # fmt: skip
TOKEN_RULES: dict[str, Rule] = {
    **LOADED_RULES,
    "tokenizer.": _special,
    f"{SPECIAL}.": _special,
    f"{SPECIAL}.replace_extra_special_tokens": inert("which of them a list names"),
    "add_tokens.0": _new,
    "add_tokens.new_tokens": _new,
    "add_tokens.special_tokens": _kind,
    "add_new_tokens.new_tokens": _new,
    "add_new_tokens.2": _new,
    "add_new_tokens.method": _method,
    "add_new_tokens.interpolation": inert("it belongs to another method"),
    "add_new_tokens.": unknown("a further argument of it is not in a spec"),
    "resize_token_embeddings.": _resized,
}
