"""Pairs of answers, as axolotl's functions write them (prompt_strategies/dpo/ of 0.19.0): texts of a spec.

Of texts trl makes one of the prompt and each answer, and ends it with an end of text where it has none.
`tests/real/test_axolotl_pairs.py` holds what the texts write against axolotl's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ftspec.families.rows.instructions import Template, jinja, named_column
from ftspec.port.fates import Kind

OF_PAIRS = ("dpo", "simpo", "orpo", "kto", "reward")
"""Objectives whose rows these are; axolotl reads those of SimPO by DPO's functions (utils/data/rl.py)."""
TEXTS = "the texts of its prompt and its answers, as a template of the rows"
STAND = "texts as they stand, which trl ends with an end of text"
FOUND = (
    f"{TEXTS}; an answer that is a part of the marks before it, such as `user`, begins with them there: "
    "axolotl looks for where it stands"
)
WHOLE = (
    "answers are written with their prompt here, so that what a chat template writes behind the end of a "
    "turn trains as well; and where the tokenizer and the template both put a beginning of text, it stands "
    "twice there"
)
EACH = (
    "a prompt of several turns takes the column `prompt`, where there is one, for the question of each, and "
    "trl puts an end of text behind answers that end in no such token"
)


class Marks(NamedTuple):
    """How a style writes turns."""

    begin: str
    end: str
    after: str = ""
    """What stands behind the end of a turn."""

    def turn(self, role: str, content: str) -> str:
        """A whole turn."""
        return f"{self.begin.replace('ROLE', role)}{content}{self.end}{self.after}"

    @property
    def opening(self) -> str:
        """What an answer stands behind."""
        return self.begin.replace("ROLE", "assistant")


MARKS: Mapping[str, Marks] = {
    "chatml": Marks("<|im_start|>ROLE\n", "<|im_end|>", "\n"),
    "llama3": Marks("<|start_header_id|>ROLE<|end_header_id|>\n\n", "<|eot_id|>"),
}
ASKED: Mapping[str, str] = {
    "icr": "input", "intel": "question", "prompt_pairs": "prompt", "ultra": "prompt",
}  # fmt: skip
"""By function, the column of the question."""
FIRST = ("prompt", "input", "question", "instruction")
"""Columns of which `default` takes the first that there is."""
PARTS = (
    *(
        "field_prompt",
        "field_system",
        "field_chosen",
        "field_rejected",
        "field_completion",
        "field_label",
    ),
    *("prompt_format", "chosen_format", "rejected_format", "completion_format"),
)
"""What a `type` with formats of its own may say."""


class Pair(NamedTuple):
    """What rows of a type are, in a spec's words."""

    format: str = "preference"
    columns: Mapping[str, str] = {}
    template: Template | None = None
    kind: Kind = "derived"
    why: str = TEXTS
    question: str = ""


def paired(entry: Mapping[str, Any], learns: str, template: str) -> Pair | None:
    """The pairs of an entry; None where a spec has no such.

    ``template``: the name of axolotl's chat template that writes them, where it is one of its own.
    """
    kind = entry.get("type")
    if learns in OWN:
        return OWN[learns](entry)
    if isinstance(kind, dict):
        return _own(kind)
    if kind is None or kind in ("passthrough", "passthrough.default"):
        return Pair(why=STAND)
    style, _, function = str(kind).partition(".")
    if style == "chat_template":
        return _turns(entry, function or "default", template)
    written = _marked(MARKS[style], function or "default") if style in MARKS else None
    return Pair(template=written) if written else None


def _marked(marks: Marks, function: str) -> Template | None:
    if function == "argilla_chat":
        return _texts(marks, "", "chosen[0]['content']", "[1]['content']", "[1]['content']")
    if function == "default":
        *asked, last = FIRST
        choice = "".join(f"{name} if {name} is defined else " for name in asked) + last
        return {
            **_texts(marks, SYSTEM, f"({choice})"),
            **{
                name: f"{{{{ {name} if {name} is defined else {name}_response }}}}{marks.end}"
                for name in ("chosen", "rejected")
            },
        }
    if function not in ASKED:
        return None
    of = "[1]['content']" if function == "ultra" else ""
    return _texts(marks, SYSTEM, ASKED[function], of, of)


