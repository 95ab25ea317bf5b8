"""Chat templates that Oumi has by name (datasets/chat_templates/ of 0.9), as files beside the spec."""

from __future__ import annotations

from collections.abc import Mapping

from ftspec.port.fates import Setting
from ftspec.port.formats.forms import Form, alike, chat
from ftspec.port.rules import Context, Outcome

FILE = "oumi.chat_template.jinja"
TRIM = " | trim"
FORMS: Mapping[str, Form] = {
    "llama3-instruct": Form(
        alike("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"), "<|eot_id|>", TRIM
    ),
    "chat_ml": Form(alike("<|im_start|>{}\n", "<|im_end|>\n"), "<|im_end|>\n", TRIM),
    "phi3-instruct": Form(alike("<|{}|>\n", "<|end|>\n"), "<|end|>\n", opens=""),
}
"""Those for plain conversations. build_chat_template takes away the line breaks between statements."""
OTHERS = (
    *("default", "default_gen", "gemma2-it", "gpt2", "internvl3", "llava", "molmo"),
    *("qwen2-vl-instruct", "qwen3-vl-instruct", "zephyr"),
)


def template(setting: Setting, _context: Context) -> Outcome:
    """`model.chat_template`: a name in any case, of a file of Oumi's own."""
    name = str(setting.value).lower()
    if name in FORMS:
        spec, files = {"model.chat_template": f"./{FILE}"}, {FILE: chat(FORMS[name], opened=False)}
        return Outcome("derived", spec=spec, why=f"written to {FILE}", files=files)
    if name in OTHERS:
        return Outcome("unknown", why="a template of Oumi's own, by name")
    return Outcome("unknown", why="Oumi has no template of this name, and stops")
