"""spec.data: what is trained on, in which form, and which tokens count."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ftspec.spec.base import Items, Node

Format = Literal[
    "auto",
    "messages",
    "sharegpt",
    "alpaca",
    "prompt-completion",
    "text",
    "preference",
    "preference-implicit",
    "sharegpt-ranking",
    "alpaca-ranking",
    "unpaired",
    "messages-unpaired",
    "sharegpt-unpaired",
    "alpaca-unpaired",
    "prompt",
]
PAIRS: tuple[Format, ...] = (
    *("sharegpt-ranking", "alpaca-ranking", "preference", "preference-implicit"),
)
"""Formats of a chosen and a rejected answer to one prompt."""
UNPAIRED: tuple[Format, ...] = (
    *("messages-unpaired", "sharegpt-unpaired", "alpaca-unpaired", "unpaired"),
)
"""Formats of one answer with a label: whether it is good. They are other formats with a column more."""
SHARED = ("documents", "together")
"""Ways of packing in which whole rows share one."""
FORMATS: Mapping[str, tuple[Format, ...]] = {
    "sft": ("messages", "sharegpt", "alpaca", "prompt-completion"),
    "cpt": ("text",),
    "dpo": PAIRS,
    "kto": UNPAIRED,
    "orpo": PAIRS,
    "cpo": PAIRS,
    "simpo": PAIRS,
    "reward": PAIRS,
    "grpo": ("prompt",),
    "rloo": ("prompt",),
    "gkd": ("messages", "sharegpt", "alpaca"),
    "online-dpo": ("prompt",),
    "ppo": ("prompt",),
    "ebft": ("messages", "sharegpt", "alpaca"),
    "ebft-strided": ("text", "prompt-completion"),
}
"""Formats of rows that an objective takes, the plainest first."""
SUFFIXES = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}
"""File endings that can be read, and the reader that `datasets.load_dataset` uses for each."""

SLICE = re.compile(r"(\w+(?:\.\w+)*)(?:\[:([1-9]\d*)\])?", re.ASCII)
"""The name of a split, and how many of its first rows: `train[:500]`, as `datasets` writes it."""


def sliced(split: str, limit: int | None) -> str:
    """A split's name, with its first rows alone where there is a limit."""
    return split if limit is None else f"{split}[:{limit}]"


def unsliced(split: str) -> tuple[str, int | None]:
    """The name and the limit; any other slice stays in the name."""
    found = SLICE.fullmatch(split)
    return (found[1], int(found[2])) if found and found[2] else (split, None)


Token = Annotated[str, Field(min_length=1)]
FileName = Annotated[str, Field(min_length=1)]


A_PAIR = (
    "a template has a `prompt` and a `completion`, with a `label` where answers are judged, or `prompt` (or "
    "`user`), `chosen` and `rejected`, or `user` and `assistant`, or one `text`"
)


WRITINGS = (
    ("prompt", "completion"),
    ("prompt", "chosen", "rejected"),
    ("user", "chosen", "rejected"),
    ("user", "assistant"),
    ("text",),
)
"""The texts that make a row together."""