SYSTEM = "system"
"""The column of a system prompt, which is written where it says something."""


def _texts(marks: Marks, system: str, asked: str, *of: str) -> Template:
    chosen, rejected = of or ("", "")
    told = marks.turn("system", f"{{{{ {system} }}}}")
    before = f"{{% if {system} is defined and {system} %}}{told}{{% endif %}}" if system else ""
    return {
        "prompt": before + marks.turn("user", f"{{{{ {asked} }}}}") + marks.opening,
        "chosen": f"{{{{ chosen{chosen} }}}}{marks.end}",
        "rejected": f"{{{{ rejected{rejected} }}}}{marks.end}",
    }


def _own(kind: Mapping[str, Any]) -> Pair | None:
    """Formats of a config's own: a system prompt is nothing where there is none."""
    template = _formed(kind, "chosen", "rejected")
    return None if template is None else Pair(template=template)


def _judged(entry: Mapping[str, Any]) -> Pair | None:
    """An answer, and whether it is good (prompt_strategies/kto/)."""
    kind = entry.get("type")
    if kind is None:
        return Pair("unpaired", why=STAND)
    if isinstance(kind, dict):
        template = _formed(kind, "completion")
        label = str(kind.get("field_label") or "label")
    else:
        style, _, function = str(kind).partition(".")
        template = _answered(MARKS[style], function) if style in MARKS else None
        label = "label"
    try:
        judged = {"label": f"{{{{ {named_column(label)} }}}}"}
    except ValueError:
        return None
    return None if template is None else Pair("unpaired", template=template | judged)


def _answered(marks: Marks, function: str) -> Template | None:
    if function == "argilla_chat":
        turn = marks.turn("{{ turn['role'] }}", "{{ turn['content'] }}")
        asked = f"{{% for turn in completion[:-1] %}}{turn}{{% endfor %}}"
        answer = f"{{{{ completion[-1]['content'] }}}}{marks.end}"
        return {"prompt": asked + marks.opening, "completion": answer}
    column = {**ASKED, "argilla": "instruction"}.get(function, "")
    if not column or function == "icr":
        return None
    prompt = _texts(marks, SYSTEM, column)["prompt"]
    return {"prompt": prompt, "completion": f"{{{{ completion }}}}{marks.end}"}


def _formed(kind: Mapping[str, Any], *answers: str) -> Template | None:
    """The prompt and the answers of formats of a config's own; None where texts cannot say them."""
    names = ("prompt", "system", *answers)
    if set(kind) - {*PARTS}:
        return None
    column = {name: str(kind.get(f"field_{name}") or name) for name in names}
    form = str(kind.get("prompt_format") or "{prompt}")
    try:
        prompt = jinja(form, {name: column[name] for name in ("prompt", "system")})
        said = {
            name: jinja(str(kind.get(f"{name}_format") or f"{{{name}}}"), {name: column[name]})
            for name in answers
        }
    except ValueError:
        return None
    asked, system = f"{{{{ {column['system']} }}}}", column["system"]
    maybe = f"{{{{ {system} if {system} is defined and {system} else '' }}}}"
    return {"prompt": prompt.replace(asked, maybe), **said}


def _renames(roles: Any) -> bool:
    """Whether turns have other names than the template is to see."""
    said = roles.items() if isinstance(roles, dict) else ()
    return any(one != role for role, names in said for one in names or ())


