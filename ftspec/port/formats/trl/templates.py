"""The chat template that a recipe brings: its text, a file, or another model's."""

from __future__ import annotations

from ftspec.families.rows.template import TEMPLATE
from ftspec.port.fates import Setting
from ftspec.port.formats.trl.plain import CONFIG
from ftspec.port.formats.trl.trainers import trainer
from ftspec.port.rules import Context, Outcome, Rule
from ftspec.spec.online import ONLINE

NO_TEMPLATE = "beside the tokenizer's own, a template for answers that are drawn is not in a spec"


def template(setting: Setting, context: Context) -> Outcome:
    text = setting.value
    if not text:
        return Outcome("inert", why="the template of the tokenizer")
    if trainer(context)[0] in (*ONLINE, "gkd"):
        return Outcome("unknown", why=NO_TEMPLATE)
    name = f"{context.document.path.stem}.chat_template.jinja"
    taken = trainer(context)[0] == "sft"
    return Outcome(
        "derived",
        {f"{CONFIG}chat_template_path" if taken else TEMPLATE: f"./{name}"},
        why=f"written to {name}",
        files={name: str(text)},
    )


def template_path(otherwise: Rule) -> Rule:
    """A file, or another model whose template and tokens are taken."""

    def rule(setting: Setting, context: Context) -> Outcome:
        if str(setting.value).endswith((".jinja", ".j2")) or setting.value is None:
            return otherwise(setting, context)
        return Outcome(
            "unknown", why="the chat template of another model, with its tokens, is not in a spec"
        )

    return rule