class Written(Node):
    """A row that texts write from its columns: a prompt and its answer, a pair, turns, or one plain text.

    All are Jinja texts in which a column stands under its name: `{{ question }}`. They run in a sandbox,
    print what they hold to the last character, and stop at a column that is not there; `{% if context is
    defined and context %}` asks first. A prompt and a completion are tokenised each by itself, so that no
    token spans both: the prompt as a text of the tokenizer, the completion without special tokens of its
    own and with one end of text. Of a pair, and of an answer with a label, the prompt with the answer
    behind it is one text of the tokenizer, with an end of text where the answer ends in none. Turns are
    written by the chat template, like those of any conversation. A plain text is one of continued
    pre-training: all of it is learned, and it ends with one end of text.
    """

    prompt: str | None = Field(
        None, min_length=1, examples=["### Question:\n{{ question }}\n\n### Answer:\n"]
    )
    """What comes first. It trains where `data.train_on` is `all`."""
    completion: str | None = Field(None, min_length=1, examples=["{{ answer }}"])
    """What is learned behind the prompt."""
    label: str | None = Field(None, min_length=1, examples=["{{ label }}"])
    """Of an answer that is judged by itself, for `method.objective: kto`: what prints True where it is good,
    and else False."""
    chosen: str | None = Field(None, min_length=1, examples=["{{ chosen }}"])
    """Of a pair, the better answer: what stands behind the prompt, marks of a turn's end included. With
    `user` in its place, the assistant's turn."""
    rejected: str | None = Field(None, min_length=1, examples=["{{ rejected }}"])
    """Of a pair, the other answer."""
    system: str | None = Field(None, min_length=1)
    """A system turn before that of the user, which stands there even where it says nothing. null: none, or
    `data.system`."""
    user: str | None = Field(None, min_length=1, examples=["{{ question }}"])
    """The turn of the user, in the place of a prompt: the chat template writes the row."""
    assistant: str | None = Field(None, min_length=1, examples=["{{ answer }}"])
    """The assistant's turn, in the place of a completion: what is learned."""
    text: str | None = Field(None, min_length=1, examples=["{{ title }}\n\n{{ body }}"])
    """The whole of a plain text, for `method.objective: cpt`. It needs no end of text of its own."""

    @property
    def talks(self) -> bool:
        """Whether it writes turns."""
        return self.user is not None

    @property
    def format(self) -> Format:
        """The format of what it writes."""
        if self.text is not None:
            return "text"
        if self.chosen is not None:
            return "preference"
        if self.label is not None:
            return "unpaired"
        return "messages" if self.talks else "prompt-completion"

    @field_validator("*")
    @classmethod
    def _jinja(cls, text: str | None) -> str | None:
        import jinja2  # noqa: PLC0415 -- most specs have no such text

        try:
            jinja2.Environment().parse(text or "")  # noqa: S701 -- read, and never rendered
        except (jinja2.TemplateError, RecursionError) as error:
            line, why = getattr(error, "lineno", 1), str(error).partition("\n")[0]
            raise ValueError(f"this is not valid Jinja, in its line {line}: {why}") from None
        return text

    @model_validator(mode="after")
    def _a_pair(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if self.label is not None and "completion" not in given:
            raise ValueError("`label` says whether a `completion` is good")
        if given - {"system", "label"} not in map(set, WRITINGS):
            raise ValueError(A_PAIR)
        if self.system is not None and not self.talks:
            raise ValueError("`system` is a turn: it belongs to `user`")
        return self


FLAGGED = "`turn_flag` belongs to `turn_part: ended` or `said`"
SORTED = "`group_by_length` sorts rows that are drawn: leave `shuffle: false` out"
OF_HUB = "`files` and `revision` belong to a hub data set, not to a file"


class Source(Node):
    """One data source: a local file, or a data set of the hub."""

    short: ClassVar[str | None] = "path"

    path: str | None = Field(None, min_length=1, examples=["data/chat.jsonl"])
    """Local JSON, JSONL, Parquet or CSV file, relative to the spec's file."""
    hub: str | None = Field(None, min_length=1, examples=["HuggingFaceH4/ultrachat_200k"])
    """Data set id of the hub."""
    subset: str | None = Field(None, min_length=1)
    """Subset (configuration) of a hub data set."""
    files: Items[FileName] = Field((), examples=["data/train-*.parquet"])
    """Files of a hub data set that are read, in this order and no others: names inside it, in which `*`
    stands for any. They make one split, `train`. Empty: all that the data set says of its split."""
    revision: str | None = Field(None, min_length=1)
    """Branch, tag or commit of a hub data set. null: its main branch."""
    split: str = Field("train", min_length=1)
    """Split of a hub data set."""
    limit: int | None = Field(None, ge=1)
    """Only the first rows are used, at most so many. `split: train[:500]` of a hub data set says it too."""
    share: float | None = Field(None, gt=0)
    """Rows of the source are drawn in random order (seeded by data.draw_seed), and only the first ones are
    used: this share of them, rounded down, or above 1 at most so many. 1: all, in that order. null: all, as
    they stand."""
    format: Format = "auto"
    """Shape of a row. `auto`: recognised from the columns of a local file's first row. For preferences:
    `preference` (prompt, chosen, rejected: texts, or lists of messages), `preference-implicit` (chosen and
    rejected are whole conversations), and LLaMA-Factory's `sharegpt-ranking` and `alpaca-ranking`. For
    KTO, rows of one answer and a `label`, true or false: `unpaired` (prompt, completion), and
    `messages-unpaired`, `sharegpt-unpaired`, `alpaca-unpaired`. For rewards: `prompt` (a text, or a list of
    messages), beside any columns that the rewards read."""
    columns: dict[str, str] = Field(default_factory=dict)
    """The file's own column names, by the name the format expects: `{messages: conversation}`. Beside a
    `template` that writes turns, only `{images: picture}`: where these hold images."""
    template: Written | None = None
    """Texts that make a prompt and its answer, a pair, turns, or one text of any columns. null: rows are
    what their format says."""

    @classmethod
    def expand(cls, value: Any) -> Any:
        """A bare string is a path if it ends like a data file, else a hub id."""
        if isinstance(value, str) and not value.lower().endswith(tuple(SUFFIXES)):
            return {"hub": value}
        full = super().expand(value)
        if isinstance(full, dict) and isinstance(full.get("split"), str):
            name, limit = unsliced(full["split"])
            if limit is not None and full.get("limit") is None:
                return {**full, "split": name, "limit": limit}
        return full

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("a source is either a `path` or a `hub` id, and one of them is needed")
        if self.path is not None and not self.path.lower().endswith(tuple(SUFFIXES)):
            raise ValueError(f"a data file ends in one of {', '.join(SUFFIXES)}")
        if self.template is not None and (
            self.columns.keys() - ({"images"} if self.template.format == "messages" else set())
            or self.format not in ("auto", self.template.format)
        ):
            raise ValueError(
                "`template` names the columns itself, beside no `format` and no `columns` but `images`, "
                "which turns may have"
            )
        if (self.share or 0) > 1 and self.share != int(self.share or 0):
            raise ValueError("`share` is a share, at most 1, or a whole number of rows")
        if self.path is not None and self.subset is not None:
            raise ValueError("`subset` belongs to a hub data set, not to a file")
        if self.path is not None and (self.files or self.revision is not None):
            raise ValueError(OF_HUB)
        if self.files and self.subset is not None:
            raise ValueError("`files` are chosen by their names, beside no `subset`")
        found = SLICE.fullmatch(self.split)
        if self.hub is not None and self.limit is not None and (not found or found[2]):
            raise ValueError("beside `limit`, `split` is the name of one split")
        return self


class Data(Node):
    """Training and evaluation data."""

    short: ClassVar[str | None] = "train"
    swayed: ClassVar[frozenset[str]] = frozenset(("max_length", "overflow", "shuffle"))

    train: Items[Source] = Field(min_length=1)
    """Sources to train on, one after the other."""
    eval: Items[Source] = ()
    """Sources to evaluate on."""
    eval_size: float | None = Field(None, gt=0)
    """Rows of `train` that are held out to evaluate on, drawn at random (seeded by
    data.draw_seed): below 1 a share of them, else a count. The same rows in every backend; the others
    train in the order in which they were drawn. null: all train."""
    eval_draw: Literal["first", "last"] = "first"
    """Which of the rows that `eval_size` has drawn are held out. `first`: the first ones, as
    `train_test_split` of Hugging Face datasets takes them, and LLaMA-Factory. `last`: the last ones, once
    those are left out that `overflow: drop` finds too long, as axolotl takes them."""
    mixed: bool = False
    """Rows of all sources are drawn in one random order (seeded by data.draw_seed) before any are held
    out. false: sources follow one another."""
    draw_seed: int | None = Field(None, ge=0, lt=2**32)
    """Seed of the rows that `eval_size`, `mixed` and a source's `share` draw. null: that of train.seed."""
    system: str | None = Field(None, min_length=1)
    """System prompt for conversations that begin with none. null: they are trained without one."""
    max_length: int | None = Field(2048, ge=8)
    """Longest sequence, in tokens. null: no limit; the longest row has to fit into memory, and within the
    model's positions."""
    overflow: Literal["truncate", "truncate-left", "truncate-turns", "split", "drop", "error"] = (
        "truncate"
    )
    """What happens to a longer row. `truncate`: its first max_length tokens are kept. `truncate-left`:
    its last ones. `truncate-turns`, as LLaMA-Factory does: one turn after the other takes what room is
    left, the last one first with `train_on: completions`; of a question and its answer that do not fit
    the one that takes more than half of it loses its end, or both in proportion where both do. Of a pair
    the longer answer counts. `split`: it becomes several rows, one after the other, of at most max_length
    tokens each; those in which nothing trains are left out. `drop`: it is left out. `error`: the run does
    not start, and the row is named."""
    split_rows: int | None = Field(None, ge=1)
    """Of one row, `overflow: split` makes at most so many; what lies behind them is left out. null: as
    many as it takes."""
    min_length: int | None = Field(None, ge=1)
    """Rows of fewer tokens are left out. null: none is."""
    distinct: bool = False
    """Rows with exactly the tokens and labels of an earlier row of the split are left out; where
    `eval_draw: last` holds rows out, before it does."""
    drop_system: bool = False
    """A system turn that begins a conversation is left out."""
    max_prompt_length: int | None = Field(None, ge=1)
    """Longest prompt of answers that are compared or judged, in tokens: a longer one loses its beginning,
    before `overflow` is asked. null: no limit but that of the row."""
    prompt_cut: Literal["always", "overlong"] = "always"
    """Which prompts `max_prompt_length` cuts. `always`: all that are longer. `overlong`: those of a pair
    whose prompt and longer answer together exceed max_length; where they still do, both answers keep
    their first tokens, at most max_length - max_prompt_length."""
    train_on: Literal["completions", "assistant", "all"] = "assistant"
    """Which tokens count in the loss: every `assistant` turn, only the last one (`completions`), or
    `all`. Of plain text, all."""
    turn_part: Literal["written", "ended", "said"] = "written"
    """Which tokens of a trained turn count. `written`: all that the template writes of it behind the
    opening of an assistant turn, mostly with a line break at the end, or what the template marks.
    `ended`: what the turn says, thoughts and calls of tools with it, and its end-of-turn token; not what
    the template writes around that, such as empty thoughts. `said`: without that token. Plain texts have
    no turns."""
    turn_ends: Items[Token] = Field((), examples=["<end_of_turn>"])
    """Tokens that end a turn, for `turn_part: ended`, beside the tokenizer's eos_token."""
    turn_flag: str | None = Field(None, min_length=1, examples=["train"])
    """Key of a turn that says, by true or false, whether it trains, for `turn_part: ended` and `said`. A
    turn without it trains as `train_on` says; a row of which no turn trains stops the run. null: none."""
    prepare: Literal["framework", "ftspec"] = "framework"
    """Who renders and tokenises: the framework's own data path, or ftspec, once for all backends."""
    packing: Literal["documents", "together", "blocks"] | None = None
    """Several rows of data in one row of a batch, of at most max_length tokens; batch sizes then count
    packed rows. `documents`: whole rows share one, and do not see each other: attention and positions
    start again with each. `together`: whole rows share one, and see those before them in it, while
    positions start again with each. `blocks`, for continued pre-training: all documents are joined and
    cut into equal blocks; those in one block see each other, as in pre-training. null: each row stands
    alone."""
    shuffle: bool = True
    """Draw rows in random order (seeded by train.data_seed)."""
    group_by_length: bool = False
    """Rows of like length share a step, so that less is padded. Rows in random order (seeded by train.seed)
    are sorted by length, the longest first, as many at a time as 50 steps of one device take, or a quarter
    of all where that is less; the longest of all begins."""

    @model_validator(mode="after")
    def _one_way_to_evaluate(self) -> Self:
        if self.eval and self.eval_size is not None:
            raise ValueError("rows to evaluate on are named (`eval`) or held out (`eval_size`)")
        if (self.eval_size or 0) >= 1 and self.eval_size != int(self.eval_size or 0):
            raise ValueError("`eval_size` is a share below 1, or a whole number of rows")
        if self.eval_draw == "last" and self.eval_size is None:
            raise ValueError("`eval_draw` says which rows `eval_size` holds out: give it too")
        shared = any(source.share is not None for source in (*self.train, *self.eval))
        if self.draw_seed is not None and not (self.mixed or self.eval_size or shared):
            raise ValueError(
                "`draw_seed` belongs to rows that are drawn: `eval_size`, `mixed`, or a source's `share`"
            )
        if self.max_length is None and self.overflow not in ("truncate", "truncate-left"):
            raise ValueError("no row is longer than no limit: leave `overflow` out")
        if self.max_length is None and self.packing is not None:
            raise ValueError("rows are packed up to a length: `packing` needs a `max_length`")
        if self.max_length is None and self.prompt_cut != "always":
            raise ValueError("no pair is too long for no limit: leave `prompt_cut` out")
        if (self.max_prompt_length or 0) >= (self.max_length or math.inf):
            raise ValueError("`max_prompt_length` leaves room for an answer within `max_length`")
        if self.split_rows is not None and self.overflow != "split":
            raise ValueError("`split_rows` belongs to `overflow: split`")
        if (self.min_length or 0) > (self.max_length or math.inf):
            raise ValueError("`min_length` is at most `max_length`: else no row is left")
        if self.prompt_cut != "always" and self.max_prompt_length is None:
            raise ValueError("`prompt_cut` says when `max_prompt_length` cuts: give it too")
        if self.group_by_length and not self.shuffle:
            raise ValueError(SORTED)
        return self

    @model_validator(mode="after")
    def _parts_of_turns(self) -> Self:
        if self.turn_ends and self.turn_part != "ended":
            raise ValueError("`turn_ends` belongs to `turn_part: ended`")
        if self.turn_flag is not None and self.turn_part == "written":
            raise ValueError(FLAGGED)
        return self