def _turns(entry: Mapping[str, Any], function: str, template: str) -> Pair | None:
    """Conversations that a chat template writes, each answer apart from its prompt."""
    told = entry.get("message_property_mappings")
    role, content = (
        str(entry.get(f"message_field_{name}") or (told or {}).get(name) or name)
        for name in ("role", "content")
    )
    columns = {name: str(entry.get(f"field_{name}") or name) for name in ("chosen", "rejected")}
    asked = str(entry.get("field_messages") or "messages")
    if function not in ("default", "argilla_chat") or _renames(entry.get("roles")):
        return None
    if template == "chatml":
        turns = f"{columns['chosen']}[:-1]" if function == "argilla_chat" else asked
        return _chatml(function, turns, columns, role, content)
    if (role, content) != ("role", "content"):
        return None
    if function == "argilla_chat":
        named = {name: own for name, own in columns.items() if own != name}
        return Pair("preference-implicit", named, kind="approximated", why=WHOLE)
    named = {name: own for name, own in ({"prompt": asked} | columns).items() if own != name}
    question = "are its prompts and its answers lists of messages? Texts would reach the model as they stand"
    return Pair("preference", named, kind="approximated", why=WHOLE, question=question)


def _chatml(
    function: str, turns: str, columns: Mapping[str, str], role: str, content: str
) -> Pair | None:
    """axolotl's template chatml: what it writes of a prompt, and of an answer up to its end of turn."""
    try:
        for name in (*columns.values(), role, content, turns.removesuffix("[:-1]")):
            named_column(name)
    except ValueError:
        return None
    say = f"<|im_start|>{{{{ turn['{role}'] }}}}\n{{{{ turn['{content}'] }}}}<|im_end|>\n"
    asked = f"{{% for turn in {turns} %}}{say}{{% endfor %}}"
    if function == "default":
        text = f"<|im_start|>user\n{{{{ {turns} }}}}<|im_end|>\n"
        asked = f"{{% if {turns} is string %}}{text}{{% else %}}{asked}{{% endif %}}"
    answers = {}
    for name, column in columns.items():
        last = f"{column}[-1]['{content}']"
        if function == "default":
            turn = f"{column}['{content}'] if {column} is mapping else {last}"
            last = f"{column} if {column} is string else {turn}"
        answers[name] = f"{{{{ {last} }}}}<|im_end|>"
    return Pair(template={"prompt": f"{asked}<|im_start|>assistant\n", **answers}, why=FOUND)


ANSWERED: Template = {
    "system": "{{ system }}",
    "user": "{{ input }}",
    "chosen": "{{ chosen }}",
    "rejected": "{{ rejected }}",
}
"""Turns of the type `bradley_terry.chat_template`, whose columns have these names."""
SCORED = (
    "turns of its four columns, that of the system too where it is empty; an answer that begins with a line "
    "break may lose it there, since its tokens are taken from where those of the prompt end"
)
"""prompt_strategies/chat_template.py: `get_conversation_thread` and `_tokenize_single_prompt`."""
OTHERWISE = (
    *("roles", "message_property_mappings", "message_field_role", "message_field_content"),
    *("drop_system_message", "roles_to_train", "train_on_eos", "message_field_training"),
)
"""Keys of an entry under which it makes other turns, or other tokens of them."""


def _scored(entry: Mapping[str, Any]) -> Pair | None:
    """Whole answers to one question, of which a reward model is to score one higher."""
    if entry.get("type") != "bradley_terry.chat_template" or any(map(entry.get, OTHERWISE)):
        return None
    return Pair(template=ANSWERED, why=SCORED)


def _argilla(entry: Mapping[str, Any]) -> Pair | None:
    """prompt_strategies/orpo/chat_template.py: whole conversations, of which the last turns differ."""
    kind = entry.get("type")
    if kind is None:
        return Pair(why=STAND)
    if kind != "chat_template.argilla":
        return None
    return Pair("preference-implicit", kind="approximated", why=EACH)


OWN: Mapping[str, Callable[[Mapping[str, Any]], Pair | None]] = {
    "kto": _judged,
    "orpo": _argilla,
    "reward": _scored,
}
"""Objectives with types of their own; the others have those of DPO."""
